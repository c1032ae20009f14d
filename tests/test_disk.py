"""Writing wholly or not at all, whatever the disk or another process does meanwhile."""

import errno
import os
import stat
import sys
from pathlib import Path

import pytest

from polyp.disk import (
    is_empty,
    make_folder,
    new_folder,
    place_for,
    project_root,
    sweep_files,
    without_nan,
    write_atomic,
)
from polyp.errors import DataError


def error_of(function, *arguments) -> str:
    """The message of the DataError that the call must raise; it must fit on one line."""
    with pytest.raises(DataError) as caught:
        function(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def disk_error(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# --- Where files belong --------------------------------------------------------------------------


def test_project_root_is_the_checkout_or_here(tmp_path, monkeypatch):
    notebooks = make_folder(tmp_path / "checkout" / "notebooks")
    monkeypatch.chdir(notebooks)
    assert project_root() == notebooks
    (tmp_path / "checkout" / "pyproject.toml").touch()
    (tmp_path / "checkout" / "polyp").mkdir()
    assert project_root() == tmp_path / "checkout"


def test_make_folder_leaves_it_empty(tmp_path):
    assert list(make_folder(tmp_path / "a" / "b").iterdir()) == []
    make_folder(tmp_path / "a")


def test_a_read_only_folder_is_found_out_before_the_work(tmp_path, monkeypatch):
    def read_only(*_, **__):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "touch", read_only)
    message = "cannot write here (Read-only file system); choose another output folder"
    assert error_of(make_folder, tmp_path / "out") == f"{tmp_path / 'out'}: {message}"


def test_a_file_in_a_folders_place(tmp_path):
    (tmp_path / "out").touch()
    assert "choose another output folder" in error_of(make_folder, tmp_path / "out")


# --- New folders ---------------------------------------------------------------------------------


def fill(target: Path, content: str = "mine", meanwhile=lambda: None, **options) -> None:
    with new_folder(target, **options) as build:
        (build / "a.txt").write_text(content)
        meanwhile()


def test_a_new_folder_appears_when_it_is_complete(tmp_path):
    target = tmp_path / "new" / "a b ü"
    with new_folder(target) as build:
        (build / "a.txt").write_text("half")
        assert not target.exists()
        (build / "a.txt").write_text("whole")
    assert (target / "a.txt").read_text() == "whole"
    assert names(target.parent) == ["a b ü"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError, DataError])
def test_what_goes_wrong_inside_leaves_nothing_and_is_told(tmp_path, error):
    def stop():
        raise error("stop")

    with pytest.raises(error, match="stop") as caught:
        fill(tmp_path / "out", meanwhile=stop)
    assert str(caught.value) == "stop"
    assert names(tmp_path) == []


@pytest.mark.parametrize("step", ["write_text", "replace"])
def test_a_full_disk_leaves_no_half_folder(tmp_path, monkeypatch, step):
    monkeypatch.setattr(Path if step == "write_text" else os, step, disk_error)
    error = error_of(fill, tmp_path / "out")
    assert error.startswith(f"{tmp_path / 'out'}: could not be written (No space left on device); nothing is")
    assert names(tmp_path) == []


def test_too_little_memory_is_not_blamed_on_the_disk(tmp_path, monkeypatch):
    def no_memory(*_, **__):
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    monkeypatch.setattr(Path, "write_text", no_memory)
    with pytest.raises(MemoryError, match="allocate memory"):
        fill(tmp_path / "out")
    assert names(tmp_path) == []


def test_an_existing_folder_is_kept(tmp_path):
    fill(tmp_path / "out", "old")
    assert "out: exists already; move it away, or choose" in error_of(fill, tmp_path / "out")
    fill(tmp_path / "out", "new", or_existing=True)
    assert (tmp_path / "out" / "a.txt").read_text() == "old"
    assert names(tmp_path) == ["out"]


@pytest.mark.parametrize("or_existing", [True, False])
def test_an_empty_folder_is_replaced(tmp_path, or_existing):
    make_folder(tmp_path / "out")
    fill(tmp_path / "out", or_existing=or_existing)
    assert names(tmp_path / "out") == ["a.txt"]


