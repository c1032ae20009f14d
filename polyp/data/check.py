"""What a folder of pairs contains and what is wrong with it: the survey behind `polyp data check`."""

from collections import Counter
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np

from polyp.config import Config
from polyp.data.drawn import DrawnMask
from polyp.data.duplicates import ALIKE as ALIKE
from polyp.data.duplicates import count_near_duplicates as count_near_duplicates
from polyp.data.findings import SPECK as SPECK
from polyp.data.findings import Survey as Survey
from polyp.data.groups import label_frames, near_duplicate_groups
from polyp.data.images import is_turned, open_quietly, read_image
from polyp.data.labels import Label
from polyp.data.layouts import open_place
from polyp.data.layouts.folders import NEGATIVES
from polyp.data.layouts.listing import Listing, Mask
from polyp.data.masks import AUTO, UnclearMask, read_mask
from polyp.data.pairs import turned_apart
from polyp.data.split import SPLITS, parts_of
from polyp.errors import DataError


def survey(folder: str | Path, mask_values: str = AUTO, masks: str | Path = "") -> Survey:
    """Read every pair in `folder` and list all that is wrong with it, not only the first.

    Args:
        folder, masks: the dataset's folder or file, see `layouts.open_place`.
        mask_values: which pixels of a mask mean polyp, see `masks.read_mask`.

    Raises:
        DataError: only if there is nothing to survey: no such folder, or one without images and masks.
    """
    listing = open_place(folder, masks)
    facts = Survey(Path(folder), mask_values=mask_values, found=listing.found)
    frames = _survey_names(facts, listing.images, listing.masks)
    pairs = {stem: (listing.images[stem][0], listing.masks[stem][0]) for stem in frames}
    _survey_pairs(facts, pairs)
    _survey_clean(facts, listing)
    _survey_labels(facts, listing, frames)
    _survey_duplicates(facts, {stem: mask for stem, (_, mask) in pairs.items()}, listing.parts)
    if not facts.problems:
        _survey_split(facts, listing.parts)
    return facts


def _survey_names(facts: Survey, images: dict[str, list[Path]], masks: dict[str, list[Mask]]) -> list[str]:
    """The frames that are one image and one mask."""
    facts.images_without_mask = [stem for stem in images if stem not in masks]
    facts.masks_without_image = [stem for stem in masks if stem not in images]
    counts = [(stem, len(files)) for stems in (images, masks) for stem, files in stems.items()]
    twice = {stem for stem, count in counts if count > 1}
    facts.stems_twice = [stem for stem in images | masks if stem in twice]
    frames = [stem for stem in images if stem in masks and stem not in twice]
    facts.pairs = len(frames)
    return frames


def _survey_pairs(facts: Survey, pairs: dict[str, tuple[Path, Mask]]) -> None:
    for stem, (image_path, mask_path) in pairs.items():
        image = _survey_image(facts, stem, image_path)
        if image is None and isinstance(mask_path, DrawnMask):
            continue  # its size is its image's
        mask = _survey_mask(facts, stem, mask_path)
        if image is None or mask is None:
            continue
        if image.shape[:2] != mask.shape:
            facts.sizes_differ.append(stem + " (stored turned, by EXIF)" * is_turned(image_path))
        elif turned := turned_apart(image_path, mask_path, mask.shape):
            facts.unreadable.append(turned)


def _survey_clean(facts: Survey, listing: Listing) -> None:
    facts.negatives = len(listing.clean)
    if not all(path.parent.name.lower() == NEGATIVES for _, path in listing.clean):
        facts.negatives_are = "without a mask or an outline"
    known = set(listing.images)
    for name, path in listing.clean:
        if name in known:
            facts.stems_twice.append(name)
        known.add(name)
        _survey_image(facts, name, path)


def _survey_labels(facts: Survey, listing: Listing, frames: list[str]) -> None:
    facts.sequences, facts.without_sequence = _labels(facts, listing, frames, "sequence")
    facts.centres, facts.without_centre = _labels(facts, listing, frames, "centre")


def _labels(
    facts: Survey, listing: Listing, frames: list[str], what: str
) -> tuple[dict[str, Label] | None, list[str]]:
    """What is known of each frame's video or hospital, and the frames that the table should list too."""
    try:
        labels, listed = listing.labels(what), listing.listed(what)
    except DataError as error:
        facts.label_errors[what] = str(error)
        return None, []
    return labels, [] if listed is None else [stem for stem in frames if stem not in listed]


def _survey_duplicates(facts: Survey, masks: dict[str, Mask], parts: dict[str, str]) -> None:
    facts.duplicates = facts.prints.same()
    facts.near_duplicates = count_near_duplicates(facts.prints.thumbnails)
    facts.near_pairs = facts.prints.alike(dict(facts.sequences or {}))
    if parts:
        shared = [(group[0], other) for group in facts.duplicates for other in group[1:]]
        shared += [(a, b) for a, b, _ in facts.near_pairs]
        facts.across_parts = [f"{a} ~ {b}" for a, b in shared if parts[a] != parts[b]]
        videos = facts.sequences or {}
        held = {(videos[frame], part) for frame, part in parts.items() if frame in videos}
        count = Counter(video for video, _ in held)
        facts.across_parts += [f"sequence {video}" for video in count if count[video] > 1]
    for group in facts.duplicates:
        for a, b in combinations([stem for stem in group if stem in masks], 2):
            try:
                overlap = _iou(*(read_mask(masks[stem], facts.mask_values) for stem in (a, b)))
            except DataError:  # listed among the unreadable ones
                continue
            if overlap < 1:
                facts.two_masks.append((a, b, overlap))


def _survey_split(facts: Survey, parts: dict[str, str]) -> None:
    """Whether `train`, without a flag, could split the frames and begin."""
    frames, alike = facts.prints.frames, near_duplicate_groups(facts.prints.thumbnails)
    areas = facts.area_shares + [0.0] * facts.negatives
    negative = [row >= facts.pairs for row in range(len(frames))]
    try:
        table = SPLITS["auto"](
            label_frames(frames, areas, facts.sequences, facts.centres, alike, negative, parts)
        )
        training = len(parts_of(table)["train"])
    except DataError as error:
        facts.split_error = str(error)
    else:
        if training < Config.batch_size:
            facts.split_error = (
                f"{training} frames would be left to train on, fewer than a batch of {Config.batch_size}; "
                "add frames, or use --batch-size"
            )


def _iou(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two masks; 1 if both are empty, 0 if they differ in size."""
    if a.shape != b.shape:
        return 0.0
    union = int((a | b).sum())
    return int((a & b).sum()) / union if union else 1.0


def _survey_image(facts: Survey, stem: str, path: Path) -> np.ndarray | None:
    try:
        image = read_image(path)
    except DataError as error:
        facts.unreadable.append(str(error))
        return None
    facts.image_modes[_mode(path)] += 1
    facts.sizes[image.shape[1::-1]] += 1
    facts.prints.add(stem, image)
    return image


def _survey_mask(facts: Survey, stem: str, path: Mask) -> np.ndarray | None:
    try:
        mask = read_mask(path, facts.mask_values)
    except UnclearMask as error:
        facts.unclear_masks.append(stem)
        facts.first_unclear = facts.first_unclear or str(error)
        facts.unclear_values |= dict.fromkeys(error.values)
        return None
    except DataError as error:
        facts.unreadable.append(str(error))
        return None
    facts.mask_modes["outlines" if isinstance(path, DrawnMask) else _mode(path)] += 1
    if facts.mask_values == AUTO and isinstance(path, Path):
        values = read_image(path)
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
