import math

import numpy as np
import torch

from polyp.course.exercises.notebook_07 import (
    best_threshold,
    ceiling_of_polyp,
    check_ceilings,
    check_choose_threshold,
    check_logit_of,
    check_predict_turned,
    turned_of_polyp,
)


def choose(score=np.nanmean, cut=np.greater, empty=math.nan, best=max):
    def choose_threshold(probs, masks, thresholds):
        def dice(found, mask):
            return 2 * (found & mask).sum() / (found.sum() + mask.sum()) if (found | mask).any() else empty

        def value(t):
            return score([dice(cut(p, t), mask > 0) for p, mask in zip(probs, masks, strict=True)])

        return best(thresholds, key=value)

    return choose_threshold


def last_of_equals(thresholds, key):
    return max(reversed(thresholds), key=key)


def pooled(probs, masks, thresholds):
    return choose()([np.hstack(probs)], [np.hstack(masks)], thresholds)


def turn(back=lambda k: -k, turns=range(4), average=np.mean):
    def predict_turned(predict, image):
        return average([np.rot90(predict(np.rot90(image, k)), back(k)) for k in turns], axis=0)

    return predict_turned


def in_place(predict, image):
    answer = turn()(predict, image)
    image[:] = 0
    return answer


MASKS = [np.zeros((60, 80), np.uint8), np.zeros((48, 64), np.uint8)]
MASKS[0][10:30, 20:50] = 1
MASKS[1][30:41, 12:29] = 1
SIZES = ((6, 8), (15, 20), (30, 40))


def ceilings(sizes=SIZES, plus=0.0, turned=False, times=1):
    step = -1 if turned else 1
    found = {size: times * (ceiling_of_polyp(MASKS, size[::step]) + plus) for size in sizes}
    return found, MASKS


WRONG = {
    check_logit_of: [
        ("logit_of returns nothing; solve", lambda p: None),
        ("<lambda>(0.5): you return 0.62246, expected 0", lambda p: 1 / (1 + math.exp(-p))),
        ("<lambda>(0.9): you return 0.95424, expected 2.1972", lambda p: math.log10(p / (1 - p))),
        ("<lambda>(0.9): you return -2.1972, expected 2.1972", lambda p: math.log((1 - p) / p)),
    ],
    check_ceilings: [
        ("ceilings is None; make it a dictionary", None, MASKS),
        ("you noted 2 of at least 3 results", *ceilings(SIZES[:2])),
        ("the value of (6, 8) is", *ceilings(times=100)),
        ("you give 9, expected a size (height, width)", {9: 0.6, 36: 0.9, 144: 0.99}, MASKS),
        ("you give (0, 5), expected a size", {(0, 5): 0.6, (2, 2): 0.9, (9, 9): 0.99}, MASKS),
        (
            "you give '9 x 12', expected a size (height, width)",
            {"9 x 12": 0.6, "18 x 24": 0.9, "36 x 48": 0.99},
            MASKS,
        ),
        ("(9, 12) and (12, 12) are nearly alike", *ceilings(((9, 12), (10, 12), (12, 12)))),
        ("take what ceiling(size) returns", *ceilings(plus=-0.1)),
        ("is the size (height, width)?", *ceilings(((5, 11), *SIZES[1:]), turned=True)),
    ],
    check_choose_threshold: [
        ("choose_threshold returns nothing; return the best", lambda probs, masks, thresholds: None),
        (
            "one frame (mean Dice is 0.2: 0.667, 0.35: 1.000, 0.6: 0.800): you",
            lambda p, m, thresholds: thresholds[0],
        ),
        ("one frame", lambda probs, masks, thresholds: 0.5),
        ("where pooling all pixels would choose otherwise", pooled),
        ("which is not above it", choose(cut=np.greater_equal)),
        ("left out, not 1", choose(empty=1.0)),
        ("left out, not 0", choose(empty=0.0)),
        ("where nothing is predicted either, its Dice is undefined", choose(score=np.mean)),
        ("two equally good thresholds: the lower", choose(best=last_of_equals)),
        ("your function changed what it was given", lambda probs, masks, thresholds: thresholds.pop()),
    ],
    check_predict_turned: [
        ("predict_turned returns nothing; return the mean of the four", lambda predict, image: None),
        ("4 x 6 picture: at (0, 0) you return", turn(turns=[0])),
        ("4 x 6 picture: at (0, 0) you return", turn(average=np.max)),
        ("is each prediction turned back, by as much and the other way?", turn(back=lambda k: k)),
        ("4 x 6 picture: your code stopped with ValueError", turn(back=lambda k: 0)),
        ("you return an array (1, 4, 6) of float64", lambda *args: turn()(*args)[None]),
        ("right, but a model is asked 8 times; expected 4", turn(turns=range(8))),
        ("your function changed what it was given", in_place),
    ],
}

ACCEPTED = {
    check_logit_of: [
        lambda p: torch.logit(torch.tensor(p)),
        lambda p: np.log(np.float32(p)) - np.log1p(-np.float32(p)),
    ],
    check_ceilings: [
        ceilings(),
        ({np.shape(np.zeros(size)): np.float32(dice) for size, dice in ceilings()[0].items()}, MASKS),
    ],
    check_choose_threshold: [best_threshold],
    check_predict_turned: [turned_of_polyp],
}
