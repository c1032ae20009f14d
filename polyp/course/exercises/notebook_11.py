"""Checkers of notebook 11: conventions, doubts, a hospital left out, clean frames, the operating point."""

from collections.abc import Callable
from itertools import product

import numpy as np
from scipy import ndimage

from polyp.course.exercises import NotYet, Verdict, ask, checker, compare, correct, difference, show
from polyp.run import Scores

# --- Exercise 1: which convention a table used -----------------------------------------------------

SECRET = "background_pooled"  # please do not look before you have tried


def fictional_paper(scores: Scores) -> float:
    """What a paper that does not exist says of these masks: its "mIoU", three digits."""
    tp, fp, fn, tn = (scores.frames[name].sum() for name in ("tp", "fp", "fn", "tn"))
    iou = (tp / (tp + fp + fn) + tn / (tn + fp + fn)) / 2
    return round(float(iou), 3)


@checker
def check_convention(convention: str | None, scores: Scores) -> Verdict:
    """Exercise 1: the name (column `convention` of the table) of the row that the fictional paper used."""
    names = scores.table["convention"].unique().tolist()
    if convention is None:
        raise NotYet("no convention is named; expected a name from the column convention, such as 'pooled'")
    if convention not in names:
        raise NotYet(f"{show(convention)} is no row of the table; its names are {', '.join(names)}")
    rows = scores.table[scores.table["convention"] == convention]
    ours = dict(zip(rows["score"], rows["value"].round(3), strict=True))
    if set(ours) != {"dice", "iou"}:
        raise NotYet(f"{convention} has no IoU of its own; the paper gives one")
    iou = fictional_paper(scores)
    if convention != SECRET:
        raise NotYet(
            f"by {convention} these masks have an IoU of {ours['iou']:.3f}, the paper says {iou:.3f}"
        )
    polyp = scores.value("pooled", "iou")
    return correct(
        f"half of the paper's {iou:.3f} is background, which is most of every frame and easy; the polyp "
        f"alone has {polyp:.3f}"
    )


# --- Exercise 2: may two rows be compared? ---------------------------------------------------------

ROW = {"trained_on": "train-1450", "tested_on": "test-62", "convention": "image mean", "chosen_on": "val"}
TABLE_CASES = {
    "the same in everything": (ROW, dict(ROW)),
    "other test frames": (ROW, ROW | {"tested_on": "fold-0"}),
    "another convention and more to train on": (
        ROW,
        ROW | {"trained_on": "train-3000", "convention": "pooled"},
    ),
    "one paper does not say how its epoch was chosen": (ROW, ROW | {"chosen_on": None}),
    "neither paper says which convention it uses": (
        ROW | {"convention": None},
        ROW | {"convention": None},
    ),
    "one epoch chosen on the test frames": (ROW, ROW | {"chosen_on": "test"}),
    "both epochs chosen on the test frames": (ROW | {"chosen_on": "test"}, ROW | {"chosen_on": "test"}),
}


@checker
def check_doubts(doubts: Callable[[dict, dict], set]) -> Verdict:
    """Exercise 2: `doubts(a, b)` is the set of keys that speak against comparing two rows of a table."""
    compare(
        doubts,
        {f"{case}: {second}": (first, second) for case, (first, second) in TABLE_CASES.items()},
        doubts_between,
        nothing="doubts returns nothing; return a set of keys, empty where nothing speaks against it",
        hints={
            "what a paper does not say (None) is a doubt too, also if neither says it": lambda a, b: {
                key for key in doubts_between(a, b) if (a[key], b[key]) != (None, None)
            },
            "chosen on the test frames is a doubt, also if both did it": lambda a, b: {
                key for key in a if a[key] != b[key] or a[key] is None
            },
        },
    )
    return correct("different, unknown, or chosen on test: each is a reason to ask before ranking")


