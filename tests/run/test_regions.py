"""The connected regions of masks, against OpenCV."""

import cv2
import numpy as np
import pytest

from polyp.data.images import SPECK
from polyp.run.regions import largest_region, shown_regions


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
    np.testing.assert_array_equal(shown_regions(mask.astype(float), min_share=0.01), expected)


def test_a_region_is_shown_whole_or_not_at_all():
    """Its highest probability decides, and then all of it above the threshold is shown."""
    probs = np.full((40, 60), 0.1)
    probs[5:15, 5:15] = 0.6  # unsure
    probs[20:35, 30:50] = 0.55
    probs[25, 40] = 0.97  # sure of one pixel
    for peak, expected in ((0.0, 100 + 300), (0.55, 100 + 300), (0.6, 300), (0.96, 300), (0.97, 0), (1.0, 0)):
        assert shown_regions(probs, 0.5, peak).sum() == expected
    assert shown_regions(probs, 0.58, 0.9).sum() == 0  # the sure pixel alone is a speck


def test_a_region_of_just_the_least_size_stays():
    probs = np.zeros((100, 100))
    probs[10:20, 10:20] = 1
    assert shown_regions(probs, min_share=0.01).sum() == 100
    assert shown_regions(probs, min_share=0.0101).sum() == 0


def test_corners_connect():
    probs = np.zeros((40, 40))
    probs[:10, :10] = probs[10:20, 10:20] = 1
    assert shown_regions(probs, min_share=200 / 1600).sum() == 200


def test_specks_go_only_where_regions_are_chosen():
    probs = np.zeros((20, 20))
    probs[0, : SPECK - 1] = 1
    assert shown_regions(probs).sum() == SPECK - 1
    assert not shown_regions(probs, min_share=1e-6).any()
    assert not shown_regions(probs, min_peak=0.6).any()


def test_an_empty_mask_has_no_region():
    empty = np.zeros((8, 9))
    assert largest_region(empty > 0) == 0
    assert shown_regions(empty, 0.5, 0.9, 0.5).shape == (8, 9)
    assert shown_regions(np.ones((8, 9)), 0.5, 0.9, 1.0).all()
