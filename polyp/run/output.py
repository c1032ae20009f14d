"""Where predictions are written: never over what this package did not make."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from polyp.data.images import open_quietly, write_png
from polyp.data.pairs import NEGATIVES, subfolders
from polyp.errors import DataError, UsageError

DEFAULT = Path("predictions")
PLACES = ("masks", "overlays", "probabilities")
TABLES = ("predictions.csv", "predictions.json")
MARK = {"Software": "polyp predict"}  # in every picture that is written, to know it again
DATASETS = ("images", "original", NEGATIVES)  # folders that only a dataset has


def output_folder(
    out: str | Path | None = None, overwrite: bool = False, inputs: Iterable[Path] = ()
) -> Path:
    """The folder to write predictions to, free of an earlier run's.

    Args:
        out: the folder; by default `predictions`, or the first of `predictions-2`, `predictions-3` ... that
            is free.
        overwrite: remove the predictions that `out` holds.
        inputs: the pictures to predict, which stay whatever they are.

    Raises:
        UsageError: `out` is a dataset, holds files that this package did not make where its own would go, or
            inputs, or predictions and `overwrite` is False. Nothing has been changed then.
    """
    if out is None:
        return _next_free()
    out = Path(out)
    inside = subfolders(out)
    for name in DATASETS:
        if name in inside:
            raise UsageError(
                f"{out}: looks like a dataset (it holds {inside[name].name}/), and its masks may be an "
                "expert's; name another folder with --out"
            )
    earlier = [path for place in PLACES if place in inside for path in sorted(inside[place].iterdir())]
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
    if earlier and not overwrite:
        raise UsageError(
            f"{out}: holds the predictions of an earlier run; name another folder with --out, or replace "
            "them with --overwrite"
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
    except OSError:  # a folder, or no picture
        return False


def write_picture(path: Path, pixels: np.ndarray) -> Path:
    """Write a PNG that `is_ours` knows again; over one that is ours, or where there is none.

    Raises:
        DataError: there is another file; it cannot be written.
    """
    if path.exists() and not is_ours(path):
        raise DataError(f"{path}: exists, and was not made by polyp predict; name another folder")
    return write_png(path, pixels, MARK)
