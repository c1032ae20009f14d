"""Split tables as files: made from the frames themselves, for `polyp train --split-file` or the package."""

from pathlib import Path

import pandas as pd

from polyp.data.groups import complete, groups_of
from polyp.data.images import read_image
from polyp.data.known import DATASETS
from polyp.data.labels import Label, read_column
from polyp.data.masks import AUTO
from polyp.data.pairs import read_pair
from polyp.data.sources import Source, among_several, find_sources, labelled
from polyp.data.split import PARTS, SPLITS, mixed_split, packaged_split, parts_of, sequence_split
from polyp.disk import make_folder, write_atomic
from polyp.errors import DataError, UsageError

# For `mixed.csv`: which parts of a dataset follow which other split, so that test frames stay test frames.
SETTLED: dict[str, tuple[str, tuple[str, ...]]] = {
    "cvc-clinicdb": ("sequence", PARTS),
    "kvasir-seg": ("pranet", ("test",)),
}


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
    tables = [_table(source) for source in sources]
    folder = make_folder(folder)
    if len(sources) > 1:
        together = [among_several(table, source) for table, source in zip(tables, sources, strict=True)]
        parts = mixed_split(pd.concat(together, ignore_index=True), _decided(sources))
        names = parts["frame"].str.partition("/")
        table = pd.DataFrame({"dataset": names[0], "frame": names[2], "part": parts["part"]})
        return [_write(folder / "mixed.csv", table)]
    name = _file_name(sources[0])
    return [
        _write(folder / f"{name}-{split}.csv", SPLITS[split](tables[0])) for split in ("sequence", "random")
    ]


def write_grouped_split(
    data: str,
    by: str,
    folder: str | Path,
    table: str | Path | None = None,
    data_path: str | Path | None = None,
    mask_values: str = AUTO,
) -> tuple[Path, str]:
    """Write a table of folds, `<name>-<by>.csv`, that keep whole groups of frames on one side.

    Groups that share near-duplicates are one. The file's column `sequence` holds the groups.

    Args:
        data, data_path, mask_values: one dataset, see `find_sources`.
        by: `sequence`, `duplicates` (near-duplicates alone), or what else a table says of each frame: a
            column of `table`, else of a CSV of pairs, else of `<by>s.csv` (`frame,<by>`) in the folder.
        folder: where to.
        table: a CSV with the columns frame and `by`.

    Returns:
        the file, and in words what it holds.

    Raises:
        UsageError: several datasets, or a group that nothing says.
        DataError: the table cannot be used; see also `sequence_split`.
    """
    sources, _ = find_sources(data, path=data_path, mask_values=mask_values)
    if len(sources) > 1:
        raise UsageError(f"{data}: several datasets; --by splits one")
    if by == "duplicates" and table:
        raise UsageError("--by duplicates compares the frames themselves; it takes no --table")
    source = sources[0]
    labels = {} if by == "duplicates" else _groups(source, by, table)
    frames = _table(source)
    frames["centre"] = None
    frames["sequence"] = pd.Series([labels.get(frame) for frame in frames["frame"]], dtype=object)
    groups = groups_of(frames).tolist()
    made = sequence_split(frames["frame"].tolist(), groups, frames["area"].tolist())
    path = _write(make_folder(folder) / f"{_file_name(source)}-{Path(by).name}.csv", made)
    return path, f"{made['fold'].max() + 1} folds, {len(made)} frames in {len(set(groups))} groups by {by}"


def _groups(source: Source, by: str, table: str | Path | None) -> dict[str, Label]:
    """The group of each frame that has a mask; those without may lack one."""
    file = str(table) if table else f"{source.folder} ({by})"
    labels = read_column(Path(table).expanduser(), by) if table else source.listing.labels(by)
    if not labels:
        raise UsageError(
            f"{source.folder}: nothing says the {by} of a frame; add {by}s.csv (columns frame,{by}), name a "
            "CSV with these columns by --table, or use --by duplicates"
        )
    needed = [pair.frame for pair in source.pairs if pair.mask]
    if not set(needed) & set(labels):
        raise DataError(f"{file}: lists none of the frames; expected names like {needed[0]!r}")
    complete(labels, needed, file)
    return labels


def _table(source: Source) -> pd.DataFrame:
    """What splits may need to know of its frames, read from the files."""
    areas = [float(read_pair(pair)[1].mean()) for pair in source.pairs]
    return labelled(source, areas, (read_image(pair.image) for pair in source.pairs))


def _file_name(source: Source) -> str:
    if source.name in DATASETS:
        return source.name
    return source.folder.stem if source.folder.is_file() else source.folder.resolve().name


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
