import numpy as np

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
        ("guess first, then measure", None),
        ("expected 'guessed' and 'measured'", {"guess": [1, 2, 3, 4], "measured": [1, 2, 3, 4]}),
        ("as many numbers of both", observed([1, 2, 3], [1, 2, 3, 4])),
        ("two lists of at least four", observed([1, 2, 3], [1, 2, 4])),
        ("expected percentages", observed([1, 2, 3, 120], [1, 2, 3, 4])),
        ("or all are the same", observed([1, 2, 3, 4], [0, 2, 3, 4])),
        ("look like shares", observed([3, 30, 10, 8], [0.03, 0.2, 0.1, 0.05])),
        ("the guesses are the measurements", observed([3, 20, 10, 8], [3, 20, 10, 8])),
        ("off by 60 points", observed([70, 70, 80, 60], [10, 10, 20, 0.5])),
    ],
}
