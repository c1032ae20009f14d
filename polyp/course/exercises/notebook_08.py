"""Checkers of notebook 08: leaked frames, the cluster bootstrap, the calibration error, interval widths."""

import math
from collections import Counter
from collections.abc import Callable
from itertools import chain, product

import numpy as np

from polyp.course.exercises import Verdict, checker, correct, not_yet


@checker
def check_count_leaked(count_leaked: Callable) -> Verdict:
    """Exercise 1: how many test frames have a frame of their own video among the training frames.

    Args:
        count_leaked: takes two lists of frames, test and training, and a dictionary frame -> video.
    """
    video_of = {"1": 7, "2": 7, "3": 8, "4": 8, "5": 9, "6": 7}
    cases = [
        (["1"], ["2"], 1),
        (["1", "6"], ["2"], 2),
        (["1"], ["3", "5"], 0),
        (["1", "3", "5"], ["2", "4", "6"], 2),
        ([], ["2"], 0),
        (["5"], [], 0),
    ]
    for test, train, expected in cases:
        found = count_leaked(list(test), list(train), dict(video_of))
        if found is None:
            return not_yet("count_leaked returns nothing; return a whole number")
        if found != expected:
            return not_yet(
                f"test {test}, train {train}, videos {video_of}: got {found}; expected {expected} (count "
                "test frames, not videos)"
            )
    return correct("a test frame leaks as soon as one frame of its video trains")


def _possible_means(values: np.ndarray, groups: np.ndarray) -> Counter:
    """The mean of every possible draw of whole groups, rounded -> its probability."""
    members = [values[groups == group].tolist() for group in sorted(set(groups.tolist()))]
    chances: Counter = Counter()
    for picked in product(members, repeat=len(members)):
        frames = list(chain(*picked))
        chances[round(math.fsum(frames) / len(frames), 9)] += 1 / len(members) ** len(members)
    return chances


@checker
def check_cluster_bootstrap(cluster_bootstrap: Callable) -> Verdict:
    """Exercise 2: means of test sets that are drawn video by video, with replacement.

    Args:
        cluster_bootstrap: takes scores (n,), videos (n,), a number of draws and a numpy Generator, and
            gives the mean frame score of each drawn test set (draws,).
    """
    cases = {
        "videos of one length": ([0.1, 0.3, 0.9, 0.8, 0.5, 0.6], [1, 1, 2, 2, 3, 3]),
        "videos of 1, 2 and 4 frames, mixed, with gaps between their numbers": (
            [0.2, 0.95, 0.31, 0.84, 0.36, 0.77, 0.4],
            [12, 5, 30, 5, 30, 30, 30],
        ),
        "one video only": ([0.25, 0.75], [4, 4]),
    }
    draws = 4000
    for case, (values, groups) in cases.items():
        values, groups = np.array(values), np.array(groups)
        found = cluster_bootstrap(values.copy(), groups.copy(), draws, np.random.default_rng(0))
        if found is None:
            return not_yet("cluster_bootstrap returns nothing; return an array with a mean for each draw")
        found = np.asarray(found, float)
        if found.shape != (draws,):
            return not_yet(f"{case}: the answer has the shape {found.shape}; expected ({draws},)")
        chances = _possible_means(values, groups)
        possible = np.array(sorted(chances))
        nearest = possible[np.abs(found[:, None] - possible).argmin(axis=1)]
        wrong = np.abs(found - nearest) > 1e-6
        if wrong.any():
            return not_yet(
                f"{case}: scores {values.tolist()}, videos {groups.tolist()} gave a mean of "
                f"{found[wrong][0]:.4f}, which no draw of whole videos has. Does each drawn video bring all "
                "its frames, and is the mean one over frames?"
            )
        for mean, chance in chances.items():
            share = float((np.abs(found - mean) < 1e-6).mean())
            if abs(share - chance) > 6 * math.sqrt(chance * (1 - chance) / draws) + 1e-9:
                return not_yet(
                    f"{case}: the mean {mean:.4f} came up in {share:.1%} of the draws; expected "
                    f"{chance:.1%}. Is every video equally likely in each of as many draws as there are "
                    "videos, with replacement?"
                )
    return correct("compared with every possible draw: whole videos, with replacement, all frames counted")


@checker
def check_calibration_error(calibration_error: Callable) -> Verdict:
    """Exercise 3: the gap between stated and observed, averaged over pixels.

    Args:
        calibration_error: takes an array (bins, 3) of pixels, polyp pixels and summed probability.
    """
    cases = {
        "perfect": [[100, 10, 10.0], [50, 45, 45.0]],
        "too sure above, too timid below": [[100, 20, 10.0], [100, 80, 95.0]],
        "one bin holds nearly all pixels": [[9900, 0, 99.0], [100, 50, 95.0]],
        "an empty bin": [[40, 0, 2.0], [0, 0, 0.0], [10, 10, 8.0]],
    }
    for case, rows in cases.items():
        found = calibration_error(np.array(rows, float))
        if found is None:
            return not_yet("calibration_error returns nothing; return one number")
        expected = math.fsum(abs(polyp - stated) for _, polyp, stated in rows) / sum(row[0] for row in rows)
        if not math.isclose(float(found), expected, abs_tol=1e-9):
            return not_yet(f"{case}: {rows} gave {float(found):.5f}; expected {expected:.5f}")
    return correct("each bin counts by its pixels, so the empty one counts nothing")


@checker
def check_widths(widths: dict[int, float] | None) -> Verdict:
    """Exercise 4: the width of the interval, observed for test sets of fewer videos.

    Args:
        widths: a number of videos -> the width of the 95 % interval; at least three.
    """
    if widths is None:
        return not_yet("widths is None; make it a dictionary {videos: width} of at least 3 numbers of videos")
    if len(widths) < 3:
        return not_yet(f"{len(widths)} numbers of videos observed; expected at least 3")
    for videos, width in widths.items():
        if videos != int(videos) or videos < 2:
            return not_yet(f"{videos!r} is no number of videos; expected whole numbers from 2")
        if not 0 <= float(width) < 1:
            return not_yet(f"{videos} videos have the width {width}; expected upper minus lower end, 0 to 1")
    fewest, *_, most = sorted(widths)
    if most < 2 * fewest:
        return not_yet(
            f"from {fewest} to {most} videos is little; take a most that is at least twice the least"
        )
    if float(widths[fewest]) <= float(widths[most]):
        return not_yet(
            f"{fewest} videos gave {widths[fewest]:.3f} and {most} gave {widths[most]:.3f}; fewer videos "
            "should leave more doubt. One small draw can be lucky: take the mean of several"
        )
    rule = widths[fewest] * math.sqrt(fewest / most)
    return correct(
        f"from {fewest} to {most} videos the interval shrinks from {widths[fewest]:.2f} to "
        f"{widths[most]:.2f}; the square-root rule would say to {rule:.2f}"
    )
