"""Checkers of notebook 03, where U-Net and UNet++ are compared.

The lesson goes on with the learner's functions, or until they are right with `sources`, `needed_by_walking`
and `measured_field`.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import cache, wraps
from itertools import pairwise
from numbers import Integral
from typing import Any

import torch
from torch import nn

from polyp.course.exercises import NotYet, Verdict, ask, checker, compare, correct, number, read, show
from polyp.model.network import SegmentationNetwork, UNet, UNetPlusPlus

Node = tuple[int, int]


@checker
def check_feeds(answer: Callable[[int, int], list[Node]]) -> Verdict:
    """Exercise 1: `answer(i, j)` lists the nodes that X[i][j] of a UNet++ reads, in any order."""
    expected = feeds_of(6)

    @wraps(answer)
    def in_order(i: int, j: int) -> list[Node] | None:
        return None if (found := answer(i, j)) is None else sorted((row, step) for row, step in found)

    nothing = "return a list of (row, step) pairs; feeds(0, 0) gave None"
    hints = {"it reads the frame, and no node": lambda i, j: [(i - 1, 0)]}
    compare(in_order, list(expected), lambda *node: expected[node], nothing=nothing, hints=hints)
    return correct(f"you know the wiring of all {len(expected)} nodes of a UNet++ of depth 6.")


@checker
def check_needed(answer: Callable[[dict[str, list[str]], str], Any]) -> Verdict:
    """Exercise 3: `answer(feeds, node)` is every block that has to run so that `node` can."""
    for feeds, node, expected in needed_cases():
        case = f"for {node!r} of {feeds if 'a' in feeds else f'a UNet++ with {len(feeds)} nodes'}"
        nothing = f"return a set of names; {case} it gave None"
        got = read(set, ask(answer, feeds, node, case=case, nothing=nothing), "a set of names")
        if got & {"image", "frame"}:
            raise NotYet(f"{case} your set holds the picture itself; it is no block: leave it out")
        if expected - got:
            raise NotYet(f"{case} you miss {sorted(expected - got)}")
        if got - expected:
            raise NotYet(f"{case} you also run {sorted(map(str, got - expected))}, which it does not need")
    return correct("what you found by walking back is what polyp's network runs at every level.")


@checker
def check_receptive_field(answer: Callable[[Sequence[tuple[int, int]]], int]) -> Verdict:
    """Exercise 4: `answer(layers)` is how many input pixels one output of a chain of layers depends on."""
    block, pool = [(3, 1), (3, 1)], (2, 2)
    cases = [[], [(1, 1)], [(3, 1)], block, [pool], [(3, 2), (3, 1)], [*block, pool, *block]]
    cases += [[(7, 2), (3, 2), *block], [*block, pool] * 4 + block, [(5, 1), pool, (1, 1), (4, 3), (3, 1)]]
    nothing = "return a whole number; receptive_field([]) gave None"
    hints = {"after a stride of 2, neighbours are two input pixels apart": _unstrided}
    compare(answer, cases, measured_field, nothing=nothing, hints=hints)
    return correct("the encoder of a U-Net of depth 4 reads 140 pixels, as the gradient of a real chain says")


@checker
def check_wide_unet(answer: dict[str, Any]) -> Verdict:
    """Exercise 2: widths of a U-Net as large as UNet++, and its share of UNet++'s multiply-adds."""
    if not isinstance(answer, dict) or answer.get("widths") is None or answer.get("share") is None:
        raise NotYet("fill in 'widths', five whole numbers, and 'share', what you then measured")
    widths, share = read(tuple, answer["widths"], "five whole numbers"), number(answer["share"], "share")
    if len(widths) != 5 or not all(isinstance(width, Integral) and int(width) > 0 for width in widths):
        raise NotYet(f"widths is {show(widths)}; expected five positive whole numbers")
    widths = tuple(map(int, widths))
    for before, after in pairwise(widths):
        if after != 2 * before:
            raise NotYet(f"{after} is not twice {before}; each width should be twice the one before")
    wide, wide_adds = _size_and_cost(UNet, widths)
    nested, nested_adds = _size_and_cost(UNetPlusPlus, (32, 64, 128, 256, 512))
    if not 0.95 <= wide / nested <= 1.05:
        raise NotYet(f"widths {widths} give {wide:,} parameters, UNet++ has {nested:,}; come within 5 %")
    if not abs(share - wide_adds / nested_adds) <= 0.01:
        raise NotYet(
            f"share is {share:.3f}; this U-Net needs {wide_adds:,} multiply-adds, UNet++ {nested_adds:,}: "
            f"{wide_adds / nested_adds:.3f}"
        )
    return correct(
        f"with {wide / nested:.2f} times the parameters it needs {share:.2f} times the multiply-adds: "
        "equal size is not equal cost, and a fair comparison says which of the two it means."
    )


