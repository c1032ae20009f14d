"""The committed benchmark as tables and one chart, for the results page and the README."""

from importlib.resources import files
from typing import Any

import numpy as np
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


def speed_facts() -> dict[str, Any]:
    """The benchmark as `polyp bench` wrote it, and `tables`: for each section its rows as Markdown.

    Empty while no machine's figures are committed.
    """
    if not (files("polyp.course") / "results" / "bench.json").is_file():
        return {}
    bench = read_result("bench")
    tables = {name: markdown(section["rows"]) for name, section in bench["sections"].items()}
    return bench | {"tables": tables}


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
        return f"{value:.0%}".replace("%", " %")
    if name == "dice":
        return f"{value:.3f}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def speed_chart() -> Figure:
    """One bar per way of the sections that compare speed: how many times as fast as the plain one."""
    bench = read_result("bench")["sections"]
    chosen = {
        "training": "a training step of UNet++",
        "forward": "UNet++ on a batch",
        "inference": "the bundled network on a frame",
        "files": "files to masks",
    }
    bars = [(title, row) for name, title in chosen.items() if name in bench for row in bench[name]["rows"]]
    figure = Figure(figsize=(8.5, 0.3 * len(bars) + 1.4), layout="constrained")
    axes = figure.subplots()
    places = np.arange(len(bars))[::-1] + [-0.6 * list(chosen.values()).index(title) for title, _ in bars]
    ratios = [row["ratio"] for _, row in bars]
    axes.barh(places, ratios, color=[ORANGE if ratio == 1 else BLUE for ratio in ratios], height=0.75)
    for place, (_, row) in zip(places, bars, strict=True):
        axes.text(row["ratio"], place, f" {row['ratio']:.2g}", va="center", fontsize=9)
    axes.set(yticks=places, yticklabels=[f"{title}: {row['way']}" for title, row in bars])
    axes.tick_params(axis="y", labelsize=8, length=0)
    axes.set(xlabel="times as fast as the orange bar of its group", xlim=(0, 1.12 * max(ratios)))
    axes.spines[["top", "right"]].set_visible(False)
    return figure
