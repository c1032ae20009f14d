"""Checkers of notebook 07: logits, sizes, thresholds and turned predictions."""

import math
from collections.abc import Callable

import numpy as np
import torch

from polyp.course.exercises import Verdict, checker, correct, not_yet
from polyp.model.metrics import count_pixels, dice_score


@checker
def check_logit_of(logit_of: Callable[[float], float]) -> Verdict:
    """Exercise 1: the logit of a probability, log(p / (1 - p)).

    Args:
        logit_of: takes a probability between 0 and 1 and returns a number.
    """
    for probability in (0.5, 0.9, 0.1, 0.0759, 0.999):
        found = logit_of(probability)
        if found is None:
            return not_yet("logit_of returns nothing; solve p = 1 / (1 + exp(-x)) for x, and return x")
        expected = math.log(probability) - math.log1p(-probability)
        if not math.isclose(float(found), expected, abs_tol=1e-6):
            return not_yet(f"logit_of({probability}) gave {float(found):.4f}; expected {expected:.4f}")
    return correct("a threshold of 0.5 on probabilities is 0 on logits, and -2.5 on logits is a mere 0.076")


@checker
def check_ceilings(ceilings: dict[tuple[int, int], float] | None) -> Verdict:
    """Exercise 2: the best Dice that each of some sizes leaves possible.

    Args:
        ceilings: at least three sizes (height, width), each with its mean Dice; any order.
    """
    if ceilings is None:
        return not_yet("ceilings is None; make it a dictionary {(height, width): Dice} of at least 3 sizes")
    if len(ceilings) < 3:
        return not_yet(f"{len(ceilings)} sizes observed; expected at least 3, small and large ones")
    for size, dice in ceilings.items():
        if not (isinstance(size, tuple) and len(size) == 2):
            return not_yet(f"the key {size!r} is no size; expected (height, width), such as (32, 40)")
        if not 0 < float(dice) <= 1:
            return not_yet(f"{size} has {dice}; expected a Dice between 0 and 1")
    smallest, *_, largest = sorted(ceilings, key=math.prod)
    low, high = float(ceilings[smallest]), float(ceilings[largest])
    if math.prod(largest) < 4 * math.prod(smallest):
        return not_yet(f"{smallest} and {largest} are nearly alike; take sizes at least 4 x apart in pixels")
    if low >= high:
        return not_yet(
            f"{smallest} gave {low:.3f} and {largest} gave {high:.3f}; a larger picture should leave more "
            "room. Is the size (height, width)?"
        )
    return correct(f"from {smallest} to {largest} the ceiling rises from {low:.3f} to {high:.3f}")


