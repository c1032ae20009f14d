"""The exercises' checkers: one module per notebook, one function per exercise.

A checker takes the learner's function or value and returns a `Verdict`, which a notebook shows as its
message. `compare` holds a function against an oracle, case by case; `noted` reads what a learner has
measured; whatever else is wrong, a checker says by raising `NotYet`. An exception in the learner's code
becomes a message. One in a checker does not: it is our fault, and stays a traceback.
"""

import copy
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import wraps
from numbers import Real
from typing import Any

import numpy as np
from torch import Tensor

DATA = (np.ndarray, Tensor, list, tuple, dict, set)  # what a learner's function could change


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


class NotYet(Exception):
    """The answer is missing or wrong; the message is the next step, or what came out and what should."""


def checker(check: Callable[..., Verdict]) -> Callable[..., Verdict]:
    """Make a function a checker: the `NotYet` that it raises becomes its verdict."""

    @wraps(check)
    def judge(*answers: Any) -> Verdict:
        try:
            return check(*answers)
        except NotYet as advice:
            return Verdict(False, str(advice))

    return judge


def compare(
    answer: Callable[..., Any],
    cases: Mapping[str, tuple] | Iterable[tuple],
    oracle: Callable[..., Any],
    *,
    nothing: str,
    close: float = 0.0,
    parts: tuple[str, ...] = (),
    hints: Mapping[str, Callable[..., Any]] | None = None,
    otherwise: str = "",
) -> None:
    """Hold a learner's function against an oracle; NotYet at the first case where they differ.

    Args:
        answer: the learner's function.
        cases: arguments by the name of their case; without names a case is called as it is written.
        oracle: takes the same arguments and gives the right answer. Its type is what the learner should
            return: a number, array, tensor, None, set, dictionary, or a sequence of these.
        nothing: what to say to the stub, which returns None.
        close: how far off a number may be, as a share of the largest expected in its array.
        parts: what to call the elements of an expected tuple.
        hints: advice by the mistake it is for; a mistake is an oracle that is wrong as the learner is.
        otherwise: the advice for any other mistake.
    """
    if not isinstance(cases, Mapping):
        name = getattr(answer, "__name__", "your function")
        cases = {f"{name}({', '.join(map(show, args))})": args for args in cases}
    for number, (case, args) in enumerate(cases.items()):
        expected = oracle(*args)
        got = ask(answer, *args, case=case, nothing=None if number or expected is None else nothing)
        if wrong := difference(got, expected, close, parts):
            for hint, mistake in (hints or {}).items():
                if not difference(got, mistake(*args), close):
                    raise NotYet(f"{case}: {wrong}; {hint}")
            raise NotYet(f"{case}: {wrong}{otherwise and '; '}{otherwise}")


def ask(answer: Callable[..., Any], *args: Any, case: str, nothing: str | None = None) -> Any:
    """What the learner's function returns for copies of `args`, which it must leave as they are.

    `nothing` is what to say if it returns None; without it, None is an answer.
    """
    if not callable(answer):
        raise NotYet(f"a function is expected here, not {show(answer)}")
    given = [copy.deepcopy(arg) if isinstance(arg, DATA) else arg for arg in args]
    try:
        got = answer(*given)
    except Exception as error:  # whatever a learner's code may raise
        raise NotYet(f"{case}: your code stopped with {type(error).__name__}: {error}") from error
    if got is None and nothing is not None:
        raise NotYet(nothing)
    if any(isinstance(arg, DATA) and difference(now, arg) for now, arg in zip(given, args, strict=True)):
        raise NotYet(f"{case}: your function changed what it was given; its caller still needs it, so copy")
    return got


