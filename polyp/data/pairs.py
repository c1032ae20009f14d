"""A folder of frames beside a folder of their masks: finding the pairs, and the videos they are from."""

import csv
import re
from dataclasses import dataclass
from pathlib import Path

from polyp.data.images import list_images, natural_sort
from polyp.errors import DataError, name_some

LAYOUTS = (("images", "masks"), ("original", "ground truth"))


@dataclass(frozen=True)
class Pair:
    """One frame and its mask; `frame` is the stem that both file names share."""

    frame: str
    image: Path
    mask: Path


def subfolders(folder: Path) -> dict[str, Path]:
    """The visible folders in `folder` by their lower-case names: `PNG`, `png` and `Png` are one to us."""
    if not folder.is_dir():
        return {}
    inside = (path for path in natural_sort(folder.iterdir()) if not path.name.startswith("."))
    return {path.name.lower(): path for path in inside if path.is_dir()}


def layout(folder: Path) -> tuple[Path, Path] | None:
    """The folder of frames and the folder of masks, or None; PNG before TIF, which holds the same."""
    inside = subfolders(folder)
    for holder in (inside, *(subfolders(inside[name]) for name in ("png", "tif") if name in inside)):
        for images, masks in LAYOUTS:
            if images in holder and masks in holder:
                return holder[images], holder[masks]
    return None


def scan(folder: str | Path) -> tuple[dict[str, list[Path]], dict[str, list[Path]]]:
    """All frames and all masks by their stem, in natural order, whether or not they pair up.

    Raises:
        DataError: no such folder, or no folders of frames and masks in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder")
    if not (folders := layout(folder)):
        raise DataError(
            f"{folder}: no dataset in it; expected the folders images/ and masks/, or Original/ and "
            "Ground Truth/, there or in PNG/"
        )
    images, masks = {}, {}
    for place, stems in zip(folders, (images, masks), strict=True):
        for path in list_images(place):
            stems.setdefault(path.stem, []).append(path)
    return images, masks


def find_pairs(folder: str | Path) -> list[Pair]:
    """The pairs of a frame and a mask in `folder`, in natural order.

    They lie in `images/` and `masks/`, or in `Original/` and `Ground Truth/`, in `folder` or in its
    `PNG/`; a pair shares its stem, not always its suffix (`7.jpg` with `7.png`).

    Raises:
        DataError: no such folder, nothing in it, a frame without a mask or the reverse, or two files
            of one stem.
    """
    images, masks = scan(folder)
    if not images and not masks:
        raise DataError(f"{folder}: no images in it; expected frames and masks of the same names")
    for stems in (images, masks):
        twice = [paths for paths in stems.values() if len(paths) > 1]
        if twice:
            what = name_some(f"{a.name} and {b.name}" for a, b, *_ in twice)
            raise DataError(f"{twice[0][0].parent}: {what} share a stem; keep one file a frame")
    for here, there, missing in ((images, masks, "mask"), (masks, images, "image")):
        alone = [paths[0] for stem, paths in here.items() if stem not in there]
        if alone:
            raise DataError(
                f"{alone[0].parent}: {len(alone)} of {len(here)} without {missing} "
                f"({name_some(path.name for path in alone)}); add each {missing} under the same stem, "
                "or move these files away"
            )
    return [Pair(stem, paths[0], masks[stem][0]) for stem, paths in images.items()]


def read_sequences(folder: str | Path) -> dict[str, int] | None:
    """The video sequence of each frame, from `sequences.csv`; None where there is no such file.

    It lies beside the folder of frames, or beside the `PNG/` that holds it, under the header
    `frame,sequence`: a stem and a whole number.

    Raises:
        DataError: another header, a row that is not a frame and a number, or a frame listed twice.
    """
    folders = layout(Path(folder))
    holder = folders[0].parent if folders else Path(folder)
    places = [holder, holder.parent] if holder.name.lower() in ("png", "tif") else [holder]
    path = next((place / "sequences.csv" for place in places if (place / "sequences.csv").is_file()), None)
    if path is None:
        return None
    try:
        rows = list(csv.reader(path.read_text(encoding="utf-8-sig").splitlines()))
    except ValueError:
        raise DataError(f"{path}: not UTF-8 text; save it as CSV in UTF-8") from None
    if not rows or rows[0] != ["frame", "sequence"]:
        raise DataError(f"{path}: the first line is not 'frame,sequence'; expected that header, then 1,1")
    sequences: dict[str, int] = {}
    for number, row in enumerate(rows[1:], start=2):
        if not row:
            continue
        if len(row) != 2 or not re.fullmatch(r"\d+", row[1].strip()):
            raise DataError(f"{path}, line {number}: {','.join(row)!r}; expected a frame and a whole number")
        if row[0] in sequences:
            raise DataError(f"{path}, line {number}: frame {row[0]!r} is listed twice; keep one line")
        sequences[row[0]] = int(row[1])
    return sequences
