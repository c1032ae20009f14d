import json
import math
import pickle
import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import save as serialise
from safetensors.torch import save_file

from polyp import disk as files
from polyp.config import changed, configure
from polyp.errors import DataError
from polyp.model.network import build_model
from polyp.run.checkpoint import load_model, metadata_of, read_checkpoint, restore_optimizer, save_checkpoint

CONFIG = configure(widths=(4, 8, 12))


@pytest.fixture
def saved(tmp_path):
    model = build_model(CONFIG)
    optimizer = torch.optim.AdamW(model.parameters(), 0.01)
    image = torch.randint(0, 256, (2, 3, 16, 16), dtype=torch.uint8)
    sum(o.mean() for o in model(image)).backward()
    optimizer.step()
    path = save_checkpoint(
        tmp_path / "m.safetensors",
        model,
        metadata_of(CONFIG, {"val_dice": 0.5}, {"name": "x"}, {"train": "ab"}, 0.4),
        optimizer,
    )
    return path, model, optimizer, image


def test_what_comes_back_is_what_went_in(saved):
    path, model, optimizer, image = saved
    loaded, metadata = load_model(path)
    assert not loaded.training
    assert all(torch.equal(a, b) for a, b in zip(model.eval()(image), loaded(image), strict=True))
    assert metadata["threshold"] == 0.4
    assert metadata["scores"] == {"val_dice": 0.5}
    assert (metadata["min_peak"], metadata["min_share"]) == (0, 0)
    parts = {"format", "config", "preprocessing", "threshold", "min_share", "scores", "data", "versions"}
    assert set(metadata) == parts | {"machine", "split", "min_peak", "second_look", "familiar"}
    assert metadata["split"] == {"train": "ab"}
    other = torch.optim.AdamW(loaded.parameters(), 0.01)
    restore_optimizer(other, loaded, read_checkpoint(path)[0])
    for mine, theirs in zip(model.parameters(), loaded.parameters(), strict=True):
        assert optimizer.state[mine].keys() == other.state[theirs].keys()
        for key, value in optimizer.state[mine].items():
            assert torch.equal(value, other.state[theirs][key])


def test_the_header_is_readable_without_this_package(saved):
    content = saved[0].read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    assert json.loads(header["__metadata__"]["polyp"])["config"]["widths"] == [4, 8, 12]


def test_a_pickle_is_never_opened(tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    (tmp_path / "a.safetensors").write_bytes(pickle.dumps(Trap()))
    torch.save({"x": torch.zeros(1)}, tmp_path / "b.safetensors")
    for name in "ab":
        with pytest.raises(DataError, match="a pickle"):
            load_model(tmp_path / f"{name}.safetensors")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("keep", [0, 7, 200, -1])
def test_truncated(saved, keep):
    path = saved[0]
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError, match="truncated or not a safetensors file"):
        load_model(path)


def test_safetensors_of_somebody_else(tmp_path):
    save_file({"weight": torch.zeros(2)}, tmp_path / "x.safetensors")
    with pytest.raises(DataError, match="without the metadata that polyp writes"):
        load_model(tmp_path / "x.safetensors")


def test_another_architecture(saved, tmp_path):
    wrong = metadata_of(changed(CONFIG, architecture="unet"), {}, {})
    path = save_checkpoint(tmp_path / "w.safetensors", saved[1], wrong)
    with pytest.raises(DataError, match=r"another architecture: \d+ tensors differ, first '"):
        load_model(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 99}, "checkpoint format 99; this version reads 1"),
        ({"config": {"x": 1}}, "not one of this version"),
    ],
)
def test_another_version(saved, tmp_path, change, message):
    path = save_checkpoint(tmp_path / "v.safetensors", saved[1], metadata_of(CONFIG, {}, {}) | change)
    with pytest.raises(DataError, match=message):
        load_model(path)


def test_missing_and_folder(tmp_path):
    with pytest.raises(DataError, match="no such checkpoint"):
        load_model(tmp_path / "x.safetensors")
    with pytest.raises(DataError, match="is a folder; name the checkpoint in it"):
        load_model(tmp_path)


def test_a_full_disk_keeps_the_last_checkpoint(saved, monkeypatch):
    path, model, *_ = saved
    before = path.read_bytes()

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(DataError, match="No space left on device"):
        save_checkpoint(path, model, metadata_of(CONFIG, {}, {}))
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir() if "tmp" in p.name] == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"config": None}, "its config is no dict"),
        ({"config": 5}, "its config is no dict"),
        ({"config": {"model": None}}, "not one of this version"),
        ({"config": {"widths": [8000] * 4}}, "expected at most 4096 channels"),
        ({"config": {"widths": [1] * 3000}}, "expected at most 10 resolutions"),
        ({"config": {"widths": [4096] * 10}}, "weights are of another architecture"),
        ({"config": {"size": [20000, 20000]}}, "expected at most 8192 pixels"),
        ({"threshold": None}, "its threshold is None; expected a number from 0 to 1"),
        ({"threshold": math.nan}, "its threshold is nan; expected"),
        ({"threshold": "0.5"}, "its threshold is 0.5; expected a number"),
        ({"threshold": True}, "its threshold is True; expected a number"),
        ({"threshold": 5}, "its threshold is 5; expected"),
        ({"min_peak": [0.5]}, "its min_peak is"),
        ({"split": []}, "its split is no dict"),
        ({"scores": 1}, "its scores is no dict"),
        ({"split": {"train": ["ab"]}}, "its split holds no text"),
        ({"second_look": 1}, "its second_look is 1; expected true or false"),
        ({"familiar": [1]}, "its familiar is no dict"),
        ({"familiar": {"center": [1]}}, "its familiar is no density of figures"),
        ({"format": {}}, "checkpoint format {}; this version reads 1"),
    ],
)
def test_metadata_that_was_changed_is_refused_at_once(saved, change, message):
    path, _, _, _ = saved
    tensors, metadata = read_checkpoint(path)
    content = serialise(tensors, {"polyp": json.dumps(metadata | change)})
    path.write_bytes(content)
    with pytest.raises(DataError, match=re.escape(message)):
        load_model(path)


def test_deeply_nested_metadata(saved):
    path, _, _, _ = saved
    tensors, _ = read_checkpoint(path)
    path.write_bytes(serialise(tensors, {"polyp": "[" * 100_000 + "]" * 100_000}))
    with pytest.raises(DataError, match="without the metadata that polyp writes"):
        load_model(path)


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (lambda tensor: tensor * math.nan, "holds NaN or infinity"),
        (lambda tensor: tensor.to(torch.int32), "holds torch.int32; expected floating-point numbers"),
        (lambda tensor: tensor > 0, "holds torch.bool; expected floating-point numbers"),
    ],
)
def test_weights_that_are_none(saved, broken, message):
    path, _, _, _ = saved
    tensors, metadata = read_checkpoint(path)
    name = next(name for name in tensors if name.startswith("model.") and tensors[name].ndim == 4)
    tensors[name] = broken(tensors[name])
    path.write_bytes(serialise(tensors, {"polyp": json.dumps(metadata)}))
    with pytest.raises(DataError, match=message):
        load_model(path)


def test_a_file_that_is_far_too_large_is_not_read(saved, monkeypatch):
    path, _, _, _ = saved
    with path.open("r+b") as file:
        file.truncate(5 * 2**30)  # sparse: it takes no space
    monkeypatch.setattr(Path, "read_bytes", None)
    with pytest.raises(DataError, match="larger than 4 GiB"):
        load_model(path)
