"""Checkers of notebook 02: Dice from IoU, both reductions, the smallest polyp, the gradient of Dice loss."""

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import torch

from polyp.course.exercises import Verdict, checker, correct, not_yet
from polyp.model.losses import dice_loss


@checker
def check_dice_from_iou(dice_from_iou: Callable) -> Verdict:
    """Exercise 1: the Dice of an image from its IoU alone.

    Args:
        dice_from_iou: takes an IoU, 0 to 1, and gives the Dice, 0 to 1.
    """
    for tp, fp, fn in ((1, 1, 0), (0, 3, 2), (5, 0, 0), (4, 3, 2), (755, 200, 45), (1, 40, 300)):
        iou, expected = Fraction(tp, tp + fp + fn), Fraction(2 * tp, 2 * tp + fp + fn)
        got = dice_from_iou(float(iou))
        if got is None:
            return not_yet("dice_from_iou returns None; write tp as IoU times (tp + fp + fn) and simplify")
        if not math.isclose(float(got), expected, abs_tol=1e-9):
            return not_yet(f"IoU {float(iou):.3f}: got {float(got):.3f}, expected {float(expected):.3f}")
    return correct("for one image, Dice and IoU always order predictions alike")


@checker
def check_reduce_dice(reduce_dice: Callable) -> Verdict:
    """Exercise 2: Dice as the mean of images, of all pixels together, and how often it is undefined.

    Args:
        reduce_dice: takes tp, fp and fn, whole numbers of shape (n,), and gives the mean over the images
            where Dice is defined, the pooled Dice, and the number of images where it is not.
    """
    cases = [
        ("one image", [(4, 3, 2)]),
        ("a large polyp found, a small one missed", [(900, 50, 50), (0, 0, 10)]),
        ("a frame without polyp, nothing predicted", [(6, 2, 2), (0, 0, 0)]),
        ("a frame without polyp, a false alarm", [(6, 2, 2), (0, 8, 0)]),
        ("three frames without polyp among five", [(5, 0, 0), (0, 0, 0), (1, 1, 3), (0, 0, 0), (0, 0, 0)]),
        ("only frames without polyp, nothing predicted", [(0, 0, 0), (0, 0, 0)]),
    ]
    names = ("the mean over images", "the pooled Dice", "the number of undefined images")
    for what, rows in cases:
        tp, fp, fn = np.array(rows).T.copy()
        answer = reduce_dice(tp, fp, fn)
        if answer is None:
            return not_yet("reduce_dice returns None; return the per-image mean, the pooled Dice, a count")
        if len(answer) != 3:
            return not_yet(f"reduce_dice returns {len(answer)} values; expected three")
        for name, got, expected in zip(names, answer, _reduce(rows), strict=True):
            if not np.isclose(float(got), expected, atol=1e-9, equal_nan=True):
                return not_yet(f"{what}, tp fp fn = {rows}: {name} is {float(got):.3f}, not {expected:.3f}")
    return correct("both reductions fit, and frames without a score are counted, not hidden")


def _reduce(rows: list[tuple[int, int, int]]) -> tuple[float, float, int]:
    """The oracle: plain Python, row by row."""

    def dice(tp: int, fp: int, fn: int) -> float:
        return 2 * tp / (2 * tp + fp + fn) if tp + fp + fn else math.nan

    scores = [dice(*row) for row in rows]
    defined = [score for score in scores if not math.isnan(score)]
    mean = sum(defined) / len(defined) if defined else math.nan
    return mean, dice(*map(sum, zip(*rows, strict=True))), len(scores) - len(defined)


@checker
def check_smallest_radius(observation: dict) -> Verdict:
    """Exercise 3: the smallest disc that keeps a Dice of 0.9 although its outline is off.

    Args:
        observation: `miss`, how many pixels too small the prediction's radius is (1 to 4), `radius`, of the
            disc, in whole pixels, and `dice`, the score observed there.
    """
    if observation is None:
        return not_yet("observation is None; choose a miss, try radii, and note the smallest that gives 0.9")
    missing = [key for key in ("miss", "radius", "dice") if key not in observation]
    if missing:
        return not_yet(f"observation has no {missing[0]!r}; expected the keys 'miss', 'radius' and 'dice'")
    miss, radius, got = observation["miss"], int(observation["radius"]), float(observation["dice"])
    if miss not in (1, 2, 3, 4):
        return not_yet(f"miss is {miss}; expected 1, 2, 3 or 4 pixels")
    if radius <= miss:
        return not_yet(f"a radius of {radius} with a miss of {miss} leaves nothing; try larger discs")
    expected = _disc_dice(radius, miss)
    if abs(got - expected) > 0.006:
        return not_yet(f"radius {radius}, miss {miss}: you noted a Dice of {got:.3f}, not {expected:.3f}")
    if expected < 0.9:
        return not_yet(f"radius {radius} only reaches {expected:.3f}; look for the first to reach 0.9")
    if radius > miss + 1 and _disc_dice(radius - 1, miss) >= 0.9:
        return not_yet(f"radius {radius - 1} reaches 0.9 too; look for the smallest")
    return correct(f"{miss} px may be missed at a radius of {radius}: about a tenth of it, whatever the miss")


def _disc_dice(radius: int, miss: int) -> float:
    """The oracle: a disc of whole pixels, found `miss` pixels too small all around."""
    near = np.arange(-radius - 1, radius + 2) ** 2
    squares = near[:, None] + near  # squared distance from the centre, whole numbers
    disc, found = ((squares <= r * (r + 1)).sum() for r in (radius, radius - miss))  # within r + 1/2
    return float(2 * found / (disc + found))


@checker
def check_dice_gradient(dice_gradient: Callable) -> Verdict:
    """Exercise 4: the gradient of Dice loss by hand.

    Args:
        dice_gradient: takes logits and target {0, 1}, float64 tensors (H, W) of one image, and gives the
            derivative of `polyp.model.losses.dice_loss` by each logit, (H, W).
    """
    generator = torch.Generator().manual_seed(2)
    noise = torch.randn(5, 7, generator=generator, dtype=torch.float64)
    target = (torch.rand(5, 7, generator=generator) < 0.3).double()
    cases = [
        ("one polyp pixel at logit 0", torch.zeros(1, 1).double(), torch.ones(1, 1).double()),
        ("random logits", 2 * noise, target),
        ("an empty mask", noise, 0 * target),
        ("a mask that fills the frame", noise, 0 * target + 1),
        ("confident and wrong", 8 * (1 - 2 * target), target),
    ]
    for what, logits, mask in cases:
        got = dice_gradient(logits.clone(), mask.clone())
        if got is None:
            return not_yet("dice_gradient returns None; start from dL/dp with the quotient rule")
        got = torch.as_tensor(got, dtype=torch.float64)
        if got.shape != logits.shape:
            return not_yet(f"{what}: the shape is {tuple(got.shape)}, expected {tuple(logits.shape)}")
        expected = _gradient(logits, mask)
        wrong = (got.detach() - expected).abs() > 1e-3 * expected.abs().max() + 1e-7
        if wrong.any():
            y, x = (int(i) for i in wrong.nonzero()[0])
            return not_yet(f"{what}, pixel ({y}, {x}): got {got[y, x]:.5f}, expected {expected[y, x]:.5f}")
    return correct("autograd agrees on every pixel, the empty mask included")


def _gradient(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """The oracle: autograd through the course's own loss."""
    leaf = logits.float()[None, None].requires_grad_()
    (gradient,) = torch.autograd.grad(dice_loss(leaf, target[None, None]), leaf)
    return gradient[0, 0].double()
