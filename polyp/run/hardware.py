"""What this machine can do: where to compute, and in which precision."""

import ctypes
import os
import platform
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import nn

from polyp.errors import UsageError, look_up
from polyp.model.network import SegmentationNetwork

Network = TypeVar("Network", bound=SegmentationNetwork)


def _cuda() -> torch.device:
    if not torch.cuda.is_available():
        raise UsageError("device is 'cuda', but torch finds no GPU; use device=auto or cpu")
    return torch.device("cuda")


# The keys are the configuration's `device`.
DEVICES: dict[str, Callable[[], torch.device]] = {
    "auto": lambda: torch.device("cuda" if torch.cuda.is_available() else "cpu"),
    "cpu": lambda: torch.device("cpu"),
    "cuda": _cuda,
}


def choose_device(name: str = "auto") -> torch.device:
    """The device to compute on; `auto` is a CUDA GPU if there is one, else the CPU.

    Raises:
        UsageError: an unknown name; `cuda` without a GPU that torch can use.
    """
    return look_up(DEVICES, "device", name)()


def to_device(model: Network, name: str = "auto") -> Network:
    """Move a network to a device, its filters in the memory order that prediction is fastest in."""
    return _arranged(model, choose_device(name), torch.channels_last)


def to_training_device(model: Network, name: str = "auto", precision: str = "auto") -> Network:
    """Move a network to a device, its filters in the memory order that a training step is fastest in.

    Channels come last, but not in float32 on a CPU: there the gradient of a 3 x 3 convolution takes up to
    twice as long that way, and nothing outweighs it but depthwise convolutions (measured: `polyp bench`).
    """
    device = choose_device(name)
    float32 = device.type == "cpu" and not look_up(PRECISIONS, "precision", precision)(device)
    depthwise = any(isinstance(module, nn.Conv2d) and module.groups > 1 for module in model.modules())
    plain = float32 and not depthwise
    return _arranged(model, device, torch.contiguous_format if plain else torch.channels_last)


def _arranged(model: Network, device: torch.device, order: torch.memory_format) -> Network:
    if device.type == "cpu":
        keep_memory()
    # torch takes both at once, but its type stubs do not say so
    return model.to(device, memory_format=order)  # type: ignore[call-overload]


def keep_memory(keep: bool = True) -> None:
    """Have the C library reuse the memory of freed tensors; a new page for each costs a tenth to a third.

    By default it gives each large block back to the system, which clears it page by page when the next
    one is asked for. Up to 2 GiB of freed memory stay with the process. Only where that library is glibc.

    Args:
        keep: False sets what glibc comes to by itself in a long run.
    """
    if platform.libc_ver()[0] == "glibc":
        mallopt = ctypes.CDLL(None).mallopt
        trim, threshold, count = -1, -3, -4  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_MMAP_MAX of malloc.h
        mallopt(threshold, 32 * 2**20)
        mallopt(trim, 2**31 - 1 if keep else 64 * 2**20)
        mallopt(count, 0 if keep else 2**16)


def has_fast_bf16(device: torch.device) -> bool:
    """Whether bfloat16 is computed in hardware; emulated, it is slower than float32."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)  # Ampere; a T4 emulates
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, check, bool)() for check in checks)


# Whether to compute in bfloat16 on a device; the keys are the configuration's `precision`.
PRECISIONS: dict[str, Callable[[torch.device], bool]] = {
    "auto": has_fast_bf16,
    "fp32": lambda device: False,
    "bf16": lambda device: True,
}


def autocast(device: torch.device, precision: str = "auto") -> torch.autocast:
    """The context to run a network in: bf16 autocast where asked for, or on `auto` where it is fast.

    Raises:
        UsageError: an unknown precision.
    """
    enabled = look_up(PRECISIONS, "precision", precision)(device)
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=enabled)


def machine(device: str = "auto", precision: str = "auto") -> str:
    """The machine, and the precision that it computes in, for a result to say what made it."""
    place = choose_device(device)
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    with autocast(place, precision):
        used = "bf16" if torch.is_autocast_enabled(place.type) else "fp32"
    return f"{platform.machine()}, {os.cpu_count()} cores, {gpu}, {used}"
