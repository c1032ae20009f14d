"""Scores in pictures: small masks as grids, a score as one area over another, a mistake and what it costs."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from polyp.course.figures.style import BLUE, GREEN, ORANGE, outline

# As in `error_maps`: background, missed, false alarm, found; their index is 2 * pred + mask.
DARK = "#202020"
COLOURS = np.array([to_rgb(colour) for colour in (DARK, BLUE, ORANGE, "white")])
NAMES = ("tn", "fn", "fp", "tp")
SCORES = ("IoU", "Dice", "precision", "recall")


def mask_grids(masks: dict[str, np.ndarray]) -> Figure:
    """Small masks side by side, each pixel a square.

    Args:
        masks: a title -> {0, 1} (H, W).
    """
    figure = Figure(figsize=(3.2 * len(masks), 2.6), layout="constrained")
    for axes, (title, mask) in zip(
        figure.subplots(1, len(masks), squeeze=False)[0], masks.items(), strict=True
    ):
        _grid(axes, np.where(np.asarray(mask) > 0, 3, 0))
        axes.set_title(title, fontsize=12, pad=8)
    return figure


def outcome_grid(mask: np.ndarray, pred: np.ndarray) -> Figure:
    """A small mask and a prediction of it as one grid, each square named and coloured by its outcome.

    Args:
        mask, pred: {0, 1} (H, W).
    """
    outcome = 2 * np.asarray(pred).astype(int) + np.asarray(mask).astype(int)
    figure = Figure(figsize=(4, 2.7), layout="constrained")
    axes = figure.subplots()
    _grid(axes, outcome)
    for (row, column), kind in np.ndenumerate(outcome):
        ink = "white" if kind < 2 else "black"
        axes.text(column, row, NAMES[kind], ha="center", va="center", color=ink, fontsize=12)
    return figure


def _grid(axes: Axes, outcome: np.ndarray) -> None:
    height, width = outcome.shape
    _draw(axes, outcome)
    axes.set_xticks(np.arange(width + 1) - 0.5, labels=[])
    axes.set_yticks(np.arange(height + 1) - 0.5, labels=[])
    axes.tick_params(length=0)
    axes.grid(color="gray", linewidth=1)
    axes.spines[:].set_color("gray")


def _draw(axes: Axes, outcome: np.ndarray) -> None:
    axes.imshow(outcome, cmap=ListedColormap(COLOURS), vmin=0, vmax=3, interpolation="nearest")


def score_fractions() -> Figure:
    """IoU, Dice, precision and recall, each as one area over another: two overlapping discs, as in a mask."""
    rows, columns = np.mgrid[:240, :560]
    truth, pred = (np.hypot(rows - 120, columns - 280 - side * 52) < 104 for side in (-1, 1))
    outcome = 2 * pred + truth
    overlap = np.where(truth & pred, 3, 0)
    only_truth, only_pred = np.where(truth, outcome, 0), np.where(pred, outcome, 0)

    def side_by_side(left: np.ndarray, right: np.ndarray, by: int) -> np.ndarray:
        return np.where(columns < 280, np.roll(left, -by, axis=1), np.roll(right, by, axis=1))

    fractions = [
        (overlap, outcome),
        (side_by_side(overlap, overlap, 124), side_by_side(only_truth, only_pred, 88)),
        (overlap, only_pred),
        (overlap, only_truth),
    ]
    figure = Figure(figsize=(9.2, 3), layout="constrained")
    for (above, below), name, fraction in zip(figure.subplots(2, 4).T, SCORES, fractions, strict=True):
        for axes, areas in zip((above, below), fraction, strict=True):
            _draw(axes, areas)
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
        above.set_title(name, fontsize=13)
        above.set_xlabel(" ", fontsize=2)  # room for the line
        below.axhline(-50, color="black", linewidth=2.5, clip_on=False)
    _legend(figure, ("found (tp)", "false alarm (fp)", "missed (fn)"))
    return figure


def _legend(figure: Figure, names: tuple[str, ...]) -> None:
    colours = dict(
        zip(("background (tn)", "missed (fn)", "false alarm (fp)", "found (tp)"), COLOURS, strict=True)
    )
    patches = [Patch(facecolor=colours[name], edgecolor="gray", label=name) for name in names]
    figure.legend(handles=patches, loc="outside lower center", ncols=len(names), frameon=False, fontsize=10)


def mistake_page(image: np.ndarray, mask: np.ndarray, pred: np.ndarray, scores: dict[str, float]) -> Figure:
    """A page of a flipbook: every pixel's outcome, and beside it the scores as bars.

    Args:
        image: uint8 RGB (H, W, 3).
        mask, pred: {0, 1} (H, W).
        scores: a name -> 0 to 1, or NaN.
    """
    figure = Figure(figsize=(6, 2.4), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[1.25, 1])
    _outcomes(left, image, mask, pred)
    _bars(right, scores)
    _legend(figure, ("found (tp)", "false alarm (fp)", "missed (fn)"))
    return figure


def _outcomes(axes: Axes, image: np.ndarray, mask: np.ndarray, pred: np.ndarray) -> None:
    outcome = 2 * pred.astype(int) + mask.astype(int)
    axes.imshow(
        np.where((outcome == 0)[..., None], image / 255 * 0.45, COLOURS[outcome]), interpolation="nearest"
    )
    axes.set_axis_off()


def _bars(axes: Axes, scores: dict[str, float]) -> None:
    names = [name.replace("dice", "Dice").replace("iou", "IoU") for name in scores]
    values = [0 if np.isnan(score) else score for score in scores.values()]
    axes.barh(names, values, color=BLUE, height=0.6)
    axes.barh(names, [1] * len(names), color="none", edgecolor="#bbbbbb", height=0.6, linewidth=0.8)
    for row, score in enumerate(scores.values()):
        text = "0/0" if np.isnan(score) else f"{score:.2f}"
        axes.text(1.04, row, text, va="center", fontsize=11)
    axes.set(xlim=(0, 1.25), xticks=[])
    axes.tick_params(length=0, labelsize=11)
    axes.spines[:].set_visible(False)
    axes.invert_yaxis()


def threshold_page(
    image: np.ndarray, probs: np.ndarray, mask: np.ndarray, threshold: float, sweep: pd.DataFrame
) -> Figure:
    """A page of a flipbook: probabilities, the outcome above a threshold, and three scores by threshold.

    Args:
        image: uint8 RGB (H, W, 3).
        probs: 0 to 1 (H, W).
        mask: {0, 1} (H, W).
        threshold: polyp above this.
        sweep: columns threshold, dice, precision, recall of this frame.
    """
    figure = Figure(figsize=(7.2, 2.5), layout="constrained")
    first, second, third = figure.subplots(1, 3, width_ratios=[1, 1, 1.15])
    first.imshow(probs, cmap="viridis", vmin=0, vmax=1)
    outline(first, mask, "white", width=1.2)
    first.set_axis_off()
    first.set_title("probability", fontsize=11)
    _outcomes(second, image, mask, probs > threshold)
    second.set_title(f"above {threshold:g}", fontsize=11)
    looks: dict[str, Any] = {"dice": (BLUE, "-"), "precision": (ORANGE, "--"), "recall": (GREEN, ":")}
    at = sweep.iloc[(sweep["threshold"] - threshold).abs().argmin()]
    for name, (colour, style) in looks.items():
        label = f"{name.replace('dice', 'Dice')} {at[name]:.2f}"
        third.plot(sweep["threshold"], sweep[name], style, color=colour, linewidth=2, label=label)
        third.plot(threshold, at[name], "o", color=colour, markersize=6)
    third.axvline(threshold, color="black", linewidth=1)
    third.set(xlim=(0, 1), ylim=(0, 1.05), xlabel="threshold")
    row: dict[str, Any] = {
        "loc": "lower center",
        "bbox_to_anchor": (0.5, 1),
        "ncols": 3,
        "columnspacing": 0.9,
    }
    third.legend(frameon=False, fontsize=8.5, handlelength=1.3, handletextpad=0.4, **row)
    _legend(figure, ("found (tp)", "false alarm (fp)", "missed (fn)"))
    return figure
