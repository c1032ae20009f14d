"""Checkers of notebook 05, where the networks are built."""

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from polyp.course.exercises import Verdict, checker, correct, not_yet
from polyp.model.losses import bce_dice_loss, deep_supervision
from polyp.model.network import ConvBlock, UNet, UNetPlusPlus, upsample


@checker
def check_block_parameters(answer: Callable[[int, int], int]) -> Verdict:
    """Exercise 1: `answer(in_channels, out_channels)` is how many parameters a ConvBlock trains."""
    for before, after in ((3, 8), (1, 1), (8, 3), (24, 16), (768, 256)):
        got = answer(before, after)
        block = ConvBlock(before, after)
        expected = sum(p.numel() for p in block.parameters())
        if got is None:
            return not_yet(f"return a whole number; block_parameters({before}, {after}) gave None")
        if got != expected:
            hints = {
                expected + 2 * after: "; the convolutions have no bias",
                expected - 4 * after: "; each batch normalisation has a scale and a shift for every channel",
                expected - 2 * after: "; there are two batch normalisations, each with a scale and a shift",
                expected + 4 * after: "; the running mean and variance are buffers, which are not trained",
                expected
                + 9 * after * (before - after): "; the second convolution reads what the first wrote",
            }
            return not_yet(
                f"block_parameters({before}, {after}) is {got!r}, expected {expected}{hints.get(got, '')}"
            )
    return correct("in a block that doubles the channels, two thirds of them sit in the second convolution.")


@checker
def check_decode(answer: Callable[[nn.ModuleList, list[Tensor]], Tensor]) -> Verdict:
    """Exercise 2: `answer(blocks, skips)` is the decoder of a U-Net."""
    generator = torch.Generator().manual_seed(5)
    for widths, bottom in (((4, 6), (3, 2)), ((4, 6, 10), (2, 3)), ((3, 5, 7, 9, 11), (1, 2))):
        blocks = UNet(widths).eval().decoder
        sizes = [tuple(n * 2**i for n in bottom) for i in reversed(range(len(widths)))]
        skips = [torch.rand(2, w, *size, generator=generator) for w, size in zip(widths, sizes, strict=True)]
        given = list(skips)
        with torch.no_grad():
            got, expected = answer(blocks, given), _decode(blocks, skips, 0)
            case = f"for skips {', '.join(str(tuple(skip.shape)) for skip in skips)}"
            if got is None:
                return not_yet("return the block's output at full size; decode() gave None")
            if not isinstance(got, Tensor) or got.shape != expected.shape:
                return not_yet(f"{case} you return {_kind(got)}, expected a tensor {tuple(expected.shape)}")
            if not torch.allclose(got, expected, atol=1e-5):
                return not_yet(f"{case} the shape is right, the numbers are not{_why(blocks, skips, got)}")
        if len(given) != len(skips):
            return not_yet(
                "right, but your function took elements out of the list it was given, which the caller may "
                "still need; use skips[i], or copy the list first"
            )
    return correct("the way up of any U-Net, however deep.")


def _decode(blocks: nn.ModuleList, skips: list[Tensor], i: int, mode: str = "", swap: bool = False) -> Tensor:
    """Row `i` of the decoder, straight from the formula; `mode` and `swap` make the usual mistakes."""
    if i == len(blocks):
        return skips[i]
    below = _decode(blocks, skips, i + 1, mode, swap)
    below = F.interpolate(below, scale_factor=2, mode=mode) if mode else upsample(below)
    return blocks[i](torch.cat([below, skips[i]] if swap else [skips[i], below], dim=1))


def _why(blocks: nn.ModuleList, skips: list[Tensor], got: Tensor) -> str:
    if torch.allclose(got, _decode(blocks, skips, 0, swap=True), atol=1e-5):
        return ": join the skip first, then what comes from below (no shape tells you so!)"
    if torch.allclose(got, _decode(blocks, skips, 0, mode="nearest"), atol=1e-5):
        return ": double with `upsample`, which interpolates; yours repeats the nearest pixel"
    if torch.allclose(got, skips[0]):
        return ": you return the skip itself; no block has run"
    return ": at each resolution, join [skip, upsample(what comes from below)], then run its block"


@checker
def check_grid(answer: Callable[[nn.ModuleDict, Tensor, int], list[Tensor]]) -> Verdict:
    """Exercise 3: `answer(nodes, x, level)` is [X[0][1], ..., X[0][level]] of a UNet++."""
    for widths, levels in (((4, 6), (1,)), ((4, 6, 8), (2, 1)), ((3, 4, 5, 6, 7), (4, 3, 2, 1))):
        model = UNetPlusPlus(widths).eval()
        x = torch.rand(2, 3, 16, 32, generator=torch.Generator().manual_seed(5))
        for level in levels:
            case = f"depth {len(widths) - 1}, level {level}"
            runs: list[str] = []
            handles = [
                node.register_forward_hook(lambda *_, name=name, runs=runs: runs.append(name))
                for name, node in model.nodes.items()
            ]
            with torch.no_grad():
                got = answer(model.nodes, x, level)
                for handle in handles:
                    handle.remove()
                verdict = _compare_grid(model.nodes, x, level, got) or _compare_runs(runs, level)
            if verdict:
                return not_yet(f"{case}: {verdict}")
    return correct("every node, each once, and none that the level does not need.")


