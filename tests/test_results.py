"""The speeds in the README come from a committed result; its scores are test_report's."""

import json
from pathlib import Path

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def result(name):
    return json.loads((ROOT / "polyp" / "results" / f"{name}.json").read_text())


def test_the_benchmark():
    bench = result("bench")
    load, train, infer = (pair["ratio"] for pair in bench.values() if isinstance(pair, dict))
    words = " ".join(README.split())
    assert f"the cache loads {load:.0f} times as many images" in words
    assert f"training is {train:.1f} times and inference {infer:.1f} times as fast" in words
    assert f"training peaks at {bench['peak_memory_gib']:.1f} GiB" in words
