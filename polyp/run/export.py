"""A checkpoint -> ONNX, the same network for programs without PyTorch: ONNX Runtime, C++, a browser.

The graph takes uint8 RGB (N, 3, H, W), H and W multiples of its stride, and normalises itself. Its outputs
are the logits of every head, `level_1` to the deepest, float32 (N, 1, H, W). What `predict` has to know lies
in the metadata, as in a checkpoint.
"""

import contextlib
import copy
import io
import json
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from polyp.disk import place_for, write_atomic
from polyp.errors import DataError, UsageError
from polyp.model.network import SegmentationNetwork

KEPT = (
    "config", "threshold", "min_peak", "min_share", "second_look", "familiar", "scores", "data", "epoch",
    "validation", "precision", "calibrated",
)  # fmt: skip
LICENCE = "MIT"
OPSET = 20
TOLERANCE = 1e-3  # of the logits, against PyTorch; half of the weights' digits alone stay far below
SMALL = 4096  # numbers: shorter tensors, such as the scales of channels, are not worth halving


def export_onnx(
    model: SegmentationNetwork,
    metadata: dict[str, Any],
    path: str | Path,
    level: int | None = None,
    half: bool = False,
) -> Path:
    """Write a network as ONNX, and compare it with PyTorch before the file appears under its name.

    Args:
        model: on the CPU, in evaluation mode.
        metadata: of its checkpoint, see `load_model`.
        path: the file, `.onnx`.
        level: prune a UNet++ to this level, and give its head alone; by default all heads of the network.
        half: store the weights in half precision (half the size; the graph computes in float32).

    Raises:
        UsageError: the packages are not installed; the network has no such level; another suffix.
        DataError: the file cannot be written; ONNX Runtime answers otherwise than PyTorch.
    """
    onnx, path = installed(), place_for(path)
    check_suffix(path)
    network = NamedHeads(model, level)
    _unnormalise(network)
    graph = to_onnx(network)
    if half:
        _halve(onnx, graph)
    label(onnx, graph, network, metadata)
    content = graph.SerializeToString()
    _compare(network, content, path)
    return write_atomic(path, content)


def export_torch(model: SegmentationNetwork, path: str | Path, level: int | None = None) -> Path:
    """Write a network as `torch.export` does: PyTorch opens it with `torch.export.load`, without `polyp`."""
    path = place_for(path)
    network, buffer = NamedHeads(model, level), io.BytesIO()
    _unnormalise(network)
    with _quiet():
        torch.export.save(_traced(network), buffer)
    return write_atomic(path, buffer.getvalue())


def check_suffix(path: Path) -> None:
    """Refuse a name by which nobody would know an ONNX file."""
    if path.suffix.lower() != ".onnx":
        raise UsageError(f"{path}: expected a name that ends in .onnx")


class NamedHeads(nn.Module):
    """A copy of the network with the level fixed: image -> logits of its heads, in the order of `names`."""

    def __init__(self, model: SegmentationNetwork, level: int | None):
        super().__init__()
        self.model, self.level = copy.deepcopy(model).eval(), level
        self.depth = model.ensure_level(level)
        self.stride = model.top_stride * 2**self.depth
        heads = len(self(self.example()))
        self.levels = range(self.depth - heads + 1, self.depth + 1)
        self.names = [f"level_{number}" for number in self.levels]

    def example(self, count: int = 2, tiles: tuple[int, int] = (2, 3), seed: int = 0) -> Tensor:
        """Random frames of a size that the network takes without padding."""
        height, width = (self.stride * n for n in tiles)
        generator = torch.Generator().manual_seed(seed)
        return torch.randint(0, 256, (count, 3, height, width), dtype=torch.uint8, generator=generator)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        with torch.no_grad():
            outputs = self.model(image, self.level)
        return outputs if self.level is None else outputs[-1:]


class _Affine(nn.Module):
    """What batch normalisation is once it has learnt: a scale and a shift for each channel."""

    scale: Tensor
    shift: Tensor

    def __init__(self, norm: nn.BatchNorm2d):
        super().__init__()
        assert norm.running_mean is not None  # of a network that has been trained
        assert norm.running_var is not None
        scale = norm.weight.detach() / (norm.running_var + norm.eps).sqrt()
        self.register_buffer("scale", scale.view(1, -1, 1, 1))
        self.register_buffer("shift", (norm.bias.detach() - norm.running_mean * scale).view(1, -1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale + self.shift


def _unnormalise(module: nn.Module) -> None:
    """Replace batch normalisation, in place. Exporters would multiply it into the filters, which would then
    no more be the half-precision numbers of a checkpoint that ships; ONNX Runtime does so on loading."""
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d):
            setattr(module, name, _Affine(child))
        else:
            _unnormalise(child)


def to_onnx(network: NamedHeads) -> Any:
    """The network as an `onnx.ModelProto`."""
    with _quiet():
        program = torch.onnx.export(
            _traced(network), dynamo=True, input_names=["image"], output_names=network.names,
            opset_version=OPSET,
        )  # fmt: skip
    assert program is not None  # there is no file yet
    return program.model_proto


def label(onnx: Any, graph: Any, network: NamedHeads, metadata: dict[str, Any]) -> None:
    """Put into the graph what `predict` has to know of the network, and whoever else finds the file."""
    kept = {name: metadata[name] for name in KEPT if name in metadata}
    about = kept | {
        "licence": LICENCE, "stride": network.stride, "level": network.level, "levels": network.names,
    }  # fmt: skip
    onnx.helper.set_model_props(graph, {"polyp": json.dumps(about, allow_nan=False)})


def _traced(network: NamedHeads) -> torch.export.ExportedProgram:
    count, tall, wide = (torch.export.Dim(name, min=1, max=4096) for name in ("count", "tall", "wide"))
    sizes = {"image": {0: count, 2: network.stride * tall, 3: network.stride * wide}}
    return torch.export.export(network.eval(), (network.example(),), dynamic_shapes=sizes)


def _halve(onnx: Any, graph: Any) -> None:
    """Store float32 weights as float16, each followed by a cast, which ONNX Runtime does once, on loading."""
    casts = []
    for tensor in graph.graph.initializer:
        values = onnx.numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size < SMALL:
            continue
        name = tensor.name
        tensor.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float16), f"{name}.half"))
        casts.append(onnx.helper.make_node("Cast", [f"{name}.half"], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *graph.graph.node]
    del graph.graph.node[:]
    graph.graph.node.extend(nodes)


def _compare(network: NamedHeads, content: bytes, path: Path) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    for seed, (count, tiles) in enumerate([(1, (1, 1)), (3, (2, 1)), (1, (3, 4))]):
        image = network.example(count, tiles, seed)
        theirs = session.run(None, {"image": image.numpy()})
        for name, a, b in zip(network.names, network(image), theirs, strict=True):
            difference = float(np.abs(a.numpy() - b).max())
            if not difference <= TOLERANCE * max(1.0, float(a.abs().max())):
                raise DataError(
                    f"{path}: not written; {name} differs from PyTorch's by {difference:.2g} on frames of "
                    f"{image.shape[3]} x {image.shape[2]} px; try other versions of onnx and onnxruntime"
                )


def installed() -> Any:
    """The package onnx, once all that an export needs is there.

    Raises:
        UsageError: it is not.
    """
    try:
        import onnx
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise UsageError(f"{error.name} is not installed: pip install 'polyp-course[export]'") from None
    return onnx


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's own progress report and remarks."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
