"""Checkers of notebook 12: a mask's size, a card's facts, Amdahl's law, Pareto, a smoother."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import cv2
import numpy as np

from polyp.course.exercises import NotYet, Verdict, ask, checker, compare, correct, difference, noted, read


@checker
def check_mend(mend: Callable) -> Verdict:
    """Exercise 1: `mend(shape, mask)` is the mask (h, w) enlarged to `shape` (H, W), or None.

    Every pixel becomes a block; None where height and width would have to grow by different factors.
    """
    spot = np.zeros((3, 4), np.uint8)
    spot[1, 1:3] = 1
    stair = np.triu(np.ones((2, 3), np.uint8))
    compare(
        mend,
        {
            "a mask of half the frame's height and width": ((6, 8), spot),
            "a third of it": ((6, 9), stair),
            "a mask of the frame's own size": ((3, 4), spot),
            "a mask that is turned by a quarter": ((8, 6), spot),
            "a mask that was cropped to a square": ((6, 8), spot[:, :3]),
        },
        enlarged,
        nothing="mend returns nothing; return the mask at the frame's size, and None only where you must ask",
        hints={
            "only somebody who knows the frame can tell how that happened; return None": _enlarged,
            "cv2.resize wants (width, height), a shape is (height, width)": lambda shape, mask: cv2.resize(
                mask, shape, interpolation=cv2.INTER_NEAREST
            ),
            "a smoothed mask has another border; let every pixel become a block": lambda shape, mask: (
                cv2.resize(mask, shape[::-1], interpolation=cv2.INTER_LINEAR)
            ),
        },
    )
    return correct("a smaller copy can be enlarged; a mask of another shape is a question to who drew it")


def _enlarged(shape: tuple[int, int], mask: np.ndarray) -> np.ndarray:
    return cv2.resize(mask, shape[::-1], interpolation=cv2.INTER_NEAREST)


def enlarged(shape: tuple[int, int], mask: np.ndarray) -> np.ndarray | None:
    """The mask with every pixel a block of the frame's size, or None where its proportions are others."""
    tall, wide = shape[0] / mask.shape[0], shape[1] / mask.shape[1]
    return np.kron(mask, np.ones((round(tall), round(wide)), np.uint8)) if tall == wide else None


@checker
def check_card(facts: dict[str, float] | None, metrics: Mapping[str, Any], parts: Any) -> Verdict:
    """Exercise 2: four facts of a model card, from a run's `metrics.json` and its table of frames.

    `parts` is a pandas table with the columns part and video, one row per frame.
    """
    keys = ("training_videos", "test_videos", "test_dice", "clean_test_frames")
    nothing = "facts is None; make it a dictionary with the keys " + ", ".join(keys)
    found = noted(facts, nothing=nothing, keys=keys, between=(0, math.inf))
    videos = {part: rows["video"].nunique() for part, rows in parts.groupby("part")}
    for key, part in (("training_videos", "train"), ("test_videos", "test")):
        if found[key] == (parts["part"] == part).sum() != videos[part]:
            raise NotYet(f"{key} is the number of frames; frames of one video are no independent evidence")
        if found[key] != videos[part]:
            raise NotYet(f"{key} is {found[key]:g}; count the videos whose part is {part!r}")
    dice = metrics["test"]["dice_per_image"]
    if abs(found["test_dice"] - dice) > 0.005:
        if abs(found["test_dice"] - metrics["val"]["dice_per_image"]) <= 0.005:
            raise NotYet("test_dice is the validation frames' Dice, and those frames chose the epoch")
        raise NotYet(f"test_dice is {found['test_dice']:.3f}; look at dice_per_image in metrics['test']")
    if found["clean_test_frames"] != metrics["test"]["clean"]:
        raise NotYet("clean_test_frames is how many test frames have no polyp: metrics['test']['clean']")
    missing = "" if found["clean_test_frames"] else "; and no word on false alarms, since no frame was clean"
    return correct(f"a Dice of {dice:.2f} on {videos['test']} unseen videos{missing}")


@checker
def check_speedup(speedup: Callable) -> Verdict:
    """Exercise 3: `speedup(seconds, factors)` is how many times as fast all steps together become.

    Both are dictionaries by step; a step without a factor stays as it is, and a factor may be infinite.
    """
    frame = {"read": 2.0, "network": 6.0, "write": 2.0}
    compare(
        speedup,
        {
            "a network that is twice as fast": (frame, {"network": 2}),
            "an infinitely fast network": (frame, {"network": math.inf}),
            "two steps become faster": (frame, {"network": 3, "read": 4}),
            "nothing becomes faster": (frame, {}),
            "a slower network": (frame, {"network": 0.5}),
        },
        times_as_fast,
        nothing="speedup returns nothing; divide the time before by the time after",
        close=1e-9,
        hints={
            "that is the time after; how many times does it fit into the time before?": lambda seconds, f: (
                sum(t / f.get(step, 1) for step, t in seconds.items())
            ),
            "that is the time after as a share of the time before; turn it round": lambda seconds, f: (
                sum(t / f.get(step, 1) for step, t in seconds.items()) / sum(seconds.values())
            ),
            "factors cannot be averaged; add up the times": lambda seconds, f: (
                sum(t * f.get(step, 1) for step, t in seconds.items()) / sum(seconds.values())
            ),
        },
    )
    return correct("what is left alone sets the limit: 4 of 10 parts untouched means 2.5 times at most")


