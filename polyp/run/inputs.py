"""What people hand to `predict`: files, folders and their sub-folders, globs, pixels, or all of these."""

import glob
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from polyp.data.images import list_images, natural_sort, read_image, to_rgb
from polyp.data.layouts.folders import MASK_ENDINGS, layout
from polyp.errors import DataError, UsageError, name_some
from polyp.run.output import is_ours
from polyp.run.prediction import Picture

LITTER = ("thumbs.db", "desktop.ini")  # what systems leave in folders
STDIN = "-"


def list_pictures(inputs: Iterable[str | Path]) -> list[Picture]:
    """The pictures among files, folders with all below them, and globs; in order, none twice.

    Of a dataset's folder the frames are taken, not the masks. Pictures that `polyp predict` made are left
    out. Results are named by the files' stems, below a folder by the path in it; of several folders also
    by the folder's name, and where two would still be one, by the whole file name.

    Raises:
        DataError: nothing there; two files that could only be told apart by their folders.
    """
    found: dict[Path, tuple[str, ...]] = {}  # file -> the parts of its name, without the last
    places = [place for item in inputs for place in _globbed(item)]
    folders = [item for item in places if item.is_dir()]
    for item in places:
        if not item.is_dir():
            found.setdefault(item, ())
            continue
        above = (item.resolve().name,) if len(folders) > 1 else ()
        pictures = {file: (*above, *parts) for file, parts in _below(item)}
        if not pictures:
            others = name_some(path.name for path in left_out([item])) or (
                "such as polyp predict made" if any(map(is_ours, item.rglob("*.png"))) else ""
            )
            raise DataError(f"{item}: no pictures in this folder" + (f", only {others}" if others else ""))
        found = pictures | found
    if found and not any(file.exists() for file in found):
        raise DataError(f"{name_some(map(str, found))}: no such file")
    return _named(found)


def collect_inputs(inputs: Iterable[str | Path]) -> list[Path]:
    """The files of `list_pictures`."""
    return [picture.file for picture in list_pictures(inputs)]


def _globbed(item: str | Path) -> list[Path]:
    """The files that a pattern fits, which a shell has not replaced; else the path itself."""
    path = Path(item)
    if path.exists() or not glob.has_magic(str(item)):
        return [path]
    if found := natural_sort(map(Path, glob.glob(str(item), recursive=True))):
        return found
    raise DataError(f"{item}: no file has such a name")


def _below(folder: Path) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """The pictures in a folder and below it, each with the path between."""
    frames, folder = _frames(folder)
    for file in frames:
        if not is_ours(file):
            yield file, ()
    for inner in natural_sort(folder.iterdir()):
        if inner.is_dir() and not inner.is_symlink() and not inner.name.startswith("."):
            for file, parts in _below(inner):
                yield file, (inner.name, *parts)


def _frames(folder: Path) -> tuple[list[Path], Path]:
    """The pictures in a folder, and the folder; of a dataset the frames, and their folder."""
    if not (places := layout(folder)):
        return list_images(folder), folder
    if places[0] == places[1]:  # masks beside their frames
        return [path for path in list_images(folder) if not path.stem.lower().endswith(MASK_ENDINGS)], folder
    return list_images(places[0]), places[0]


def _named(found: dict[Path, tuple[str, ...]]) -> list[Picture]:
    """Each file with its result's name: by its stem, else with its suffix, else with its folder."""
    names = {file: "/".join((*parts, file.stem)) for file, parts in found.items()}
    for longer in (
        lambda file, parts: "/".join((*parts, file.name)),
        lambda file, parts: "/".join((file.resolve().parent.name, *parts, file.name)),
    ):
        count = Counter(names.values())
        names |= {file: longer(file, parts) for file, parts in found.items() if count[names[file]] > 1}
    count = Counter(names.values())
    if twice := [file for file in found if count[names[file]] > 1]:
        raise DataError(
            f"{twice[0]} and {twice[1]}: both results would be called {names[twice[0]]}; predict them apart"
        )
    return [Picture(file, name) for file, name in names.items()]


def left_out(inputs: Iterable[str | Path]) -> list[Path]:
    """What lies in the folders among `inputs`, and below, and is no picture that can be read."""
    folders = [Path(item) for item in inputs if Path(item).is_dir()]
    return [path for folder in folders for path in _no_pictures(folder)]


def _no_pictures(folder: Path) -> Iterator[Path]:
    _, folder = _frames(folder)
    pictures = set(list_images(folder))
    for path in natural_sort(folder.iterdir()):
        if path.name.startswith(".") or path.name.lower() in LITTER or path in pictures:
            continue
        if path.is_dir() and not path.is_symlink():
            yield from _no_pictures(path)
        else:
            yield path


def read_stdin() -> Picture:
    """The picture that another program pipes in.

    Raises:
        DataError: none came, or it is no picture.
    """
    content = sys.stdin.buffer.read()
    if not content:
        raise DataError("stdin: nothing came; expected a picture, as in: polyp predict - < frame.png")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "stdin"
        path.write_bytes(content)
        try:
            return Picture(Path(path.name), path.name, read_image(path))
        except DataError as error:
            raise DataError(str(error).replace(str(path), path.name)) from None


def as_pictures(source: Any) -> Iterator[Picture]:
    """What `Predictor.predict` was given, as pictures: paths, arrays, PIL images, or an iterable of them.

    Raises:
        UsageError: of another kind.
        DataError: see `list_pictures`.
    """
    if isinstance(source, str | Path):
        yield from _of_path(source)
    elif isinstance(source, np.ndarray | Image.Image):
        yield _pixels(source, 0)
    elif isinstance(source, Iterable):
        for number, item in enumerate(source):
            if isinstance(item, str | Path):
                yield from _of_path(item)
            else:
                yield _pixels(item, number)
    else:
        raise UsageError(f"source is {type(source).__name__}; {EXPECTED}")


def _of_path(path: str | Path) -> Iterator[Picture]:
    from polyp.run.film.source import Film, is_film  # which predicts, and so imports this

    yield from Film(path) if is_film(path) else list_pictures([path])


EXPECTED = "expected a path, a folder, a glob, uint8 RGB (H, W, 3), a PIL image, or an iterable of these"


def _pixels(item: Any, number: int) -> Picture:
    name = f"picture_{number}"
    if isinstance(item, Image.Image):
        item = np.array(to_rgb(item, Path(name)))
    if not isinstance(item, np.ndarray):
        raise UsageError(f"{name} is {type(item).__name__}; {EXPECTED}")
    if item.dtype != np.uint8 or item.ndim != 3 or item.shape[2] != 3:
        raise UsageError(f"{name} is {item.dtype} {item.shape}; expected uint8 RGB (H, W, 3)")
    return Picture(Path(name), name, item)
