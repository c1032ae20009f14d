import numpy as np
import torch

from polyp.course.exercises.notebook_04 import (
    VERDICTS,
    check_broken,
    check_could_be,
    check_flip_and_turn,
    check_lost,
    share_lost,
)

RIGHT = {name: truth for name, (truth, _) in VERDICTS.items()}


def flip(turn=np.rot90, image=lambda image: image, mask=lambda mask: mask, mirrors=(False, True), turns=4):
    def flip_and_turn(frame, outline, rng):
        mirror, quarter = rng.choice(mirrors), int(rng.integers(turns))
        if mirror:
            frame, outline = frame[:, ::-1], outline[:, ::-1]
        return image(turn(frame, quarter)), mask(np.rot90(outline, quarter))

    return flip_and_turn


def two_draws(image, mask, rng):
    return np.rot90(image, rng.integers(4)), np.rot90(mask, rng.integers(4))


def in_place(image, mask, rng):
    image[:], mask[:] = image[:, ::-1].copy(), mask[:, ::-1].copy()
    return image, mask


def unseeded(image, mask, rng):
    return flip()(image, mask, np.random.default_rng())


NUMBERS = np.random.default_rng(0)
FRAMES = np.zeros((12, 24, 32, 3), np.uint8)
MASKS = np.zeros((12, 24, 32), np.uint8)
for mask, (y, x) in zip(MASKS, NUMBERS.integers(2, 14, (12, 2)), strict=True):
    mask[y : y + 7, x : x + 9] = 1


def lost(**mistakes):
    return lambda share: share_lost(share, FRAMES, MASKS, **mistakes)


WRONG = {
    check_could_be: [
        ("give a dictionary", None),
        ("judge 'gamma 0.8 on the frame", dict.fromkeys(VERDICTS)),
        ("judge 'gamma 0.8 on the frame", RIGHT | {next(iter(VERDICTS)): 3}),
        *[
            (f"{name!r}: you say {wrong}, expected {truth}: {why}", RIGHT | {name: wrong})
            for name, (truth, why) in VERDICTS.items()
            for wrong in {0, 1, 2} - {truth}
        ],
    ],
    check_flip_and_turn: [
        ("return the new frame and the new mask", lambda image, mask, rng: None),
        ("a function is expected here", None),
        ("expected two arrays", lambda image, mask, rng: image),
        ("your function changed what it was given", in_place),
        ("the frame came in as a uint8 array", flip(image=lambda image: image / 255)),
        ("the mask came in as a uint8 array", flip(mask=lambda mask: mask > 0)),
        (
            "neither turned nor mirrored: turn axes 0 and 1",
            flip(turn=lambda image, k: np.rot90(image, k, axes=(1, 2))),
        ),
        ("draw once, and use", two_draws),
        ("take every random number from `rng`", unseeded),
        ("400 draws showed 4 of the 8", flip(mirrors=(False,))),
        ("400 draws showed 6 of the 8", flip(turns=3)),
    ],
    check_broken: [
        ("give a list of names", None),
        ("give a list of names", "two"),
        ("give a list of names", ["two", "seven"]),
        ("give a list of names", 2),
        ("'five' is sound", ["two", "three", "five", "six"]),
        ("1 more separate frame and mask", ["two", "three"]),
    ],
    check_lost: [
        ("return the share of frames that keep less than half", lambda share: None, FRAMES, MASKS),
        ("a function is expected here", {0.1: 0.0, 0.3: 0.1, 0.6: 0.4}, FRAMES, MASKS),
        ("without p=1.0 only about half", lost(p=0.5), FRAMES, MASKS),
        ("count each frame that lost any pixel", lost(gone=lambda kept: kept < 1), FRAMES, MASKS),
        ("less than half is enough", lost(gone=lambda kept: kept == 0), FRAMES, MASKS),
        ("the mean of what is left", lost(gone=lambda kept: kept), FRAMES, MASKS),
        ("divide by how many there are", lambda share: 12 * lost()(share), FRAMES, MASKS),
        ("its number as the seed", lambda share: lost()(share) / 3, FRAMES, MASKS),
    ],
}

ACCEPTED = {
    check_could_be: [
        RIGHT,
        {name: np.int64(truth) for name, truth in RIGHT.items()},
        {name: float(truth) for name, truth in RIGHT.items()},
    ],
    check_flip_and_turn: [
        flip(),
        lambda image, mask, rng: [*flip()(image, mask, rng)],
    ],
    check_broken: [
        {"two", "three", "six"},
        ["six", "three", "two"],
        np.array(["two", "three", "six"]),
        ["two", "three", "six", "six"],
    ],
    check_lost: [
        (lost(), FRAMES, MASKS),
        (lambda share: np.float32(lost()(share)), FRAMES, MASKS),
        (lambda share: torch.tensor(lost()(share)), FRAMES, MASKS),
    ],
}
