import math

import numpy as np

from polyp.course.exercises.notebook_07 import (
    check_ceilings,
    check_choose_threshold,
    check_logit_of,
    check_predict_turned,
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


def sizes(*dices, sizes=((9, 12), (36, 48), (144, 192))):
    return dict(zip(sizes, dices, strict=True))


WRONG = {
    check_logit_of: [
        ("logit_of returns nothing; solve", lambda p: None),
        ("<lambda>(0.5): you return 0.62246, expected 0", lambda p: 1 / (1 + math.exp(-p))),
        ("<lambda>(0.9): you return 0.95424, expected 2.1972", lambda p: math.log10(p / (1 - p))),
        ("<lambda>(0.9): you return -2.1972, expected 2.1972", lambda p: math.log((1 - p) / p)),
    ],
    check_ceilings: [
        ("ceilings is None; make it a dictionary", None),
        ("you noted 2 of at least 3 results", {(9, 12): 0.6, (36, 48): 0.9}),
        ("the value of (9, 12) is 60", sizes(60, 90, 99)),
        ("you give 9, expected a size (height, width)", {9: 0.6, 36: 0.9, 144: 0.99}),
        (
            "you give '9 x 12', expected a size (height, width)",
            {"9 x 12": 0.6, "18 x 24": 0.9, "36 x 48": 0.99},
        ),
        (
            "(9, 12) and (12, 12) are nearly alike",
            sizes(0.6, 0.62, 0.64, sizes=((9, 12), (10, 12), (12, 12))),
        ),
        ("(9, 12) gave 0.990 and (144, 192) gave 0.600; a larger picture", sizes(0.99, 0.9, 0.6)),
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
