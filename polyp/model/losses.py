"""Losses on logits. Each takes (N, 1, H, W) logits and targets and returns one number."""

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor

Loss = Callable[[Tensor, Tensor], Tensor]


def bce_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Binary cross-entropy, averaged over all pixels of the batch.

    Args:
        logits: (N, 1, H, W), any real number.
        target: (N, 1, H, W), values 0 and 1, any dtype.
    """
    # in fp32 even under autocast: bf16 has three digits, and the mean is over a million pixels
    return F.binary_cross_entropy_with_logits(logits.float(), target.float())


def dice_loss(logits: Tensor, target: Tensor, smooth: float = 1.0) -> Tensor:
    """One minus the soft Dice of each image, averaged over the batch (Milletari et al., 3DV 2016).

    Args:
        logits: (N, 1, H, W), any real number.
        target: (N, 1, H, W), values 0 and 1, any dtype.
        smooth: pixels added above and below; it makes an empty mask that is predicted empty cost 0.
    """
    probs, target = logits.float().sigmoid(), target.float()
    intersection = (probs * target).sum(dim=(1, 2, 3))  # (N,)
    total = probs.sum(dim=(1, 2, 3)) + target.sum(dim=(1, 2, 3))
    return 1 - ((2 * intersection + smooth) / (total + smooth)).mean()


def bce_dice_loss(logits: Tensor, target: Tensor) -> Tensor:
    """`bce_loss` + `dice_loss`: a steady gradient in every pixel, and the overlap that is scored."""
    return bce_loss(logits, target) + dice_loss(logits, target)


LOSSES: dict[str, Loss] = {"bce": bce_loss, "dice": dice_loss, "bce_dice": bce_dice_loss}


def deep_supervision(loss: Loss, outputs: tuple[Tensor, ...], target: Tensor) -> Tensor:
    """The mean of `loss` over a network's heads, all weighted alike as in the UNet++ paper.

    With one head it is that head's loss, so every network trains through the same line.
    """
    first, *others = (loss(logits, target) for logits in outputs)
    return sum(others, start=first) / len(outputs)