def times_as_fast(seconds: Mapping[str, float], factors: Mapping[str, float]) -> float:
    """How many times as fast all steps together become."""
    return math.fsum(seconds.values()) / math.fsum(t / factors.get(step, 1) for step, t in seconds.items())


Points = list[tuple[float, float]]


@checker
def check_pareto(pareto: Callable) -> Verdict:
    """Exercise 4: `pareto(points)` lists, ascending, the indices of the points that no other one beats.

    Points are (milliseconds, Dice). One beats another if it is no worse in either and better in one.
    """
    compare(
        pareto,
        {
            f"{case}, {points}": (points,)
            for case, points in {
                "one point in the shade of another": [(10, 0.8), (5, 0.7), (12, 0.75)],
                "equally fast, but worse": [(5, 0.7), (5, 0.6), (9, 0.9)],
                "equally good, but slower": [(9, 0.9), (4, 0.6), (7, 0.9)],
                "two that are the same": [(4, 0.6), (4, 0.6), (8, 0.5)],
                "below a straight line, yet unbeaten": [(0, 0.0), (5, 0.3), (10, 1.0)],
                "a single one": [(3, 0.1)],
                "none at all": [],
            }.items()
        },
        unbeaten,
        nothing="pareto returns nothing; return a list of indices",
        hints={
            "fewer milliseconds are better, and more Dice": lambda points: unbeaten(
                [(-t, d) for t, d in points]
            ),
            "one that is better in one number and equal in the other beats, too": _weakly,
            "equal points do not beat each other; both stay": lambda points: [
                i for i in unbeaten(points) if points.index(points[i]) == i
            ],
        },
    )
    return correct("what is left is every choice that a sensible person could make")


def unbeaten(points: Points) -> list[int]:
    """The indices of the points that no other one beats."""
    return [
        i
        for i, (time, dice) in enumerate(points)
        if not any(t <= time and d >= dice and (t, d) != (time, dice) for t, d in points)
    ]


def _weakly(points: Points) -> list[int]:
    return [i for i, (time, dice) in enumerate(points) if not any(t < time and d > dice for t, d in points)]


@checker
def check_steady(steady: Callable) -> Verdict:
    """Exercise 5: `steady(found)` says for each frame of a film whether to show its region.

    Both are lists of bool. A frame's region is shown if it is there and was in 3 of the last 5 frames, this
    one included. The answer for a frame must not change with the frames after it.
    """
    films = {
        "a flash of one frame": "000010000",
        "a polyp with two gaps": "0111011011100",
        "the first frames of a film": "1111",
        "a gap right after three": "1110011",
        "3 in 6, which is too few": "1100010100",
    }
    cases = {f"{name}, {film}": [flag == "1" for flag in film] for name, film in films.items()}
    nothing = "steady returns nothing; return a list of bool, one for each frame"
    for case, found in cases.items():
        whole = _listed(ask(steady, found, case=case, nothing=nothing), len(found))
        for end in range(1, len(found)):
            cut = _listed(ask(steady, found[:end], case=f"{case}, cut after {end}", nothing=nothing), end)
            if difference(cut, whole[:end]):
                raise NotYet(
                    f"{case}: cut after frame {end}, its answers change; a camera has no later frames to "
                    "look at"
                )
    compare(
        steady,
        cases,
        lambda found: _steady(found, len(found)),
        nothing=nothing,
        hints={
            "where the frame itself has nothing, there is nothing to show": lambda found: [
                sum(found[max(0, i - 4) : i + 1]) >= 3 for i in range(len(found))
            ],
            "this frame counts among the five, so four before it": lambda found: [
                now and sum(found[max(0, i - 5) : i + 1]) >= 3 for i, now in enumerate(found)
            ],
            "3 of 5 are enough, also where the film has not had 5 frames yet": lambda found: [
                i >= 4 and shown for i, shown in enumerate(_steady(found, len(found)))
            ],
        },
    )
    return correct("it never looks ahead: cut anywhere, the film before the cut looks the same")


def _steady(found: list[bool], frames: int) -> list[bool]:
    return [found[i] and sum(found[max(0, i - 4) : i + 1]) >= 3 for i in range(frames)]


def _listed(answer: Any, frames: int) -> list:
    flags = read(list, answer, f"a list of {frames} bool")
    if len(flags) != frames:
        raise NotYet(f"you return {len(flags)} answers for {frames} frames")
    return flags
