import numpy as np
import torch

from polyp.course.exercises.notebook_00 import check_area_share, check_find_polyp, check_observation


def corners(probs, threshold):
    """The first and last row and column above the threshold; None where nothing is."""
    rows, columns = np.nonzero(probs > threshold)
    return (columns.min(), rows.min(), columns.max(), rows.max()) if len(rows) else None


def but(change):
    return lambda *args: (found := corners(*args)) and change(*found)


def box_of(above):
    rows, columns = np.nonzero(above)
    x, y = columns.min(), rows.min()
    return x, y, columns.max() - x + 1, rows.max() - y + 1


def observed(guessed, measured):
    return {"guessed": guessed, "measured": measured}


def share_of(percent):
    mask = np.zeros((10, 100), np.uint8)
    mask.flat[: 10 * percent] = 1
    return mask


MEASURED = [3, 20, 10, 5]
FOUR = [share_of(percent) for percent in MEASURED]

WRONG = {
    check_area_share: [
        ("area_share returned nothing", lambda mask: None),
        ("a share is meant, not per cent", lambda mask: 100 * mask.mean()),
        ("you return 12, expected 0.5", lambda mask: mask.sum()),
        ("a mask of 288 x 384 with a polyp", lambda mask: 0.5),
        ("an empty mask: you return nan", lambda mask: mask.mean() if mask.any() else np.nan),
    ],
    check_find_polyp: [
        ("find_polyp returned nothing", lambda probs, threshold: None),
        ("x counts columns", but(lambda x, y, right, below: (y, x, below - y + 1, right - x + 1))),
        ("are three columns, not two", but(lambda x, y, right, below: (x, y, right - x, below - y))),
        ("no corner but width and height", but(lambda *box: box)),
        (
            "the last two are width and height, no corner",
            but(lambda x, y, right, below: (x, y, right + 1, below + 1)),
        ),
        (
            "a spot of exactly the threshold",
            lambda probs, threshold: box_of(probs >= threshold),
        ),
        (
            "you return (0, 0, 0, 0), expected None",
            lambda probs, threshold: box_of(probs > threshold) if (probs > threshold).any() else (0,) * 4,
        ),
        (
            "nothing above the threshold: your code stopped",
            lambda probs, threshold: box_of(probs > threshold),
        ),
    ],
    check_observation: [
        ("guess first, then measure", None, FOUR),
        ("expected 'guessed' and 'measured'", {"guess": [1, 2, 3, 4], "measured": [1, 2, 3, 4]}, FOUR),
        ("as many numbers of both", observed([1, 2, 3], MEASURED), FOUR),
        ("two lists of 4 numbers", observed([1, 2, 3], [3, 20, 10]), FOUR),
        ("expected percentages", observed([1, 2, 3, 120], MEASURED), FOUR),
        ("look like shares", observed([3, 30, 10, 8], [0.03, 0.2, 0.1, 0.05]), FOUR),
        ("look like shares", observed([0.03, 0.3, 0.1, 0.08], [0.03, 0.2, 0.1, 0.05]), FOUR),
        ("frame 2: 25.0 % measured, but masks[1] covers 20.0 %", observed(MEASURED, [3, 25, 10, 5]), FOUR),
        ("frame 1: 20.0 % measured", observed([3, 30, 10, 8], MEASURED[1:] + MEASURED[:1]), FOUR),
        ("the guesses are the measurements", observed(MEASURED, MEASURED), FOUR),
        ("off by 60 points", observed([70, 70, 70, 68], MEASURED), FOUR),
    ],
}

ACCEPTED = {
    check_area_share: [np.mean, lambda mask: np.float32(mask.mean()), lambda mask: torch.tensor(mask.mean())],
    check_find_polyp: [
        lambda probs, threshold: box_of(probs > threshold) if (probs > threshold).any() else None,
        lambda probs, threshold: np.array(box_of(probs > threshold)) if (probs > threshold).any() else None,
    ],
    check_observation: [
        (observed([4, 30, 10, 8], MEASURED), FOUR),
        (observed((4, 30, 10, 8), np.array(MEASURED, np.float32)), FOUR),
    ],
}
