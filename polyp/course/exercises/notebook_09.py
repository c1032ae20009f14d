"""Checkers of notebook 09, transfer learning."""

import torch
from torch import nn

from polyp.config import ModelConfig
from polyp.course.exercises import Verdict, checker, correct, not_yet
from polyp.model.efficientnet import InvertedResidual
from polyp.model.network import build_model


@checker
def check_count_weights(count_weights) -> Verdict:
    """The weights of the convolutions of an inverted residual, against blocks that are really built."""
    for before, after, expansion, kernel in ((16, 24, 6, 3), (24, 40, 6, 5), (32, 16, 1, 3), (1, 1, 2, 5)):
        block = InvertedResidual(before, after, expansion, kernel, 1)
        expected = sum(m.weight.numel() for m in block.modules() if isinstance(m, nn.Conv2d))
        got = count_weights(before, after, expansion, kernel)
        if got is None:
            return not_yet("count_weights returns None; let it return a whole number.")
        if got != expected:
            inner = before * expansion
            hint = ""
            if expansion == 1 and got == expected + before * inner:
                hint = "; with expansion 1 there is nothing to widen, and that convolution is left out"
            elif got == expected + kernel * kernel * inner * (inner - 1):
                hint = "; the middle filters see one channel each, so they have kernel * kernel weights"
            case = f"count_weights({before}, {after}, {expansion}, {kernel})"
            return not_yet(f"{case} is {got}, expected {expected}{hint}.")
    return correct("most weights sit in the 1 x 1 convolutions; an ordinary filter would cost far more.")


@checker
def check_load_by_order(load_by_order) -> Verdict:
    """Tensors under foreign names: loaded in order, the rest ignored, and a wrong list refused whole."""
    module, foreign = _module(0), _foreign(_module(1))
    load_by_order(module, foreign | {"classifier.weight": torch.ones(5, 3)})
    pairs = zip(module.parameters(), _module(0).parameters(), strict=True)
    if all(torch.equal(after, before) for after, before in pairs):
        return not_yet("nothing was loaded: the module's weights are still its own.")
    for (name, got), (theirs, expected) in zip(module.state_dict().items(), foreign.items(), strict=True):
        if not torch.equal(got, expected):
            return not_yet(f"after loading, {name} is not what {theirs} holds.")
    order = list(foreign)
    broken = {
        "the first two tensors swapped": {name: foreign[name] for name in [*order[1::-1], *order[2:]]},
        "the last tensor missing": {name: foreign[name] for name in order[:-1]},
        "one number where a vector of 4 belongs": foreign | {order[-1]: torch.zeros(1)},
    }
    for what, tensors in broken.items():
        module = _module(0)
        before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
        try:
            load_by_order(module, tensors)
        except ValueError:
            pass
        except RuntimeError as error:
            return not_yet(f"{what}: torch stopped it ({str(error)[:60]}...); raise a ValueError yourself.")
        else:
            return not_yet(f"{what}: expected a ValueError, and nothing was raised.")
        if not all(torch.equal(before[name], tensor) for name, tensor in module.state_dict().items()):
            return not_yet(f"{what}: the module was half changed; compare all shapes before you load any.")
    return correct("loaded in order, the classifier left out, and a list that does not fit is refused whole.")


def _module(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    module = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 1))
    nn.init.uniform_(module[1].running_mean)
    nn.init.uniform_(module[1].bias)
    return module


def _foreign(module: nn.Module) -> dict[str, torch.Tensor]:
    return {f"blocks.{i}": t.clone() for i, t in enumerate(module.state_dict().values())}


@checker
def check_two_rates(two_rates) -> Verdict:
    """Groups for an optimiser: every parameter once, the encoder's at its share, none of them at 0."""
    for lr, share in ((2e-3, 0.3), (1e-2, 1.0), (2e-3, 0.0)):
        torch.manual_seed(0)
        model = build_model(ModelConfig(encoder="efficientnet-lite0", widths=(4, 6, 8, 10)))
        encoder = {id(p) for p in model.encoder.parameters()}
        groups = two_rates(model, lr, share)
        case = f"with lr {lr:g} and share {share:g}"
        if groups is None:
            return not_yet("two_rates returns None; let it return a list of dictionaries.")
        found = [(id(p), group["lr"]) for group in groups for p in group["params"]]
        rates = dict(found)
        if len(rates) != len(found):
            return not_yet(f"{case}, a parameter is in the groups more than once.")
        missing = [n for n, p in model.named_parameters() if id(p) not in rates and id(p) not in encoder]
        if missing:
            return not_yet(f"{case}, {len(missing)} parameters are in no group, first {missing[0]}.")
        inside = {rate for key, rate in rates.items() if key in encoder}
        if share == 0:
            if inside:
                return not_yet(f"{case}, the encoder is frozen: it belongs in no group.")
            if any(p.requires_grad for p in model.encoder.parameters()):
                return not_yet(f"{case}, the encoder still asks for gradients: requires_grad_(False).")
            continue
        if not encoder <= rates.keys():
            lost = len(encoder - rates.keys())
            return not_yet(f"{case}, {lost} of the encoder's parameters are in no group.")
        if any(abs(rate - lr * share) > 1e-9 for rate in inside):
            return not_yet(f"{case}, the encoder learns at {sorted(inside)}, expected {lr * share:g}.")
        if any(abs(rate - lr) > 1e-9 for key, rate in rates.items() if key not in encoder):
            return not_yet(f"{case}, the decoder does not learn at {lr:g}.")
        torch.optim.AdamW(groups)
    return correct("every parameter once, the encoder at its own rate, and frozen when its share is 0.")


@checker
def check_observation(observed: dict[float, float], noticed: str) -> Verdict:
    """Two shares or more, each with a Dice that training can give, and a sentence about them."""
    if not observed:
        return not_yet("fill observed with the validation Dice by encoder_lr, for at least two values.")
    if not isinstance(observed, dict) or len(observed) < 2:
        return not_yet(f"{observed!r}; expected a dictionary with at least two values of encoder_lr.")
    for share, dice in observed.items():
        if not float(share) >= 0:
            return not_yet(f"encoder_lr {share!r}; expected a number of 0 or more.")
        if not 0 <= float(dice) <= 1:
            return not_yet(f"the Dice at encoder_lr {share} is {dice}; a Dice lies between 0 and 1.")
    if len({float(dice) for dice in observed.values()}) == 1:
        return not_yet("all runs have exactly the same Dice; did encoder_lr reach short_run?")
    if not isinstance(noticed, str) or len(noticed.split()) < 5:
        return not_yet("write into noticed, in a sentence, what you saw and how sure you are.")
    return correct("an observation of your own. Before you believe it: would another seed say the same?")
