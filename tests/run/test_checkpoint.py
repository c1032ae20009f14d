import json
import pickle

import pytest
import torch
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
    assert set(metadata) == parts | {"machine", "split", "min_peak"}
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
