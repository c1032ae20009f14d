"""Which frames belong together, so that intervals draw whole videos or hospitals."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from polyp.data.layouts.folders import layout
from polyp.data.pairs import read_centres, read_sequences
from polyp.errors import DataError, UsageError, name_some

GivenGroups = str | Path | Mapping[str, int | str] | Sequence[int | str] | Literal[False] | None


class Groups(NamedTuple):
    """The label of each frame, (N,), and what a group is: a sequence, hospital, group, or a frame alone."""

    labels: list[int | str]
    unit: str

    @property
    def known(self) -> bool:
        return self.unit != "frame"

    @property
    def members(self) -> tuple[np.ndarray, int]:
        """The number of each frame's group, int (N,), in order of appearance, and how many there are."""
        numbers, names = pd.factorize(pd.Series(self.labels, dtype=object))
        return numbers, len(names)


def find_groups(given: GivenGroups, frames: list[str], truth: Path | None) -> Groups:
    """The groups of `frames`.

    Args:
        given: a table `frame,sequence`; or a label for each name; or labels in the order of the frames; or
            False for frames alone; or None to look for `sequences.csv`, then `centres.csv`, beside `truth`.
        frames: their names.
        truth: a folder, or None.

    Raises:
        DataError: a table that cannot be read or that lacks frames.
        UsageError: as many labels as frames are needed.
    """
    if given is False or (given is None and truth is None):
        return Groups(list(frames), "frame")
    if given is None:
        assert truth is not None
        return _beside(truth, frames)
    if isinstance(given, str | Path):
        return _complete(_read(Path(given).expanduser()), frames, str(given))
    if isinstance(given, Mapping):
        return _complete({str(name): label for name, label in given.items()}, frames, "sequences")
    if len(given) != len(frames):
        raise UsageError(f"{len(given)} sequences for {len(frames)} frames; expected a label for each frame")
    return Groups(list(given), "sequence")


def _beside(truth: Path, frames: list[str]) -> Groups:
    """Sequence, else hospital; a frame of which neither is known stands alone."""
    sequences: dict[str, int | str] = {}
    centres: dict[str, int | str] = {}
    for folder in (truth,) if layout(truth) else (truth.parent, truth):  # a dataset, or its folder of masks
        sequences |= read_sequences(folder) or {}
        centres |= read_centres(folder) or {}
    labels, units = [], set()
    for frame in frames:
        unit = "sequence" if frame in sequences else "hospital" if frame in centres else "frame"
        label = sequences.get(frame, centres.get(frame, frame))
        units.add(unit)
        labels.append((unit, label))
    if len(units) == 1:
        return Groups([label for _, label in labels], units.pop())
    return Groups([f"{unit} {label}" for unit, label in labels], "group")


def _read(path: Path) -> dict[str, int | str]:
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; expected a table frame,sequence") from None
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{path}: cannot be read ({reason}); expected a table frame,sequence") from None
    if len(table.columns) != 2 or table.columns[0] != "frame":
        raise DataError(f"{path}: its columns are {name_some(table.columns)}; expected frame,sequence")
    for frame in table["frame"][table["frame"].duplicated()]:
        raise DataError(f"{path}: frame {frame!r} is listed twice; keep one line")
    return dict(zip(table["frame"], table.iloc[:, 1].str.strip(), strict=True))


def _complete(labels: dict[str, int | str], frames: list[str], where: str) -> Groups:
    missing = [frame for frame in frames if frame not in labels]
    if missing:
        raise DataError(
            f"{where}: {len(missing)} of {len(frames)} frames are not in it ({name_some(missing, 10)}); "
            "add them"
        )
    return Groups([labels[frame] for frame in frames], "sequence")
