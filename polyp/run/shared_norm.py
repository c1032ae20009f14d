"""Batch normalisation that learns from the whole batch where several processes share it."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from polyp.run.distributed import gather, mean_of_means, world


def shared_statistics(model: nn.Module) -> AbstractContextManager[None]:
    """Inside this context, batch normalisation learns from the whole batch, not from this process's share."""
    return nullcontext() if world() == 1 else _statistics_shared(model)


@contextmanager
def _statistics_shared(model: nn.Module) -> Iterator[None]:
    norms = [module for module in model.modules() if type(module) is nn.BatchNorm2d]
    for norm in norms:
        # its weights and buffers stay, so optimiser and checkpoints see no change
        norm.__class__ = SharedBatchNorm2d
    try:
        yield
    finally:
        for norm in norms:
            norm.__class__ = nn.BatchNorm2d


class SharedBatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation over the shares of all processes, which must be of equal size.

    On a CPU too; torch's own SyncBatchNorm wants GPUs.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        if not self.training:
            return super().forward(x)
        y, mean, var = _Normalise.apply(x, self.weight, self.bias, self.eps)
        seen = x.numel() // x.shape[1] * world()
        running: Any = self  # its buffers are there: no layer here goes without
        running.running_mean.lerp_(mean, self.momentum)
        running.running_var.lerp_(var * seen / (seen - 1), self.momentum)
        running.num_batches_tracked += 1
        return y


class _Normalise(torch.autograd.Function):
    """(x - mean) / sqrt(var + eps) * weight + bias, with mean and var (C,) of all processes' shares."""

    @staticmethod
    def forward(ctx, x, weight, bias, eps):
        # mean and variance (C,), at ten times the speed of torch.var_mean; in float32 for bfloat16 too
        running = torch.zeros_like(weight), torch.ones_like(weight)
        share = torch.ops.aten.batch_norm_update_stats(x, *running, 0.0)
        means, variances = torch.stack(gather(torch.stack(share))).unbind(dim=1)  # (world, C) each
        mean = means.mean(dim=0)
        # the variance within the shares, and that between their means
        var = variances.mean(dim=0) + means.var(dim=0, correction=0)
        ctx.save_for_backward(x, weight, mean, var)
        ctx.eps = eps
        y = F.batch_norm(x, mean, var, weight, bias, training=False, eps=eps)
        ctx.mark_non_differentiable(mean, var)
        return y, mean, var

    @staticmethod
    def backward(ctx, gradient, *_):
        x, weight, mean, var = ctx.saved_tensors
        scale = (var + ctx.eps).rsqrt()
        dx, dweight, dbias = torch.ops.aten.native_batch_norm_backward(
            gradient, x, weight, None, None, mean, scale, True, ctx.eps, [True, True, True]
        )
        # torch took the means of the gradient, and of the gradient times the normalised x, over this share
        # alone; put those of the whole batch in their place (Ioffe and Szegedy, arXiv:1502.03167, section 3).
        here = torch.stack([dbias, dweight]) * x.shape[1] / x.numel()
        shift, slope = (here - mean_of_means(here)) * weight * scale
        dx += F.batch_norm(x, mean, var, slope, shift, training=False, eps=ctx.eps)
        return dx, dweight, dbias, None
