"""How a network is wired, and what its nodes cost and see."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from polyp.course.figures.style import BLUE, ORANGE


def build_order(widths: list[int]) -> Figure:
    """The grid of a UNet++, its nodes numbered diagonal by diagonal, with the channels that each reads.

    Args:
        widths: channels of each resolution, from full size to the bottom.
    """
    depth = len(widths) - 1
    figure = Figure(figsize=(2.2 * depth + 1.4, 1.1 * depth + 1.6), layout="constrained")
    axes = figure.subplots()
    label = {"fontsize": 10, "zorder": 5, "bbox": {"facecolor": "white", "edgecolor": "none", "pad": 1}}
    nodes = [(i, d - i) for d in range(depth + 1) for i in range(d, -1, -1)]
    for number, (i, j) in enumerate(nodes, start=1):
        x, y = i + 2 * j, -i
        axes.plot(x, y, "o", markersize=25, color="white", markeredgecolor="black", zorder=3)
        axes.text(x, y, number, ha="center", va="center", fontsize=12, fontweight="bold", zorder=4)
        reads = j * widths[i] + widths[i + 1] if j else (3, *widths)[i]
        axes.text(x, y - 0.27, f"X[{i}][{j}]: {reads}", ha="center", va="top", **label)
        if i > 0:
            _arrow(axes, (x, y), (x + 1, y + 1), ORANGE)
        if j == 0 and i < depth:
            _arrow(axes, (x, y), (x + 1, y - 1), "black")
        for k in range(j):
            _arrow(axes, (i + 2 * k, y), (x, y), BLUE, ":", -0.1 * (j - k - 1))
    above = 0.1 * (depth - 1) * depth + 0.35  # the longest skip connection bends so high
    axes.set(xlim=(-0.5, 2 * depth + 0.5), ylim=(-depth - 0.6, above), aspect="equal")
    axes.set_axis_off()
    return figure


def _arrow(axes, begin, end, colour: str, style: str = "-", bend: float = 0.0) -> None:
    look = {"arrowstyle": "-|>", "linestyle": style, "color": colour, "linewidth": 1.6}
    room = {"shrinkA": 14, "shrinkB": 14, "connectionstyle": f"arc3,rad={bend}"}
    axes.annotate("", end, begin, arrowprops=look | room)


def node_grids(
    graphs: dict[str, dict[str, list[str]]], ran: dict[str, set[str]] | None = None, columns: int = 2
) -> Figure:
    """U-Nets and UNet++s as grids: a circle a block, an arrow for every output that a block reads.

    Args:
        graphs: by title; block "i_j" -> the blocks it reads. Row i is 1 / 2^i of full size.
        ran: by title, the blocks that were computed; the others are drawn grey, without arrows.
        columns: how many panels stand in a row.
    """
    rows = -(-len(graphs) // columns)
    figure = Figure(figsize=(4.7 * columns, 3.3 * rows), layout="constrained")
    for number, (title, feeds) in enumerate(graphs.items(), start=1):
        axes = figure.add_subplot(rows, columns, number)
        _draw_nodes(axes, feeds, set(feeds) if ran is None else ran[title])
        axes.set_title(title, fontsize=13)
    return figure


def _draw_nodes(axes, feeds: dict[str, list[str]], ran: set[str]) -> None:
    places = {name: tuple(map(int, name.split("_"))) for name in feeds}
    for name, (i, j) in places.items():
        edge, face, ink = ("black", "white", "black") if name in ran else ("#bbbbbb", "#eeeeee", "#999999")
        x, y = i + 2 * j, -i
        axes.plot(x, y, "o", markersize=24, color=face, markeredgecolor=edge, zorder=3)
        axes.text(x, y, f"{i},{j}", ha="center", va="center", fontsize=11, color=ink, zorder=4)
        for k, m in (places[source] for source in feeds[name] if name in ran and source in places):
            between = sum(row == i and m < step < j for row, step in places.values())
            colour, style = (BLUE, ":") if k == i else (ORANGE, "-") if k > i else ("black", "-")
            _arrow(axes, (k + 2 * m, -k), (x, y), colour, style, -0.3 * between / (between + 1))
    depth = max(i for i, _ in places.values())
    axes.set(xlim=(-0.6, 2 * depth + 0.6), ylim=(-depth - 0.5, 0.4 + 0.18 * depth))
    axes.set_axis_off()


def node_costs(costs: dict[str, dict[str, float]]) -> Figure:
    """What each block costs: a panel a title, row i, column j, the number written into its field.

    Args:
        costs: by title; block "i_j" -> a number of 0 or more.
    """
    figure = Figure(figsize=(4.7 * len(costs), 3.6), layout="constrained")
    panels = figure.subplots(1, len(costs), squeeze=False)[0]
    for axes, (title, values) in zip(panels, costs.items(), strict=True):
        places = {name: tuple(map(int, name.split("_"))) for name in values}
        depth = max(i for i, _ in places.values())
        table = np.full((depth + 1, depth + 1), np.nan)
        for name, place in places.items():
            table[place] = values[name]
        axes.imshow(table, cmap="Blues", vmin=0, vmax=np.nanmax(table) * 1.1, aspect="auto")
        for i, j in places.values():
            colour = "white" if table[i, j] > 0.6 * np.nanmax(table) else "black"
            axes.text(j, i, f"{table[i, j]:.2f}", ha="center", va="center", color=colour, fontsize=12)
        axes.set(xlabel="j: steps from the encoder", ylabel="i: times halved", title=title)
        axes.set(xticks=range(depth + 1), yticks=range(depth + 1))
        axes.spines[:].set_visible(False)
    return figure


def effective_fields(rows: dict[str, list[np.ndarray]], boxes: list[int], names: list[str]) -> Figure:
    """Where the answer in the middle looks: a row of maps a network, the theoretical field as a square.

    Args:
        rows: by name of the row; maps (H, W) of the gradient's size, one for each of `names`.
        boxes: side of the theoretical field in pixels, one for each of `names`.
        names: titles of the columns.
    """
    figure = Figure(figsize=(2.4 * len(names), 2.5 * len(rows)), layout="constrained")
    axes = figure.subplots(len(rows), len(names), squeeze=False)
    for line_of_axes, (row, maps) in zip(axes, rows.items(), strict=True):
        for axis, field, box, name in zip(line_of_axes, maps, boxes, names, strict=True):
            height, width = field.shape
            axis.imshow(np.sqrt(field / field.max()), cmap="gray_r", extent=(0, width, height, 0))
            corner = ((width - box) / 2, (height - box) / 2)
            axis.add_patch(Rectangle(corner, box, box, fill=False, edgecolor=BLUE, linewidth=1.8))
            axis.set(xticks=[], yticks=[], title=name if axes[0, 0] in line_of_axes else "")
        line_of_axes[0].set_ylabel(row, fontsize=12)
    return figure


def stride_windows(length: int, kernel: int, margins: dict[str, tuple[int, int]]) -> Figure:
    """Where a filter of stride 2 looks in one row of pixels: a panel a padding, a bracket a window.

    Args:
        length: pixels of the row.
        kernel: pixels of the filter.
        margins: by title, how many zeros stand before and after the row.
    """
    figure = Figure(figsize=(4.4 * len(margins), 1.7), layout="constrained")
    panels = figure.subplots(1, len(margins), sharex=True, sharey=True, squeeze=False)[0]
    for axes, (title, (before, after)) in zip(panels, margins.items(), strict=True):
        for x in range(-before, length + after):
            real = 0 <= x < length
            face = "#B8D8EA" if real else "white"
            axes.add_patch(Rectangle((x, 0), 1, 1, facecolor=face, edgecolor="black"))
            axes.text(x + 0.5, 0.5, x if real else "0", ha="center", va="center", fontsize=12)
        for step, start in enumerate(range(-before, length + after - kernel + 1, 2)):
            y = -0.4 - 0.45 * (step % 2)
            axes.plot([start + 0.1, start + kernel - 0.1], [y, y], color=ORANGE, linewidth=3)
            axes.plot(start + kernel / 2, y, "o", color="black", markersize=6)
        axes.set_title(title, fontsize=13)
        axes.set(xlim=(-1.3, length + 1.3), ylim=(-1.1, 1.1), aspect="equal")
        axes.set_axis_off()
    return figure
