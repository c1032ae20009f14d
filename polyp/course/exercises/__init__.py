"""The exercises' checkers: one module per notebook, one function per exercise.

A checker takes the learner's function or value and returns a `Verdict`, which a notebook shows in colour
with how many of its exercises are solved; the lesson goes on with the learner's own function where
`verdict.ok`. `compare` holds a function against an oracle, `noted` reads what a learner has measured, and
`NotYet` says what else is wrong. An exception in the learner's code becomes a message; one in a checker is
our own mistake and stays a traceback.
"""

import copy
import math
import pickle
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import wraps
from html import escape
from numbers import Real
from types import MappingProxyType
from typing import Any

import numpy as np
from torch import Tensor

DATA = (np.ndarray, Tensor, list, tuple, dict, set)  # what a learner's function could change
_SOLVED: dict[str, dict[str, bool]] = {}  # by a notebook's module and a checker: was the last answer right


@dataclass(frozen=True, repr=False)
class Verdict:
    """Whether an answer is right, and what to tell the learner."""

    ok: bool
    message: str
    solved: int = 0  # exercises of this notebook, of so many
    of: int = 0

    def __repr__(self) -> str:
        return ("Correct: " if self.ok else "Not yet: ") + self.message

    def _repr_html_(self) -> str:
        colour, sign, word = ("#009E73", "\u2713", "Correct") if self.ok else ("#E69F00", "\u25cb", "Not yet")
        return (
            f'<div style="border-left: 5px solid {colour}; padding: 0.2em 0.8em">'
            f'<span style="color: {colour}" aria-hidden="true">{sign}</span> <b>{word}:</b> '
            f"{escape(self.message)}<br><small>{self.solved} of {self.of} in this notebook</small></div>"
        )


def correct(message: str) -> Verdict:
    """The answer is right; `message` says in a few words what it shows."""
    return Verdict(True, message)


class NotYet(Exception):
    """The answer is missing or wrong; the message is the next step, or what came out and what should."""


def checker(check: Callable[..., Verdict]) -> Callable[..., Verdict]:
    """Make a function a checker: the `NotYet` that it raises becomes its verdict."""
    exercises = _SOLVED.setdefault(check.__module__, {})
    exercises[check.__name__] = False

    @wraps(check)
    def judge(*answers: Any) -> Verdict:
        try:
            verdict = check(*answers)
        except NotYet as advice:
            verdict = Verdict(False, str(advice))
        exercises[check.__name__] = verdict.ok
        return replace(verdict, solved=sum(exercises.values()), of=len(exercises))

    return judge


def compare(
    answer: Callable[..., Any],
    cases: Mapping[str, Any] | Iterable[Any],
    oracle: Callable[..., Any],
    *,
    nothing: str,
    close: float = 0.0,
    parts: tuple[str, ...] = (),
    hints: Mapping[str, Callable[..., Any]] = MappingProxyType({}),
    otherwise: str = "",
) -> None:
    """Hold a learner's function against an oracle; NotYet at the first case where they differ.

    Args:
        cases: by name, a tuple of arguments or the only argument; without a name, the call is the name.
        oracle: gives the right answer: a number, array, tensor, None, set, or a tuple or list of these.
        nothing: what to say to the stub, which returns None.
        close: how far off a number may be, as a share of the largest expected in its array.
        parts: what to call the elements of an expected tuple.
        hints: advice by the mistake it is for, which is an oracle as wrong as the learner.
        otherwise: the advice for any other mistake.
    """
    name = getattr(answer, "__name__", "your function")
    for number, case in enumerate(cases):
        args = cases[case] if isinstance(cases, Mapping) else case
        args = args if isinstance(args, tuple) else (args,)
        case = case if isinstance(cases, Mapping) else f"{name}({', '.join(map(show, args))})"
        expected = oracle(*args)
        got = ask(answer, *args, case=case, nothing=None if number or expected is None else nothing)
        if wrong := difference(got, expected, close, parts):
            fits = (hint for hint, mistake in hints.items() if not difference(got, mistake(*args), close))
            hint = next(fits, otherwise)
            raise NotYet(f"{case}: {wrong}{hint and '; '}{hint}")


def ask(answer: Callable[..., Any], *args: Any, case: str, nothing: str | None = None) -> Any:
    """What the learner's function returns for copies of `args`, which it must leave as they are.

    `nothing` is what to say if it returns None; without it, None is an answer.
    """
    if not callable(answer):
        raise NotYet(f"a function is expected here, not {show(answer)}")
    given = [copy.deepcopy(arg) if isinstance(arg, DATA) else arg for arg in args]
    data = [arg for arg in given if isinstance(arg, DATA)]
    before = pickle.dumps(data)
    try:
        got = answer(*given)
    except Exception as error:  # whatever a learner's code may raise
        raise NotYet(f"{case}: your code stopped with {type(error).__name__}: {error}") from error
    if got is None and nothing is not None:
        raise NotYet(nothing)
    if pickle.dumps(data) != before:
        raise NotYet(f"{case}: your function changed what it was given; its caller still needs it, so copy")
    return got


