"""The cache of decoded frames: damage is mended, litter is swept, and it lies where it is told to."""

import os
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest

from polyp.__main__ import main
from polyp.data import cache as module
from polyp.data.cache import FrameCache, cache_home, clean_cache
from polyp.data.pairs import find_pairs
from polyp.disk import make_folder
from polyp.errors import DataError


@pytest.fixture
def cache(frames_folder, tmp_path):
    return FrameCache(find_pairs(frames_folder), (32, 40), tmp_path / "cache")


def zeroed(path):
    content = bytearray(path.read_bytes())
    content[128:] = bytes(len(content) - 128)  # the header stays
    path.write_bytes(content)


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def of_another_shape(path):
    np.save(path, np.zeros((24, 32, 41, *((3,) if "images" in path.name else ())), np.uint8))


def unbalanced(path):  # NumPy's own header is parsed as Python
    content = path.read_bytes()
    path.write_bytes(content.replace(b"(", b"{", 1).replace(b"}", b")", 1))


DAMAGE = {
    "unbalanced": unbalanced,
    "cut": cut,
    "emptied": lambda path: path.write_bytes(b""),
    "gone": lambda path: path.unlink(),
    "overwritten": lambda path: path.write_text("no cache\n"),
    "of another shape": of_another_shape,
    "zeroed": zeroed,
}


@pytest.mark.parametrize("file", ["images.npy", "masks.npy", "frames.csv", "sums.json"])
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_cache_is_built_again(frames_folder, cache, tmp_path, file, damage):
    if file in ("frames.csv", "sums.json") and damage in ("of another shape", "zeroed", "unbalanced"):
        damage = "overwritten"
    expected = np.array(cache.images), np.array(cache.masks), cache.table.copy()
    folder = cache.folder
    del cache
    DAMAGE[damage](folder / file)
    again = FrameCache(find_pairs(frames_folder), (32, 40), tmp_path / "cache")
    np.testing.assert_array_equal(again.images, expected[0])
    np.testing.assert_array_equal(again.masks, expected[1])
    assert again.table.equals(expected[2])


def test_the_checksums_see_any_frame_of_a_small_dataset(cache):
    before = module._sums(cache.images, cache.masks)
    for row in (0, len(cache.images) - 1):
        masks = np.array(cache.masks)
        masks[row] ^= 1
        assert module._sums(cache.images, masks) != before


FULL = """
import resource, sys
from polyp.data.cache import FrameCache
from polyp.data.pairs import find_pairs
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
FrameCache(find_pairs(sys.argv[1]), (64, 64), sys.argv[2])
"""


@pytest.mark.skipif(
    sys.platform != "linux", reason="limits of file sizes as a stand-in for a full disk: Linux"
)
def test_a_full_disk_is_an_error_not_a_crash(frames_folder, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", FULL, frames_folder, tmp_path / "cache"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr  # a crash would be negative
    assert "could not be written" in done.stderr.splitlines()[-1]
    assert list((tmp_path / "cache").iterdir()) == []


def test_another_users_cache_that_may_not_be_read(frames_folder, cache, tmp_path, monkeypatch):
    def refused(path, *_, **__):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(module.np, "load", refused)
    with pytest.raises(DataError, match=r"images\.npy: may not be read; ask its owner .* or set POLYP_CACHE"):
        FrameCache(find_pairs(frames_folder), (32, 40), tmp_path / "cache")


def test_what_a_killed_builder_left_is_swept(frames_folder, cache, tmp_path):
    home, key = tmp_path / "cache", cache.key
    shutil.rmtree(cache.folder)
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    names = {
        "dead": f".{key}.{ended.pid}.x",
        "alive": f".{key}.{os.getpid()}.y",
        "new": f".{key}.{ended.pid}.z",
    }
    for name in names.values():
        (make_folder(home / name) / "content").mkdir()
    for name in ("dead", "alive"):
        os.utime(home / names[name], (time.time() - 3600,) * 2)
    FrameCache(find_pairs(frames_folder), (32, 40), home)
    assert sorted(path.name for path in home.iterdir()) == sorted([names["alive"], names["new"], key])


def test_where_it_lies(tmp_path, monkeypatch):
    monkeypatch.delenv("POLYP_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    if sys.platform == "linux":
        assert cache_home() == tmp_path / "xdg" / "polyp"  # outside a checkout
    (tmp_path / "polyp").mkdir()
    (tmp_path / "pyproject.toml").touch()
    assert cache_home() == tmp_path / "data" / "cache"
    monkeypatch.setenv("POLYP_CACHE", str(tmp_path / "mine"))
    assert cache_home() == tmp_path / "mine"


def test_the_flag_and_the_command_that_cleans_it(frames_folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("POLYP_CACHE", str(tmp_path / "other"))  # undone after the test
    settings = ["--size", "32", "32", "--widths", "4", "8", "--epochs", "1", "--batch-size", "4"]
    arguments = ["train", "--data", str(frames_folder), "--cache", "place", "--out", "r", *settings]
    assert main(arguments) == 0
    assert len(list((tmp_path / "place").iterdir())) == 1
    assert not (tmp_path / "other").exists()
    (tmp_path / "place" / "notes.txt").touch()
    assert main(["data", "clean"]) == 0
    assert "MiB freed" in capsys.readouterr().out
    assert [path.name for path in (tmp_path / "place").iterdir()] == ["notes.txt"]
    assert clean_cache() == 0
