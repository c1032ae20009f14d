"""What each level of a network is worth and costs: measured on validation frames, kept in its checkpoint."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode
from tqdm import tqdm

from polyp.data.dataset import PolypDataset
from polyp.model.metrics import Counts, concatenate, count_pixels, dice_score, summarise
from polyp.model.network import SegmentationNetwork, resize_logits
from polyp.run.hardware import autocast
from polyp.run.loading import scoring_loader

Heads = Callable[[Tensor], Sequence[Tensor]]  # uint8 (N, 3, h, w) -> the logits (N, 1, h, w) of every head


def level_table(
    model: SegmentationNetwork,
    dataset: PolypDataset,
    size: tuple[int, int],
    precision: str = "auto",
    workers: int = 0,
    progress: bool = False,
) -> list[dict[str, Any]]:
    """Score every level of a network in one pass; one that is not deeply supervised has one.

    Args:
        model: any network of this package, on any device.
        dataset: the validation frames; the Dice is taken at the size of its masks.
        size: height and width of a frame, for the multiply-adds.
        precision: auto, fp32 or bf16.
        workers: loader processes.
        progress: show a bar.

    Returns:
        one row per level, shallowest first: see `table_rows`.
    """
    with model.evaluating():
        heads = torch_heads(model, precision=precision)
        dice, _ = score_heads([heads], dataset, workers=workers, progress=progress)
        with autocast(model.device, precision):
            name = "bf16" if torch.is_autocast_enabled(model.device.type) else "fp32"
        levels = range(model.depth - len(dice[0]) + 1, model.depth + 1)
        return table_rows(model, levels, dice[0], name, size, len(dataset))


def table_rows(
    model: SegmentationNetwork,
    levels: Sequence[int],
    dice: Sequence[float],
    precision: str,
    size: tuple[int, int],
    frames: int,
) -> list[dict[str, Any]]:
    """Rows of the table, one per head: level; precision; dice, the mean over the frames with a polyp, above
    probability 0.5; multiply_adds of one frame; frames, how many were scored. None without a polyp in them.
    """
    if any(value != value for value in dice):  # NaN: nothing can be chosen by it
        return []
    return [
        {
            "level": level,
            "precision": precision,
            "dice": round(value, 6),
            "multiply_adds": multiply_adds(model, size, level),
            "frames": frames,
        }
        for level, value in zip(levels, dice, strict=True)
    ]


@torch.inference_mode()
def multiply_adds(model: SegmentationNetwork, size: tuple[int, int], level: int) -> int:
    """Of the convolutions for one frame, in a network that is pruned to a level."""
    with FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, 3, *size, device=model.device), level)
    return counter.get_total_flops() // 2


def torch_heads(model: SegmentationNetwork, level: int | None = None, precision: str = "auto") -> Heads:
    """A network in evaluation mode as `score_heads` takes it; with a level, its head alone."""

    def heads(image: Tensor) -> list[Tensor]:
        with autocast(model.device, precision):
            outputs = model(image.to(model.device), level)
        return [logits.float().cpu() for logits in (outputs if level is None else outputs[-1:])]

    return heads


@torch.inference_mode()
def score_heads(
    networks: Sequence[Heads], dataset: PolypDataset, *, workers: int = 0, progress: bool = False
) -> tuple[list[list[float]], list[float]]:
    """Score all heads of several forms of one network, side by side.

    Args:
        networks: of which the first is the one that the others should equal.
        dataset: what to score on.
        workers: loader processes.
        progress: show a bar.

    Returns:
        for each network the mean per-image Dice of its heads; and for each the mean Dice between its deepest
        head's masks and the first network's (two empty masks agree: 1).
    """
    scored: list[list[list[Counts]]] = [[] for _ in networks]
    agreed: list[list[Counts]] = [[] for _ in networks]
    loader = scoring_loader(dataset, 8, workers)
    for image, target in tqdm(loader, unit="batch", leave=False, disable=not progress):
        first = None
        for index, heads in enumerate(networks):
            masks = [resize_logits(logits, target.shape[-2:]).sigmoid() > 0.5 for logits in heads(image)]
            first = masks[-1] if first is None else first
            scored[index].append([count_pixels(mask, target > 0) for mask in masks])
            agreed[index].append(count_pixels(masks[-1], first))
    dice = [
        [float(summarise(concatenate(list(counts)))["dice_per_image"]) for counts in zip(*parts, strict=True)]
        for parts in scored
    ]
    alike = [float(dice_score(concatenate(parts)).nan_to_num(1.0).mean()) for parts in agreed]
    return dice, alike
