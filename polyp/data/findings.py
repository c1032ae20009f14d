"""What `polyp data check` found in a folder of pairs, and the table that it prints."""

import os
import textwrap
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from polyp.data.duplicates import Fingerprints
from polyp.data.images import SPECK as SPECK
from polyp.data.labels import Label, spelt_otherwise
from polyp.data.layouts.folders import NEGATIVES, USUAL
from polyp.data.masks import AUTO, advice, doubt
from polyp.errors import name_some

WIDTH, LABEL = 80, 26  # columns of the table, and of its left side


@dataclass
class Survey:
    """The facts about one folder of pairs; frames are named by their stem, sizes are (width, height).

    Masks are judged as the network sees them: a pixel above 127 is polyp. `area_shares` holds the
    polyp's share of each frame, 0 to 1. `str()` gives a table of at most 80 columns.
    """

    folder: Path
    found: str = USUAL  # in a few words, see `Listing`
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
    unclear_masks: list[str] = field(default_factory=list)  # that say more than polyp or not
    first_unclear: str = ""  # what was said of the first of them
    unclear_values: dict[str, None] = field(default_factory=dict)  # that would read them, an ordered set
    mask_values: str = AUTO  # how the masks were read, see `masks.read_mask`
    negatives: int = 0  # frames without a polyp that need no mask
    negatives_are: str = f"in {NEGATIVES}/"  # where they are
    prints: Fingerprints = field(
        default_factory=Fingerprints, repr=False
    )  # of all frames, for `find_overlap`
    duplicates: list[list[str]] = field(default_factory=list)  # groups of frames of the same pixels
    two_masks: list[tuple[str, str, float]] = field(default_factory=list)  # same pixels, other mask; IoU
    near_duplicates: int = 0  # frames that look almost like another one
    near_pairs: list[tuple[str, str, float]] = field(default_factory=list)  # not of one video; correlation
    across_parts: list[str] = field(default_factory=list)  # what the data's own train, val and test share
    sequences: dict[str, Label] | None = None  # negatives included, whose names tell it
    centres: dict[str, Label] | None = None
    without_sequence: list[str] = field(default_factory=list)
    without_centre: list[str] = field(default_factory=list)
    label_errors: dict[str, str] = field(default_factory=dict)  # by table: sequence, centre
    split_error: str = ""  # why a default `train` could not split the frames

    @property
    def problems(self) -> list[str]:
        """What is wrong with the folder, one line each; duplicates and empty masks are not."""
        named = {
            "images without a mask": self.images_without_mask,
            "masks without an image": self.masks_without_image,
            "stems that two files share": self.stems_twice,
            "pairs whose image and mask differ in size": self.sizes_differ,
        }
        lines = [f"{len(names)} {what}: {name_some(names)}" for what, names in named.items() if names]
        for file, missing, labels in (
            ("sequences.csv", self.without_sequence, self.sequences),
            ("centres.csv", self.without_centre, self.centres),
        ):
            if missing:
                remark = spelt_otherwise(missing, labels or ())
                lines.append(f"{len(missing)} frames missing in {file}: {name_some(missing)}{remark}")
        if self.unclear_masks:
            names = name_some(self.unclear_masks)
            first, _, _ = self.first_unclear.partition(";")
            lines.append(
                f"{len(self.unclear_masks)} unclear masks ({names}); the first is {first}; for all of "
                f"them, {advice(list(self.unclear_values))}"
            )
        if unlikely := doubt(self.area_shares, self.mask_values):
            lines.append(unlikely)
        if not self.pairs:
            lines.append("no pairs of an image and a mask")
        return [*lines, *self.label_errors.values(), *self.unreadable]

    @property
    def ok(self) -> bool:
        """Whether `train` would begin on it as it is, without a flag."""
        return not self.problems and not self.split_error

    def __str__(self) -> str:
        facts = [
            ("folder", str(self.folder)),
            *([] if self.found.lower() == USUAL else [("found", self.found)]),
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
            ("unclear masks", _counted(self.unclear_masks)),
            ("frames without a polyp", self._negatives_line()),
            ("exact duplicates", self._duplicates_line()),
            ("one frame, two masks", _counted([f"{a} = {b} IoU {iou:.2f}" for a, b, iou in self.two_masks])),
            ("frames with a near twin", str(self.near_duplicates)),
            ("near twins across videos" if self.sequences else "pairs of near twins", self._twins_line()),
            *([("train, val, test share", _counted(self.across_parts))] if self.across_parts else []),
            ("sequences", self._sequences_line()),
            ("hospitals", _tally(Counter(map(str, self.centres.values()))) if self.centres else "none given"),
        ]
        lines = [_wrap(f"{label:<{LABEL}}{value}", LABEL) for label, value in facts]
        lines += [_wrap(f"problem: {self._inside(problem)}", 4) for problem in self.problems]
        if self.split_error:
            lines.append(_wrap(f"can be scored, but not trained on: {self.split_error}", 4))
        lines.append("ok" if self.ok else "not ok")
        return "\n".join(lines)

    def _inside(self, message: str) -> str:
        """The message with its file relative to the folder, which the top of the table names."""
        return message.replace(f"{self.folder}{os.sep}", "")

    def _twins_line(self) -> str:
        return _counted([f"{a} ~ {b}" for a, b, _ in self.near_pairs], most=6)

    def _negatives_line(self) -> str:
        told = f"{self.negatives} {self.negatives_are}"
        return told + (f", {len(self.empty_masks)} with an empty mask" if self.empty_masks else "")

    def _duplicates_line(self) -> str:
        extra = sum(len(group) - 1 for group in self.duplicates)
        return f"{extra} ({name_some('='.join(group) for group in self.duplicates)})" if extra else "0"

    def _sequences_line(self) -> str:
        if self.sequences is None:
            return "unusable" if "sequence" in self.label_errors else "none given"
        lengths = Counter(self.sequences.values()).values()
        if not lengths:
            return "none listed"
        return f"{len(lengths)}, of {min(lengths)} to {max(lengths)} frames"


def _counted(names: list[str], most: int = 3) -> str:
    return f"{len(names)} ({name_some(names, most)})" if names else "0"


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
