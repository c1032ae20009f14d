"""The two kinds of mistake a user can make, and the search for the name they meant."""

import difflib
from collections.abc import Iterable, Mapping
from typing import TypeVar

Value = TypeVar("Value")


class UsageError(ValueError):
    """What was asked for makes no sense: an unknown name, a wrong type, a value out of range.

    The command line answers it with exit code 2.
    """


class DataError(ValueError):
    """What was found on disk cannot be used: missing, corrupt, or not what it should be.

    The command line answers it with exit code 1.
    """


def did_you_mean(name: str, choices: Iterable[str]) -> str:
    """A remedy for a misspelt `name`: the nearest of `choices`, or all of them."""
    choices = [str(choice) for choice in choices]
    near = nearest(str(name), choices)
    return f"did you mean '{near}'?" if near else "choose one of: " + ", ".join(choices)


def nearest(name: str, choices: Iterable[str]) -> str | None:
    """The choice that `name` was probably meant to be, if any is like it."""
    near = difflib.get_close_matches(name, list(choices), n=1, cutoff=0.5)
    return near[0] if near else None


def look_up(table: Mapping[str, Value], what: str, name: str) -> Value:
    """The row of a table of choices, or the error that names the nearest right one.

    Raises:
        UsageError: the table has no such row.
    """
    if name not in table:
        raise UsageError(f"unknown {what} {name!r}; {did_you_mean(name, table)}")
    return table[name]


def name_some(names: Iterable[str], most: int = 3) -> str:
    """The first few names, and how many more there are."""
    names = list(names)
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
