"""Blocks of U-Net and UNet++: sizes, who reads whom, in which order, what a level needs and what it sees."""

from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from torch import nn

from polyp.course.figures.style import BLUE, LIGHT_BLUE, ORANGE, outline, show_frame
from polyp.model.network import UNet, UNetPlusPlus

ARROWS = {
    "pooling: half the size": ("black", "-"),
    "upsampling: twice the size": (ORANGE, "-"),
    "skip connection: as it is": (BLUE, ":"),
}


def wiring(model: UNet | UNetPlusPlus) -> dict[str, list[str]]:
    """Which block reads which: "i_j" -> the blocks it reads; found by running the model, not by a formula.

    Every block's output is replaced by a number of its own. Pooling and upsampling leave a constant map as it
    is, and `cat` keeps the channels apart, so the numbers that arrive at a block tell who feeds it.
    """
    blocks = _blocks_of(model)
    number_of = {name: float(number) for number, name in enumerate(blocks, start=1)}
    name_of = {number: name for name, number in number_of.items()}
    found: dict[str, list[str]] = {}

    def watch(name: str, block: nn.Module):
        def hook(_: nn.Module, inputs: tuple[torch.Tensor], output: torch.Tensor) -> torch.Tensor:
            arrived = inputs[0][0, :, 0, 0].tolist()  # one pixel is enough, all its channels
            found[name] = list(dict.fromkeys(name_of.get(number, "image") for number in arrived))
            return torch.full_like(output, number_of[name])  # a forward hook's answer replaces the output

        return block.register_forward_hook(hook)

    handles = [watch(name, block) for name, block in blocks.items()]
    side = 2**model.depth
    with torch.no_grad(), model.evaluating():
        model(torch.zeros(1, 3, side, side))
    for handle in handles:
        handle.remove()
    return found


def _blocks_of(model: UNet | UNetPlusPlus) -> dict[str, nn.Module]:
    if isinstance(model, UNetPlusPlus):
        return dict(model.nodes)
    blocks: dict[str, nn.Module] = {f"{i}_0": block for i, block in enumerate(model.encoder)}
    return blocks | {f"{i}_{model.depth - i}": block for i, block in reversed(list(enumerate(model.decoder)))}


def u_shape(widths: list[int], size: list[int]) -> Figure:
    """The classic picture of a U-Net: each block's output as a box, with its channels x height x width.

    Args:
        widths: channels of each resolution, from full size to the bottom.
        size: height and width of the frame.
    """
    depth = len(widths) - 1
    figure = Figure(figsize=(9.2, 4.4), layout="constrained")
    axes = figure.subplots()
    apart, end = 1.7, 3.4 * depth  # between two columns of boxes; where the decoder ends
    tall, wide = [0.66 * 0.74**i for i in range(depth + 1)], [0.16 + 0.13 * i for i in range(depth + 1)]
    sizes = [f"{w} x {size[0] // 2**i} x {size[1] // 2**i}" for i, w in enumerate(widths)]

    def box(x: float, i: int, width: float, colour: str) -> None:
        axes.add_patch(Rectangle((x - width / 2, -i - tall[i] / 2), width, tall[i], fc=colour, ec="black"))

    for i in range(depth + 1):
        x, right, half = apart * i, end - apart * i, wide[i] / 2
        box(x, i, wide[i], LIGHT_BLUE)
        if i == depth:
            axes.text(x, -i - tall[i] / 2 - 0.06, sizes[i], ha="center", va="top", fontsize=10)
            break
        box(right, i, wide[i], "#F5D08A")
        axes.text(x - half - 0.08, -i - 0.07, sizes[i], ha="right", va="top", fontsize=10)
        axes.text(right + half + 0.08, -i - 0.07, sizes[i], ha="left", va="top", fontsize=10)
        below = wide[i + 1] / 2
        _arrow(axes, (x + half, -i - 0.15), (x + apart - below, -i - 0.9), "black")
        _arrow(axes, (right - apart + below, -i - 0.9), (right - half, -i - 0.15), ORANGE)
        _arrow(axes, (x + half + 0.03, -i), (right - half - 0.03, -i), BLUE, ":")
    for x, channels, name in ((-3, 3, "frame"), (end + 3, 1, "logits")):
        box(x, 0, 0.06, "#dddddd")
        axes.text(
            x, -tall[0] / 2 - 0.06, f"{channels} x {size[0]} x {size[1]}", ha="center", va="top", fontsize=10
        )
        axes.text(x, tall[0] / 2 + 0.06, name, ha="center", fontsize=11)
    for x, name in ((0, "encoder"), (end, "decoder")):
        axes.text(x, tall[0] / 2 + 0.06, name, ha="center", fontsize=11)
    _arrow(axes, (-2.9, 0), (-wide[0] / 2 - 0.03, 0), "gray")
    _arrow(axes, (end + wide[0] / 2 + 0.03, 0), (end + 2.93, 0), "gray")
    axes.text(end + 1.55, 0.06, "head", ha="center", fontsize=10)
    axes.set(xlim=(-4, end + 4), ylim=(-depth - 0.5, 0.62))
    axes.set_axis_off()
    _legend(figure)
    return figure


def _legend(figure: Figure) -> None:
    looks: dict[str, dict[str, Any]] = {
        name: {"color": colour, "linestyle": style} for name, (colour, style) in ARROWS.items()
    }
    handles = [Line2D([], [], linewidth=2, label=name, **look) for name, look in looks.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False, fontsize=10)


