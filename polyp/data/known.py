"""The datasets that the course knows by name: where to look for them, and how to get them."""

import os
import shutil
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from polyp.data.archive import unpack
from polyp.data.layouts import open_place
from polyp.data.layouts.folders import layout, subfolders
from polyp.data.pairs import Pair, find_pairs, read_pair, read_sequences
from polyp.disk import is_empty, make_folder, new_folder, project_root, write_atomic
from polyp.errors import DataError, UsageError, did_you_mean, name_some, nearest

CLINICDB_KAGGLE = "balraj98/cvcclinicdb"
KVASIR_URL = "https://datasets.simula.no/downloads/kvasir-seg.zip"
# The publisher names no checksum. Public projects that pin one (torch_em among them) agree on this.
KVASIR_SHA256 = "03b30e21d584e04facf49397a2576738fd626815771afbbf788f74a7153478f7"


# --- How each is fetched -------------------------------------------------------------------------


def _generate_synthetic(folder: Path) -> Path:
    from polyp.data.synthetic import write_dataset  # not needed by those who bring their own data

    return write_dataset(folder / "synthetic", seed=0, sequences=12, frames=10)


def _download_clinicdb(folder: Path) -> Path:
    try:
        import kagglehub
    except ImportError:
        raise DataError(
            'cvc-clinicdb: kagglehub is missing; run `pip install "polyp-course[kaggle]"`, '
            f"or {_by_hand('cvc-clinicdb')}"
        ) from None
    try:
        return Path(kagglehub.dataset_download(CLINICDB_KAGGLE))
    except Exception as error:  # kagglehub documents none and raises many kinds
        raise _no_download("cvc-clinicdb", f"kaggle.com/{CLINICDB_KAGGLE}", error) from None


def _download_kvasir(folder: Path) -> Path:
    import pooch

    pooch.get_logger().setLevel("WARNING")  # one progress bar says enough
    downloader = pooch.HTTPDownloader(progressbar=True, chunk_size=2**16)
    try:
        file = pooch.retrieve(KVASIR_URL, KVASIR_SHA256, "kvasir-seg.zip", folder, downloader=downloader)
    except (OSError, ValueError) as error:  # OSError: requests' own errors too; ValueError: the checksum
        raise _no_download("kvasir-seg", KVASIR_URL, error) from None
    return Path(file)


def _no_download(name: str, source: str, error: Exception) -> DataError:
    reason = " ".join(f"{type(error).__name__}: {error}".split())
    return DataError(f"{source}: download failed ({reason[:120]}); check the network, or {_by_hand(name)}")


class KnownDataset(NamedTuple):
    """What the course knows about one dataset.

    Attributes:
        pairs: how many frames with masks it has, by which it is recognised; None if it is generated.
        page: where a reader finds it.
        fetch: called with an empty folder to work in; returns an archive or a folder that holds the
            dataset, or raises a `DataError` that says why not. None if only a person can download it.
        packaged: whether it comes with the package.
        groups: what the package's table of its `sequence` split keeps together, if it has one.
    """

    pairs: int | None
    page: str
    fetch: Callable[[Path], Path] | None
    packaged: bool = False
    groups: str = ""


DATASETS = {
    "synthetic": KnownDataset(None, "", _generate_synthetic),
    "sample": KnownDataset(12, "https://datasets.simula.no/hyper-kvasir/", None, packaged=True),
    "cvc-clinicdb": KnownDataset(
        612, "https://polyp.grand-challenge.org/CVCClinicDB/", _download_clinicdb, groups="video"
    ),
    "kvasir-seg": KnownDataset(
        1000, "https://datasets.simula.no/kvasir-seg/", _download_kvasir, groups="near-duplicates"
    ),
    "polypgen": KnownDataset(1537, "https://www.synapse.org/Synapse:syn26376615", None, groups="hospital"),
    "cvc-colondb": KnownDataset(380, "http://vi.cvc.uab.es/colon-qa/cvccolondb/", None),
    "etis-larib": KnownDataset(196, "https://polyp.grand-challenge.org/EtisLarib/", None),
}


