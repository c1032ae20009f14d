"""The two kinds of mistake a user can make, and the search for the name they meant."""

import difflib
from collections.abc import Iterable


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
    near = difflib.get_close_matches(str(name), choices, n=1, cutoff=0.5)
    if near:
        return f"did you mean '{near[0]}'?"
    return "choose one of: " + ", ".join(choices)


def name_some(names: Iterable[str], most: int = 3) -> str:
    """The first few names, and how many more there are."""
    names = list(names)
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
