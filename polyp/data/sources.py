"""The datasets behind one run: `cvc-clinicdb`, or several joined by `+`, and how they are split together.

With several, a frame is called `<dataset>/<frame>`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from polyp.data.groups import frame_table, videos_of
from polyp.data.known import DATASETS, find_dataset
from polyp.data.labels import Label
from polyp.data.layouts import open_place
from polyp.data.layouts.folders import subfolders
from polyp.data.layouts.listing import Listing
from polyp.data.masks import AUTO
from polyp.data.pairs import Pair, pairs_of
from polyp.data.split import SPLITS, packaged_split
from polyp.errors import UsageError, look_up

NO_POLYP = "no polyp"


@dataclass(frozen=True)
class Source:
    """One dataset: its name, its folder or file, what its frames' names begin with, and its frames."""

    name: str
    folder: Path
    prefix: str
    pairs: list[Pair]
    listing: Listing


def find_sources(
    data: str, add: str = "", path: str | Path | None = None, mask_values: str = AUTO, masks: str = ""
) -> tuple[list[Source], list[Source]]:
    """The datasets that `data` and `add` name, each a name or folder or several joined by `+`.

    Args:
        data, add: see `Config`.
        path: where they are: the dataset's folder, or one that holds a folder for each.
        mask_values: which pixels of their masks mean polyp, see `masks.read_mask`.
        masks: the folder of masks, if `data` is a folder of frames.

    Raises:
        UsageError: a dataset named twice, or two of one name; no such dataset; `masks` for several.
        DataError: as `find_dataset` and `find_pairs`.
    """
    own, added = _names(data), _names(add)
    twice = {name for name in own + added if (own + added).count(name) > 1}
    if twice:
        raise UsageError(f"{sorted(twice)[0]} is named twice in {'+'.join(own + added)!r}; name it once")
    if masks and len(own) > 1:
        raise UsageError(
            f"masks is {masks!r}, but data names {len(own)} datasets; it goes with one folder of frames"
        )
    several = len(own + added) > 1
    found = [_find(name, path, several, mask_values, masks if name in own else "") for name in own + added]
    prefixes = [source.prefix for source in found]
    if twice := {prefix for prefix in prefixes if prefixes.count(prefix) > 1}:
        name = sorted(twice)[0].rstrip("/")
        raise UsageError(f"two datasets are called {name!r}, and so would their frames be; rename a folder")
    return found[: len(own)], found[len(own) :]


def _names(data: str) -> list[str]:
    return [data] if Path(data).exists() and data else [name for name in data.split("+") if name]


def _find(name: str, path: str | Path | None, several: bool, values: str, masks: str) -> Source:
    if several and path is not None:
        place = subfolders(Path(path).expanduser()).get(name.lower())
        if place is None:
            raise UsageError(f"{path}: holds no folder {name}; it must hold one for each of several datasets")
        path = place
    folder = find_dataset(name, path)
    prefix = f"{folder.stem if folder.is_file() else Path(name).name}/" if several else ""
    listing = open_place(folder, masks)
    pairs = [replace(pair, frame=prefix + pair.frame) for pair in pairs_of(listing, values)]
    return Source(name, folder, prefix, pairs, listing)


def settled_split(split: str, sources: list[Source]) -> str:
    """What `auto` means for these datasets: itself if all have parts of their own, or `sequence` if none has.

    Raises:
        UsageError: some have.
    """
    if split != "auto":
        return split
    having = [source.name for source in sources if source.listing.parts]
    if having and len(having) < len(sources):
        lacking = next(source.name for source in sources if not source.listing.parts)
        raise UsageError(
            f"{having[0]} has train, val and test of its own, {lacking} has not; name a split, such as mixed"
        )
    return "auto" if having else "sequence"


def split_table(split: str, sources: list[Source], areas: np.ndarray, images: np.ndarray) -> pd.DataFrame:
    """The table of a split over all `sources`; the package's where it has one for them.

    Args:
        split: a key of `split.SPLITS`.
        sources: whose frames, in this order, `areas` (N,) and `images` (N, H, W, 3) describe.

    Raises:
        UsageError, DataError: see `split.SPLITS`.
    """
    make = look_up(SPLITS, "split", split := settled_split(split, sources))
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
            table = labelled(source, areas[rows], images[rows])
            if split == "sequence":
                table = make(table)
            elif len(sources) > 1:
                table = among_several(table, source)
        tables.append(table)
    table = pd.concat(tables, ignore_index=True)
    if split == "hospital" and (mixed := packaged_split(data, "mixed")) is not None:
        table = table.merge(mixed, on="frame")
    return table if split == "sequence" else make(table)


def labelled(
    source: Source, areas: Sequence[float] | np.ndarray, images: Iterable[np.ndarray]
) -> pd.DataFrame:
    """The source's `groups.frame_table`; its files of labels know no prefix."""
    pairs = [replace(pair, frame=pair.frame.removeprefix(source.prefix)) for pair in source.pairs]
    return _prefixed(frame_table(source.listing, pairs, areas, images), source)


def _prefixed(table: pd.DataFrame, source: Source) -> pd.DataFrame:
    return table.assign(frame=source.prefix + table["frame"])


def among_several(table: pd.DataFrame, source: Source) -> pd.DataFrame:
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
    if frames <= (source.listing.labels("sequence") or {}).keys():
        return "video"
    return "hospital" if source.listing.labels("centre") else "near-duplicates"


def source_names(sources: list[Source], areas: np.ndarray) -> dict[str, str]:
    """For each frame its hospital, else its dataset, or `NO_POLYP`; what `Config.balance` balances."""
    names: dict[str, str] = {}
    for source in sources:
        centres = source.listing.labels("centre") or {}
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
        table = labelled(source, areas[rows], images[rows])
        tables.append(among_several(table, source) if len(sources) > 1 else table)
    table = pd.concat(tables, ignore_index=True)
    return dict(zip(table["frame"], videos_of(table).map(str), strict=True))
