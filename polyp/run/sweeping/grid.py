"""A grid of settings, as it is typed: `lr=1e-3,3e-3 seed=0,1`."""

import hashlib
import itertools
import re
from collections.abc import Iterable, Sequence
from typing import Any, get_origin

from polyp.config import setting_fields
from polyp.errors import UsageError, did_you_mean

Point = dict[str, Any]  # one value for each name of the grid

LONGEST = 40  # characters of a value in the name of a folder
PLAIN = {"True": True, "False": False, "None": None}  # as papermill's -p has them


def read_grid(items: Iterable[str], known: Iterable[str]) -> list[Point]:
    """All points of a grid, the last name varying fastest.

    Args:
        items: `NAME=VALUE,VALUE...`; between the numbers of one value are spaces: `size=64 64,96 96`.
        known: the names that may be given, with `_` for `-`.

    Raises:
        UsageError: an unknown name (with the nearest right one), one that is given twice, a value that is no
            such setting's or is given twice.
    """
    grid: dict[str, list[Any]] = {}
    for item in items:
        name, equals, texts = item.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or not texts.strip():
            raise UsageError(f"--grid {item}: expected NAME=VALUE,VALUE, such as lr=1e-3,3e-3")
        if name not in known:
            raise UsageError(f"--grid {item}: unknown setting {name!r}; {did_you_mean(name, known)}")
        if name in grid:
            raise UsageError(f"--grid {item}: {name} is given twice; put its values into one list")
        grid[name] = [read_value(name, text.strip()) for text in texts.split(",")]
        labels = [label(value) for value in grid[name]]
        if twice := [text for text in labels if labels.count(text) > 1]:
            raise UsageError(f"--grid {item}: {name} is {twice[0]} twice")
    return [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]


def read_value(name: str, text: str) -> Any:
    """A value as the command line reads the setting `name`; of any other name, as papermill's -p does.

    Raises:
        UsageError: it is no such value.
    """
    field = setting_fields().get(name)
    if field is None:
        return _plain(text)
    try:
        if field.type is bool:
            return {"true": True, "false": False}[text.lower()]
        if get_origin(field.type) is tuple:
            return tuple(int(number) for number in text.split())
        return field.type(text) if field.type in (int, float) else text
    except (ValueError, KeyError):
        kind = {bool: "true or false", int: "a whole number", float: "a number"}
        expected = kind.get(field.type, "whole numbers with spaces between them")
        raise UsageError(f"{name} is {text!r}; expected {expected}") from None


def _plain(text: str) -> Any:
    if text in PLAIN:
        return PLAIN[text]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def name_of(point: Point) -> str:
    """A point's name, which is a folder's: `lr=0.001,seed=0`."""
    return ",".join(f"{name}={label(value)}" for name, value in point.items())


def label(value: Any) -> str:
    """A value as a part of a folder's name; long ones are cut, with a few digits that tell them apart."""
    text = (
        "-".join(map(str, value))
        if isinstance(value, Sequence) and not isinstance(value, str)
        else str(value)
    )
    safe = re.sub(r"[^\w.+-]", "_", text)
    if safe == text and len(text) <= LONGEST:
        return text
    return f"{safe[-LONGEST:]}-{hashlib.blake2b(text.encode()).hexdigest()[:6]}"
