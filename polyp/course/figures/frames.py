"""Frames and masks side by side."""

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from polyp.course.figures.style import BLUE, outline, show_frame


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


def mask_close_up(image: np.ndarray, mask: np.ndarray, size: int = 9) -> Figure:
    """A frame and its mask, and below both a few pixels at the polyp's edge, the mask's with their values.

    Args:
        image: uint8 RGB (H, W, 3).
        mask: {0, 1} (H, W).
        size: pixels across of the close-up.
    """
    edges = np.argwhere(mask[1:] != mask[:-1])  # the row above an edge, and its column
    middle = edges[len(edges) // 2] if len(edges) else np.zeros(2, int)
    top, left = np.clip(middle - size // 2, 0, np.subtract(mask.shape, size)).tolist()
    figure = Figure(figsize=(6.6, 5.8), layout="constrained")
    axes = figure.subplots(2, 2, height_ratios=(1, 1.25))
    titles = ("the frame", "its mask", f"{size} x {size} pixels of it", "the same of the mask")
    for axis, title in zip(axes.flat, titles, strict=True):
        axis.set_title(title, fontsize=13)
        axis.set(xticks=[], yticks=[])
    inside = np.s_[top : top + size, left : left + size]
    for (whole, close), picture in zip(axes.T, (image, mask), strict=True):
        whole.imshow(picture, cmap="gray", vmin=0)
        close.imshow(picture[inside], cmap="gray", vmin=0)
        for colour, width in (("white", 5), (BLUE, 2.5)):  # a little larger than it is, to be seen
            corner = (left - 4, top - 4)
            frame = Rectangle(corner, size + 7, size + 7, fill=False, edgecolor=colour, linewidth=width)
            whole.add_patch(frame)
    for (y, x), value in np.ndenumerate(mask[inside]):
        axes[1, 1].text(x, y, int(value), ha="center", va="center", fontsize=12, color="wk"[value])
    return figure
