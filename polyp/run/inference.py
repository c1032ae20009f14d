"""A picture through a network in PyTorch: the resize of training, the logits enlarged, one or four looks."""

import numpy as np
import torch

from polyp.data import augmentation as augment
from polyp.errors import DataError, UsageError
from polyp.model.network import SegmentationNetwork, resize_logits
from polyp.run.hardware import autocast

MIRRORINGS = ((), (3,), (2,), (2, 3))  # none, left-right, up-down, both: dimensions of (N, C, H, W)


@torch.inference_mode()
def predict_probs(
    model: SegmentationNetwork,
    image: np.ndarray,
    size: tuple[int, int],
    *,
    mirror: bool = False,
    level: int | None = None,
    precision: str = "auto",
    out_size: tuple[int, int] | None = None,
) -> np.ndarray:
    """The probability of polyp in every pixel of one picture.

    Args:
        model: a network in evaluation mode, on any device.
        image: uint8 RGB (H, W, 3), any size.
        size: height and width the network was trained at.
        mirror: average over the four mirrorings (test-time augmentation; four times the work).
        level: prune a UNet++ to this level.
        precision: auto, fp32 or bf16.
        out_size: height and width of the answer; the picture's own by default.

    Returns:
        float32 (H, W), 0 to 1.

    Raises:
        DataError: the network answers with NaN.
        UsageError: `image` is of another kind; the network has no such level.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise UsageError(f"image is {image.dtype} {image.shape}; expected uint8 RGB (H, W, 3)")
    batch, out_size = as_batch(model, image, size), out_size or image.shape[:2]
    probs = look(model, batch, out_size, (), level, precision)
    if mirror:
        probs = look_again(model, batch, probs, level, precision)
    probs = probs[0]
    if probs.isnan().any():
        raise DataError("the network answers with NaN; the checkpoint is broken")
    return probs.cpu().numpy()


@torch.inference_mode()
def confirm(
    model: SegmentationNetwork,
    image: np.ndarray,
    size: tuple[int, int],
    probs: np.ndarray,
    level: int | None = None,
    precision: str = "auto",
) -> np.ndarray:
    """What four looks at a picture, mirrored each way, say on average; `probs` is the first of them.

    Args:
        model, image, size, level, precision: see `predict_probs`.
        probs: what that has answered, float32 (H, W).

    Returns:
        float32 (H, W), 0 to 1: the evidence for `regions.shown_regions`.
    """
    first = torch.from_numpy(probs)[None].to(model.device)
    return look_again(model, as_batch(model, image, size), first, level, precision)[0].cpu().numpy()


def as_batch(model: SegmentationNetwork, image: np.ndarray, size: tuple[int, int]) -> torch.Tensor:
    """A picture uint8 (H, W, 3) as a batch of one, (1, 3, h, w), resized, on the model's device."""
    small, _ = augment.apply(augment.evaluation_pipeline(size), image)
    return torch.from_numpy(small).permute(2, 0, 1)[None].to(model.device)


def look(
    model: SegmentationNetwork,
    batch: torch.Tensor,
    out_size: tuple[int, int],
    dims: tuple[int, ...],
    level: int | None = None,
    precision: str = "auto",
) -> torch.Tensor:
    """The probabilities for a batch that is mirrored along `dims`, mirrored back.

    Args:
        model: on the device of the batch.
        batch: uint8 RGB (N, 3, h, w).
        out_size: height and width of the answer.
        dims: 2 for up-down, 3 for left-right.
        level, precision: see `predict_probs`.

    Returns:
        float32 (N, H, W), 0 to 1.
    """
    with autocast(model.device, precision):
        logits = model(batch.flip(dims), level)[-1].flip(dims)  # (N, 1, h, w)
    return resize_logits(logits.float(), out_size)[:, 0].sigmoid()


def look_again(
    model: SegmentationNetwork,
    batch: torch.Tensor,
    probs: torch.Tensor,
    level: int | None = None,
    precision: str = "auto",
) -> torch.Tensor:
    """The mean of four looks at a batch, mirrored each way, of which the first gave `probs` (N, H, W)."""
    size = (int(probs.shape[-2]), int(probs.shape[-1]))
    others = [look(model, batch, size, dims, level, precision) for dims in MIRRORINGS[1:]]
    return (probs + sum(others)) / len(MIRRORINGS)


@torch.inference_mode()
def predict_masks(model: SegmentationNetwork, images: torch.Tensor, precision: str = "auto") -> torch.Tensor:
    """The masks that a network, whatever mode it is in, predicts for a batch of its own size.

    Args:
        model: on any device; left in the mode it was in.
        images: uint8 RGB (N, 3, H, W).
        precision: auto, fp32 or bf16.

    Returns:
        bool (N, 1, H, W) on the CPU; polyp where the probability is above one half.
    """
    with model.evaluating(), autocast(model.device, precision):
        return (model(images.to(model.device))[-1] > 0).cpu()
