"""Checkers of notebook 09, transfer learning, and what it goes on with until an answer is right."""

import math
from collections import defaultdict
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from polyp.config import Config
from polyp.course.exercises import NotYet, Verdict, ask, checker, compare, correct, difference, noted
from polyp.model.efficientnet import InvertedResidual
from polyp.model.network import EfficientUNetPlusPlus, SegmentationNetwork, build_model


@checker
def check_count_weights(count_weights: Callable[[int, int, int, int], int]) -> Verdict:
    """Exercise 1: `count_weights(before, after, expansion, kernel)` of an inverted residual."""
    compare(
        count_weights,
        [(16, 24, 6, 3), (24, 40, 6, 5), (32, 16, 1, 3), (1, 1, 2, 5)],
        conv_weights,
        nothing="count_weights returns None; let it return a whole number",
        hints={
            "with expansion 1 there is nothing to widen, and that convolution is left out": (
                lambda n, m, e, k: conv_weights(n, m, e, k) + n * n * (e == 1)
            ),
            "the middle filters see one channel each, so they have kernel * kernel weights": (
                lambda n, m, e, k: conv_weights(n, m, e, k) + k * k * n * e * (n * e - 1)
            ),
        },
    )
    return correct("most weights sit in the 1 x 1 convolutions; an ordinary filter would cost far more")


def conv_weights(before: int, after: int, expansion: int, kernel: int) -> int:
    """How many weights the convolutions of an inverted residual hold, counted in one that is built."""
    block = InvertedResidual(before, after, expansion, kernel, 1)
    return sum(m.weight.numel() for m in block.modules() if isinstance(m, nn.Conv2d))


@checker
def check_load_by_order(load_by_order: Callable[[nn.Module, dict[str, Tensor]], None]) -> Verdict:
    """Exercise 2: `load_by_order(module, tensors)`, where the tensors have foreign names and may not fit."""
    module, own, theirs = _module(0), _values(_module(0)), _values(_module(1))
    foreign = {f"blocks.{i}": torch.tensor(value) for i, value in enumerate(theirs)}
    case = "with a classifier left over"
    ask(load_by_order, module, foreign | {"classifier.weight": torch.ones(5, 3)}, case=case)
    if not difference(_values(module), own):
        raise NotYet("nothing was loaded: the module's weights are still its own")
    if wrong := difference(_values(module), theirs, parts=tuple(module.state_dict())):
        raise NotYet(f"{case}, after loading, {wrong}")
    order = list(foreign)
    broken = {
        "the first two tensors swapped": {name: foreign[name] for name in [*order[1::-1], *order[2:]]},
        "the last tensor missing": {name: foreign[name] for name in order[:-1]},
        "one number where a vector of 4 belongs": foreign | {order[-1]: torch.zeros(1)},
    }
    for case, tensors in broken.items():
        module = _module(0)
        try:
            ask(load_by_order, module, tensors, case=case)
        except NotYet as stopped:
            if not isinstance(stopped.__cause__, ValueError):
                raise NotYet(f"{stopped}; raise a ValueError yourself") from stopped
            shapes = zip(module.state_dict().items(), tensors.items(), strict=False)
            names = [{a, b} for (a, old), (b, tensor) in shapes if old.shape != tensor.shape]
            if names and not any(name in str(stopped.__cause__) for name in set.union(*names)):
                raise NotYet(
                    f"{case}: your ValueError says {str(stopped.__cause__)!r}; name the tensor that does not "
                    f"fit, such as {min(names[0])!r}"
                ) from stopped
        else:
            raise NotYet(f"{case}: expected a ValueError, and nothing was raised")
        if difference(_values(module), own):
            raise NotYet(f"{case}: the module was half changed; compare all shapes before you load any")
    return correct("loaded in order, the classifier left out, and a list that does not fit is refused whole")


def _module(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    norm = nn.BatchNorm2d(4)
    module = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), norm, nn.Conv2d(4, 4, 1))
    for values in (norm.running_mean, norm.bias):
        assert values is not None  # a norm that learns has both
        nn.init.uniform_(values)
    return module


