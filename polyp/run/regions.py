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
    probs: np.ndarray, threshold: float = 0.5, min_peak: float = 0.0, min_share: float = 0.0
) -> np.ndarray:
    """The mask of a probability map, without the regions of which the network is less sure.

    Cutting the map higher would shrink every polyp; this leaves out whole regions, and no pixel of others.

    Args:
        probs: (H, W), 0 to 1.
        threshold: a pixel is polyp above this probability.
        min_peak: an 8-connected region is shown if its highest probability is above this,
        min_share: and if it takes at least this share of the picture.

    Returns:
        bool (H, W). With a `min_peak` above the threshold or a `min_share` above 0, regions below `SPECK`
        pixels go too.
    """
    mask = probs > threshold
    if min_peak <= threshold and min_share <= 0:
        return mask
    regions, count = ndimage.label(mask, EIGHT)
    shown = np.bincount(regions.ravel()) >= max(SPECK, min_share * mask.size)
    shown[1:] &= ndimage.maximum(probs, regions, np.arange(1, count + 1)) > min_peak
    shown[0] = False  # the background
    return shown[regions]
