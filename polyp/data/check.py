"""What a folder of pairs contains and what is wrong with it: the table behind `polyp data check`."""

import hashlib
import os
import textwrap
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from polyp.data.images import open_quietly, read_image, read_mask
from polyp.data.pairs import read_sequences, scan
from polyp.errors import DataError, name_some

WIDTH, LABEL = 80, 26  # columns of the table, and of its left side

# Frames are near duplicates if their thumbnails correlate at least this well. On CVC-ClinicDB that
# finds 248 of 612 frames, each with a frame of its own video; at 0.97 the first false ones appear.
THUMBNAIL, ALIKE = 16, 0.98

SPECK = 10  # pixels; a smaller region is a slip of the annotator's pen, not a polyp


@dataclass
class Survey:
    """The facts about one folder of pairs; frames are named by their stem, sizes are (width, height).

    Masks are judged as the network sees them: a pixel above 127 is polyp. `area_shares` holds the
    polyp's share of each frame, 0 to 1. `str()` gives a table of at most 80 columns.
    """

    folder: Path
    pairs: int = 0
    images_without_mask: list[str] = field(default_factory=list)
    masks_without_image: list[str] = field(default_factory=list)
    stems_twice: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)  # one message per file, with the reason
    sizes: Counter = field(default_factory=Counter)
    sizes_differ: list[str] = field(default_factory=list)
    image_modes: Counter = field(default_factory=Counter)  # Pillow's names: RGB, L, P ...
    mask_modes: Counter = field(default_factory=Counter)
    in_between_masks: int = 0  # masks with a value other than 0 and 255
    in_between_pixels: int = 0
    empty_masks: list[str] = field(default_factory=list)
    full_masks: list[str] = field(default_factory=list)
    area_shares: list[float] = field(default_factory=list)
    several_components: int = 0  # masks of more than one 8-connected region, specks left out
    specks: int = 0  # masks with a region below `SPECK` pixels
    duplicates: list[list[str]] = field(default_factory=list)  # groups of frames of the same pixels
    near_duplicates: int = 0  # frames that look almost like another one
    sequences: dict[str, int] | None = None
    without_sequence: list[str] = field(default_factory=list)
    sequences_error: str = ""

    @property
    def problems(self) -> list[str]:
        """What keeps the folder from being used, one line each; duplicates and empty masks do not."""
        named = {
            "images without a mask": self.images_without_mask,
            "masks without an image": self.masks_without_image,
            "stems that two files share": self.stems_twice,
            "pairs whose image and mask differ in size": self.sizes_differ,
            "frames missing in sequences.csv": self.without_sequence,
        }
        lines = [f"{len(names)} {what}: {name_some(names)}" for what, names in named.items() if names]
        if not self.pairs:
            lines.append("no pairs of an image and a mask")
        if self.sequences_error:
            lines.append(self.sequences_error)
        return lines + self.unreadable

    @property
    def ok(self) -> bool:
        """Whether the folder can be trained on as it is."""
        return not self.problems

    def __str__(self) -> str:
        facts = [
            ("folder", str(self.folder)),
            ("pairs", str(self.pairs)),
            ("images without a mask", _counted(self.images_without_mask)),
            ("masks without an image", _counted(self.masks_without_image)),
            ("stems twice", _counted(self.stems_twice)),
            ("unreadable files", str(len(self.unreadable))),
            ("sizes", _tally({f"{width} x {height}": n for (width, height), n in self.sizes.items()})),
            ("sizes differ in a pair", _counted(self.sizes_differ)),
            ("image modes", _tally(self.image_modes)),
            ("mask modes", _tally(self.mask_modes)),
            ("masks not only 0 and 255", f"{self.in_between_masks} ({self.in_between_pixels} pixels)"),
            ("empty masks", _counted(self.empty_masks)),
            ("all-polyp masks", _counted(self.full_masks)),
            ("polyp's share of a frame", _spread(self.area_shares)),
            ("masks in several pieces", str(self.several_components)),
            (f"masks with < {SPECK} px specks", str(self.specks)),
            ("exact duplicates", _counted(["=".join(group) for group in self.duplicates])),
            ("frames with a near twin", str(self.near_duplicates)),
            ("sequences", self._sequences_line()),
        ]
        lines = [_wrap(f"{label:<{LABEL}}{value}", LABEL) for label, value in facts]
        lines += [_wrap(f"problem: {self._inside(problem)}", 4) for problem in self.problems]
        lines.append("ok" if self.ok else "not ok")
        return "\n".join(lines)

    def _inside(self, message: str) -> str:
        """The message with its file relative to the folder, which the top of the table names."""
        return message.replace(f"{self.folder}{os.sep}", "")

    def _sequences_line(self) -> str:
        if self.sequences is None:
            return "unusable" if self.sequences_error else "none given"
        lengths = Counter(self.sequences.values()).values()
        if not lengths:
            return "none listed"
        return f"{len(lengths)}, of {min(lengths)} to {max(lengths)} frames"


