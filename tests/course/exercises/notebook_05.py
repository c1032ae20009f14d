import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from polyp.course.exercises.notebook_05 import (
    channels_read,
    check_block,
    check_broken_network,
    check_decode,
    check_grid,
    check_momentum,
    check_reads,
    top_row,
    way_up,
)
from polyp.model.network import ConvBlock, UNet, upsample


def decode(double=upsample, join=lambda skip, below: [skip, below], block=lambda i: i):
    def way_up(blocks, skips):
        x = skips[-1]
        for i in reversed(range(len(blocks))):
            x = blocks[block(i)](torch.cat(join(skips[i], double(x)), dim=1))
        return x

    return way_up


def emptied(blocks, skips):
    x = skips.pop()
    for block in reversed(blocks):
        x = block(torch.cat([skips.pop(), upsample(x)], dim=1))
    return x


def grid(extra=0, again=False, left=lambda row: row):
    def nested(nodes, x, level):
        X = [[] for _ in range(level + 1)]
        for d in range(level + 1):
            X[d].append(nodes[f"{d}_0"](x if d == 0 else F.max_pool2d(X[d - 1][0], 2)))
            for i in reversed(range(d)):
                if again:
                    nodes[f"{i}_0"](x if i == 0 else F.max_pool2d(X[i - 1][0], 2))
                X[i].append(nodes[f"{i}_{d - i}"](torch.cat([*left(X[i]), upsample(X[i + 1][-1])], dim=1)))
        for d in range(level + 1, min(level + 1 + extra, sum(name.endswith("_0") for name in nodes))):
            X.append([nodes[f"{d}_0"](F.max_pool2d(X[-1][0], 2))])
        return X[0][1:]

    return nested


class Changed(nn.Module):
    """A network whose logits are changed, or whose first image is."""

    def __init__(self, logits=lambda outputs: outputs, image=lambda image: image):
        super().__init__()
        self.inner, self.image, self.logits = UNet((4, 8)), image, logits

    def forward(self, image):
        return self.logits(self.inner(self.image(image)))


class ShortSighted(UNet):
    """A network that cuts nothing off at the sides."""

    def forward(self, image):
        x = (image - self.mean) / self.std
        return tuple(self.head_logits(F.pad(x, (0, -x.shape[-1] % 4, 0, -x.shape[-2] % 4)), 2))


def block(n, m, bias=False, inner=lambda n, m: m, padding=1, first=nn.ReLU):
    second = nn.Conv2d(inner(n, m), m, 3, padding=padding, bias=bias)
    layers = nn.Conv2d(n, m, 3, padding=padding, bias=bias), nn.BatchNorm2d(m), first()
    return nn.Sequential(*layers, second, nn.BatchNorm2d(m), nn.ReLU())


class Cut(ConvBlock):
    def forward(self, x):
        return super().forward(x).detach()


class Frozen(ConvBlock):
    def forward(self, x):
        with torch.no_grad():
            return super().forward(x)


def zero_head():
    """Its encoder gets a gradient only after the head's first step."""
    model = UNet((4, 8))
    nn.init.zeros_(model.head.weight)
    return model


def with_spare():
    model = UNet((4, 8))
    model.spare = nn.Linear(3, 3)
    return model


def cut_off(block=Cut):
    model = UNet((4, 8, 16))
    model.encoder[2] = block(8, 16)
    return model


def not_trained():
    model = UNet((4, 8, 16))
    model.decoder[0].requires_grad_(False)
    return model


