"""Checkers of notebook 08: leaked frames, the cluster bootstrap, the calibration error, interval widths."""

import math
from collections import Counter
from collections.abc import Callable
from itertools import chain, product
from operator import index

import numpy as np

from polyp.course.exercises import NotYet, Verdict, ask, checker, compare, correct, noted, read


@checker
def check_count_leaked(count_leaked: Callable) -> Verdict:
    """Exercise 1: `count_leaked(test, train, video_of)` is how many test frames have their video in train."""
    video_of = {"1": 7, "2": 7, "3": 8, "4": 8, "5": 9, "6": 7}
    cases = ["1", "2"], ["1", "26"], ["16", "2"], ["1", "35"], ["135", "246"], ["", "2"], ["5", ""]
    compare(
        count_leaked,
        [(list(test), list(train), video_of) for test, train in cases],
        lambda test, train, video: sum(any(video[a] == video[b] for b in train) for a in test),
        nothing="count_leaked returns nothing; return a whole number",
        otherwise="count test frames, not videos or training frames",
    )
    return correct("a test frame leaks as soon as one frame of its video trains")


@checker
def check_cluster_bootstrap(cluster_bootstrap: Callable) -> Verdict:
    """Exercise 2: `cluster_bootstrap(scores, videos, draws, rng)` gives the mean score of each test set.

    Scores and videos are arrays (frames,); whole videos are drawn by a numpy Generator, with replacement.
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
    nothing = "cluster_bootstrap returns nothing; return an array with a mean for each draw"
    for case, (values, groups) in cases.items():
        scores, videos, rng = np.array(values), np.array(groups), np.random.default_rng(0)
        answer = ask(cluster_bootstrap, scores, videos, draws, rng, case=case, nothing=nothing)
        found = read(lambda means: np.array(means, float), answer, f"an array ({draws},)")
        if found.shape != (draws,):
            raise NotYet(f"{case}: the answer has the shape {found.shape}; expected ({draws},)")
        counted, chances = Counter(found.round(6).tolist()), _possible_means(scores, videos)
        if strange := counted.keys() - chances.keys():
            raise NotYet(
                f"{case}: scores {values}, videos {groups} gave a mean of {min(strange):.4f}, which no draw "
                "of whole videos has. Does each drawn video bring all its frames, and is the mean one over "
                "frames?"
            )
        for mean, chance in chances.items():
            share = counted[mean] / draws
            if abs(share - chance) > 6 * math.sqrt(chance * (1 - chance) / draws) + 1e-9:
                raise NotYet(
                    f"{case}: the mean {mean:.4f} came up in {share:.1%} of the draws; expected "
                    f"{chance:.1%}. Is every video equally likely in each of as many draws as there are "
                    "videos, with replacement?"
                )
    return correct("compared with every possible draw: whole videos, with replacement, all frames counted")


def _possible_means(values: np.ndarray, groups: np.ndarray) -> Counter:
    """The mean of every possible draw of whole groups, rounded -> its probability."""
    members = [values[groups == group].tolist() for group in np.unique(groups)]
    chances: Counter = Counter()
    for picked in product(members, repeat=len(members)):
        frames = list(chain(*picked))
        chances[round(math.fsum(frames) / len(frames), 6)] += 1 / len(members) ** len(members)
    return chances


@checker
def check_calibration_error(calibration_error: Callable) -> Verdict:
    """Exercise 3: `calibration_error(bins)` is the gap between stated and observed, averaged over pixels.

    The bins (n, 3) are of pixels, polyp pixels and summed probability.
    """
    cases = {
        "perfect": [[100, 10, 10.0], [50, 45, 45.0]],
        "too sure above, too timid below": [[100, 20, 10.0], [100, 80, 95.0]],
        "one bin holds nearly all pixels": [[9900, 0, 99.0], [100, 50, 95.0]],
        "an empty bin": [[40, 0, 2.0], [0, 0, 0.0], [10, 10, 8.0]],
    }
    compare(
        calibration_error,
        {f"{case}, {rows}": (np.array(rows, float),) for case, rows in cases.items()},
        lambda bins: math.fsum(abs(polyp - stated) for _, polyp, stated in bins) / bins[:, 0].sum(),
        nothing="calibration_error returns nothing; return one number",
        close=1e-6,
    )
    return correct("each bin counts by its pixels, so the empty one counts nothing")


@checker
def check_widths(widths: dict[int, float] | None) -> Verdict:
    """Exercise 4: the width of the 95 % interval for at least three numbers of videos."""
    nothing = "widths is None; make it a dictionary {videos: width} of at least 3 numbers of videos"
    found = noted(widths, nothing=nothing, keys_between=(2, 1e6), least=3)
    counts = [read(index, videos, "a whole number of videos") for videos in found]
    (fewest, *_, most), (wide, *_, narrow) = counts, found.values()
    if most < 2 * fewest:
        raise NotYet(
            f"from {fewest} to {most} videos is little; take a most that is at least twice the least"
        )
    if wide <= narrow:
        raise NotYet(
            f"{fewest} videos gave {wide:.3f} and {most} gave {narrow:.3f}; fewer videos "
            "should leave more doubt. One small draw can be lucky: take the mean of several"
        )
    return correct(
        f"from {fewest} to {most} videos the interval shrinks from {wide:.2f} to {narrow:.2f}; the "
        f"square-root rule would say to {wide * math.sqrt(fewest / most):.2f}"
    )
