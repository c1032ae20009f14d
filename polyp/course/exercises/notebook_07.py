"""Checkers of notebook 07: logits, sizes, thresholds and turned predictions."""

import math
from collections.abc import Callable, Sequence
from operator import index

import cv2
import numpy as np

from polyp.course.exercises import NotYet, Verdict, checker, compare, correct, noted, read

Frame = tuple[np.ndarray, np.ndarray]


@checker
def check_logit_of(logit_of: Callable[[float], float]) -> Verdict:
    """Exercise 1: `logit_of(probability)` is the logit, log(p / (1 - p))."""
    compare(
        logit_of,
        [(p,) for p in (0.5, 0.9, 0.1, 0.0759, 0.999)],
        lambda probability: math.log(probability) - math.log1p(-probability),
        nothing="logit_of returns nothing; solve p = 1 / (1 + exp(-x)) for x, and return x",
        close=1e-4,  # float32 is good enough
    )
    return correct("a threshold of 0.5 on probabilities is 0 on logits, and -2.5 on logits is a mere 0.076")


@checker
def check_ceilings(ceilings: dict[tuple[int, int], float] | None, masks: Sequence[np.ndarray]) -> Verdict:
    """Exercise 2: the best Dice that at least three sizes (height, width) leave possible, in any order.

    Each is measured again on `masks`, {0, 1} (H, W).
    """
    nothing = "ceilings is None; make it a dictionary {(height, width): Dice} of at least 3 sizes"
    found = noted(ceilings, nothing=nothing, least=3)
    pixels = {size: read(_pixels, size, "a size (height, width), such as (32, 40)") for size in found}
    smallest, *_, largest = sorted(pixels, key=lambda size: pixels[size])
    if pixels[largest] < 4 * pixels[smallest]:
        raise NotYet(f"{smallest} and {largest} are nearly alike; take sizes at least 4 x apart in pixels")
    for size, dice in found.items():
        expected = ceiling_of_polyp(masks, size)
        if abs(dice - expected) > 0.005:
            turned = abs(dice - ceiling_of_polyp(masks, size[::-1])) < 0.005
            raise NotYet(
                f"{size}: you have {dice:.3f}, and these masks give {expected:.3f}; "
                + ("is the size (height, width)?" if turned else "take what ceiling(size) returns")
            )
    low, high = found[smallest], found[largest]
    return correct(f"from {smallest} to {largest} the ceiling rises from {low:.3f} to {high:.3f}")


def _pixels(size: tuple[int, int]) -> int:
    height, width = map(index, size)
    if height < 1 or width < 1:
        raise ValueError("nothing is that small")
    return height * width


def ceiling_of_polyp(masks: Sequence[np.ndarray], size: tuple[int, int]) -> float:
    """The mean Dice of masks that were shrunk to `size` (height, width), enlarged as shares and cut."""
    dices = []
    for mask in masks:
        small = cv2.resize(mask.astype(np.float32), size[::-1], interpolation=cv2.INTER_AREA)
        back = cv2.resize(small, mask.shape[::-1], interpolation=cv2.INTER_LINEAR) > 0.5
        total = int(back.sum()) + int(mask.sum())
        dices.append(2 * int((back & (mask > 0)).sum()) / total if total else math.nan)
    return float(np.nanmean(dices))


def best_threshold(
    probs: Sequence[np.ndarray], masks: Sequence[np.ndarray], thresholds: Sequence[float]
) -> float:
    """What exercise 3 asks for."""
    dices = [dice_by_threshold(*pair, thresholds) for pair in zip(probs, masks, strict=True)]
    return thresholds[int(np.argmax(np.nanmean(dices, axis=0)))]


def dice_by_threshold(probs: np.ndarray, mask: np.ndarray, thresholds: Sequence[float]) -> np.ndarray:
    """The Dice of one frame at each of the ascending thresholds (T,); NaN where nothing is there or marked.

    Each pixel is looked at once: it is above so many of the thresholds.
    """
    inside = mask.ravel() > 0
    above = np.searchsorted(np.asarray(thresholds, probs.dtype), probs.ravel(), side="left")
    both, found = (
        np.bincount(pixels, minlength=len(thresholds) + 1)[::-1].cumsum()[::-1][1:]
        for pixels in (above[inside], above)
    )
    with np.errstate(invalid="ignore"):
        return 2 * both / (found + inside.sum())


