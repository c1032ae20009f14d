"""Unpacking an archive from a stranger: safely, and whole or not at all."""

import re
import stat
import tarfile
import unicodedata
import zipfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

from polyp.disk import new_folder
from polyp.errors import DataError

MAX_UNPACKED = 4 * 2**30  # bytes; the largest archive known here unpacks to less than half a gigabyte
MAX_MEMBERS = 100_000
MAX_DIRECTORY = 100 * MAX_MEMBERS  # bytes of a zip's list of members, which is read whole
MAX_HEADER = 2**20  # bytes of what a tar writes before a member with a long name, likewise

LONG_NAMES = (
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
)

Member = tuple[Any, str, int, bool]  # the library's own record, name, size, is it a plain file or folder


def unpack(archive: str | Path, target: str | Path) -> Path:
    """Unpack a zip or tar archive into the new folder `target`, whole or not at all.

    Every member is judged before any is written. Refused are names that lead out of the folder, names
    that occur twice, links, devices, and more than `MAX_UNPACKED` bytes or `MAX_MEMBERS` members.

    Raises:
        DataError: no such archive, not one that can be read, damaged, unsafe, too large, or no room;
            also if `target` exists.
    """
    archive, target = Path(archive), Path(target)
    if not archive.is_file():
        what = "is a folder" if archive.is_dir() else "no such file"
        raise DataError(f"{archive}: {what}; expected a zip or tar archive")
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


def _extract(archive: Path, folder: Path) -> None:
    if zipfile.is_zipfile(archive):
        _check_directory(archive)
        with zipfile.ZipFile(archive) as file:
            kinds = (0, stat.S_IFREG, stat.S_IFDIR)  # 0: packed where nobody wrote the kind down
            members: Iterable[Member] = (
                (info, info.filename, info.file_size, stat.S_IFMT(info.external_attr >> 16) in kinds)
                for info in file.infolist()
            )
            file.extractall(folder, _safe(archive, members))
        return
    try:
        with tarfile.open(archive, tarinfo=_Header) as file:
            members = ((info, info.name, info.size, info.isreg() or info.isdir()) for info in file)
            file.extractall(folder, _safe(archive, members), filter="data")
    except tarfile.ReadError:
        if any(folder.iterdir()):
            raise
        with archive.open("rb") as file:
            begins_as_one = file.read(4)[:2] in (b"PK", b"\x1f\x8b", b"BZ", b"\xfd7")
        cut = "cut off; download it again" if begins_as_one else "unpack it by hand and repack it as zip"
        raise DataError(f"{archive}: not a whole zip or tar archive; {cut}") from None


def _check_directory(archive: Path) -> None:
    """Refuse a zip whose list of members would fill the memory; `ZipFile` reads it before anyone can look."""
    with archive.open("rb") as file:
        length = file.seek(0, 2)
        file.seek(max(0, length - 2**17))
        tail = file.read()
    end = tail.rfind(b"PK\x05\x06")
    announced = [int.from_bytes(tail[end + 12 : end + 16], "little")]
    large = tail[max(0, end - 76) : max(0, end - 20)]  # where 32 bits are too few, it stands here
    if large.startswith(b"PK\x06\x06"):
        announced = [size for size in announced if size != 2**32 - 1]
        announced.append(int.from_bytes(large[40:48], "little"))
    if max(announced) > MAX_DIRECTORY:
        raise DataError(f"{archive}: more than {MAX_MEMBERS} members; expected one dataset")


class _Header(tarfile.TarInfo):
    """A tar's header, refused where it announces a name that would fill the memory."""

    @classmethod
    def frombuf(cls, buf, encoding, errors):
        found = super().frombuf(buf, encoding, errors)
        if found.type in LONG_NAMES and found.size > MAX_HEADER:
            raise ValueError(f"a header of kind {found.type!r} and {found.size} bytes")
        return found


def _safe(archive: Path, members: Iterable[Member]) -> list[Any]:
    """The members to extract; the first bad one is an error.

    The sizes are those that the headers declare: neither library writes more of a member than that.
    """
    chosen, size = [], 0
    names: set[tuple[str, ...]] = set()
    for member, name, declared, plain in members:
        parts = PurePosixPath(name).parts
        leads_out = name.startswith(("/", "\\")) or ".." in re.split(r"[/\\]", name)
        if leads_out or re.match("[A-Za-z]:", name) or "\0" in name:
            raise _unsafe(archive, name, "leads out of the folder")
        if "\\" in name or ":" in name:
            raise DataError(
                f"{archive}: the member {name!r} has a name that not every system can write, as some Windows "
                "programs pack them; unpack it by hand and zip it again"
            )
        if not plain:
            raise _unsafe(archive, name, "is a link or a device")
        same = tuple(unicodedata.normalize("NFC", part).casefold() for part in parts)
        if same in names:  # many systems tell neither letters' case nor how an accent is written
            raise DataError(f"{archive}: lists {name!r} twice; get the archive elsewhere, or pack it again")
        names.add(same)
        size += declared
        if len(names) > MAX_MEMBERS:
            raise DataError(f"{archive}: more than {MAX_MEMBERS} members; expected one dataset")
        if size > MAX_UNPACKED:
            raise DataError(f"{archive}: unpacks to over {MAX_UNPACKED} bytes; not a dataset")
        if "__MACOSX" not in parts:  # what a Mac adds to a zip: no frames
            chosen.append(member)
    return chosen


def _unsafe(archive: Path, name: str, why: str) -> DataError:
    return DataError(f"{archive}: the member {name!r} {why}; do not trust it, get the archive elsewhere")
