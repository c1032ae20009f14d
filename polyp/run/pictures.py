"""The two figures of a run folder, and the colours that all figures share.

Colours are from Okabe and Ito's colour-blind-safe palette; two that meet in a figure also differ in
lightness, and so in greyscale. Functions return a matplotlib `Figure` and touch no global state.
"""

from collections.abc import Sequence
from io import BytesIO

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, PINK = "#0072B2", "#E69F00", "#009E73", "#CC79A7"
LIGHT_BLUE = "#56B4E9"  # of the same palette, for outlines: frames are dark


def to_png(figure: Figure) -> bytes:
    """The figure as the bytes of a PNG file."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=100)
    return buffer.getvalue()


def outline(axes: Axes, mask: np.ndarray, colour: str, style: str = "-", width: float = 1.8) -> None:
    """Draw the border of a (H, W) mask of 0 and 1 over what `axes` shows; nothing for an even mask."""
    mask = mask.astype(np.uint8)
    if mask.min() != mask.max():
        axes.contour(mask, levels=[0.5], colors=[colour], linestyles=[style], linewidths=width)


def show_frame(axes: Axes, image: torch.Tensor) -> None:
    """Fill `axes` with a frame, uint8 RGB (3, H, W)."""
    axes.imshow(image.permute(1, 2, 0).numpy())  # (3, H, W) -> (H, W, 3)
    axes.set_axis_off()


def curves(log: pd.DataFrame) -> Figure:
    """Loss and scores by epoch, training against validation, with the best epoch marked.

    Args:
        log: columns epoch, loss, iou, val_loss, val_iou, val_dice; one without any value is left out.
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
        if log[column].notna().any():
            axes.plot(log["epoch"], log[column], style, color=colour, label=label, marker=marker, linewidth=2)
    if log["val_dice"].notna().any():
        best = log.loc[log["val_dice"].idxmax()]
        right.plot(best["epoch"], best["val_dice"], "*", color="black", markersize=10, clip_on=False)
        right.set_title(f"best validation Dice {best['val_dice']:.3f} in epoch {best['epoch']:.0f}")
    left.set_title("loss")
    right.set_ylim(0, 1)
    for axes in (left, right):
        axes.set_xlabel("epoch")
        axes.locator_params(axis="x", integer=True)
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    return figure


def comparison(
    images: torch.Tensor, masks: torch.Tensor, preds: torch.Tensor, names: Sequence[str]
) -> Figure:
    """One column per frame: the frame above; below, the mask's outline (solid) and the prediction's (dashed).

    Args:
        images: uint8 RGB (N, 3, H, W).
        masks: {0, 1}, (N, 1, H, W).
        preds: {0, 1}, (N, 1, H, W).
        names: a title for each frame.
    """
    figure = Figure(figsize=(2.6 * len(names), 5.4), layout="constrained")
    axes = figure.subplots(2, len(names), squeeze=False)
    for column, name in enumerate(names):
        show_frame(axes[0, column], images[column])
        show_frame(axes[1, column], images[column])
        axes[0, column].set_title(name, fontsize=15)
        outline(axes[1, column], masks[column, 0].numpy(), "white", "-")
        outline(axes[1, column], preds[column, 0].numpy(), LIGHT_BLUE, "--")
    figure.supxlabel("white: the expert's outline     light blue, dashed: the prediction's", fontsize=14)
    return figure
