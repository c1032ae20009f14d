"""Which frames may be scored as unseen: known by the content of their files, not by the name of a folder."""

from collections import Counter
from pathlib import Path
from typing import Any

from polyp.config import Config, changed
from polyp.data.dataset import PolypDataset, known_parts, open_part
from polyp.errors import DataError, UsageError

LEARNT = ("train", "val")  # the second chose the epoch


def open_unseen(
    metadata: dict[str, Any],
    config: Config,
    data: str | None = None,
    part: str | None = None,
    path: str | Path | None = None,
    masks: str = "",
) -> tuple[PolypDataset, str, list[str]]:
    """The frames on which to score a checkpoint.

    Without `data`, a part of the checkpoint's own. Otherwise, frames that the checkpoint's split knows keep
    the part that they had there, wherever they lie now; of data that it does not know, all are scored.

    Args:
        metadata: the checkpoint's.
        config: its configuration.
        data: other data, or the same under another name.
        part: train, val, test or all; by default the frames that were not learnt from.
        path: where the data are.
        masks: the folder of masks, if `data` is a folder of frames.

    Returns:
        the frames; what they are, in words; and what the user should know of them, a line each.

    Raises:
        DataError: all frames were learnt from, or none is in the part that is asked for.
        DataError, UsageError: as `open_part`.
    """
    if data is None and masks:
        raise UsageError("--masks goes with --images, the folder of their frames")
    if data is None or (data == config.data and masks in ("", config.masks)):
        dataset = open_part(config, part or "test", path)
        return dataset, f"{config.data}, {part or 'test'}", _warnings(dataset, metadata, config.data, part)
    other = changed(config, data=data, masks=masks, add="", split="auto", split_file="", fold=0, refit=False)
    dataset = open_part(other, "all", path)
    parts = known_parts(dataset.prints, metadata.get("split", {}))
    if not any(parts):
        dataset = open_part(other, part or "all", path)
        return dataset, f"{data}, {part or 'all'}", []
    frames = [
        frame
        for frame, known in zip(dataset.frames, parts, strict=True)
        if part == "all" or (known == part if part else known not in LEARNT)
    ]
    count, total = Counter(parts), len(parts)
    story = f"{data}: {total - count['']} of {total} frames are of the data that the model was trained with"
    told = ", ".join(f"{count[name]} {name}" for name in (*LEARNT, "test") if count[name])
    if not frames:
        wanted = (
            f"none is in its part {part}" if part else "none is left to score; --part all scores them anyway"
        )
        raise DataError(f"{story} ({told}); {wanted}")
    chosen = PolypDataset(dataset.cache, frames, full_size_masks=True)
    what = part or "frames not learnt from"
    return chosen, f"{data}, {what}", [f"{story} ({told})", *_warnings(chosen, metadata, data, part)]


def _warnings(dataset: PolypDataset, metadata: dict[str, Any], data: str, part: str | None) -> list[str]:
    """What to say of frames that were learnt from and are scored all the same."""
    learnt = sum(known in LEARNT for known in known_parts(dataset.prints, metadata.get("split", {})))
    if not learnt:
        return []
    return [
        f"{data}: {learnt} of the {len(dataset)} frames scored trained the model or chose its epoch; "
        "this is no score on unseen frames"
    ]
