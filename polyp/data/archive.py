"""Unpacking an archive that a stranger packed: safely, and whole or not at all."""

import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

from polyp.disk import new_folder
from polyp.errors import DataError

MAX_UNPACKED = 4 * 2**30  # bytes; the largest archive known here unpacks to less than half a gigabyte
MAX_MEMBERS = 100_000


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
    with new_folder(target) as content:
        try:
            _extract(archive, content)
        except DataError:
            raise
        except Exception as error:  # damaged bytes make decoders raise nearly anything
            if getattr(error, "errno", None):  # the disk's fault, not the archive's
                raise
            raise DataError(f"{archive}: damaged or encrypted archive ({error}); download it again") from None
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
