import torch
import torch.nn.functional as F
from torch import nn

from polyp.course.exercises.notebook_05 import (
    check_block_parameters,
    check_broken_network,
    check_decode,
    check_grid,
    check_momentum,
)
from polyp.model.network import UNet, upsample


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


WRONG = {
    check_block_parameters: [
        ("return a whole number; block_parameters(3, 8) gave None", lambda n, m: None),
        (
            "(3, 8): you return 840, expected 824; the convolutions have no bias",
            lambda n, m: 9 * m * (n + m) + 6 * m,
        ),
        ("each batch normalisation has a scale and a shift for", lambda n, m: 9 * m * (n + m)),
        ("there are two batch normalisations", lambda n, m: 9 * m * (n + m) + 2 * m),
        ("the running mean and variance are buffers", lambda n, m: 9 * m * (n + m) + 8 * m),
        ("the second convolution reads what the first wrote", lambda n, m: 2 * 9 * n * m + 4 * m),
        ("(3, 8): you return 216, expected 824", lambda n, m: 9 * n * m),
        ("your code stopped with TypeError", lambda channels: 9 * channels),
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
