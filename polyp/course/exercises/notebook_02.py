"""Checkers of notebook 02: Dice from IoU, both reductions, the smallest polyp, the gradient of Dice loss.

The lesson goes on with the learner's functions, or until they are right with `dice_of_iou`, `reduce_counts`
and `autograd_dice_gradient`.
"""

import math
from collections.abc import Callable

import numpy as np
import torch

from polyp.course.exercises import NotYet, Verdict, checker, compare, correct, noted
from polyp.model.losses import dice_loss


@checker
def check_dice_from_iou(dice_from_iou: Callable) -> Verdict:
    """Exercise 1: the Dice of an image from its IoU alone; both are numbers from 0 to 1."""
    counts = [(1, 1, 0), (0, 3, 2), (5, 0, 0), (4, 3, 2), (755, 200, 45), (1, 40, 300)]
    dice = {tp / (tp + fp + fn): 2 * tp / (2 * tp + fp + fn) for tp, fp, fn in counts}
    nothing = "dice_from_iou returns None; write tp as IoU times (tp + fp + fn) and simplify"
    compare(dice_from_iou, list(dice), dice.get, nothing=nothing, close=1e-6)
    return correct("for one image, Dice and IoU always order predictions alike")


@checker
def check_reduce_dice(reduce_dice: Callable) -> Verdict:
    """Exercise 2: `reduce_dice` takes tp, fp and fn, whole numbers (n,).

    It gives the mean over the images where Dice is defined, the pooled Dice, and for how many it is not.
    """
    images = {
        "one image": [(4, 3, 2)],
        "a large polyp found, a small one missed": [(900, 50, 50), (0, 0, 10)],
        "a frame without polyp, nothing predicted": [(6, 2, 2), (0, 0, 0)],
        "a frame without polyp, a false alarm": [(6, 2, 2), (0, 8, 0)],
        "three frames without polyp among five": [(5, 0, 0), (0, 0, 0), (1, 1, 3), (0, 0, 0), (0, 0, 0)],
        "only frames without polyp, nothing predicted": [(0, 0, 0), (0, 0, 0)],
    }
    cases = {f"{case}, tp fp fn = {rows}": tuple(np.array(rows).T.copy()) for case, rows in images.items()}
    nothing = "reduce_dice returns None; return the per-image mean, the pooled Dice, a count"
    parts = "the mean over images", "the pooled Dice", "the number of undefined images"
    hints = {
        "0/0 is no score: leave such an image out of the mean, do not give it a 1": _as(1.0),
        "0/0 is no score: leave such an image out of the mean, do not give it a 0": _as(0.0),
    }
    compare(reduce_dice, cases, reduce_counts, nothing=nothing, close=1e-6, parts=parts, hints=hints)
    return correct("both reductions fit, and frames without a score are counted, not hidden")


def dice_of_iou(iou: float) -> float:
    """The Dice of one image, 0 to 1, from its IoU."""
    return 2 * iou / (1 + iou)


def reduce_counts(*counts: np.ndarray, undefined: float | None = None) -> tuple[float, float, int]:
    """Mean Dice over images, pooled Dice, and how many images have none; in plain Python, image by image.

    Args:
        counts: tp, fp, fn, whole numbers (n,).
        undefined: what an image without a Dice is given, as a wrong answer would; by default it is left out.
    """

    def dice(tp: int, fp: int, fn: int) -> float:
        return 2 * tp / (2 * tp + fp + fn) if tp + fp + fn else math.nan

    scores = [dice(*row) for row in zip(*counts, strict=True)]
    defined = [score for score in scores if not math.isnan(score)]
    missing = len(scores) - len(defined)
    defined += [] if undefined is None else [undefined] * missing
    mean = sum(defined) / len(defined) if defined else math.nan
    return mean, dice(*map(sum, counts)), missing


def _as(undefined: float) -> Callable[..., tuple[float, float, int]]:
    return lambda *counts: reduce_counts(*counts, undefined=undefined)


