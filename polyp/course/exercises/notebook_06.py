"""Checkers of notebook 06, training."""

import math

import torch

from polyp.config import ModelConfig
from polyp.course.exercises import Verdict, checker, correct, not_yet
from polyp.model.losses import bce_dice_loss, deep_supervision
from polyp.model.network import build_model


@checker
def check_peak_step(peak_step: int) -> Verdict:
    """The step of 200 at which the one-cycle schedule is highest."""
    if peak_step is None:
        return not_yet("put the number of the step into peak_step.")
    if peak_step == 60:
        return not_yet("60 is as high, but not the first: the 60 steps of the rise are numbered 0 to 59.")
    if peak_step != 59:
        return not_yet(f"{peak_step}; 30 % of 200 steps is 60, and the first step has number 0.")
    return correct("the rise takes the steps 0 to 59.")


@checker
def check_train_step(train_step) -> Verdict:
    """Three steps with the learner's function against three steps written here."""
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(0, 256, (4, 3, 16, 16), dtype=torch.uint8, generator=generator)
    target = (torch.rand(4, 1, 16, 16, generator=generator) > 0.7).to(torch.uint8)
    models, losses = [], []
    for step in (_train_step, train_step):
        torch.manual_seed(0)
        model = build_model(ModelConfig(widths=(4, 8))).train()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        start = [p.detach().clone() for p in model.parameters()]
        losses.append([step(model, optimizer, image, target) for _ in range(3)])
        models.append(model)
    if losses[1][0] is None:
        return not_yet("train_step returns None; let it take the step and return the loss as a number.")
    if isinstance(losses[1][0], torch.Tensor):
        return not_yet("the loss is a tensor, which keeps the whole graph alive; return loss.item().")
    if all(torch.equal(a, b) for a, b in zip(start, models[1].parameters(), strict=True)):
        return not_yet("the weights have not moved; are backward() and optimizer.step() there?")
    if not math.isclose(losses[1][0], losses[0][0], rel_tol=1e-3):
        return not_yet(f"the first loss is {losses[1][0]:.4f}, expected {losses[0][0]:.4f}.")
    if not math.isclose(losses[1][2], losses[0][2], rel_tol=1e-3):
        return not_yet(
            f"the first step is right, the third loss is {losses[1][2]:.4f}, expected {losses[0][2]:.4f}; "
            "are the gradients of the step before forgotten?"
        )
    return correct("your three steps give the same losses as ours.")


def _train_step(model, optimizer, image, target) -> float:
    loss = deep_supervision(bce_dice_loss, model(image), target)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


@checker
def check_comparison(dice_of: dict[str, float]) -> Verdict:
    """Two or more runs, each with a Dice that training can give."""
    if dice_of is None:
        return not_yet("fill dice_of with the best validation Dice of two runs.")
    if not isinstance(dice_of, dict) or len(dice_of) < 2:
        return not_yet(f"{dice_of!r}; expected a dictionary with at least two runs.")
    for name, dice in dice_of.items():
        if not 0 <= float(dice) <= 1:
            return not_yet(f"the Dice of {name!r} is {dice}; a Dice lies between 0 and 1.")
    if len({float(dice) for dice in dice_of.values()}) == 1:
        return not_yet("all runs have exactly the same Dice; did anything change between them?")
    return correct("two runs to compare. A difference counts when it survives other seeds.")
