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
from matplotlib.ticker import MaxNLocator

BLUE, ORANGE, GREEN, PINK = "#0072B2", "#E69F00", "#009E73", "#CC79A7"
LIGHT_BLUE = "#56B4E9"  # of the same palette, for outlines: frames are dark


def to_png(figure: Figure, dpi: float = 100) -> bytes:
    """The figure as the bytes of a PNG file."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
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
    draw_losses(left, log)
    draw_scores(right, log)
    return figure


def draw_losses(axes: Axes, log: pd.DataFrame) -> None:
    """Draw the losses of a log, see `curves`."""
    _lines(axes, log, [("loss", "training", ORANGE, "--"), ("val_loss", "validation", BLUE, "-")])
    axes.set_title("loss")


def draw_scores(axes: Axes, log: pd.DataFrame) -> None:
    """Draw the scores of a log, see `curves`."""
    lines = [
        ("iou", "training IoU", ORANGE, "--"),
        ("val_iou", "validation IoU", BLUE, "-"),
        ("val_dice", "validation Dice", GREEN, ":"),
    ]
    _lines(axes, log, lines)
    dice = log["val_dice"].astype(float)
    if dice.notna().any():
        best, epoch = dice.max(), log["epoch"][dice.idxmax()]
        axes.plot(epoch, best, "*", color="black", markersize=10, clip_on=False)
        axes.set_title(f"best validation Dice {best:.3f} in epoch {epoch:.0f}")
    axes.set_ylim(0, 1)


def _lines(axes: Axes, log: pd.DataFrame, lines: Sequence[tuple[str, str, str, str]]) -> None:
    """Draw columns of a log by epoch: each with a label, a colour and a style."""
    log = log.astype(float)
    marker = "o" if len(log) == 1 else None  # one point makes no line
    for column, label, colour, style in lines:
        if log[column].notna().any():
            axes.plot(log["epoch"], log[column], style, color=colour, label=label, marker=marker, linewidth=2)
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)


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
    figure.supxlabel("white: the true outline     light blue, dashed: the network's", fontsize=14)
    return figure
