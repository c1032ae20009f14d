"""A CSV of pairs: `image,mask`, and what else is known of each frame."""

import csv
from pathlib import Path

from polyp.data.labels import Label, as_labels, delimiter_of
from polyp.data.layouts.listing import PART_NAMES, PARTS, Listing, frame_names
from polyp.errors import DataError, name_some

SUFFIXES = (".csv", ".tsv", ".txt")
EXPECTED = "expected image,mask and, if you like, sequence (or patient, video), centre and part"
# What a column means, by what people call it; of several for one meaning, the earlier counts.
COLUMNS = {
    "image": ("image", "frame", "image_path", "img"),
    "mask": ("mask", "mask_path", "label", "ground_truth"),
    "sequence": ("patient", "patient_id", "sequence", "video"),
    "centre": ("centre", "center", "hospital"),
    "part": ("part", "split", "subset"),
}


def read(place: Path) -> Listing | None:
    """The frames and masks that a table lists, by paths from its folder; None if it is no table.

    Commas, semicolons or tabs are between the cells. An empty mask is a frame without a polyp.

    Raises:
        DataError: another header, a line that does not fit, or files that are not there.
    """
    if not place.is_file() or place.suffix.lower() not in SUFFIXES:
        return None
    header, rows = _rows(place)
    columns = _columns(place, header)
    images = [row[columns["image"]] for row in rows]
    names = frame_names(images)
    seen: set[str] = set()
    for number, (name, image) in enumerate(zip(names, images, strict=True), 2):
        if not image or name in seen:
            what = f"image {image!r} is listed twice; keep one line" if image else "no image"
            raise DataError(f"{place}, line {number}: {what}")
        seen.add(name)
    files = {name: place.parent / image for name, image in zip(names, images, strict=True)}
    masks = {
        name: place.parent / cell
        for name, row in zip(names, rows, strict=True)
        if (cell := row[columns["mask"]])
    }
    _check_there(place, [*files.values(), *masks.values()])
    given: dict[str, dict[str, Label]] = {
        column: as_labels({n: row[k] for n, row in zip(names, rows, strict=True) if row[k]})
        for k, column in enumerate(header)
    }
    given |= {what: given[header[columns[what]]] for what in ("sequence", "centre") if what in columns}
    parts = _parts(place, names, rows, columns["part"]) if "part" in columns else {}
    unused = [name for k, name in enumerate(header) if k not in columns.values()]
    told = [f"its column {header[k]} as {what}" for what, k in columns.items() if header[k] != what]
    told += ["its parts are the split unless another is asked for"] if parts else []
    told += [f"not used: {name_some(unused, 6)}"] if unused else []
    return Listing(
        place,
        f"a table of {len(masks)} frames with a mask and {len(files) - len(masks)} without"
        + "".join(f"; {remark}" for remark in told),
        {name: [path] for name, path in files.items() if name in masks},
        {name: [path] for name, path in masks.items()},
        [(name, path) for name, path in files.items() if name not in masks],
        parts,
        given,
    )


def _rows(path: Path) -> tuple[list[str], list[list[str]]]:
    """The header in small letters, and the other lines."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        delimiter = delimiter_of(text.partition("\n")[0])
        header, *rows = [
            [cell.strip() for cell in row] for row in csv.reader(text.splitlines(), delimiter=delimiter)
        ]
    except (OSError, ValueError, csv.Error) as error:  # ValueError: not UTF-8, or nothing there
        reason = "it is empty" if not path.stat().st_size else " ".join(str(error).split())
        raise DataError(f"{path}: cannot be read ({reason}); save it as CSV in UTF-8") from None
    for number, row in enumerate(rows, 2):
        if any(row) and len(row) != len(header):
            raise DataError(
                f"{path}, line {number}: {len(row)} cells, where the first line has {len(header)}"
            )
    return [name.lower() for name in header], [row for row in rows if any(row)]


def _columns(path: Path, header: list[str]) -> dict[str, int]:
    """Where the columns are, by their meaning."""
    found = {
        what: next(header.index(name) for name in names if name in header)
        for what, names in COLUMNS.items()
        if set(names) & set(header)
    }
    if missing := [what for what in ("image", "mask") if what not in found]:
        raise DataError(f"{path}: has no column {missing[0]}, only {name_some(header, 8)}; {EXPECTED}")
    return found


def _check_there(place: Path, files: list[Path]) -> None:
    missing = [path for path in files if not path.is_file()]
    if missing:
        names = name_some(str(path) for path in missing)
        raise DataError(
            f"{place}: lists {len(missing)} files that are not there ({names}); correct the paths"
        )


def _parts(place: Path, names: list[str], rows: list[list[str]], column: int) -> dict[str, str]:
    parts = {name: PART_NAMES.get(row[column].lower()) for name, row in zip(names, rows, strict=True)}
    for number, (row, part) in enumerate(zip(rows, parts.values(), strict=True), 2):
        if part is None:
            raise DataError(f"{place}, line {number}: part {row[column]!r}; expected {', '.join(PARTS)}")
    return {name: part for name, part in parts.items() if part}