def doubts_between(a: dict, b: dict) -> set:
    """The keys that speak against comparing two rows."""
    unlike = {key for key in a if a[key] != b[key] or None in (a[key], b[key])}
    return unlike | {"chosen_on"} if "test" in (a["chosen_on"], b["chosen_on"]) else unlike


# --- Exercise 3: one hospital left out -------------------------------------------------------------

HOSPITAL_OF = {"1": "A", "2": "A", "3": "A", "4": "B", "5": "B", "6": "C", "7": "C", "8": "A"}
PATIENT_OF = {"1": 11, "2": 11, "3": 12, "4": 13, "5": 12, "6": 14, "7": 15, "8": 16}  # 12: in A and in B


@checker
def check_leave_out(leave_out: Callable) -> Verdict:
    """Exercise 3: `leave_out(hospital, hospital_of, patient_of)` is (train, test), sets of frames."""
    compare(
        leave_out,
        {f"leave out {name}": (name, HOSPITAL_OF, PATIENT_OF) for name in "CAB"},
        _leave_out,
        nothing="leave_out returns nothing; return two sets of frames, (train, test)",
        parts=("train", "test"),
        hints={
            "a patient of the hospital left out was also examined elsewhere; may they be in training?": (
                lambda name, of, _: ({f for f in of if of[f] != name}, {f for f in of if of[f] == name})
            ),
            "the test is all of that hospital, and of no other": lambda name, of, patient: (
                _leave_out(name, of, patient)[0],
                {f for f in of if f not in _leave_out(name, of, patient)[0]},
            ),
        },
    )
    return correct("every frame of the hospital is tested, and none of its patients trains")


def _leave_out(name: str, hospital_of: dict, patient_of: dict) -> tuple[set, set]:
    test = {frame for frame, hospital in hospital_of.items() if hospital == name}
    patients = {patient_of[frame] for frame in test}
    return {f for f in hospital_of if f not in test and patient_of[f] not in patients}, test


# --- Exercise 4: clean frames marked ---------------------------------------------------------------


def _map(*regions: tuple[float, int], shape: tuple[int, int] = (12, 16)) -> np.ndarray:
    """Probabilities with one row of pixels for each region: its probability and its number of pixels."""
    probs = np.zeros(shape)
    for number, (value, pixels) in enumerate(regions):
        probs[2 * number + 1, 1 : 1 + pixels] = value
    return probs


def _mask(pixels: int, shape: tuple[int, int] = (12, 16)) -> np.ndarray:
    return _map((1, pixels), shape=shape).astype(np.uint8)


CLEAN_CASES = {
    "one clean frame marked, one not": ([_map((0.9, 12)), _map()], [_mask(0), _mask(0)]),
    "a polyp's frame beside a clean one": ([_map((0.9, 12)), _map()], [_mask(12), _mask(0)]),
    "specks that are together as large as a region": ([_map((0.9, 6), (0.9, 6))], [_mask(0)]),
    "a region of just the least size, and one a pixel smaller": (
        [_map((0.9, 10)), _map((0.9, 9))],
        [_mask(0), _mask(0)],
    ),
    "a probability just at the threshold, which is not above it": ([_map((0.5, 12))], [_mask(0)]),
    "no clean frame at all, of which no share can be marked": ([_map((0.9, 12))], [_mask(12)]),
}


@checker
def check_clean_marked(clean_marked: Callable) -> Verdict:
    """Exercise 4: `clean_marked(probs, masks, threshold, least)` is a share of the frames without a polyp.

    One is marked if a connected region of at least `least` pixels has probabilities above the threshold.
    """
    compare(
        clean_marked,
        {case: (probs, masks, 0.5, 10) for case, (probs, masks) in CLEAN_CASES.items()},
        share_marked,
        nothing="clean_marked returns nothing; return a share from 0 to 1, or NaN without clean frames",
        close=1e-9,
        hints={
            "only frames without a polyp count, above and below": lambda probs, masks, threshold, least: (
                _share([_largest(p, threshold) >= least for p in probs])
            ),
            "look at each connected region by itself": lambda probs, masks, threshold, least: _share(
                [(p > threshold).sum() >= least for p, m in zip(probs, masks, strict=True) if not m.any()]
            ),
        },
    )
    return correct("a region counts from the least size on, and a frame with a polyp says nothing here")


