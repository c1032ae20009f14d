"""Predicted masks against the true ones."""

import numpy as np
import torch
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from polyp.course.figures.style import BLUE, LIGHT_BLUE, ORANGE, outline, show_frame


def predictions(
    image: torch.Tensor, mask: torch.Tensor, preds: list[torch.Tensor], names: list[str]
) -> Figure:
    """One frame in a row, each time with its mask's outline (white) and another prediction's (dashed).

    Args:
        image: uint8 RGB (3, H, W).
        mask: {0, 1}, (1, H, W).
        preds: each {0, 1} or bool, (1, H, W).
        names: a title for each prediction.
    """
    figure = Figure(figsize=(2.6 * len(preds), 2.7), layout="constrained")
    axes = figure.subplots(1, len(preds), squeeze=False)[0]
    for axis, pred, name in zip(axes, preds, names, strict=True):
        show_frame(axis, image)
        outline(axis, mask[0].numpy(), "white", "-")
        outline(axis, pred[0].numpy(), LIGHT_BLUE, "--")
        axis.set_title(name, fontsize=12)
    figure.supxlabel("white: the true outline     light blue, dashed: the network's", fontsize=10)
    return figure


def error_maps(
    masks: list[np.ndarray], preds: list[np.ndarray], titles: list[str], image: np.ndarray | None = None
) -> Figure:
    """Every pixel's outcome: found white, false alarm orange, missed blue, background dark.

    Args:
        masks: {0, 1} (H, W), all of one shape.
        preds: {0, 1} (H, W), one for each mask.
        titles: one for each mask.
        image: uint8 RGB (H, W, 3) to show, darkened, as the background of all.
    """
    panel, (height, width) = 9.2 / max(len(masks), 3), masks[0].shape
    ncols = 4 if len(masks) > 2 else 2
    extra = 0.7 + 0.25 * titles[0].count("\n") + 0.25 * (ncols == 2)  # inches for titles and legend
    figure = Figure(figsize=(panel * len(masks), panel * height / width + extra), layout="constrained")
    colours = np.array([to_rgb(colour) for colour in ("#202020", BLUE, ORANGE, "white")])
    panels = figure.subplots(1, len(masks), squeeze=False)[0]
    for axis, mask, pred, title in zip(panels, masks, preds, titles, strict=True):
        picture = colours[2 * pred.astype(int) + mask]  # (H, W) of 0 to 3 -> (H, W, 3)
        if image is not None:
            picture = np.where(((mask + pred) == 0)[..., None], image / 255 * 0.45, picture)
        axis.imshow(picture, interpolation="nearest")
        axis.set_axis_off()
        axis.set_title(title, fontsize=11)
    names = ("background (tn)", "missed (fn)", "false alarm (fp)", "found (tp)")
    patches = [Patch(facecolor=c, edgecolor="gray", label=n) for c, n in zip(colours, names, strict=True)]
    figure.legend(handles=patches[::-1], loc="outside lower center", ncols=ncols, frameon=False)
    return figure


def map_to_mask(image: np.ndarray, probs: np.ndarray, threshold: float, mask: np.ndarray) -> Figure:
    """A map of numbers 0 to 1, what of it is above a threshold, and that against the true mask.

    Args:
        image: uint8 RGB (H, W, 3).
        probs: 0 to 1 (H, W).
        threshold: polyp above this.
        mask: {0, 1} (H, W).
    """
    figure = Figure(figsize=(8.7, 2.9), layout="constrained")
    axes = figure.subplots(1, 3)
    above = (probs > threshold).astype(np.uint8)
    titles = ("a number for every pixel", f"above {threshold:g}", "against the truth")
    pictures = ((probs, "viridis"), (above, "gray"), (image, None))
    for axis, title, (picture, colours) in zip(axes, titles, pictures, strict=True):
        shown = axis.imshow(picture, cmap=colours, vmin=0, vmax=1)
        axis.set_title(title, fontsize=13)
        axis.set_axis_off()
        if picture is probs:
            figure.colorbar(shown, ax=axis, location="left", shrink=0.8)
    outline(axes[2], mask, "white", "-")
    outline(axes[2], above, LIGHT_BLUE, "--")
    figure.supxlabel("white: the polyp     light blue, dashed: what the map calls polyp", fontsize=11)
    return figure
