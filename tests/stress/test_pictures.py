"""Broken, odd and hostile pictures through check, train and predict."""

import functools
import os
import shutil

import pytest
from PIL import Image

from polyp.config import configure
from polyp.model.network import build_model
from polyp.run.checkpoint import metadata_of, save_checkpoint

from .attempt import attempt
from .pictures import encode, frame, mutated_pictures, odd_pictures

pytestmark = [
    pytest.mark.stress,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="attempts are forked, which Windows cannot do"),
]
MUTATED = 300
MEBIBYTES = 1200  # beyond what is loaded; 100 megapixels are 300 MB, twice while they are decoded
ODD = 67


@functools.cache
def pictures():
    """All of them: (kind, suffix, bytes)."""
    return [*odd_pictures(), *mutated_pictures(MUTATED)]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    config = configure(widths=(4, 8, 16), size=(32, 32))
    model = build_model(config).eval()
    return save_checkpoint(tmp_path_factory.mktemp("c") / "c.safetensors", model, metadata_of(config, {}, {}))


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """A dataset of twelve pairs, which is copied and gets one picture more."""
    folder = tmp_path_factory.mktemp("good") / "data"
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    for k in range(12):
        image = frame(k)
        Image.fromarray(image).save(folder / "images" / f"{k}.png")
        Image.fromarray(((image[..., 0] > 185) * 255).astype("uint8")).save(folder / "masks" / f"{k}.png")
    return folder


def judge(found, tried, kind):
    tried(kind, found.verdict)
    assert found.verdict in ("right", "refused"), found
    assert found.mebibytes < MEBIBYTES, found
    if found.verdict == "refused":
        lines = [line for line in found.err.splitlines() if "strange" in line]
        assert len(lines) == 1 or "strange" in found.out, found
        assert len(found.err.splitlines()) <= 2, found


@pytest.mark.parametrize("number", range(ODD + MUTATED))
def test_a_picture(number, checkpoint, good, tmp_path, tried):
    _, suffix, content = pictures()[number]
    name = f"strange{suffix}"
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / name).write_bytes(content)
    (folder / "good.png").write_bytes(encode(Image.fromarray(frame(3)), "PNG"))
    found = attempt(["predict", "in", "--out", "out", "--checkpoint", str(checkpoint)], tmp_path)
    judge(found, tried, "pictures: predict")
    assert (tmp_path / "out" / "masks" / "good.png").is_file(), found

    data = shutil.copytree(good, tmp_path / "data")
    (data / "images" / name).write_bytes(content)
    Image.new("L", (64, 48)).save(data / "masks" / "strange.png")
    found = attempt(["data", "check", "data"], tmp_path)
    judge(found, tried, "pictures: data check")
    small = ["--size", "32", "32", "--widths", "4", "8", "--epochs", "1", "--batch-size", "2"]
    settings = [*small, "--split", "random", "--device", "cpu"]
    found = attempt(["train", "--data", "data", *settings, "--out", "run"], tmp_path)
    judge(found, tried, "pictures: train")

    shutil.rmtree(data)
    data = shutil.copytree(good, tmp_path / "data")
    (data / "masks" / name).write_bytes(content)
    Image.fromarray(frame(9)).save(data / "images" / "strange.png")
    found = attempt(["data", "check", "data"], tmp_path)
    judge(found, tried, "pictures as masks: data check")


def test_there_are_enough():
    assert len(pictures()) == ODD + MUTATED >= 300
    assert len({kind for kind, _, _ in pictures()}) > 60
