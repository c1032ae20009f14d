"""Scores of a segmentation: counts for each image first, then a score, then a named reduction.

The two usual reductions differ, and published tables mix them: the mean of the images' scores
weighs every frame alike, while pooling all pixels first weighs large polyps more.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
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
        `dice_per_image`: the mean over the images where Dice is defined, and `dice_undefined`, the
        number where it is not; `dice_pooled`: the score of all pixels together. Likewise `iou_...`,
        `precision_...` and `recall_...`. `images`: how many there are.
    """
    summary: dict[str, float | int] = {"images": len(counts.tp)}
    for name, score in SCORES.items():
        scores = score(counts)
        summary[f"{name}_per_image"] = scores.nanmean().item()
        summary[f"{name}_pooled"] = score(counts.pooled()).item()
        summary[f"{name}_undefined"] = int(scores.isnan().sum())
    return summary


def concatenate(parts: list[Counts]) -> Counts:
    """The counts of several batches as one."""
    return Counts(*(torch.cat(column) for column in zip(*parts, strict=True)))


def bootstrap_mean(
    values: Sequence[float],
    groups: Sequence[int] | None = None,
    level: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> tuple[float, float]:
    """A percentile bootstrap interval for a mean (Efron, 1979), of frames or of whole groups of frames.

    Frames of one video are alike, so they say less than as many independent ones would. With `groups`,
    whole groups are drawn with replacement, each with all its frames (the cluster bootstrap: Field and
    Welsh, J. R. Stat. Soc. B 69:369-390, 2007).

    Args:
        values: one score per frame; NaN (undefined) is left out.
        groups: the video of each frame, or None to draw frame by frame.
        level: the share of resampled means that lie inside.
        resamples: how many are drawn.
        seed: of the draws.

    Raises:
        ValueError: nothing to resample, or as many groups as values are needed.
    """
    scores = np.asarray(values, dtype=float)
    labels = np.arange(len(scores)) if groups is None else np.asarray(groups)
    if len(labels) != len(scores):
        raise ValueError(f"{len(scores)} values but {len(labels)} groups; expected a group for each value")
    defined = ~np.isnan(scores)
    _, number = np.unique(labels[defined], return_inverse=True)
    if len(number) == 0:
        raise ValueError("no defined value to resample")
    sums, sizes = np.bincount(number, scores[defined]), np.bincount(number)
    draws = np.random.default_rng(seed).integers(0, len(sums), (resamples, len(sums)))
    means = sums[draws].sum(axis=1) / sizes[draws].sum(axis=1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
