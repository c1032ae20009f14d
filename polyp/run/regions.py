"""The connected regions of a prediction: the largest, and those that are shown.

By SciPy: OpenCV's threads would hang in a forked process, such as a loader's or a test's.
"""

import numpy as np
from scipy import ndimage

from polyp.data.images import SPECK

EIGHT = np.ones((3, 3))  # pixels that touch at a corner are connected too


def largest_region(mask: np.ndarray) -> int:
    """The pixels of the largest 8-connected region of a mask (H, W); 0 if it is empty."""
    regions, _ = ndimage.label(mask, EIGHT)
    return int(np.bincount(regions.ravel())[1:].max(initial=0))


def shown_regions(
    probs: np.ndarray,
    threshold: float = 0.5,
    min_peak: float = 0.0,
    min_share: float = 0.0,
    evidence: np.ndarray | None = None,
) -> np.ndarray:
    """The mask of a probability map, without the regions of which the network is less sure.

    Cutting the map higher would shrink every polyp; this leaves out whole regions, and no pixel of others.

    Args:
        probs: (H, W), 0 to 1.
        threshold: a pixel is polyp above this probability.
        min_peak: an 8-connected region is shown if its highest evidence is above this,
        min_share: and if it takes at least this share of the picture.
        evidence: (H, W), 0 to 1, such as the mean of several looks; by default `probs`.

    Returns:
        bool (H, W). Where either can leave anything out, regions below `SPECK` pixels go too.
    """
    mask = probs > threshold
    least = threshold if evidence is None else 0.0  # what every region's peak is above
    if min_peak <= least and min_share <= 0:
        return mask
    regions, count = ndimage.label(mask, EIGHT)
    shown = np.bincount(regions.ravel()) >= max(SPECK, min_share * mask.size)
    judged = probs if evidence is None else evidence
    shown[1:] &= ndimage.maximum(judged, regions, np.arange(1, count + 1)) > min_peak
    shown[0] = False  # the background
    return shown[regions]
