import numpy as np

from polyp.course.exercises.notebook_08 import (
    check_calibration_error,
    check_cluster_bootstrap,
    check_count_leaked,
    check_widths,
)


def bootstrap(pick=lambda rng, n: rng.integers(0, n, n), members=None, mean=np.concatenate):
    def cluster_bootstrap(scores, videos, draws, rng):
        groups = members or [scores[videos == video] for video in np.unique(videos)]
        return np.array([np.mean(mean([groups[k] for k in pick(rng, len(groups))])) for _ in range(draws)])

    return cluster_bootstrap


def of_frames(scores, videos, draws, rng):
    return rng.choice(scores, (draws, len(scores))).mean(axis=1)


def by_largest_number(scores, videos, draws, rng):
    return bootstrap()(scores, rng.permutation(videos), draws, rng)


def of_videos(groups):
    return [group.mean() for group in groups]


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
    check_cluster_bootstrap: [
        ("cluster_bootstrap returns nothing; return an array", lambda scores, videos, draws, rng: None),
        ("you give 'many', expected an array (4000,)", lambda scores, videos, draws, rng: "many"),
        ("the answer has the shape (); expected (4000,)", lambda scores, videos, draws, rng: scores.mean()),
        ("which no draw of whole videos has. Does each", of_frames),
        ("mixed, with gaps between their numbers: scores [0.2, 0.95", bootstrap(mean=of_videos)),
        (
            "the mean 0.2000 came up in 0.0% of the draws; expected 3.7%",
            bootstrap(pick=lambda rng, n: rng.permutation(n)),
        ),
        ("Is every video equally likely", bootstrap(pick=lambda rng, n: np.sort(rng.integers(0, n, n) // 2))),
        (
            "videos of one length: the mean 0.2000 came up in",
            bootstrap(pick=lambda rng, n: rng.integers(0, n, 1)),
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
    check_widths: [
        ("widths is None; make it a dictionary", None),
        ("you noted 2 of at least 3 results", {10: 0.3, 29: 0.1}),
        ("a key is 1; expected a number from 2", {1: 0.3, 10: 0.2, 29: 0.1}),
        ("the value of 10 is 20", {10: 20, 20: 14, 29: 10}),
        ("you give 'all', expected a key to be a number", {"all": 0.1, 10: 0.2, 20: 0.3}),
        ("from 20 to 29 videos is little", {20: 0.3, 25: 0.2, 29: 0.1}),
        ("10 videos gave 0.100 and 29 gave 0.300; fewer videos", {29: 0.3, 10: 0.1, 20: 0.2}),
        ("you give 14.5, expected a whole number of videos", {14.5: 0.3, 20: 0.2, 29: 0.1}),
    ],
}
