"""A network in 8-bit integers, for ONNX Runtime: a quarter of the file, and faster on a CPU.

Weights get a scale for each channel, activations the range that they have on some training frames (Jacob et
al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference", CVPR
2018, arXiv:1712.05877). The first row of the encoder and the heads stay in float32, which costs the shipped
network next to no time: with the first row in integers, its level 1 fell from a Dice of 0.39 to 0.29, and
agreed with float32 far less often (32 validation frames).
"""

import contextlib
import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from polyp.config import Config
from polyp.data.dataset import PolypDataset
from polyp.disk import place_for, write_atomic
from polyp.errors import DataError, UsageError
from polyp.model.network import SegmentationNetwork
from polyp.run import export
from polyp.run.choice import INT8
from polyp.run.levels import Heads, score_heads, table_rows, torch_heads
from polyp.run.unseen import open_unseen

FIRST = ("model.nodes.0_0.", "model.encoder.0.")  # how the names of the first row's weights begin
HEADS = "model.head"
FRAMES = 32  # to calibrate on; with 96 the shipped network was no better


class Exported(NamedTuple):
    """What `export_int8` has written, and what it found.

    Attributes:
        path: the file.
        calibrated, checked: on how many frames, of what.
        agreement: the mean Dice between its masks and those in float32, on the frames checked.
        rows: the table of its levels in both precisions, see `levels.table_rows`; empty where no validation
            frame shows a polyp, or none is there and the training frames were checked.
    """

    path: Path
    calibrated: str
    checked: str
    agreement: float
    rows: list[dict[str, Any]]


def export_int8(
    model: SegmentationNetwork,
    metadata: dict[str, Any],
    path: str | Path,
    *,
    data: str | None = None,
    data_path: str | Path | None = None,
    frames: int = FRAMES,
    level: int | None = None,
    progress: bool = False,
) -> Exported:
    """Write a network as ONNX in 8-bit integers, calibrated on frames that it learnt from.

    Input, outputs and metadata are those of `export_onnx`; the metadata also hold `precision`, `calibrated`
    (how many frames), and in `validation` the Dice of both precisions on the validation frames.

    Args:
        model: on the CPU, in evaluation mode.
        metadata: of its checkpoint, see `load_model`.
        path: the file, `.onnx`.
        data: in place of the checkpoint's own data, a folder or name; of frames that the checkpoint knows,
            those that it trained on are taken.
        data_path: where the data are.
        frames: how many to calibrate on, drawn at random, always the same.
        level: prune a UNet++ to this level, and give its head alone.
        progress: show a bar while the file is checked.

    Raises:
        UsageError: as `export_onnx`; less than one frame.
        DataError: there are no training frames; the file cannot be written.
    """
    onnx, path = export.installed(), place_for(path)
    export.check_suffix(path)
    if frames < 1:
        raise UsageError(f"--frames is {frames}; expected 1 or more to calibrate on")
    network = export.NamedHeads(model, level)
    config = Config.from_dict(metadata["config"])
    train, name, _ = open_unseen(metadata, config, data, "train", data_path)
    some = _some(train, frames)
    graph = _quantised(export.to_onnx(network), some, network.stride)

    val, val_name = _validation_frames(metadata, config, data, data_path) or (some, name)
    both = [torch_heads(network.model, level, "fp32"), _onnx_heads(graph.SerializeToString(), network.stride)]
    dice, agreement = score_heads(both, val, progress=progress)
    rows = []
    if val is not some:
        for precision, values in zip(("fp32", INT8), dice, strict=True):
            rows += table_rows(model, network.levels, values, precision, config.size, len(val))
    about = metadata | {"precision": INT8, "calibrated": len(some), "validation": rows}
    export.label(onnx, graph, network, about)
    write_atomic(path, graph.SerializeToString())
    checked = f"{len(val)} frames of {val_name}"
    return Exported(path, f"{len(some)} frames of {name}", checked, agreement[1], rows)


def _some(dataset: PolypDataset, count: int) -> PolypDataset:
    rng = np.random.default_rng(0)
    chosen = np.sort(rng.choice(len(dataset), min(count, len(dataset)), replace=False))
    return PolypDataset(dataset.cache, [dataset.frames[index] for index in chosen], full_size_masks=True)


def _validation_frames(
    metadata: dict[str, Any], config: Config, data: str | None, data_path: str | Path | None
) -> tuple[PolypDataset, str] | None:
    """None where the network learnt from them, too, or the data that are named hold none."""
    try:
        dataset, name, _ = open_unseen(metadata, config, data, "val", data_path)
    except (DataError, UsageError):  # of the same data, the training frames have just been opened
        return None
    return (dataset, name) if len(dataset) else None


def _quantised(graph: Any, frames: PolypDataset, stride: int) -> Any:
    """The graph in integers; each tensor is followed by the pair of nodes that ONNX Runtime fuses."""
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self.images = (frames[index][0][None] for index in range(len(frames)))

        def get_next(self) -> dict[str, np.ndarray] | None:
            image = next(self.images, None)
            return None if image is None else {"image": pad_to_stride(image, stride).numpy()}

    with _quiet(), tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "int8.onnx"
        quantize_static(
            graph,
            file,
            Reader(),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=_kept_in_float(graph),
        )
        return onnx.load(file)


def _kept_in_float(graph: Any) -> list[str]:
    """The nodes, by name, of the first row and the heads, with what enlarges a head's logits."""
    names: list[str] = []
    logits: set[str] = set()
    for node in graph.graph.node:
        is_head = any(name.startswith(HEADS) for name in node.input) or not logits.isdisjoint(node.input)
        if is_head:
            logits.update(node.output)
        if is_head or any(name.startswith(FIRST) for name in node.input):
            names.append(node.name)
    return names


def _onnx_heads(content: bytes, stride: int) -> Heads:
    """A graph as `score_heads` takes it."""
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])

    def heads(image: Tensor) -> list[Tensor]:
        height, width = image.shape[-2:]
        outputs = session.run(None, {"image": pad_to_stride(image, stride).numpy()})
        return [torch.from_numpy(logits[..., :height, :width]) for logits in outputs]

    return heads


def pad_to_stride(image: Tensor, stride: int) -> Tensor:
    """A batch uint8 (N, 3, H, W) whose edge is repeated until the stride divides its sides."""
    height, width = image.shape[-2:]
    margin = (0, -width % stride, 0, -height % stride)
    return F.pad(image.float(), margin, mode="replicate").to(torch.uint8) if any(margin) else image


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the advice that the quantiser logs, which concerns graphs that are not prepared."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
