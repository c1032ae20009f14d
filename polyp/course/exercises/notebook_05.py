"""Checkers of notebook 05, where the networks are built."""

import copy
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
@torch.no_grad()
def check_block(answer: Callable[[int, int], nn.Module]) -> Verdict:
    """Exercise 1: `answer(in_channels, out_channels)` is a ConvBlock, as an nn.Sequential of six layers."""
    generator = torch.Generator().manual_seed(5)
    for channels in ((3, 8), (6, 4)):
        case = f"conv_block{channels}"
        block = ask(answer, *channels, case=case, nothing="return an nn.Sequential of the six layers")
        if not isinstance(block, nn.Module):
            raise NotYet(f"{case}: you return {show(block)}, expected an nn.Sequential of the six layers")
        theirs = ConvBlock(*channels)
        if fault := _unlike(block, theirs):
            raise NotYet(f"{case}: {fault}")
        for name, value in theirs.state_dict().items():  # a fresh normalisation hides whether it runs
            if name.endswith("running_mean"):
                value.normal_(generator=generator)
        block.load_state_dict(theirs.state_dict())
        x = torch.randn(2, channels[0], 6, 8, generator=generator)
        for mode in ("eval", "train"):
            expected, case = theirs.train(mode == "train")(x), f"{case}, in {mode} mode"
            got = ask(block.train(mode == "train"), x, case=case)
            if getattr(got, "shape", None) != expected.shape:
                raise NotYet(
                    f"{case}: {tuple(x.shape)} becomes {show(got)}, expected {show(expected)}; "
                    "padding=1 keeps the size"
                )
            if (got < 0).any():
                raise NotYet(f"{case}: negative numbers come out; each normalisation is followed by a ReLU")
            if wrong := difference(got, expected, 1e-5):
                raise NotYet(f"{case}: {wrong}; the order is convolution, normalisation, ReLU, twice")
            case = f"conv_block{channels}"
    return correct("in a block that doubles the channels, two thirds of the weights sit in its second half.")


def _unlike(block: nn.Module, theirs: nn.Module) -> str:
    """What is wrong with the parameters and buffers of a block, in words; nothing where they are right."""
    got, expected = block.state_dict(), theirs.state_dict()
    convolutions = [m for m in block.modules() if isinstance(m, nn.Conv2d)]
    norms = [m for m in block.modules() if isinstance(m, nn.BatchNorm2d)]
    if len(convolutions) != 2 or len(norms) != 2:
        return (
            f"it holds {len(convolutions)} convolutions and {len(norms)} batch normalisations, "
            "expected two of each"
        )
    if any(conv.bias is not None for conv in convolutions):
        return "a convolution has a bias, which batch normalisation subtracts again: bias=False"
    shapes = [tuple(v.shape) for v in got.values()], [tuple(v.shape) for v in expected.values()]
    for ours, right in zip(*shapes, strict=True):
        if ours != right:
            return (
                f"it holds a tensor {ours}, expected {right}; "
                "the second convolution reads what the first wrote"
            )
    if list(got) != list(expected):
        return (
            f"its parameters are called {next(iter(got))!r} and so on, expected {next(iter(expected))!r}: "
            "give the six layers to one nn.Sequential, in their order"
        )
    return ""


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
        way_up,
        nothing="return the block's output at full size; decode() gave None",
        close=1e-5,
        hints={
            "join the skip first, then what comes from below (no shape tells you so!)": (
                lambda *args: way_up(*args, swap=True)
            ),
            "double with `upsample`, which interpolates; yours repeats the nearest pixel": (
                lambda *args: way_up(*args, double=lambda x: F.interpolate(x, scale_factor=2))
            ),
            "you return the skip itself; no block has run": lambda blocks, skips: skips[0],
        },
        otherwise="at each resolution, join [skip, upsample(what comes from below)], then run its block",
    )
    return correct("the way up of any U-Net, however deep.")


def way_up(
    blocks: nn.ModuleList, skips: list[Tensor], *, i: int = 0, double: Callable = upsample, swap: bool = False
) -> Tensor:
    """The decoder of a U-Net from resolution `i` up, straight from the formula.

    `double` and `swap` make the usual mistakes.
    """
    if i == len(blocks):
        return skips[i]
    below = double(way_up(blocks, skips, i=i + 1, double=double, swap=swap))
    return blocks[i](torch.cat([below, skips[i]] if swap else [skips[i], below], dim=1))


def channels_read(widths: list[int], i: int, j: int) -> int:
    """How many channels node X[i][j] of a UNet++ reads."""
    return j * widths[i] + widths[i + 1] if j else (3, *widths)[i]


