"""Checkers of notebook 08: leaked frames, coverage, the resampled difference, the calibration error.

Each has beside it what the notebook goes on with until the learner's own answer is right.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from polyp.course.exercises import Verdict, checker, compare, correct

Draw = Callable[[], tuple[np.ndarray, np.ndarray]]
Interval = Callable[[np.ndarray, np.ndarray], Sequence[float]]


def leaked_frames(test: Sequence[str], train: Sequence[str], video_of: Mapping[str, int]) -> int:
    """How many of the frames `test` have a frame of their own video in `train`."""
    trained = {video_of[frame] for frame in train}
    return sum(video_of[frame] in trained for frame in test)


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


def share_held(draw: Draw, interval: Interval, truth: float, trials: int) -> float:
    """The share of `trials` drawn test sets whose interval holds the truth."""
    ends = (interval(*draw()) for _ in range(trials))
    return sum(low <= truth <= high for low, high in ends) / trials


@checker
def check_coverage(coverage: Callable[[Draw, Interval, float, int], float]) -> Verdict:
    """Exercise 2: `coverage(draw, interval, truth, trials)` is the share of intervals that hold the truth."""

    def tried(truth: float, lows: list[float], highs: list[float]) -> float:
        """Its answer where the test set drawn n-th has the interval from `lows[n]` to `highs[n]`."""
        left = iter(range(len(lows)))

        def draw() -> tuple[np.ndarray, np.ndarray]:
            if (number := next(left, None)) is None:
                raise ValueError(f"draw() was called more often than the {len(lows)} trials")
            return np.full(2 + number, float(number)), np.arange(2 + number)

        def interval(scores: np.ndarray, videos: np.ndarray) -> tuple[float, float]:
            if len(scores) != len(videos) or scores.mean() != scores[0]:
                raise ValueError("interval() wants the scores and videos of one drawn test set")
            return lows[int(scores[0])], highs[int(scores[0])]

        return coverage(draw, interval, truth, len(lows))

    def held(truth: float, lows: list[float], highs: list[float]) -> int:
        return sum(low <= truth <= high for low, high in zip(lows, highs, strict=True))

    compare(
        tried,
        {
            "three of six intervals hold the truth": (
                0.8,
                [0.7, 0.75, 0.82, 0.85, 0.6, 0.6],
                [0.9, 0.85, 0.9, 0.95, 0.95, 0.75],
            ),
            "one of five holds it, two lie above, two below": (
                0.5,
                [0.6, 0.55, 0.1, 0.2, 0.4],
                [0.9, 0.7, 0.3, 0.4, 0.6],
            ),
            "none holds it": (0.5, [0.6], [0.7]),
        },
        lambda truth, lows, highs: held(truth, lows, highs) / len(lows),
        nothing="coverage returns nothing; return a share of the trials, from 0 to 1",
        close=1e-6,
        hints={
            "that is how many hold it; divide by the number of trials": held,
            "the truth must be below the upper end, too": (
                lambda truth, lows, highs: sum(low <= truth for low in lows) / len(lows)
            ),
            "the truth must be above the lower end, too": (
                lambda truth, lows, highs: sum(truth <= high for high in highs) / len(highs)
            ),
        },
        otherwise="draw a new test set in every trial, and look at its own interval",
    )
    return correct("that is the whole test of an interval: a world with a known truth, and a count")


def difference_by_video(
    scores: np.ndarray, videos: np.ndarray, first: np.ndarray, second: np.ndarray, drawn: np.ndarray
) -> np.ndarray:
    """The mean of one group of frames minus that of another, in every resampled test set.

    Args:
        scores, videos: one entry per frame (frames,).
        first, second: bool (frames,), which frames are in which group.
        drawn: how often each resampled test set holds each video, (draws, videos), in the order of np.unique.
    """
    _, number = np.unique(videos, return_inverse=True)

    def means(group: np.ndarray) -> np.ndarray:
        return (drawn @ np.bincount(number, scores * group)) / (drawn @ np.bincount(number, group))

    return means(first) - means(second)


@checker
def check_resampled_difference(resampled_difference: Callable[..., np.ndarray]) -> Verdict:
    """Exercise 3: `resampled_difference(scores, videos, first, second, drawn)`, see `difference_by_video`."""
    scores = np.array([0.9, 0.2, 0.8, 0.5, 0.7, 0.1, 0.6, 0.95])
    videos = np.array([30, 5, 30, 12, 5, 12, 30, 12])
    first = np.array([1, 1, 0, 0, 1, 1, 0, 0], bool)
    second = np.array([0, 0, 1, 1, 0, 0, 1, 0], bool)
    second_everywhere = np.array([0, 0, 1, 1, 1, 0, 1, 0], bool)
    first_apart = np.array([1, 1, 0, 0, 0, 1, 0, 1], bool)
    once, drawn = np.ones((1, 3), int), np.array([[1, 1, 1], [0, 1, 2], [2, 1, 0], [0, 2, 1]])

    def by_frames(
        scores: np.ndarray, videos: np.ndarray, drawn: np.ndarray, group: np.ndarray
    ) -> list[float]:
        names = np.unique(videos).tolist()
        repeats = [np.array([row[names.index(video)] for video in videos[group]]) for row in drawn]
        return [float(np.repeat(scores[group], times).mean()) for times in repeats]

    def by_videos(
        scores: np.ndarray, videos: np.ndarray, drawn: np.ndarray, group: np.ndarray
    ) -> list[float]:
        names = [name for name in np.unique(videos) if group[videos == name].any()]
        means = np.array([scores[group & (videos == name)].mean() for name in names])
        columns = np.isin(np.unique(videos), names)
        return [float(np.average(means, weights=row[columns])) for row in drawn]

    def minus(mean: Callable, scores, videos, first, second, drawn) -> np.ndarray:
        return np.subtract(*(mean(scores, videos, drawn, group) for group in (first, second)))

    compare(
        resampled_difference,
        {
            "every video drawn once": (scores, videos, first, second, once),
            "four test sets": (scores, videos, first_apart, second_everywhere, drawn),
        },
        lambda *args: minus(by_frames, *args),
        nothing="resampled_difference returns nothing; return an array, a difference for each row of drawn",
        close=1e-5,
        hints={
            "that is the second group's mean minus the first's": lambda *args: -minus(by_frames, *args),
            "that is a mean of videos' means; every drawn frame counts alike": (
                lambda *args: minus(by_videos, *args)
            ),
            "that is the difference of the frames as they are; use drawn": (
                lambda scores, videos, first, second, drawn: np.full(
                    len(drawn), scores[first].mean() - scores[second].mean()
                )
            ),
        },
        otherwise="a video that is drawn twice brings all its frames of the group twice",
    )
    return correct("both groups come from the same draws, so what they share cancels out")


def gap_of_bins(bins: np.ndarray) -> float:
    """The expected calibration error of bins (n, 3): pixels, polyp pixels, summed probability."""
    pixels, polyp, stated = np.asarray(bins, float).T
    return float(np.abs(polyp - stated).sum() / pixels.sum())


@checker
def check_calibration_error(calibration_error: Callable) -> Verdict:
    """Exercise 4: `calibration_error(bins)` is the gap between stated and observed, averaged over pixels.

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
        gap_of_bins,
        nothing="calibration_error returns nothing; return one number",
        close=1e-5,
    )
    return correct("each bin counts by its pixels, so the empty one counts nothing")
