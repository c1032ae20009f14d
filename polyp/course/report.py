"""From the committed results to docs/results.md, the README's table and the model card's: `polyp report`.

The prose is in `templates/`; this module computes the numbers it quotes. A section appears once its results
are committed. A test renders everything again and compares, so that no page is forgotten or edited by hand.
"""

from pathlib import Path
from statistics import mean, median, stdev
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure

from polyp.course.elsewhere import numbers_elsewhere
from polyp.course.experiments import (
    AUGMENTS,
    CHANGES,
    EQUAL_STEPS,
    NETWORKS,
    read_result,
    read_seeds,
    result_names,
)
from polyp.course.speed import speed_chart, speed_facts
from polyp.data.split import packaged_split
from polyp.disk import make_folder, project_root, write_atomic
from polyp.errors import DataError
from polyp.model.intervals import bootstrap_mean
from polyp.run.pictures import BLUE, ORANGE, to_png

BEGIN, END = "<!-- polyp report -->", "<!-- end of polyp report -->"
RESULTS = Path("docs") / "results.md"
CARDS = Path("polyp") / "run" / "weights"
BLOCKS = {  # rendered between the marks
    Path("README.md"): "readme.md.j2",
    CARDS / "MODEL_CARD.md": "card.md.j2",
    CARDS / "MODEL_CARD_clinicdb.md": "card_clinicdb.md.j2",
}
CHART, SPEED = (Path("docs") / name for name in ("results.png", "speed.png"))
CLINICDB = "fold_0"  # the experiment whose weights are `clinicdb`
SIZES = {
    "all": (0, 1.01),
    "small (below 5 % of the frame)": (0, 0.05),
    "medium": (0.05, 0.1),
    "large (10 % or more)": (0.1, 1.01),
}


def write_report(root: str | Path | None = None) -> Path:
    """Renew docs/results.md, the blocks of README and model card, and the pictures in docs/.

    Args:
        root: the checkout; by default the one that contains the current folder.

    Returns:
        the results page.

    Raises:
        DataError: a file or its block's marks are missing; nothing has been changed then.
    """
    root = Path(root or project_root())
    facts = numbers()
    pages = {root / page: _with_block(root / page, render(name, facts)) for page, name in BLOCKS.items()}
    pages[root / RESULTS] = render("results.md.j2", facts)
    make_folder((root / RESULTS).parent)
    for page, text in pages.items():
        write_atomic(page, text)
    write_atomic(root / CHART, to_png(video_chart(video_table())))
    if facts["bench"]:
        write_atomic(root / SPEED, to_png(speed_chart()))
    return root / RESULTS


def _with_block(page: Path, block: str) -> str:
    text = page.read_text() if page.is_file() else ""
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise DataError(f"{page}: expected one '{BEGIN}' and one '{END}' around the results")
    before, rest = text.split(BEGIN)
    return before + BEGIN + "\n" + block + END + rest.split(END)[1]


