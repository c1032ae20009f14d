"""Which frames belong together: the table that every split is made from."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from polyp.data.duplicates import ALIKE, thumbnail
from polyp.data.labels import Label, spelt_otherwise
from polyp.data.layouts.listing import Listing
from polyp.data.pairs import Pair
from polyp.errors import DataError


def frame_table(
    listing: Listing, pairs: list[Pair], areas: Sequence[float] | np.ndarray, images: Iterable[np.ndarray]
) -> pd.DataFrame:
    """What a split may need to know of each frame.

    Args:
        listing: what the dataset says of its frames, as in `sequences.csv` and `centres.csv`.
        pairs: its frames.
        areas: the polyp's share of each, 0 to 1.
        images: each frame at any size, uint8 RGB (H, W, 3).

    Returns:
        see `label_frames`.

    Raises:
        DataError: `sequences.csv` or `centres.csv` lacks frames, or cannot be read.
    """
    frames, with_polyp = [pair.frame for pair in pairs], [pair.frame for pair in pairs if pair.mask]
    return label_frames(
        frames,
        areas,
        listing.labels("sequence"),
        complete(listing.labels("centre"), with_polyp, "centres.csv"),
        near_duplicate_groups(thumbnail(image) for image in images),
        [pair.mask is None for pair in pairs],
        listing.parts,
    )


def label_frames(
    frames: list[str],
    areas: Sequence[float] | np.ndarray,
    sequences: Mapping[str, Label] | None = None,
    centres: Mapping[str, Label] | None = None,
    alike: Sequence[int] | np.ndarray | None = None,
    negative: Sequence[bool] | None = None,
    parts: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """The same from what is known already.

    Returns:
        one row per frame: frame; area; sequence and centre, None where they are not known; alike, a number
        that near-duplicates share; negative, whether it is known to show no polyp; and where the data have
        parts of their own, given, the frame's.

    Raises:
        DataError: `sequences` has some of the frames that are not negative, but not all.
    """
    table = pd.DataFrame({"frame": frames, "area": np.round(areas, 6)})
    for column, labels in (("sequence", sequences), ("centre", centres)):
        table[column] = pd.Series([(labels or {}).get(frame) for frame in frames], dtype=object)
    table["alike"] = range(len(frames)) if alike is None else alike
    table["negative"] = False if negative is None else negative
    if parts:
        table["given"] = [parts[frame] for frame in frames]
    complete(sequences, table["frame"][~table["negative"]].tolist(), "sequences.csv")
    return table


def complete(labels: Mapping[str, Label] | None, frames: list[str], file: str) -> Mapping[str, Label] | None:
    """The labels, which must be of all these frames or of none."""
    missing = [frame for frame in frames if frame not in (labels or {})]
    if 0 < len(missing) < len(frames):
        remark = spelt_otherwise(missing, labels or ())
        raise DataError(f"{file} lacks {len(missing)} frames, first '{missing[0]}'; add them{remark}")
    return labels


def groups_of(table: pd.DataFrame) -> pd.Series:
    """The label of each frame's group: its sequence, else its hospital, else that of its near-duplicates.

    Sequences that share near-duplicates are one: a recording may have been cut in two.
    """
    label = _sequences(table)
    if label.notna().all():
        return label
    columns = {"sequence": label, "centre": table["centre"], "alike": table["alike"]}
    rows = zip(*columns.values(), strict=True)
    labels = [
        next(f"{name} {value}" for name, value in zip(columns, row, strict=True) if pd.notna(value))
        for row in rows
    ]
    return pd.Series(labels, index=table.index, dtype=object)


def videos_of(table: pd.DataFrame) -> pd.Series:
    """The same within a hospital: a frame's sequence, else that of its near-duplicates."""
    label = _sequences(table)
    return label.where(label.notna(), table["alike"].map("alike {}".format))


def _sequences(table: pd.DataFrame) -> pd.Series:
    """Each frame's sequence, or None; of several that share near-duplicates, the first one's name."""
    known = table["sequence"].notna()
    sequence, first = pd.factorize(table["sequence"][known])
    joined = _connected(sequence, table["alike"][known].to_numpy(), len(first))
    names = dict(reversed(list(zip(joined, first, strict=True))))
    label = pd.Series(None, index=table.index, dtype=object)
    label[known] = [names[joined[number]] for number in sequence]
    return label


def _connected(rows: np.ndarray, columns: np.ndarray, count: int) -> np.ndarray:
    """For each of `count` row numbers the number of its component, rows being joined by equal columns."""
    columns = np.unique(columns, return_inverse=True)[1] + count
    size = count + len(columns)
    graph = coo_array((np.ones(len(rows)), (rows, columns)), shape=(size, size))
    return connected_components(graph, directed=False)[1][:count]


def near_duplicate_groups(thumbnails: Iterable[np.ndarray]) -> np.ndarray:
    """A number for each `duplicates.thumbnail` that its near-duplicates share, int (N,)."""
    vectors = np.array(list(thumbnails), np.float32)  # (N, D)
    blocks = range(0, len(vectors), 1024)  # so that 100 000 frames fit in memory too
    pairs = np.concatenate(
        [np.argwhere(vectors[at : at + 1024] @ vectors.T >= ALIKE) + np.array([at, 0]) for at in blocks]
    )
    graph = np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])
    return connected_components(coo_array(graph, shape=(len(vectors),) * 2), directed=False)[1]
