"""Masks that a file describes by outlines or runs of pixels, not by pixels: drawn when they are read."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from polyp.data.images import seen_size
from polyp.errors import DataError

SLACK = 1.0  # pixels by which an outline may leave its frame: annotation tools round


@dataclass(frozen=True)
class DrawnMask:
    """The mask of `image` as `file` describes it; each format has a subclass.

    Raises:
        DataError: `read` names the file and the entry that cannot be drawn.
    """

    file: Path
    image: Path

    def read(self) -> np.ndarray:
        """The mask at the size of its frame, as that is seen: uint8 {0, 1} (H, W)."""
        mask = np.zeros(seen_size(self.image), bool)
        self.draw_on(mask)
        return mask.astype(np.uint8)

    def draw_on(self, mask: np.ndarray) -> None:
        """Set what is polyp in a bool (H, W)."""
        raise NotImplementedError

    def content(self) -> bytes:
        """What decides the mask, for a digest."""
        raise NotImplementedError


def draw_polygon(mask: np.ndarray, points: Sequence[float] | np.ndarray, entry: str) -> np.ndarray:
    """Set the pixels of `mask`, bool (H, W), whose centres lie inside a polygon.

    Args:
        points: x, y, x, y ... in pixels; the first pixel reaches from 0 to 1, its centre is at 0.5.
        entry: what a message calls the polygon.

    Returns:
        the polygon alone, bool (H, W).

    Raises:
        DataError: fewer than three points, an odd count, no finite numbers, or points outside of the frame.
    """
    corners = _corners(points, entry)
    height, width = mask.shape
    outside = ((corners < -SLACK) | (corners > np.array([width, height]) + SLACK)).any(axis=1)
    if outside.any():
        x, y = corners[outside][0]
        raise DataError(
            f"{entry}: its point {x:g}, {y:g} is outside of the frame, which is {width} x {height}; was it "
            "drawn on another size?"
        )
    # A pixel is inside if a ray from its left meets an odd number of edges.
    toggles = np.zeros((height, width + 1), bool)
    for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        low, high = np.clip(np.ceil(np.array(sorted((y0, y1))) - 0.5).astype(int), 0, height)
        rows = np.arange(low, high)  # whose centres the edge crosses
        if len(rows):
            x = x0 + (rows + 0.5 - y0) * (x1 - x0) / (y1 - y0)
            toggles[rows, np.clip(np.ceil(x - 0.5).astype(int), 0, width)] ^= True
    own = np.logical_xor.accumulate(toggles, axis=1)[:, :width]
    mask |= own
    return own


def _corners(points: Sequence[float] | np.ndarray, entry: str) -> np.ndarray:
    """The points as finite float64 (N, 2)."""
    try:
        numbers = np.asarray(points, dtype=float)
    except (TypeError, ValueError, OverflowError):
        numbers = np.array([np.nan])
    if numbers.ndim != 1 or not np.isfinite(numbers).all():
        raise DataError(f"{entry}: its polygon is no list of numbers; expected x, y, x, y ...")
    if len(numbers) % 2 or len(numbers) < 6:
        raise DataError(
            f"{entry}: its polygon has {len(numbers)} numbers; expected x and y of 3 points or more"
        )
    return numbers.reshape(-1, 2)


def draw_runs(mask: np.ndarray, counts: Sequence[int], entry: str) -> None:
    """Set the pixels of COCO's runs: how many are off, on, off ... down the columns of `mask`, bool (H, W).

    Raises:
        DataError: the runs are no whole numbers, or not as long as the frame.
    """
    if not all(type(count) is int and count >= 0 for count in counts) or sum(counts) != mask.size:
        raise DataError(
            f"{entry}: its runs (RLE) do not add up to the frame's {mask.shape[1]} x {mask.shape[0]} pixels; "
            "export it again"
        )
    on = np.repeat(np.arange(len(counts)) % 2 == 1, counts)
    mask |= on.reshape(mask.shape[::-1]).T


def decode_runs(text: str, entry: str) -> list[int]:
    """The runs in COCO's compressed form: base 32, low digits first, from the third run on as differences.

    After `rleFrString` of pycocotools (Lin and Dollár). A character is 48 plus five bits and, if more follow,
    32; the sign is the fifth bit of the last one.

    Raises:
        DataError: a character that the form does not have, or an unfinished number.
    """
    counts: list[int] = []
    value = digits = 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64 or digits > 6:
            raise DataError(f"{entry}: its runs (RLE) are damaged at {character!r}; export it again")
        value |= (bits & 31) << (5 * digits)
        digits += 1
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << (5 * digits)
        counts.append(value + counts[-2] if len(counts) > 2 else value)
        value = digits = 0
    if digits:
        raise DataError(f"{entry}: its runs (RLE) end in the middle of a number; export it again")
    return counts