@checker
def check_smallest_radius(observation: dict) -> Verdict:
    """Exercise 3: the smallest disc that keeps a Dice of 0.9 although its outline is off.

    `miss` is how many pixels too small a radius is (1 to 4), `radius` the disc's, and `dice` the score there.
    """
    nothing = "observation is None; choose a miss, try radii, and note the smallest that gives 0.9"
    found = noted(observation, nothing=nothing, keys=("miss", "radius", "dice"), between=(0, 1000))
    miss, radius, got = int(found["miss"]), int(found["radius"]), found["dice"]
    if found["miss"] not in (1, 2, 3, 4):
        raise NotYet(f"miss is {found['miss']:g}; expected 1, 2, 3 or 4 pixels")
    if radius <= miss:
        raise NotYet(f"a radius of {radius} with a miss of {miss} leaves nothing; try larger discs")
    expected = _disc_dice(radius, miss)
    if abs(got - expected) > 0.006:
        raise NotYet(f"radius {radius}, miss {miss}: you noted a Dice of {got:.3f}, not {expected:.3f}")
    if expected < 0.9:
        raise NotYet(f"radius {radius} only reaches {expected:.3f}; look for the first to reach 0.9")
    if radius > miss + 1 and _disc_dice(radius - 1, miss) >= 0.9:
        raise NotYet(f"radius {radius - 1} reaches 0.9 too; look for the smallest")
    return correct(f"{miss} px may be missed at a radius of {radius}: about a tenth of it, whatever the miss")


def _disc_dice(radius: int, miss: int) -> float:
    """The oracle: a disc of whole pixels, found `miss` pixels too small all around."""
    near = np.arange(-radius - 1, radius + 2) ** 2
    squares = near[:, None] + near  # squared distance from the centre, whole numbers
    disc, found = ((squares <= r * (r + 1)).sum() for r in (radius, radius - miss))  # within r + 1/2
    return float(2 * found / (disc + found))


@checker
def check_dice_gradient(dice_gradient: Callable) -> Verdict:
    """Exercise 4: `dice_gradient` takes logits and target {0, 1}, float64 tensors (H, W) of one image.

    It gives the derivative of `polyp.model.losses.dice_loss` with respect to each logit, (H, W).
    """
    generator = torch.Generator().manual_seed(2)
    noise = torch.randn(5, 7, generator=generator, dtype=torch.float64)
    target = (torch.rand(5, 7, generator=generator) < 0.3).double()
    cases = {
        "one polyp pixel at logit 0": (torch.zeros(1, 1).double(), torch.ones(1, 1).double()),
        "random logits": (2 * noise, target),
        "an empty mask": (noise, 0 * target),
        "a mask that fills the frame": (noise, 0 * target + 1),
        "confident and wrong": (8 * (1 - 2 * target), target),
    }
    nothing = "dice_gradient returns None; start from dL/dp with the quotient rule"
    hints = {
        "that is dL/dp; the chain rule is missing, dp/dx = p (1 - p)": _by_probability,
        "the sign is the other way round: more probability on polyp lowers the loss": _rising,
    }
    compare(dice_gradient, cases, autograd_dice_gradient, nothing=nothing, close=1e-3, hints=hints)
    return correct("autograd agrees on every pixel, the empty mask included")


def autograd_dice_gradient(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """dL/dx of the course's own Dice loss by autograd, float64 (H, W)."""
    leaf = logits.float()[None, None].requires_grad_()
    (gradient,) = torch.autograd.grad(dice_loss(leaf, target[None, None]), leaf)
    return gradient[0, 0].double()


def _by_probability(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """A wrong answer: the derivative with respect to the probability."""
    p = logits.double().sigmoid()
    return autograd_dice_gradient(logits, target) / (p * (1 - p))


def _rising(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """A wrong answer: of Dice, not of Dice loss."""
    return -autograd_dice_gradient(logits, target)