# --- Finding -------------------------------------------------------------------------------------


def find_dataset(name_or_path: str | Path, path: str | Path | None = None) -> Path:
    """The folder of a dataset: one of `DATASETS`, or any folder or file of pairs.

    A name is looked for in `path`, then in the environment variable POLYP_DATA (that folder itself,
    or its subfolder of that name), then in `data/` of the project. `synthetic` is made there on first
    use, and only a subfolder of that name in POLYP_DATA comes before it. A folder that is not there any
    more is looked for in `path`.

    Raises:
        UsageError: neither a name nor a folder.
        DataError: the dataset was not found; the message says how to get it.
    """
    name = str(name_or_path)
    if name not in DATASETS:
        folder = Path(name).expanduser()
        if name and folder.exists():
            if path is not None and not Path(path).expanduser().samefile(folder):
                raise UsageError(f"{name} and {path}: two folders; give one of them, or a dataset's name")
            return folder
        if not (os.sep in name and path is not None):  # else the folder has moved, and `path` says where to
            remark = "; say where it is now with --data-path" if os.sep in name else ""
            if folder.suffix and (other := nearest(folder.name, _names_in(folder.parent))):
                remark = f"; did you mean '{folder.with_name(other)}'?"
            near = remark or f"; {did_you_mean(name.lower(), DATASETS)}"
            raise UsageError(f"{name!r}: no such dataset or folder{near}")
    if path is not None:
        folder = Path(path).expanduser()
        folder = subfolders(folder).get(Path(name).name.lower(), folder)
        open_place(folder)  # says what is wrong with it
        return folder
    in_environment, remark = _in_environment(name)
    if found := in_environment or _search(_home(name)):
        return found
    if DATASETS[name].pairs is None:
        return get_dataset(name)
    if Path(name).is_dir():  # in the working folder, where a name is not looked for
        remark += f"; did you mean the folder ./{name}?"
    download = f"run `polyp data get {name}`, or " if DATASETS[name].fetch else ""
    raise DataError(
        f"{name}: not found{remark}; {download}{_by_hand(name)}, "
        "or set POLYP_DATA to the folder that holds it"
    )


def _names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()] if folder.is_dir() else []


def _home(name: str) -> Path:
    if DATASETS[name].packaged:
        return Path(str(files("polyp.data") / name))
    return project_root() / "data" / name


def _in_environment(name: str) -> tuple[Path | None, str]:
    """The dataset in POLYP_DATA, or else a remark on why that folder is not it."""
    value = os.environ.get("POLYP_DATA")
    if not value:
        return None, ""
    folder = Path(value).expanduser()
    if not folder.is_dir():  # a notebook runs below the folder in which the variable was set
        folder = project_root() / folder
    if found := _search(subfolders(folder).get(name, folder / name)):
        return found, ""
    expected = DATASETS[name].pairs
    if expected is None:
        return None, ""
    if not folder.is_dir():
        raise DataError(f"POLYP_DATA={value}: no such folder; correct the variable or unset it")
    if not layout(folder):
        return None, f" in POLYP_DATA={value}"
    # The variable may well hold another dataset than the one asked for: the number of pairs tells.
    count = _count_pairs(folder)
    if count == expected:
        return folder, ""
    others = [other for other, known in DATASETS.items() if known.pairs == count]
    if others:  # nothing is wrong: the variable names another collection
        return None, f" (POLYP_DATA={value} is {others[0]})"
    return None, f" (POLYP_DATA={value} holds {count} pairs, not {expected})"


def _count_pairs(folder: Path) -> int:
    held = open_place(folder)
    return len(held.images.keys() & held.masks.keys())


