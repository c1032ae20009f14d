import json
import subprocess
import sys
from functools import partial

import pytest
import torch

from polyp.course import bench as module
from polyp.course.bench import bench


def test_it_measures_and_writes(monkeypatch, tmp_path, capsys):
    """The machinery at a size of no interest; a test does not judge speed."""
    monkeypatch.setattr(module, "SIZE", (32, 32))
    monkeypatch.setattr(module, "BATCH", 2)
    small = partial(module.write_dataset, sequences=3, frames=4, height=48, width=64)
    monkeypatch.setattr(module, "write_dataset", small)
    results = bench(rounds=1, out=tmp_path / "bench.json")
    assert json.loads((tmp_path / "bench.json").read_text()) == results
    contests = [value for value in results.values() if isinstance(value, dict)]
    assert len(contests) == 3
    assert all(contest["ratio"] > 0 for contest in contests)
    assert results["peak_memory_gib"] > 0
    assert capsys.readouterr().out.count("images/s") == 3


def test_a_system_that_does_not_tell_its_peak_memory(monkeypatch):
    monkeypatch.setitem(sys.modules, "resource", None)  # which Windows does not have
    assert module._peak_memory(torch.device("cpu")) is None


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not tell")
def test_peak_memory_is_in_gib(monkeypatch):
    import resource

    used = type("Used", (), {"ru_maxrss": 3 * 2**20})
    monkeypatch.setattr(resource, "getrusage", lambda who: used)
    monkeypatch.setattr(sys, "platform", "linux")  # counts in KiB
    assert module._peak_memory(torch.device("cpu")) == 3
    monkeypatch.setattr(sys, "platform", "darwin")  # counts in bytes
    assert module._peak_memory(torch.device("cpu")) == 3 / 2**10


def test_the_module_can_be_imported_without_unix_modules():
    code = "import sys; sys.modules['resource'] = None; import polyp.course.bench"
    subprocess.run([sys.executable, "-c", code], check=True)
