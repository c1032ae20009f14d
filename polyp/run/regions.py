"""The connected regions of a mask: the largest, and all but the small ones.

By SciPy: OpenCV's threads would hang in a forked process, such as a loader's or a test's.
"""

import numpy as np
from scipy import ndimage

from polyp.data.check import SPECK

EIGHT = np.ones((3, 3))  # pixels that touch at a corner are connected too


def largest_region(mask: np.ndarray) -> int:
    """The pixels of the largest 8-connected region of a mask (H, W); 0 if it is empty."""
    regions, _ = ndimage.label(mask, EIGHT)
    return int(np.bincount(regions.ravel())[1:].max(initial=0))


def without_small(mask: np.ndarray, min_share: float) -> np.ndarray:
    """A mask without its small regions.

    Args:
        mask: bool (H, W).
        min_share: the least size of an 8-connected region, as a share of the picture; 0 changes nothing.

    Returns:
        bool (H, W); with a `min_share` above 0, regions below `SPECK` pixels go too.
    """
    if min_share <= 0:
        return mask
    regions, _ = ndimage.label(mask, EIGHT)
    large = np.bincount(regions.ravel()) >= max(SPECK, min_share * mask.size)
    large[0] = False  # the background
    return large[regions]
