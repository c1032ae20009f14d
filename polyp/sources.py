"""Finding, downloading and unpacking a dataset: a folder of frames beside a folder of their masks."""

import csv
import os
import re
import shutil
import stat
import tarfile
import tempfile
import zipfile
from bisect import bisect
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

from tqdm import tqdm

from polyp.errors import DataError, UsageError, did_you_mean
from polyp.files import (
    list_images,
    make_folder,
    natural_sort,
    project_root,
    read_image,
    read_mask,
    write_atomic,
)

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

# The first frame of each of the 29 video sequences of CVC-ClinicDB, whose frames are 1 ... 612.
# fmt: off
CLINICDB_STARTS = (
    1, 26, 51, 68, 79, 104, 127, 152, 178, 200, 206, 228, 253, 278, 298,
    318, 343, 364, 384, 409, 429, 448, 467, 479, 504, 529, 547, 572, 592,
)
# fmt: on

LAYOUTS = (("images", "masks"), ("original", "ground truth"))
MAX_UNPACKED = 4 * 2**30  # bytes; the largest archive known here unpacks to less than half a gigabyte
MAX_MEMBERS = 100_000


@dataclass(frozen=True)
class Pair:
    """One frame and its mask; `frame` is the stem that both file names share."""

    frame: str
    image: Path
    mask: Path


# --- A folder of pairs ---------------------------------------------------------------------------


def _subfolders(folder: Path) -> dict[str, Path]:
    """The visible folders in `folder` by their lower-case names: `PNG`, `png` and `Png` are one to us."""
    if not folder.is_dir():
        return {}
    inside = (path for path in natural_sort(folder.iterdir()) if not path.name.startswith("."))
    return {path.name.lower(): path for path in inside if path.is_dir()}


def layout(folder: Path) -> tuple[Path, Path] | None:
    """The folder of frames and the folder of masks, or None; PNG before TIF, which holds the same."""
    inside = _subfolders(folder)
    for holder in (inside, *(_subfolders(inside[name]) for name in ("png", "tif") if name in inside)):
        for images, masks in LAYOUTS:
            if images in holder and masks in holder:
                return holder[images], holder[masks]
    return None


