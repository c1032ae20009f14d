"""Checkers of notebook 00, start here; `box_above` stands in for the learner's `find_polyp`."""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

from polyp.course.exercises import NotYet, Verdict, checker, compare, correct, read


@checker
def check_area_share(area_share: Callable[[np.ndarray], float]) -> Verdict:
    """Exercise 1: `area_share` takes a mask, uint8 {0, 1} (H, W); it gives the polyp's share, 0 to 1."""
    empty, half, large = (np.zeros(shape, np.uint8) for shape in ((5, 7), (4, 6), (288, 384)))
    half[:2] = large[100:150, 40:240] = 1
    cases = {
        "a mask of 4 x 6 whose upper half is polyp": half,
        "a mask of 288 x 384 with a polyp of 50 x 200": large,
        "an empty mask": empty,
        "a mask that is all polyp": empty + 1,
    }
    nothing = f"area_share returned nothing; for {next(iter(cases))} it should return 0.5."
    hints = {"a share is meant, not per cent": lambda mask: 100 * mask.mean()}
    compare(area_share, cases, np.mean, nothing=nothing, close=1e-6, hints=hints)
    return correct("polyp pixels over all pixels; the mean of a mask of 0 and 1 says the same.")


def _map(shape: tuple[int, int], *spots: tuple[int, int, int, int, float]) -> np.ndarray:
    """A probability map of 0.1 with rectangles (x, y, width, height, probability)."""
    probs = np.full(shape, 0.1, np.float32)
    for x, y, width, height, probability in spots:
        probs[y : y + height, x : x + width] = probability
    return probs


def box_above(probs: np.ndarray, threshold: float) -> tuple[int, ...] | None:
    """(x, y, width, height) of what is above the threshold, in pixels; None where nothing is."""
    above = (probs > threshold).astype(np.uint8)
    return tuple(cv2.boundingRect(above)) if above.any() else None


def _changed_box(change: Callable[..., tuple]) -> Callable[..., tuple | None]:
    return lambda *args: (box := box_above(*args)) and change(*box)


@checker
def check_find_polyp(find_polyp: Callable[[np.ndarray, float], Any]) -> Verdict:
    """Exercise 3: `find_polyp` takes probabilities, float32 (H, W), and a threshold.

    It gives (x, y, width, height) of what is above, in pixels, or None where nothing is.
    """
    spot, equal = _map((12, 20), (5, 2, 7, 4, 0.9)), _map((12, 20), (1, 1, 4, 4, 0.5), (10, 6, 3, 2, 0.75))
    cases = {
        "one spot of 0.9 at x = 5, y = 2": (spot, 0.5),
        "the same spot with threshold 0.05, so that every pixel counts": (spot, 0.05),
        "a single pixel of 0.6": (_map((12, 20), (19, 11, 1, 1, 0.6)), 0.5),
        "a spot in the upper left corner": (_map((12, 20), (0, 0, 3, 6, 0.7)), 0.5),
        "two spots, which one box should hold": (_map((30, 20), (2, 3, 4, 4, 0.8), (9, 20, 5, 6, 0.8)), 0.5),
        "a spot of exactly the threshold, 0.5, beside one of 0.75": (equal, 0.5),
        "nothing above the threshold": (spot, 0.95),
    }
    nothing = "find_polyp returned nothing; for one spot it should return (x, y, width, height)."
    changes = {
        "x counts columns and comes first": lambda x, y, w, h: (y, x, h, w),
        "from column 3 to column 5 are three columns, not two": lambda x, y, w, h: (x, y, w - 1, h - 1),
        "the last two are no corner but width and height": lambda x, y, w, h: (x, y, x + w - 1, y + h - 1),
        "the last two are width and height, no corner": lambda x, y, w, h: (x, y, x + w, y + h),
    }
    hints = {hint: _changed_box(change) for hint, change in changes.items()}
    compare(find_polyp, cases, box_above, nothing=nothing, hints=hints)
    return correct("a mask says where the polyp is, and so it also says whether there is one.")


@checker
def check_observation(observation: dict[str, list[float]] | None, masks: list[np.ndarray]) -> Verdict:
    """Exercise 2: `guessed` by eye and then `measured`, two lists with a percentage for each of the masks.

    What was measured is compared with the masks, to the nearest whole percentage.
    """
    if observation is None:
        raise NotYet("guess first, then measure, and put both lists into `observation`.")
    wanted = "'guessed' and 'measured', as many numbers of both"
    guessed, measured = read(
        lambda lists: np.array([lists["guessed"], lists["measured"]], float), observation, wanted
    )
    if guessed.shape != (len(masks),):
        raise NotYet(f"{guessed.size} guessed and measured; expected two lists of {len(masks)} numbers.")
    if not all(0 <= value <= 100 for value in (*guessed, *measured)):
        raise NotYet(f"{observation}; expected percentages, 0 to 100.")
    shares = np.array([100 * np.mean(mask) for mask in masks])
    wrong = np.abs(measured - shares)
    if wrong.max() > 0.51:
        if np.allclose(100 * measured, shares, atol=0.51):
            raise NotYet("the measured values look like shares; times 100 they are percentages.")
        worst = int(wrong.argmax())
        raise NotYet(
            f"frame {worst + 1}: {measured[worst]:.1f} % measured, but masks[{worst}] covers "
            f"{shares[worst]:.1f} % of the frame; give the masks in the order of the pictures."
        )
    if np.abs(guessed - measured).max() < 0.005:
        raise NotYet("the guesses are the measurements; guess by eye, before you measure.")
    off, bias = np.abs(guessed - shares).mean(), (guessed - shares).mean()
    if off > 25:
        raise NotYet(f"you are off by {off:.0f} points on average; look again: all of the frame is 100.")
    way = "too high" if bias > 0 else "too low"
    return correct(f"off by {off:.1f} points on average, and {abs(bias):.1f} {way} over all frames.")
