"""Checkers of notebook 05, where the networks are built."""

import math
from collections import Counter
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from polyp.course.exercises import NotYet, Verdict, ask, checker, compare, correct, difference, noted, show
from polyp.model.losses import bce_dice_loss, deep_supervision
from polyp.model.network import ConvBlock, UNet, UNetPlusPlus, upsample


@checker
def check_block_parameters(answer: Callable[[int, int], int]) -> Verdict:
    """Exercise 1: `answer(in_channels, out_channels)` is how many parameters a ConvBlock trains."""
    compare(
        answer,
        [(3, 8), (1, 1), (8, 3), (24, 16), (768, 256)],
        _block_parameters,
        nothing="return a whole number; block_parameters(3, 8) gave None",
        hints={
            "the convolutions have no bias": _off(lambda n, m: 2 * m),
            "each batch normalisation has a scale and a shift for every channel": _off(lambda n, m: -4 * m),
            "there are two batch normalisations, each with a scale and a shift": _off(lambda n, m: -2 * m),
            "the running mean and variance are buffers, which are not trained": _off(lambda n, m: 4 * m),
            "the second convolution reads what the first wrote": _off(lambda n, m: 9 * m * (n - m)),
        },
    )
    return correct("in a block that doubles the channels, two thirds of them sit in the second convolution.")


def _block_parameters(in_channels: int, out_channels: int) -> int:
    with torch.device("meta"):
        return sum(p.numel() for p in ConvBlock(in_channels, out_channels).parameters())


def _off(by: Callable[[int, int], int]) -> Callable[[int, int], int]:
    """The oracle of a mistake: a wrong count."""
    return lambda *channels: _block_parameters(*channels) + by(*channels)


@checker
@torch.no_grad()
def check_decode(answer: Callable[[nn.ModuleList, list[Tensor]], Tensor]) -> Verdict:
    """Exercise 2: `answer(blocks, skips)` is the decoder of a U-Net."""
    generator, cases = torch.Generator().manual_seed(5), {}
    for widths, bottom in (((4, 6), (3, 2)), ((4, 6, 10), (2, 3)), ((3, 5, 7, 9, 11), (1, 2))):
        sizes = [tuple(n * 2**i for n in bottom) for i in reversed(range(len(widths)))]
        skips = [torch.rand(2, w, *size, generator=generator) for w, size in zip(widths, sizes, strict=True)]
        case = f"for skips {', '.join(str(tuple(skip.shape)) for skip in skips)}"
        cases[case] = UNet(widths).eval().decoder, skips
    compare(
        answer,
        cases,
        _decode,
        nothing="return the block's output at full size; decode() gave None",
        close=1e-5,
        hints={
            "join the skip first, then what comes from below (no shape tells you so!)": (
                lambda *args: _decode(*args, swap=True)
            ),
            "double with `upsample`, which interpolates; yours repeats the nearest pixel": (
                lambda *args: _decode(*args, double=lambda x: F.interpolate(x, scale_factor=2))
            ),
            "you return the skip itself; no block has run": lambda blocks, skips: skips[0],
        },
        otherwise="at each resolution, join [skip, upsample(what comes from below)], then run its block",
    )
    return correct("the way up of any U-Net, however deep.")


def _decode(
    blocks: nn.ModuleList, skips: list[Tensor], *, i: int = 0, double: Callable = upsample, swap: bool = False
) -> Tensor:
    """Row `i` of the decoder, straight from the formula; `double` and `swap` make the usual mistakes."""
    if i == len(blocks):
        return skips[i]
    below = double(_decode(blocks, skips, i=i + 1, double=double, swap=swap))
    return blocks[i](torch.cat([below, skips[i]] if swap else [skips[i], below], dim=1))


@checker
@torch.no_grad()
def check_grid(answer: Callable[[nn.ModuleDict, Tensor, int], list[Tensor]]) -> Verdict:
    """Exercise 3: `answer(nodes, x, level)` is [X[0][1], ..., X[0][level]] of a UNet++."""
    x = torch.rand(2, 3, 16, 32, generator=torch.Generator().manual_seed(5))
    for widths, levels in (((4, 6), (1,)), ((4, 6, 8), (2, 1)), ((3, 4, 5, 6, 7), (4, 3, 2, 1))):
        nodes = UNetPlusPlus(widths).eval().nodes
        for level in levels:
            case, runs = f"depth {len(widths) - 1}, level {level}", Counter[str]()
            expected = {f"X[0][{j}]": _node(nodes, x, 0, j) for j in range(1, level + 1)}
            hooks = [
                node.register_forward_hook(lambda *_, name=name, runs=runs: runs.update([name]))
                for name, node in nodes.items()
            ]
            nothing = f"{case}: return the list of the top row's nodes; grid() gave None"
            got = ask(answer, nodes, x, level, case=case, nothing=nothing)
            for hook in hooks:
                hook.remove()
            if wrong := difference(got, list(expected.values()), 1e-5, tuple(expected)):
                raise NotYet(f"{case}: {wrong}; join all nodes left of it, then the one below")
            for name, times in runs.items():
                if sum(map(int, name.split("_"))) > level:
                    raise NotYet(f"{case}: right, but node {name} ran and is not needed")
                if times > 1:
                    raise NotYet(f"{case}: right, but node {name} ran {times} times; keep what you computed")
    return correct("every node, each once, and none that the level does not need.")


