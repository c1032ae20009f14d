"""The referee's page: what a reader sees, in 100 columns."""

import math
from typing import Any

import pandas as pd

from polyp.run.scoring.paired import Paired

WIDTH = 100
TITLE = 38
MOST_GROUPS = 8  # of a comparison, the largest differences


def page(table: pd.DataFrame, about: dict[str, Any], paired: Paired | None) -> str:
    """The table, what it is of, and what is left out of which row."""
    overlaps, others = table[table["score"] != "value"], table[table["score"] == "value"]
    lines = [*_head(about), "", _row("", "Dice", "interval", "IoU", "interval", "used by")]
    for _, scores in overlaps.groupby("convention", sort=False):
        cells = {row.score: row for row in scores.itertuples()}
        numbers = [text for score in ("dice", "iou") for text in _cells(cells.get(score))]
        first = cells["dice"]
        lines.append(_row(first.title, *numbers, first.used_by))
    lines += ["", _row("", "value", "interval", "frames", "", "used by")]
    for row in others.itertuples():
        lines.append(_row(row.title, *_cells(row), str(row.frames), "", row.used_by))
    return "\n".join([*lines, "", *_foot(about), *(_comparison(paired, about) if paired else [])])


def _row(title: str, *cells: str) -> str:
    value, interval, second, second_interval, used_by = cells
    return f"{title:<{TITLE}} {value:>6} {interval:>11} {second:>6} {second_interval:>11}  {used_by}".rstrip()


def _cells(row: Any) -> tuple[str, str]:
    if row is None:
        return "", ""
    if math.isnan(row.value):
        return "-", "-"
    digits = 3 if row.value < 10 else 1
    interval = "-" if math.isnan(row.low) else f"{row.low:.{digits}f}-{row.high:.{digits}f}"
    return f"{row.value:.{digits}f}", interval


def _head(about: dict[str, Any]) -> list[str]:
    read = {
        "0-1": "0 to 1, as they are",
        "0-255": "0 to 255, divided by 255",
        "logits": "logits, through a sigmoid",
    }[about["values"]]
    unit = about["unit"]
    if about["groups"] == 1:
        drawn = f"all of one {unit}: no intervals"
    elif unit == "frame":
        drawn = "95 % intervals draw single frames: too narrow if several are of one video (--sequences)"
    else:
        drawn = f"95 % intervals draw whole {unit}s, of which there are {about['groups']}"
    lines = [
        f"{about['frames']} frames, {about['with_polyp']} with a polyp, {about['clean']} clean",
        drawn,
        f"maps hold {read}; polyp where the probability is above {about['threshold']:g}",
    ]
    if about["in_between"]:
        lines.append(f"{about['in_between']} masks hold greys between black and white: polyp where above 127")
    return lines


def _foot(about: dict[str, Any]) -> list[str]:
    lines = []
    if about["polyps"]:
        lines.append(
            f"{about['found']} of {about['polyps']} polyps found, {about['polyps'] - about['found']} missed, "
            f"{about['false_regions']} false regions (from {about['min_area']} pixels)"
        )
    if about["clean"]:
        lines.append(f"{about['marked']} of {about['clean']} clean frames marked")
    lines.append(
        "stretched: each map's lowest value set to 0, its highest to 1"
        + ("; as there, clean frames have Dice 0" if about["clean"] else "")
    )
    if not about["with_polyp"]:
        lines.append("-: undefined, for no frame shows a polyp")
    return lines


def _comparison(paired: Paired, about: dict[str, Any]) -> list[str]:
    lines = ["", "PAIRED: the first method minus the other, mean Dice of the frames with a polyp"]
    if math.isnan(paired.difference):
        lines.append("  undefined, for no frame shows a polyp")
    else:
        interval = "" if math.isnan(paired.low) else f", 95 % {paired.low:+.3f} to {paired.high:+.3f}"
        lines.append(f"  {paired.dice:.3f} - {paired.other:.3f} = {paired.difference:+.3f}{interval}")
    if not math.isnan(paired.marked):
        lines.append(f"  clean frames marked: {paired.marked:.1%}, the other {paired.other_marked:.1%}")
    if about["unit"] != "frame" and len(paired.groups):
        better, worse = (int((paired.groups["difference"] * sign > 0).sum()) for sign in (1, -1))
        lines.append(f"  better in {better} of {len(paired.groups)} {about['unit']}s, worse in {worse}:")
        order = paired.groups["difference"].abs().sort_values(ascending=False, kind="stable").index
        for row in paired.groups.loc[order[:MOST_GROUPS]].itertuples():
            lines.append(
                f"    {about['unit']} {str(row.group)[:40]:<24} {row.difference:+.3f}  ({row.frames} frames)"
            )
        if len(order) > MOST_GROUPS:
            lines.append(f"    ... and {len(order) - MOST_GROUPS} with smaller differences")
    return lines
