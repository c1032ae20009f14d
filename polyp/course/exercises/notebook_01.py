"""Checkers of notebook 01: shine inside a mask, polyps in a mask, a split by video, thumbnails.

`shiny_pixels`, `large_pieces` and `drawn_videos` stand in for the learner's functions until these are right.
"""

import math
import operator
from collections.abc import Callable

import cv2
import numpy as np

from polyp.course.exercises import NotYet, Verdict, ask, checker, compare, correct, noted, read, show
from polyp.course.measurements import thumbnail


@checker
def check_shiny_inside(shiny_inside: Callable) -> Verdict:
    """Exercise 1: `shiny_inside` takes image uint8 (H, W, 3) and mask uint8 {0, 1} (H, W).

    It gives the share of the mask's pixels that shine, 0 to 1, or NaN for an empty mask.
    """
    random = np.random.default_rng(1)
    noise = random.integers(190, 256, (9, 12, 3), dtype=np.uint8)
    white, block = np.full((4, 5, 3), 255, np.uint8), np.zeros((4, 5), np.uint8)
    corner, red, dim = np.zeros_like(white), white.copy(), white.copy()
    block[:2, :2], corner[0, 0], red[..., 1:], dim[0] = 1, 255, 0, 220
    cases = {
        "a white frame": (white, block),
        "a black frame with one white pixel inside the mask": (corner, block),
        "a white pixel outside the mask only": (corner, 1 - block),
        "a pure red frame: only one channel is bright": (red, block),
        "220 is not above 220": (dim, block),
        "an empty mask has no share": (white, 0 * block),
        "random noise": (noise, (random.random((9, 12)) < 0.4).astype(np.uint8)),
    }
    nothing = "shiny_inside returns None; return the share of the mask's pixels that shine"
    compare(shiny_inside, cases, shiny_pixels, nothing=nothing, close=1e-6)
    return correct("every case fits, and an empty mask is honest: its share is undefined")


def shiny_pixels(image: np.ndarray, mask: np.ndarray) -> float:
    """The share of the mask's pixels in which all three colours are above 220; NaN for an empty mask."""
    inside = image[mask > 0]
    return float((inside > 220).all(axis=1).mean()) if len(inside) else math.nan


@checker
def check_count_polyps(count_polyps: Callable) -> Verdict:
    """Exercise 2: the regions of a uint8 {0, 1} (H, W) mask with at least `smallest` pixels."""
    empty = np.zeros((12, 16), np.uint8)
    touching, ring, two, speck = (empty.copy() for _ in range(4))
    touching[1:5, 1:5] = touching[5:9, 5:9] = two[1:5, 1:5] = two[7:11, 9:14] = ring[1:9, 1:9] = 1
    ring[3:7, 3:7], speck[1:5, 1:5], speck[8:11, 9:12] = 0, 1, 1
    noise = (np.random.default_rng(2).random((24, 32)) < 0.3).astype(np.uint8)
    cases = {
        "an empty mask": (empty, 10),
        "a mask that is all polyp": (1 - empty, 10),
        "two squares apart": (two, 10),
        "two squares that touch at a corner": (touching, 10),
        "a ring": (ring, 10),
        "a square and a speck of 9 pixels, smallest=10": (speck, 10),
        "the same, smallest=9": (speck, 9),
        "random noise, smallest=3": (noise, 3),
    }
    nothing = "count_polyps returns None; return how many regions are large enough"
    compare(count_polyps, cases, large_pieces, nothing=nothing)
    return correct("specks are dropped, corners connect, and the background is no polyp")


def large_pieces(mask: np.ndarray, smallest: int = 10) -> int:
    """How many 8-connected pieces of a mask have at least so many pixels."""
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    return int((stats[1:, cv2.CC_STAT_AREA] >= smallest).sum())