@checker
def check_reads(answer: Callable[[list[int], int, int], int]) -> Verdict:
    """Exercise 3: `answer(widths, i, j)` is how many channels node X[i][j] of a UNet++ reads."""
    widths = [8, 16, 32, 64]
    compare(
        answer,
        [(widths, *node) for node in ((0, 1), (1, 2), (0, 3), (2, 1), (0, 0), (2, 0), (3, 0))],
        channels_read,
        nothing="return a whole number of channels",
        hints={
            "X[0][0] reads the three colours of the frame": (
                lambda widths, i, j: widths[i] if (i, j) == (0, 0) else channels_read(widths, i, j)
            ),
            "a node of the encoder reads what the row above it writes": (
                lambda widths, i, j: channels_read(widths, i, j) if j else widths[i]
            ),
            "it reads all nodes to its left, not only one": (
                lambda widths, i, j: widths[i] + widths[i + 1] if j else channels_read(widths, i, j)
            ),
            "the node below to the left arrives too": (
                lambda widths, i, j: j * widths[i] if j else channels_read(widths, i, j)
            ),
            "the nodes of a row have widths[i] channels, the one below has widths[i + 1]": (
                lambda widths, i, j: j * widths[i + 1] + widths[i] if j else channels_read(widths, i, j)
            ),
        },
    )
    return correct("one widths[i] for each node to the left, and the wider one from below.")


@checker
@torch.no_grad()
def check_grid(answer: Callable[[nn.ModuleDict, Tensor, int], list[Tensor]]) -> Verdict:
    """Exercise 4: `answer(nodes, x, level)` is [X[0][1], ..., X[0][level]] of a UNet++."""
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


def top_row(nodes: nn.ModuleDict, x: Tensor, level: int) -> list[Tensor]:
    """[X[0][1], ..., X[0][level]], column by column, each node once."""
    X: dict[tuple[int, int], Tensor] = {}
    for j in range(level + 1):
        for i in range(level + 1 - j):
            if j > 0:
                x = torch.cat([*(X[i, k] for k in range(j)), upsample(X[i + 1, j - 1])], dim=1)
            elif i > 0:
                x = F.max_pool2d(X[i - 1, 0], 2)
            X[i, j] = nodes[f"{i}_{j}"](x)
    return [X[0, j] for j in range(1, level + 1)]


@checker
def check_broken_network(model: nn.Module | None) -> Verdict:
    """Exercise 5: a network with the right shapes, a part of which runs and gets no gradient."""
    if model is None:
        raise NotYet("put a network into `broken`")
    if not isinstance(model, nn.Module):
        raise NotYet(f"`broken` is {show(model)}; expected a network such as UNet((4, 8, 16))")
    generator = torch.Generator().manual_seed(5)
    model = copy.deepcopy(model)  # looking at it trains it by one step
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
    silent = ask(lambda image: _silent(model, image), image, case="two training steps", nothing=nothing)
    parameters = len(list(model.parameters()))
    if not silent:
        raise NotYet(f"all {parameters} parameter tensors get a gradient: this network is well wired")
    if len(silent) == parameters:
        raise NotYet("no parameter gets a gradient; leave the network something to learn with")
    if not (running := [name for name, runs in silent.items() if runs]):
        raise NotYet(
            f"'{next(iter(silent))}' gets no gradient because it never runs; cut off a part that does"
        )
    return correct(
        f"the shapes are right, but {len(running)} of {parameters} parameter tensors learn nothing, "
        f"first '{running[0]}'."
    )


def _silent(model: nn.Module, image: Tensor) -> dict[str, bool] | None:
    """The parameters that get no gradient, before and after a step, and whether their module runs.

    The step is for a layer that starts at zero: what lies before it gets its gradient only afterwards. None
    if the loss has no gradient at all.
    """
    ran, silent = set[str](), {name for name, _ in model.named_parameters()}
    hooks = [
        module.register_forward_hook(lambda *_, name=name: ran.add(name))
        for name, module in model.named_modules()
    ]
    model.train()
    for _ in range(2):
        model.zero_grad()
        loss = deep_supervision(bce_dice_loss, model(image), (image[:, :1] > 127).byte())
        if not loss.requires_grad:
            return None
        loss.backward()
        silent -= {name for name, p in model.named_parameters() if p.grad is not None and p.grad.any()}
        with torch.no_grad():
            for p in model.parameters():
                if p.grad is not None:
                    p.sub_(p.grad, alpha=0.1)
    for hook in hooks:
        hook.remove()
    return {name: name.rpartition(".")[0] in ran for name, _ in model.named_parameters() if name in silent}


@checker
def check_momentum(observed: dict[float, int]) -> Verdict:
    """Exercise 6: how many batches a running mean needs, by momentum."""
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
