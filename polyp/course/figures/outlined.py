"""Frames of any size in rows, with the expert's outline and the model's."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from polyp.course.figures.style import LIGHT_BLUE, outline


def outlined(
    images: Sequence[np.ndarray],
    titles: Sequence[str],
    masks: Sequence[np.ndarray] | None = None,
    preds: Sequence[np.ndarray] | None = None,
    columns: int = 4,
    width: float = 2.3,
) -> Figure:
    """Frames in boxes of one size, each with its mask's outline in white and a prediction's, dashed.

    Args:
        images: uint8 RGB, each (H, W, 3); sizes may differ.
        titles: one for each.
        masks, preds: {0, 1}, each (H, W).
        columns: how many frames are in a row.
        width: of one frame, in inches.
    """
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    tallest = max(image.shape[0] / image.shape[1] for image in images)
    keys = ["white: the expert's outline"] * (masks is not None) + ["light blue, dashed: the model's outline"]
    key = "     ".join(keys) if preds is not None else ""
    height = rows * (width * tallest + 0.22) + 0.25 * bool(key)
    figure = Figure(figsize=(width * columns, height), layout="constrained")
    for number, (image, title) in enumerate(zip(images, titles, strict=True)):
        axis = figure.add_subplot(rows, columns, number + 1)
        axis.imshow(image)
        axis.set_axis_off()
        axis.set_anchor("N")  # titles of a row on one line
        axis.set_title(title, fontsize=11)
        if masks is not None:
            outline(axis, masks[number], "white")
        if preds is not None:
            outline(axis, preds[number], LIGHT_BLUE, "--", width=2.4)
    if key:
        figure.supxlabel(key, fontsize=10)
    return figure
