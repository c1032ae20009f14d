"""How a network is wired."""

from matplotlib.figure import Figure

from polyp.course.figures.style import BLUE, ORANGE


def _arrow(axes, begin, end, colour: str, style: str = "-", bend: float = 0.0) -> None:
    look = {"arrowstyle": "-|>", "linestyle": style, "color": colour, "linewidth": 1.6}
    room = {"shrinkA": 14, "shrinkB": 14, "connectionstyle": f"arc3,rad={bend}"}
    axes.annotate("", end, begin, arrowprops=look | room)


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
