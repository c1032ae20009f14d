"""Frames side by side, with their masks, and which part of a split each is in."""

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

from polyp.course.figures.style import ORANGE, outline, show_frame


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
        show_frame(axis, image)
        outline(axis, mask[0].numpy(), "white")
        axis.set_title(name, fontsize=14)
    return figure


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
        columns: how many pictures are in a row.
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
        mask = None if masks is None else masks[number]
        if mask is not None:
            outline(axis, mask, "black", width=2.4)  # an edge, so that it is seen over highlights
            outline(axis, mask, "white", width=1.4)
    return figure


def tiles(pictures: list[torch.Tensor], names: list[str]) -> Figure:
    """Pictures of any size in a row, each drawn equally high.

    Args:
        pictures: uint8 RGB (3, H, W), or one channel (H, W) of any range, shown from black to white.
        names: a title for each.
    """
    ratios = [picture.shape[-1] / picture.shape[-2] for picture in pictures]
    figure = Figure(figsize=(1.75 * sum(ratios), 2.1), layout="constrained")
    for axis, picture, name in zip(
        figure.subplots(1, len(names), width_ratios=ratios, squeeze=False)[0], pictures, names, strict=True
    ):
        if picture.ndim == 3:
            show_frame(axis, picture)
        else:
            axis.imshow(picture.numpy(), cmap="gray", interpolation="nearest")
            axis.set_axis_off()
        axis.set_title(name, fontsize=12)
    return figure


def split_strips(splits: dict[str, pd.DataFrame]) -> Figure:
    """Which part each frame of each video is in: one row per video, one mark per frame, one panel per split.

    Args:
        splits: a title -> a table with the columns video and part (train, val, test), frames in order.
    """
    figure = Figure(figsize=(8.4, 3.6), layout="constrained")
    marks = (("train", "#C8C8C8", "s"), ("val", ORANGE, "D"), ("test", "black", "o"))
    for axis, (title, table) in zip(
        figure.subplots(1, len(splits), sharey=True, squeeze=False)[0], splits.items(), strict=True
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
