"""Training by several processes, which `torchrun` starts: who does which share, and how shares join.

Every process holds the whole network and works on its share of each batch. Gradients, the statistics of
batch normalisation (`shared_norm`), losses and scores are joined, so that the run is, but for rounding, that
of one process with the same batch size. In a process that is alone, every function here changes nothing.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from polyp.errors import UsageError

Item = TypeVar("Item")


_store: dist.Store | None = None  # where the processes of the group can leave each other notes


@contextmanager
def joined() -> Iterator[None]:
    """Inside, this process belongs to the group that `torchrun` started, if it did."""
    global _store
    if dist.is_initialized() or int(os.environ.get("WORLD_SIZE", 1)) == 1:
        yield
        return
    if gpus := torch.cuda.device_count():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", 0)) % gpus)
    _store, own, size = next(dist.rendezvous("env://"))
    dist.init_process_group(store=_store, rank=own, world_size=size)  # Gloo for CPUs, NCCL for GPUs
    try:
        yield
    finally:
        dist.destroy_process_group()


def ensure_own_device(device: torch.device) -> None:
    """
    Raises:
        UsageError: more processes on this machine than GPUs.
    """
    here, gpus = int(os.environ.get("LOCAL_WORLD_SIZE", 1)), torch.cuda.device_count()
    if device.type == "cuda" and world() > 1 and here > gpus:
        raise UsageError(
            f"{here} processes on this machine, but {gpus} GPU(s); start one process per GPU "
            "(--nproc_per_node), or use device=cpu"
        )


def first_to_fail() -> bool:
    """Whether no other process has said yet that it failed: of one fault that stops all, one tells."""
    try:
        return _store is None or _store.add("failed", 1) == 1
    except RuntimeError:  # the process that kept the notes is gone
        return True


def rank() -> int:
    """This process's number, from 0, which is the one that writes."""
    return dist.get_rank() if dist.is_initialized() else 0


def world() -> int:
    """How many processes there are."""
    return dist.get_world_size() if dist.is_initialized() else 1


def share(items: Sequence[Item]) -> Sequence[Item]:
    """What this process works on: each `world()`-th item; some processes may have one less."""
    return items[rank() :: world()]


def share_of(batch_size: int) -> int:
    """How many frames of each batch this process takes.

    Raises:
        UsageError: the processes cannot have equal shares, and a mean of their means would be another mean.
    """
    if batch_size % world():
        raise UsageError(
            f"batch_size is {batch_size}, and {world()} processes share each batch; choose a multiple of "
            f"{world()}"
        )
    return batch_size // world()


def rejoin(rows: Tensor, total: int) -> Tensor:
    """The rows of all processes' shares, in the order of the items that were shared out.

    Args:
        rows: (n, ...), one row per item of `share(items)`.
        total: of all items.

    Returns:
        (total, ...), the same in every process.
    """
    if world() == 1:
        return rows
    padded = rows.new_zeros((-(-total // world()), *rows.shape[1:]))
    padded[: len(rows)] = rows
    return torch.stack(gather(padded), dim=1).flatten(0, 1)[
        :total
    ]  # item i is row i // world of rank i % world


def gather(value: Tensor) -> list[Tensor]:
    """The tensors of all processes, which must have one shape, by rank."""
    parts = [torch.empty_like(value) for _ in range(world())]
    dist.all_gather(parts, value)
    return parts


def mean_of_means(value: Tensor) -> Tensor:
    """The mean over the processes of a tensor, for shares of equal size."""
    return value if world() == 1 else _sum(value) / world()


def weighted_mean(value: float, weight: float, device: torch.device) -> float:
    """The mean over the processes of a number, for shares of different size."""
    if world() == 1:
        return value
    total, weights = _sum(torch.tensor([value * weight, weight], dtype=torch.float64, device=device)).tolist()
    return total / weights


def average_gradients(model: nn.Module) -> None:
    """Give every process the gradient of the whole batch: the mean of their own ones."""
    if world() == 1:
        return
    gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    flat = mean_of_means(
        torch.cat([gradient.flatten() for gradient in gradients])
    )  # one message, not hundreds
    for gradient, part in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(part.view_as(gradient))


def _sum(value: Tensor) -> Tensor:
    total = value.clone()
    dist.all_reduce(total)
    return total
