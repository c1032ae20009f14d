"""A folder of frames and a folder of masks: finding the pairs, and the videos they are from."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

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
        DataError: no such folder, or one without folders of frames and masks.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder")
    if not (folders := layout(folder)):
        raise DataError(
            f"{folder}: contains no dataset; expected the folders images/ and masks/, or Original/ and "
            "Ground Truth/, directly or in PNG/"
        )
    images: dict[str, list[Path]] = {}
    masks: dict[str, list[Path]] = {}
    for place, stems in zip(folders, (images, masks), strict=True):
        for path in list_images(place):
            stems.setdefault(path.stem, []).append(path)
    return images, masks


def find_pairs(folder: str | Path) -> list[Pair]:
    """The pairs of a frame and a mask in `folder`, in natural order.

    They are read from `images/` and `masks/`, or from `Original/` and `Ground Truth/`, in `folder` or in
    its `PNG/`; a pair shares its stem, not always its suffix (`7.jpg` with `7.png`).

    Raises:
        DataError: no such folder, nothing in it, a frame without a mask or the reverse, or two files
            with one stem.
    """
    images, masks = scan(folder)
    if not images and not masks:
        raise DataError(f"{folder}: contains no images; expected frames and masks of the same names")
    for stems in (images, masks):
        twice = [paths for paths in stems.values() if len(paths) > 1]
        if twice:
            what = name_some(f"{a.name} and {b.name}" for a, b, *_ in twice)
            raise DataError(f"{twice[0][0].parent}: {what} share a stem; keep one file per frame")
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
    """The video sequence of each frame, from `sequences.csv`; None if there is no such file.

    It belongs next to the folder of frames, or next to the `PNG/` that holds that folder, with the
    header `frame,sequence`: a stem and a whole number.

    Raises:
        DataError: another header, a row that is not a frame and a number, or a frame listed twice.
    """
    folders = layout(Path(folder))
    holder = folders[0].parent if folders else Path(folder)
    places = [holder, holder.parent] if holder.name.lower() in ("png", "tif") else [holder]
    path = next((place / "sequences.csv" for place in places if (place / "sequences.csv").is_file()), None)
    if path is None:
        return None
    columns = ["frame", "sequence", "more"]  # the third catches what should not be there
    try:
        lines = pd.read_csv(
            path, names=columns, dtype=str, na_filter=False, skip_blank_lines=False, encoding="utf-8-sig"
        )
    except ValueError as error:  # not UTF-8, or not a table
        reason = " ".join(str(error).split())
        raise DataError(f"{path}: cannot be read ({reason}); save it as CSV in UTF-8") from None
    if lines[:1].values.tolist() != [["frame", "sequence", ""]]:
        raise DataError(f"{path}: the first line is not 'frame,sequence'; expected that header, then 1,1")
    lines.index += 1
    rows = lines[1:][(lines[1:] != "").any(axis=1)]  # without blank lines
    right = (rows["frame"] != "") & rows["sequence"].str.fullmatch(r"\s*[0-9]+\s*") & (rows["more"] == "")
    for number, row in rows[~right].iterrows():
        text = ",".join(row).rstrip(",")
        raise DataError(f"{path}, line {number}: {text!r}; expected a frame and a whole number")
    for number, frame in rows["frame"][rows["frame"].duplicated()].items():
        raise DataError(f"{path}, line {number}: frame {frame!r} is listed twice; keep one line")
    return dict(zip(rows["frame"], map(int, rows["sequence"]), strict=True))