def _search(folder: Path) -> Path | None:
    """The one dataset in `folder` or up to three levels below: archives like to nest."""
    level = [folder]
    for _ in range(4):
        found = [place for place in level if layout(place)]
        if len(found) > 1:
            names = name_some(place.name for place in found)
            raise DataError(f"{folder}: several datasets in it ({names}); keep one, or give its path")
        if found:
            return found[0]
        level = [inside for place in level for inside in subfolders(place).values()]
    return None


def _by_hand(name: str) -> str:
    return f"download the archive from {DATASETS[name].page} and run `polyp data get {name} --archive FILE`"


# --- Getting -------------------------------------------------------------------------------------


def get_dataset(name: str, archive: str | Path | None = None) -> Path:
    """Put a dataset into `data/<name>` of the project, whole or not at all, and return that folder.

    It is downloaded, or unpacked from an `archive` (zip, tar) that was downloaded by hand; one that was
    put there before is left alone. Either way all its pairs are read before it takes its place.

    Raises:
        UsageError: no such name.
        DataError: no network, no room, a damaged or unsafe archive, or not the dataset expected.
    """
    if name not in DATASETS:
        raise UsageError(f"{name}: no such dataset; {did_you_mean(name.lower(), DATASETS)}")
    expected, fetch = DATASETS[name].pairs, DATASETS[name].fetch
    if DATASETS[name].packaged:
        return _home(name)
    if archive is not None and expected is None:
        raise UsageError(f"{archive}: {name} is generated, not unpacked; leave the archive out")
    target = _home(name)
    if target.is_dir() and not is_empty(target):
        found = _search(target)
        if found and expected in (None, _count_pairs(found)):
            return found
        what = f"the {expected} pairs of {name}" if expected else "a dataset"
        raise DataError(f"{target}: not {what}; move it away and run this again")
    with new_folder(target, or_existing=expected is None) as build:
        work = make_folder(build / ".work")
        content = work / "content"
        if archive is not None:
            unpack(archive, content)
        elif fetch is None:
            raise DataError(f"{name}: nothing to download it from; {_by_hand(name)}")
        elif (source := fetch(work)).is_dir():
            shutil.copytree(source, content)  # it may be another program's cache: not ours to move
        else:
            unpack(source, content)
        for item in _verified(name, content, archive).iterdir():
            item.rename(build / item.name)
        shutil.rmtree(work)
    return target


def _verified(name: str, content: Path, archive: str | Path | None) -> Path:
    """The dataset in `content`, complete and with its videos, or an error that says what is wrong."""
    expected = DATASETS[name].pairs
    if (found := _search(content)) is None:
        where = f"{name}: no frames and masks in {archive or 'the archive'}"
        raise DataError(f"{where}; {_by_hand(name)}")
    if expected is None:  # this package's own work
        return found
    pairs = find_pairs(found)
    if (count := sum(pair.mask is not None for pair in pairs)) != expected:
        raise DataError(f"{name}: {count} pairs in the archive, expected {expected}; {_by_hand(name)}")
    # A checksum vouches for one download; reading every pair, for any archive.
    for pair in tqdm(pairs, desc="checking", unit="pair"):
        read_pair(pair)
    if DATASETS[name].groups == "video" and read_sequences(found) is None:
        write_atomic(found / "sequences.csv", _published_sequences(name, pairs))
    return found


def _published_sequences(name: str, pairs: list[Pair]) -> str:
    """Which frame is of which video, as CSV; only the published frames have a place in it."""
    from polyp.data.split import packaged_split  # with scikit-learn, which no other step here needs

    table = packaged_split(name, "sequence")
    assert table is not None  # what has `groups` has a table
    published = set(table["frame"])
    if unknown := [pair.frame for pair in pairs if pair.frame not in published]:
        raise DataError(
            f"{name}: {len(unknown)} frames of the archive are not in the published dataset "
            f"({name_some(unknown)}); {_by_hand(name)}"
        )
    return table[["frame", "sequence"]].to_csv(index=False)
