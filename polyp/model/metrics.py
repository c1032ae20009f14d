"""Scores of a segmentation: counts for each image first, then a score, then a named reduction.

The two usual reductions differ, and published tables mix them: the mean of the images' scores
weighs every frame alike, while pooling all pixels first weighs large polyps more.
"""

from typing import NamedTuple

import torch
from torch import Tensor


class AverageMeter:
    """A running mean, weighted by how many items each value stands for.

    Values may be tensors on a GPU: nothing is fetched from there until `avg` is read.
    """

    def __init__(self):
        self.sum: float | Tensor = 0.0
        self.count = 0

    def update(self, value: float | Tensor, n: int = 1) -> None:
        """Add `value`, the mean of `n` items."""
        self.sum = self.sum + (value.detach() if isinstance(value, Tensor) else value) * n
        self.count += n

    @property
    def avg(self) -> float:
        """The mean so far; NaN before the first update."""
        return float(self.sum) / self.count if self.count else float("nan")


class Counts(NamedTuple):
    """Pixels of each image by outcome, int64 tensors of shape (N,)."""

    tp: Tensor
    fp: Tensor
    fn: Tensor
    tn: Tensor

    def pooled(self) -> "Counts":
        """All images' pixels together, as one image of shape (1,)."""
        return Counts(*(count.sum().view(1) for count in self))


def confusion_counts(logits: Tensor, target: Tensor, threshold: float = 0.5) -> Counts:
    """Count true and false positives and negatives in every image.

    Args:
        logits: (N, 1, H, W), any real number.
        target: (N, 1, H, W), values 0 and 1.
        threshold: a pixel is polyp where its probability is *above* this; in [0, 1].

    Raises:
        ValueError: shapes differ; threshold outside [0, 1]; NaN logits (a NaN compares as "no polyp",
            so a broken network would silently pass for a cautious one).
    """
    if logits.shape != target.shape or logits.ndim != 4:
        raise ValueError(
            f"logits have shape {tuple(logits.shape)} and target {tuple(target.shape)}; "
            "expected the same (N, 1, H, W)"
        )
    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold is {threshold}; expected a probability, 0 to 1")
    if logits.isnan().any():
        raise ValueError("the logits hold NaN; look for a diverged training run or a broken checkpoint")
    return count_pixels(logits.float().sigmoid() > threshold, target > 0)


def count_pixels(preds: Tensor, target: Tensor) -> Counts:
    """Counts of boolean predictions and targets, both (N, 1, H, W); for logits use `confusion_counts`."""
    preds, target = preds.flatten(1), target.flatten(1)
    tp = (preds & target).sum(dim=1)
    fp = preds.sum(dim=1) - tp
    fn = target.sum(dim=1) - tp
    return Counts(tp, fp, fn, preds.shape[1] - tp - fp - fn)


def iou_score(counts: Counts) -> Tensor:
    """Intersection over union, tp / (tp + fp + fn), float64 (N,), 0 to 1.

    NaN where both prediction and mask are empty: there is nothing to overlap.
    """
    return _ratio(counts.tp, counts.tp + counts.fp + counts.fn)


def dice_score(counts: Counts) -> Tensor:
    """Dice = F1 = 2 tp / (2 tp + fp + fn), float64 (N,), 0 to 1; NaN where both are empty."""
    return _ratio(2 * counts.tp, 2 * counts.tp + counts.fp + counts.fn)


def precision_score(counts: Counts) -> Tensor:
    """The share of predicted pixels that are polyp, float64 (N,); NaN where nothing is predicted."""
    return _ratio(counts.tp, counts.tp + counts.fp)


def recall_score(counts: Counts) -> Tensor:
    """The share of polyp pixels that are found (sensitivity), float64 (N,); NaN for an empty mask."""
    return _ratio(counts.tp, counts.tp + counts.fn)


def _ratio(above: Tensor, below: Tensor) -> Tensor:
    return above.double() / below.double()  # 0 / 0 is NaN


SCORES = {
    "dice": dice_score,
    "iou": iou_score,
    "precision": precision_score,
    "recall": recall_score,
}


def summarise(counts: Counts) -> dict[str, float | int]:
    """Every score, reduced both ways.

    Returns:
        `dice_per_image`: the mean over the images that show a polyp and where Dice is defined, and
        `dice_undefined`, the number of all images where it is not; `dice_pooled`: the score of all pixels
        together, clean images included. Likewise `iou_...`, `precision_...` and `recall_...`.
        `images`: how many there are; `clean`: how many of them show no polyp.
    """
    polyp = (counts.tp + counts.fn) > 0  # a clean image has its own score: marked or not
    summary: dict[str, float | int] = {"images": len(counts.tp), "clean": int((~polyp).sum())}
    for name, score in SCORES.items():
        scores = score(counts)
        summary[f"{name}_per_image"] = scores[polyp].nanmean().item()
        summary[f"{name}_pooled"] = score(counts.pooled()).item()
        summary[f"{name}_undefined"] = int(scores.isnan().sum())
    return summary


def concatenate(parts: list[Counts]) -> Counts:
    """The counts of several batches as one."""
    return Counts(*(torch.cat(column) for column in zip(*parts, strict=True)))
