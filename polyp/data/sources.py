"""The datasets behind one run: `cvc-clinicdb`, or several joined by `+`, and how they are split together.

With several, a frame is called `<dataset>/<frame>`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from polyp.data.groups import frame_table, videos_of
from polyp.data.images import read_image
from polyp.data.known import DATASETS, find_dataset
from polyp.data.masks import AUTO
from polyp.data.pairs import Label, Pair, find_pairs, read_centres, read_pair, read_sequences, subfolders
from polyp.data.split import PARTS, SPLITS, mixed_split, packaged_split, parts_of
from polyp.disk import make_folder, write_atomic
from polyp.errors import UsageError, look_up

NO_POLYP = "no polyp"
# For `mixed.csv`: which parts of a dataset follow which other split, so that test frames stay test frames.
SETTLED: dict[str, tuple[str, tuple[str, ...]]] = {
    "cvc-clinicdb": ("sequence", PARTS),
    "kvasir-seg": ("pranet", ("test",)),
}


@dataclass(frozen=True)
class Source:
    """One dataset: its name, its folder, what its frames' names begin with, and its frames."""

    name: str
    folder: Path
    prefix: str
    pairs: list[Pair]


def find_sources(
    data: str, add: str = "", path: str | Path | None = None, mask_values: str = AUTO
) -> tuple[list[Source], list[Source]]:
    """The datasets that `data` and `add` name, each a name or folder or several joined by `+`.

    Args:
        data, add: see `Config`.
        path: where they are: the dataset's folder, or one that holds a folder for each.
        mask_values: which pixels of their masks mean polyp, see `masks.read_mask`.

    Raises:
        UsageError: a dataset named twice; no such dataset.
        DataError: as `find_dataset` and `find_pairs`.
    """
    own, added = _names(data), _names(add)
    twice = {name for name in own + added if (own + added).count(name) > 1}
    if twice:
        raise UsageError(f"{sorted(twice)[0]} is named twice in {'+'.join(own + added)!r}; name it once")
    several = len(own + added) > 1
    found = [_find(name, path, several, mask_values) for name in own + added]
    return found[: len(own)], found[len(own) :]


def _names(data: str) -> list[str]:
    return [data] if Path(data).is_dir() and data else [name for name in data.split("+") if name]


def _find(name: str, path: str | Path | None, several: bool, values: str) -> Source:
    if several and path is not None:
        place = subfolders(Path(path).expanduser()).get(name.lower())
        if place is None:
            raise UsageError(f"{path}: holds no folder {name}; it must hold one for each of several datasets")
        path = place
    folder = find_dataset(name, path)
    prefix = f"{Path(name).name}/" if several else ""
    pairs = [replace(pair, frame=prefix + pair.frame) for pair in find_pairs(folder, values)]
    return Source(name, folder, prefix, pairs)


def split_table(split: str, sources: list[Source], areas: np.ndarray, images: np.ndarray) -> pd.DataFrame:
    """The table of a split over all `sources`; the package's where it has one for them.

    Args:
        split: a key of `split.SPLITS`.
        sources: whose frames, in this order, `areas` (N,) and `images` (N, H, W, 3) describe.

    Raises:
        UsageError, DataError: see `split.SPLITS`.
    """
    make = look_up(SPLITS, "split", split)
    data = "+".join(source.name for source in sources)
    together = packaged_split(data, split)
    if together is not None:
        return together if len(sources) > 1 else _prefixed(together, sources[0])
    tables, start = [], 0
    for source in sources:
        rows = slice(start, start := start + len(source.pairs))
        table = packaged_split(source.name, "sequence") if split == "sequence" else None
        if table is not None:
            table = _prefixed(table, source)
        else:
            table = _labelled(source, areas[rows], images[rows])
            if split == "sequence":
                table = make(table)
            elif len(sources) > 1:
                table = _among_several(table, source)
        tables.append(table)
    table = pd.concat(tables, ignore_index=True)
    if split == "hospital" and (mixed := packaged_split(data, "mixed")) is not None:
        table = table.merge(mixed, on="frame")
    return table if split == "sequence" else make(table)


def _labelled(
    source: Source, areas: Sequence[float] | np.ndarray, images: Iterable[np.ndarray]
) -> pd.DataFrame:
    """The source's `groups.frame_table`; its files of labels know no prefix."""
    pairs = [replace(pair, frame=pair.frame.removeprefix(source.prefix)) for pair in source.pairs]
    return _prefixed(frame_table(source.folder, pairs, areas, images), source)


