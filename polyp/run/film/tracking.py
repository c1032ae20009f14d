"""Regions through time: what flickers, and what is one finding. Nothing here looks ahead."""

from collections import deque
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from polyp.run.regions import label_regions

SIDE = 160  # pixels of the longer side of the small copies in which regions are compared


class Smoother:
    """Against flicker: a region is shown once it was there in some of the last frames, by overlap.

    The present frame draws the outline, the past ones only judge it, so nothing lags behind the camera.

    Args:
        frames: how many of the last frames count, the present one included.
        needed: in how many of these the region has to be.
        reach: how far it may have moved, as a share of the picture's longer side.
    """

    def __init__(self, frames: int = 5, needed: int = 3, reach: float = 0.05):
        self.past: deque[np.ndarray] = deque(maxlen=frames - 1)
        self.needed, self.reach = needed, reach

    def __call__(self, mask: np.ndarray) -> np.ndarray:
        """The mask {0, 1} (H, W) of the present frame without the regions that are too new."""
        labels, regions = label_regions(mask)
        small = _small(labels)
        seen = np.ones(regions + 1, int)
        for other in self.past:
            if other.shape == small.shape:  # of a film whose frames change their shape, the past is lost
                seen[np.unique(small[other])] += 1
        self.past.append(_widened(small > 0, self.reach))
        shown = seen >= self.needed
        shown[0] = False
        return shown[labels].astype(np.uint8)


@dataclass
class Finding:
    """One polyp, as far as can be told: regions of frames that follow each other and overlap."""

    number: int
    first: int
    last: int
    frames: int  # in which it is shown
    largest: float  # share of the frame
    probability: float  # the highest mean over a region
    where: np.ndarray  # the last region, widened

    def row(self, fps: float) -> dict[str, Any]:
        """Its row of the table of findings."""
        return {
            "finding": self.number,
            "first_frame": self.first,
            "last_frame": self.last,
            "first_second": round(self.first / fps, 2),
            "seconds": round((self.last - self.first + 1) / fps, 2),
            "frames": self.frames,
            "largest_area_share": round(self.largest, 6),
            "highest_probability": round(self.probability, 4),
        }


class Findings:
    """Follows regions through a film; what is not seen for `gap` frames has ended."""

    def __init__(self, gap: float, reach: float = 0.05):
        self.gap, self.reach = gap, reach
        self.all = 0
        self.open: list[Finding] = []

    def add(self, number: int, mask: np.ndarray, probs: np.ndarray) -> list[Finding]:
        """Add a frame's mask {0, 1} and probabilities, (H, W); the findings that have ended are returned."""
        labels, regions = label_regions(mask)
        small = _small(labels)
        pixels = np.bincount(labels.ravel(), minlength=regions + 1)
        sums = np.bincount(labels.ravel(), probs.ravel(), minlength=regions + 1)
        for region in range(1, regions + 1):
            inside = small == region
            share, sure = float(pixels[region] / mask.size), float(sums[region] / pixels[region])
            where = _widened(inside, self.reach)
            known = next(
                (one for one in self.open if one.where.shape == where.shape and (one.where & inside).any()),
                None,
            )
            if known is None:
                self.all += 1
                self.open.append(Finding(self.all, number, number, 1, share, sure, where))
                continue
            known.frames += known.last < number
            known.last, known.where = number, where
            known.largest, known.probability = max(known.largest, share), max(known.probability, sure)
        ended = [one for one in self.open if number - one.last > self.gap]
        self.open = [one for one in self.open if number - one.last <= self.gap]
        return ended

    def end(self) -> list[Finding]:
        """The findings that the end of the film has ended."""
        ended, self.open = self.open, []
        return ended


def _small(labels: np.ndarray) -> np.ndarray:
    """A copy of region numbers (H, W) with a longer side of `SIDE` pixels at most, int (h, w)."""
    shrink = min(1.0, SIDE / max(labels.shape))
    size = (max(1, round(labels.shape[1] * shrink)), max(1, round(labels.shape[0] * shrink)))
    return cv2.resize(labels.astype(np.float32), size, interpolation=cv2.INTER_NEAREST_EXACT).astype(int)


def _widened(inside: np.ndarray, reach: float) -> np.ndarray:
    """Where a region, bool (h, w), may be in the next frame: moved by this share of the longer side."""
    width = 2 * round(reach * max(inside.shape)) + 1
    return cv2.dilate(inside.astype(np.uint8), np.ones((width, width), np.uint8)) > 0
