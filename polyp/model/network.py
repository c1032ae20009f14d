"""U-Net and UNet++, in plain PyTorch.

Both take frames as they come from the dataset, (N, 3, H, W) with values 0-255, normalise them
themselves, accept any H and W, and return a *tuple* of logits, each (N, 1, H, W): one for each
supervised head, the deepest last. A network without deep supervision returns a tuple of one.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from polyp.config import Config
from polyp.errors import UsageError, look_up
from polyp.model import efficientnet

# The usual ImageNet statistics, here in units of 0-255. They are buffers of the model, so whoever
# loads it, in training or in prediction, gets the same scale.
MEAN = (123.675, 116.28, 103.53)
STD = (58.395, 57.12, 57.375)


class ConvBlock(nn.Sequential):
    """Twice (3 x 3 convolution, batch normalisation, ReLU): (N, in, H, W) -> (N, out, H, W)."""

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__(
            # no bias: batch normalisation subtracts it again
            nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
        )


class SegmentationNetwork(nn.Module):
    """What every network here shares: normalise, pad to a multiple of the stride, crop back.

    Args:
        depth: how many times the size is halved from the top row to the bottom.
        top_stride: how much smaller than the frame the top row is.
        mean, std: of each colour channel, in units of 0-255.
    """

    mean: Tensor  # (1, 3, 1, 1), a buffer, like `std`
    std: Tensor

    def __init__(
        self,
        depth: int,
        top_stride: int = 1,
        mean: tuple[float, float, float] = MEAN,
        std: tuple[float, float, float] = STD,
    ):
        super().__init__()
        self.depth = depth
        self.top_stride = top_stride
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1))

    @property
    def device(self) -> torch.device:
        """Where the network is, and where its input belongs."""
        return self.mean.device

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Evaluation mode inside, and afterwards the mode the network was in."""
        was_training = self.training
        self.eval()
        try:
            yield
        finally:
            self.train(was_training)

    def forward(self, image: Tensor, level: int | None = None) -> tuple[Tensor, ...]:
        """Segment a batch.

        Args:
            image: (N, 3, H, W), RGB, uint8 or float, values 0-255; any H and W.
            level: for UNet++, how deep to go (1 to `depth`); None is the whole network.

        Returns:
            logits, each (N, 1, H, W): one for each supervised head, the deepest last.

        Raises:
            UsageError: wrong number of dimensions or channels; a level the network does not have.
        """
        if image.ndim != 4 or image.shape[1] != 3:
            raise UsageError(f"image has shape {tuple(image.shape)}; expected (N, 3, H, W)")
        level = self.ensure_level(level)
        height, width = image.shape[-2:]
        x = (image - self.mean) / self.std
        stride = self.top_stride * 2**level
        right, bottom = -width % stride, -height % stride
        # Repeating the edge works for any size; zeros would be a grey wall, reflection needs room.
        x = F.pad(x, (0, right, 0, bottom), mode="replicate") if right or bottom else x
        return tuple(logits[..., :height, :width] for logits in self.head_logits(x, level))

    def head_logits(self, x: Tensor, level: int) -> list[Tensor]:
        """Logits for a normalised x whose sides the stride divides."""
        raise NotImplementedError

    def ensure_level(self, level: int | None) -> int:
        """The level to run at, or an error where the network has no such level."""
        if level not in (None, self.depth):
            raise UsageError(f"level is {level!r}; this network can only run whole (level {self.depth})")
        return self.depth


def upsample(x: Tensor) -> Tensor:
    """Double H and W: (N, C, H, W) -> (N, C, 2H, 2W)."""
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


class UNet(SegmentationNetwork):
    """U-Net (Ronneberger et al., MICCAI 2015, arXiv:1505.04597), padded and with batch normalisation.

    Args:
        widths: channels of each resolution, from full size to the bottom.
    """

    def __init__(self, widths: tuple[int, ...] = (32, 64, 128, 256, 512)):
        super().__init__(depth=len(widths) - 1)
        self.encoder = nn.ModuleList(
            ConvBlock(before, after) for before, after in zip((3, *widths), widths, strict=False)
        )
        self.decoder = nn.ModuleList(ConvBlock(skip + below, skip) for skip, below in pairwise(widths))
        self.head = nn.Conv2d(widths[0], 1, kernel_size=1)

    def head_logits(self, x: Tensor, level: int) -> list[Tensor]:
        skips = []
        for i, block in enumerate(self.encoder):
            x = block(x if i == 0 else F.max_pool2d(x, 2))  # (N, widths[i], H / 2^i, W / 2^i)
            skips.append(x)
        skips.pop()
        for block, skip in zip(reversed(self.decoder), reversed(skips), strict=True):
            x = block(torch.cat([skip, upsample(x)], dim=1))
        return [self.head(x)]