def render(template: str, facts: dict[str, Any]) -> str:
    """A file of `templates/` with the facts of `numbers` filled in.

    Raises:
        jinja2.UndefinedError: the template quotes a fact that does not exist.
    """
    pages = Environment(
        loader=PackageLoader("polyp.course"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    pages.filters |= {"mean": mean, "score": "{:.3f}".format, "whole": "{:.0f}".format}
    pages.filters["percent"] = lambda share: f"{100 * share:.0f} %"
    return pages.get_template(template).render(facts)


def numbers() -> dict[str, Any]:
    """What the templates may quote; a fact is empty while its results are missing."""
    results = {name: read_result(name) for name in result_names()}
    folds = [result for name, result in results.items() if name.startswith("fold_")]
    both_splits = "random" in results and len(folds) > 0
    families = [f"scratch_{network}_{split}" for network in NETWORKS for split in ("random", "sequence")]
    seeds = {name: read_seeds(name) for name in [*families, *(f"small_{change}" for change in CHANGES)]}
    return {
        "results": results,
        "folds": folds,
        "leak": _leak(frame_table()) if both_splits else {},
        "failures": _failures(frame_table()) if both_splits else {},
        "short": _short(results),
        "scratch": {family: seeds[family] for family in families if seeds[family]},
        "networks": list(NETWORKS),
        "changes": [change for change in CHANGES if seeds[f"small_{change}"]],
        "augments": [
            (augment, results[name])
            for augment in AUGMENTS
            for fold in range(2)
            if (name := f"long_augment_{augment}_fold_{fold}") in results
        ],
        "cpu": [result for name, result in results.items() if name.startswith("cpu_")],
        "steps": _steps(),
        "levels": _levels(folds),
        "card": _card(frame_table()) if folds else [],
        "elsewhere": numbers_elsewhere(SIZES),
        "speed": [pair["ratio"] for pair in read_result("bench_bf16").values() if isinstance(pair, dict)],
        "memory": read_result("bench_bf16")["peak_memory_gib"],
        "bench": speed_facts(),
        "gpu": speed_facts("bench_gpu", levels="14"),
        "over_seeds": over_seeds,
    }


def frame_table() -> pd.DataFrame:
    """One row per test frame of the pretrained network.

    Columns: split (random or sequence), fold, sequence (the video), and those of a result's `frames`. Every
    frame appears once for its fold, and those of the random split's test set a second time.

    Raises:
        DataError: there is no such result yet.
    """
    parts = []
    for name in result_names():
        if name == "random" or name.startswith("fold_"):
            result, config = read_result(name), read_result(name)["config"]
            parts.append(pd.DataFrame(result["frames"]).assign(split=config["split"], fold=config["fold"]))
    if not parts:
        raise DataError(
            "no result of the pretrained network is committed; `polyp experiment fold_0` makes one"
        )
    split = packaged_split("cvc-clinicdb", "sequence")
    assert split is not None  # it comes with the package
    videos = split[["frame", "sequence"]].astype({"frame": str})
    return pd.concat(parts, ignore_index=True).merge(videos, on="frame")


def video_table() -> pd.DataFrame:
    """One row per video, the lowest first: sequence, frames, dice (the mean, as a test video)."""
    frames = frame_table().query("split == 'sequence'")
    groups = frames.groupby("sequence")["dice"]
    return groups.agg(frames="size", dice="mean").reset_index().sort_values("dice", ignore_index=True)


def video_chart(table: pd.DataFrame) -> Figure:
    """One bar per row of `video_table`, the lowest on top, and the mean of all frames."""
    figure = Figure(figsize=(7.5, 0.26 * len(table) + 1.2), layout="constrained")
    axes = figure.subplots()
    rows = np.arange(len(table))[::-1]
    axes.barh(rows, table["dice"], color=BLUE, height=0.7)
    for row, dice in zip(rows, table["dice"], strict=True):
        axes.text(0.01, row, f"{dice:.2f}", va="center", color="white", fontsize=10)
    names = [f"video {s} ({n} frames)" for s, n in zip(table["sequence"], table["frames"], strict=True)]
    axes.set(yticks=rows, yticklabels=names, xlim=(0, 1), ylim=(-0.7, len(table) - 0.3))
    axes.set(xlabel="mean Dice of the video's frames, by a network that never saw the video")
    overall = np.average(table["dice"], weights=table["frames"])
    axes.axvline(
        overall, color=ORANGE, linestyle="--", linewidth=2, label=f"mean of all frames, {overall:.2f}"
    )
    figure.legend(loc="outside upper right", frameon=False, fontsize=11)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def over_seeds(family: str, part: str = "test") -> str:
    """Mean and standard deviation of Dice over the runs `<family>_<seed>`, in words; empty for no run."""
    scores = [run[part]["dice_per_image"] for run in read_seeds(family)]
    if len(scores) < 2:
        return "".join(f"{score:.3f} (one seed)" for score in scores)
    return f"{mean(scores):.3f} ± {stdev(scores):.3f} ({len(scores)} seeds)"


def _leak(frames: pd.DataFrame) -> dict[str, Any]:
    """What it is worth to have seen a test frame's video in training."""
    honest, leaky = (frames[frames["split"] == split] for split in ("sequence", "random"))
    both = leaky.merge(honest, on="frame", suffixes=("", "_honest"))  # every frame is in some fold
    gain = both["dice"] - both["dice_honest"]
    return {
        "frames": len(honest),
        "honest": honest["dice"].mean(),
        "by_video": bootstrap_mean(honest["dice"], honest["sequence"]),
        "by_frame": bootstrap_mean(honest["dice"]),
        "shared": len(both),
        "seen": both["dice"].mean(),
        "unseen": both["dice_honest"].mean(),
        "gain": gain.mean(),
        "gain_interval": bootstrap_mean(gain, both["sequence"]),
    }


def _failures(frames: pd.DataFrame) -> dict[str, Any]:
    """How strongly a few failures pull the mean of a split down."""
    facts = {}
    for split, dice in frames.groupby("split")["dice"]:
        low = dice < 0.5
        facts[split] = {"frames": len(dice), "low": low.sum(), "others": dice[~low].mean()}
        facts[split] |= {"median": dice.median(), "standard_error": dice.sem()}
    return facts


def _short(results: dict[str, dict]) -> dict[str, Any]:
    """The main runs, each with a shorter one: the pairs, and how often the longer one scores higher."""
    pairs = [(run, results[name[6:]]) for name, run in results.items() if name.startswith("short_")]
    gains: dict[str, list[float]] = {"val": [], "test": []}
    for part, found in gains.items():
        for pair in pairs:
            few, many = (round(run[part]["dice_per_image"], 3) for run in pair)  # as the table shows them
            found.append(np.sign(many - few))
    better = {part: found.count(1) for part, found in gains.items()}
    by_video = [pair for pair in pairs if pair[0]["config"]["split"] == "sequence"]
    at_random = [run for pair in pairs if pair not in by_video for run in pair]
    reached = [(_minutes_to(0.9, run), run["minutes"]) for run in at_random]
    worse = gains["test"].count(-1)
    return {"pairs": pairs, "folds": by_video, "better": better, "worse": worse, "reached": reached}


def _minutes_to(dice: float, result: dict) -> float:
    """Minutes of training until an epoch ends with at least this validation Dice."""
    curve = result["curve"]
    first = next(epoch for epoch, score in enumerate(curve["val_dice"], start=1) if score >= dice)
    return sum(curve["seconds"][:first]) / 60


def _steps() -> dict[str, Any]:
    """The learning curve over training videos, each run with about as many steps."""
    runs = {count: read_seeds(f"small_steps_{count}") for count in EQUAL_STEPS}
    if not all(runs.values()):
        return {}
    points = [(count, run["test"]["dice_per_image"]) for count, found in runs.items() for run in found]
    videos, dice = np.array(points).T
    most = max(runs)
    return {
        "epochs": EQUAL_STEPS,
        "most": most,
        "slope": np.polyfit(np.log2(videos), dice, 1)[0],
        "machine": runs[most][0]["machine"],
        "minutes": median(run["minutes"] for run in runs[most]),
    }


def _levels(folds: list[dict]) -> dict[str, dict[str, float]]:
    """For each level of the pruned network: the folds' mean Dice, and what one frame costs."""
    levels = folds[0]["levels"] if folds else {}
    return {
        level: cost
        | {part: mean(run["levels"][level][part] for run in folds) for part in ("val", "test")}
        | {"ms": median(run["levels"][level]["ms"] for run in folds)}
        for level, cost in levels.items()
    }


def _card(frames: pd.DataFrame) -> list[dict[str, Any]]:
    """The weights' `clinicdb` scores by polyp size, on the videos they were not trained on."""
    frames = frames.query(f"split == 'sequence' and fold == {CLINICDB[-1]}")
    rows = []
    for name, (low, high) in SIZES.items():
        part = frames[frames["area"].between(low, high, "left")]
        facts = {"name": name, "frames": len(part), "videos": part["sequence"].nunique()}
        facts |= {"dice": part["dice"].mean(), "interval": bootstrap_mean(part["dice"], part["sequence"])}
        rows.append(facts | part[["found", "polyps", "false_regions"]].sum().to_dict())
    return rows
