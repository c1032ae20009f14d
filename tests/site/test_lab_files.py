"""The graphs that the page runs, against PyTorch."""

import gzip
import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from lab import frames, graphs
from torch import nn
from torch.utils.hooks import RemovableHandle

import polyp

SIZE = (64, 96)  # small, so that 34 cuts take seconds


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("lab")
    (folder / "ort.wasm.gz").write_bytes(b"12345")
    graphs.write_network(folder)
    for packed in folder.glob("*.gz"):
        if packed.name != "ort.wasm.gz":
            (folder / packed.stem).write_bytes(gzip.decompress(packed.read_bytes()))
    return folder


@pytest.fixture(scope="module")
def image() -> torch.Tensor:
    return torch.randint(0, 256, (1, 3, *SIZE), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def run(folder: Path, graph: str, image: torch.Tensor, **feeds) -> dict[str, np.ndarray]:
    session = onnxruntime.InferenceSession(folder / f"{graph}.onnx")
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {"image": image.numpy()} | feeds), strict=True))


@torch.inference_mode()
def test_the_levels_are_the_network_s(folder, model, image):
    for level, logits in enumerate(model(image), 1):
        found = run(folder, f"level_{level}", image)
        assert list(found) == [f"level_{level}"]
        np.testing.assert_allclose(found[f"level_{level}"], logits, atol=1e-3)


def cut(model: nn.Module, wire: graphs.Wire) -> RemovableHandle:
    """PyTorch's own way of cutting a wire: zeros where the target reads the source."""
    i, j = wire.target
    if j == 0:
        return model.nodes[f"{i}_0"].register_forward_pre_hook(lambda _, given: torch.zeros_like(given[0]))
    widths = [_channels(model, i, k) for k in range(j)] + [_channels(model, i + 1, j - 1)]
    slot = wire.source[1] if wire.source[0] == i else j
    first, last = sum(widths[:slot]), sum(widths[: slot + 1])

    def silence(_, given):
        features = given[0].clone()
        features[:, first:last] = 0
        return (features,)

    return model.nodes[f"{i}_{j}"].register_forward_pre_hook(silence)


def _channels(model: nn.Module, i: int, j: int) -> int:
    convolutions = [part for part in model.nodes[f"{i}_{j}"].modules() if isinstance(part, nn.Conv2d)]
    return convolutions[-1].out_channels


@torch.inference_mode()
def test_every_gate_cuts_its_wire(folder, model, image):
    wires = graphs.wires(4)
    assert len(wires) == len(set(wires)) == 34
    session = onnxruntime.InferenceSession(folder / "grid.onnx")
    names = [f"level_{level}" for level in range(1, 5)]
    whole = session.run(names, {"image": image.numpy(), "gates": np.ones(34, np.float32)})
    for number, wire in enumerate(wires):
        gates = np.ones(34, np.float32)
        gates[number] = 0
        found = session.run(names, {"image": image.numpy(), "gates": gates})
        hook = cut(model, wire)
        wanted = [logits.numpy() for logits in model(image)]
        hook.remove()
        changed = False
        for ours, theirs, before in zip(found, wanted, whole, strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-3 * max(1, np.abs(theirs).max()))
            changed |= bool(np.abs(ours - before).max() > 1e-3)
        assert changed, wire


@torch.inference_mode()
def test_every_node_is_seen(folder, model, image):
    seen = {}
    hooks = [
        node.register_forward_hook(lambda _, __, output, name=name: seen.__setitem__(name, output.numpy()))
        for name, node in model.nodes.items()
    ]
    model(image)
    for hook in hooks:
        hook.remove()
    found = run(folder, "grid", image, gates=np.ones(34, np.float32))
    facts = json.loads((folder / "network.json").read_text())
    assert len(facts["nodes"]) == len(seen) == 15
    for node in facts["nodes"]:
        name = f"{node['i']}_{node['j']}"
        np.testing.assert_allclose(found[f"X_{name}"], seen[name], atol=1e-3 * np.abs(seen[name]).max())
        assert node["channels"] == seen[name].shape[1]


def test_each_of_a_block_s_modules_is_known_or_refused():
    assert graphs.read_by(nn.Sequential(nn.Conv2d(1, 1, 3, 2, 1), nn.Conv2d(1, 1, 5, 1, 2))) == (11, 2, 5)
    with pytest.raises(TypeError, match="MaxPool2d"):
        graphs.read_by(nn.Sequential(nn.MaxPool2d(2)))


def test_the_clean_parts_are_clean():
    for name, part in frames.WITHOUT_POLYP.items():
        mask = polyp.read_image(frames.SAMPLE / "masks" / f"{name}.png")
        assert mask.any()
        assert not mask[part].any()
