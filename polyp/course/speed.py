"""The committed benchmarks as tables and one chart, for the results page and the README."""

from importlib.resources import files
from typing import Any

from matplotlib.figure import Figure

from polyp.course.experiments import read_result
from polyp.run.pictures import BLUE, ORANGE

UNITS = {
    "frames_per_s": "frames per second",
    "ms_per_frame": "ms per frame",
    "s_per_epoch": "seconds per epoch",
    "ratio": "times as fast",
    "lowest": "lowest",
    "highest": "highest",
    "mapped_mib": "MiB mapped",
    "share_of_gemm": "share of a matrix product's rate",
    "network_share": "network's share of the time",
    "dice": "Dice",
    "ms_from": "ms, from",
    "ms_to": "ms, to",
}


def speed_facts(name: str = "bench", levels: str = "") -> dict[str, Any]:
    """A benchmark as `polyp bench` wrote it, and `tables`: for each section its rows as Markdown.

    Empty while no machine's figures are committed.

    Args:
        name: of its file in `polyp/course/results/`.
        levels: the bundled network's levels that the tables show, "14" for L1 and L4; all by default.
    """
    if not (files("polyp.course") / "results" / f"{name}.json").is_file():
        return {}
    bench = read_result(name)
    tables = {
        section: markdown([row for row in found["rows"] if not levels or _level(row) in ("", *levels)])
        for section, found in bench["sections"].items()
    }
    return bench | {"tables": tables}


def _level(row: dict[str, Any]) -> str:
    """The digit of `..., L4`; empty for a way of the whole network."""
    return str(row.get("way", "")).partition(", L")[2]


def markdown(rows: list[dict[str, Any]]) -> str:
    """A Markdown table; numbers with three significant digits."""
    if not rows:
        return ""
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = [
        "| " + " | ".join(UNITS.get(name, name) for name in names) + " |",
        "| " + " | ".join("---" for _ in names) + " |",
    ]
    return "\n".join(
        lines + ["| " + " | ".join(_cell(name, row.get(name)) for name in names) + " |" for row in rows]
    )


def _cell(name: str, value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    if name.endswith(("share", "of_gemm")):
        return f"{value:.{0 if value >= 0.01 else 1}%}".replace("%", " %")
    if name == "dice":
        return f"{value:.3f}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _whole(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without the pruned networks, which see less: of `..., L1` to `..., L4`, the last."""
    deepest = max(map(_level, rows), default="")
    return [row for row in rows if _level(row) == deepest]


def speed_chart() -> Figure:
    """One bar per way of the sections that compare speed: how many times as fast as the plain one.

    Of the bundled network's levels only the deepest: the others see less.
    """
    bench = read_result("bench")["sections"]
    chosen = {
        "training": "A training step of the full-width UNet++, 256 x 256",
        "forward": "The same network, inference",
        "shipped": "A training step of the EfficientNet-Lite0 UNet++",
        "inference": "The bundled network on a frame",
        "files": "From picture files to mask files",
    }
    groups = {title: _whole(bench[name]["rows"]) for name, title in chosen.items() if name in bench}
    height = sum(len(rows) + 1.3 for rows in groups.values())
    figure = Figure(figsize=(8, 0.24 * height + 0.5), layout="constrained")
    axes = figure.subplots()
    place, places, names = 0.0, [], []
    for title, rows in groups.items():
        axes.text(0, place, title, fontsize=9, fontweight="bold", va="center")
        for row in rows:
            place -= 1
            ratio = row["ratio"]
            axes.barh(place, ratio, color=ORANGE if ratio == 1 else BLUE, height=0.75)
            axes.text(ratio, place, f" {ratio:.2g}", va="center", fontsize=9)
            places.append(place)
            names.append(row["way"])
        place -= 1.3
    axes.set_yticks(places, names, fontsize=8.5)
    axes.tick_params(axis="y", length=0)
    axes.set(
        ylim=(place + 0.6, 0.6), xlim=(0, 1.05 * axes.get_xlim()[1]), xlabel="times as fast as the orange bar"
    )
    axes.spines[["top", "right"]].set_visible(False)
    return figure
