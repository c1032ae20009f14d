import numpy as np

from polyp.course.exercises.notebook_04 import (
    VERDICTS,
    check_broken,
    check_could_be,
    check_flip_and_turn,
    check_lost,
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


WRONG = {
    check_could_be: [
        ("give a dictionary", None),
        ("judge 'turn frame and mask", dict.fromkeys(VERDICTS)),
        ("expected False: no white-light scope", RIGHT | {"turn red mucosa blue": True}),
        ("expected True: scopes move", RIGHT | {"blur the frame slightly": False}),
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
        ("1 more part frame and mask", ["two", "three"]),
    ],
    check_lost: [
        ("measure at least three shifts", None),
        ("you noted 2 of at least 3", {0.1: 0.0, 0.6: 0.4}),
        ("a key is 60; expected", {0.1: 0.0, 0.3: 0.1, 60: 0.4}),
        ("the value of 0.6 is 40; expected", {0.1: 0.0, 0.3: 0.1, 0.6: 40}),
        ("begin at 0.1", {0.2: 0.0, 0.3: 0.1, 0.6: 0.4}),
        ("should not lose fewer", {0.1: 0.0, 0.3: 0.4, 0.6: 0.1}),
        ("expected few first", {0.1: 0.0, 0.3: 0.0, 0.6: 0.0}),
    ],
}
