"""Damaged and hostile checkpoints, run folders, caches and archives."""

import gzip
import io
import json
import os
import tarfile
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save as serialise

from polyp.data.dataset import open_data
from polyp.run.checkpoint import read_checkpoint

from .attempt import attempt
from .pictures import frame

pytestmark = [
    pytest.mark.stress,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="attempts are forked, which Windows cannot do"),
]
ODD = (
    *(None, True, False, "", "x", [], {}, [1, 2], {"a": 1}, -1, 0, 0.5, 10**30, -(10**30), 1e308, "9" * 5000),
    *(float("nan"), float("inf"), [[[[[[1]]]]]], "\0", "../../etc/passwd", "__import__('os')", [None] * 1000),
)
MEBIBYTES = 1200  # torch itself takes some 400


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """The bytes of a file with some changed, cut off, cut out, or none left."""
    data, place = bytearray(content), int(rng.integers(max(1, len(content))))
    kind = rng.integers(5)
    if kind == 0:
        return b""
    if kind == 1:
        return bytes(data[:place])
    if kind == 2:
        return bytes(data[:place] + data[place + int(rng.integers(1, 60)) :])
    if kind == 3:
        return bytes(data[:place] + rng.bytes(30) + data[place:])
    for spot in rng.integers(len(data), size=20):
        data[spot] = rng.integers(256)
    return bytes(data)


def judge(found, tried, kind, named: str):
    """Right, or refused in one line that names the file."""
    tried(kind, found.verdict)
    assert found.verdict in ("right", "refused"), found
    assert found.mebibytes < MEBIBYTES, found
    assert found.seconds < 30, found
    if found.verdict == "refused":
        assert len(found.err.splitlines()) == 1, found
        assert named in found.err, found


@pytest.fixture
def picture(tmp_path):
    Image.fromarray(frame(0)).save(tmp_path / "frame.png")
    return tmp_path / "frame.png"