def _arrow(axes: Axes, begin, end, colour: str, style: str = "-", bend: float = 0.0, room: int = 0) -> None:
    look: dict[str, Any] = {"arrowstyle": "-|>", "linestyle": style, "color": colour, "linewidth": 1.7}
    shape = {"connectionstyle": f"arc3,rad={bend}", "shrinkA": room, "shrinkB": room}
    axes.annotate("", end, begin, arrowprops=look | shape)


def node_grids(
    graphs: dict[str, dict[str, list[str]]], ran: dict[str, set[str]] | None = None, columns: int = 2
) -> Figure:
    """U-Nets and UNet++s as grids: one circle per block, one arrow for every output that a block reads.

    Args:
        graphs: by title; block "i_j" -> the blocks it reads. Row i is 1 / 2^i of full size.
        ran: by title, the blocks that were computed; the others are drawn grey, without arrows.
        columns: how many panels are in a row.
    """
    rows = -(-len(graphs) // columns)
    figure = Figure(figsize=(4.7 * columns, 3.3 * rows), layout="constrained")
    for number, (title, feeds) in enumerate(graphs.items(), start=1):
        axes = figure.add_subplot(rows, columns, number)
        seen = set(feeds) if ran is None else ran[title]
        _grid(axes, feeds, dict.fromkeys(seen, "white"), list(seen))
        axes.set_title(title, fontsize=13)
    return figure


def fill_page(feeds: dict[str, list[str]], done: list[str], text: str) -> Figure:
    """A page of a film: the blocks that are computed so far, the last of them with what it reads.

    Args:
        feeds: block "i_j" -> the blocks it reads.
        done: the blocks computed so far, in order.
        text: about the last one.
    """
    figure = Figure(figsize=(5.4, 3.2), layout="constrained")
    axes = figure.subplots()
    faces = dict.fromkeys(done, "white") | {done[-1]: "#F5D08A"}
    _grid(axes, feeds, faces, [done[-1]])
    axes.set_title(text, fontsize=11)
    return figure


def level_page(
    feeds: dict[str, list[str]],
    ran: set[str],
    image: torch.Tensor,
    mask: torch.Tensor,
    pred: torch.Tensor,
    titles: tuple[str, str],
) -> Figure:
    """A page of a flipbook: the blocks that a level needs, and the outline that it draws.

    Args:
        feeds: block "i_j" -> the blocks it reads.
        ran: the blocks that are computed; the others are drawn grey.
        image: uint8 RGB (3, H, W).
        mask, pred: {0, 1} or bool, (1, H, W).
        titles: of the grid and of the frame.
    """
    figure = Figure(figsize=(7.2, 2.9), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[1.35, 1])
    _grid(left, feeds, dict.fromkeys(ran, "white"), list(ran))
    show_frame(right, image)
    outline(right, mask[0].numpy(), "white")
    outline(right, pred[0].numpy(), LIGHT_BLUE, "--", width=2.4)
    left.set_title(titles[0], fontsize=11)
    right.set_title(titles[1], fontsize=11)
    return figure


def _grid(axes: Axes, feeds: dict[str, list[str]], faces: dict[str, str], readers: list[str]) -> None:
    """The blocks as circles; those without a face are grey. Arrows lead to the readers."""
    places = {name: tuple(map(int, name.split("_"))) for name in feeds}
    for name, (i, j) in places.items():
        edge, ink = ("black", "black") if name in faces else ("#cccccc", "#aaaaaa")
        x, y = i + 2 * j, -i
        axes.plot(x, y, "o", markersize=21, color=faces.get(name, "#f3f3f3"), markeredgecolor=edge, zorder=3)
        axes.text(x, y, f"{i},{j}", ha="center", va="center", fontsize=10, color=ink, zorder=4)
    for name in readers:
        i, j = places[name]
        for k, m in (places[source] for source in feeds[name] if source in places):
            colour, style = (BLUE, ":") if k == i else (ORANGE, "-") if k > i else ("black", "-")
            between = sum(row == i and m < step < j for row, step in places.values())  # blocks to go around
            bend = -0.3 * between / (between + 1)
            _arrow(axes, (k + 2 * m, -k), (i + 2 * j, -i), colour, style, bend, room=13)
    depth = max(i for i, _ in places.values())
    axes.set(xlim=(-0.6, 2 * depth + 0.6), ylim=(-depth - 0.5, 0.4 + 0.18 * depth))
    axes.set_axis_off()


def field_page(
    image: np.ndarray, pred: np.ndarray, gradient: np.ndarray, pixel: tuple[int, int], side: int, title: str
) -> Figure:
    """A page of a flipbook: a pixel of a frame, and what the answer there depends on.

    Args:
        image: uint8 RGB (H, W, 3).
        pred: the network's mask, {0, 1} (H, W).
        gradient: of the logit at the pixel with respect to each pixel, its size (H, W).
        pixel: row and column.
        side: of the square around the pixel that holds most of the gradient.
        title: of the gradient's picture.
    """
    figure = Figure(figsize=(5.8, 2.9), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.imshow(image)
    outline(left, pred, LIGHT_BLUE, "--")
    right.imshow(np.sqrt(gradient / gradient.max()), cmap="gray_r", vmin=0, vmax=1)
    row, column = pixel
    corner = (column - side / 2, row - side / 2)
    for axes, name in ((left, "the answer at the cross"), (right, title)):
        axes.plot(
            column, row, "+", color="white" if axes is left else ORANGE, markersize=13, markeredgewidth=2
        )
        axes.add_patch(Rectangle(corner, side, side, fill=False, edgecolor=ORANGE, linewidth=1.6))
        axes.set(xticks=[], yticks=[], xlim=(-0.5, image.shape[1] - 0.5), ylim=(image.shape[0] - 0.5, -0.5))
        axes.set_title(name, fontsize=11)
    return figure
