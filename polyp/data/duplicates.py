"""Frames that are the same, or nearly: within one dataset, and between two."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from polyp.errors import name_some

# Frames are near duplicates if their thumbnails correlate at least this well. On CVC-ClinicDB that
# finds 248 of 612 frames, each with a frame of its own video; at 0.97 the first false ones appear.
# Between videos it takes more: on PolypGen, wide black borders alone make 0.986.
THUMBNAIL, ALIKE, ALIKE_ACROSS = 16, 0.98, 0.99


@dataclass
class Fingerprints:
    """What is kept of each frame to know it again: its name, a hash of its pixels, its thumbnail."""

    frames: list[str] = field(default_factory=list)
    pixels: list[tuple] = field(default_factory=list)  # shape and SHA-256: equal for equal pixels only
    thumbnails: list[np.ndarray] = field(default_factory=list)  # see `thumbnail`

    def add(self, frame: str, image: np.ndarray) -> None:
        """Remember an image, uint8 RGB of shape (H, W, 3)."""
        self.frames.append(frame)
        self.pixels.append((image.shape, hashlib.sha256(image.tobytes()).digest()))
        self.thumbnails.append(thumbnail(image))

    def same(self) -> list[list[str]]:
        """The groups of frames that have equal pixels."""
        groups = defaultdict(list)
        for frame, pixels in zip(self.frames, self.pixels, strict=True):
            groups[pixels].append(frame)
        return [group for group in groups.values() if len(group) > 1]

    def alike(self, groups: dict[str, object]) -> list[tuple[str, str, float]]:
        """The near duplicates of different groups: each frame with the one most like it, the best first.

        Args:
            groups: the video of each frame, where it is known; a frame without one is a group of its own.

        Returns:
            two frames and the correlation of their thumbnails, at least `ALIKE_ACROSS`; frames of equal
            pixels are left out, since `same` has them.
        """
        first = {pixels: row for row, pixels in reversed(list(enumerate(self.pixels)))}
        rows = sorted(first.values())
        labels = [groups.get(self.frames[row], (row,)) for row in rows]
        number = {label: i for i, label in enumerate(dict.fromkeys(labels))}
        group = np.array([number[label] for label in labels])
        vectors = _stack(self.thumbnails[row] for row in rows)
        nearest, likeness = most_alike(vectors, vectors, group, group)
        frames = [self.frames[row] for row in rows]
        return _pairs(frames, frames, nearest, likeness)


@dataclass
class Overlap:
    """The frames that two datasets share; `str()` gives one line.

    `same` are pairs of equal pixels. `alike` are near duplicates with the correlation of their
    thumbnails, the second picture perhaps turned or mirrored.
    """

    first: str
    second: str
    same: list[tuple[str, str]]
    alike: list[tuple[str, str, float]]

    def __str__(self) -> str:
        equal = _named(self.same, [f"{a} = {b}" for a, b in self.same])
        near = _named(self.alike, [f"{a} ~ {b}" for a, b, _ in self.alike])
        return f"{self.first} and {self.second}: the same {equal}; nearly the same {near}"


def _named(pairs: Sequence, names: list[str]) -> str:
    return f"{len(pairs)} ({name_some(names)})" if pairs else "0"


def find_overlap(first: str, a: Fingerprints, second: str, b: Fingerprints) -> Overlap:
    """The frames that two datasets share: training on one and testing on the other needs none.

    Every frame is compared with every other, in all eight orientations.

    Args:
        first, second: the names under which to report them.
        a, b: their frames, as in `Survey.prints`.
    """
    where = defaultdict(list)
    for frame, pixels in zip(b.frames, b.pixels, strict=True):
        where[pixels].append(frame)
    same = [
        (frame, other)
        for frame, pixels in zip(a.frames, a.pixels, strict=True)
        for other in where.get(pixels, [])
    ]
    if not a.frames or not b.frames:
        return Overlap(first, second, same, [])
    ours, known = _stack(a.thumbnails), {frame for frame, _ in same}
    nearest, likeness = np.zeros(len(ours), int), np.full(len(ours), -1.0, np.float32)
    for theirs in _orientations(_stack(b.thumbnails)):
        index, value = most_alike(ours, theirs)
        better = value > likeness
        nearest[better], likeness[better] = index[better], value[better]
    likeness[[frame in known for frame in a.frames]] = -1  # told already
    return Overlap(first, second, same, _pairs(a.frames, b.frames, nearest, likeness))


def _stack(thumbnails: Iterable[np.ndarray]) -> np.ndarray:
    return np.array(list(thumbnails), np.float32).reshape(-1, THUMBNAIL * THUMBNAIL * 3)  # (N, D)


def _orientations(vectors: np.ndarray) -> Iterator[np.ndarray]:
    """The thumbnails, (N, D), turned by quarters and mirrored; it scales with a frame's sides as they do."""
    pictures = vectors.reshape(-1, THUMBNAIL, THUMBNAIL, 3)
    for quarters in range(4):
        turned = np.rot90(pictures, quarters, axes=(1, 2))
        for picture in (turned, turned[:, :, ::-1]):
            yield picture.reshape(vectors.shape)


def _pairs(a: list[str], b: list[str], nearest: np.ndarray, likeness: np.ndarray) -> list:
    """The pairs that are alike, once each, the most alike first."""
    rows = [row for row in np.argsort(-likeness, kind="stable") if likeness[row] >= ALIKE_ACROSS]
    pairs = [(a[row], b[nearest[row]], float(likeness[row])) for row in rows]
    return list({frozenset(pair[:2]): pair for pair in reversed(pairs)}.values())[::-1]


def thumbnail(image: np.ndarray) -> np.ndarray:
    """A small picture as a unit vector, float32 of shape (16 * 16 * 3,): brightness and contrast removed."""
    small = cv2.resize(image, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA).astype(np.float32)
    small = small.ravel() - small.mean()
    return small / max(float(np.linalg.norm(small)), 1e-6)


def most_alike(
    vectors: np.ndarray,
    others: np.ndarray,
    groups: np.ndarray | None = None,
    other_groups: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """For each unit vector, the one of `others` that correlates best with it, and how well.

    Args:
        vectors, others: float32 of shapes (N, D) and (M, D), M at least 1.
        groups, other_groups: int (N,) and (M,); two of one group are not compared.

    Returns:
        the row in `others`, int (N,), and the correlation, float32 (N,), -1 where nothing was compared.
    """
    index, likeness = np.zeros(len(vectors), int), np.full(len(vectors), -1, np.float32)
    for start in range(0, len(vectors), 1024):  # in blocks, so that 100 000 frames fit in memory too
        rows = slice(start, start + 1024)
        block = vectors[rows] @ others.T  # (block, M)
        if groups is not None and other_groups is not None:
            block[groups[rows, None] == other_groups] = -1
        index[rows], likeness[rows] = block.argmax(axis=1), block.max(axis=1)
    return index, likeness


def count_near_duplicates(thumbnails: Iterable[np.ndarray]) -> int:
    """How many unit vectors of shape (D,) correlate with another one by at least `ALIKE`."""
    vectors = np.array(list(thumbnails), np.float32)
    if not len(vectors):
        return 0
    each = np.arange(len(vectors))  # a group of its own: none is compared with itself
    return int((most_alike(vectors, vectors, each, each)[1] >= ALIKE).sum())
