import numpy as np
import torch

from polyp.course.exercises.notebook_08 import (
    check_calibration_error,
    check_count_leaked,
    check_coverage,
    check_resampled_difference,
    difference_by_video,
    gap_of_bins,
    leaked_frames,
    share_held,
)


def holds(low, truth, high):
    return low <= truth <= high


def count(draw, interval, truth, trials, inside=holds):
    return sum(inside(low, truth, high) for low, high in (interval(*draw()) for _ in range(trials)))


def share(inside):
    return lambda draw, interval, truth, trials: count(draw, interval, truth, trials, inside) / trials


def drawn_once(draw, interval, truth, trials):
    low, high = interval(*draw())
    return float(low <= truth <= high)


def drawn_twice(draw, interval, truth, trials):
    return np.mean([interval(draw()[0], draw()[1])[0] <= truth for _ in range(trials)])


def drawn_too_often(draw, interval, truth, trials):
    return count(draw, interval, truth, trials + 1) / trials


def difference(scores, videos, first, second, drawn, rows=slice(None), videos_alike=False, always_all=False):
    names = np.unique(videos)

    def mean(group, row):
        picked = [scores[group & (videos == name)] for name in np.repeat(names, row)]
        values = [part.mean() for part in picked if len(part)] if videos_alike else np.concatenate(picked)
        return np.mean(values)

    counts = np.ones_like(drawn) if always_all else drawn
    return np.array([mean(first, row) - mean(second, row) for row in counts[rows]])


def in_order_of_appearance(scores, videos, first, second, drawn):
    names = list(dict.fromkeys(videos.tolist()))
    number = np.array([names.index(video) for video in videos])
    return difference(scores, number, first, second, drawn)


def error(bins, gap=np.abs, weigh=True):
    pixels, polyp, stated = bins[bins[:, 0] > 0].T
    return np.average(gap((polyp - stated) / pixels), weights=pixels if weigh else None)


WRONG = {
    check_count_leaked: [
        ("count_leaked returns nothing; return a whole number", lambda test, train, video: None),
        (
            "you return 2, expected 1; count test frames, not videos",
            lambda a, b, video: sum(video[frame] in {video[t] for t in a} for frame in b),
        ),
        (
            "you return 1, expected 2; count test frames, not videos",
            lambda a, b, video: len({video[frame] for frame in a} & {video[frame] for frame in b}),
        ),
        ("you return 0, expected 1", lambda test, train, video: len(set(test) & set(train))),
        ("your code stopped with KeyError", lambda test, train, video: len({video[test[0] + train[0]]})),
    ],
    check_coverage: [
        ("coverage returns nothing; return a share", lambda draw, interval, truth, trials: None),
        ("expected 0.5; that is how many hold it; divide", count),
        ("the truth must be below the upper end, too", share(lambda low, truth, high: low <= truth)),
        ("the truth must be above the lower end, too", share(lambda low, truth, high: truth <= high)),
        ("you return 1, expected 0.5; draw a new test set in every trial", drawn_once),
        ("interval() wants the scores and videos of one drawn test set", drawn_twice),
        ("draw() was called more often than the 6 trials", drawn_too_often),
        ("your code stopped with TypeError", 0.95),
    ],
    check_resampled_difference: [
        (
            "resampled_difference returns nothing; return an array",
            lambda scores, videos, first, second, drawn: None,
        ),
        (
            "that is the second group's mean minus the first's",
            lambda scores, videos, a, b, drawn: difference(scores, videos, b, a, drawn),
        ),
        ("that is a mean of videos' means", lambda *args: difference(*args, videos_alike=True)),
        (
            "that is the difference of the frames as they are; use drawn",
            lambda *a: difference(*a, always_all=True),
        ),
        ("a video that is drawn twice brings all its frames", in_order_of_appearance),
        (
            "you return an array (0,) of float64, expected an array (1,)",
            lambda *a: difference(*a, rows=slice(0)),
        ),
    ],
    check_calibration_error: [
        ("calibration_error returns nothing; return one number", lambda bins: None),
        ("too sure above, too timid below", lambda bins: error(bins, gap=np.asarray)),
        ("one bin holds nearly all pixels", lambda bins: error(bins, weigh=False)),
        ("an empty bin", lambda bins: error(bins) if bins[:, 0].all() else float("nan")),
        ("an empty bin, [[40, 0, 2.0]", lambda bins: error(bins) * (bins[:, 0] > 0).mean()),
        ("perfect", lambda bins: np.abs(bins[:, 1] / bins[:, 0] - bins[:, 2]).mean()),
    ],
}

ACCEPTED = {
    check_count_leaked: [leaked_frames, lambda *args: np.int64(leaked_frames(*args))],
    check_coverage: [
        share_held,
        lambda *args: np.float32(share_held(*args)),
        lambda draw, interval, truth, trials: np.mean(
            [low <= truth <= high for low, high in (interval(*draw()) for _ in range(trials))]
        ),
    ],
    check_resampled_difference: [
        difference_by_video,
        difference,
        lambda *args: difference_by_video(*args).astype(np.float32),
        lambda *args: torch.from_numpy(difference_by_video(*args)),
        lambda *args: difference_by_video(*args).tolist(),
    ],
    check_calibration_error: [
        gap_of_bins,
        lambda bins: gap_of_bins(bins.astype(np.float32)),
        lambda bins: torch.tensor(gap_of_bins(bins)),
    ],
}
