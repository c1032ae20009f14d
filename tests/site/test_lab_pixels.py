"""Pictures, masks and doubts in JavaScript, against OpenCV and `polyp`."""

import json

import cv2
import numpy as np
import onnxruntime
import pytest

from polyp.data.familiar import Familiar, figures
from polyp.data.images import shrink
from polyp.data.synthetic import make_sequence
from polyp.run.engines import SHIPPED_ONNX
from polyp.run.regions import shown_regions
from tests.site.node import call, needs_node

pytestmark = needs_node


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Blobs with noise, uint8 (H, W, 3)."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (5, 6, 3), dtype=np.uint8)
    smooth = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC).astype(int)
    return np.clip(smooth + rng.integers(-20, 21, smooth.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("size", "new"),
    [
        ((97, 120), (40, 51)),
        ((64, 96), (32, 32)),
        ((50, 40), (50, 40)),
        ((30, 90), (64, 64)),
        ((20, 30), (41, 77)),
        ((1, 5), (4, 4)),
    ],
)
def test_shrinks_as_opencv_does(size, new):
    image = picture(*size)
    given = {"data": image, "height": size[0], "width": size[1]}
    found = np.array(call("network/pixels.js", "shrink", given, *new), int).reshape(*new, 3)
    assert np.abs(found - shrink(image, new).astype(int)).max() <= 1
    assert (found != shrink(image, new)).mean() < 0.08  # where a side grows, OpenCV counts in 1/2048


@pytest.mark.parametrize("new", [(44, 61), (20, 33), (30, 30), (1, 1)])
def test_enlarges_logits_as_opencv_does(new):
    logits = np.random.default_rng(0).normal(0, 5, (30, 30)).astype(np.float32)
    found = np.array(call("network/pixels.js", "resizeLinear", logits, 30, 30, *new)).reshape(new)
    wanted = cv2.resize(logits, new[::-1], interpolation=cv2.INTER_LINEAR)
    np.testing.assert_allclose(found, wanted, atol=1e-4)


@pytest.mark.parametrize(("across", "down"), [(True, False), (False, True), (True, True)])
def test_mirrors(across, down):
    image = picture(7, 9)
    found = np.array(call("network/pixels.js", "mirror", image, 7, 9, 3, across, down)).reshape(7, 9, 3)
    axes = tuple(axis for axis, turn in ((1, across), (0, down)) if turn)
    np.testing.assert_array_equal(found, np.flip(image, axes))


def test_shows_the_regions_that_polyp_shows():
    rng = np.random.default_rng(3)
    probs = cv2.GaussianBlur(rng.random((60, 80), np.float32), (0, 0), 2)
    probs = ((probs - probs.min()) / np.ptp(probs)).astype(np.float32)
    evidence = np.clip(probs + rng.normal(0, 0.05, probs.shape), 0, 1).astype(np.float32)
    before = probs > 0.6
    for min_share in (0, 0.008):
        rule = {"threshold": 0.6, "min_peak": 0.9, "min_share": min_share}
        wanted = shown_regions(probs, **rule, evidence=evidence)
        assert wanted.any()
        assert (before & ~wanted).any()  # each part of the rule leaves something out
        before = wanted
        found = call("network/masks.js", "shownRegions", probs, 60, 80, rule, evidence)
        np.testing.assert_array_equal(np.array(found, bool).reshape(60, 80), wanted)


def test_counts_and_scores():
    rng = np.random.default_rng(1)
    mask, truth = (rng.integers(0, 2, 200, dtype=np.uint8) for _ in range(2))
    counts = call("network/masks.js", "countPixels", mask, truth)
    assert counts == {
        "tp": int((mask & truth).sum()), "fp": int((mask & ~truth & 1).sum()),
        "fn": int((~mask & truth & 1).sum()), "tn": int(((mask | truth) == 0).sum()),
    }  # fmt: skip
    expected = 2 * counts["tp"] / (mask.sum() + truth.sum())
    assert call("network/masks.js", "dice", counts) == pytest.approx(expected)
    assert call("network/masks.js", "dice", {"tp": 0, "fp": 0, "fn": 0}) is None  # NaN, as JSON has it


@pytest.fixture(scope="module")
def familiar() -> dict:
    session = onnxruntime.InferenceSession(SHIPPED_ONNX)
    return json.loads(session.get_modelmeta().custom_metadata_map["polyp"])["familiar"]


@pytest.mark.parametrize("kind", ["wall", "swapped", "black", "noise", "tiny"])
def test_doubts_what_polyp_doubts(kind, familiar):
    (image,), _ = make_sequence(seed=1, sequence=0, frames=1)
    image = {
        "wall": image,
        "swapped": np.ascontiguousarray(image[..., ::-1]),
        "black": image // 40,
        "noise": np.random.default_rng(0).integers(0, 256, image.shape, dtype=np.uint8),
        "tiny": image[:20, :30],
    }[kind]
    density, size = Familiar.from_dict(familiar), (352, 352)
    small = shrink(image, size)
    found = call("network/familiar.js", "figures", small, *size)
    np.testing.assert_allclose(found, figures(small), atol=5e-3)
    surprise = call("network/familiar.js", "surprise", found, familiar)
    assert surprise == pytest.approx(density.surprise(small), rel=0.02, abs=0.5)
    given = {"data": np.zeros(0, np.uint8), "height": image.shape[0], "width": image.shape[1]}
    told = call("network/familiar.js", "doubt", given, small, list(size), familiar)
    assert told == density.doubt(image, size)
