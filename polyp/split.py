"""Which frame is for training, which for choosing, which for the final score.

Two kinds of split, each a table with one row a frame:

- `sequence`: columns `frame, sequence, area, fold, validates`. All frames of a video sequence stand
  in one `fold`. Fold k's test set is fold k; its validation set are the sequences that `validates`
  k, about half of the next fold; everything else trains.
- `random`: columns `frame, part`, 80/10/10, frame by frame as most papers do. Nearly every test
  frame then has a frame of its own video in training, which is why scores on it flatter.

The tables of CVC-ClinicDB come with the package; those of other data follow from its frames alone.
"""

from importlib.resources import files

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold, train_test_split

from polyp.errors import DataError, UsageError

PARTS = ("train", "val", "test")
FOLDS = 5


def sequence_split(frames: list[str], sequences: list[int], areas: list[float]) -> pd.DataFrame:
    """Split by video sequence into folds that are balanced by frames and by polyp size.

    Args:
        frames: the frames' names.
        sequences: the video each belongs to.
        areas: polyp's share of each frame, 0 to 1; its thirds (small, medium, large) are balanced.

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


def packaged_split(data: str, split: str) -> pd.DataFrame | None:
    """The split table that comes with the package, or None where there is none for this data."""
    file = files("polyp") / "splits" / f"{data}-{split}.csv"
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