def leaves(value, path=()):
    """Where the values of nested dictionaries and lists are."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in list(items)[:12]:
        yield from leaves(inner, (*path, key))


def replaced(value, path, new):
    """A copy of nested dictionaries and lists with one value replaced."""
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = replaced(value[path[0]], path[1:], new)
    return copy


@pytest.mark.parametrize("seed", range(120))
def test_a_checkpoint(seed, run, picture, tmp_path, tried):
    rng = np.random.default_rng(seed)
    tensors, metadata = read_checkpoint(run.best)
    names = sorted(tensors)
    name = names[int(rng.integers(len(names)))]
    kind = ("metadata", "metadata", "tensor", "bytes")[seed % 4]
    if kind == "metadata":
        places = [path for path in leaves(metadata) if path]
        metadata = replaced(
            metadata, places[int(rng.integers(len(places)))], ODD[int(rng.integers(len(ODD)))]
        )
    elif kind == "tensor":
        tensor = tensors[name]
        tensors[name] = (
            torch.full_like(tensor, 1) * float("nan"),
            tensor.flatten()[:0],
            tensor.flatten(),
            tensor.to(torch.int8),
            torch.zeros(3000, 3000),
            tensor.double(),
        )[int(rng.integers(6))]
        if rng.integers(3) == 0:
            del tensors[name]
    content = serialise(tensors, {"polyp": json.dumps(metadata)})
    run.best.write_bytes(damaged(content, rng) if kind == "bytes" else content)
    found = attempt(["predict", str(picture), "--checkpoint", str(run.best), "--out", "out"], tmp_path)
    judge(found, tried, "checkpoints: predict", "best.safetensors")
    found = attempt(["validate", str(run.best)], tmp_path)
    tried("checkpoints: validate", found.verdict)
    assert found.verdict in ("right", "refused"), found
    assert len(found.err.splitlines()) <= 1, found


FILES = ("config.json", "log.csv", "metrics.json", "split.csv", "last.safetensors", "best.safetensors")


@pytest.mark.parametrize("seed", range(60))
def test_a_run_folder(seed, run, tmp_path, tried):
    rng, file = np.random.default_rng(seed), run.path / FILES[seed % len(FILES)]
    kind = ("bytes", "gone", "folder", "json", "link")[seed // len(FILES) % 5]
    content = file.read_bytes()
    file.unlink()
    if kind == "bytes":
        file.write_bytes(damaged(content, rng))
    elif kind == "folder":
        file.mkdir()
    elif kind == "json":
        file.write_text(json.dumps(ODD[int(rng.integers(7, 16))]))
    elif kind == "link":
        file.symlink_to(tmp_path / "nowhere")
    found = attempt(["train", "--resume", str(run.path), "--epochs", "4"], tmp_path)
    judge(found, tried, "run folders: resume", str(run.path))


@pytest.mark.parametrize("seed", range(40))
def test_a_cache(seed, tiny, tmp_path, tried):
    """Whatever happens to it, the frames are the same: it is built again, or still whole."""
    data = open_data(tiny)
    good = [tensor.clone() for pair in map(data.val.__getitem__, range(len(data.val))) for tensor in pair]
    del data
    folder = Path(os.environ["POLYP_CACHE"])
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    rng = np.random.default_rng(seed)
    for file in rng.choice(files, size=int(rng.integers(1, len(files) + 1)), replace=False):
        content = Path(file).read_bytes()
        Path(file).unlink()
        if rng.integers(5):
            Path(file).write_bytes(damaged(content, rng))
    data = open_data(tiny)
    again = [tensor for pair in map(data.val.__getitem__, range(len(data.val))) for tensor in pair]
    same = all(torch.equal(*pair) for pair in zip(good, again, strict=True))
    tried("caches", "right" if same else "wrong")
    assert same


def member(name: str, kind: bytes = tarfile.REGTYPE, size: int = 0, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.size, info.linkname = kind, size, link
    return info


def hostile_archives():
    """(what it is, suffix, a function that writes it)."""

    def tar(*members, mode="w:gz"):
        def write(path):
            with tarfile.open(path, mode) as file:
                for info in members:
                    file.addfile(info, io.BytesIO(bytes(info.size)))

        return write

    def zipped(*names, content=b"x", compression=zipfile.ZIP_STORED):
        def write(path):
            with zipfile.ZipFile(path, "w", compression) as file, warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that a name is there already is what we want
                for name in names:
                    file.writestr(zipfile.ZipInfo(name), content)

        return write

    def header_bomb(path):
        with gzip.open(path, "wb", compresslevel=1) as file:
            file.write(member("x", tarfile.XHDTYPE, 2**31).tobuf(tarfile.GNU_FORMAT))
            for _ in range(64):
                file.write(bytes(2**20))

    def zip_bomb(path):
        with (
            zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file,
            file.open("a.png", "w", force_zip64=True) as out,
        ):
            for _ in range(6 * 1024):
                out.write(bytes(2**20))

    def flat_bomb(path):
        with gzip.open(path, "wb", compresslevel=1) as file:
            file.write(member("a.png", size=2**33).tobuf(tarfile.GNU_FORMAT))
            file.write(bytes(2**20))

    for up in (
        "../evil",
        "a/../../evil",
        "/tmp/polyp-evil",
        "..\\evil",
        "C:\\evil",
        "C:evil",
        "a/..",
        "./../evil",
    ):
        yield f"zip with {up}", ".zip", zipped(up, "images/1.png")
        yield f"tar with {up}", ".tar.gz", tar(member(up, size=3), member("images/1.png"))
    for kind, name in (
        (tarfile.SYMTYPE, "symlink"),
        (tarfile.LNKTYPE, "hard link"),
        (tarfile.CHRTYPE, "device"),
    ):
        yield (
            f"tar with a {name}",
            ".tar",
            tar(member("images", kind, link="/tmp"), member("images/x"), mode="w"),
        )
    yield "tar with a pipe", ".tar", tar(member("images", tarfile.FIFOTYPE), mode="w")
    yield "zip of names that collide", ".zip", zipped("images/1.png", "images/1.png")
    yield "zip of names that differ by case", ".zip", zipped("images/a.png", "IMAGES/A.png")
    yield "zip of names that differ by accents", ".zip", zipped("images/\u00e9.png", "images/e\u0301.png")
    yield "zip with backslashes", ".zip", zipped("images\\1.png")
    yield "zip of a million members", ".zip", zipped(*(f"{k}" for k in range(300_000)), content=b"")
    yield "tar of many members", ".tar.gz", tar(*(member(f"{k}") for k in range(120_000)))
    yield "tar header bomb", ".tar.gz", header_bomb
    yield "zip bomb", ".zip", zip_bomb
    yield "tar bomb", ".tar.gz", flat_bomb
    yield "empty zip", ".zip", zipped()
    yield "not an archive", ".zip", lambda path: path.write_bytes(b"PK" + bytes(1000))
    yield "nothing", ".tar.gz", lambda path: path.write_bytes(b"")


HOSTILE = 32


@pytest.mark.parametrize("number", range(HOSTILE))
def test_an_archive(number, tmp_path, tried):
    _, suffix, write = list(hostile_archives())[number]
    place = tmp_path / "deep" / "project"
    (place / "data").mkdir(parents=True)
    (place / "pyproject.toml").write_text('[project]\nname = "polyp-course"\n')
    archive = tmp_path / f"strange{suffix}"
    write(archive)
    before = {path for path in tmp_path.rglob("*") if place not in path.parents}
    found = attempt(["data", "get", "kvasir-seg", "--archive", str(archive)], place, seconds=120)
    tried("archives", found.verdict)
    assert found.verdict == "refused", found
    assert len(found.err.splitlines()) == 1, found
    assert "strange" in found.err, found
    assert found.mebibytes < 512, found
    assert {path for path in tmp_path.rglob("*") if place not in path.parents} == before
    assert not any((place / "data").rglob("*.png"))
    assert not Path("/tmp/polyp-evil").exists()


def test_there_is_a_case_for_each():
    assert len(list(hostile_archives())) == HOSTILE