class NestedGrid(SegmentationNetwork):
    """The nodes of UNet++ behind any encoder.

    Node X[i][j] stands at resolution i (1 / 2^i of the top row's size), j steps right of the encoder.
    X[i][0] is the encoder; every other node sees all nodes left of it in its row and, upsampled, the node
    X[i+1][j-1] below it. The nodes X[0][1] ... X[0][depth] each can carry a head.

    Args:
        encoder: a module for each row, from the top, each fed with the output of the one before.
        encoder_widths: the channels of their outputs.
        widths: the channels of the decoder's nodes in each row; the bottom row has none.
        deep_supervision: see `UNetPlusPlus`.
        options: see `SegmentationNetwork`.
    """

    def __init__(
        self,
        encoder: Iterable[nn.Module],
        encoder_widths: tuple[int, ...],
        widths: tuple[int, ...],
        deep_supervision: bool,
        **options,
    ):
        super().__init__(len(encoder_widths) - 1, **options)
        self.deep_supervision = deep_supervision
        self.nodes = nn.ModuleDict()
        for i, node in enumerate(encoder):
            self.nodes[f"{i}_0"] = node
            for j in range(1, self.depth - i + 1):
                left = encoder_widths[i] + (j - 1) * widths[i]
                below = encoder_widths[i + 1] if j == 1 else widths[i + 1]
                self.nodes[f"{i}_{j}"] = ConvBlock(left + below, widths[i])
        supervised = range(1, self.depth + 1) if deep_supervision else [self.depth]
        self.heads = nn.ModuleDict({str(j): nn.Conv2d(widths[0], 1, kernel_size=1) for j in supervised})

    def head_logits(self, x: Tensor, level: int) -> list[Tensor]:
        # X[i] is row i from left to right. The anti-diagonal i + j = d needs only the ones before it,
        # so a network pruned to `level` is simply the first `level` + 1 anti-diagonals.
        X: list[list[Tensor]] = [[] for _ in range(level + 1)]
        for d in range(level + 1):
            x = self.nodes[f"{d}_0"](self.encoder_input(x, d))  # (N, widths[d], H / 2^d, W / 2^d)
            X[d].append(x)
            for i in range(d - 1, -1, -1):
                j = d - i
                X[i].append(self.nodes[f"{i}_{j}"](torch.cat([*X[i], upsample(X[i + 1][j - 1])], dim=1)))
        return [head(X[0][int(j)]) for j, head in self.heads.items() if int(j) <= level]

    def encoder_input(self, x: Tensor, d: int) -> Tensor:
        """What the encoder's node of row d reads, from the output of the one above."""
        return x

    def ensure_level(self, level: int | None) -> int:
        if level is None:
            return self.depth
        if not self.deep_supervision and level != self.depth:
            raise UsageError(
                f"level is {level!r}, but this UNet++ was built without deep supervision and has one head, "
                f"at level {self.depth}; train with deep_supervision=True to prune it"
            )
        if level not in range(1, self.depth + 1):
            raise UsageError(f"level is {level!r}; expected 1 to {self.depth}")
        return level


class UNetPlusPlus(NestedGrid):
    """UNet++ (Zhou et al., DLMIA 2018, arXiv:1807.10165; TMI 2020, arXiv:1912.05074).

    Args:
        widths: channels of each resolution, from full size to the bottom.
        deep_supervision: a head on each of X[0][1..depth], else on the last alone. Only with it can
            the trained network be pruned to a `level`: run X[0][level]'s head and skip every node
            that head does not need.
    """

    def __init__(self, widths: tuple[int, ...] = (32, 64, 128, 256, 512), deep_supervision: bool = True):
        encoder = (ConvBlock(before, after) for before, after in zip((3, *widths), widths, strict=False))
        super().__init__(encoder, widths, widths, deep_supervision)

    def encoder_input(self, x: Tensor, d: int) -> Tensor:
        return x if d == 0 else F.max_pool2d(x, 2)


class EfficientUNetPlusPlus(NestedGrid):
    """UNet++ on an EfficientNet-Lite: the same grid, its first column from `polyp.model.efficientnet`.

    The encoder halves the frame before its first output, so the grid's top row has half the frame's size,
    and the logits are enlarged twofold. It starts at random; `load_imagenet(model.encoder, name)` loads the
    ImageNet weights.

    Args:
        name: of the encoder, a key of `efficientnet.SCALES`.
        widths: channels of the decoder's nodes in the rows 1/2, 1/4, 1/8 and 1/16.
        deep_supervision: as in `UNetPlusPlus`.
    """

    def __init__(
        self,
        name: str = "efficientnet-lite0",
        widths: tuple[int, ...] = (16, 32, 48, 64),
        deep_supervision: bool = True,
    ):
        super().__init__(
            efficientnet.efficientnet_lite(name),
            efficientnet.encoder_widths(name),
            widths,
            deep_supervision,
            top_stride=2,  # each part of this encoder halves the size, the first one too
            mean=efficientnet.MEAN,
            std=efficientnet.STD,
        )

    @cached_property  # not an attribute: its weights would stand in the checkpoint twice
    def encoder(self) -> nn.ModuleList:
        """The first column, from the top."""
        return nn.ModuleList(self.nodes[f"{i}_0"] for i in range(self.depth + 1))

    def head_logits(self, x: Tensor, level: int) -> list[Tensor]:
        return [upsample(logits) for logits in super().head_logits(x, level)]


def _efficient(config: Config) -> EfficientUNetPlusPlus:
    return EfficientUNetPlusPlus(config.encoder, config.widths, config.deep_supervision)


# The first columns that a UNet++ can have; the keys are the configuration's `encoder`.
ENCODERS: dict[str, Callable[[Config], NestedGrid]] = {
    "conv": lambda config: UNetPlusPlus(config.widths, config.deep_supervision),
    **dict.fromkeys(efficientnet.SCALES, _efficient),
}

# The keys are the configuration's `architecture`.
NETWORKS: dict[str, Callable[[Config], SegmentationNetwork]] = {
    "unet": lambda config: UNet(config.widths),
    "unetpp": lambda config: look_up(ENCODERS, "encoder", config.encoder)(config),
}


def build_model(config: Config) -> SegmentationNetwork:
    """The network that `config` describes, freshly initialised from torch's global generator."""
    return look_up(NETWORKS, "architecture", config.architecture)(config)


def resize_logits(logits: Tensor, size: tuple[int, int]) -> Tensor:
    """Bring (N, 1, h, w) logits to another size (H, W), as scoring and prediction both do."""
    if tuple(logits.shape[-2:]) == tuple(size):
        return logits
    return F.interpolate(logits.float(), size, mode="bilinear", align_corners=False)
