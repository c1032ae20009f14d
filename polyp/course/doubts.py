"""How often the bundled model doubts real frames, and pictures that are none."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_sample_images

from polyp.config import Config
from polyp.course.hospitals import ELSEWHERE, elsewhere
from polyp.data.dataset import open_part
from polyp.data.familiar import Familiar
from polyp.run.checkpoint import load_model, versions
from polyp.run.hardware import machine

LEARNT = ("cvc-clinicdb", "kvasir-seg", "polypgen")
CROPS = 200  # of scikit-learn's two photographs
EVERY = 8  # of the real frames, this one with red and blue exchanged


def count_doubts(data_path: str | Path | None = None, name: str = "several") -> dict[str, Any]:
    """Show real frames, and pictures that are none, to weights that come with the package.

    Returns:
        versions, machine; real, by dataset, and foreign, by kind: how many there are, how many are doubted.
    """
    _, metadata = load_model(name)
    config, familiar = Config.from_dict(metadata["config"]), Familiar.from_dict(metadata["familiar"])
    real, swapped = {}, []
    for data in (*LEARNT, *ELSEWHERE):
        images = open_part(elsewhere(config, data), "all", data_path).cache.images
        real[data] = _count(familiar, config, iter(images))
        swapped += [np.array(image[..., ::-1]) for image in images[::EVERY]]
    foreign = {"red and blue exchanged": iter(swapped), **_foreign()}
    counted = {kind: _count(familiar, config, pictures) for kind, pictures in foreign.items()}
    return {"versions": versions(), "machine": machine(), "real": real, "foreign": counted}


def _count(familiar: Familiar, config: Config, pictures: Iterator[np.ndarray]) -> list[int]:
    doubted = [bool(familiar.doubt(np.asarray(picture), config.size)) for picture in pictures]
    return [len(doubted), sum(doubted)]


def _foreign() -> dict[str, Iterator[np.ndarray]]:
    """Pictures uint8 RGB (H, W, 3) by kind, from a seed."""
    rng, shape = np.random.default_rng(0), (288, 384, 3)
    photographs = load_sample_images().images

    def crops() -> Iterator[np.ndarray]:
        for k in range(CROPS):
            photograph = photographs[k % len(photographs)]
            side = rng.integers(100, photograph.shape[0] + 1)
            y, x = (rng.integers(length - side + 1) for length in photograph.shape[:2])
            yield np.rot90(photograph[y : y + side, x : x + side], int(rng.integers(4)))

    return {
        "photographs": iter(photographs),
        "crops of photographs, turned": crops(),
        "uniform noise": (rng.integers(0, 256, shape, dtype=np.uint8) for _ in range(20)),
        "normal noise": (rng.normal(128, 30, shape).clip(0, 255).astype(np.uint8) for _ in range(20)),
        "black, nearly": (rng.integers(0, 12, shape, dtype=np.uint8) for _ in range(20)),
        "one colour": (np.full(shape, rng.integers(0, 256, 3), np.uint8) for _ in range(20)),
    }
