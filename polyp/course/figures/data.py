"""What a dataset is made of."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from polyp.course.figures.style import BLUE, ORANGE


def sizes_and_places(areas: np.ndarray, masks: np.ndarray) -> Figure:
    """How large polyps are (a histogram), and where in the frame they lie (a heat map).

    Args:
        areas: polyp's share of each frame, 0 to 1, (N,).
        masks: {0, 1}, (N, H, W).
    """
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    percent, middle = 100 * np.asarray(areas), 100 * float(np.median(areas))
    left.hist(percent, bins=20, color=BLUE, edgecolor="white")
    left.axvline(middle, color=ORANGE, linestyle="--", linewidth=2.5, label=f"median {middle:.1f} %")
    left.set(xlabel="polyp, % of the frame", ylabel="frames", title="how large")
    left.legend(frameon=False)
    picture = right.imshow(100 * masks.mean(axis=0), cmap="viridis", vmin=0)
    figure.colorbar(picture, ax=right, label="% of frames with polyp here", shrink=0.9)
    right.set_title("where in the frame")
    right.set_axis_off()
    return figure


def split_strips(splits: dict[str, pd.DataFrame]) -> Figure:
    """Which part each frame of each video is in: a row a video, a mark a frame, a panel a split.

    Args:
        splits: a title -> a table with the columns video and part (train, val, test), frames in order.
    """
    figure = Figure(figsize=(8.4, 3.6), layout="constrained")
    marks = (("train", "#C8C8C8", "s"), ("val", ORANGE, "D"), ("test", "black", "o"))
    for axis, (title, table) in zip(
        figure.subplots(1, len(splits), sharey=True), splits.items(), strict=True
    ):
        place = table.groupby("video").cumcount() + 1
        for part, colour, shape in marks:
            rows = table["part"] == part
            axis.plot(place[rows], table["video"][rows], shape, color=colour, label=part, markersize=6)
        axis.set(title=title, xlabel="frame of the video")
        axis.locator_params(integer=True)
    figure.axes[0].set_ylabel("video")
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
    return figure


def of_hundred(count: int, marked: str, others: str) -> Figure:
    """A hundred circles, the last `count` of them open: what a percentage means.

    Args:
        count: how many are open.
        marked: what the open ones are, for the legend.
        others: what the full ones are.
    """
    figure = Figure(figsize=(6.4, 2.4), layout="constrained")
    axes = figure.subplots()
    row, column = np.divmod(np.arange(100), 20)
    full = np.arange(100) < 100 - count
    axes.scatter(column[full], -row[full], s=120, color=BLUE, label=f"{100 - count} {others}")
    axes.scatter(
        *(column[~full], -row[~full]),
        s=100, facecolor="white", edgecolor=ORANGE, linewidth=2.5, label=f"{count} {marked}",
    )  # fmt: skip
    axes.set_aspect("equal")
    axes.margins(0.03, 0.12)
    axes.set_axis_off()
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=13)
    return figure