def _compare_grid(nodes: nn.ModuleDict, x: Tensor, level: int, got: Any) -> str:
    """What is wrong with the outputs of the top row, or nothing."""
    if got is None:
        return "return the list of the top row's nodes; grid() gave None"
    if not isinstance(got, list | tuple) or len(got) != level:
        return f"expected a list of {level} tensors, X[0][1] to X[0][{level}]; you return {_kind(got)}"
    for j, output in enumerate(got, start=1):
        expected = _node(nodes, x, 0, j)
        if not isinstance(output, Tensor) or output.shape != expected.shape:
            return f"X[0][{j}] is {_kind(output)}, expected a tensor {tuple(expected.shape)}"
        if not torch.allclose(output, expected, atol=1e-5):
            return f"X[0][{j}] has the right shape, but not the numbers; join all left of it, then below"
    return ""


def _compare_runs(runs: list[str], level: int) -> str:
    """Which node ran too often or for nothing, or nothing."""
    needed = {f"{i}_{d - i}" for d in range(level + 1) for i in range(d + 1)}
    for name in dict.fromkeys(runs):
        if name not in needed:
            return f"the outputs are right, but node {name} ran and is not needed"
        if runs.count(name) > 1:
            return (
                f"the outputs are right, but node {name} ran {runs.count(name)} times; keep what you computed"
            )
    return ""


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
        return not_yet("put a network into `broken`")
    if not isinstance(model, nn.Module):
        return not_yet("`broken` is not a network; expected an object such as network.UNet((4, 8, 16))")
    generator = torch.Generator().manual_seed(5)
    for height, width in ((32, 48), (33, 47), (5, 7)):
        image = torch.randint(0, 256, (2, 3, height, width), dtype=torch.uint8, generator=generator)
        outputs = model.eval()(image)
        if not isinstance(outputs, tuple) or any(o.shape != (2, 1, height, width) for o in outputs):
            return not_yet(
                f"the shape test already finds it: for {height} x {width} frames it gives {_kind(outputs)}, "
                f"expected a tuple of logits {(2, 1, height, width)}"
            )
    model.train().zero_grad()
    image = torch.randint(0, 256, (2, 3, 32, 48), dtype=torch.uint8, generator=generator)
    loss = deep_supervision(bce_dice_loss, model(image), (image[:, :1] > 127).byte())
    if not loss.requires_grad:
        return not_yet("nothing at all gets a gradient, and backward() would crash; cut off a part only")
    loss.backward()
    silent = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    parameters = len(list(model.parameters()))
    model.zero_grad()
    if not silent:
        return not_yet(f"all {parameters} parameter tensors get a gradient: this network is well wired")
    if len(silent) == parameters:
        return not_yet("no parameter gets a gradient; leave the network something to learn with")
    return correct(
        f"the shapes are right, but {len(silent)} of {parameters} parameter tensors learn nothing, "
        f"first '{silent[0]}'."
    )


@checker
def check_momentum(observed: dict[float, int]) -> Verdict:
    """Exercise 5: how many batches a running mean needs, by momentum."""
    if not isinstance(observed, dict):
        return not_yet(f"`observed` is {_kind(observed)}, expected a dictionary such as {{0.1: 29}}")
    for momentum, batches in observed.items():
        if not 0 < momentum < 1:
            return not_yet(f"momentum is {momentum}; take values between 0 and 1")
        # what is left of the starting value after n batches is (1 - momentum) ** n
        exact = math.log(0.05) / math.log(1 - momentum)
        if not isinstance(batches, int) or not exact - 1 <= batches <= exact + 2:
            return not_yet(
                f"for momentum {momentum} you note {batches!r}; run batches_needed({momentum}) again"
            )
    if len(observed) < 3:
        return not_yet(f"try at least three values of momentum; you have {len(observed)}")
    low, high = min(observed), max(observed)
    if high < 4 * low:
        return not_yet(f"your values lie between {low} and {high}; try some that are farther apart")
    return correct(
        f"momentum {low} needs {observed[low]} batches, momentum {high} needs {observed[high]}: "
        "about 3 / momentum while it is small. A slow mean is steady; a fast one trusts every batch."
    )


def _kind(value: Any) -> str:
    """A value in a few words, for messages."""
    if isinstance(value, Tensor):
        return f"a tensor {tuple(value.shape)}"
    if isinstance(value, list | tuple):
        inside = ", ".join(_kind(v) for v in value[:4])
        return f"a {type(value).__name__} of {len(value)}" + (f" ({inside})" if inside else "")
    plain = value is None or isinstance(value, int | float | str)
    return repr(value) if plain else f"a {type(value).__name__}"
