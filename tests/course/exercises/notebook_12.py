import cv2
import numpy as np
import pandas as pd

from polyp.course.exercises.notebook_12 import (
    check_card,
    check_mend,
    check_pareto,
    check_speedup,
    check_steady,
)

METRICS = {
    "val": {"dice_per_image": 0.71, "clean": 0},
    "test": {"dice_per_image": 0.62, "clean": 3},
}
PARTS = pd.DataFrame({"part": ["train"] * 4 + ["val"] + ["test"] * 3, "video": [1, 1, 2, 2, 3, 4, 4, 5]})
FACTS = {"training_videos": 2, "test_videos": 2, "test_dice": 0.62, "clean_test_frames": 3}


def resized(way, turn=False):
    def mend(shape, mask):
        return cv2.resize(mask, shape if turn else shape[::-1], interpolation=way)

    return mend


def after(seconds, factors):
    return sum(time / factors.get(step, 1) for step, time in seconds.items())


def only_first(factors):
    return dict(list(factors.items())[:1])


def beats(a, b):
    return a[0] <= b[0] and a[1] >= b[1] and a != b


def unbeaten(beats=beats):
    return lambda points: [i for i, a in enumerate(points) if not any(beats(b, a) for b in points)]


def show(before=4, after=0, needs_now=True, full=False):
    def steady(found):
        return [
            (now or not needs_now)
            and not (full and i < before)
            and sum(found[max(0, i - before) : i + after + 1]) >= 3
            for i, now in enumerate(found)
        ]

    return steady


WRONG = {
    check_mend: [
        ("mend returns nothing; return the mask at the frame's size", lambda shape, mask: None),
        ("a mask that is turned by a quarter: you return an array", resized(cv2.INTER_NEAREST)),
        ("how that happened; return None", resized(cv2.INTER_NEAREST)),
        ("cv2.resize wants (width, height)", resized(cv2.INTER_NEAREST, turn=True)),
        ("a smoothed mask has another border", resized(cv2.INTER_LINEAR)),
    ],
    check_card: [
        ("facts is None; make it a dictionary with the keys training_videos", None, METRICS, PARTS),
        ("'test_dice' is missing", {"training_videos": 2, "test_videos": 2}, METRICS, PARTS),
        ("training_videos is the number of frames", FACTS | {"training_videos": 4}, METRICS, PARTS),
        ("test_videos is the number of frames", FACTS | {"test_videos": 3}, METRICS, PARTS),
        ("test_videos is 5; count the videos", FACTS | {"test_videos": 5}, METRICS, PARTS),
        ("test_dice is the validation frames' Dice", FACTS | {"test_dice": 0.71}, METRICS, PARTS),
        ("test_dice is 0.900; look at dice_per_image", FACTS | {"test_dice": 0.9}, METRICS, PARTS),
        ("clean_test_frames is how many test frames", FACTS | {"clean_test_frames": 0}, METRICS, PARTS),
    ],
    check_speedup: [
        ("speedup returns nothing; divide the time before", lambda seconds, factors: None),
        ("that is the time after; how many times", after),
        ("as a share of the time before; turn it round", lambda s, f: after(s, f) / sum(s.values())),
        (
            "factors cannot be averaged; add up the times",
            lambda s, f: sum(t * f.get(step, 1) for step, t in s.items()) / sum(s.values()),
        ),
        ("two steps become faster: you return", lambda s, f: sum(s.values()) / after(s, only_first(f))),
    ],
    check_pareto: [
        ("pareto returns nothing; return a list of indices", lambda points: None),
        ("fewer milliseconds are better", unbeaten(lambda a, b: a[0] >= b[0] and a[1] >= b[1] and a != b)),
        ("one that is better in one number and equal", unbeaten(lambda a, b: a[0] < b[0] and a[1] > b[1])),
        (
            "equal points do not beat each other; both stay",
            lambda points: [i for i in unbeaten()(points) if points.index(points[i]) == i],
        ),
        ("you return [(10, 0.8), (5, 0.7)]", lambda points: [points[i] for i in unbeaten()(points)]),
    ],
    check_steady: [
        ("steady returns nothing; return a list of bool", lambda found: None),
        ("cut after frame 2, its answers change", show(before=2, after=2)),
        ("where the frame itself has nothing", show(needs_now=False)),
        ("this frame counts among the five", show(before=5)),
        ("also where the film has not had 5 frames yet", show(full=True)),
        ("you return 1 answers for 9 frames", lambda found: [found[-1]]),
        ("you give True, expected a list of 9 bool", lambda found: True),
    ],
}  # fmt: skip

ACCEPTED = {
    check_card: [({name: np.float64(value) for name, value in FACTS.items()}, METRICS, PARTS)],
    check_pareto: [
        lambda points: np.array(unbeaten()(points), int),
        lambda points: tuple(unbeaten()(points)),
    ],
    check_speedup: [lambda seconds, factors: np.float64(sum(seconds.values()) / after(seconds, factors))],
    check_steady: [lambda found: [np.bool_(shown) for shown in show()(found)]],
}
