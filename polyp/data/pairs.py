"""Frames and their masks: finding the pairs of a folder or file, and reading one.

Frames without a polyp may lie in `negatives/` beside the folder of frames; they need no masks.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from polyp.data.drawn import DrawnMask
from polyp.data.images import is_turned, read_image, stored_size
from polyp.data.labels import Label
from polyp.data.layouts import folders, open_place
from polyp.data.layouts.listing import Listing
from polyp.data.masks import AUTO, read_mask
from polyp.errors import DataError, name_some


@dataclass(frozen=True)
class Pair:
    """One frame and its mask, a file or what to draw; `frame` is the stem that both file names share.

    The mask is None for a frame without a polyp that needs none, as in `negatives/`. `values` says which of
    the mask's pixels mean polyp, see `masks.read_mask`.
    """

    frame: str
    image: Path
    mask: Path | DrawnMask | None
    values: str = AUTO


def read_pair(pair: Pair) -> tuple[np.ndarray, np.ndarray]:
    """Decode one pair at its original size: uint8 RGB (H, W, 3) and uint8 {0, 1} (H, W).

    The mask of a frame in `negatives/` is empty.

    Raises:
        DataError: a file cannot be read; the two differ in size, or one is stored turned and the other not.
    """
    image = read_image(pair.image)
    if pair.mask is None:
        return image, np.zeros(image.shape[:2], np.uint8)
    mask = read_mask(pair.mask, pair.values)
    if image.shape[:2] != mask.shape:
        raise DataError(
            f"{mask_file(pair.mask)}: the mask is {mask.shape[1]} x {mask.shape[0]} px but its image is "
            f"{image.shape[1]} x {image.shape[0]}; export it again at the image's size"
            + ("; the image is stored turned (EXIF): was its mask drawn unturned?" * is_turned(pair.image))
        )
    if turned := turned_apart(pair.image, pair.mask, mask.shape):
        raise DataError(turned)
    return image, mask


def mask_file(mask: Path | DrawnMask) -> Path:
    """The file that a mask is in, or that describes it."""
    return mask.file if isinstance(mask, DrawnMask) else mask


def turned_apart(image: Path, mask: Path | DrawnMask, shape: tuple[int, ...]) -> str:
    """Whether nobody can know if a mask fits its image: one is stored turned and the other is not.

    Args:
        image, mask: the files, of this shape, (H, W), as they are seen.

    Returns:
        what to say then, else nothing.
    """
    if not is_turned(image) or (isinstance(mask, Path) and is_turned(mask)):
        return ""
    if stored_size(image) != shape[:2]:  # turned by a quarter, and the mask fits what is seen
        return ""
    return (
        f"{image}: the image is stored turned (EXIF orientation), its mask is not, and both directions fit; "
        "save the image upright, without the tag, if the mask was drawn on what is seen; else remove the tag"
    )


def find_pairs(place: str | Path, values: str = AUTO, masks: str | Path = "") -> list[Pair]:
    """The pairs of a frame and a mask in a folder or file, in natural order, and then frames without a polyp.

    Of a folder, they are read from `images/` and `masks/`, or what else people call these
    (`folders.IMAGE_FOLDERS`, `folders.MASK_FOLDERS`), in it or in its `PNG/`; a pair shares its stem, not
    always its suffix (`7.jpg` with `7.png`), and masks may have one of `folders.MASK_ENDINGS` (`7_mask.png`),
    even beside their frames. What lies in `negatives/` beside them is a frame without a polyp and needs no
    mask. For train, val and test, polygons of YOLO and COCO and tables of pairs, see `layouts`.

    Args:
        place, masks: see `layouts.open_place`.
        values: every pair's, see `masks.read_mask`.

    Raises:
        DataError: nothing there, a frame without a mask or the reverse, or two files with one stem.
    """
    return pairs_of(open_place(place, masks), values)


def pairs_of(listing: Listing, values: str = AUTO) -> list[Pair]:
    """The same of what is listed already."""
    images, masks = listing.images, listing.masks
    if not images and not masks and not listing.parts and not listing.clean:
        raise DataError(f"{listing.place}: contains no images; expected frames and masks of the same names")
    for files in ([[*paths] for paths in stems.values()] for stems in (images, masks)):
        twice = [list(map(mask_file, paths)) for paths in files if len(paths) > 1]
        if twice:
            what = name_some(f"{a.name} and {b.name}" for a, b, *_ in twice)
            raise DataError(f"{twice[0][0].parent}: {what} share a stem; keep one file per frame")
    for here, there, missing in ((images, masks, "mask"), (masks, images, "image")):
        alone = [mask_file(paths[0]) for stem, paths in here.items() if stem not in there]
        if alone:
            raise DataError(
                f"{alone[0].parent}: {len(alone)} of {len(here)} without {missing} "
                f"({name_some(path.name for path in alone)}); add each {missing} under the same stem, "
                "or move these files away"
            )
    pairs = [Pair(stem, paths[0], masks[stem][0], values) for stem, paths in images.items()]
    return pairs + _clean(listing)


def _clean(listing: Listing) -> list[Pair]:
    """The frames without a polyp, whose names must not be those of other frames too."""
    files = {name: paths[0] for name, paths in listing.images.items()}
    for name, path in listing.clean:
        other = files.setdefault(name, path)
        if other is not path:
            raise DataError(f"{path} and {other}: two frames of one name; rename one of them")
    return [Pair(name, path, None) for name, path in listing.clean]


def found_in(place: str | Path, masks: str | Path = "") -> str:
    """What was found in a folder or file, in a few words; none for `images/` and `masks/`, or for nothing.

    Raises:
        DataError: see `layouts.open_place`.
    """
    if not Path(place).exists():
        return ""
    found = open_place(place, masks).found
    return "" if found.lower() == folders.USUAL else found


def read_sequences(folder: str | Path) -> dict[str, Label] | None:
    """The video of each frame, from `sequences.csv` (header `frame,sequence`); None if there is no such file.

    It belongs next to the folder of frames, or next to the `PNG/` that holds that folder. A frame in
    `negatives/` that is not listed there, and is named `<sequence>__<anything>`, says it itself.

    Raises:
        DataError: see `labels.read_labels`.
    """
    return _beside(folder).labels("sequence")


def read_centres(folder: str | Path) -> dict[str, Label] | None:
    """The hospital of each frame, from `centres.csv` (header `frame,centre`); None if there is no such file.

    Raises:
        DataError: see `labels.read_labels`.
    """
    return _beside(folder).labels("centre")


def _beside(folder: str | Path) -> Listing:
    """Whatever the folder holds, or only the tables in it."""
    folder = Path(folder)
    return folders.between(folder, *(folders.layout(folder) or (folder, folder)))
