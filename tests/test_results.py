"""Every measured number in the README comes from a committed result."""

import json
from pathlib import Path

import pytest

from polyp.config import TrainConfig

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def result(name):
    return json.loads((ROOT / "polyp" / "results" / f"{name}.json").read_text())


@pytest.mark.parametrize("name", ["06_cpu_random", "06_cpu_fold0"])
def test_the_table_of_runs(name):
    run = result(name)
    test = run["metrics"]["test"]
    dice, iou = (f"{test[f'{score}_per_image']:.3f}" for score in ("dice", "iou"))
    assert f"| {test['images']} | {dice} | {iou} | {run['minutes']:.0f} |" in README
    config = TrainConfig.from_dict(run["config"])
    assert f"{config.size[0]} x {config.size[1]}, {config.epochs} epochs, seed {config.seed}" in README
    assert len(run["log"]) == config.epochs


def test_the_benchmark():
    bench = result("bench")
    load, train, infer = (pair["ratio"] for pair in bench.values() if isinstance(pair, dict))
    words = " ".join(README.split())
    assert f"the cache loads {load:.0f} times as many images" in words
    assert f"training is {train:.1f} times and inference {infer:.1f} times as fast" in words
    assert f"training peaks at {bench['peak_memory_gib']:.1f} GiB" in words