def _values(module: nn.Module) -> list[np.ndarray]:
    return [tensor.numpy() for tensor in module.state_dict().values()]


def two_groups(model: EfficientUNetPlusPlus, lr: float, share: float) -> list[dict]:
    """Groups for an optimiser: all but the encoder at `lr`, the encoder at `lr * share`, or frozen at 0."""
    inside = set(model.encoder.parameters())
    groups = [{"params": [p for p in model.parameters() if p not in inside], "lr": lr}]
    if share > 0:
        groups.append({"params": list(model.encoder.parameters()), "lr": lr * share})
    model.encoder.requires_grad_(share > 0)
    return groups


@checker
def check_two_rates(two_rates: Callable[[SegmentationNetwork, float, float], list[dict]]) -> Verdict:
    """Exercise 3: `two_rates(model, lr, share)` is a list of groups for an optimiser, `params` and `lr`."""
    config = Config(encoder="efficientnet-lite0", widths=(4, 6, 8, 10))
    model = EfficientUNetPlusPlus(config.encoder, config.widths)
    inside = set(model.encoder.parameters())
    names = [name + " (encoder)" * (p in inside) for name, p in model.named_parameters()]

    def learned(lr: float, share: float) -> list | None:
        """The rates at which each parameter is in a group, and then whether it asks for gradients."""
        other, found = build_model(config), defaultdict(list)
        if (groups := two_rates(other, lr, share)) is None:
            return None
        for group in groups:
            for parameter in group["params"]:
                found[parameter].append(group["lr"])
        return [*(found[p] for p in other.parameters()), *(p.requires_grad for p in other.parameters())]

    def expected(lr: float, share: float) -> list:
        rates = [lr * share if parameter in inside else lr for parameter in model.parameters()]
        return [*([rate] * (rate > 0) for rate in rates), *(rate > 0 for rate in rates)]

    compare(
        learned,
        {
            "with lr 0.002 and share 0.3": (2e-3, 0.3),
            "with lr 0.01 and share 1": (1e-2, 1.0),
            "with lr 0.002 and share 0": (2e-3, 0.0),
        },
        expected,
        nothing="two_rates returns None; let it return a list of dictionaries",
        close=1e-6,
        hints={
            "no parameter's name begins with encoder, as model.encoder is a property: its parameters are "
            "called nodes.0_0 to nodes.4_0, so take model.encoder.parameters()": (
                lambda lr, share: [*([lr] for _ in names), *(True for _ in names)]
            )
        },
        parts=(*(f"the rates of {name}" for name in names), *(f"requires_grad of {name}" for name in names)),
        otherwise="each parameter belongs in one group, the encoder's at lr * share (at 0: in none, frozen)",
    )
    ask(lambda: torch.optim.AdamW(two_rates(model, 2e-3, 0.3)), case="as groups of AdamW")
    return correct("every parameter once, the encoder at its own rate, and frozen when its share is 0")


@checker
def check_observation(
    observed: dict[float, float] | None, noticed: str | None, short_run: Callable[..., tuple]
) -> Verdict:
    """Exercise 4: the last validation Dice of two shares or more, and a sentence about them.

    `short_run(encoder_lr=share)` gives a network and the table of its training; it knows the runs that ended.
    """
    nothing = "fill observed with the validation Dice by encoder_lr, for at least two values"
    found = noted(observed, nothing=nothing, keys_between=(0, math.inf), least=2)
    for share, dice in found.items():
        last = float(short_run(encoder_lr=share)[1]["val_dice"].iloc[-1])
        if abs(dice - last) > 0.0051:  # two digits are enough
            raise NotYet(f"encoder_lr={share:g} gives {last:.4f} in its last epoch, and you noted {dice:.4f}")
    if not isinstance(noticed, str) or len(noticed.split()) < 5:
        raise NotYet("write into noticed, in a sentence, what you saw and how sure you are")
    return correct("an observation of your own. Before you believe it: would another seed say the same?")
