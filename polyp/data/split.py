"""Which frame is for training, which for choosing, which for the final score.

Two kinds of split, each a table with one row per frame:

- `sequence`: columns `frame, sequence, area, fold, validates`. A sequence is a video; all its frames
  are in one `fold`. Fold k's test set is fold k; its validation set is the sequences with `validates`
  equal to k, about half of the next fold; everything else trains.
- `random`: columns `frame, part`, 80/10/10, frame by frame as most papers do. Nearly every test
  frame then has a frame of its own video in training, which is why scores on it flatter.

The tables of CVC-ClinicDB are part of the package; those of other data follow from its frames alone.
"""

import warnings
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold, train_test_split

from polyp.data.images import read_mask
from polyp.data.known import DATASETS, find_dataset
from polyp.data.pairs import find_pairs, read_sequences
from polyp.disk import make_folder, write_atomic
from polyp.errors import DataError, UsageError, look_up

PARTS = ("train", "val", "test")
FOLDS = 5


def sequence_split(frames: list[str], sequences: list[int], areas: list[float]) -> pd.DataFrame:
    """Split by video sequence into folds that are balanced by frames and by polyp size.

    Args:
        frames: the frames' names.
        sequences: the video each belongs to.
        areas: the polyp's share of each frame, 0 to 1; its thirds (small, medium, large) are balanced.

    Returns:
        columns frame, sequence, area, fold (0 to 4, fewer with fewer than 5 sequences), validates.

    Raises:
        DataError: fewer than three sequences: one each to train, to choose and to test.
    """
    table = pd.DataFrame({"frame": frames, "sequence": sequences, "area": np.round(areas, 6)})
    count = table["sequence"].nunique()
    if count < 3:
        raise DataError(f"a split by sequence needs at least 3 sequences, found {count}; use split=random")
    folds = min(FOLDS, count)
    table["fold"] = _grouped_folds(table, folds)
    # Half a fold is enough to choose an epoch, and leaves 70 % of the frames for training.
    table["validates"] = -1
    for fold in range(folds):
        rows = table.index[table["fold"] == fold]
        part = table.loc[rows]
        halves = _grouped_folds(part, 2) if part["sequence"].nunique() > 1 else np.zeros(len(part), int)
        table.loc[rows[halves == 0], "validates"] = (fold - 1) % folds
    return table


def _grouped_folds(table: pd.DataFrame, folds: int) -> np.ndarray:
    """A fold number for each row; rows of one sequence share theirs."""
    thirds = table["area"].rank(method="first", pct=True).mul(3).clip(upper=2.999).astype(int)
    numbers = np.empty(len(table), dtype=int)
    splitter = StratifiedGroupKFold(folds)
    with warnings.catch_warnings():
        # In a small dataset a third may have fewer frames than there are folds.
        warnings.filterwarnings("ignore", "The least populated class in y")
        for fold, (_, rows) in enumerate(splitter.split(table, thirds, groups=table["sequence"])):
            numbers[rows] = fold
    return numbers


def random_split(frames: list[str]) -> pd.DataFrame:
    """Split frame by frame, 80/10/10, blind to which video a frame comes from.

    Raises:
        DataError: fewer than ten frames.
    """
    if len(frames) < 10:
        raise DataError(f"a random 80/10/10 split needs at least 10 frames, found {len(frames)}")
    rest, test = train_test_split(frames, test_size=0.1, random_state=42)
    _, val = train_test_split(rest, test_size=1 / 9, random_state=42)
    parts = dict.fromkeys(frames, "train") | dict.fromkeys(val, "val") | dict.fromkeys(test, "test")
    return pd.DataFrame({"frame": frames, "part": [parts[frame] for frame in frames]})


def _by_sequence(frames: list[str], areas: list[float], sequences: dict[str, int] | None) -> pd.DataFrame:
    if sequences is None:
        raise DataError(
            "no sequences.csv (columns frame,sequence) says which frames are of one video; "
            "add one, or use split=random and know that its scores flatter"
        )
    unknown = [frame for frame in frames if frame not in sequences]
    if unknown:
        raise DataError(f"sequences.csv lacks {len(unknown)} frames, first '{unknown[0]}'")
    return sequence_split(frames, [sequences[frame] for frame in frames], areas)


# Each makes a table from the frames' names, the polyp's share of each, and the frames' videos if known.
SPLITS: dict[str, Callable[[list[str], list[float], dict[str, int] | None], pd.DataFrame]] = {
    "sequence": _by_sequence,
    "random": lambda frames, areas, sequences: random_split(frames),
}


def make_split(
    split: str, frames: list[str], areas: list[float], sequences: dict[str, int] | None
) -> pd.DataFrame:
    """The table of one of `SPLITS` for these frames.

    Raises:
        UsageError: no such split.
        DataError: too few frames or videos; a split by sequence, but some frames' videos are not known.
    """
    return look_up(SPLITS, "split", split)(frames, areas, sequences)


def write_splits(data: str, folder: str | Path, data_path: str | Path | None = None) -> list[Path]:
    """Make the split tables of a dataset from its files: `<name>-random.csv`, and `<name>-sequence.csv`.

    The latter needs a `sequences.csv`. The tables in the package were made by
    `polyp data split cvc-clinicdb --out polyp/data/splits`.

    Raises:
        DataError: the data cannot be used; see `find_dataset`, `read_mask` and `make_split`.
    """
    source = find_dataset(data, data_path)
    pairs, sequences = find_pairs(source), read_sequences(source)
    frames = [pair.frame for pair in pairs]
    areas = [float(read_mask(pair.mask).mean()) for pair in pairs]
    folder, name = make_folder(folder), data if data in DATASETS else source.name
    return [
        write_atomic(
            folder / f"{name}-{split}.csv",
            make_split(split, frames, areas, sequences).to_csv(index=False, lineterminator="\n"),
        )
        for split in SPLITS
        if split != "sequence" or sequences is not None
    ]


def packaged_split(data: str, split: str) -> pd.DataFrame | None:
    """The split table in the package, or None if it has none for this data."""
    file = files("polyp.data") / "splits" / f"{data}-{split}.csv"
    return pd.read_csv(file, dtype={"frame": str}) if file.is_file() else None


def parts_of(table: pd.DataFrame, fold: int = 0) -> dict[str, list[str]]:
    """The frames of `train`, `val` and `test`.

    Args:
        table: from `sequence_split` or `random_split`.
        fold: which fold is the test set.

    Raises:
        UsageError: the table has no such fold.
    """
    if "part" in table:
        if fold != 0:
            raise UsageError(f"fold is {fold}; the random split has only fold 0")
        part = table["part"]
    else:
        folds = table["fold"].nunique()
        if fold not in range(folds):
            raise UsageError(f"fold is {fold}; this split has folds 0 to {folds - 1}")
        part = pd.Series("train", index=table.index)
        part[table["validates"] == fold] = "val"
        part[table["fold"] == fold] = "test"
    return {name: table["frame"][part == name].tolist() for name in PARTS}
