"""Several networks as one: the mean of their probabilities. Nothing here imports torch."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from polyp.data.familiar import AnyFamiliar, Familiar
from polyp.errors import DataError, UsageError
from polyp.run.engines import Engine, Size, open_engine
from polyp.run.prediction import Point


class Ensemble:
    """An `Engine` that is the mean of others, each at a size of its own.

    Args:
        members: one engine for each name, such as its file.
    """

    def __init__(self, members: dict[str, Engine]):
        self.members = members
        self.size: Size = next(iter(members.values())).size

    def probs(self, image: np.ndarray, mirror: bool = False) -> np.ndarray:
        return self._mean("probs", image, mirror)

    def confirm(self, image: np.ndarray, probs: np.ndarray) -> np.ndarray:
        # A member's answer is (probs + its three other looks) / 4, so the mean is right with the mean of all.
        return self._mean("confirm", image, probs)

    def _mean(self, what: str, *args: Any) -> np.ndarray:
        total: Any = 0
        for name, engine in self.members.items():
            with _naming(name):
                total = total + getattr(engine, what)(*args)
        return total / np.float32(len(self.members))


def open_ensemble(paths: Sequence[str | Path], **options: Any) -> tuple[Engine, dict[str, Any]]:
    """Several checkpoints or exported networks as one, and their metadata together.

    Args:
        paths: of two or more; torch and ONNX may be mixed.
        options: see `engines.open_engine`.

    Returns:
        metadata: `members`, those of each by its file; `config`, the first one's; the operating point, in
        which a value that the members do not share is that of `Point()`, as the mean of their answers is
        another map than theirs; and `differing`, the names of these values.

    Raises:
        UsageError: a file is named twice.
        UsageError, DataError: see `open_engine`; the message names the file.
    """
    names = [str(path) for path in paths]
    if twice := [name for name in names if names.count(name) > 1]:
        raise UsageError(f"{twice[0]}: is named twice; it would count double")
    engines, members = {}, {}
    for name in names:
        with _naming(name):
            engines[name], members[name] = open_engine(name, **options)
    points = [Point.of(metadata)._asdict() for metadata in members.values()]
    agreed = {key: value for key, value in points[0].items() if all(p[key] == value for p in points)}
    differing = [key for key in points[0] if key not in agreed]
    first = next(iter(members.values()))
    return Ensemble(engines), {"members": members, "config": first["config"], "differing": differing} | agreed


def familiar_of(metadata: dict[str, Any]) -> Familiar | AnyFamiliar | None:
    """What is familiar to a network, or to an ensemble; None if that is not known."""
    if "members" not in metadata:
        return Familiar.from_dict(metadata["familiar"]) if metadata.get("familiar") else None
    known = [
        (Familiar.from_dict(member["familiar"]), tuple(member["config"]["size"]))
        for member in metadata["members"].values()
        if member.get("familiar")
    ]
    return AnyFamiliar(known) if known else None


def fold_folders(path: str | Path) -> list[Path]:
    """The folders `fold_0`, `fold_1` ... in one that `cross_validate` made, in this order."""
    found = [(re.fullmatch(r"fold_(\d+)", place.name), place) for place in Path(path).glob("fold_*")]
    return [place for _, place in sorted((int(match[1]), place) for match, place in found if match)]


def find_members(path: str | Path) -> list[str | Path]:
    """The checkpoints that a path means: of a run's folder its best, of a folder of folds the best of each.

    Raises:
        DataError: a fold has not ended.
    """
    folder = Path(path)
    if (best := folder / "best.safetensors").is_file():
        return [best]
    folds = fold_folders(folder)
    for fold in folds:
        begun = (fold / "config.json").is_file() and not (fold / "metrics.json").is_file()
        if begun or not (fold / "best.safetensors").is_file():
            remedy = f"polyp train --resume {folder}; or name the files to use"
            raise DataError(f"{fold}: this fold has not ended: {remedy}")
    return [fold / "best.safetensors" for fold in folds] or [path]


def is_network(name: str) -> bool:
    """Whether this is the name of a checkpoint, an exported network, or a folder of them."""
    path = Path(name)
    return (
        path.suffix.lower() in (".safetensors", ".onnx")
        or (path / "best.safetensors").is_file()
        or bool(fold_folders(path))
    )


@contextmanager
def _naming(name: str) -> Iterator[None]:
    """Errors name the member."""
    try:
        yield
    except (DataError, UsageError) as error:
        if name in str(error):
            raise
        raise type(error)(f"{name}: {error}") from None
