"""Many conventions for one set of masks, hospitals against hospitals, polyps found against false alarms."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from polyp.course.figures.style import BLUE, GREEN, ORANGE, PINK


def conventions(table: pd.DataFrame) -> Figure:
    """The Dice of one set of masks by every convention, from the lowest to the highest, with its interval.

    Args:
        table: columns title, value, low, high (NaN for no interval).
    """
    table = table.sort_values("value")
    figure = Figure(figsize=(7.6, 0.6 + 0.32 * len(table)), layout="constrained")
    axes = figure.subplots()
    rows = np.arange(len(table))
    axes.hlines(rows, table["low"], table["high"], color="#BBBBBB", linewidth=4)
    axes.plot(table["value"], rows, "o", color=BLUE, markersize=9)
    for row, value in zip(rows, table["value"], strict=True):
        axes.annotate(
            f"{value:.3f}", (value, row), (0, 6), textcoords="offset points", ha="center", fontsize=8
        )
    axes.set_yticks(rows, table["title"].tolist())
    axes.set(xlabel="Dice (grey: 95 % interval)", ylim=(-0.6, len(table) - 0.2))
    axes.grid(axis="x", alpha=0.3)
    return figure


def hospital_matrix(values: pd.DataFrame, label: str = "mean Dice") -> Figure:
    """Who generalises to whom: a row for what was trained on, a column for where it is tested.

    Args:
        values: 0 to 1, or NaN where there is nothing to test.
        label: what the numbers are.
    """
    height, width = values.shape
    figure = Figure(figsize=(2.6 + 0.85 * width, 1.2 + 0.55 * height), layout="constrained")
    axes = figure.subplots()
    picture = axes.imshow(values.to_numpy(float), cmap="cividis", vmin=0, vmax=1, aspect="auto")
    for (row, column), value in np.ndenumerate(values.to_numpy(float)):
        if np.isfinite(value):
            colour = "black" if value > 0.55 else "white"
            axes.text(column, row, f"{value:.2f}", ha="center", va="center", color=colour, fontsize=12)
    axes.set_xticks(range(width), [str(name) for name in values.columns])
    axes.set_yticks(range(height), [str(name) for name in values.index])
    axes.set(xlabel=str(values.columns.name or "tested on"), ylabel=str(values.index.name or "trained on"))
    figure.colorbar(picture, ax=axes, label=label)
    return figure


def operating_curve(
    found: np.ndarray,
    marked: np.ndarray,
    least: Sequence[float],
    most: float,
    points: dict[str, tuple[float, float]],
) -> Figure:
    """Polyps found against clean frames marked, one line per least region size, along the peaks.

    Args:
        found: share of the polyps, (peaks, sizes).
        marked: share of the frames without a polyp, (peaks, sizes).
        least: the sizes, as shares of the frame.
        most: the most clean frames that may be marked.
        points: a label -> (marked, found), drawn as large markers.
    """
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    greys = np.linspace(0.75, 0.1, len(least))
    styles = ("-", "--", ":", "-.")
    for column, (size, grey) in enumerate(zip(least, greys, strict=True)):
        axes.plot(
            marked[:, column], found[:, column], styles[column % 4], color=str(grey), linewidth=2,
            label=f"regions from {size:.2%} of the frame" if size else "all regions",
        )  # fmt: skip
    axes.axvspan(-0.03, most, color=GREEN, alpha=0.12)
    looks = (("*", ORANGE), ("D", BLUE), ("s", PINK))
    for (label, (x, y)), (marker, colour) in zip(points.items(), looks, strict=False):
        axes.plot(
            x, y, marker, color=colour, markeredgecolor="black", markersize=13, label=label, linestyle="none"
        )
    axes.set(xlabel="clean frames marked", ylabel="polyps found", xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, fontsize=9, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure
