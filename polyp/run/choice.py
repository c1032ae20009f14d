"""Which level of a network to compute, by the table that its checkpoint keeps: see `levels.level_table`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from polyp.errors import UsageError

INT8 = "int8"


def choose_level(metadata: Mapping[str, Any], max_drop: float, path: str | Path | None) -> tuple[int, str]:
    """The cheapest level of a file whose validation Dice lies within `max_drop` of the best in its table.

    Args:
        metadata: of a checkpoint or an exported network; an int8 file has levels in int8, others do not.
        max_drop: of the mean per-image Dice, 0 to 1.
        path: the file, to name it.

    Returns:
        the level, and why, in one line.

    Raises:
        UsageError: `max_drop` is no such number; there is no table; no level of the file is so good.
    """
    name = path or "the shipped model"
    if not 0 <= max_drop <= 1:
        raise UsageError(f"--max-dice-drop is {max_drop}; expected a number from 0 to 1, such as 0.01")
    rows = metadata.get("validation")
    if not rows:
        source, again = ("CHECKPOINT", " and export it again") if "levels" in metadata else (name, "")
        raise UsageError(
            f"{name}: has no table of its levels for --max-dice-drop to choose from; measure them with "
            f"`polyp validate {source} --levels --save`{again}, or give --level"
        )
    best = max(rows, key=lambda row: row["dice"])
    there = {int(level.removeprefix("level_")) for level in metadata.get("levels", [])}
    in_int8 = metadata.get("precision") == INT8
    mine = [
        row for row in rows if (row["precision"] == INT8) == in_int8 and (not there or row["level"] in there)
    ]
    good = [row for row in mine if row["dice"] >= best["dice"] - max_drop]
    if not good:
        nearest = max((row["dice"] for row in mine), default=0.0)
        raise UsageError(
            f"{name}: no level of it is within {max_drop:g} of the best validation Dice, {best['dice']:.4f} "
            f"(level {best['level']} in {best['precision']}); its own best is {nearest:.4f}"
        )
    chosen = min(good, key=lambda row: row["multiply_adds"])
    share = chosen["multiply_adds"] / max(row["multiply_adds"] for row in rows)
    why = (
        f"level {chosen['level']} in {chosen['precision']}, {share:.0%} of the multiply-adds: Dice "
        f"{chosen['dice']:.4f} on {chosen['frames']} validation frames; the best has {best['dice']:.4f} "
        f"(level {best['level']} in {best['precision']})"
    )
    return chosen["level"], why
