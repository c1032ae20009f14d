"""Scores: how sure they are, and how they depend on the threshold."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from polyp.course.figures.style import BLUE, GREEN, ORANGE


def bootstrap_histograms(samples: dict[str, np.ndarray], score: float, xlabel: str) -> Figure:
    """The scores of many resampled test sets, two ways of resampling, each with its 95 % interval.

    Args:
        samples: a label -> the resampled scores (n,); two of them.
        score: of the test set as it is.
        xlabel: what is scored.
    """
    figure = Figure(figsize=(7, 3.4), layout="constrained")
    axes = figure.subplots()
    edges = np.histogram_bin_edges(np.concatenate(list(samples.values())), 50).tolist()
    looks: tuple[dict[str, Any], ...] = (
        {"color": ORANGE, "alpha": 0.6},
        {"color": BLUE, "histtype": "step", "linewidth": 2.5},
    )
    for (label, values), look in zip(samples.items(), looks, strict=True):
        heights, _, _ = axes.hist(values, edges, label=label, **look)
        low, high = np.percentile(values, [2.5, 97.5])
        axes.plot([low, high], [-0.06 * np.max(heights)] * 2, color=look["color"], linewidth=5)
    axes.axvline(score, color="black", linewidth=1.5, linestyle="--", label="the test set as it is")
    axes.set(xlabel=xlabel, ylabel="resampled test sets")
    axes.legend(frameon=False, fontsize=9)
    return figure


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
