"""Every figure that a notebook or a run folder shows.

Colours are from Okabe and Ito's colour-blind-safe palette; the two that meet in a figure also differ in
lightness, so that they part in greyscale. Functions return a matplotlib `Figure` and touch no global state;
`show` displays one.
"""

from io import BytesIO

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, PINK = "#0072B2", "#E69F00", "#009E73", "#CC79A7"


def to_png(figure: Figure) -> bytes:
    """The figure as the bytes of a PNG file."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=100)
    return buffer.getvalue()


def show(figure: Figure, alt: str) -> None:
    """Show a figure in a notebook with a description for those who cannot see it.

    Args:
        figure: any matplotlib figure.
        alt: what the picture shows, in a sentence or two.
    """
    from IPython.display import display  # only notebooks have it

    content = {"image/png": to_png(figure), "text/plain": alt}
    display(content, metadata={"image/png": {"alt": alt}}, raw=True)


def curves(log: pd.DataFrame) -> Figure:
    """Loss and scores by epoch, training against validation, with the best epoch marked.

    Args:
        log: columns epoch, loss, iou, val_loss, val_iou, val_dice.
    """
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    log = log.astype(float)
    lines = (
        (left, "loss", "training", ORANGE, "--"),
        (left, "val_loss", "validation", BLUE, "-"),
        (right, "iou", "training IoU", ORANGE, "--"),
        (right, "val_iou", "validation IoU", BLUE, "-"),
        (right, "val_dice", "validation Dice", GREEN, ":"),
    )
    marker = "o" if len(log) == 1 else None  # one point makes no line
    for axes, column, label, colour, style in lines:
        axes.plot(log["epoch"], log[column], style, color=colour, label=label, marker=marker, linewidth=2)
    if log["val_dice"].notna().any():
        best = log.loc[log["val_dice"].idxmax()]
        right.plot(best["epoch"], best["val_dice"], "*", color="black", markersize=10, clip_on=False)
        right.set_title(f"best validation Dice {best['val_dice']:.3f} in epoch {best['epoch']:.0f}")
    left.set_title("loss")
    right.set_ylim(0, 1)
    for axes in (left, right):
        axes.set_xlabel("epoch")
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    return figure


def line(values: list[float], xlabel: str, ylabel: str, title: str) -> Figure:
    """One curve of values at 0, 1, 2 ..."""
    figure = Figure(figsize=(6, 2.8), layout="constrained")
    axes = figure.subplots()
    axes.plot(values, color=BLUE, linewidth=2)
    axes.set(xlabel=xlabel, ylabel=ylabel, title=title)
    axes.grid(alpha=0.3)
    return figure


def two_lines(series: dict[str, list[float]], xlabel: str, ylabel: str, title: str) -> Figure:
    """Two curves by name: the first dashed orange, the second solid blue."""
    figure = Figure(figsize=(6, 2.8), layout="constrained")
    axes = figure.subplots()
    for (name, values), colour, style in zip(series.items(), (ORANGE, BLUE), ("--", "-"), strict=True):
        axes.plot(range(1, len(values) + 1), values, style, color=colour, label=name, linewidth=2)
    axes.set(xlabel=xlabel, ylabel=ylabel, title=title)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    return figure


def frames_with_masks(images: torch.Tensor, masks: torch.Tensor, names: list[str]) -> Figure:
    """Frames in a row, each with its mask's outline in white.

    Args:
        images: uint8 RGB (N, 3, H, W).
        masks: {0, 1}, (N, 1, H, W).
        names: a title for each frame.
    """
    figure = Figure(figsize=(2.6 * len(names), 2.6), layout="constrained")
    axes = figure.subplots(1, len(names), squeeze=False)[0]
    for axis, image, mask, name in zip(axes, images, masks, names, strict=True):
        _show(axis, image)
        outline(axis, mask[0].numpy(), "white")
        axis.set_title(name)
    return figure


def comparison(images: torch.Tensor, masks: torch.Tensor, preds: torch.Tensor, names: list[str]) -> Figure:
    """A column a frame: the frame above; below, the mask's outline (solid) and the prediction's (dashed).

    Args:
        images: uint8 RGB (N, 3, H, W).
        masks: {0, 1}, (N, 1, H, W).
        preds: {0, 1}, (N, 1, H, W).
        names: a title for each frame.
    """
    figure = Figure(figsize=(2.6 * len(names), 5.4), layout="constrained")
    axes = figure.subplots(2, len(names), squeeze=False)
    for column, name in enumerate(names):
        _show(axes[0, column], images[column])
        _show(axes[1, column], images[column])
        axes[0, column].set_title(name)
        outline(axes[1, column], masks[column, 0].numpy(), "white", "-")
        outline(axes[1, column], preds[column, 0].numpy(), BLUE, "--")
    figure.supxlabel("white: the expert's outline     blue, dashed: the prediction's", fontsize=10)
    return figure


def outline(axes, mask: np.ndarray, colour: str, style: str = "-") -> None:
    """Draw the border of a (H, W) mask of 0 and 1 over what `axes` shows; nothing for an even mask."""
    mask = mask.astype(np.uint8)
    if mask.min() != mask.max():
        axes.contour(mask, levels=[0.5], colors=[colour], linestyles=[style], linewidths=1.8)


def _show(axes, image: torch.Tensor) -> None:
    axes.imshow(image.permute(1, 2, 0).numpy())  # (3, H, W) -> (H, W, 3)
    axes.set_axis_off()


def picture_grid(
    pictures: list[np.ndarray],
    titles: list[str],
    masks: list[np.ndarray | None] | None = None,
    columns: int = 3,
    width: float = 2.4,
) -> Figure:
    """Pictures in rows, each with a title and, where given, the outline of its mask in white.

    Args:
        pictures: uint8 0-255, RGB (H, W, 3) or grey (H, W), all of one shape.
        titles: one for each.
        masks: {0, 1} (H, W) or None, one for each.
        columns: how many stand in a row.
        width: of one picture, in inches.
    """
    rows = -(-len(pictures) // columns)
    height = width * pictures[0].shape[0] / pictures[0].shape[1] + 0.35
    figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
    for number, (picture, title) in enumerate(zip(pictures, titles, strict=True)):
        axis = figure.add_subplot(rows, columns, number + 1)
        axis.imshow(picture, cmap="gray", vmin=0, vmax=255)
        axis.set_axis_off()
        axis.set_title(title)
        if masks is not None and masks[number] is not None:
            outline(axis, masks[number], "white")
    return figure


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
