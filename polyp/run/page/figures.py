"""The figures of a run's page: curves and histogram as SVG in the page's colours, frames as JPEG."""

import base64
import re
from collections.abc import Callable
from io import BytesIO, StringIO
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from polyp.run.pictures import BLUE, GREEN, LIGHT_BLUE, ORANGE, draw_losses, draw_scores, outline, show_frame

SIDE = 320  # pixels of a frame's longer side
MOST_POINTS = 500  # of a curve
# The page's variables, which are lighter on a dark page.
COLOURS = {BLUE: "--blue", ORANGE: "--orange", GREEN: "--green", "#000000": "--ink", "#b0b0b0": "--grid"}
STYLE: dict[Any, Any] = {"svg.fonttype": "none", "font.family": "sans-serif", "font.size": 11}


def loss_curve(log: pd.DataFrame) -> str:
    """The losses by epoch, as SVG."""
    return _svg(lambda axes: draw_losses(axes, _thinned(log)), "loss")


def score_curve(log: pd.DataFrame) -> str:
    """IoU and Dice by epoch, as SVG."""
    return _svg(lambda axes: draw_scores(axes, _thinned(log)), "scores")


def histogram(dice: pd.Series) -> str:
    """How many frames have which Dice, as SVG."""

    def draw(axes: Axes) -> None:
        axes.hist(dice.dropna(), bins=np.linspace(0, 1, 11).tolist(), color=BLUE, rwidth=0.9)
        axes.set(xlim=(0, 1), xlabel="Dice of a frame", ylabel="frames", xticks=np.linspace(0, 1, 6))
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(axis="y", alpha=0.5)
        axes.set_axisbelow(True)

    return _svg(draw, "histogram", height=2.2)


def frame_picture(image: torch.Tensor, mask: torch.Tensor, pred: torch.Tensor, size: tuple[int, int]) -> str:
    """A frame with the outlines of its mask (white) and the prediction (light blue, dashed), as a data URI.

    Args:
        image: uint8 RGB (3, H, W).
        mask: {0, 1}, (1, H, W).
        pred: {0, 1}, (1, H, W).
        size: height and width of the original, whose shape the picture has.
    """
    height, width = (max(SIDE // 8, round(SIDE * side / max(size))) for side in size)
    figure = Figure(figsize=(width / 100, height / 100), dpi=100)
    axes = figure.add_axes((0, 0, 1, 1))
    show_frame(axes, image)
    axes.set_aspect("auto")
    for shape, colour, style in ((mask, "white", "-"), (pred, LIGHT_BLUE, "--")):
        outline(axes, shape[0].numpy(), "black", "-", 3.4)  # seen on reflections, too
        outline(axes, shape[0].numpy(), colour, style, 1.8)
    buffer = BytesIO()
    figure.savefig(buffer, format="jpeg", pil_kwargs={"quality": 85})
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def _thinned(log: pd.DataFrame) -> pd.DataFrame:
    """A log of so many rows that its curve looks the same and stays small; the best epoch is among them."""
    if len(log) <= MOST_POINTS:
        return log
    rows = set(np.linspace(0, len(log) - 1, MOST_POINTS).astype(int))
    if log["val_dice"].notna().any():
        rows.add(int(log["val_dice"].astype(float).idxmax()))
    return log.iloc[sorted(rows)].reset_index(drop=True)


def _svg(draw: Callable[[Axes], object], name: str, height: float = 3.0) -> str:
    """A figure as an SVG element to stand in a page: its texts are texts, its colours the page's."""
    with matplotlib.rc_context(STYLE | {"svg.hashsalt": name}):  # so that no two figures share an id
        figure = Figure(figsize=(4.4, height), layout="constrained")
        axes = figure.subplots()
        draw(axes)
        axes.spines[["top", "right"]].set_visible(False)
        buffer = StringIO()
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(buffer, format="svg", transparent=True, metadata=nothing)
    text = buffer.getvalue()
    text = text[text.index("<svg") :].replace("xlink:href", "href")
    text = re.sub(
        r' xmlns(:\w+)?="[^"]*"|<g id="[^"]*"', lambda found: "<g" if found[0][0] == "<" else "", text
    )
    text = re.sub(r'<svg [^>]*?(viewBox="[^"]*")[^>]*>', r'<svg aria-hidden="true" \1>', text, count=1)
    for colour, variable in COLOURS.items():
        text = re.sub(colour, f"var({variable})", text, flags=re.IGNORECASE)
    return text
