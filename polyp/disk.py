"""Where files belong, and writing them whole or not at all: single files and entire folders."""

import contextlib
import errno
import hashlib
import math
import os
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from polyp.errors import DataError

ABANDONED = 60  # seconds; another machine's process, of which we cannot know, is surely at work in this time


def project_root() -> Path:
    """The checkout around the current folder, or else the current folder itself.

    A notebook runs in `notebooks/`, papermill and the command line at the checkout's top, and in
    Colab there is no checkout; `data/` and `runs/` belong in the same place for all of them.
    """
    return _checkout() or Path.cwd()


def in_checkout() -> bool:
    """Whether the current folder is inside a checkout of the project."""
    return _checkout() is not None


def _checkout() -> Path | None:
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "pyproject.toml").is_file() and (folder / "polyp").is_dir():
            return folder
    return None


def shell_path(path: str | Path) -> str:
    """A path as it is typed into a shell: in quotes where it needs them."""
    return subprocess.list2cmdline([str(path)]) if os.name == "nt" else shlex.quote(str(path))


def make_folder(path: str | Path) -> Path:
    """Create a folder and prove that it can be written to, before any work is spent on it.

    Raises:
        DataError: it cannot be created, or not be written to.
    """
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe = path / f".write-test-{os.getpid()}"
        probe.touch()
        probe.unlink(missing_ok=True)  # a thread beside this one may have been faster
    except OSError as error:
        raise DataError(
            f"{path}: cannot write here ({error.strerror}); choose another output folder"
        ) from None
    return path


def place_for(path: str | Path) -> Path:
    """Prove that a file can be written, before any work is spent on what goes into it.

    Raises:
        DataError: it is a folder, or its folder cannot be made or not be written to.
    """
    path = Path(path)
    if path.is_dir():
        raise DataError(f"{path}: is a folder; name the file to write, such as {path / 'table.csv'}")
    make_folder(path.parent)
    return path


@contextmanager
def new_folder(target: str | Path, *, or_existing: bool = False) -> Iterator[Path]:
    """Fill a folder that becomes `target` if all goes well, and vanishes otherwise.

    Args:
        target: the folder to make; its parents are created, and an empty folder of that name is replaced.
        or_existing: where another process made `target` first, keep that one and drop ours.

    Yields:
        an empty folder next to `target`, which is renamed to `target` at the end, in one step.

    Raises:
        DataError: it cannot be written to, the disk is full, or (without `or_existing`) `target` exists.
        MemoryError: of memory, not of disk, there is too little.
    """
    target = Path(target)
    if target.exists() and not or_existing and not is_empty(target):
        raise DataError(f"{target}: exists already; move it away, or choose another folder")
    make_folder(target.parent)
    _sweep(target)
    aside = Path(tempfile.mkdtemp(prefix=f".{target.name}.{os.getpid()}.", dir=target.parent))
    try:
        build = aside / "content"  # made by mkdir, whose rights follow the umask; mkdtemp's are 0700
        build.mkdir()
        yield build
        with contextlib.suppress(OSError):
            target.rmdir()  # succeeds on an empty folder only, onto which Windows would not rename
        try:
            os.replace(build, target)
        except OSError:
            if not (or_existing and target.is_dir()):  # else someone was faster
                raise
    except OSError as error:
        if error.errno == errno.ENOMEM:  # mapping a file needs room there, too; the disk has some
            raise MemoryError(str(error)) from error
        raise DataError(
            f"{target}: could not be written ({error.strerror or str(error)[:120]}); nothing is left behind; "
            "free some space or work in another folder"
        ) from None
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _sweep(target: Path) -> None:
    """Remove what processes that were killed left beside `target`, which would keep a full disk full."""
    for litter in target.parent.glob(f".{target.name}.*.*"):
        pid = litter.name.removeprefix(f".{target.name}.").split(".")[0]
        old = time.time() - litter.stat().st_mtime > ABANDONED
        if pid.isdigit() and old and not _is_running(int(pid)):
            shutil.rmtree(litter, ignore_errors=True)


def sweep_files(folder: Path) -> None:
    """Remove the half-written files that processes killed in `write_atomic` left in `folder` and below."""
    for litter in folder.rglob(".*.tmp"):
        pid = litter.name.split(".")[-2]
        if pid.isdigit() and not _is_running(int(pid)):
            litter.unlink(missing_ok=True)


def _is_running(pid: int) -> bool:
    if os.name == "nt":  # where signal 0 would end the process
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def is_empty(folder: Path) -> bool:
    """Whether this is a folder with nothing in it, hidden files included."""
    return folder.is_dir() and not any(folder.iterdir())


def write_new(path: str | Path, content: str) -> Path:
    """Write a file that must not exist yet: of two processes at one moment, one gets the error.

    Raises:
        FileExistsError: there is one.
        DataError: it cannot be written.
    """
    path = Path(path)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(content)
    except FileExistsError:
        raise
    except OSError as error:
        raise DataError(f"{path}: could not be written ({error.strerror})") from None
    return path


def write_atomic(path: str | Path, content: bytes | str, durable: bool = True) -> Path:
    """Write a whole file or nothing: no reader ever sees half of it, whatever crashes or fills up.

    Args:
        path, content: of the file; text is written as UTF-8.
        durable: wait until the disk has it, so that not even a power cut takes it back.

    Raises:
        DataError: the disk is full or the folder cannot be written to; the previous file is kept.
    """
    path = Path(path)
    data = content.encode() if isinstance(content, str) else content
    name = (
        path.name
        if len(os.fsencode(path.name)) < 200
        else hashlib.blake2b(os.fsencode(path)).hexdigest()[:32]
    )
    temporary = path.with_name(f".{name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise DataError(
            f"{path}: could not be written ({error.strerror}); the previous file is kept; "
            "free some space or choose another folder"
        ) from None
    finally:  # after a full disk or Ctrl-C, leave no litter
        with contextlib.suppress(OSError):
            temporary.unlink()
    return path


def without_nan(values: dict[str, Any]) -> dict[str, Any]:
    """A copy with None for every NaN and infinity, which JSON does not have."""
    return {key: None if isinstance(v, float) and not math.isfinite(v) else v for key, v in values.items()}