WRONG = {
    check_block: [
        ("return an nn.Sequential of the six layers", lambda n, m: None),
        ("you return 216, expected an nn.Sequential", lambda n, m: 9 * n * m),
        ("your code stopped with TypeError", lambda channels: block(channels, channels)),
        ("it holds 1 convolutions and 1 batch normalisations", lambda n, m: block(n, m)[:3]),
        ("conv_block(3, 8): a convolution has a bias", lambda n, m: block(n, m, bias=True)),
        ("(8, 3, 3, 3), expected (8, 8, 3, 3); the second", lambda n, m: block(n, m, inner=lambda n, m: n)),
        ("its parameters are called '0.0.weight'", lambda n, m: nn.Sequential(block(n, m))),
        ("(2, 3, 6, 8) becomes a tensor (2, 8, 2, 4)", lambda n, m: block(n, m, padding=0)),
        ("negative numbers come out", lambda n, m: nn.Sequential(*[*block(n, m)][:-1])),
        ("the order is convolution, normalisation, ReLU", lambda n, m: block(n, m, first=nn.Identity)),
    ],
    check_decode: [
        ("return the block's output at full size; decode() gave None", lambda blocks, skips: None),
        ("join the skip first", decode(join=lambda skip, below: [below, skip])),
        ("repeats the nearest pixel", decode(double=lambda x: F.interpolate(x, scale_factor=2))),
        ("you return the skip itself", lambda blocks, skips: skips[0]),
        (
            "run its block",
            lambda blocks, skips: blocks[0](torch.cat([skips[0], 0 * upsample(skips[1])], dim=1)),
        ),
        ("you return a tensor (2, 6, 3, 2) of float32", lambda blocks, skips: skips[-1]),
        ("(2, 10, 2, 3): your code stopped with RuntimeError", decode(block=lambda i: 0)),
        ("your function changed what it was given", emptied),
    ],
    check_grid: [
        (
            "depth 1, level 1: return the list of the top row's nodes; grid() gave None",
            lambda nodes, x, level: None,
        ),
        ("you return a tensor (2, 4, 16, 32)", lambda nodes, x, level: grid()(nodes, x, level)[-1]),
        ("depth 2, level 2: you return [", lambda nodes, x, level: grid()(nodes, x, level)[-1:]),
        (
            "depth 1, level 1: X[0][1]: at (0, 0, ",
            lambda nodes, x, level: [torch.zeros(2, 4, 16, 32)] * level,
        ),
        ("depth 2, level 2: X[0][2]: at", grid(left=lambda row: [row[0] for _ in row])),
        ("; join all nodes left of it, then the one below", grid(left=lambda row: [row[-1] for _ in row])),
        ("depth 2, level 2: your code stopped with RuntimeError", grid(left=lambda row: row[-1:])),
        ("depth 2, level 1: right, but node 2_0 ran and is not needed", grid(extra=1)),
        ("right, but node 0_0 ran 2 times; keep", grid(again=True)),
    ],
    check_reads: [
        ("return a whole number of channels", lambda widths, i, j: None),
        ("a function is expected here", 40),
        (
            "the three colours of the frame",
            lambda widths, i, j: channels_read(widths, i, j) if i or j else widths[0],
        ),
        (
            "reads what the row above it writes",
            lambda widths, i, j: channels_read(widths, i, j) if j or not i else widths[i],
        ),
        ("all nodes to its left, not only one", lambda widths, i, j: widths[i] + widths[i + 1]),
        ("the node below to the left arrives too", lambda widths, i, j: j * widths[i]),
        ("the one below has widths[i + 1]", lambda widths, i, j: j * widths[i + 1] + widths[i]),
        ("[8, 16, 32, 64], 0, 1): you return 3, expected 24", lambda widths, i, j: 3),
    ],
    check_broken_network: [
        ("put a network into `broken`", None),
        ("`broken` is <class", UNet),
        (
            "for 33 x 47 frames it gives [(2, 1, 36, 48)], expected only (2, 1, 33, 47)",
            ShortSighted((4, 8, 16)),
        ),
        ("it gives a tensor (2, 1, 32, 48)", Changed(lambda outputs: outputs[0])),
        (
            "the shape test already finds it: for 32 x 48 frames it gives (), expected only",
            Changed(lambda outputs: ()),
        ),
        (
            "for 32 x 48 frames: your code stopped with UsageError",
            Changed(image=lambda image: image[:, :, 0, 0]),
        ),
        ("nothing at all gets a gradient", Changed(lambda outputs: tuple(o.detach() for o in outputs))),
        ("all 20 parameter tensors get a gradient", UNet((4, 8))),
        ("no parameter gets a gradient", Changed(lambda outputs: tuple(o * 0 for o in outputs))),
        ("all 20 parameter tensors get a gradient", zero_head()),
        ("'spare.weight' gets no gradient because it never runs", with_spare()),
    ],
    check_momentum: [
        ("`observed` holds no results", None),
        ("`observed` holds no results", 29),
        ("a key is 1; expected a number from 0.0001", {1: 1}),
        ("the value of 0.1 is 0", {0.1: 0}),
        ("momentum 0.1: not 300 batches; run batches_needed(0.1) again", {0.1: 300}),
        ("momentum 0.1: not 29.5 batches; run", {0.1: 29.5}),
        ("try at least three values of momentum; you have 1", {0.1: 29}),
        ("your values are between 0.1 and 0.3", {0.1: 29, 0.2: 14, 0.3: 9}),
        ("expected a key to be a number", {"0.1": 29, "0.2": 14, "0.3": 9}),
    ],
}

ACCEPTED = {
    check_block: [
        block,
        ConvBlock,
        lambda n, m: nn.Sequential(*block(n, m, first=lambda: nn.ReLU(inplace=True))),
    ],
    check_decode: [decode(), way_up],
    check_reads: [channels_read, lambda widths, i, j: torch.tensor(channels_read(widths, i, j))],
    check_grid: [grid(), top_row],
    check_broken_network: [cut_off(), cut_off(Frozen), not_trained()],
    check_momentum: [
        {0.01: 299, 0.1: 29, 0.5: 5},
        {np.float32(0.5): np.int64(5), np.float64(0.1): np.int32(29), 0.02: torch.tensor(149)},
    ],
}
