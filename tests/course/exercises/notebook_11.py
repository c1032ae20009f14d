from functools import cache

import cv2
import numpy as np

from polyp.course.exercises.notebook_11 import (
    check_choose,
    check_clean_marked,
    check_convention,
    check_doubts,
    check_leave_out,
)
from polyp.run import score


@cache
def scores():
    """Two frames: a large polyp found nearly whole, and a small one missed."""
    truth, maps = np.zeros((2, 20, 30), np.uint8), np.zeros((2, 20, 30))
    truth[0, 2:15, 3:20], maps[0, 3:15, 3:18] = 1, 1
    truth[1, 4:8, 4:9] = 1
    return score(maps, truth, resamples=10)


def some(keys):
    return lambda a, b: {key for key in a if keys(a[key], b[key])}


def by_hospital(swap=False):
    def leave_out(hospital, hospital_of, patient_of):
        test = {frame for frame, name in hospital_of.items() if name == hospital}
        return (test, set(hospital_of) - test) if swap else (set(hospital_of) - test, test)

    return leave_out


def by_patient(hospital, hospital_of, patient_of):
    patients = {patient_of[frame] for frame, name in hospital_of.items() if name == hospital}
    test = {frame for frame in hospital_of if patient_of[frame] in patients}
    return set(hospital_of) - test, test


def marked(size=None, clean=lambda mask: not mask.any(), above=np.greater, over=np.greater_equal):
    size = size or (
        lambda drawn: cv2.connectedComponentsWithStats(drawn.astype(np.uint8))[2][1:, 4].max(initial=0)
    )

    def clean_marked(probs, masks, threshold, least):
        kept = [p for p, mask in zip(probs, masks, strict=True) if clean(mask)]
        return np.mean([over(size(above(p, threshold)), least) for p in kept]) if kept else np.nan

    return clean_marked


def pick(order, limit=lambda marked, clean, most: marked <= most * clean):
    def choose(found, marked, polyps, clean, most):
        pairs = [pair for pair in np.ndindex(found.shape) if limit(marked[pair], clean, most)]
        return min(pairs, key=lambda pair: order(found[pair], marked[pair])) if pairs else None

    return choose


def most_found(found, marked):
    return -found


def most_then_few(found, marked):
    return -found, marked


choose = pick(most_then_few)


WRONG = {
    check_convention: [
        ("no convention is named; expected a name", None, scores()),
        ("'meandice' is no row of the table; its names are image_mean, ", "meandice", scores()),
        ("hd95 has no IoU of its own; the paper gives one", "hd95", scores()),
        ("soft has no IoU of its own", "soft", scores()),
        ("by pooled these masks have an IoU of 0.7", "pooled", scores()),
        ("by background_mean these masks have an IoU of", "background_mean", scores()),
    ],
    check_doubts: [
        ("doubts returns nothing; return a set of keys", lambda a, b: None),
        (
            "you return {'trained_on'}, expected {'tested_on'}",
            lambda a, b: {"trained_on"} if a != b else set(),
        ),
        ("what a paper does not say (None) is a doubt too", some(lambda x, y: x != y)),
        (
            "chosen on the test frames is a doubt, also if both did it",
            some(lambda x, y: x != y or x is None),
        ),
        ("you return [], expected set()", lambda a, b: sorted(some(np.not_equal)(a, b))),
    ],
    check_leave_out: [
        ("leave_out returns nothing; return two sets", lambda hospital, of, patient: None),
        ("leave out A: train: you return", by_hospital()),
        ("a patient of the hospital left out was also examined elsewhere", by_hospital()),
        ("the test is all of that hospital, and of no other", by_patient),
        ("leave out C: train: you return", by_hospital(swap=True)),
    ],
    check_clean_marked: [
        ("clean_marked returns nothing; return a share", lambda *_: None),
        ("only frames without a polyp count, above and below", marked(clean=lambda mask: True)),
        ("look at each connected region by itself", marked(size=np.sum)),
        ("a region of just the least size", marked(over=np.greater)),
        ("a probability just at the threshold, which is not above it", marked(above=np.greater_equal)),
        ("no clean frame at all", lambda *given: np.nan_to_num(marked()(*given))),
    ],
    check_choose: [
        ("choose returns nothing; return a pair of indices", lambda *_: None),
        ("that pair marks more clean frames than are allowed", pick(most_found, limit=lambda *_: True)),
        ("another allowed pair finds more polyps", pick(lambda found, marked: marked)),
        ("another allowed pair finds as many and marks fewer", pick(most_found)),
        (
            "just as many alarms as are allowed",
            pick(most_then_few, lambda m, clean, most: m < most * clean),
        ),
        ("but every pair marks too many; return None", lambda *given: choose(*given) or (0, 0)),
        ("few polyps and many clean frames", pick(most_then_few, lambda m, clean, most: m <= most * 10)),
        ("you return (0,), expected (1, 1)", lambda *_: (0,)),
    ],
}  # fmt: skip

ACCEPTED = {
    check_clean_marked: [lambda *given: np.float32(marked()(*given))],
    check_choose: [
        lambda *given: None if (pair := choose(*given)) is None else list(pair),
        lambda *given: None if (pair := choose(*given)) is None else np.array(pair),
    ],
}
