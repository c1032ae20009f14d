"""Checkers of notebook 06, training."""

from collections.abc import Callable

import torch
from torch import Tensor

from polyp.config import Config
from polyp.course.exercises import NotYet, Verdict, checker, compare, correct, noted, number
from polyp.model.losses import bce_dice_loss, deep_supervision
from polyp.model.network import build_model


@checker
def check_peak_step(peak_step: int | None) -> Verdict:
    """Exercise 1: the step of 200 at which the one-cycle schedule is first at its highest."""
    if peak_step is None:
        raise NotYet("put the number of the step into peak_step.")
    step = number(peak_step, "peak_step")
    if step == 60:
        raise NotYet("60 is as high, but not the first: the 60 steps of the rise are numbered 0 to 59.")
    if step != 59:
        raise NotYet(f"{step:g}; 30 % of 200 steps is 60, and the first step has number 0.")
    return correct("the rise takes the steps 0 to 59.")


@checker
def check_train_step(train_step: Callable[..., float]) -> Verdict:
    """Exercise 2: `train_step(model, optimizer, image, target)` takes a step, and its loss is a number."""
    compare(
        lambda: _losses(train_step),
        {"three steps": ()},
        lambda: _losses(_train_step),
        nothing="train_step returns None; let it take the step and return the loss as a number.",
        close=1e-3,
        parts=("the first loss", "the first loss is right, the second", "the first two are right, the third"),
        hints={
            "the weights have not moved; are backward() and optimizer.step() there?": (
                lambda: _losses(_train_step, move=False)
            ),
            "are the gradients of the step before forgotten?": lambda: _losses(_train_step, forget=False),
        },
    )
    if any(isinstance(loss, Tensor) for loss in _losses(train_step) or ()):
        raise NotYet("the loss is a tensor, which keeps the whole graph alive; return loss.item().")
    return correct("your three steps give the same losses as ours.")


def _losses(step: Callable[..., float], **mistake: bool) -> list[float] | None:
    """The losses of three steps from always the same weights; None if the first is None."""
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(0, 256, (4, 3, 16, 16), dtype=torch.uint8, generator=generator)
    target = (torch.rand(4, 1, 16, 16, generator=generator) > 0.7).to(torch.uint8)
    torch.manual_seed(0)
    model = build_model(Config(widths=(4, 8))).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    losses = [step(model, optimizer, image, target, **mistake) for _ in range(3)]
    return None if losses[0] is None else losses


def _train_step(model, optimizer, image, target, forget: bool = True, move: bool = True) -> float:
    """The oracle; `forget` and `move` make the usual mistakes."""
    loss = deep_supervision(bce_dice_loss, model(image), target)
    if forget:
        optimizer.zero_grad()
    if move:
        loss.backward()
        optimizer.step()
    return loss.item()


@checker
def check_comparison(dice_of: dict[str, float] | None) -> Verdict:
    """Exercise 3: two or more runs, each with a Dice that training can give."""
    nothing = "fill dice_of with the best validation Dice of two runs."
    found = noted(dice_of, nothing=nothing, least=2)
    if len(set(found.values())) == 1:
        raise NotYet("all runs have exactly the same Dice; did anything change between them?")
    return correct("two runs to compare. A difference counts when it survives other seeds.")