def _frame(*polyp: float, background: tuple[float, ...] = (), size: int = 24) -> Frame:
    """Probabilities (1, size) of polyp pixels, then of background pixels, the rest 0; and their mask."""
    probs, mask = np.zeros((1, size)), np.zeros((1, size), np.uint8)
    probs[0, : len(polyp) + len(background)] = polyp + background
    mask[0, : len(polyp)] = 1
    return probs, mask


# What each case would catch, its frames, and the thresholds to choose from.
THRESHOLD_CASES = {
    "one frame": ([_frame(0.8, 0.8, 0.4, background=(0.3, 0.3, 0.3))], [0.2, 0.35, 0.6]),
    "one large and one small polyp, where pooling all pixels would choose otherwise": (
        [_frame(*[0.9] * 40, *[0.4] * 20, size=80), _frame(0.9, 0.9, background=(0.4,) * 10)],
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
    """The oracle: over the frames where Dice is defined, from sets of pixels."""
    found = [set(np.flatnonzero(p > threshold)) for p in probs]
    true = [set(np.flatnonzero(mask)) for mask in masks]
    dice = [2 * len(a & b) / (len(a) + len(b)) for a, b in zip(found, true, strict=True) if a | b]
    return float(np.mean(dice))


@checker
def check_choose_threshold(choose_threshold: Callable[[list, list, list], float]) -> Verdict:
    """Exercise 3: `choose_threshold(probs, masks, thresholds)` is the one with the highest mean Dice.

    Probabilities and masks are lists of (H, W) arrays of any sizes, and the thresholds ascend.
    """
    cases = {}
    for case, (frames, thresholds) in THRESHOLD_CASES.items():
        probs, masks = map(list, zip(*frames, strict=True))
        means = ", ".join(f"{t}: {_mean_dice(probs, masks, t):.3f}" for t in thresholds)
        cases[f"{case} (mean Dice is {means})"] = probs, masks, thresholds
    compare(
        choose_threshold,
        cases,
        lambda probs, masks, thresholds: max(thresholds, key=lambda t: _mean_dice(probs, masks, t)),
        nothing="choose_threshold returns nothing; return the best of the thresholds",
    )
    return correct(
        "the mean of the frames' Dice decides, undefined frames are left out, and of equals the lower"
    )


@checker
def check_predict_turned(predict_turned: Callable[[Callable, np.ndarray], np.ndarray]) -> Verdict:
    """Exercise 4: `predict_turned(predict, image)` is the mean of what four quarter turns give, turned back.

    `predict` makes of an image (H, W, 3) probabilities (H, W).
    """
    asked = []

    def top_heavy(picture: np.ndarray) -> np.ndarray:
        """A model that trusts red, and more so the farther down: a turned picture gets another answer."""
        asked.append(picture)
        rows = (np.arange(picture.shape[0]) + 1) / picture.shape[0]
        return picture[..., 0] / 255 * rows[:, None] ** 2

    random, sizes = np.random.default_rng(4), ((4, 6), (5, 5), (7, 3))
    images = {f"{h} x {w} picture": random.integers(0, 256, (h, w, 3), dtype=np.uint8) for h, w in sizes}
    compare(
        predict_turned,
        {case: (top_heavy, image) for case, image in images.items()},
        lambda predict, image: _mean_of_turns(image),
        nothing="predict_turned returns nothing; return the mean of the four",
        close=1e-5,
        otherwise="is each prediction turned back, by as much and the other way?",
    )
    if len(asked) != 4 * len(images):
        times = len(asked) / len(images)
        raise NotYet(f"right, but a model is asked {times:g} times; expected 4, once for each quarter turn")
    return correct("four views of one frame, each turned back before the mean")


def turned_of_polyp(predict: Callable[[np.ndarray], np.ndarray], image: np.ndarray) -> np.ndarray:
    """What exercise 4 asks for."""
    turns = [np.rot90(predict(np.rot90(image, k).copy()), -k) for k in range(4)]
    return np.mean(turns, axis=0)


def _mean_of_turns(image: np.ndarray) -> np.ndarray:
    """What `top_heavy` gives on average, by counting how far down each pixel is in each of the turns."""
    height, width = image.shape[:2]
    row, column = np.mgrid[:height, :width]
    depths = ((row + 1) / height, (height - row) / height, (column + 1) / width, (width - column) / width)
    return image[..., 0] / 255 * sum(depth**2 for depth in depths) / 4