def _largest(probs: np.ndarray, threshold: float) -> int:
    labels, _ = ndimage.label(probs > threshold, np.ones((3, 3)))
    return int(np.bincount(labels.ravel())[1:].max(initial=0))


def share_marked(probs: list, masks: list, threshold: float, least: int) -> float:
    """The share of the frames without a polyp in which a region is marked."""
    clean = [p for p, mask in zip(probs, masks, strict=True) if not mask.any()]
    return _share([_largest(p, threshold) >= least for p in clean])


def _share(marked: list) -> float:
    return float(sum(marked) / len(marked)) if marked else float("nan")


# --- Exercise 5: the operating point ---------------------------------------------------------------

POINT_CASES = {
    "one pair is allowed": ([[9, 7], [6, 5]], [[8, 6], [4, 0]], 10, 10, 0.1),
    "three are allowed": ([[9, 8], [6, 5]], [[8, 1], [1, 0]], 10, 10, 0.2),
    "as many polyps at fewer alarms": ([[9, 8], [8, 5]], [[3, 2], [1, 0]], 10, 10, 0.2),
    "just as many alarms as are allowed": ([[9, 8], [6, 5]], [[3, 2], [1, 0]], 10, 10, 0.2),
    "none is allowed": ([[9, 8], [6, 5]], [[9, 9], [8, 7]], 10, 10, 0.1),
    "few polyps and many clean frames": ([[3, 2], [2, 1]], [[40, 12], [9, 4]], 4, 100, 0.1),
}


@checker
def check_choose(choose: Callable) -> Verdict:
    """Exercise 5: `choose(found, marked, polyps, clean, most)` is a pair of indices, or None.

    Of the pairs (peak, least size) that mark at most the share `most` of the clean frames, the one that
    finds the most polyps; of equals the one that marks the fewest.
    """
    nothing = (
        "choose returns nothing; return a pair of indices (i, j), and None only where no pair is allowed"
    )
    for number, (case, (found, marked, polyps, clean, most)) in enumerate(POINT_CASES.items()):
        tables = np.array(found), np.array(marked)
        expected = choose_pair(*tables, polyps, clean, most)
        got = ask(choose, *tables, polyps, clean, most, case=case, nothing=None if number else nothing)
        said = f"{case}: found {found} of {polyps}, marked {marked} of {clean}, at most {most:.0%}"
        if expected is None and got is not None:
            raise NotYet(f"{said}: you choose {show(got)}, but every pair marks too many; return None")
        if wrong := difference(got, expected):
            raise NotYet(f"{said}: {wrong}{_advice(got, expected, *tables, clean, most)}")
    return correct("the limit is set first, in clean frames; then the most polyps, then the fewest alarms")


def choose_pair(
    found: np.ndarray, marked: np.ndarray, polyps: int, clean: int, most: float
) -> tuple[int, int] | None:
    """Of the pairs of knobs that mark at most a share of the clean frames, the one that finds most polyps."""
    allowed = [
        (-found[i, j], marked[i, j], i, j)
        for i, j in product(*map(range, found.shape))
        if marked[i, j] <= most * clean
    ]
    return min(allowed)[2:] if allowed else None


def _advice(got, expected, found: np.ndarray, marked: np.ndarray, clean: int, most: float) -> str:
    pairs = list(product(*map(range, found.shape)))
    if got not in pairs:
        return ""
    if marked[got] > most * clean:
        return "; that pair marks more clean frames than are allowed"
    if found[got] < found[expected]:
        return "; another allowed pair finds more polyps"
    return "; another allowed pair finds as many and marks fewer"
