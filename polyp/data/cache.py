"""Decoded frames and masks on disk: read and resized once, then mapped into memory."""

import contextlib
import hashlib
import json
import math
import os
import shutil
import threading
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import platformdirs

from polyp.data import augmentation
from polyp.data.drawn import DrawnMask
from polyp.data.images import stored_size
from polyp.data.masks import AUTO
from polyp.data.pairs import Pair, read_pair
from polyp.disk import in_checkout, new_folder, project_root
from polyp.errors import DataError

PLACE = "POLYP_CACHE"  # the environment variable that says where the caches are
FORMAT = "2"  # change it whenever the same files would be decoded differently
PRINT = 12  # hexadecimal digits of an image file's print
LARGE = 2**24  # pixels: a frame above takes a gigabyte while it is decoded, so they are decoded one by one
SAMPLED = 16  # frames whose pixels are checked whenever a cache is opened


_one_large_one = threading.Lock()


class FrameCache:
    """All pairs of a dataset, decoded and resized once, memory-mapped from disk.

    `images` is uint8 RGB (n, H, W, 3), `masks` is uint8 {0, 1} (n, H, W), `table` has one row per frame:
    frame, height, width (original), area (polyp's share of the original mask), image and mask (paths).
    `prints` are `PRINT` hexadecimal digits per image file: the same file has the same print anywhere.

    The folder's name is a digest of the files' content and the size, so a changed file is never
    served stale. It is written aside and renamed, so several processes may build it at once; a damaged one
    is built again.
    """

    def __init__(self, pairs: list[Pair], size: tuple[int, int], folder: str | Path | None = None):
        """Open the cache of `pairs` at `size` (height and width), building it first where it is missing.

        Args:
            pairs: from `pairs.find_pairs`.
            size: height and width to resize to.
            folder: the caches' folder; see `cache_home`.

        Raises:
            DataError: a file cannot be read; image and mask differ in size; the disk is full; the cache is
                another user's and cannot be read.
        """
        self.size = size
        self.key, self.prints = _content_key(pairs, size)
        self.folder = Path(folder or cache_home()) / self.key
        if self.folder.is_dir() and not _is_whole(self.folder, pairs, size):
            shutil.rmtree(self.folder, ignore_errors=True)
        if not self.folder.is_dir():
            _build(pairs, size, self.folder)
        self._open(pairs)

    def _open(self, pairs: list[Pair]) -> None:
        with _readable(self.folder):
            self.images = np.load(self.folder / "images.npy", mmap_mode="r")
            self.masks = np.load(self.folder / "masks.npy", mmap_mode="r")
            self.table = pd.read_csv(self.folder / "frames.csv", dtype={"frame": str}, keep_default_na=False)
        self.table["image"] = [pair.image for pair in pairs]
        self.table["mask"] = [pair.mask for pair in pairs]
        self.pairs = pairs

    # A worker process opens the files itself; pickling the arrays would copy them.
    def __getstate__(self):
        names = ("size", "key", "prints", "folder", "pairs")
        return {name: getattr(self, name) for name in names}

    def __setstate__(self, state):
        self.__dict__.update(state)
        self._open(state["pairs"])


def cache_home() -> Path:
    """Where the caches are: `$POLYP_CACHE`, the checkout's `data/cache`, or the user's cache folder."""
    if place := os.environ.get(PLACE):
        return Path(place).expanduser()
    if in_checkout():
        return project_root() / "data" / "cache"
    return Path(platformdirs.user_cache_dir("polyp"))


def clean_cache() -> int:
    """Remove all caches; they are built again when they are needed.

    Returns:
        how many bytes were freed.
    """
    home, freed = cache_home(), 0
    for folder in home.iterdir() if home.is_dir() else ():
        if (folder / "frames.csv").is_file() or folder.name.startswith("."):
            freed += sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
            shutil.rmtree(folder, ignore_errors=True)
    return freed


