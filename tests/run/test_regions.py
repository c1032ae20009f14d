"""The connected regions of masks, against OpenCV."""

import cv2
import numpy as np
import pytest

from polyp.data.check import SPECK
from polyp.run.regions import largest_region, without_small


def blobs(seed: int) -> np.ndarray:
    """A bool mask of random discs, some of which touch, and of specks."""
    rng = np.random.default_rng(seed)
    mask = (rng.random((120, 160)) > 0.995).astype(np.uint8)
    for _ in range(8):
        x, y, radius = rng.integers(0, 160), rng.integers(0, 120), rng.integers(2, 20)
        cv2.circle(mask, (int(x), int(y)), int(radius), 1, -1)
    return mask.astype(bool)


@pytest.mark.parametrize("seed", range(5))
def test_regions_are_those_of_opencv(seed):
    mask = blobs(seed)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    areas = stats[:, cv2.CC_STAT_AREA]
    assert largest_region(mask) == areas[1:].max()
    expected = mask & (areas[labels] >= 0.01 * mask.size)
    assert expected.any()
    assert (mask & ~expected).any()
    np.testing.assert_array_equal(without_small(mask, 0.01), expected)


def test_a_region_of_just_the_least_size_stays():
    mask = np.zeros((100, 100), bool)
    mask[10:20, 10:20] = True
    assert without_small(mask, 0.01).sum() == 100
    assert without_small(mask, 0.0101).sum() == 0


def test_corners_connect():
    mask = np.zeros((40, 40), bool)
    mask[:10, :10] = mask[10:20, 10:20] = True
    assert without_small(mask, 200 / 1600).sum() == 200


def test_specks_go_only_where_a_least_size_is_asked_for():
    mask = np.zeros((20, 20), bool)
    mask[0, : SPECK - 1] = True
    assert without_small(mask, 0).sum() == SPECK - 1
    assert not without_small(mask, 1e-6).any()


def test_an_empty_mask_has_no_region():
    empty = np.zeros((8, 9), bool)
    assert largest_region(empty) == 0
    assert without_small(empty, 0.5).shape == (8, 9)
    assert without_small(np.ones((8, 9), bool), 1.0).all()