def sources(i: int, j: int) -> list[Node]:
    """The nodes that X[i][j] of a UNet++ reads, in ascending order."""
    return [*((i, k) for k in range(j)), (i + 1, j - 1)] if j else [(i - 1, 0)] if i else []


def needed_by_walking(feeds: dict[str, list[str]], node: str) -> set[str]:
    """The blocks that have to run so that `node` can, itself included; `feeds` says who reads whom."""
    found, row = set(), [node]
    for name in row:  # it grows while we walk
        if name in feeds and name not in found:
            found.add(name)
            row.extend(feeds[name])
    return found


def feeds_of(depth: int) -> dict[Node, list[Node]]:
    """Which node of a UNet++ reads which, in ascending order; a test finds the same in the network itself."""

    return {(i, d - i): sources(i, d - i) for d in range(depth + 1) for i in range(d + 1)}


def needed_cases() -> Iterator[tuple[dict[str, list[str]], str, set[str]]]:
    """A wiring, a node, and the blocks that it needs; a test watches the network run the same ones."""
    small = {"a": ["frame"], "b": ["a"], "c": ["a"], "d": ["b"], "e": ["d", "a"]}
    for node, blocks in {"a": "a", "c": "ac", "e": "abde"}.items():
        yield small, node, set(blocks)
    name = "{0[0]}_{0[1]}".format
    for depth in (1, 2, 4, 6):
        feeds = {
            name(node): [name(s) for s in sources] or ["image"] for node, sources in feeds_of(depth).items()
        }
        for level in range(1, depth + 1):
            yield feeds, f"0_{level}", {name(node) for node in feeds_of(level)}
    yield feeds, "3_2", {"0_0", "1_0", "2_0", "3_0", "4_0", "5_0", "3_1", "4_1", "3_2"}


def _unstrided(layers: Sequence[tuple[int, int]]) -> int:
    return 1 + sum(kernel - 1 for kernel, _ in layers)


def measured_field(layers: Sequence[tuple[int, int]]) -> int:
    """Input pixels whose gradient is not zero, through a chain of convolutions of ones with these layers."""
    x = torch.zeros(1, 1, 1024, dtype=torch.float64, requires_grad=True)
    y = x
    for kernel, stride in layers:
        y = nn.functional.conv1d(y, torch.ones(1, 1, kernel, dtype=torch.float64), stride=stride)
    y[..., y.shape[-1] // 2].sum().backward()
    assert x.grad is not None
    return int((x.grad != 0).sum())


@cache
def _size_and_cost(
    kind: Callable[[tuple[int, ...]], SegmentationNetwork], widths: tuple[int, ...]
) -> tuple[int, int]:
    """Trainable parameters, and multiply-adds of the convolutions for one frame of 256 x 256."""
    adds: list[int] = []

    def count(layer: Any, inputs: Any, output: torch.Tensor) -> None:
        adds.append(layer.weight.numel() * output.shape[-2] * output.shape[-1])

    with torch.device("meta"):
        model = kind(widths).eval()
        for layer in model.modules():
            if isinstance(layer, nn.Conv2d):
                layer.register_forward_hook(count)
        model(torch.zeros(1, 3, 256, 256))
    return sum(p.numel() for p in model.parameters()), sum(adds)