def _node(nodes: nn.ModuleDict, x: Tensor, i: int, j: int) -> Tensor:
    """X[i][j], straight from the paper's formula, computing everything again each time."""
    if j == 0:
        return nodes[f"{i}_0"](x if i == 0 else F.max_pool2d(_node(nodes, x, i - 1, 0), 2))
    left = [_node(nodes, x, i, k) for k in range(j)]
    return nodes[f"{i}_{j}"](torch.cat([*left, upsample(_node(nodes, x, i + 1, j - 1))], dim=1))


@checker
def check_broken_network(model: nn.Module | None) -> Verdict:
    """Exercise 4: a network with the right shapes, some parts of which get no gradient."""
    if model is None:
        raise NotYet("put a network into `broken`")
    if not isinstance(model, nn.Module):
        raise NotYet(f"`broken` is {show(model)}; expected a network such as UNet((4, 8, 16))")
    generator = torch.Generator().manual_seed(5)
    for height, width in ((32, 48), (33, 47), (5, 7)):
        image = torch.randint(0, 256, (2, 3, height, width), dtype=torch.uint8, generator=generator)
        case, shape = f"for {height} x {width} frames", (2, 1, height, width)
        outputs = ask(model.eval(), image, case=case)
        shapes = [tuple(getattr(o, "shape", ())) for o in outputs] if isinstance(outputs, tuple) else []
        if set(shapes) != {shape}:
            got = shapes or show(outputs)
            raise NotYet(f"the shape test already finds it: {case} it gives {got}, expected only {shape}")
    image = torch.randint(0, 256, (2, 3, 32, 48), dtype=torch.uint8, generator=generator)
    nothing = "nothing at all gets a gradient, and backward() would crash; cut off a part only"
    silent = ask(lambda image: _silent(model, image), image, case="one training step", nothing=nothing)
    parameters = len(list(model.parameters()))
    if not silent:
        raise NotYet(f"all {parameters} parameter tensors get a gradient: this network is well wired")
    if len(silent) == parameters:
        raise NotYet("no parameter gets a gradient; leave the network something to learn with")
    return correct(
        f"the shapes are right, but {len(silent)} of {parameters} parameter tensors learn nothing, "
        f"first '{silent[0]}'."
    )


def _silent(model: nn.Module, image: Tensor) -> list[str] | None:
    """The parameters that get no gradient from a batch; None if the loss has none."""
    model.train().zero_grad()
    loss = deep_supervision(bce_dice_loss, model(image), (image[:, :1] > 127).byte())
    if not loss.requires_grad:
        return None
    loss.backward()
    silent = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    model.zero_grad()
    return silent


@checker
def check_momentum(observed: dict[float, int]) -> Verdict:
    """Exercise 5: how many batches a running mean needs, by momentum."""
    nothing = "`observed` holds no results; expected a dictionary such as {0.1: 29}"
    found = noted(observed, nothing=nothing, keys_between=(1e-4, 0.9999), between=(1, math.inf))
    found = {float(momentum): batches for momentum, batches in found.items()}
    for momentum, batches in found.items():
        # what is left of the starting value after n batches is (1 - momentum) ** n
        exact = math.log(0.05) / math.log(1 - momentum)
        if batches % 1 or not exact - 1 <= batches <= exact + 2:
            raise NotYet(
                f"momentum {momentum}: not {batches:g} batches; run batches_needed({momentum}) again"
            )
    if len(found) < 3:
        raise NotYet(f"try at least three values of momentum; you have {len(found)}")
    low, *_, high = found
    if high < 4 * low:
        raise NotYet(f"your values are between {low} and {high}; try some that are farther apart")
    return correct(
        f"momentum {low} needs {found[low]:g} batches, momentum {high} needs {found[high]:g}: "
        "about 3 / momentum while it is small. A slow mean is steady; a fast one trusts every batch."
    )
