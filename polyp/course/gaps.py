"""What copying masks scores if near frames of the own video are out of reach (notebook 08)."""

from pathlib import Path
from typing import Any

import numpy as np

from polyp.config import PRESETS
from polyp.data.cache import FrameCache
from polyp.data.duplicates import thumbnail
from polyp.data.known import find_dataset
from polyp.data.pairs import find_pairs, read_sequences
from polyp.errors import DataError
from polyp.run.checkpoint import versions
from polyp.run.hardware import machine


def copied_by_gap(data_path: str | Path | None = None, data: str = "cvc-clinicdb") -> dict[str, Any]:
    """Mean Dice of handing in the mask of the most similar other frame, by the gap.

    Returns:
        data, versions, machine; dice: one number for each gap from 0 to the frames of the longest video, with
        which only other videos are left; a frame of the own video that is at most so many places away is out
        of reach.

    Raises:
        DataError: the dataset does not say which video its frames are from.
    """
    folder = find_dataset(data, data_path)
    pairs, sequences = find_pairs(folder), read_sequences(folder)
    if sequences is None:
        raise DataError(
            f"{folder}: a gap is between frames of one video; add a sequences.csv (data/README.md)"
        )
    cache = FrameCache(pairs, PRESETS["quick"]["size"])
    videos = [sequences[pair.frame] for pair in pairs]
    dice = dice_by_gap(list(cache.images), np.stack(list(cache.masks)).astype(bool), videos)
    return {
        "data": {"name": data, "frames": len(pairs)},
        "versions": versions(),
        "machine": machine(),
        "dice": [round(value, 4) for value in dice],
    }


def dice_by_gap(images: list[np.ndarray], masks: np.ndarray, videos: list) -> list[float]:
    """The same from frames, uint8 RGB (H, W, 3), and bool masks (N, H, W), in the order of their videos."""
    vectors = np.stack([thumbnail(np.array(image)) for image in images]).astype(float)
    likeness = vectors @ vectors.T
    of_video = np.array(videos)
    same = of_video[:, None] == of_video
    place = np.array([(of_video[:row] == video).sum() for row, video in enumerate(of_video)])
    found = []
    for gap in range(int(place.max()) + 2):
        out_of_reach = same & (np.abs(place[:, None] - place) <= gap)
        copied = masks[np.where(out_of_reach, -np.inf, likeness).argmax(axis=1)]
        both = (copied & masks).sum(axis=(1, 2))
        pixels = copied.sum(axis=(1, 2)) + masks.sum(axis=(1, 2))
        found.append(float(np.mean(2 * both / np.maximum(pixels, 1))))
    return found