def difference(got: Any, expected: Any, close: float = 0.0, parts: tuple[str, ...] = ()) -> str:
    """What is wrong with an answer, in words; nothing where it is right."""
    got, expected = _plain(got), _plain(expected)
    digits = 15 if show(got) == show(expected) else 5
    unlike = f"you return {show(got, digits)}, expected {show(expected, digits)}"
    if isinstance(expected, Tensor):
        if not isinstance(got, Tensor):
            return unlike
        got, expected = got.detach().numpy(), expected.numpy()
    if isinstance(expected, np.ndarray):
        got, kind = read(np.asarray, got, show(expected)), expected.dtype.kind
        if got.shape != expected.shape or got.dtype.kind not in ("biuf" if kind == "f" else kind):
            return unlike
        wrong = np.argwhere(~_near(got, expected, close) if kind == "f" else got != expected)
        place = tuple(wrong[0].tolist()) if len(wrong) else ()
        at = f"at {show(place)} you return {show(got[place])}, expected {show(expected[place])}"
        return at if len(wrong) else ""
    if isinstance(expected, list | tuple):
        if not isinstance(got, list | tuple | np.ndarray) or len(got) != len(expected):
            return unlike
        wrongs = [difference(*pair, close) for pair in zip(got, expected, strict=True)]
        i = next((i for i, wrong in enumerate(wrongs) if wrong), None)
        return "" if i is None else f"{parts[i]}: {wrongs[i]}" if parts else unlike
    if isinstance(expected, Real) and not isinstance(expected, bool):
        return "" if isinstance(got, Real) and _near(got, expected, close) else unlike
    return "" if type(got) is type(expected) and got == expected else unlike


def _near(got: Any, expected: Any, close: float) -> Any:
    largest = np.abs(expected).max(initial=0, where=np.isfinite(expected))
    return np.isclose(got, expected, rtol=0, atol=close * (largest + 1e-4), equal_nan=True)


def noted(
    answer: Any,
    *,
    nothing: str,
    keys: tuple[str, ...] = (),
    keys_between: tuple[float, float] | None = None,
    least: int = 1,
    between: tuple[float, float] = (0, 1),
) -> dict[Any, float]:
    """The numbers that a learner has noted in a dictionary; NotYet if one is missing or not `between` two.

    `nothing` is what to say to None, to what is no dictionary, and to a None in it. It must have these `keys`
    and at `least` so many. Keys that are numbers (`keys_between`) come back in ascending order.
    """
    if not isinstance(answer, Mapping) or not answer or any(value is None for value in answer.values()):
        raise NotYet(nothing)
    if missing := [key for key in keys if key not in answer]:
        raise NotYet(f"{missing[0]!r} is missing; expected the keys {', '.join(map(repr, keys))}")
    if len(answer) < least:
        raise NotYet(f"you noted {len(answer)} of at least {least} results")
    values = {key: number(value, f"the value of {key!r}", *between) for key, value in answer.items()}
    if keys_between is None:
        return values
    return {key: values[key] for key in sorted(values, key=lambda key: number(key, "a key", *keys_between))}


def number(value: Any, name: str, low: float = -math.inf, high: float = math.inf) -> float:
    """A learner's number; NotYet if it is none, or not between `low` and `high`."""
    found = read(lambda v: v / 1, value, f"{name} to be a number")  # float() would take text
    if not low <= found <= high:
        bounds = f"from {low:g} to {high:g}" if math.isfinite(high) else f"of at least {low:g}"
        raise NotYet(f"{name} is {show(value)}; expected a number {bounds}")
    return found


def read(convert: Callable[[Any], Any], value: Any, wanted: str) -> Any:
    """`convert(value)`; a value that does not allow it is the learner's, and `wanted` what is expected."""
    try:
        return convert(value)
    except Exception:  # whatever a learner's value may raise
        raise NotYet(f"you give {show(value)}, expected {wanted}") from None


def show(value: Any, digits: int = 5) -> str:
    """A value in a few words."""
    value = _plain(value)
    if isinstance(value, np.ndarray | Tensor):
        kind = "a tensor" if isinstance(value, Tensor) else "an array"
        return f"{kind} {tuple(value.shape)} of {str(value.dtype).removeprefix('torch.')}"
    if isinstance(value, float):
        return f"{value:.{digits}g}"
    text = repr(value)
    if isinstance(value, list | tuple) and value:
        comma = "," if isinstance(value, tuple) and len(value) == 1 else ""
        text = f"{text[0]}{', '.join(show(one, digits) for one in value)}{comma}{text[-1]}"
    return text if len(text) <= 200 else f"{text[:200]}..."


def _plain(value: Any) -> Any:
    """A NumPy number or a tensor of one as Python's own."""
    return value.item() if isinstance(value, np.ndarray | np.generic | Tensor) and not value.ndim else value
