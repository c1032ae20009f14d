import math

import cv2
import numpy as np

from polyp.course.exercises.notebook_01 import (
    check_count_polyps,
    check_observed,
    check_shiny_inside,
    check_split_by_video,
    drawn_videos,
    own_video_share,
)


def shine(limit=220, axis_wise=np.min, empty=np.nan):
    def shiny_inside(image, mask):
        polyp = image[mask == 1]
        return float((axis_wise(polyp, axis=1) > limit).mean()) if len(polyp) else empty

    return shiny_inside


def count(connectivity=8, first=1, least=np.greater_equal):
    def count_polyps(mask, smallest):
        stats = cv2.connectedComponentsWithStats(mask, connectivity=connectivity)[2]
        return int(least(stats[first:, cv2.CC_STAT_AREA], smallest).sum())

    return count_polyps


def split(draw):
    """A split by the videos that `draw(names, count, generator)` chooses."""

    def split_by_video(videos, test_share, seed):
        names = np.unique(videos)
        number = max(1, round(test_share * len(names)))
        return np.isin(videos, draw(names, number, np.random.default_rng(seed)))

    return split_by_video


def split_frames(videos, test_share, seed):
    return np.random.default_rng(seed).random(len(videos)) < test_share


def split_rounded(rounding):
    def split_by_video(videos, test_share, seed):
        names = np.unique(videos)
        number = max(1, rounding(test_share * len(names) + 1e-9 * (rounding is math.floor)))
        return np.isin(videos, np.random.default_rng(seed).permutation(names)[:number])

    return split_by_video


def split_by_drawn_frames(videos, test_share, seed):
    """Whole videos, but drawn among frames, so that a long video may be drawn twice."""
    number = max(1, round(test_share * len(np.unique(videos))))
    return np.isin(videos, np.random.default_rng(seed).choice(videos, number, replace=False))


def six_frames():
    """Two videos of three frames: each video has its own pattern, and its frames hardly differ."""
    rng = np.random.default_rng(0)
    scenes = rng.integers(0, 200, (2, 16, 20, 3))
    images = np.concatenate([scene + rng.integers(0, 5, (3, 16, 20, 3)) for scene in scenes])
    return images.astype(np.uint8), np.array([1, 1, 1, 2, 2, 2])


SIX = six_frames()
unseeded = np.random.default_rng(0)

WRONG = {
    check_shiny_inside: [
        ("shiny_inside returns None", lambda image, mask: None),
        (
            "a white frame: your code stopped with IndexError",
            lambda image, mask: (image[mask == 2][0] > 220).mean(),
        ),
        (
            "inside the mask: you return 0.05, expected 0.25",
            lambda image, mask: float((image.min(axis=2) > 220).mean()),
        ),
        ("only one channel is bright: you return 1, expected 0", shine(axis_wise=np.max)),
        ("220 is not above 220: you return 1, expected 0", shine(limit=219)),
        ("an empty mask has no share: you return 0, expected nan", shine(empty=0.0)),
        ("an empty mask has no share: you return None, expected nan", shine(empty=None)),
    ],
    check_count_polyps: [
        ("count_polyps returns None", lambda mask, smallest: None),
        ("an empty mask: you return 1, expected 0", count(first=0)),
        ("two squares that touch at a corner: you return 2, expected 1", count(connectivity=4)),
        (
            "smallest=10: you return 2, expected 1",
            lambda mask, smallest: cv2.connectedComponents(mask)[0] - 1,
        ),
        ("the same, smallest=9: you return 1, expected 2", count(least=np.greater)),
    ],
    check_split_by_video: [
        ("split_by_video returns None", lambda videos, test_share, seed: None),
        ("16 booleans", lambda videos, test_share, seed: np.isin(videos, [1, 2, 3]).astype(int)),
        ("16 booleans", lambda videos, test_share, seed: np.isin(np.unique(videos), [1, 2, 3])),
        ("an array of booleans", lambda videos, test_share, seed: [[True], [True, False]]),
        ("has frames on both sides", split_frames),
        ("7 videos are for testing, expected 3", split(lambda names, n, rng: names[n:])),
        ("test_share 0.27, seed 0: 2 videos are for testing, expected 3", split_rounded(math.floor)),
        ("test_share 0.23, seed 0: 3 videos are for testing, expected 2", split_rounded(math.ceil)),
        ("2 videos are for testing, expected 3", split(lambda names, n, rng: rng.choice(names, n))),
        ("2 videos are for testing, expected 3", split_by_drawn_frames),
        ("a seed gave two different splits", split(lambda names, n, rng: unseeded.permutation(names)[:n])),
        ("all gave the same split", split(lambda names, n, rng: names[:n])),
    ],
    check_observed: [
        ("observed is None", None, *SIX),
        ("you noted 2 of at least 3", {1: 0.7, 32: 1.0}, *SIX),
        ("a key is 0", {0: 0.5, 4: 0.8, 32: 1.0}, *SIX),
        ("expected some from 2 or less", {4: 0.7, 8: 0.9, 32: 1.0}, *SIX),
        ("the value of 32 is 93; expected a number from 0 to 1", {1: 0.28, 4: 0.9, 32: 93}, *SIX),
        ("side 1: you noted 0.500, but same_video_share(1) is", {1: 0.5, 4: 1.0, 32: 1.0}, *SIX),
        ("whole numbers as sides", {1.5: 0.5, 4: 1.0, 32: 1.0}, *SIX),
    ],
}

ACCEPTED = {
    check_shiny_inside: [
        lambda image, mask: (
            np.float32((image[mask == 1] > 220).all(axis=1).mean()) if mask.any() else np.float32("nan")
        ),
    ],
    check_count_polyps: [
        lambda mask, smallest: (
            sum(np.bincount(cv2.connectedComponents(mask, connectivity=8)[1].ravel())[1:] >= smallest)
            + np.int64(0)
        ),
    ],
    check_split_by_video: [
        split(lambda names, n, rng: rng.permutation(names)[:n]),
        lambda videos, share, seed: split(lambda names, n, rng: rng.permutation(names)[:n])(
            videos, share, seed
        ).tolist(),
        drawn_videos,
    ],
    check_observed: [
        ({side: own_video_share(*SIX, side) for side in (1, 4, 16)}, *SIX),
        ({np.int64(2): round(own_video_share(*SIX, 2), 2), 8: 1, 32: np.float32(1)}, *SIX),
    ],
}