@checker
def check_split_by_video(split_by_video: Callable) -> Verdict:
    """Exercise 4: `split_by_video` takes the video of each frame, the share of videos to test on, and a seed.

    It gives one boolean per frame, True where the frame is for testing, and never parts a video.
    """
    mixed = [3, 1, 2, 3, 4, 1, 5, 2, 3, 6, 7, 8, 9, 10, 4, 10]
    cases = [
        (mixed, 0.3),
        (mixed, 0.27),
        (mixed, 0.23),
        ([1] * 20 + [2] + [3] + [4] * 2, 0.25),
        ([7, 7, 7, 9], 0.5),
        ([5, 6, 7], 0.01),
    ]
    for videos, share in cases:
        _split(split_by_video, np.array(videos), share, 0)
    draws = [tuple(_split(split_by_video, np.array(mixed), 0.3, seed)) for seed in [*range(SEEDS), 0, 1, 2]]
    if draws[:3] != draws[-3:]:
        raise NotYet("a seed gave two different splits; draw from np.random.default_rng(seed)")
    if len(set(draws)) == 1:
        raise NotYet(f"seeds 0 to {SEEDS - 1} all gave the same split; let the seed choose the test videos")
    return correct(
        f"whole videos on one side only, the right number for each of {SEEDS} seeds, and repeatable"
    )


SEEDS = 50  # a draw that is only sometimes wrong must not pass by luck


def _split(split_by_video: Callable, videos: np.ndarray, share: float, seed: int) -> np.ndarray:
    """The learner's split, booleans (frames,), which parts no video and has the right size."""
    case = f"videos {videos.tolist()}, test_share {share}, seed {seed}"
    nothing = "split_by_video returns None; return one True or False for each frame"
    answer = ask(split_by_video, videos, share, seed, case=case, nothing=nothing)
    test = read(np.asarray, answer, "an array of booleans")
    if test.shape != videos.shape or test.dtype != bool:
        raise NotYet(f"{case}: you return {show(test)}, expected {len(videos)} booleans")
    chosen = set(videos[test].tolist())
    if both := chosen & set(videos[~test].tolist()):
        raise NotYet(f"{case}: video {min(both)} has frames on both sides; expected them all on one")
    number = _number_of_videos(videos, share)
    if len(chosen) != number:
        raise NotYet(f"{case}: {len(chosen)} videos are for testing, expected {number}")
    return test


def _number_of_videos(videos: np.ndarray, share: float) -> int:
    return max(1, round(share * len(np.unique(videos))))


def drawn_videos(videos: np.ndarray, test_share: float, seed: int) -> np.ndarray:
    """True for the frames to test on: (N,) videos -> (N,) booleans that never part a video."""
    order = np.random.default_rng(seed).permutation(np.unique(videos))
    return np.isin(videos, order[: _number_of_videos(videos, test_share)])


@checker
def check_observed(observed: dict[int, float] | None, images: np.ndarray, videos: np.ndarray) -> Verdict:
    """Exercise 3: a thumbnail's side in pixels -> the share of frames whose nearest is of their video.

    Both are measured again, from the frames, uint8 (N, H, W, 3), and the video of each.
    """
    nothing = "observed is None; make it a dictionary {side: same_video_share(side), ...}"
    found = noted(observed, nothing=nothing, keys_between=(1, 128), least=3)
    sides = list(found)
    if sides[0] > 2 or sides[-1] < 16:
        raise NotYet(f"sides {sides}; expected some from 2 or less up to 16 or more")
    for side, share in found.items():
        ours = own_video_share(images, videos, read(operator.index, side, "whole numbers as sides"))
        if abs(share - ours) > 0.006:
            raise NotYet(f"side {side}: you noted {share:.3f}, but same_video_share({side}) is {ours:.3f}")
    told = ", ".join(f"{side} px: {share:.0%}" for side, share in found.items())
    return correct(f"{told}. Now read what we make of it in the solution")


def own_video_share(images: np.ndarray, videos: np.ndarray, side: int) -> float:
    """The share of frames whose nearest neighbour, as thumbnails of `side` pixels, is of their video."""
    vectors = np.stack([thumbnail(image, side) for image in images])
    likeness = vectors @ vectors.T
    np.fill_diagonal(likeness, -1)
    return float((videos[likeness.argmax(axis=1)] == videos).mean())