def difference(got: Any, expected: Any, close: float = 0.0, parts: tuple[str, ...] = ()) -> str:
    """What is wrong with an answer, in words; nothing where it is right."""
    got = _plain(got)
    unlike = f"you return {show(got)}, expected {show(expected)}"
    if isinstance(expected, np.ndarray | Tensor):
        return _array_difference(got, expected, close, unlike)
    if isinstance(expected, list | tuple):
        if not isinstance(got, list | tuple | np.ndarray) or len(got) != len(expected):
            return unlike
        for i, (one, other) in enumerate(zip(got, expected, strict=True)):
            if wrong := difference(one, other, close):
                return f"{parts[i]}: {wrong}" if parts else wrong if isinstance(other, Tensor) else unlike
        return ""
    if isinstance(expected, dict):
        alike = isinstance(got, dict) and got.keys() == expected.keys()
        return "" if alike and not any(difference(got[k], expected[k], close) for k in expected) else unlike
    if isinstance(expected, Real) and not isinstance(expected, bool):
        return "" if isinstance(got, Real) and _near(got, expected, close) else unlike
    return "" if type(got) is type(expected) and got == expected else unlike


def _array_difference(got: Any, expected: np.ndarray | Tensor, close: float, unlike: str) -> str:
    """What is wrong with an array or tensor: its kind, shape, type, or its first wrong number."""
    if isinstance(expected, Tensor) and not isinstance(got, Tensor):
        return unlike
    try:
        got, expected = (np.asarray(v.detach() if isinstance(v, Tensor) else v) for v in (got, expected))
    except (TypeError, ValueError):  # a ragged list, say
        return unlike
    kind = expected.dtype.kind
    if got.shape != expected.shape or got.dtype.kind not in ("biuf" if kind == "f" else kind):
        return unlike
    wrong = ~_near(got, expected, close) if kind == "f" else got != expected
    if not wrong.any():
        return ""
    place = tuple(np.argwhere(wrong)[0].tolist())
    return f"at {place} you return {show(got[place])}, expected {show(expected[place])}"


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
    """The numbers that a learner has noted in a dictionary; NotYet if one is missing or impossible.

    Args:
        answer: the dictionary.
        nothing: what to say where it is None, is no dictionary or still holds a None.
        keys: the keys that it must have.
        keys_between: the range of the keys, where these are numbers: they come back in ascending order.
        least: how many entries it must have.
        between: the range of its values.
    """
    if not isinstance(answer, Mapping) or not answer or None in answer.values():
        raise NotYet(nothing)
    if missing := [key for key in keys if key not in answer]:
        raise NotYet(f"{missing[0]!r} is missing; expected the keys {', '.join(map(repr, keys))}")
    if len(answer) < least:
        raise NotYet(f"you noted {len(answer)} of at least {least} results")
    values = {key: number(value, f"the value of {key!r}", *between) for key, value in answer.items()}
    if keys_between is not None:
        ascending = sorted(values, key=lambda key: number(key, "a key", *keys_between))
        values = {key: values[key] for key in ascending}
    return values


def number(value: Any, name: str, low: float = -math.inf, high: float = math.inf) -> float:
    """A learner's number; NotYet if it is none, or not between `low` and `high`."""
    found = read(float, value, f"{name} to be a number")
    if not low <= found <= high:
        bounds = f"from {low:g} to {high:g}" if math.isfinite(high) else f"of at least {low:g}"
        raise NotYet(f"{name} is {show(value)}; expected a number {bounds}")
    return found


def read(convert: Callable[[Any], Any], value: Any, wanted: str) -> Any:
    """`convert(value)`; a value that does not allow it is the learner's, and `wanted` what is expected."""
    try:
        return convert(value)
    except (TypeError, ValueError, KeyError, IndexError, AttributeError, RuntimeError):
        raise NotYet(f"{show(value)} was given; expected {wanted}") from None


def show(value: Any) -> str:
    """A value in a few words."""
    value = _plain(value)
    if isinstance(value, np.ndarray | Tensor):
        kind = "a tensor" if isinstance(value, Tensor) else "an array"
        return f"{kind} {tuple(value.shape)} of {str(value.dtype).removeprefix('torch.')}"
    if isinstance(value, float):
        return f"{value:.5g}"
    if isinstance(value, list | tuple) and len(value) > 1:
        inside = ", ".join(map(show, value))
        text = f"[{inside}]" if isinstance(value, list) else f"({inside})"
    else:
        text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}..."


def _plain(value: Any) -> Any:
    """A NumPy number or a tensor of one as Python's own."""
    return value.item() if isinstance(value, np.ndarray | np.generic | Tensor) and not value.ndim else value
