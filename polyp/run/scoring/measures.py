"""What one frame scores: NumPy measures of a probability map against a mask.

The measures of salient-object papers work on the map stretched to 0-1, as in PraNet's toolbox and
PySODMetrics, and keep those tools' answers on degenerate frames. All others work on the map as it is.
(Those tools call a mask's grey of 128 background, `read_mask` polyp; nothing else differs.)
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from polyp.errors import UsageError
from polyp.run.scoring.regions import boundary_distances, match_regions, regions_of
from polyp.run.scoring.salient import e_measures, s_measure, weighted_f

LEVELS = 256


@dataclass(frozen=True)
class Settings:
    """What a user may choose.

    Args:
        threshold: a pixel is polyp where its probability is *above* this, 0 to 1.
        min_area: pixels; a smaller region is neither a polyp nor a false alarm.
        overlap: the least IoU of a predicted region with a polyp that it finds, above 0, up to 1.
        tolerance: pixels that a boundary may be off for the normalised surface distance.

    Raises:
        UsageError: one of them out of range.
    """

    threshold: float = 0.5
    min_area: int = 10
    overlap: float = 0.5
    tolerance: float = 2.0

    def __post_init__(self):
        if not 0 <= self.threshold <= 1:
            raise UsageError(f"threshold is {self.threshold}; expected a probability, 0 to 1")
        if self.min_area < 1:
            raise UsageError(f"min_area is {self.min_area}; expected 1 pixel or more")
        if not 0 < self.overlap <= 1:
            raise UsageError(f"overlap is {self.overlap}; expected an IoU above 0, up to 1")
        if not 0 <= self.tolerance < np.inf:
            raise UsageError(f"tolerance is {self.tolerance}; expected pixels, 0 or more")


class Frame(NamedTuple):
    """What `measure_frame` found.

    `scores` has one number for each column of the table per frame; the curves, float64 (256,), belong to
    the thresholds 1, 254/255, ..., 0 of the stretched map.
    """

    scores: dict[str, float]
    dice_curve: np.ndarray
    iou_curve: np.ndarray
    e_curve: np.ndarray


def measure_frame(probs: np.ndarray, truth: np.ndarray, settings: Settings) -> Frame:
    """All measures of one frame.

    Args:
        probs: float64 (H, W), 0 to 1.
        truth: bool (H, W).
        settings: see `Settings`.

    Returns:
        see `Frame`; NaN where a measure is undefined: Dice and IoU where nothing is true and nothing
        predicted, the best threshold on a frame without polyp, HD95 unless there are two boundaries.
    """
    preds = probs > settings.threshold
    flat = stretch(probs)
    tp, predicted = counts_by_threshold(flat, truth)
    polyp, pixels = int(truth.sum()), truth.size
    dice_curve, iou_curve = _zero_for_nan(dice_iou(tp, predicted, polyp))
    e_curve = e_measures(tp, predicted, polyp, pixels)
    adaptive = flat >= min(2 * flat.mean(), 1)
    hit, drawn = int((preds & truth).sum()), int(preds.sum())
    dice, iou = dice_iou(hit, drawn, polyp)
    back_dice, back_iou = dice_iou(pixels - drawn - polyp + hit, pixels - drawn, pixels - polyp)
    best_dice, best_iou = _best(probs, truth)
    adaptive_dice, adaptive_iou = _zero_for_nan(dice_iou((adaptive & truth).sum(), adaptive.sum(), polyp))
    hd95, nsd = boundary_distances(preds, truth, settings.tolerance)
    true_regions, false_regions = (regions_of(mask, settings.min_area) for mask in (truth, preds))
    found = int(match_regions(false_regions, true_regions, settings.overlap).sum())
    scores = {
        "tp": hit,
        "fp": drawn - hit,
        "fn": polyp - hit,
        "tn": pixels - drawn - polyp + hit,
        "dice": dice,
        "iou": iou,
        "background_dice": back_dice,
        "background_iou": back_iou,
        "best_dice": best_dice,
        "best_iou": best_iou,
        "stretched_mean_dice": dice_curve.mean(),
        "stretched_mean_iou": iou_curve.mean(),
        "adaptive_dice": adaptive_dice,
        "adaptive_iou": adaptive_iou,
        "soft_dice": (2 * flat[truth].sum() + 1) / (flat.sum() + polyp + 1),
        "s_measure": s_measure(flat, truth),
        "e_measure_mean": e_curve.mean(),
        "weighted_f": weighted_f(flat, truth),
        "mae": np.abs(flat - truth).mean(),
        "hd95": hd95,
        "nsd": nsd,
        "polyps": len(true_regions),
        "found": found,
        "false_regions": len(false_regions) - found,
        "marked": float(len(false_regions) > 0),
    }
    return Frame({name: float(value) for name, value in scores.items()}, dice_curve, iou_curve, e_curve)


def stretch(probs: np.ndarray) -> np.ndarray:
    """The map with its lowest value at 0 and its highest at 1; unchanged if all values are equal.

    Like MATLAB's `mapminmax`, which PraNet's toolbox calls on every map.
    """
    low, high = probs.min(), probs.max()
    return (probs - low) / (high - low) if high > low else probs


def counts_by_threshold(probs: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """True positives and predicted pixels, int (256,), where the map is at least 255/255, 254/255, ..., 0.

    One histogram instead of 256 comparisons.
    """
    levels = (probs * 255).astype(np.uint8)
    hits, all_pixels = (
        np.bincount(part.ravel(), minlength=LEVELS)[::-1].cumsum() for part in (levels[truth], levels)
    )
    return hits, all_pixels


def dice_iou(tp, predicted, polyp) -> tuple[np.ndarray, np.ndarray]:
    """Dice and IoU of pixel counts, float64 of their shape; NaN where nothing is true or predicted."""
    together = np.asarray(predicted + polyp, float)
    with np.errstate(invalid="ignore"):
        return 2 * tp / together, tp / (together - tp)


def _zero_for_nan(values: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """As both toolboxes answer where nothing is true and nothing predicted."""
    dice, iou = values
    return np.nan_to_num(dice), np.nan_to_num(iou)


def _best(probs: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """Dice and IoU at the threshold 1/255 ... 255/255 that suits this frame best; NaN without a polyp."""
    if not truth.any():
        return np.nan, np.nan
    tp, predicted = counts_by_threshold(probs, truth)
    dice, iou = dice_iou(tp[:-1], predicted[:-1], int(truth.sum()))
    return dice.max(), iou.max()
