"""What a folder of pairs contains and what is wrong with it: the survey behind `polyp data check`."""

from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np

from polyp.config import Config
from polyp.data.duplicates import ALIKE as ALIKE
from polyp.data.duplicates import count_near_duplicates as count_near_duplicates
from polyp.data.findings import SPECK as SPECK
from polyp.data.findings import Survey as Survey
from polyp.data.groups import label_frames, near_duplicate_groups
from polyp.data.images import is_turned, open_quietly, read_image
from polyp.data.masks import AUTO, UnclearMask, read_mask
from polyp.data.pairs import (
    Label,
    frame_name,
    list_negatives,
    read_centres,
    read_labels,
    read_sequences,
    scan,
    turned_apart,
)
from polyp.data.split import SPLITS, parts_of
from polyp.errors import DataError


def survey(folder: str | Path, mask_values: str = AUTO) -> Survey:
    """Read every pair in `folder` and list all that is wrong with it, not only the first.

    Args:
        folder: the dataset's.
        mask_values: which pixels of a mask mean polyp, see `masks.read_mask`.

    Raises:
        DataError: only if there is nothing to survey: no such folder, or one without images and masks.
    """
    images, masks = scan(folder)
    facts = Survey(Path(folder), mask_values=mask_values)
    frames = _survey_names(facts, images, masks)
    pairs = {stem: (images[stem][0], masks[stem][0]) for stem in frames}
    _survey_pairs(facts, pairs)
    _survey_negatives(facts, images)
    _survey_labels(facts, frames)
    _survey_duplicates(facts, {stem: mask for stem, (_, mask) in pairs.items()})
    if not facts.problems:
        _survey_split(facts)
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
    for stem, (image_path, mask_path) in pairs.items():
        image, mask = _survey_image(facts, stem, image_path), _survey_mask(facts, stem, mask_path)
        if image is None or mask is None:
            continue
        if image.shape[:2] != mask.shape:
            facts.sizes_differ.append(stem + " (stored turned, by EXIF)" * is_turned(image_path))
        elif turned := turned_apart(image_path, mask_path, mask.shape):
            facts.unreadable.append(turned)


def _survey_negatives(facts: Survey, images: dict[str, list[Path]]) -> None:
    paths = list_negatives(facts.folder)
    facts.negatives = len(paths)
    known = set(images)
    for path in paths:
        name = frame_name(path)
        if name in known:
            facts.stems_twice.append(name)
        known.add(name)
        _survey_image(facts, name, path)


def _survey_labels(facts: Survey, frames: list[str]) -> None:
    facts.sequences, facts.without_sequence = _labels(facts, frames, "sequence", read_sequences)
    facts.centres, facts.without_centre = _labels(facts, frames, "centre", read_centres)


def _labels(
    facts: Survey, frames: list[str], what: str, read: Callable[[Path], dict[str, Label] | None]
) -> tuple[dict[str, Label] | None, list[str]]:
    """What is known of each frame's video or hospital, and the frames that the table should list too."""
    try:
        labels, listed = read(facts.folder), read_labels(facts.folder, what)
    except DataError as error:
        facts.label_errors[what] = str(error)
        return None, []
    return labels, [] if listed is None else [stem for stem in frames if stem not in listed]


def _survey_duplicates(facts: Survey, masks: dict[str, Path]) -> None:
    facts.duplicates = facts.prints.same()
    facts.near_duplicates = count_near_duplicates(facts.prints.thumbnails)
    facts.near_pairs = facts.prints.alike(dict(facts.sequences or {}))
    for group in facts.duplicates:
        for a, b in combinations([stem for stem in group if stem in masks], 2):
            try:
                overlap = _iou(*(read_mask(masks[stem], facts.mask_values) for stem in (a, b)))
            except DataError:  # listed among the unreadable ones
                continue
            if overlap < 1:
                facts.two_masks.append((a, b, overlap))


def _survey_split(facts: Survey) -> None:
    """Whether `train`, without a flag, could split the frames and begin."""
    frames, alike = facts.prints.frames, near_duplicate_groups(facts.prints.thumbnails)
    areas = facts.area_shares + [0.0] * facts.negatives
    negative = [row >= facts.pairs for row in range(len(frames))]
    try:
        table = SPLITS["sequence"](
            label_frames(frames, areas, facts.sequences, facts.centres, alike, negative)
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


def _survey_mask(facts: Survey, stem: str, path: Path) -> np.ndarray | None:
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
    facts.mask_modes[_mode(path)] += 1
    if facts.mask_values == AUTO:
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
