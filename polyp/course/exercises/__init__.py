"""The exercises' checkers: one module a notebook, one function an exercise.

A checker takes the learner's function or value and returns a `Verdict`, which a notebook shows as its
message. The stub of an exercise, which gives None, is "not yet"; an answer that is wrong is told what was
expected for which input; an exception in the learner's code becomes a message, never a traceback.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any


@dataclass(frozen=True, repr=False)
class Verdict:
    """Whether an answer is right, and what to tell the learner."""

    ok: bool
    message: str

    def __repr__(self) -> str:
        return ("Correct: " if self.ok else "Not yet: ") + self.message


def correct(message: str) -> Verdict:
    """The answer is right; `message` says in a few words what it shows."""
    return Verdict(True, message)


def not_yet(message: str) -> Verdict:
    """The answer is missing or wrong; `message` is the next step, or what came out and what should."""
    return Verdict(False, message)


def checker(check: Callable[..., Verdict]) -> Callable[..., Verdict]:
    """Make a function a checker: an error in the learner's code is an answer too, not a crash."""

    @wraps(check)
    def safe(*answers: Any) -> Verdict:
        try:
            return check(*answers)
        except Exception as error:  # whatever a learner's code may raise
            return not_yet(f"your code stopped with {type(error).__name__}: {error}")

    return safe
