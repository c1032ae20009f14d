import json

from polyp.course import bench as module
from polyp.course.bench import bench


def test_it_measures_and_writes(monkeypatch, tmp_path, capsys):
    """The machinery at a size of no interest; a test does not judge speed."""
    monkeypatch.setattr(module, "SIZE", (32, 32))
    monkeypatch.setattr(module, "BATCH", 2)
    results = bench(rounds=1, out=tmp_path / "bench.json")
    assert json.loads((tmp_path / "bench.json").read_text()) == results
    pairs = [value for value in results.values() if isinstance(value, dict)]
    assert len(pairs) == 3
    assert all(pair["ratio"] > 0 for pair in pairs)
    assert results["peak_memory_gib"] > 0
    assert capsys.readouterr().out.count("images/s") == 3
