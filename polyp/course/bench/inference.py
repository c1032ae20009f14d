"""The bundled network on one frame: by level, precision and engine, with the Dice that each still reaches."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from polyp.config import Config
from polyp.course.bench.turns import Plan, Section, take_turns, with_usual_memory
from polyp.data.dataset import PolypDataset
from polyp.errors import DataError, UsageError
from polyp.model.network import SegmentationNetwork
from polyp.run.checkpoint import load_model
from polyp.run.engines import SHIPPED_ONNX, OnnxEngine
from polyp.run.hardware import has_fast_bf16, to_device
from polyp.run.int8 import export_int8, pad_to_stride
from polyp.run.levels import Heads, score_heads, torch_heads
from polyp.run.unseen import open_unseen

PLAIN = "PyTorch, fp32, NCHW"


def measure(plan: Plan, folder: Path) -> Section:
    """Ratios compare with the whole network in plain float32."""
    model, metadata = load_model(None)
    config = Config.from_dict(metadata["config"])
    levels = (1, model.depth) if plan.quick else tuple(range(1, model.depth + 1))
    ways, notes = _ways(model, levels, plan, folder)
    generator = torch.Generator().manual_seed(0)
    frame = torch.randint(0, 256, (1, 3, *config.size), dtype=torch.uint8, generator=generator)
    reference = f"{PLAIN}, L{model.depth}"
    with torch.inference_mode():
        times = take_turns(
            {name: _turn(name, way, plan, frame) for name, way in ways.items()},
            2 if plan.quick else 8,
            reference,
        )
        dataset, what = _frames(metadata, config, plan)
        dice, _ = score_heads(list(ways.values()), dataset)
    rows: list[dict[str, Any]] = [
        {
            "way": name,
            "ms_per_frame": 1000 * timed.seconds / plan.steps,
            "ratio": timed.ratio,
            "lowest": timed.lowest,
            "highest": timed.highest,
            "dice": score,
        }
        for (name, timed), (score,) in zip(times.items(), dice, strict=True)
    ]
    notes.append(f"Dice: mean of {len(dataset)} frames, {what}, one look, threshold 0.5, no rule for regions")
    title = f"The bundled network on one frame of {config.size[0]} x {config.size[1]}, batch 1, network alone"
    return Section(title, rows, tuple(notes))


def _turn(name: str, way: Heads, plan: Plan, frame: Tensor) -> Callable[[], object]:
    def work() -> object:
        return [way(frame) for _ in range(plan.steps)]

    return with_usual_memory(work) if name.startswith(PLAIN) else work


def _ways(
    model: SegmentationNetwork, levels: tuple[int, ...], plan: Plan, folder: Path
) -> tuple[dict[str, Heads], list[str]]:
    ways: dict[str, Heads] = {}
    notes = []
    packed = to_device(load_model(None)[0])
    top = model.depth
    plain = model.to(plan.device)
    for level in levels:
        ways[f"{PLAIN}, L{level}"] = torch_heads(plain, level, "fp32")
        ways[f"PyTorch, fp32, channels_last, L{level}"] = torch_heads(packed, level, "fp32")
        if has_fast_bf16(plan.device):
            ways[f"PyTorch, bf16, channels_last, L{level}"] = torch_heads(packed, level, "bf16")
    if not has_fast_bf16(plan.device):
        notes.append("bf16 is emulated on this processor, so it is not measured")
    if plan.quick or not (shutil.which("g++") or shutil.which("cl")):
        notes.append("torch.compile is not measured: it takes a minute and a C++ compiler")
    else:
        compiled: Any = torch.compile(packed)
        ways[f"PyTorch, compiled, L{top}"] = torch_heads(compiled, top)
    for level in levels:
        ways[f"ONNX Runtime, fp32, L{level}"] = onnx_way(SHIPPED_ONNX, level)
    try:
        if plan.quick:
            raise DataError("calibration takes longer than --quick")
        file = export_int8(*load_model(None), folder / "int8.onnx").path
        ways |= {f"ONNX Runtime, int8, L{level}": onnx_way(file, level) for level in levels}
    except (DataError, UsageError) as error:
        notes.append(f"int8 is not measured: {error}")
    return ways, notes


def onnx_way(file: Path, level: int) -> Heads:
    """An exported network at a level."""
    engine = OnnxEngine(file, level)

    def run(frame: Tensor) -> list[Tensor]:
        height, width = frame.shape[-2:]
        padded = pad_to_stride(frame, engine.stride).numpy()
        (logits,) = engine.session.run([engine.output], {"image": padded})
        return [torch.from_numpy(logits[..., :height, :width])]

    return run


def _frames(metadata: dict[str, Any], config: Config, plan: Plan) -> tuple[PolypDataset, str]:
    """Validation frames of the network's own data where they are, else those that come with the package."""
    try:
        dataset, what, _ = open_unseen(metadata, config, part="val")
    except DataError:
        dataset, what, _ = open_unseen(metadata, config, "sample", part="all")
    wanted = 12 if plan.quick else 60
    return PolypDataset(
        dataset.cache, dataset.frames[:: -(-len(dataset) // wanted)], full_size_masks=True
    ), what
