"""What a checkpoint or an exported network says of itself."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from polyp.config import Config
from polyp.run.engines import OnnxEngine


def metadata_in(path: Path | None = None) -> dict[str, Any]:
    """The metadata of a checkpoint (by default the shipped model's), of an `.onnx` file, or of a run's best.

    Raises:
        DataError: the file cannot be read, or `polyp` did not write it.
    """
    if path is not None and path.suffix.lower() == ".onnx":
        return OnnxEngine(path).metadata
    from polyp.run.checkpoint import SHIPPED, find_checkpoint, read_checkpoint

    if path is not None and (best := path / "best.safetensors").is_file():
        path = best
    return read_checkpoint(find_checkpoint(SHIPPED if path is None else path))[1]


def describe(metadata: dict[str, Any]) -> str:
    """The same in a few lines."""
    return "\n".join(f"{name:<12}{text}" for name, text in facts_of(metadata).items())


def facts_of(metadata: dict[str, Any]) -> dict[str, str]:
    """The same in words, one line per fact that is known."""
    config = Config.from_dict(metadata["config"])
    scores, data = metadata.get("scores") or {}, metadata.get("data") or {}
    auto = "sequence" if "groups" in data else "its own"
    name = auto if config.split == "auto" else config.split
    split = config.split_file or f"{name} split, fold {config.fold}"
    lines = {
        "network": f"{config.architecture}, encoder {config.encoder}, widths {_spaced(config.widths)}",
        "size": f"{config.size[0]} x {config.size[1]} px, height x width; every picture is resized to it",
        "data": f"{data.get('name', config.data)}, {data.get('frames', '?')} frames, {split}",
        "trained": f"epoch {scores.get('epoch', '?')} of {config.epochs}, {config.loss}, seed {config.seed}",
        "validation": _validation(scores),
        "shown": _point(metadata),
        "levels": ", ".join(metadata.get("levels", [])),
        "by level": f"\n{'':<12}".join(table_lines(metadata.get("validation", []))),
        "precision": _precision(metadata),
        "made with": ", ".join(map(_spaced, metadata.get("versions", {}).items())),
        "made on": metadata.get("machine", ""),
        "licence": metadata.get("licence", ""),
    }
    return {name: text for name, text in lines.items() if text}


def describe_several(members: dict[str, dict[str, Any]]) -> str:
    """An ensemble in one line for each of its files."""
    lines = [f"{len(members)} networks; the mean of their probabilities is used"]
    for file, metadata in members.items():
        config = Config.from_dict(metadata["config"])
        parts = [config.architecture, f"{config.size[0]} x {config.size[1]} px", f"fold {config.fold}"]
        if found := _validation(metadata.get("scores") or {}):
            parts.append(f"validation: {found}")
        lines.append(f"{file}: {', '.join(parts)}, {_point(metadata)}")
    return "\n".join(lines)


def table_lines(rows: Iterable[dict[str, Any]]) -> list[str]:
    """A table of levels, see `levels.level_table`, one line per row."""
    return [
        f"level {row['level']}, {row['precision']}: Dice {row['dice']:.4f}, "
        f"{row['multiply_adds'] / 1e9:.3g} billion multiply-adds"
        for row in rows
    ]


def _precision(metadata: dict[str, Any]) -> str:
    if metadata.get("precision") is None:
        return ""
    return f"{metadata['precision']}, calibrated on {metadata.get('calibrated', '?')} training frames"


def _spaced(parts: Iterable[object]) -> str:
    return " ".join(map(str, parts))


def _validation(scores: dict[str, Any]) -> str:
    dice = scores.get("val_dice")
    return "" if dice is None else f"mean per-image Dice {dice:.3f}"


def _point(metadata: dict[str, Any]) -> str:
    parts = [f"pixels above {metadata.get('threshold', 0.5):g}"]
    if metadata.get("min_peak"):
        parts.append(f"in regions with a peak above {metadata['min_peak']:g}")
    if metadata.get("min_share"):
        parts.append(f"of at least {metadata['min_share']:.2%} of the frame")
    if metadata.get("second_look"):
        parts.append("judged by four looks, mirrored each way")
    return ", ".join(parts)
