"""Checkers of notebook 03, where U-Net and UNet++ are compared."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from polyp.course.exercises import Verdict, checker, correct, not_yet
from polyp.model.network import SegmentationNetwork, UNet, UNetPlusPlus

Node = tuple[int, int]


@checker
def check_feeds(answer: Callable[[int, int], list[Node]]) -> Verdict:
    """Exercise 1: `answer(i, j)` lists the nodes that X[i][j] of a UNet++ reads, in any order."""
    expected = _feeds(UNetPlusPlus((1,) * 7))
    for (i, j), sources in expected.items():
        got = answer(i, j)
        if got is None:
            return not_yet(f"return a list of (row, step) pairs; feeds({i}, {j}) gave None")
        got = [tuple(node) for node in got]
        if sorted(got) != sorted(sources):
            return not_yet(f"feeds({i}, {j}) is {got}, expected {sources or 'no node: it reads the frame'}")
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
        before = {name: list(sources) for name, sources in feeds.items()}
        got = answer(feeds, node)
        case = f"{node!r} of {feeds if feeds is small else f'a UNet++ with {len(feeds)} nodes'}"
        if got is None:
            return not_yet(f"return a set of names; for {case} it gave None")
        if feeds != before:
            return not_yet(
                "right or wrong, your function changed the dictionary it was given; leave it as it is"
            )
        verdict = _compare_sets(set(got), expected, case)
        if verdict:
            return verdict
    return correct("what you found by walking back is what polyp's network runs at every level.")


def _compare_sets(got: set, expected: set, case: str) -> Verdict | None:
    if "image" in got or "frame" in got:
        return not_yet(f"for {case} your set holds the picture itself; it is no block: leave it out")
    if expected - got:
        return not_yet(f"for {case} you miss {sorted(expected - got)}")
    if got - expected:
        return not_yet(f"for {case} you also run {sorted(got - expected)}, which it does not need")
    return None


@checker
def check_receptive_field(answer: Callable[[Sequence[tuple[int, int]]], int]) -> Verdict:
    """Exercise 4: `answer(layers)` is how many input pixels one output of a chain of layers depends on."""
    block = [(3, 1), (3, 1)]
    cases = [[], [(1, 1)], [(3, 1)], block, [(2, 2)], [(3, 2), (3, 1)], [*block, (2, 2), *block]]
    cases += [
        [(7, 2), (3, 2), *block],
        [*block, (2, 2)] * 4 + block,
        [(5, 1), (2, 2), (1, 1), (4, 3), (3, 1)],
    ]
    for layers in cases:
        got, expected = answer(list(layers)), _measured_field(layers)
        if got is None:
            return not_yet(f"return a whole number; receptive_field({layers}) gave None")
        if got != expected:
            hint = ""
            if got == 1 + sum(kernel - 1 for kernel, _ in layers):
                hint = "; after a stride of 2, neighbours lie two input pixels apart"
            return not_yet(f"receptive_field({layers}) is {got}, expected {expected}{hint}")
    return correct(
        "the encoder of a U-Net of depth 4 reads 140 pixels, as the gradient of a real chain says."
    )


@checker
def check_wide_unet(answer: dict[str, Any]) -> Verdict:
    """Exercise 2: widths of a U-Net as large as UNet++, and its share of UNet++'s multiply-adds."""
    if answer is None or answer.get("widths") is None or answer.get("share") is None:
        return not_yet("fill in 'widths', five whole numbers, and 'share', what you then measured")
    widths, share = tuple(answer["widths"]), answer["share"]
    if len(widths) != 5 or any(type(width) is not int or width < 1 for width in widths):
        return not_yet(f"widths is {widths}; expected five positive whole numbers")
    wide, wide_adds = _size_and_cost(UNet, widths)
    nested, nested_adds = _size_and_cost(UNetPlusPlus, (32, 64, 128, 256, 512))
    if not 0.95 <= wide / nested <= 1.05:
        return not_yet(
            f"a U-Net of widths {widths} has {wide:,} parameters, UNet++ {nested:,}; come within 5 %"
        )
    if not abs(share - wide_adds / nested_adds) <= 0.01:
        return not_yet(
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
