"""Where predictions are written: never over what this package did not make."""

import csv
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from polyp.data.images import open_quietly, write_png
from polyp.data.layouts.folders import NEGATIVES, subfolders
from polyp.disk import make_folder, write_atomic
from polyp.errors import DataError, UsageError

DEFAULT = Path("predictions")
PLACES = ("masks", "overlays", "probabilities")
TABLES = ("predictions.csv", "predictions.json")
MARK = {"Software": "polyp predict"}  # in every picture that is written, to know it again
DATASETS = ("images", "original", NEGATIVES)  # folders that only a dataset has


def output_folder(
    out: str | Path | None = None,
    overwrite: bool = False,
    inputs: Iterable[Path] = (),
    go_on: bool = False,
) -> Path:
    """The folder to write predictions to, free of an earlier run's.

    Args:
        out: the folder; by default `predictions`, or the first of `predictions-2`, `predictions-3` ... that
            is free.
        overwrite: remove the predictions that `out` holds.
        inputs: the pictures to predict, which stay whatever they are.
        go_on: keep the predictions that `out` holds, to add to them.

    Raises:
        UsageError: `out` is a dataset, holds files that this package did not make where its own would go,
            or inputs, or predictions that are neither to be kept nor replaced. Nothing has been changed then.
    """
    if out is None:
        return DEFAULT if go_on else _next_free()
    out = Path(out)
    inside = subfolders(out)
    for name in DATASETS:
        if name in inside:
            raise UsageError(
                f"{out}: looks like a dataset (it holds {inside[name].name}/), and its masks may be an "
                "expert's; name another folder with --out"
            )
    earlier = [
        path
        for place in PLACES
        if place in inside
        for path in sorted(inside[place].rglob("*"))
        if path.is_file()
    ]
    tables = [out / name for name in TABLES if (out / name).exists()]
    for path in [*earlier, *(tables if not earlier else [])]:  # a table without masks is someone else's
        if not is_ours(path):
            raise UsageError(f"{path}: was not made by polyp predict; name another folder with --out")
    earlier += tables
    kept = {path.resolve() for path in inputs}
    for path in earlier:
        if path.resolve() in kept:
            raise UsageError(
                f"{path}: is to be predicted and would be replaced; name another folder with --out"
            )
    if go_on:
        return out
    if earlier and not overwrite:
        raise UsageError(
            f"{out}: holds the predictions of an earlier run; go on with them (--skip-existing), replace "
            "them (--overwrite), or name another folder with --out"
        )
    for path in earlier:
        path.unlink()
    return out


def _next_free() -> Path:
    path, number = DEFAULT, 1
    while path.exists() and any(path.iterdir()):
        number += 1
        path = DEFAULT.with_name(f"{DEFAULT.name}-{number}")
    return path


def is_ours(path: Path) -> bool:
    """Whether a picture was written by `write_picture`."""
    try:
        with open_quietly(path) as picture:
            return all(picture.info.get(name) == text for name, text in MARK.items())
    except Exception:  # a folder, no picture, or a damaged or hostile one, at which Pillow raises anything
        return False


def write_picture(path: Path, pixels: np.ndarray) -> Path:
    """Write a PNG that `is_ours` knows again; over one that is ours, or where there is none.

    Raises:
        DataError: there is another file; it cannot be written.
    """
    if path.exists() and not is_ours(path):
        raise DataError(f"{path}: exists, and was not made by polyp predict; name another folder")
    return write_png(path, pixels, MARK, durable=False)


