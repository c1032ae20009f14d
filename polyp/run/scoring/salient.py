"""The measures that PraNet's toolbox took over from salient-object papers: E, S and weighted F.

Equal to PySODMetrics on all frames of tests/run/sod_table.py, degenerate ones included.
"""

import cv2
import numpy as np
from scipy.ndimage import distance_transform_edt

EPS = np.spacing(1)


def e_measures(tp: np.ndarray, predicted: np.ndarray, polyp: int, pixels: int) -> np.ndarray:
    """The enhanced-alignment measure (Fan et al., IJCAI 2018) at each threshold, float64 (K,), 0 to 1.

    Both masks are centred on their means; a pixel counts the more, the better the two agree there. A binary
    map has but four kinds of pixels, so counts suffice. (PraNet's toolbox cuts above a threshold, PNS-Net's,
    PySODMetrics and we at it.) Without polyp it is the share of pixels left clean, and of a frame that is
    all polyp, the share marked.

    Args:
        tp, predicted: int (K,), see `counts_by_threshold`.
        polyp, pixels: of the mask, and of the frame.
    """
    if polyp in (0, pixels):
        return (predicted if polyp else pixels - predicted) / (pixels - 1 + EPS)
    share, true_share = predicted / pixels, polyp / pixels
    kinds = (
        (tp, 1 - share, 1 - true_share),
        (predicted - tp, 1 - share, -true_share),
        (polyp - tp, -share, 1 - true_share),
        (pixels - predicted - polyp + tp, -share, -true_share),
    )
    total = np.zeros(len(tp))
    for count, a, b in kinds:
        alignment = 2 * a * b / (a**2 + b**2 + EPS)
        total += count * (alignment + 1) ** 2 / 4
    return total / (pixels - 1 + EPS)


def s_measure(probs: np.ndarray, truth: np.ndarray, alpha: float = 0.5) -> float:
    """The structure measure (Fan et al., ICCV 2017), 0 to 1: map and mask as objects and in quarters.

    Without polyp it is 1 - the map's mean, and of a frame that is all polyp, its mean.

    Args:
        probs: float64 (H, W), 0 to 1, stretched.
        truth: bool (H, W).
        alpha: the weight of the objects.
    """
    share = truth.mean()
    if share in (0, 1):
        return float(probs.mean() if share else 1 - probs.mean())
    objects = share * _object_score(probs[truth]) + (1 - share) * _object_score(1 - probs[~truth])
    rows, columns = np.nonzero(truth)
    # MATLAB's ranges include their end: the centre's own row and column belong to the upper left quarter.
    y, x = int(np.round(rows.mean())) + 1, int(np.round(columns.mean())) + 1
    quarters = sum(
        truth[part].size / truth.size * _similarity(probs[part], truth[part])
        for part in (np.s_[:y, :x], np.s_[:y, x:], np.s_[y:, :x], np.s_[y:, x:])
        if truth[part].size
    )
    return float(max(0, alpha * objects + (1 - alpha) * quarters))


def _object_score(values: np.ndarray) -> float:
    mean = values.mean()
    spread = values.std(ddof=1) if values.size > 1 else 0
    return 2 * mean / (mean**2 + 1 + spread + EPS)


def _similarity(probs: np.ndarray, truth: np.ndarray) -> float:
    """SSIM of a whole quarter, without its constants."""
    x, y, n = probs.mean(), truth.mean(), truth.size - 1 + EPS
    dx, dy = probs - x, truth - y
    above = 4 * x * y * (dx * dy).sum() / n
    below = (x**2 + y**2) * ((dx**2).sum() + (dy**2).sum()) / n
    if above == 0:
        return float(below == 0)
    return above / (below + EPS)


def weighted_f(probs: np.ndarray, truth: np.ndarray) -> float:
    """The weighted F-measure (Margolin et al., CVPR 2014), beta 1, 0 to 1; 0 without a polyp.

    An error inside the polyp weighs less where its neighbours are right, one outside more, the farther away.

    Args:
        probs: float64 (H, W), 0 to 1, stretched.
        truth: bool (H, W).
    """
    if not truth.any():
        return 0.0
    distance, nearest = distance_transform_edt(~truth, return_indices=True)
    error = np.abs(probs - truth)
    spread = error[nearest[0], nearest[1]]  # outside, the error of the nearest polyp pixel; inside, its own
    smooth = cv2.sepFilter2D(spread, -1, _BELL, _BELL, borderType=cv2.BORDER_CONSTANT)
    inside = np.minimum(error, smooth)[truth]
    outside = (error * (2 - np.exp(np.log(0.5) / 5 * distance)))[~truth]
    tp = truth.sum() - inside.sum()
    recall, precision = 1 - inside.mean(), tp / (tp + outside.sum() + EPS)
    return float(2 * recall * precision / (recall + precision + EPS))


_BELL = np.exp(-(np.arange(-3.0, 4) ** 2) / (2 * 5**2))
_BELL /= _BELL.sum()  # MATLAB's fspecial("gaussian", 7, 5) is the outer product of this with itself
