"""Checkers of notebook 03, where U-Net and UNet++ are compared."""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import torch
from torch import nn

from polyp.course.exercises import NotYet, Verdict, ask, checker, compare, correct, number, read
from polyp.model.network import SegmentationNetwork, UNet, UNetPlusPlus

Node = tuple[int, int]


@checker
def check_feeds(answer: Callable[[int, int], list[Node]]) -> Verdict:
    """Exercise 1: `answer(i, j)` lists the nodes that X[i][j] of a UNet++ reads, in any order."""
    expected = _feeds(UNetPlusPlus((1,) * 7))

    @wraps(answer)
    def in_order(i: int, j: int) -> list[Node] | None:
        return None if (found := answer(i, j)) is None else sorted(map(tuple, found))

    compare(
        in_order,
        list(expected),
        lambda i, j: sorted(expected[i, j]),
        nothing="return a list of (row, step) pairs; feeds(0, 0) gave None",
        hints={"it reads the frame, and no node": lambda i, j: [(i - 1, 0)]},
    )
    return correct(f"you know the wiring of all {len(expected)} nodes of a UNet++ of depth 6.")


@checker
def check_needed(answer: Callable[[dict[str, list[str]], str], Any]) -> Verdict:
    """Exercise 3: `answer(feeds, node)` is every block that has to run so that `node` can."""
    small = {"a": ["frame"], "b": ["a"], "c": ["a"], "d": ["b"], "e": ["d", "a"]}
    cases = [(small, "a", {"a"}), (small, "c", {"a", "c"}), (small, "e", {"a", "b", "d", "e"})]
    for depth in (1, 2, 4, 6):
        model = UNetPlusPlus((1,) * (depth + 1)).eval()
        feeds = _names(_feeds(model))
        cases += [(feeds, f"0_{level}", _that_run(model, level)) for level in range(1, depth + 1)]
    cases.append((feeds, "3_2", {"0_0", "1_0", "2_0", "3_0", "4_0", "5_0", "3_1", "4_1", "3_2"}))
    for feeds, node, expected in cases:
        case = f"for {node!r} of {feeds if feeds is small else f'a UNet++ with {len(feeds)} nodes'}"
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
    compare(
        answer,
        [(layers,) for layers in cases],
        _measured_field,
        nothing="return a whole number; receptive_field([]) gave None",
        hints={
            "after a stride of 2, neighbours are two input pixels apart": lambda layers: (
                1 + sum(kernel - 1 for kernel, _ in layers)
            )
        },
    )
    return correct(
        "the encoder of a U-Net of depth 4 reads 140 pixels, as the gradient of a real chain says."
    )


@checker
def check_wide_unet(answer: dict[str, Any]) -> Verdict:
    """Exercise 2: widths of a U-Net as large as UNet++, and its share of UNet++'s multiply-adds."""
    if not isinstance(answer, dict) or answer.get("widths") is None or answer.get("share") is None:
        raise NotYet("fill in 'widths', five whole numbers, and 'share', what you then measured")
    widths, share = read(tuple, answer["widths"], "five whole numbers"), number(answer["share"], "share")
    if len(widths) != 5 or any(type(width) is not int or width < 1 for width in widths):
        raise NotYet(f"widths is {widths}; expected five positive whole numbers")
    wide, wide_adds = _size_and_cost(UNet, widths)
    nested, nested_adds = _size_and_cost(UNetPlusPlus, (32, 64, 128, 256, 512))
    if not 0.95 <= wide / nested <= 1.05:
        raise NotYet(
            f"a U-Net of widths {widths} has {wide:,} parameters, UNet++ {nested:,}; come within 5 %"
        )
    if not abs(share - wide_adds / nested_adds) <= 0.01:
        raise NotYet(
            f"share is {share:.3f}, but this U-Net needs {wide_adds:,} multiply-adds "
            f"and UNet++ {nested_adds:,}: {wide_adds / nested_adds:.3f}"
        )
    return correct(
        f"with {wide / nested:.2f} times the parameters it needs {share:.2f} times the multiply-adds: "
        "equal size is not equal cost, and a fair comparison says which of the two it means."
    )


def _feeds(model: UNetPlusPlus) -> dict[Node, list[Node]]:
    """Which node reads which, found by giving every node's output a number of its own."""
    found: dict[Node, list[Node]] = {}
    nodes = [tuple(map(int, name.split("_"))) for name in model.nodes]

    def hook(node, module, inputs, output):
        colours = [round(colour) for colour in inputs[0][0, :, 0, 0].tolist()]
        found[node] = [] if node == (0, 0) else [nodes[c - 1] for c in dict.fromkeys(colours)]
        return torch.full_like(output, nodes.index(node) + 1)

    handles = [
        block.register_forward_hook(lambda *call, node=node: hook(node, *call))
        for node, block in zip(nodes, model.nodes.values(), strict=True)
    ]
    with torch.no_grad():
        model.eval()(torch.zeros(1, 3, 2**model.depth, 2**model.depth))
    for handle in handles:
        handle.remove()
    return found


def _names(feeds: dict[Node, list[Node]]) -> dict[str, list[str]]:
    name = "{0[0]}_{0[1]}".format
    return {name(node): [name(s) for s in sources] or ["image"] for node, sources in feeds.items()}


def _that_run(model: SegmentationNetwork, level: int) -> set[str]:
    ran: set[str] = set()
    handles = [
        block.register_forward_hook(lambda *_, name=name: ran.add(name))
        for name, block in model.nodes.items()
    ]
    with torch.no_grad():
        model(torch.zeros(1, 3, 64, 64), level)
    for handle in handles:
        handle.remove()
    return ran


def _measured_field(layers: Sequence[tuple[int, int]]) -> int:
    """Input pixels whose gradient is not zero, through a chain of convolutions of ones with these layers."""
    x = torch.zeros(1, 1, 1024, dtype=torch.float64, requires_grad=True)
    y = x
    for kernel, stride in layers:
        y = nn.functional.conv1d(y, torch.ones(1, 1, kernel, dtype=torch.float64), stride=stride)
    y[..., y.shape[-1] // 2].sum().backward()
    return int((x.grad != 0).sum())


def _size_and_cost(kind: type[SegmentationNetwork], widths: tuple[int, ...]) -> tuple[int, int]:
    """Trainable parameters, and multiply-adds of the convolutions for one frame of 256 x 256."""
    adds = []
    with torch.device("meta"):
        model = kind(widths)
        for layer in model.modules():
            if isinstance(layer, nn.Conv2d):
                layer.register_forward_hook(
                    lambda layer, inputs, output: adds.append(
                        layer.weight.numel() * output.shape[-2] * output.shape[-1]
                    )
                )
        model.eval()(torch.zeros(1, 3, 256, 256))
    return sum(p.numel() for p in model.parameters()), sum(adds)
