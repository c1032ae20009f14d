from polyp.course import threads as module
from polyp.course.threads import SETTINGS, threads


def test_a_step_is_timed_in_a_process_of_its_own():
    times = module._steps({"OMP_NUM_THREADS": "1"}, steps=4)
    assert len(times) == 3  # the first quarter warms up
    assert all(wall > 0 and cpu > 0 for wall, cpu in times)


def test_every_setting_takes_its_turn_alone_and_beside_a_busy_process(monkeypatch):
    turns = []

    def steps(environment, count):
        turns.append(environment)
        return [[2.0, 1.0]] * 3

    monkeypatch.setattr(module, "_steps", steps)
    found = threads(steps=4, rounds=2)
    assert len(turns) == 2 * 2 * len(SETTINGS)
    assert found["ms"].keys() == {"alone", "beside a busy process"}
    for by_setting in found["ms"].values():
        assert by_setting == {name: {"wall": 2.0, "cpu": 1.0} for name in SETTINGS}


def test_the_busy_process_is_gone_afterwards(monkeypatch):
    started = []

    class Watched(module.subprocess.Popen):
        def __init__(self, *args):
            super().__init__(*args)
            started.append(self)

    monkeypatch.setattr(module.subprocess, "Popen", Watched)
    with module._busy_process(True):
        assert started[0].poll() is None
    assert started[0].poll() is not None
