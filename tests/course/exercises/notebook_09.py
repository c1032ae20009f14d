from operator import lt, ne

import numpy as np
import pandas as pd
import torch

from polyp.course.exercises.notebook_09 import (
    check_count_weights,
    check_load_by_order,
    check_observation,
    check_two_rates,
    conv_weights,
    two_groups,
)


def count(expand=lambda n, e: n * n * e if e > 1 else 0, each=lambda inner: 1):
    def count_weights(n, m, e, k):
        return expand(n, e) + k * k * n * e * each(n * e) + n * e * m

    return count_weights


def same_shape(old, tensor):
    return old.shape == tensor.shape


def broadcasts(old, tensor):
    try:
        return tensor.expand_as(old) is not None
    except RuntimeError:
        return False


def load(error=ValueError, fits=same_shape, wrong_number=lt, buffers=True, say="{} does not fit"):
    """Load by order; without `error`, whatever torch raises."""

    def load_by_order(module, tensors):
        ours = {name: old for name, old in module.state_dict().items() if buffers or "running" not in name}
        if error and wrong_number(len(tensors), len(module.state_dict())):
            raise error("wrong number")
        pairs = list(zip(module.state_dict(), tensors.values(), strict=False))
        for name, tensor in pairs:
            if error and name in ours and not fits(ours[name], tensor):
                raise error(say.format(name))
        for name, tensor in pairs:
            if name in ours:
                ours[name].copy_(tensor)

    return load_by_order


def one_by_one(module, tensors):
    for old, tensor in zip(
        module.state_dict().values(), [*tensors.values(), *[torch.zeros(7)] * 8], strict=False
    ):
        if old.shape != tensor.shape:
            raise ValueError("1.weight, 1.bias, 2.bias or another does not fit")
        old.copy_(tensor)


def pop_classifier(module, tensors):
    tensors.pop("classifier.weight")
    load()(module, tensors)


def groups(decoder=1.0, frozen=True, twice=False, both=False, encoder=lambda parameters: parameters):
    def two_rates(model, lr, share):
        inside = {id(p) for p in model.encoder.parameters()}
        others = [p for p in model.parameters() if both or id(p) not in inside]
        found = [{"params": others + others[:twice], "lr": lr * decoder}]
        if share > 0:
            found.append({"params": encoder(list(model.encoder.parameters())), "lr": lr * share})
        if frozen:
            model.encoder.requires_grad_(share > 0)
        return found

    return two_rates


def all_groups(model, lr, share):
    """The encoder frozen by a rate of 0, not by leaving it out."""
    return [
        *groups()(model, lr, share),
        *([{"params": list(model.encoder.parameters()), "lr": 0.0}] * (share == 0)),
    ]


def by_name(model, lr, share, inside=lambda name: name.startswith("encoder")):
    groups = {lr: [], lr * share: []}
    for name, parameter in model.named_parameters():
        groups[lr * share if inside(name) else lr].append(parameter)
        parameter.requires_grad_(share > 0 or not inside(name))
    return [{"params": parameters, "lr": rate} for rate, parameters in groups.items() if rate > 0]


def by_right_name(model, lr, share):
    return by_name(model, lr, share, lambda name: name.split(".")[1].endswith("_0"))


def run_of(dice):
    """A `short_run` that has trained already: the last validation Dice by encoder_lr."""
    return lambda encoder_lr: (None, pd.DataFrame({"val_dice": [0.1, dice[encoder_lr]]}))


RUN = run_of({0.1: 0.712345, 0.3: 0.8, 0: 0.5, 1: 0.5})
SENTENCE = "The two differ, but I would not bet on it."

WRONG = {
    check_count_weights: [
        ("count_weights returns None; let it return a whole number", lambda n, m, e, k: None),
        (
            "(32, 16, 1, 3): you return 1824, expected 800; with expansion 1",
            count(expand=lambda n, e: n * n * e),
        ),
        ("the middle filters see one channel each", count(each=lambda inner: inner)),
        ("(16, 24, 6, 3): you return", count(expand=lambda n, e: n * e)),
    ],
    check_load_by_order: [
        ("nothing was loaded: the module's weights are still its own", lambda module, tensors: None),
        (
            "with a classifier left over: your code stopped with RuntimeError",
            lambda module, tensors: module.load_state_dict(tensors),
        ),
        ("your function changed what it was given", pop_classifier),
        (
            "with a classifier left over, after loading, 1.running_mean: at (0,) you return",
            load(buffers=False),
        ),
        ("with a classifier left over: your code stopped with ValueError", load(wrong_number=ne)),
        ("the first two tensors swapped: your code stopped with RuntimeError", load(error=None)),
        ("; raise a ValueError yourself", load(error=KeyError)),
        (
            "the last tensor missing: expected a ValueError, and nothing was",
            load(wrong_number=lambda *_: False),
        ),
        ("one number where a vector of 4 belongs: expected a ValueError", load(fits=broadcasts)),
        ("the last tensor missing: the module was half changed; compare all shapes", one_by_one),
        (
            "swapped: your ValueError says 'a shape does not fit'; name the tensor that does not fit",
            load(say="a shape does not fit"),
        ),
    ],
    check_two_rates: [
        ("two_rates returns None; let it return a list of dictionaries", lambda model, lr, share: None),
        ("with lr 0.002 and share 0.3: the rates of ", groups(decoder=0.3)),
        (
            "(encoder): you return [], expected [0.0006]; each parameter belongs in one group",
            groups(encoder=lambda p: p[1:]),
        ),
        ("you return [0.002, 0.002], expected [0.002]", groups(twice=True)),
        ("you return [0.002, 0.0006], expected [0.0006]", groups(both=True)),
        ("as groups of AdamW: your code stopped with TypeError: optimizer param", groups(encoder=set)),
        ("with lr 0.01 and share 1: the rates of", lambda model, lr, share: groups()(model, 2e-3, share)),
        ("with lr 0.002 and share 0: the rates of nodes.0_0", all_groups),
        ("with lr 0.002 and share 0: requires_grad of nodes.0_0", groups(frozen=False)),
        ("your code stopped with TypeError", lambda model, lr, share: 3),
        ("no parameter's name begins with encoder, as model.encoder is a property", by_name),
    ],
    check_observation: [
        ("fill observed with the validation Dice by encoder_lr", None, None, RUN),
        ("you noted 1 of at least 2 results", {0.1: 0.7}, SENTENCE, RUN),
        ("a key is -1; expected a number of at least 0", {-1: 0.7, 0.3: 0.8}, SENTENCE, RUN),
        ("the value of 0.3 is 80", {0.1: 0.7, 0.3: 80}, SENTENCE, RUN),
        ("encoder_lr=0.3 gives 0.8000 in its last epoch", {0.1: 0.7123, 0.3: 0.7}, SENTENCE, RUN),
        ("write into noticed, in a sentence, what you saw", {0.1: 0.7123, 0.3: 0.8}, "0.3 is better", RUN),
        ("write into noticed, in a sentence, what you saw", {0.1: 0.7123, 0.3: 0.8}, None, RUN),
    ],
}

ACCEPTED = {
    check_count_weights: [conv_weights, lambda *args: np.int64(conv_weights(*args))],
    check_load_by_order: [load(), load(say="tensors do not fit: {}")],
    check_two_rates: [two_groups, groups(), by_right_name],
    check_observation: [
        ({0.1: 0.712345, 0.3: 0.8}, SENTENCE, RUN),
        ({0.3: np.float32(0.8), 0.1: 0.71}, SENTENCE, RUN),
        ({0: torch.tensor(0.5), 1: 0.5}, SENTENCE, RUN),
    ],
}