class Writer:
    """Writes predictions as they come: masks (0/255 PNG), overlays, probability maps, and a growing table.

    A CSV table gets its line when the picture's files are there, so a killed run has lost one picture at
    most; a JSON table is written at the end. Use it as a context manager.

    Args:
        folder: where to; created. Masks go into `masks/`, the rest into `overlays/` and `probabilities/`
            (8-bit grey: 255 x probability), below them by `Prediction.name`.
        overlays: draw the outline on the picture.
        probabilities: write the probability map.
        table: `csv` or `json`; in `predictions.csv` the boxes are JSON text.
        suffix: after each file's name: `_mask` makes `1_mask.png`.
        go_on: keep the table's lines, and add to them.

    Raises:
        DataError: the folder cannot be written to, or the disk is full; a file there that this package did
            not make would be replaced.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        overlays: bool = False,
        probabilities: bool = False,
        table: str = "csv",
        suffix: str = "",
        go_on: bool = False,
    ):
        self.folder, self.suffix, self.go_on = make_folder(folder), suffix, go_on
        self.kinds = ["masks", *["overlays"] * overlays, *["probabilities"] * probabilities]
        for kind in self.kinds:
            make_folder(self.folder / kind)
        self.table = self.folder / f"predictions.{table}"
        self.rows: list[dict[str, Any]] = []
        self.columns: Sequence[str] = []  # of the table that is gone on with
        self.kept = self._kept() if go_on else []
        self._csv: csv.DictWriter | None = None
        self._file: TextIO | None = None

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, kind: Any, *_: Any) -> None:
        if self._file:
            self._file.close()
        # An empty table would say that there was nothing to find.
        if self.table.suffix == ".json" and (self.rows or self.kept):
            write_atomic(self.table, json.dumps([*self.kept, *self.rows], indent=2) + "\n")

    def waiting(self, pictures: Iterable[Any]) -> list[Any]:
        """The pictures that an earlier run has not finished; lines of these leave the table."""
        listed = {row["file"] for row in self.kept}
        left = [
            picture
            for picture in pictures
            if str(picture.file) not in listed
            or not all(self._place(kind, picture.name).exists() for kind in self.kinds)
        ]
        again = listed & {str(picture.file) for picture in left}
        if again:
            self.kept = [row for row in self.kept if row["file"] not in again]
            if self.table.suffix == ".csv":
                text = io.StringIO()
                table = csv.DictWriter(text, self.columns, lineterminator="\n")
                table.writeheader()
                table.writerows(self.kept)
                write_atomic(self.table, text.getvalue())
        return left

    def write(self, found: Any) -> dict[str, Any]:
        """Write one `Prediction`, and return its row, see `prediction.table_row`."""
        name = found.name or found.file.stem
        pixels = {
            "masks": lambda: found.mask * 255,
            "overlays": found.overlay,
            "probabilities": lambda: (found.probs * 255).round().astype(np.uint8),
        }
        for kind in self.kinds:
            path = self._place(kind, name)
            if "/" in name:
                make_folder(path.parent)
            write_picture(path, pixels[kind]())
        row = found.row()
        self.rows.append(row)
        if self.table.suffix == ".csv":
            self._add(row)
        return row

    def _place(self, kind: str, name: str) -> Path:
        return self.folder / kind / f"{name}{self.suffix}.png"

    def _add(self, row: dict[str, Any]) -> None:
        try:
            if self._csv is None:
                kept = bool(self.columns)
                self._file = self.table.open("a" if kept else "w", newline="", encoding="utf-8")
                self._csv = csv.DictWriter(self._file, row, lineterminator="\n")
                if not kept:
                    self._csv.writeheader()
            assert self._file is not None  # opened together
            self._csv.writerow(row | {"boxes": json.dumps(row["boxes"])})
            self._file.flush()
        except OSError as error:
            raise DataError(
                f"{self.table}: could not be written ({error.strerror}); free some space"
            ) from None

    def _kept(self) -> list[dict[str, Any]]:
        """The rows of an earlier run; a line that was cut off by a kill is removed."""
        if not self.table.is_file():
            return []
        text = self.table.read_text(encoding="utf-8")
        try:
            if self.table.suffix == ".json":
                rows = json.loads(text)
                if not all(isinstance(row, dict) and "file" in row for row in rows):
                    raise ValueError("no column file")
                return rows
            if not text.endswith("\n"):
                text = text[: text.rfind("\n") + 1]
                write_atomic(self.table, text)
            lines = csv.DictReader(io.StringIO(text))
            self.columns = lines.fieldnames or []
            if text and "file" not in self.columns:
                raise ValueError("no column file")
            return list(lines)
        except (ValueError, TypeError, csv.Error) as error:
            raise DataError(
                f"{self.table}: not a table of polyp predict ({error}); use --overwrite"
            ) from None


def write_predictions(
    predictions: Iterable[Any],
    folder: str | Path,
    *,
    overlays: bool = False,
    probabilities: bool = False,
    table: str = "csv",
) -> tuple[list[dict[str, Any]], list[DataError]]:
    """Write all predictions with a `Writer`.

    Args:
        predictions: from `predict_pictures`; consumed one at a time.
        folder, overlays, probabilities, table: see `Writer`.

    Returns:
        the table's rows, and the errors of the pictures that could not be read.
    """
    errors = []
    with Writer(folder, overlays=overlays, probabilities=probabilities, table=table) as writer:
        for item in predictions:
            if isinstance(item, DataError):
                errors.append(item)
            else:
                writer.write(item)
    return writer.rows, errors
