"""Telling pictures that are unlike those a network learnt from."""

import json

import numpy as np
import pytest
from sklearn.datasets import load_sample_images
from sklearn.mixture import GaussianMixture

from polyp.config import configure
from polyp.data import open_data
from polyp.data.familiar import LEAST, Familiar, figures, learn_familiar


@pytest.fixture(scope="module")
def quick():
    return open_data(configure("quick"))


@pytest.fixture(scope="module")
def learnt(quick) -> Familiar:
    return Familiar.from_dict(json.loads(json.dumps(learn_familiar(quick.train))))


def frames_of(dataset) -> list[np.ndarray]:
    return [np.array(dataset.cache.images[row]) for row in dataset.rows]


def enlarged(image: np.ndarray) -> np.ndarray:
    """A frame of 96 pixels as large as it was on disk; the figures are of a small copy anyway."""
    return image.repeat(4, axis=0).repeat(4, axis=1)


def photographs(count: int, seed: int = 0) -> list[np.ndarray]:
    """scikit-learn's two photographs, and crops of them, turned."""
    rng, found = np.random.default_rng(seed), list(load_sample_images().images)
    for image in load_sample_images().images:
        height, width = image.shape[:2]
        for _ in range(count):
            side = rng.integers(100, height + 1)
            y, x = rng.integers(height - side + 1), rng.integers(width - side + 1)
            found.append(np.rot90(image[y : y + side, x : x + side], rng.integers(4)).copy())
    return found


def test_the_density_is_sklearns(quick):
    found = np.array([figures(image) for image in frames_of(quick.train)])
    center, scale = found.mean(axis=0), np.maximum(found.std(axis=0), 0.02)
    oracle = GaussianMixture(3, reg_covar=0.01, random_state=1).fit((found - center) / scale)
    ours = Familiar(
        center, scale, oracle.weights_, oracle.means_, oracle.precisions_cholesky_, 0.0, (100, 100)
    )
    expected = -oracle.score_samples((found - center) / scale)
    assert [ours.surprise(image) for image in frames_of(quick.train)] == pytest.approx(expected, rel=1e-6)


def test_frames_of_new_patients_are_familiar_and_other_pictures_are_not(quick, learnt):
    size = quick.train.cache.images.shape[1:3]
    own = [learnt.doubt(enlarged(image), size) for image in frames_of(quick.test)]
    assert sum(map(bool, own)) <= 1
    rng = np.random.default_rng(0)
    shape = (288, 384, 3)
    others = [
        *photographs(20),
        rng.integers(0, 256, shape, dtype=np.uint8),
        np.clip(rng.normal(128, 30, shape), 0, 255).astype(np.uint8),
        *(enlarged(image[..., ::-1]) for image in frames_of(quick.test)),
    ]
    assert np.mean([bool(learnt.doubt(image, size)) for image in others]) >= 0.95


@pytest.mark.parametrize(
    ("image", "said"),
    [
        (np.zeros((288, 384, 3), np.uint8), "almost black"),
        (np.full((288, 384, 3), 255, np.uint8), "blown out"),
        (np.full((20, 30, 3), 128, np.uint8), "30 pixels: far smaller"),
        (np.full((4000, 4000, 3), 128, np.uint8), "4000 pixels: far larger"),
    ],
)
def test_what_is_wrong_is_said(quick, learnt, image, said):
    assert learnt.doubt(image, quick.train.cache.images.shape[1:3]).startswith(said)


def test_swapped_colours_are_named(quick, learnt):
    size = quick.train.cache.images.shape[1:3]
    said = [learnt.doubt(enlarged(image[..., ::-1]), size) for image in frames_of(quick.test)]
    assert said.count("looks as if red and blue were exchanged") >= 0.75 * len(said)


def test_a_handful_of_frames_teaches_nothing(quick):
    quick.val.rows = quick.val.rows[: LEAST - 1]
    quick.val.frames = quick.val.frames[: LEAST - 1]
    assert learn_familiar(quick.val) == {}


@pytest.mark.parametrize(
    "change",
    [
        {"center": [1.0]},
        {"scale": [0.0] * 21},
        {"factors": "x"},
        {"means": [1.0, 2.0]},
        {"weights": [float("nan")]},
        {"limit": None},
        {"sides": [1]},
        {"sides": None},
    ],
)
def test_a_density_that_is_none_is_refused(learnt, change):
    with pytest.raises(ValueError, match="no density of figures"):
        Familiar.from_dict(learnt.to_dict() | change)
    with pytest.raises(ValueError, match="no density of figures"):
        Familiar.from_dict([1, 2])