def _frame(
    *polyp: float, background: tuple[float, ...] = (), size: int = 24
) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities (1, size) of polyp pixels, then of background pixels, the rest 0; and their mask."""
    probs = np.zeros((1, size))
    probs[0, : len(polyp)] = polyp
    probs[0, len(polyp) : len(polyp) + len(background)] = background
    mask = np.zeros((1, size), np.uint8)
    mask[0, : len(polyp)] = 1
    return probs, mask


# What each case would catch, its frames, and the thresholds to choose from.
THRESHOLD_CASES = {
    "one frame": ([_frame(0.8, 0.8, 0.4, background=(0.3, 0.3, 0.3))], [0.2, 0.35, 0.6]),
    "one large and one small polyp, where pooling all pixels would choose otherwise": (
        [
            _frame(*[0.9] * 40, *[0.4] * 20, size=80),
            _frame(0.9, 0.9, background=(0.4,) * 10),
        ],
        [0.2, 0.6],
    ),
    "a probability just at the threshold, which is not above it": (
        [_frame(0.9, 0.9, background=(0.5, 0.5, 0.5)), _frame(0.9, 0.9, 0.9, 0.6)],
        [0.5, 0.7],
    ),
    "an empty mask: where nothing is predicted either, its Dice is undefined and left out, not 1": (
        [_frame(0.9, 0.9), _frame(0.9, *[0.5] * 9), _frame(background=(0.5,) * 3)],
        [0.3, 0.7],
    ),
    "an empty mask: where nothing is predicted either, its Dice is undefined and left out, not 0": (
        [_frame(*[0.9] * 6, *[0.5] * 4), _frame(background=(0.5,) * 3)],
        [0.3, 0.7],
    ),
    "two equally good thresholds: the lower": ([_frame(0.9, 0.9, background=(0.1,))], [0.3, 0.5, 0.95]),
}


def _mean_dice(probs: list[np.ndarray], masks: list[np.ndarray], threshold: float) -> float:
    scores = [
        dice_score(count_pixels(torch.from_numpy(p > threshold)[None], torch.from_numpy(m > 0)[None]))
        for p, m in zip(probs, masks, strict=True)
    ]
    return torch.cat(scores).nanmean().item()


@checker
def check_choose_threshold(choose_threshold: Callable[[list, list, list], float]) -> Verdict:
    """Exercise 3: the threshold with the highest mean per-image Dice.

    Args:
        choose_threshold: takes probabilities and masks (lists of (H, W) arrays, sizes may differ) and
            thresholds in ascending order, and returns one of the thresholds.
    """
    for case, (frames, thresholds) in THRESHOLD_CASES.items():
        probs, masks = ([part.copy() for part in parts] for parts in zip(*frames, strict=True))
        found = choose_threshold(probs, masks, list(thresholds))
        if found is None:
            return not_yet("choose_threshold returns nothing; return the best of the thresholds")
        means = [_mean_dice(probs, masks, threshold) for threshold in thresholds]
        expected = thresholds[int(np.nanargmax(means))]
        if found != expected:
            listed = ", ".join(f"{t}: {mean:.3f}" for t, mean in zip(thresholds, means, strict=True))
            return not_yet(f"{case}: chose {found}; expected {expected} (mean Dice is {listed})")
    return correct(
        "the mean of the frames' Dice decides, undefined frames are left out, and of equals the lower"
    )


@checker
def check_predict_turned(predict_turned: Callable[[Callable, np.ndarray], np.ndarray]) -> Verdict:
    """Exercise 4: the mean of the predictions of a picture's four quarter turns, each turned back.

    Args:
        predict_turned: takes a function, image (H, W, 3) -> probabilities (H, W), and an image.
    """
    for height, width in ((4, 6), (5, 5), (7, 3)):
        image = np.random.default_rng(height).integers(0, 256, (height, width, 3), dtype=np.uint8)
        before, calls = image.copy(), []
        found = predict_turned(lambda picture, calls=calls: _top_heavy(picture, calls), image)
        if found is None:
            return not_yet("predict_turned returns nothing; return the mean of the four")
        found, expected = np.asarray(found, float), _mean_of_turns(before)
        if len(calls) != 4:
            return not_yet(f"the model was asked {len(calls)} times; expected 4, once for each quarter turn")
        if found.shape != expected.shape:
            return not_yet(
                f"{height} x {width} picture: came out with {found.shape}; expected {expected.shape}"
            )
        if not np.allclose(found, expected, atol=1e-5):
            return not_yet(
                f"{height} x {width} picture: up to {np.abs(found - expected).max():.2f} off; is each "
                "prediction turned back, by as much and the other way?"
            )
        if not (image == before).all():
            return not_yet("the picture was changed; the caller still needs it")
    return correct("four views of one frame, each turned back before the mean")


def _top_heavy(picture: np.ndarray, calls: list) -> np.ndarray:
    """A model that trusts red, and more so the farther down: a turned picture gets another answer."""
    calls.append(picture.shape)
    rows = (np.arange(picture.shape[0]) + 1) / picture.shape[0]
    return picture[..., 0] / 255 * rows[:, None] ** 2


def _mean_of_turns(image: np.ndarray) -> np.ndarray:
    """What `_top_heavy` gives on average, by counting how far down each pixel is in each of the turns."""
    height, width = image.shape[:2]
    row, column = np.mgrid[:height, :width]
    depths = ((row + 1) / height, (height - row) / height, (column + 1) / width, (width - column) / width)
    return image[..., 0] / 255 * sum(depth**2 for depth in depths) / 4
