"""Checkers of notebook 06, training; and the runs whose learning rate is to be found."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from polyp.config import Config
from polyp.course.exercises import NotYet, Verdict, checker, compare, correct, number, show
from polyp.data.dataset import open_data
from polyp.errors import DataError
from polyp.model.losses import bce_dice_loss, deep_supervision
from polyp.model.network import build_model
from polyp.run.checkpoint import load_model
from polyp.run.folder import RunFolder
from polyp.run.validation import validate


@checker
def check_train_step(train_step: Callable[..., float]) -> Verdict:
    """Exercise 1: `train_step(model, optimizer, image, target)` takes a step, and its loss is a number."""
    compare(
        lambda: _losses(train_step),
        {"three steps": ()},
        lambda: _losses(train_step_of_polyp),
        nothing="train_step returns None; let it take the step and return the loss as a number.",
        close=1e-3,
        parts=("the first loss", "the first loss is right, the second", "the first two are right, the third"),
        hints={
            "the weights have not moved; are backward() and optimizer.step() there?": (
                lambda: _losses(train_step_of_polyp, move=False)
            ),
            "are the gradients of the step before forgotten?": (
                lambda: _losses(train_step_of_polyp, forget=False)
            ),
            "that is the loss of the last head alone; deep_supervision averages over all of them.": (
                lambda: _losses(train_step_of_polyp, heads=slice(-1, None))
            ),
        },
    )
    if any(isinstance(loss, Tensor) for loss in _losses(train_step) or ()):
        raise NotYet("the loss is a tensor, which keeps the whole graph alive; return loss.item().")
    return correct("your three steps give the same losses as ours.")


def _losses(step: Callable[..., float], **mistake: Any) -> list[float] | None:
    """The losses of three steps from always the same weights; None if the first is None."""
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(0, 256, (4, 3, 16, 16), dtype=torch.uint8, generator=generator)
    target = (torch.rand(4, 1, 16, 16, generator=generator) > 0.7).to(torch.uint8)
    model = _small_network((4, 8, 12))  # two heads
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    losses = [step(model, optimizer, image, target, **mistake) for _ in range(3)]
    return None if losses[0] is None else losses


def _small_network(widths: tuple[int, ...]) -> torch.nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return build_model(Config(widths=widths)).train()


def train_step_of_polyp(
    model, optimizer, image, target, forget: bool = True, move: bool = True, heads: slice = slice(None)
) -> float:
    """One step of training; `forget`, `move` and `heads` make the usual mistakes."""
    loss = deep_supervision(bce_dice_loss, model(image)[heads], target)
    if forget:
        optimizer.zero_grad()
    if move:
        loss.backward()
        optimizer.step()
    return loss.item()


def sgd_losses(rate: float, steps: int = 40) -> list[float]:
    """The losses of a small network on eight toy frames, after each step of plain SGD.

    Plain means: each weight moves by `rate` times its gradient, without momentum, clipping or schedule. The
    same rate gives the same losses on one machine.
    """
    random = np.random.default_rng(0)
    rows, columns = np.mgrid[:32, :32]
    images, masks = [], []
    for _ in range(8):
        (y, x), radius = random.uniform(8, 24, 2), random.uniform(4, 8)
        disc = (rows - y) ** 2 + (columns - x) ** 2 < radius**2
        wall = random.uniform(60, 140) + random.normal(0, 25, (32, 32))
        images.append(np.clip(wall + 50 * disc, 0, 255))
        masks.append(disc)
    image = torch.from_numpy(np.stack(images).astype(np.uint8))[:, None].expand(-1, 3, -1, -1)  # (8, 3, H, W)
    target = torch.from_numpy(np.stack(masks).astype(np.uint8))[:, None]  # (8, 1, H, W)
    model = _small_network((4, 8, 12))
    optimizer = torch.optim.SGD(model.parameters(), rate)
    return [train_step_of_polyp(model, optimizer, image, target) for _ in range(steps)]


def _ends_at(rate: float) -> float:
    """The mean of the last five losses; infinity where they are not numbers any more."""
    loss = float(np.mean(sgd_losses(rate)[-5:]))
    return loss if math.isfinite(loss) else math.inf


@checker
def check_rate(sgd_rate: float | None) -> Verdict:
    """Exercise 2: with a learning rate of which neither a fifth nor five times as much is clearly better."""
    if sgd_rate is None:
        raise NotYet("put the learning rate that you found into sgd_rate.")
    rate = float(number(sgd_rate, "sgd_rate", 0, 1e30))
    here, below, above = (_ends_at(factor * rate) for factor in (1, 0.2, 5))
    if here == math.inf:
        raise NotYet(f"with {rate:g} the loss is no number any more: far too long a step.")
    if below < 0.8 * here and below <= above:
        raise NotYet(
            f"with {rate:g} the loss ends at {here:.2f}, with a fifth of it at {below:.2f}: your steps are "
            "too long."
        )
    stuck = here > 0.8 * sgd_losses(rate, 1)[0]
    if above < 0.8 * here or (stuck and above < here):
        raise NotYet(
            f"with {rate:g} the loss ends at {here:.2f}, with five times as much at {above:.2f}: your steps "
            "are too short."
        )
    if stuck:
        raise NotYet(f"with {rate:g} the loss ends at {here:.2f}, hardly below where it began.")
    return correct(
        f"with {rate:g} the loss ends at {here:.2f}; with a fifth of it at {below:.2f}, with five times as "
        f"much at {above:.2f}."
    )


@checker
def check_comparison(runs: Sequence[RunFolder] | None, data_path: Any = None) -> Verdict:
    """Exercise 3: two or more finished runs that differ in one setting; the best one is scored again."""
    if not isinstance(runs, list | tuple) or not runs:
        raise NotYet("put the run folders that fit has returned into runs, a list.")
    if len(runs) < 2:
        raise NotYet("that is one run; a comparison needs two.")
    try:
        configs = [run.config().to_dict() for run in runs]
        dices = [run.metrics()["val"]["dice_per_image"] for run in runs]
    except (AttributeError, TypeError, DataError) as error:
        raise NotYet(f"{show(runs)} should hold finished runs, as fit returns them ({error}).") from None
    changed = [name for name in configs[0] if len({repr(config[name]) for config in configs}) > 1]
    if not changed:
        raise NotYet("the runs have the same settings; change one of them.")
    if changed == ["seed"]:
        raise NotYet("only the seed differs: that shows what luck does. Change a setting, keep the seed.")
    if len(changed) > 1:
        raise NotYet(f"{' and '.join(changed)} differ: nobody can tell which did it. Change one thing.")
    best = max(range(len(runs)), key=dices.__getitem__)
    again = _score_again(runs[best], data_path)
    if abs(again - dices[best]) > 0.005:
        raise NotYet(f"the best run says {dices[best]:.3f}, but its weights score {again:.3f} here.")
    found = ", ".join(
        f"{config[changed[0]]}: {dice:.3f}" for config, dice in zip(configs, dices, strict=True)
    )
    return correct(f"by {changed[0]}, {found}. A difference counts when it survives other seeds.")


def _score_again(run: RunFolder, data_path: Any) -> float:
    config = run.config()
    val = open_data(config, data_path).val
    assert val is not None  # a notebook refuses `refit`
    return validate(load_model(run.best)[0], val, precision=config.precision).scores["dice_per_image"]
