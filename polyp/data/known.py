"""The datasets this course knows: where they lie, and how to get them."""

import os
import shutil
from importlib.resources import files
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from polyp.data.archive import unpack
from polyp.data.images import read_image, read_mask
from polyp.data.pairs import find_pairs, layout, read_sequences, scan, subfolders
from polyp.disk import new_folder, project_root, write_atomic
from polyp.errors import DataError, UsageError, did_you_mean, name_some

NAMES = ("synthetic", "cvc-clinicdb", "kvasir-seg")
PAIRS = {"cvc-clinicdb": 612, "kvasir-seg": 1000}  # how a real dataset is recognised
PAGES = {
    "cvc-clinicdb": "https://polyp.grand-challenge.org/CVCClinicDB/",
    "kvasir-seg": "https://datasets.simula.no/kvasir-seg/",
}
CLINICDB_KAGGLE = "balraj98/cvcclinicdb"
KVASIR_URL = "https://datasets.simula.no/downloads/kvasir-seg.zip"
# The publisher names no checksum. Public projects that pin one (torch_em among them) agree on this.
KVASIR_SHA256 = "03b30e21d584e04facf49397a2576738fd626815771afbbf788f74a7153478f7"


def find_dataset(name_or_path: str | Path, path: str | Path | None = None) -> Path:
    """The folder of a dataset: one of `NAMES`, or any folder of pairs.

    A name is looked for in `path`, then in the environment variable POLYP_DATA (that folder itself,
    or its subfolder of that name), then in `data/` of the project. `synthetic` is made there on first
    use, and only a subfolder of that name in POLYP_DATA comes before it.

    Raises:
        UsageError: neither a name nor a folder.
        DataError: the dataset is not there; the message says how to get it.
    """
    name = str(name_or_path)
    if name not in NAMES:
        folder = Path(name).expanduser()
        if not name or not folder.is_dir():
            raise UsageError(f"{name!r}: no such dataset or folder; {did_you_mean(name.lower(), NAMES)}")
        if path is not None:
            raise UsageError(f"{name} and {path}: two folders; give one of them, or a dataset's name")
        return folder
    if path is not None:
        folder = Path(path).expanduser()
        folder = subfolders(folder).get(name, folder)
        scan(folder)  # says what is wrong with it
        return folder
    found, remark = _in_environment(name)
    if found := found or _search(project_root() / "data" / name):
        return found
    if name == "synthetic":
        return _make_synthetic()
    raise DataError(
        f"{name}: not found{remark}; run `polyp data get {name}`, or {_by_hand(name)}, "
        "or set POLYP_DATA to the folder that holds it"
    )


def _in_environment(name: str) -> tuple[Path | None, str]:
    """The dataset in POLYP_DATA, and otherwise a remark on why what is there is not it."""
    value = os.environ.get("POLYP_DATA")
    if not value:
        return None, ""
    folder = Path(value).expanduser()
    if not folder.is_dir():  # a notebook runs below the folder in which the variable was set
        folder = project_root() / folder
    if found := _search(subfolders(folder).get(name, folder / name)):
        return found, ""
    if name not in PAIRS:
        return None, ""
    if not folder.is_dir():
        raise DataError(f"POLYP_DATA={value}: no such folder; correct the variable or unset it")
    if not layout(folder):
        return None, f" in POLYP_DATA={value}"
    # The variable may well hold another dataset than the one asked for: the number of pairs tells.
    count = _count_pairs(folder)
    if count == PAIRS[name]:
        return folder, ""
    return None, f" (POLYP_DATA={value} holds {count} pairs, not {PAIRS[name]})"


def _count_pairs(folder: Path) -> int:
    images, masks = scan(folder)
    return len(images.keys() & masks.keys())


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
    return f"download the archive from {PAGES[name]} and run `polyp data get {name} --archive FILE`"


def get_dataset(name: str, archive: str | Path | None = None) -> Path:
    """Put a dataset into `data/<name>` of the project, whole or not at all, and return that folder.

    It is downloaded, or unpacked from an `archive` (zip, tar) that was downloaded by hand; one that is
    there already is left alone. Either way all its pairs are read before it takes its place.

    Raises:
        UsageError: no such name.
        DataError: no network, no room, a damaged or unsafe archive, or not the dataset expected.
    """
    if name not in NAMES:
        raise UsageError(f"{name}: no such dataset; {did_you_mean(name.lower(), NAMES)}")
    if name == "synthetic":
        if archive is not None:
            raise UsageError(f"{archive}: synthetic is generated, not unpacked; leave the archive out")
        return _make_synthetic()
    target = project_root() / "data" / name
    if target.is_dir() and any(target.iterdir()):
        found = _search(target)
        if found and _count_pairs(found) == PAIRS[name]:
            return found
        raise DataError(f"{target}: not the {PAIRS[name]} pairs of {name}; move it away and run this again")
    with new_folder(target) as build:
        aside = build / ".unpacked"
        if archive is not None:
            unpack(archive, aside)
        elif name == "kvasir-seg":
            unpack(_download_kvasir(build), aside)
        else:
            shutil.copytree(_download_clinicdb(), aside)
        found = _search(aside)
        _verify(name, found)
        if name == "cvc-clinicdb" and read_sequences(found) is None:
            write_atomic(found / "sequences.csv", _clinicdb_sequences())
        for item in found.iterdir():
            item.rename(build / item.name)
        shutil.rmtree(aside)
    return target


def _make_synthetic() -> Path:
    from polyp.data.synthetic import write_dataset

    folder = project_root() / "data" / "synthetic"
    write_dataset(folder, seed=0, sequences=12, frames=10)
    return folder


def _clinicdb_sequences() -> str:
    """The 29 video sequences, from the split table that comes with the package; archives lack them."""
    table = pd.read_csv(files("polyp.data") / "splits" / "cvc-clinicdb-sequence.csv")
    return table[["frame", "sequence"]].to_csv(index=False)


def _verify(name: str, folder: Path | None) -> None:
    """Read every pair: a checksum vouches for one download, this for whatever archive was given."""
    if folder is None:
        raise DataError(f"{name}: no frames and masks in the archive; {_by_hand(name)}")
    pairs = find_pairs(folder)
    if len(pairs) != PAIRS[name]:
        raise DataError(
            f"{name}: {len(pairs)} pairs in the archive, expected {PAIRS[name]}; {_by_hand(name)}"
        )
    for pair in tqdm(pairs, desc="checking", unit="pair"):
        read_image(pair.image)
        read_mask(pair.mask)


def _download_kvasir(folder: Path) -> Path:
    import pooch

    pooch.get_logger().setLevel("WARNING")  # one progress bar says enough
    downloader = pooch.HTTPDownloader(progressbar=True, chunk_size=2**16)
    try:
        file = pooch.retrieve(KVASIR_URL, KVASIR_SHA256, "kvasir-seg.zip", folder, downloader=downloader)
    except (OSError, ValueError) as error:  # OSError: requests' own errors too; ValueError: the checksum
        raise DataError(_no_download("kvasir-seg", KVASIR_URL, error)) from None
    return Path(file)


def _download_clinicdb() -> Path:
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
        raise DataError(_no_download("cvc-clinicdb", f"kaggle.com/{CLINICDB_KAGGLE}", error)) from None


def _no_download(name: str, source: str, error: Exception) -> str:
    reason = " ".join(f"{type(error).__name__}: {error}".split())
    return f"{source}: download failed ({reason[:120]}); check the network, or {_by_hand(name)}"