def scan(folder: str | Path) -> tuple[dict[str, list[Path]], dict[str, list[Path]]]:
    """All frames and all masks by their stem, in natural order, whether or not they pair up.

    Raises:
        DataError: no such folder, or no folders of frames and masks in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder")
    if not (folders := layout(folder)):
        raise DataError(
            f"{folder}: no dataset in it; expected the folders images/ and masks/, or Original/ and "
            "Ground Truth/, there or in PNG/"
        )
    images, masks = {}, {}
    for place, stems in zip(folders, (images, masks), strict=True):
        for path in list_images(place):
            stems.setdefault(path.stem, []).append(path)
    return images, masks


def find_pairs(folder: str | Path) -> list[Pair]:
    """The pairs of a frame and a mask in `folder`, in natural order.

    They lie in `images/` and `masks/`, or in `Original/` and `Ground Truth/`, in `folder` or in its
    `PNG/`; a pair shares its stem, not always its suffix (`7.jpg` with `7.png`).

    Raises:
        DataError: no such folder, nothing in it, a frame without a mask or the reverse, or two files
            of one stem.
    """
    images, masks = scan(folder)
    if not images and not masks:
        raise DataError(f"{folder}: no images in it; expected frames and masks of the same names")
    for stems in (images, masks):
        twice = [paths for paths in stems.values() if len(paths) > 1]
        if twice:
            what = name_some(f"{a.name} and {b.name}" for a, b, *_ in twice)
            raise DataError(f"{twice[0][0].parent}: {what} share a stem; keep one file a frame")
    for here, there, missing in ((images, masks, "mask"), (masks, images, "image")):
        alone = [paths[0] for stem, paths in here.items() if stem not in there]
        if alone:
            raise DataError(
                f"{alone[0].parent}: {len(alone)} of {len(here)} without {missing} "
                f"({name_some(path.name for path in alone)}); add each {missing} under the same stem, "
                "or move these files away"
            )
    return [Pair(stem, paths[0], masks[stem][0]) for stem, paths in images.items()]


def name_some(names: Iterable[str], most: int = 3) -> str:
    """The first few names, and how many more there are."""
    names = list(names)
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def read_sequences(folder: str | Path) -> dict[str, int] | None:
    """The video sequence of each frame, from `sequences.csv`; None where there is no such file.

    It lies beside the folder of frames, or beside the `PNG/` that holds it, under the header
    `frame,sequence`: a stem and a whole number.

    Raises:
        DataError: another header, a row that is not a frame and a number, or a frame listed twice.
    """
    folders = layout(Path(folder))
    holder = folders[0].parent if folders else Path(folder)
    places = [holder, holder.parent] if holder.name.lower() in ("png", "tif") else [holder]
    path = next((place / "sequences.csv" for place in places if (place / "sequences.csv").is_file()), None)
    if path is None:
        return None
    try:
        rows = list(csv.reader(path.read_text(encoding="utf-8-sig").splitlines()))
    except ValueError:
        raise DataError(f"{path}: not UTF-8 text; save it as CSV in UTF-8") from None
    if not rows or rows[0] != ["frame", "sequence"]:
        raise DataError(f"{path}: the first line is not 'frame,sequence'; expected that header, then 1,1")
    sequences: dict[str, int] = {}
    for number, row in enumerate(rows[1:], start=2):
        if not row:
            continue
        if len(row) != 2 or not re.fullmatch(r"\d+", row[1].strip()):
            raise DataError(f"{path}, line {number}: {','.join(row)!r}; expected a frame and a whole number")
        if row[0] in sequences:
            raise DataError(f"{path}, line {number}: frame {row[0]!r} is listed twice; keep one line")
        sequences[row[0]] = int(row[1])
    return sequences


# --- Where a dataset is --------------------------------------------------------------------------


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
        folder = _subfolders(folder).get(name, folder)
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
    if found := _search(_subfolders(folder).get(name, folder / name)):
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
        level = [inside for place in level for inside in _subfolders(place).values()]
    return None


def _by_hand(name: str) -> str:
    return f"download the archive from {PAGES[name]} and run `polyp data get {name} --archive FILE`"


# --- Getting a dataset ---------------------------------------------------------------------------


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
    with _staging(target) as temporary:
        content = temporary / "content"
        if archive is not None:
            unpack(archive, content)
        elif name == "kvasir-seg":
            unpack(_download_kvasir(temporary), content)
        else:
            shutil.copytree(_download_clinicdb(), content)
        found = _search(content)
        _verify(name, found)
        if name == "cvc-clinicdb" and read_sequences(found) is None:
            write_atomic(found / "sequences.csv", _clinicdb_sequences())
        os.replace(found, target)
    return target


def _make_synthetic() -> Path:
    from polyp.synthetic import write_dataset  # not needed by those who bring their own data

    folder = project_root() / "data" / "synthetic"
    write_dataset(folder, seed=0, sequences=12, frames=10)
    return folder


def _clinicdb_sequences() -> str:
    rows = (f"{frame},{bisect(CLINICDB_STARTS, frame)}\n" for frame in range(1, PAIRS["cvc-clinicdb"] + 1))
    return "frame,sequence\n" + "".join(rows)


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


# --- Archives ------------------------------------------------------------------------------------


@contextmanager
def _staging(target: Path) -> Iterator[Path]:
    """A temporary folder beside `target`, gone afterwards: what is moved out of it was complete."""
    make_folder(target.parent)
    temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        yield temporary
    except OSError as error:
        raise DataError(
            f"{target}: could not be written ({error.strerror or str(error)[:120]}); nothing is left behind; "
            "free some space or work in another folder"
        ) from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def unpack(archive: str | Path, target: str | Path) -> Path:
    """Unpack a zip or tar archive into the new folder `target`, whole or not at all.

    No member is written outside `target`; links and devices are refused, and so is what unpacks to
    more than `MAX_UNPACKED` bytes or `MAX_MEMBERS` members, counted as written: headers can lie.

    Raises:
        DataError: no such archive, not one that can be read, damaged, unsafe, too large, or no room;
            also where `target` exists.
    """
    archive, target = Path(archive), Path(target)
    if not archive.is_file():
        raise DataError(f"{archive}: no such file; expected a zip or tar archive")
    if target.exists():
        raise DataError(f"{target}: exists already; move it away, or choose another folder")
    with _staging(target) as temporary:
        content = temporary / "content"
        content.mkdir()
        try:
            _extract(archive, content)
        except DataError:
            raise
        except Exception as error:  # damaged bytes make decoders raise nearly anything
            if getattr(error, "errno", None):  # the disk's fault, not the archive's
                raise
            raise DataError(f"{archive}: damaged or encrypted archive ({error}); download it again") from None
        os.replace(content, target)
    return target


def _extract(archive: Path, target: Path) -> None:
    size = 0
    with closing(_members(archive)) as members:
        for count, (name, open_member) in enumerate(members, start=1):
            parts = PurePosixPath(name).parts
            if name.startswith("/") or ".." in parts or any(character in name for character in "\\:\0"):
                raise _unsafe(archive, name, "leads out of the folder")
            if count > MAX_MEMBERS:
                raise DataError(f"{archive}: more than {MAX_MEMBERS} members; expected one dataset")
            path = target.joinpath(*parts)
            if "__MACOSX" in parts:  # what a Mac adds to a zip: no frames
                continue
            if open_member is None:
                path.mkdir(parents=True, exist_ok=True)
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            with open_member() as source, open(path, "xb") as file:
                while block := source.read(2**20):
                    size += len(block)
                    if size > MAX_UNPACKED:
                        raise DataError(f"{archive}: unpacks to over {MAX_UNPACKED} bytes; not a dataset")
                    file.write(block)


def _members(archive: Path) -> Iterator[tuple[str, Callable[[], IO[bytes]] | None]]:
    """Each member's name and what opens it, None for a folder."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as file:
            for info in file.infolist():
                if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
                    raise _unsafe(archive, info.filename, "is a link or a device")
                yield info.filename, None if info.is_dir() else partial(file.open, info)
    elif tarfile.is_tarfile(archive):
        with tarfile.open(archive) as file:
            for info in file:
                if not (info.isreg() or info.isdir()):
                    raise _unsafe(archive, info.name, "is a link or a device")
                yield info.name, None if info.isdir() else partial(file.extractfile, info)
    else:
        raise DataError(f"{archive}: not a zip or tar archive; unpack it by hand and repack it as zip")


def _unsafe(archive: Path, name: str, why: str) -> DataError:
    return DataError(f"{archive}: the member {name!r} {why}; do not trust it, get the archive elsewhere")