def _counted(names: list[str]) -> str:
    return f"{len(names)} ({name_some(names)})" if names else "0"


def _tally(counts: dict) -> str:
    parts = [f"{name} ({count})" for name, count in sorted(counts.items(), key=lambda item: -item[1])]
    return name_some(parts, most=6) or "-"


def _spread(shares: list[float]) -> str:
    if not shares:
        return "-"
    low, middle, high = np.quantile(shares, [0, 0.5, 1])
    return f"{low:.2%} to {high:.2%}, median {middle:.2%}"


def _wrap(line: str, indent: int) -> str:
    return textwrap.fill(line, WIDTH, subsequent_indent=" " * indent, break_on_hyphens=False)


def survey(folder: str | Path) -> Survey:
    """Read every pair in `folder` and list all that is wrong with it, not only the first.

    Raises:
        DataError: only if there is nothing to survey: no such folder, or one without images and masks.
    """
    images, masks = scan(folder)
    facts = Survey(Path(folder))
    frames = _survey_names(facts, images, masks)
    _survey_pairs(facts, {stem: (images[stem][0], masks[stem][0]) for stem in frames})
    _survey_sequences(facts, frames)
    return facts


def _survey_names(facts: Survey, images: dict[str, list[Path]], masks: dict[str, list[Path]]) -> list[str]:
    """The frames that are one image and one mask."""
    facts.images_without_mask = [stem for stem in images if stem not in masks]
    facts.masks_without_image = [stem for stem in masks if stem not in images]
    twice = {stem for stems in (images, masks) for stem, paths in stems.items() if len(paths) > 1}
    facts.stems_twice = [stem for stem in images | masks if stem in twice]
    frames = [stem for stem in images if stem in masks and stem not in twice]
    facts.pairs = len(frames)
    return frames


def _survey_pairs(facts: Survey, pairs: dict[str, tuple[Path, Path]]) -> None:
    same_pixels, thumbnails = defaultdict(list), []
    for stem, (image_path, mask_path) in pairs.items():
        image, mask = _survey_image(facts, image_path), _survey_mask(facts, stem, mask_path)
        if image is None:
            continue
        same_pixels[image.shape, hashlib.sha256(image.data).digest()].append(stem)
        thumbnails.append(_thumbnail(image))
        if mask is not None and image.shape[:2] != mask.shape:
            facts.sizes_differ.append(stem)
    facts.duplicates = [group for group in same_pixels.values() if len(group) > 1]
    facts.near_duplicates = count_near_duplicates(thumbnails)


def _survey_sequences(facts: Survey, frames: list[str]) -> None:
    try:
        facts.sequences = read_sequences(facts.folder)
    except DataError as error:
        facts.sequences_error = str(error)
    if facts.sequences is not None:
        facts.without_sequence = [stem for stem in frames if stem not in facts.sequences]


def _survey_image(facts: Survey, path: Path) -> np.ndarray | None:
    try:
        image = read_image(path)
    except DataError as error:
        facts.unreadable.append(str(error))
        return None
    facts.image_modes[_mode(path)] += 1
    facts.sizes[image.shape[1::-1]] += 1
    return image


def _survey_mask(facts: Survey, stem: str, path: Path) -> np.ndarray | None:
    try:
        mask, values = read_mask(path), read_image(path)
    except DataError as error:
        facts.unreadable.append(str(error))
        return None
    facts.mask_modes[_mode(path)] += 1
    in_between = int(((values != 0) & (values != 255)).any(axis=2).sum())
    facts.in_between_masks += in_between > 0
    facts.in_between_pixels += in_between
    share = float(mask.mean())
    facts.area_shares.append(share)
    areas = cv2.connectedComponentsWithStats(mask)[2][1:, cv2.CC_STAT_AREA]  # the first is the background
    facts.several_components += int((areas >= SPECK).sum() > 1)
    facts.specks += int((areas < SPECK).any())
    if share in (0, 1):
        (facts.full_masks if share else facts.empty_masks).append(stem)
    return mask


def _mode(path: Path) -> str:
    with open_quietly(path) as picture:  # read_image has judged the size
        return picture.mode


def _thumbnail(image: np.ndarray) -> np.ndarray:
    """A small picture as a unit vector, float32 of shape (16 * 16 * 3,): brightness and contrast removed."""
    small = cv2.resize(image, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA).astype(np.float32)
    small = small.ravel() - small.mean()
    return small / max(float(np.linalg.norm(small)), 1e-6)


def count_near_duplicates(thumbnails: Iterable[np.ndarray]) -> int:
    """How many unit vectors of shape (D,) correlate with another one by at least `ALIKE`."""
    vectors = np.array(list(thumbnails), np.float32)
    count = 0
    for start in range(0, len(vectors), 1024):  # in blocks, so that 100 000 frames fit in memory too
        block = vectors[start : start + 1024] @ vectors.T  # (block, N)
        block[np.arange(len(block)), start + np.arange(len(block))] = 0  # each is like itself
        count += int((block.max(axis=1) >= ALIKE).sum())
    return count
