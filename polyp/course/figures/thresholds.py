"""Probabilities, and where to cut them."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from polyp.course.figures.style import BLUE, GREEN, LIGHT_BLUE, ORANGE, outline


def threshold_curves(scores: pd.DataFrame, at: float, title: str, axes=None) -> Figure:
    """Dice, precision and recall against the threshold, with one threshold marked.

    Args:
        scores: columns threshold, dice, precision, recall.
        at: the threshold to mark.
        title: says what they are scores of.
        axes: where to draw; a new figure by default.
    """
    axes = axes or Figure(figsize=(6.4, 3.4), layout="constrained").subplots()
    for column, colour, style in (("dice", BLUE, "-"), ("precision", ORANGE, "--"), ("recall", GREEN, ":")):
        label = column.replace("dice", "Dice")
        axes.plot(scores["threshold"], scores[column], style, color=colour, linewidth=2.5, label=label)
    axes.axvline(at, color="black", linewidth=1.2)
    axes.set(xlabel="threshold", ylabel="score", title=title, xlim=(0, 1), ylim=(0, 1.02))
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=3)
    return axes.figure


def threshold_view(
    image: np.ndarray, mask: np.ndarray, probs: np.ndarray, scores: pd.DataFrame, threshold: float
) -> Figure:
    """One frame's mask at a threshold, beside its scores at all of them.

    Args:
        image: uint8 RGB (H, W, 3).
        mask: the expert's, {0, 1}, (H, W).
        probs: the model's, (H, W).
        scores: of this frame; columns threshold, dice, precision, recall.
        threshold: the one to show.
    """
    figure = Figure(figsize=(8.4, 3.3), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.imshow(image)
    left.set_axis_off()
    outline(left, mask, "white")
    outline(left, probs > threshold, LIGHT_BLUE, "--", width=3)
    left.set_title("white: expert; dashed: model", fontsize=11)
    threshold_curves(scores, threshold, f"this frame, threshold {threshold:.2f}", right)
    return figure


def precision_recall(sweep: pd.DataFrame, chosen: float) -> Figure:
    """Scores against the threshold, and precision against recall with lines of equal Dice.

    Args:
        sweep: columns threshold, dice_per_image, dice_pooled, and pooled precision and recall.
        chosen: the threshold to mark.
    """
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    for reduction, colour, style in (("per_image", BLUE, "-"), ("pooled", ORANGE, "--")):
        dice, label = sweep[f"dice_{reduction}"], f"Dice, {reduction.replace('_', ' ')}"
        left.plot(sweep["threshold"], dice, style, color=colour, linewidth=2.5, label=label)
    left.axvline(chosen, color="black", linewidth=1)
    left.set(xlabel="threshold", ylabel="Dice", ylim=(0, 1.02), title=f"best Dice at {chosen:g}")
    recall = np.linspace(0.01, 1, 200)
    for dice in (0.2, 0.4, 0.6, 0.8):
        shown = recall > dice / (2 - dice)  # below it, no precision up to 1 reaches this Dice
        right.plot(recall[shown], (dice * recall / (2 * recall - dice))[shown], color="silver", linewidth=1)
        right.text(1.01, dice / (2 - dice), f"Dice {dice:g}", color="dimgray", fontsize=9, va="center")
    right.plot(sweep["recall"], sweep["precision"], color=BLUE, linewidth=2.5)
    for threshold, marker, label in ((0.5, "o", "threshold 0.5"), (chosen, "*", f"threshold {chosen:g}")):
        row = sweep.iloc[(sweep["threshold"] - threshold).abs().argmin()]
        right.plot(row["recall"], row["precision"], marker, color="black", markersize=10, label=label)
    right.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.02), title="precision and recall")
    left.legend(frameon=False, loc="lower right")
    right.legend(frameon=False, loc="lower left")
    return figure


def probability_histograms(maps: dict[str, np.ndarray], threshold: float = 0.5) -> Figure:
    """How often each probability comes out, one panel a program, on a logarithmic axis.

    Args:
        maps: a name -> probabilities of any shape.
        threshold: marked by a black line.
    """
    figure = Figure(figsize=(4 * len(maps), 2.8), layout="constrained")
    axes = figure.subplots(1, len(maps), sharey=True, squeeze=False)[0]
    for axis, (name, probs), colour in zip(axes, maps.items(), (BLUE, ORANGE, GREEN), strict=False):
        axis.hist(np.ravel(probs), np.linspace(0, 1, 41), color=colour, log=True)
        axis.axvline(threshold, color="black", linewidth=1.5, linestyle="--")
        axis.set_title(name, fontsize=14)
        axis.set_xlabel("probability", fontsize=12)
        axis.set_xlim(0, 1)
    axes[0].set_ylabel("pixels", fontsize=12)
    return figure


def reliability(bins: np.ndarray) -> Figure:
    """Stated probability against the observed share of polyp, and how many pixels each bin has.

    Args:
        bins: (n, 3) pixels, polyp pixels and summed probability of bins of equal width.
    """
    figure = Figure(figsize=(8.6, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    pixels, polyp, stated = np.asarray(bins, float).T
    some = pixels > 0
    left.plot([0, 1], [0, 1], "--", color="#777777", linewidth=1.5, label="calibrated")
    left.plot(
        stated[some] / pixels[some],
        polyp[some] / pixels[some],
        "o-",
        color=BLUE,
        linewidth=2.5,
        label="model",
    )
    left.set(xlabel="mean stated probability", ylabel="share that is polyp", xlim=(0, 1), ylim=(0, 1))
    left.legend(frameon=False)
    left.grid(alpha=0.3)
    places = (np.arange(len(pixels)) + 0.5) / len(pixels)
    right.bar(places, np.maximum(pixels, 0.5), width=0.9 / len(pixels), color=ORANGE, edgecolor="black")
    right.set(yscale="log", xlabel="stated probability", ylabel="pixels (logarithmic)", xlim=(0, 1))
    return figure
