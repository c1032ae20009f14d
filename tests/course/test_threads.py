from polyp.course import threads as module
from polyp.course.threads import threads


def test_every_setting_is_measured_alone_and_beside_a_busy_process(monkeypatch):
    monkeypatch.setattr(module, "SETTINGS", {"OMP_NUM_THREADS=1": {"OMP_NUM_THREADS": "1"}})
    found = threads(steps=4, rounds=1)
    assert found["ms"].keys() == {"alone", "beside a busy process"}
    for by_setting in found["ms"].values():
        times = by_setting["OMP_NUM_THREADS=1"]
        assert times["cpu"] > 0
        assert times["wall"] > 0
