"""One file for a model: safetensors for the numbers, JSON for what they mean. Never a pickle.

The metadata holds everything needed to use the weights: `config` (a `Config`), `preprocessing`, `threshold`,
`min_peak`, `min_share`, `second_look`, `familiar`, `scores`, `data`, `split`, `versions` and `machine` (that
trained them); and, once a run has ended, `validation`, the table of `levels.level_table`. A `last` checkpoint
also holds the optimiser's tensors and the run's `history`, so that training goes on as if it had never
stopped.
"""

import json
import platform
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load as parse
from safetensors.torch import save as serialise
from torch import Tensor

import polyp
from polyp.config import Config
from polyp.disk import write_atomic
from polyp.errors import DataError, UsageError, look_up
from polyp.model.network import SegmentationNetwork, build_model
from polyp.run.hardware import machine
from polyp.run.metadata import check_metadata

FORMAT = 1
MAX_BYTES = 4 * 2**30  # of a file


def metadata_of(
    config: Config,
    scores: dict,
    data: dict,
    split: Mapping[str, str] | None = None,
    threshold: float = 0.5,
    min_peak: float = 0.0,
    min_share: float = 0.0,
    second_look: bool = False,
    familiar: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The metadata of a checkpoint, all of it plain JSON values.

    `split` holds the prints of the frames of each part, see `Splits.prints`: what was learnt from can be
    known again wherever it lies. `threshold`, `min_peak`, `min_share` and `second_look` are the operating
    point, see `prediction.predict_files`. `familiar` tells what is unlike the frames learnt from, see
    `learn_familiar`.
    """
    return {
        "format": FORMAT,
        "config": config.to_dict(),
        "preprocessing": {"colour": "RGB", "range": [0, 255], "normalisation": "inside the network"},
        "threshold": threshold,
        "min_peak": min_peak,
        "min_share": min_share,
        "second_look": second_look,
        "familiar": dict(familiar or {}),
        "scores": scores,
        "data": data,
        "split": dict(split or {}),
        "versions": versions(),
        "machine": machine(config.device, config.precision),
    }


def versions() -> dict[str, str]:
    """Of this package, torch and Python, for a result to say what made it."""
    return {"polyp": polyp.__version__, "torch": torch.__version__, "python": platform.python_version()}


def save_checkpoint(
    path: str | Path,
    model: SegmentationNetwork,
    metadata: dict[str, Any],
    optimizer: torch.optim.Optimizer | None = None,
) -> Path:
    """Write the model, its metadata and, for a run that may go on, its optimiser; all or nothing.

    Raises:
        DataError: the file cannot be written; the previous file is kept.
    """
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    if optimizer is not None:
        tensors |= _optimizer_tensors(model, optimizer)
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    return write_atomic(path, serialise(tensors, {"polyp": json.dumps(metadata, allow_nan=False)}))


def _optimizer_tensors(model: SegmentationNetwork, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    return {
        f"optimizer.{name}.{key}": value
        for name, parameter in model.named_parameters()
        for key, value in optimizer.state[parameter].items()
    }


def export_half(source: str | Path, target: str | Path, **changes: Any) -> Path:
    """Copy a checkpoint for shipping: filters in float16, half the size; no optimiser.

    Batch normalisation's small vectors stay as they are: float16 would flush its smallest variances.

    Args:
        source: a checkpoint that training wrote.
        target: the file to write.
        changes: metadata to replace, such as `threshold` or `scores`.

    Raises:
        DataError: as `read_checkpoint` and `save_checkpoint`.
    """
    tensors, metadata = read_checkpoint(source)
    small = {
        name: tensor.half() if tensor.ndim == 4 and name.startswith("model.nodes") else tensor
        for name, tensor in tensors.items()
        if name.startswith("model.")
    }
    metadata = {name: value for name, value in metadata.items() if name != "history"} | changes
    return write_atomic(target, serialise(small, {"polyp": json.dumps(metadata, allow_nan=False)}))


def annotate(path: str | Path, **changes: Any) -> Path:
    """Replace metadata of a checkpoint; its tensors stay as they are.

    Raises:
        DataError: as `read_checkpoint` and `save_checkpoint`.
    """
    tensors, metadata = read_checkpoint(path)
    changed = json.dumps(metadata | changes, allow_nan=False)
    if json.loads(changed) == metadata:  # scored again, to the same end
        return Path(path)
    return write_atomic(path, serialise(tensors, {"polyp": changed}))


# The checkpoints that come with the package, see the cards beside them: name -> file.
WEIGHTS = {
    "several": "unetpp-efficientnet-lite2.safetensors",
    "clinicdb": "unetpp-efficientnet-lite0.safetensors",
}
SHIPPED = "several"  # the one to use when none is named


def shipped_model(name: str = SHIPPED) -> Path:
    """A checkpoint that comes with the package.

    Raises:
        UsageError: no such name.
    """
    return Path(str(files("polyp.run") / "weights" / look_up(WEIGHTS, "weights", name)))


def find_checkpoint(name_or_path: str | Path) -> Path:
    """The file of one of `WEIGHTS`, or the path as it is."""
    return shipped_model(str(name_or_path)) if str(name_or_path) in WEIGHTS else Path(name_or_path)


def read_checkpoint(path: str | Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """All tensors and the metadata of a checkpoint.

    Raises:
        DataError: missing, truncated, a pickle, or safetensors that this package did not write.
    """
    path = Path(path)
    if path.is_dir():
        raise DataError(
            f"{path}: is a folder; name the checkpoint in it, such as {path / 'best.safetensors'}"
        )
    if not path.is_file():
        raise DataError(f"{path}: no such checkpoint")
    if path.stat().st_size > MAX_BYTES:
        raise DataError(f"{path}: larger than {MAX_BYTES // 2**30} GiB; no network of this package is")
    content = path.read_bytes()
    if content[:2] in (b"PK", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"):
        raise DataError(
            f"{path}: a pickle (such as torch.save writes), which can run any code when opened; "
            "expected a .safetensors file that polyp wrote"
        )
    try:
        tensors = parse(content)
    except SafetensorError as error:
        raise DataError(f"{path}: truncated or not a safetensors file ({error}); copy it again") from None
    with safe_open(path, framework="pt") as file:
        header = file.metadata() or {}
    try:
        metadata = json.loads(header["polyp"])
        known = metadata["format"] == FORMAT
    except (KeyError, ValueError, TypeError, RecursionError):
        raise DataError(f"{path}: safetensors, but without the metadata that polyp writes") from None
    if not known:
        raise DataError(
            f"{path}: checkpoint format {str(metadata['format'])[:40]}; this version reads {FORMAT}"
        )
    check_metadata(metadata, path)
    return tensors, metadata


def load_model(path: str | Path | None = None) -> tuple[SegmentationNetwork, dict[str, Any]]:
    """The network of a checkpoint, on the CPU in evaluation mode, and its metadata.

    Args:
        path: a `.safetensors` file that `polyp` wrote, or a name in `WEIGHTS`; the model that comes with the
            package by default.

    Raises:
        DataError: see `read_checkpoint`; also tensors that are not those of the network it describes.
    """
    path = find_checkpoint(SHIPPED if path is None else path)
    tensors, metadata = read_checkpoint(path)
    try:
        config = Config.from_dict(metadata["config"])
    except (UsageError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise DataError(
            f"{path}: its configuration is not one of this version ({str(error)[:200]})"
        ) from None
    with torch.device("meta"):  # shapes without memory: a file may claim any network
        _check_shapes(build_model(config), tensors, path)
    model = build_model(config)
    restore_model(model, tensors, path)
    return model.eval(), metadata


def restore_model(model: SegmentationNetwork, tensors: dict[str, Tensor], path: str | Path) -> None:
    """Put a checkpoint's weights into `model`.

    Raises:
        DataError: the weights are those of another architecture, are no floating-point numbers, or hold NaN.
    """
    state = _check_shapes(model, tensors, path)
    for name, tensor in state.items():
        if not name.endswith("num_batches_tracked") and not tensor.is_floating_point():
            raise DataError(f"{path}: '{name}' holds {tensor.dtype}; expected floating-point numbers")
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise DataError(
                f"{path}: '{name}' holds NaN or infinity; training diverged, or the file is broken"
            )
    model.load_state_dict(state)


def _check_shapes(
    model: SegmentationNetwork, tensors: dict[str, Tensor], path: str | Path
) -> dict[str, Tensor]:
    """The tensors that belong to `model`, by its own names; refused where they are another network's."""
    state = {name.removeprefix("model."): t for name, t in tensors.items() if name.startswith("model.")}
    expected = {name: tensor.shape for name, tensor in model.state_dict().items()}
    found = {name: tensor.shape for name, tensor in state.items()}
    if found != expected:
        wrong = sorted(
            name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name)
        )
        name = wrong[0]
        raise DataError(
            f"{path}: the weights are of another architecture: {len(wrong)} tensors differ, first '{name}' "
            f"(file {_shape(found.get(name))}, network {_shape(expected.get(name))})"
        )
    return state


def _shape(shape: torch.Size | None) -> str:
    return "has none" if shape is None else str(tuple(shape))


def restore_optimizer(
    optimizer: torch.optim.Optimizer, model: SegmentationNetwork, tensors: dict[str, Tensor]
) -> None:
    """Put a checkpoint's optimiser tensors back, each to its parameter."""
    for name, parameter in model.named_parameters():
        prefix = f"optimizer.{name}."
        state = {key.removeprefix(prefix): t for key, t in tensors.items() if key.startswith(prefix)}
        if parameter.requires_grad and not {"step", "exp_avg", "exp_avg_sq"} <= state.keys():
            raise DataError(f"the optimiser's state of '{name}' is missing; the file was changed")
        # AdamW counts its steps on the CPU
        optimizer.state[parameter] = {
            key: tensor.clone() if key == "step" else tensor.to(parameter) for key, tensor in state.items()
        }