def _content_key(pairs: list[Pair], size: tuple[int, int]) -> tuple[str, list[str]]:
    """A digest of all the files, and a print of each image."""
    prints = []
    digest = hashlib.blake2b(f"{FORMAT} {size}".encode(), digest_size=12)
    for pair in pairs:
        how = "" if pair.values == AUTO else f"masks {pair.values}\n"
        digest.update(f"\n{pair.frame}\n{how}".encode())
        image = hashlib.blake2b(pair.image.read_bytes())
        prints.append(image.hexdigest()[:PRINT])
        digest.update(image.digest())
        if pair.mask is not None:
            mask = pair.mask
            content = mask.content() if isinstance(mask, DrawnMask) else mask.read_bytes()
            digest.update(hashlib.blake2b(content).digest())
    return digest.hexdigest(), prints


def _build(pairs: list[Pair], size: tuple[int, int], target: Path) -> None:
    with new_folder(target, or_existing=True) as build:
        arrays = {
            name: _reserved(build / f"{name}.npy", shape) for name, shape in _shapes(pairs, size).items()
        }
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            rows = []
            for i, (image, mask, row) in enumerate(pool.map(lambda pair: _decode(pair, size), pairs)):
                arrays["images"][i], arrays["masks"][i] = image, mask
                rows.append(row)
        sums = _sums(arrays["images"], arrays["masks"])
        while arrays:
            arrays.popitem()[1].flush()  # and closed: Windows renames no folder with open files
        pd.DataFrame(rows).to_csv(build / "frames.csv", index=False)
        (build / "sums.json").write_text(json.dumps(sums))


def _shapes(pairs: list[Pair], size: tuple[int, int]) -> dict[str, tuple[int, ...]]:
    return {"images": (len(pairs), *size, 3), "masks": (len(pairs), *size)}


def _reserved(path: Path, shape: tuple[int, ...]) -> np.memmap:
    """A new array on disk whose space is taken now: a full disk is an error here, a crash when mapped."""
    array = np.lib.format.open_memmap(path, "w+", np.uint8, shape)
    if hasattr(os, "posix_fallocate"):
        with open(path, "r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return array


def _sums(images: np.ndarray, masks: np.ndarray) -> list[int]:
    """A checksum of the pixels of some frames, the first and the last among them."""
    rows = sorted(set(np.linspace(0, len(images) - 1, SAMPLED).astype(int).tolist()))
    return [zlib.crc32(masks[row].tobytes(), zlib.crc32(images[row].tobytes())) for row in rows]


def _is_whole(folder: Path, pairs: list[Pair], size: tuple[int, int]) -> bool:
    """Whether a cache holds what it should: caches are damaged by full disks and careless copies."""
    with _readable(folder):
        try:
            arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("images", "masks")}
            frames = pd.read_csv(folder / "frames.csv", dtype={"frame": str}, keep_default_na=False)
            if frames["frame"].tolist() != [pair.frame for pair in pairs]:
                return False
            if any(arrays[name].shape != shape for name, shape in _shapes(pairs, size).items()):
                return False
            sums = folder / "sums.json"  # caches of version 0.2 have none
            return not sums.is_file() or json.loads(sums.read_text()) == _sums(**arrays)
        except PermissionError:
            raise
        except Exception:  # damaged bytes make parsers raise nearly anything
            return False


@contextlib.contextmanager
def _readable(folder: Path) -> Iterator[None]:
    try:
        yield
    except PermissionError as error:
        raise DataError(
            f"{error.filename}: may not be read; ask its owner to change that, or set {PLACE} to a folder of "
            "your own"
        ) from None


def _decode(pair: Pair, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, dict]:
    with _one_large_one if _is_large(pair.image) else contextlib.nullcontext():
        image, mask = read_pair(pair)
        small, small_mask = augmentation.apply(augmentation.evaluation_pipeline(size), image, mask)
    height, width = mask.shape
    row = {"frame": pair.frame, "height": height, "width": width, "area": round(float(mask.mean()), 6)}
    return small, small_mask, row


def _is_large(path: Path) -> bool:
    try:
        return math.prod(stored_size(path)) > LARGE
    except Exception:  # `read_pair` says what is wrong with the file
        return False
