"""What this machine can do: where to compute, and in which precision."""

import torch

from polyp.errors import UsageError


def choose_device(name: str = "auto") -> torch.device:
    """The device to compute on; `auto` is a CUDA GPU if there is one, else the CPU.

    Raises:
        UsageError: `cuda` without a GPU that torch can use.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise UsageError("device is 'cuda', but torch finds no GPU; use device=auto or cpu")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def has_fast_bf16(device: torch.device) -> bool:
    """Whether bfloat16 is computed in hardware; emulated, it is slower than float32."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)  # Ampere; a T4 emulates
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, check, bool)() for check in checks)


def autocast(device: torch.device, precision: str = "auto") -> torch.autocast:
    """The context to run a network in: bf16 autocast where asked for, or on `auto` where it is fast."""
    enabled = precision == "bf16" or (precision == "auto" and has_fast_bf16(device))
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=enabled)
