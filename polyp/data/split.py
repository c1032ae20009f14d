"""Which frame is for training, which for choosing, which for the final score.

Each split is a table with one row per frame:

- `sequence`: columns `frame, sequence, area, fold, validates`. A sequence is a video; all its frames
  are in one `fold`. Fold k's test set is fold k; its validation set is the sequences with `validates`
  equal to k, about half of the next fold; everything else trains.
- `random`: columns `frame, part`, 80/10/10, frame by frame as most papers do. Nearly every test
  frame then has a frame of its own video in training, which is why scores on it flatter.
- `mixed`: columns `frame, part`; a share of every hospital is held out, by video where videos are known.
- `hospital`: columns `frame, part, centre, fold`; fold k tests on all of hospital k, the others train.
- `pranet`: columns `frame, part`; the lists of most papers since PraNet (Fan et al., MICCAI 2020,
  arXiv:2006.11392): 1450 frames of CVC-ClinicDB and Kvasir-SEG train, 62 and 100 test. There is no
  validation part (use `refit`), and ClinicDB's test frames have frames of their own videos in training.
- `auto`: columns `frame, part`, the parts that the data have themselves, such as folders train, val and test;
  for data without, `sequence`.

Some tables are part of the package; those of other data follow from its frames alone.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold, train_test_split

from polyp.data.groups import groups_of, label_frames, videos_of
from polyp.data.labels import Label
from polyp.data.layouts.listing import PARTS as PARTS
from polyp.errors import DataError, UsageError, look_up

FOLDS = 5


def sequence_split(frames: list[str], sequences: Sequence[Label], areas: Sequence[float]) -> pd.DataFrame:
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
        raise DataError(
            f"a split by sequence needs at least 3 sequences, found {count} (near-duplicate frames, and "
            "sequences that share some, count as one); add frames of other videos, or use split=random, "
            "whose scores flatter"
        )
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
    if thirds.value_counts().max() < folds:  # too few frames to balance their sizes
        thirds[:] = 0
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


def _by_sequence(table: pd.DataFrame) -> pd.DataFrame:
    return sequence_split(table["frame"].tolist(), groups_of(table).tolist(), table["area"].tolist())


def mixed_split(table: pd.DataFrame, fixed: Mapping[str, str] | None = None) -> pd.DataFrame:
    """Hold out a share of every hospital, whole groups of frames at a time: videos, or near-duplicates.

    Args:
        table: from `groups.frame_table`. A tenth of each hospital's frames are for test, a tenth for
            choosing; of the frames without a polyp a third and a sixth, since they come in few videos.
        fixed: the part of frames that is decided already; a hospital gets no second one of that part.

    Returns:
        columns frame, part.
    """
    decided = pd.Series([(fixed or {}).get(frame) for frame in table["frame"]], table.index, dtype=object)
    part = decided.fillna("train")
    hospital = table["centre"].map(str).where(~table["negative"], "negatives")
    group = videos_of(table)
    rng = np.random.default_rng(0)
    for name in sorted(hospital.unique()):
        rows = table.index[hospital == name]
        shares = (1 / 3, 1 / 6) if name == "negatives" else (0.1, 0.1)
        open_rows = rows[decided[rows].isna()]
        members = group[open_rows].groupby(group[open_rows]).groups
        waiting = [members[key] for key in rng.permutation(np.array(sorted(members, key=str), dtype=object))]
        for which, share in zip(("test", "val"), shares, strict=True):
            while waiting and (part[rows] == which).sum() < share * len(rows):
                part[waiting.pop(0)] = which
    return pd.DataFrame({"frame": table["frame"], "part": part})


def hospital_split(table: pd.DataFrame) -> pd.DataFrame:
    """Leave one hospital out: fold k's test set is all of hospital k, in the order of their names.

    The other hospitals train and choose as in `mixed_split`; what that holds out of them stays out.

    Args:
        table: from `groups.frame_table`, perhaps with the column part of a mixed split.

    Returns:
        columns frame, centre, part (see `mixed_split`), fold (-1 for frames of no known hospital).

    Raises:
        DataError: fewer than two hospitals.
    """
    names = sorted(table["centre"].dropna().unique(), key=str)
    if len(names) < 2:
        raise DataError(
            f"a split by hospital needs at least 2 hospitals, found {len(names)}; name several datasets "
            "(cvc-clinicdb+kvasir-seg), or say in centres.csv (columns frame,centre) whose frames are whose"
        )
    fold = table["centre"].map({name: k for k, name in enumerate(names)}).fillna(-1).astype(int)
    parts = table if "part" in table else mixed_split(table)
    return parts[["frame", "part"]].assign(centre=table["centre"], fold=fold)


def given_split(table: pd.DataFrame) -> pd.DataFrame:
    """The parts that the data have themselves.

    Args:
        table: from `groups.frame_table`, with the column given. If none is val, a tenth of train becomes it,
            whole groups of frames at a time, as in `mixed_split`.

    Returns:
        columns frame, part.
    """
    part = table["given"].copy()
    train = table[part == "train"]
    if len(train) and not (part == "val").any():
        drawn = mixed_split(train)
        part[drawn.index[drawn["part"] == "val"]] = "val"
    return pd.DataFrame({"frame": table["frame"], "part": part})


def _pranet(table: pd.DataFrame) -> pd.DataFrame:
    raise UsageError("the pranet split lists frames of cvc-clinicdb and kvasir-seg; name one or both")


# Each makes a table with one row per frame from `groups.frame_table`'s.
SPLITS: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "auto": lambda table: given_split(table) if "given" in table else _by_sequence(table),
    "sequence": _by_sequence,
    "random": lambda table: random_split(table["frame"].tolist()),
    "hospital": hospital_split,
    "mixed": mixed_split,
    "pranet": _pranet,
}


def make_split(
    split: str, frames: list[str], areas: Sequence[float], sequences: Mapping[str, Label] | None
) -> pd.DataFrame:
    """The table of one of `SPLITS` for frames of which no more is known than their videos.

    Raises:
        UsageError: no such split.
        DataError: too few frames or videos; a split by sequence, but some frames' videos are not known.
    """
    make = look_up(SPLITS, "split", split)
    if split in ("auto", "sequence") and sequences is None:
        raise DataError(
            "no sequences.csv (columns frame,sequence) says which frames are of one video; "
            "add one, or use split=random and know that its scores flatter"
        )
    return make(label_frames(frames, areas, sequences))


def packaged_split(data: str, split: str) -> pd.DataFrame | None:
    """The split table in the package, or None if it has none for this data.

    Args:
        data: a dataset's name, or several joined by `+`; then each frame is called `<dataset>/<frame>`.
        split: a key of `SPLITS`.
    """
    if Path(data).name != data:  # a path: its folder may hold a table of the same name, which is not ours
        return None
    tables = files("polyp.data") / "splits"
    if (file := tables / f"{data}-{split}.csv").is_file():
        return pd.read_csv(file, dtype={"frame": str})
    names = data.split("+")
    if not (file := tables / f"{split}.csv").is_file():
        return None
    table = pd.read_csv(file, dtype={"frame": str})
    if not set(names) <= set(table["dataset"]):
        return None
    table = table[table["dataset"].isin(names)]
    prefix = table["dataset"] + "/" if len(names) > 1 else ""
    return table.assign(frame=prefix + table["frame"]).drop(columns="dataset").reset_index(drop=True)


def read_split(path: str | Path) -> pd.DataFrame:
    """Someone's own split: a CSV like those of `SPLITS`, at the least `frame,part` with train, val and test.

    Raises:
        UsageError: no such file.
        DataError: other columns, another part, or a frame listed twice.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        what = "a folder; expected a CSV" if path.is_dir() else "no such file"
        raise UsageError(f"split_file is {str(path)!r}: {what}")
    try:
        table = pd.read_csv(path, dtype={"frame": str, "part": str}, na_filter=False, encoding="utf-8-sig")
    except ValueError as error:  # not UTF-8, or not a table
        raise DataError(f"{path}: cannot be read ({' '.join(str(error).split())}); save it as CSV") from None
    if "frame" not in table or not ("part" in table or {"fold", "validates"} <= set(table)):
        raise DataError(f"{path}: has the columns {', '.join(table)}; expected frame,part")
    if "part" in table and (odd := sorted(set(table["part"]) - set(PARTS))):
        raise DataError(f"{path}: lists the part {odd[0]!r}; expected {', '.join(PARTS)}")
    if (twice := table["frame"][table["frame"].duplicated()]).any():
        raise DataError(f"{path}: frame {twice.iloc[0]!r} is listed twice; keep one line")
    return table


def parts_of(table: pd.DataFrame, fold: int = 0) -> dict[str, list[str]]:
    """The frames of `train`, `val` and `test`; in a split by hospital, also of `left out`.

    Args:
        table: from one of `SPLITS`.
        fold: which fold is the test set.

    Raises:
        UsageError: the table has no such fold.
    """
    if "fold" not in table:
        if fold != 0:
            raise UsageError(f"fold is {fold}; this split has only fold 0")
        part = table["part"]
    else:
        folds = int(table["fold"].max()) + 1
        if fold not in range(folds):
            raise UsageError(f"fold is {fold}; this split has folds 0 to {folds - 1}")
        if "validates" in table:
            part = pd.Series("train", index=table.index)
            part[table["validates"] == fold] = "val"
        else:  # by hospital: the test frames of the others, if any, stay out
            part = table["part"].where((table["part"] != "test") | (table["fold"] < 0), "left out")
        part = part.where(table["fold"] != fold, "test")
    names = dict.fromkeys([*PARTS, *part.unique()])
    return {name: table["frame"][part == name].tolist() for name in names}