def _prefixed(table: pd.DataFrame, source: Source) -> pd.DataFrame:
    return table.assign(frame=source.prefix + table["frame"])


def _among_several(table: pd.DataFrame, source: Source) -> pd.DataFrame:
    """Labels that no other dataset has; a dataset without `centres.csv` counts as one hospital."""

    def own(label: Label) -> str:
        return f"{source.name} {label}"

    centre = table["centre"].map(own, na_action="ignore").fillna(source.name)
    return table.assign(
        sequence=table["sequence"].map(own, na_action="ignore"),
        alike=table["alike"].map(own),
        centre=centre.where(~table["negative"], None),
    )


def kept_together(source: Source) -> str:
    """What a split by sequence keeps on one side: the frames of a video or hospital, or near-duplicates."""
    if source.name in DATASETS and DATASETS[source.name].groups:
        return DATASETS[source.name].groups
    frames = {pair.frame.removeprefix(source.prefix) for pair in source.pairs if pair.mask}
    if frames <= (read_sequences(source.folder) or {}).keys():
        return "video"
    return "hospital" if read_centres(source.folder) else "near-duplicates"


def source_names(sources: list[Source], areas: np.ndarray) -> dict[str, str]:
    """For each frame its hospital, else its dataset, or `NO_POLYP`; what `Config.balance` balances."""
    names: dict[str, str] = {}
    for source in sources:
        centres = read_centres(source.folder) or {}
        for pair in source.pairs:
            centre = centres.get(pair.frame.removeprefix(source.prefix))
            names[pair.frame] = source.name if centre is None else f"{source.name} {centre}"
    return {
        frame: name if area > 0 else NO_POLYP
        for (frame, name), area in zip(names.items(), areas, strict=True)
    }


def group_names(sources: list[Source], areas: np.ndarray, images: np.ndarray) -> dict[str, str]:
    """For each frame its video, else its near-duplicates, see `groups.videos_of`; for intervals.

    Args:
        sources: whose frames, in this order, `areas` (N,) and `images` (N, H, W, 3) describe.
    """
    tables, start = [], 0
    for source in sources:
        rows = slice(start, start := start + len(source.pairs))
        table = _labelled(source, areas[rows], images[rows])
        tables.append(_among_several(table, source) if len(sources) > 1 else table)
    table = pd.concat(tables, ignore_index=True)
    return dict(zip(table["frame"], videos_of(table).map(str), strict=True))


def write_splits(
    data: str, folder: str | Path, data_path: str | Path | None = None, mask_values: str = AUTO
) -> list[Path]:
    """Make the split tables of data from its files.

    Of one dataset: `<name>-sequence.csv` and `<name>-random.csv`. Of several: `mixed.csv`. The package's
    were made by `polyp data split NAME --out polyp/data/splits`; in `mixed.csv`, CVC-ClinicDB keeps the parts
    of its fold 0, and what PraNet's lists test of Kvasir-SEG is for test.

    Raises:
        DataError: the data cannot be used; see `find_sources`, `read_pair` and `split.SPLITS`.
    """
    sources, _ = find_sources(data, path=data_path, mask_values=mask_values)
    tables = []
    for source in sources:
        areas = [float(read_pair(pair)[1].mean()) for pair in source.pairs]
        tables.append(_labelled(source, areas, (read_image(pair.image) for pair in source.pairs)))
    folder = make_folder(folder)
    if len(sources) > 1:
        together = [_among_several(table, source) for table, source in zip(tables, sources, strict=True)]
        parts = mixed_split(pd.concat(together, ignore_index=True), _decided(sources))
        names = parts["frame"].str.partition("/")
        table = pd.DataFrame({"dataset": names[0], "frame": names[2], "part": parts["part"]})
        return [_write(folder / "mixed.csv", table)]
    name = data if data in DATASETS else sources[0].folder.name
    return [
        _write(folder / f"{name}-{split}.csv", SPLITS[split](tables[0])) for split in ("sequence", "random")
    ]


def _decided(sources: list[Source]) -> dict[str, str]:
    """The frames whose part in `mixed.csv` another split has settled."""
    fixed: dict[str, str] = {}
    for source in sources:
        split, names = SETTLED.get(source.name, ("", ()))
        table = packaged_split(source.name, split)
        if table is not None:
            parts = parts_of(table)
            fixed |= {source.prefix + frame: part for part in names for frame in parts[part]}
    return fixed


def _write(path: Path, table: pd.DataFrame) -> Path:
    return write_atomic(path, table.to_csv(index=False, lineterminator="\n"))
