import tempfile
from dataclasses import dataclass, field
from functools import cache

import numpy as np
import torch

from polyp.config import Config, changed, configure
from polyp.course.exercises.notebook_06 import check_comparison, check_rate, check_train_step
from polyp.data.synthetic import write_dataset
from polyp.model.losses import bce_dice_loss, bce_loss, deep_supervision
from polyp.run.fitting import fit
from polyp.run.folder import RunFolder


def step(loss=bce_dice_loss, forget=True, move=True, told=lambda loss: loss.item(), heads=slice(None)):
    def train_step(model, optimizer, image, target):
        found = deep_supervision(loss, model(image)[heads], target)
        if forget:
            optimizer.zero_grad()
        if move:
            found.backward()
            optimizer.step()
        return told(found)

    return train_step


def cleared_too_late(model, optimizer, image, target):
    loss = deep_supervision(bce_dice_loss, model(image), target)
    loss.backward()
    optimizer.zero_grad()
    optimizer.step()
    return loss.item()


@cache
def tiny():
    """The settings of runs that take a second; their frames are drawn when a checker first asks."""
    folder = write_dataset(f"{tempfile.mkdtemp()}/frames", seed=3, sequences=6, frames=4, height=48, width=64)
    settings = {"size": (32, 32), "widths": (4, 8), "epochs": 1, "batch_size": 8, "precision": "fp32"}
    return configure(data=str(folder), augment="flips", **settings)


@cache
def trained(**settings):
    """A finished run."""
    place = f"{tempfile.mkdtemp()}/run"
    return fit(changed(tiny(), **settings), place, progress=False, pictures=False)


@dataclass
class Claimed:
    """A run as its folder tells of it."""

    settings: dict = field(default_factory=dict)
    dice: float = 0.9

    def config(self) -> Config:
        return changed(tiny(), **self.settings)

    def metrics(self):
        return {"epoch": 1, "val": {"dice_per_image": self.dice}}

    @property
    def best(self):
        return trained().best


class Real:
    """The same of a real run."""

    def __init__(self, **settings):
        self.settings = settings

    def __getattr__(self, name):
        return getattr(trained(**self.settings), name)


WRONG = {
    check_train_step: [
        ("train_step returns None; let it take the step", step(told=lambda loss: None)),
        ("'NoneType' object is not callable", None),
        ("the first loss: you return", step(bce_loss)),
        ("the first loss: you return", lambda model, optimizer, image, target: 0.0),
        ("the loss of the last head alone", step(heads=slice(-1, None))),
        ("the first loss is right, the second: you return", step(move=False)),
        ("the weights have not moved; are backward() and optimizer.step() there?", cleared_too_late),
        ("are the gradients of the step before forgotten?", step(forget=False)),
        ("the loss is a tensor, which keeps the whole graph alive", step(told=lambda loss: loss)),
        ("your code stopped with AttributeError", step(told=lambda loss: loss.items())),
    ],
    check_rate: [
        ("put the learning rate that you found into sgd_rate.", None),
        ("you give 'high', expected sgd_rate to be a number", "high"),
        ("sgd_rate is -0.1; expected a number from 0", -0.1),
        ("too short", 1e-3),
        ("too long", 30.0),
        ("hardly below where it began", 0),
        ("the loss is no number any more", 1e30),
    ],
    check_comparison: [
        ("put the run folders that fit has returned into runs", None),
        ("put the run folders that fit has returned into runs", {"none": 0.41, "flips": 0.44}),
        ("that is one run", [Claimed()]),
        ("should hold finished runs", [0.41, 0.44]),
        ("should hold finished runs", [RunFolder("nowhere"), RunFolder("elsewhere")]),
        ("the runs have the same settings", [Claimed(), Claimed()]),
        ("only the seed differs", [Claimed(), Claimed({"seed": 1})]),
        ("augment and lr differ", [Claimed(), Claimed({"lr": 0.1, "augment": "none"})]),
        ("the best run says 0.900, but its weights score", [Claimed(), Claimed({"lr": 0.1}, 0.2)]),
    ],
}

ACCEPTED = {
    check_train_step: [step(told=lambda loss: np.float32(loss.detach()))],
    check_rate: [0.5, np.float32(0.5), torch.tensor(0.5)],
    check_comparison: [[Real(), Real(augment="none")]],
}
