"""Checkers of notebook 00, start here."""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

from polyp.course.exercises import Verdict, checker, correct, not_yet


@checker
def check_area_share(area_share: Callable[[np.ndarray], float]) -> Verdict:
    """Exercise 1: the share of a frame that its mask calls polyp.

    Args:
        area_share: takes a mask, uint8 {0, 1} (H, W); returns a number, 0 to 1.
    """
    half = np.zeros((4, 6), np.uint8)
    half[:2] = 1
    large = np.zeros((288, 384), np.uint8)
    large[100:150, 40:240] = 1
    cases = {
        "a mask of 4 x 6 whose upper half is polyp": (half, 0.5),
        "a mask of 288 x 384 with a polyp of 50 x 200": (large, 10000 / 110592),
        "an empty mask": (np.zeros((5, 7), np.uint8), 0.0),
        "a mask that is all polyp": (np.ones((5, 7), np.uint8), 1.0),
    }
    for case, (mask, expected) in cases.items():
        found = area_share(mask.copy())
        if found is None:
            return not_yet(f"area_share returned nothing; for {case} it should return {expected:.3g}.")
        if np.ndim(found) or not np.isfinite(float(found)):
            return not_yet(f"for {case} you return {found!r}; one number is expected, {expected:.3g}.")
        if abs(float(found) - expected) > 1e-6:
            hint = " (a share, not per cent)" if abs(float(found) / 100 - expected) < 1e-6 < expected else ""
            return not_yet(f"for {case} you return {float(found):.4g}; expected {expected:.4g}{hint}.")
    return correct("polyp pixels over all pixels; the mean of a mask of 0 and 1 says the same.")


def _map(shape: tuple[int, int], *spots: tuple[int, int, int, int, float]) -> np.ndarray:
    """A probability map of 0.1 with rectangles (x, y, width, height, probability)."""
    probs = np.full(shape, 0.1, np.float32)
    for x, y, width, height, probability in spots:
        probs[y : y + height, x : x + width] = probability
    return probs


@checker
def check_find_polyp(find_polyp: Callable[[np.ndarray, float], Any]) -> Verdict:
    """Exercise 3: from a map of probabilities to the box around what is above the threshold.

    Args:
        find_polyp: takes probabilities, float32 (H, W), and a threshold; returns (x, y, width, height) in
            pixels, or None where nothing is above the threshold.
    """
    cases = {
        "one spot of 0.9 at x = 5, y = 2": (_map((12, 20), (5, 2, 7, 4, 0.9)), 0.5),
        "the same spot with threshold 0.05, so that every pixel counts": (
            _map((12, 20), (5, 2, 7, 4, 0.9)),
            0.05,
        ),
        "a single pixel of 0.6": (_map((12, 20), (19, 11, 1, 1, 0.6)), 0.5),
        "a spot in the upper left corner": (_map((12, 20), (0, 0, 3, 6, 0.7)), 0.5),
        "two spots, which one box should hold": (_map((30, 20), (2, 3, 4, 4, 0.8), (9, 20, 5, 6, 0.8)), 0.5),
        "a spot of exactly the threshold, 0.5, beside one of 0.75": (
            _map((12, 20), (1, 1, 4, 4, 0.5), (10, 6, 3, 2, 0.75)),
            0.5,
        ),
        "nothing above the threshold": (_map((12, 20), (5, 2, 7, 4, 0.3)), 0.5),
    }
    answers = {}
    for case, (probs, threshold) in cases.items():
        try:
            answers[case] = find_polyp(probs.copy(), threshold)
        except Exception as error:  # whatever a learner's code may raise
            return not_yet(f"{case}: your code stopped with {type(error).__name__}: {error}")
    if all(answer is None for answer in answers.values()):
        return not_yet("find_polyp returned nothing; for one spot it should return (x, y, width, height).")
    for case, (probs, threshold) in cases.items():
        above = (probs > threshold).astype(np.uint8)
        expected = tuple(cv2.boundingRect(above)) if above.any() else None
        if (message := _compare(answers[case], expected)) is not None:
            return not_yet(f"{case}: {message}")
    return correct("a mask says where the polyp is, and so it also says whether there is one.")


def _compare(answer: Any, expected: tuple[int, ...] | None) -> str | None:
    """What is wrong with a box; None where nothing is."""
    if answer is None or expected is None:
        return None if answer is expected else f"you return {answer}; expected {expected}."
    box = tuple(int(value) for value in answer)
    if len(box) != 4:
        return f"you return {len(box)} numbers; expected four, {expected}."
    if box == expected:
        return None
    x, y, width, height = expected
    hints = {
        (y, x, height, width): " (x counts columns and comes first)",
        (x, y, width - 1, height - 1): " (from column 3 to column 5 are three columns, not two)",
        (x, y, x + width - 1, y + height - 1): " (the last two are width and height, not the far corner)",
        (x, y, x + width, y + height): " (the last two are width and height, not the far corner)",
    }
    return f"you return {box}; expected {expected}{hints.get(box, '')}."


@checker
def check_observation(observation: dict[str, list[float]] | None) -> Verdict:
    """Exercise 2: area shares guessed by eye, then measured.

    Args:
        observation: `guessed` and `measured`, each a list of as many percentages, 0 to 100.
    """
    if observation is None:
        return not_yet("guess first, then measure, and put both lists into `observation`.")
    if set(observation) != {"guessed", "measured"}:
        return not_yet(f"the keys are {sorted(observation)}; expected 'guessed' and 'measured'.")
    guessed, measured = (np.array(observation[key], float) for key in ("guessed", "measured"))
    if guessed.shape != measured.shape or guessed.ndim != 1 or len(guessed) < 4:
        return not_yet(
            f"{guessed.size} guessed and {measured.size} measured; expected as many of both, at least four."
        )
    for name, values in (("guessed", guessed), ("measured", measured)):
        if not ((values >= 0) & (values <= 100)).all():
            return not_yet(f"{name} holds {values.tolist()}; expected percentages, 0 to 100.")
    if (measured == 0).any() or np.ptp(measured) == 0:
        return not_yet("a measured share is 0, or all are the same; measure the four masks of the picture.")
    if (measured < 1).all() and (guessed >= 1).any():
        return not_yet("the measured values look like shares; times 100 they are percentages.")
    if np.abs(guessed - measured).max() < 0.005:
        return not_yet("the guesses are the measurements; guess by eye, before you measure.")
    off, bias = np.abs(guessed - measured).mean(), (guessed - measured).mean()
    if off > 25:
        return not_yet(f"you are off by {off:.0f} points on average; look again: all of the frame is 100.")
    way = "too high" if bias > 0 else "too low"
    return correct(f"off by {off:.1f} points on average, and {abs(bias):.1f} {way} over all frames.")
