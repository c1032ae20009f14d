"""What a machine can do."""

import pytest

from polyp.run import hardware


@pytest.mark.parametrize("method", ["spawn", "forkserver", "fork"])
def test_no_loader_processes_where_they_are_spawned(monkeypatch, method):
    monkeypatch.setattr(hardware.multiprocessing, "get_start_method", lambda: method)
    assert hardware.loader_workers(0) == 0
    if method == "fork":
        assert hardware.loader_workers(3) == 3
        return
    with pytest.warns(UserWarning, match="going on with workers=0"):
        assert hardware.loader_workers(3) == 0
