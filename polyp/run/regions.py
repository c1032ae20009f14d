"""The connected regions of a prediction: the largest, and those that are shown."""

import numpy as np

from polyp.data.images import SPECK

try:  # OpenCV's threads would hang in a forked process, such as a test's
    from scipy import ndimage
except ImportError:  # an installation for prediction alone, where nothing is forked, goes without
    ndimage = None


def label_regions(mask: np.ndarray) -> tuple[np.ndarray, int]:
    """The 8-connected regions of a mask (H, W), by number from 1, int (H, W), and how many there are."""
    if ndimage is not None:
        return ndimage.label(mask, np.ones((3, 3)))
    import cv2

    count, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    return labels, count - 1


def largest_region(mask: np.ndarray) -> int:
    """The pixels of the largest 8-connected region of a mask (H, W); 0 if it is empty."""
    regions, _ = label_regions(mask)
    return int(np.bincount(regions.ravel())[1:].max(initial=0))


def shown_regions(
    probs: np.ndarray,
    threshold: float = 0.5,
    min_peak: float = 0.0,
    min_share: float = 0.0,
    evidence: np.ndarray | None = None,
    min_area: int = 0,
) -> np.ndarray:
    """The mask of a probability map, without the regions of which the network is less sure.

    Cutting the map higher would shrink every polyp; this leaves out whole regions, and no pixel of others.

    Args:
        probs: (H, W), 0 to 1.
        threshold: a pixel is polyp above this probability.
        min_peak: an 8-connected region is shown if its highest evidence is above this,
        min_share: and if it takes at least this share of the picture.
        min_area: leave out regions of fewer pixels.
        evidence: (H, W), 0 to 1, such as the mean of several looks; by default `probs`.

    Returns:
        bool (H, W). Where either can leave anything out, regions below `SPECK` pixels go too.
    """
    mask = probs > threshold
    least = threshold if evidence is None else 0.0  # what every region's peak is above
    if min_peak <= least and min_share <= 0 and min_area <= 0:
        return mask
    regions, count = label_regions(mask)
    shown = np.bincount(regions.ravel()) >= max(SPECK, min_share * mask.size, min_area)
    judged = probs if evidence is None else evidence
    peaks = np.zeros(count + 1, judged.dtype)
    np.maximum.at(peaks, regions.ravel(), judged.ravel())
    shown &= peaks > min_peak
    shown[0] = False  # the background
    return shown[regions]