def test_a_file_is_never_replaced_by_a_folder(tmp_path):
    (tmp_path / "out").write_text("mine")
    assert "out: exists already" in error_of(fill, tmp_path / "out")
    assert "out: could not be written" in error_of(lambda: fill(tmp_path / "out", or_existing=True))
    assert (tmp_path / "out").read_text() == "mine"
    assert names(tmp_path) == ["out"]


def test_of_two_builders_the_first_wins(tmp_path):
    """Both begin; the other one ends first."""
    out, late = tmp_path / "out", tmp_path / "late"
    fill(out, meanwhile=lambda: fill(out, "theirs", or_existing=True), or_existing=True)
    assert (out / "a.txt").read_text() == "theirs"
    error = error_of(lambda: fill(late, meanwhile=lambda: fill(late, "theirs")))
    assert error.startswith(f"{late}: could not be written")
    assert (late / "a.txt").read_text() == "theirs"
    assert names(tmp_path) == ["late", "out"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no umask")
@pytest.mark.parametrize(("umask", "rights"), [(0o022, 0o755), (0o027, 0o750)])
def test_a_new_folder_has_the_usual_rights(tmp_path, umask, rights):
    """A temporary folder has 0700, which colleagues on a shared machine cannot read."""
    old = os.umask(umask)
    try:
        fill(tmp_path / "out")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == rights


def test_only_a_folder_without_any_file_is_empty(tmp_path):
    assert is_empty(tmp_path)
    assert not is_empty(tmp_path / "missing")
    (tmp_path / ".hidden").touch()
    assert not is_empty(tmp_path)
    assert not is_empty(tmp_path / ".hidden")


# --- Single files --------------------------------------------------------------------------------


def test_a_file_is_written_and_replaced(tmp_path):
    path = tmp_path / "a b ü.txt"
    assert write_atomic(path, "täxt") == path
    assert path.read_text(encoding="utf-8") == "täxt"
    write_atomic(str(path), b"\0\1")
    assert path.read_bytes() == b"\0\1"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_full_disk_keeps_the_old_file_and_leaves_no_litter(tmp_path, monkeypatch, step):
    path = write_atomic(tmp_path / "a.txt", "old")
    monkeypatch.setattr(os, step, disk_error)
    error = error_of(write_atomic, path, "new")
    assert error.startswith(f"{path}: could not be written (No space left on device)")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_interrupt_keeps_the_old_file_and_leaves_no_litter(tmp_path, monkeypatch):
    def interrupt(_):
        raise KeyboardInterrupt

    path = write_atomic(tmp_path / "a.txt", "old")
    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomic(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_no_folder_to_write_into(tmp_path):
    assert "could not be written" in error_of(write_atomic, tmp_path / "missing" / "a.txt", "x")
    (tmp_path / "file").touch()
    assert "could not be written" in error_of(write_atomic, tmp_path / "file" / "a.txt", "x")


def test_not_a_number_becomes_none():
    values = {"dice": float("nan"), "loss": 0.5, "epoch": 1, "name": "nan"}
    assert without_nan(values) == {"dice": None, "loss": 0.5, "epoch": 1, "name": "nan"}


@pytest.mark.skipif(os.name == "nt", reason="there is no safe way to ask whether a process runs")
def test_what_a_killed_writer_left_is_swept(tmp_path):
    child = os.spawnlp(os.P_NOWAIT, sys.executable, sys.executable, "-c", "")
    os.waitpid(child, 0)
    (tmp_path / "sub").mkdir()
    for name in (f".log.csv.{child}.tmp", f"sub/.a.png.{child}.tmp", f".b.{os.getpid()}.tmp", ".notes.tmp"):
        (tmp_path / name).write_text("half")
    sweep_files(tmp_path)
    assert names(tmp_path) == sorted([f".b.{os.getpid()}.tmp", ".notes.tmp", "sub"])
    assert names(tmp_path / "sub") == []


def test_a_place_is_proved_before_the_work(tmp_path):
    assert place_for(tmp_path / "new" / "table.csv") == tmp_path / "new" / "table.csv"
    assert names(tmp_path / "new") == []
    assert "is a folder; name the file to write" in error_of(place_for, tmp_path)
    (tmp_path / "file").write_text("x")
    assert "cannot write here" in error_of(place_for, tmp_path / "file" / "table.csv")
