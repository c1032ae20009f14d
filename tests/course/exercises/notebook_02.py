import numpy as np
import torch

from polyp.course.exercises.notebook_02 import (
    check_dice_from_iou,
    check_dice_gradient,
    check_reduce_dice,
    check_smallest_radius,
)


def reduce(undefined=None, pool_all=False):
    def reduce_dice(tp, fp, fn):
        below = 2 * tp + fp + fn
        dice = np.array([2 * t / b if b else np.nan for t, b in zip(tp, below, strict=True)])
        missing = int(np.isnan(dice).sum())
        pooled = 2 * tp.sum() / below.sum() if below.any() else np.nan
        if undefined is not None:
            dice = np.nan_to_num(dice, nan=undefined)
        elif missing < len(dice):
            dice = dice[~np.isnan(dice)]
        return pooled if pool_all else dice.mean(), pooled, missing

    return reduce_dice


def gradient(smooth=1.0, chain=True, sign=-1):
    def dice_gradient(logits, target):
        p = logits.sigmoid()
        above, below = 2 * (p * target).sum() + smooth, p.sum() + target.sum() + smooth
        by_probability = sign * (2 * target * below - above) / below**2
        return by_probability * p * (1 - p) if chain else by_probability

    return dice_gradient


def observed(miss, radius, dice):
    return {"miss": miss, "radius": radius, "dice": dice}


WRONG = {
    check_dice_from_iou: [
        ("dice_from_iou returns None", lambda iou: None),
        ("<lambda>(0.5): you return 1, expected 0.66667", lambda iou: 2 * iou),
        ("you return 0.33333, expected 0.66667", lambda iou: iou / (2 - iou)),
    ],
    check_reduce_dice: [
        ("reduce_dice returns None", lambda tp, fp, fn: None),
        (
            "you return (0.61538, 0.61538), expected (0.61538, 0.61538, 0)",
            lambda *counts: reduce()(*counts)[:2],
        ),
        ("a large polyp found, a small one missed, tp fp fn", reduce(pool_all=True)),
        ("nothing predicted, tp fp fn = [(6, 2, 2), (0, 0, 0)]: the mean over images", reduce(undefined=1.0)),
        ("do not give it a 1", reduce(undefined=1.0)),
        ("do not give it a 0", reduce(undefined=0.0)),
        (
            "the number of undefined images: you return 1, expected 0",
            lambda *c: (*reduce()(*c)[:2], len(c[0])),
        ),
        ("the mean over images: you return 0.375, expected 0.75", reduce(undefined=0.0)),
        (
            "your code stopped with ZeroDivisionError",
            lambda tp, fp, fn: reduce()(tp, fp, fn) if tp.all() else 1 / 0,
        ),
    ],
    check_smallest_radius: [
        ("observation is None", None),
        ("'dice' is missing; expected the keys", {"miss": 3, "radius": 30}),
        ("the value of 'dice' is 1001", observed(3, 30, 1001)),
        ("miss is 5; expected", observed(5, 50, 0.9)),
        ("leaves nothing", observed(3, 3, 0.0)),
        ("you noted a Dice of 0.500", observed(3, 31, 0.5)),
        ("only reaches 0.79", observed(3, 15, 0.79)),
        ("reaches 0.9 too", observed(3, 60, 0.95)),
    ],
    check_dice_gradient: [
        ("dice_gradient returns None", lambda logits, target: None),
        ("expected a tensor (1, 1) of float64", lambda logits, target: gradient()(logits, target).tolist()),
        ("expected a tensor (1, 1) of float64", lambda logits, target: gradient()(logits, target)[0]),
        ("one polyp pixel at logit 0: at (0, 0)", gradient(smooth=1e-6)),
        ("the chain rule is missing", gradient(chain=False)),
        ("the sign is the other way round", gradient(sign=1)),
        ("random logits: at (0, 0)", lambda logits, target: torch.full_like(logits, -0.12)),
    ],
}


ACCEPTED = {
    check_dice_from_iou: [
        lambda iou: np.float32(2 * iou / (1 + iou)),
        lambda iou: torch.tensor(2 * iou / (1 + iou)),
    ],
    check_reduce_dice: [reduce(), lambda *counts: list(reduce()(*counts))],
    check_smallest_radius: [
        observed(np.int64(3), torch.tensor(31), np.float32(0.9008)),
        observed(1.0, 10, 0.9128),
        observed(4, 42, 0.9022),
    ],
    check_dice_gradient: [gradient(), lambda logits, target: gradient()(logits.float(), target.float())],
}
