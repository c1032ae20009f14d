"""Pictures side by side as on a contact sheet: of any size, each with a border line and thin outlines."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from polyp.course.figures.style import LIGHT_BLUE, outline

Masks = Sequence[np.ndarray | None]


def sheet(
    pictures: Sequence[np.ndarray],
    titles: Sequence[str],
    masks: Masks | None = None,
    preds: Masks | None = None,
    columns: int = 3,
    width: float = 2.7,
    key: str = "",
) -> Figure:
    """Pictures in rows, each with its title, a border line, and the outlines of up to two masks.

    Args:
        pictures: uint8 RGB (H, W, 3) or grey (H, W), 0-255; sizes may differ.
        titles: one for each.
        masks: {0, 1} (H, W) or None, one for each: outlined in white.
        preds: likewise: outlined in light blue, dashed.
        columns: how many pictures are in a row.
        width: of one picture, in inches.
        key: a line below all that says what the outlines are.
    """
    rows = [range(first, min(first + columns, len(pictures))) for first in range(0, len(pictures), columns)]
    heights = [width * max(np.divide(*pictures[i].shape[:2]) for i in row) for row in rows]
    lines = max(title.count("\n") for title in titles) + 1
    size = (width * columns, sum(heights) + len(rows) * (0.12 + 0.2 * lines) + 0.3 * bool(key))
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.add_gridspec(len(rows), columns, height_ratios=heights)
    for i, (picture, title) in enumerate(zip(pictures, titles, strict=True)):
        axes = figure.add_subplot(grid[divmod(i, columns)])
        axes.imshow(picture, cmap="gray", vmin=0, vmax=255)
        axes.set_title(title, fontsize=12)
        axes.set_anchor("N")  # titles of a row on one line
        frame_line(axes)
        for those, colour, style in ((masks, "white", "-"), (preds, LIGHT_BLUE, "--")):
            if those is not None and (mask := those[i]) is not None:
                outline(axes, mask, "black", "-", width=2.4)  # seen on highlights too
                outline(axes, mask, colour, style, width=1.4)
    if key:
        figure.supxlabel(key, fontsize=11)
    return figure


def frame_line(axes: Axes) -> None:
    """A grey line around a picture, so that it does not run into the page, and no ticks."""
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set(color="0.6", linewidth=0.8)
