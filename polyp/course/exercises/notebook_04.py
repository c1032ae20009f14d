"""Checkers of notebook 04, augmentation."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import cv2
import numpy as np

from polyp.course.exercises import NotYet, Verdict, ask, checker, compare, correct, show
from polyp.data.augmentation import A, apply

Pair = tuple[np.ndarray, np.ndarray]

VERDICTS = {
    "gamma 0.8 on the frame, the mask as it was": (0, "processors set gamma, and no pixel moves"),
    "shear frame and mask by 10 degrees": (
        0,
        "a wall seen at a slant looks like that, and the mask comes along",
    ),
    "move the frame by 5 %, the mask not at all": (2, "the outline no longer lies on the polyp"),
    "blend two frames half and half, and join their masks": (1, "no scope shows two places at once"),
    "shift frame and mask until the polyp is out of view": (
        0,
        "scopes see many frames without a polyp, and an empty mask is right for them",
    ),
    "mirror frame and mask, with the date in the picture": (1, "no processor writes in mirror writing"),
    "blur the frame until no border is left, the mask as it was": (
        2,
        "a scope out of focus sends such frames, but there no expert could draw this outline",
    ),
}


@checker
def check_could_be(answer: Mapping[str, int] | None) -> Verdict:
    """Exercise 1: the question that each transform fails, 1 or 2, or 0 for neither."""
    if not isinstance(answer, Mapping):
        raise NotYet("give a dictionary with 0, 1 or 2 for each of the seven transforms")
    for name, (truth, why) in VERDICTS.items():
        if answer.get(name) not in (0, 1, 2):
            raise NotYet(f"judge {name!r}: 0, 1 or 2")
        if answer[name] != truth:
            raise NotYet(f"{name!r}: you say {int(answer[name])}, expected {truth}: {why}")
    return correct("a transform must leave a frame that a scope could send, and a mask that fits it")


def symmetries(picture: np.ndarray) -> list[np.ndarray]:
    """The eight ways to mirror and turn (H, W) or (H, W, 3) by quarter turns."""
    return [np.rot90(start, turns) for start in (picture, picture[:, ::-1]) for turns in range(4)]


def _coded_pair(height: int, width: int) -> Pair:
    """A frame whose numbers all differ, and a mask without symmetry."""
    codes = np.arange(height * width, dtype=np.uint8).reshape(height, width)
    mask = np.random.default_rng(0).integers(0, 2, (height, width), dtype=np.uint8)
    return np.stack([codes, codes + 64, codes + 128], axis=2), mask


def _one_draw(augment: Callable[..., Any], pair: Pair, seed: int) -> int:
    """Which of the eight symmetries frame and mask both show."""
    case, rng = f"with np.random.default_rng({seed})", np.random.default_rng(seed)
    nothing = "return the new frame and the new mask: `return image, mask`"
    answer = ask(augment, *pair, rng, case=case, nothing=nothing)
    if not isinstance(answer, tuple | list) or len(answer) != 2:
        raise NotYet(f"expected two arrays, the frame and the mask; got {show(answer)}")
    shown = []
    for kind, new, old in zip(("frame", "mask"), answer, pair, strict=True):
        if not isinstance(new, np.ndarray) or new.dtype != old.dtype:
            raise NotYet(f"the {kind} came in as a uint8 array, and must leave as one")
        shown.append([i for i, way in enumerate(symmetries(old)) if np.array_equal(new, way)])
        if not shown[-1]:
            raise NotYet(f"the {kind} came out {new.shape}, neither turned nor mirrored: turn axes 0 and 1")
    if shown[0] != shown[1]:
        raise NotYet(f"{case} frame and mask went different ways; draw once, and use the values for both")
    return shown[0][0]


@checker
def check_flip_and_turn(augment: Callable[..., Any]) -> Verdict:
    """Exercise 2: image (H, W, 3) and mask (H, W), mirrored and turned by one draw from a generator."""
    pairs = _coded_pair(5, 7), _coded_pair(6, 6)  # where height and width differ, a quarter turn swaps them
    seen = {_one_draw(augment, pair, seed) for pair in pairs for seed in range(200)}
    if len({_one_draw(augment, pairs[0], 1) for _ in range(20)}) > 1:
        raise NotYet("the same rng gave different results: take every random number from `rng`")
    if len(seen) < 8:
        raise NotYet(f"400 draws showed {len(seen)} of the 8: mirrored or not, times 0 to 3 quarter turns")
    return correct("one draw moves both, and all eight symmetries of the rectangle of pixels occur")


def _mirror_and_lighten(image: np.ndarray, mask: np.ndarray, seed: int) -> Pair:
    if np.random.default_rng(seed).random() < 0.5:
        image, mask = image[:, ::-1], mask[:, ::-1]
    return (image * 0.8 + 40).astype(np.uint8), mask


def _two_coins(image: np.ndarray, mask: np.ndarray, seed: int) -> Pair:
    first, second = np.random.default_rng(seed).random(2)
    return image[:, ::-1] if first < 0.5 else image, mask[:, ::-1] if second < 0.5 else mask


def _shift(image: np.ndarray, mask: np.ndarray, seed: int, mixed_up: bool = False) -> Pair:
    shift = np.random.default_rng(seed).integers(-8, 9, 2)
    return np.roll(image, shift, (0, 1)), np.roll(mask, shift[::-1] if mixed_up else shift, (0, 1))


def _blur(image: np.ndarray, mask: np.ndarray, seed: int) -> Pair:
    if np.random.default_rng(seed).random() < 0.5:
        image, mask = image[::-1, ::-1], mask[::-1, ::-1]
    return cv2.GaussianBlur(np.ascontiguousarray(image), (5, 5), 0), mask


def _turn_apart(image: np.ndarray, mask: np.ndarray, seed: int) -> Pair:
    degrees = np.random.default_rng(seed).uniform(-30, 30)
    size = mask.shape[::-1]
    centre = (size[0] / 2 - 0.5, size[1] / 2 - 0.5)
    there, back = (cv2.getRotationMatrix2D(centre, angle, 1.0) for angle in (degrees, -degrees))
    return cv2.warpAffine(image, there, size), cv2.warpAffine(mask, back, size, flags=cv2.INTER_NEAREST)


SUSPECTS: dict[str, Callable[[np.ndarray, np.ndarray, int], Pair]] = {
    "one": _mirror_and_lighten,
    "two": _two_coins,
    "three": partial(_shift, mixed_up=True),
    "four": _shift,
    "five": _blur,
    "six": _turn_apart,
}
"""Six augmentations of (image, mask, seed), some of them broken: exercise 4 finds out which."""

_BROKEN = {
    "two": "frame and mask each toss a coin of their own",
    "three": "right and down are swapped for the mask",
    "six": "the mask turns the other way",
}


@checker
def check_broken(answer: list[str] | None) -> Verdict:
    """Exercise 4: the names of the `SUSPECTS` that do not move the mask with the frame."""
    if (
        not isinstance(answer, list | tuple | set | np.ndarray)
        or not set(map(str, answer)) <= SUSPECTS.keys()
    ):
        raise NotYet(f"give a list of names out of {', '.join(SUSPECTS)}")
    named = set(map(str, answer))
    if sound := sorted(named - _BROKEN.keys()):
        raise NotYet(f"{sound[0]!r} is sound, expected a list without it: its mask arrives with every frame")
    if missing := _BROKEN.keys() - named:
        raise NotYet(
            f"{len(missing)} more separate frame and mask, but not with every seed; look at the worst of 20"
        )
    return correct("; ".join(f"{name}: {why}" for name, why in _BROKEN.items()))


def share_lost(
    share: float,
    images: np.ndarray,
    masks: np.ndarray,
    p: float = 1.0,
    gone: Callable[[np.ndarray], np.ndarray] = lambda kept: kept < 0.5,
) -> float:
    """In what share of frames less than half of the polyp remains after a random shift.

    Args:
        share: the largest shift, as a share of the frame.
        images, masks: uint8 (n, H, W, 3) and {0, 1} (n, H, W); a frame's number is its seed.
        p, gone: what learners get wrong: how often it shifts, and which shares of the polyp count as lost.
    """
    shift = A.Compose([A.Affine(translate_percent=(-share, share), p=p)])
    pairs = zip(images, masks, strict=True)
    kept = [apply(shift, i, m, number)[1].sum() / m.sum() for number, (i, m) in enumerate(pairs)]
    return float(np.mean(gone(np.array(kept))))


@checker
def check_lost(lost: Callable[[float], float], images: np.ndarray, masks: np.ndarray) -> Verdict:
    """Exercise 3: largest shift, a share of the frame -> share of frames that lost half of their polyp."""
    truth = partial(share_lost, images=images, masks=masks)
    compare(
        lost,
        [(0.6,), (0.3,), (0.1,)],
        truth,
        nothing="return the share of frames that keep less than half of their polyp's pixels",
        close=1e-6,
        hints={
            "without p=1.0 only about half of the frames are shifted": partial(truth, p=0.5),
            "you count each frame that lost any pixel; count those that kept less than half": partial(
                truth, gone=lambda kept: kept < 1
            ),
            "you count only frames without any polyp left; less than half is enough": partial(
                truth, gone=lambda kept: kept == 0
            ),
            "that is the mean of what is left; count the frames where it is below 0.5": partial(
                truth, gone=lambda kept: kept
            ),
            "that is a number of frames; divide by how many there are": lambda share: (
                truth(share) * len(masks)
            ),
        },
        otherwise="shift each frame with its number as the seed, and compare its mask after with before",
    )
    told = f"up to {0.1:.0%} loses {truth(0.1):.0%} of the frames, up to {0.6:.0%} loses {truth(0.6):.0%}"
    return correct(f"{told}: its strength decides when an augmentation stops being true of your data")
