"""Checkers of notebook 10: seven accusations, an alarm, and mistakes of one's own.

The game is in `polyp.course.detective`; to read that before the cases are closed spoils it.
"""

import copy
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from polyp.course.detective import cases
from polyp.course.detective.cases import Case, cold_case, open_case
from polyp.course.detective.clues import TESTS
from polyp.course.detective.programs import SUSPECTS, Program, Scene
from polyp.course.exercises import NotYet, Verdict, ask, checker, correct, number, read, show
from polyp.model.network import SegmentationNetwork, UNet

__all__ = ["SUSPECTS", "TESTS", "Program", "Scene", "cold_case", "company_matters", "open_case", "rank"]

_closed: dict[int, int] = {}  # case -> tests, in this kernel


def rank() -> str:
    """The detective's rank, by the cases closed in this kernel and in the saved notebook beside it."""
    return cases.rank(_closed)


def _judge(case_number: int, accused: object, case: Case) -> Verdict:
    if not isinstance(case, Case) or case.name != f"case {case_number}":
        raise NotYet(f"expected case_{case_number}, as open_case({case_number}, scene) opens it")
    verdict = correct(case.judge(accused))
    _closed[case_number] = case.cost
    return verdict


def _checker_of(case_number: int) -> Callable[..., Verdict]:
    def check_case(accused: object, case: Case) -> Verdict:
        return _judge(case_number, accused, case)

    check_case.__name__ = f"check_case_{case_number}"
    check_case.__doc__ = f"Exercise {case_number}: who did it in case {case_number}?"
    return checker(check_case)


check_case_1, check_case_2, check_case_3, check_case_4 = map(_checker_of, (1, 2, 3, 4))
check_case_5, check_case_6, check_case_7 = map(_checker_of, (5, 6, 7))


@torch.no_grad()
def company_matters(model: SegmentationNetwork, images: Tensor) -> float:
    """How far the first frame's probabilities move when others join its batch; the network stays as it is."""
    asked = copy.deepcopy(model)  # in training mode every question changes the running statistics
    alone = asked(images[:1])[-1].sigmoid()
    together = asked(images)[-1][:1].sigmoid()
    return (alone - together).abs().max().item()


@checker
def check_company(company: Callable[[SegmentationNetwork, Tensor], float]) -> Verdict:
    """Exercise 8: `company(model, images)` is an alarm for networks in training mode.

    It returns how far the first frame's probabilities move, at most, when the others join its batch, and
    leaves the network as it was: its mode and its buffers.
    """
    images = torch.randint(
        0, 256, (4, 3, 16, 16), generator=torch.Generator().manual_seed(0), dtype=torch.uint8
    )
    images[1:] //= 8  # three dark frames
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = UNet((4, 8))
    found = {}
    for case, model in {
        "a network in evaluation mode": copy.deepcopy(network).eval(),
        "a network in training mode": copy.deepcopy(network).train(),
    }.items():
        expected, before = company_matters(model, images), copy.deepcopy(model.state_dict())
        training = [part.training for part in model.modules()]
        got = ask(
            company,
            model,
            images,
            case=case,
            nothing="company returns nothing; return the largest difference",
        )
        found[case] = number(got, f"{case}: what you return")
        if [part.training for part in model.modules()] != training:
            raise NotYet(
                f"{case}: your alarm has changed the network's mode; its owner still needs it as it was"
            )
        if any(
            not old.equal(new) for old, new in zip(before.values(), model.state_dict().values(), strict=True)
        ):
            raise NotYet(
                f"{case}: your alarm has changed the network: in training mode each question moves the "
                "running statistics; ask a copy"
            )
        if abs(found[case] - expected) > 1e-3:
            hint = ""
            if expected > 1e-3 and abs(found[case]) <= 1e-3:
                hint = "; model.eval() would hide what you are looking for"
            elif expected <= 1e-3:
                hint = "; compare the first frame with itself, alone and first of the batch"
            raise NotYet(f"{case}: you return {show(got)}, expected {show(expected)}{hint}")
    moved = found["a network in training mode"]
    return correct(f"the alarm is silent in evaluation mode, and rings at {moved:.2f} in training mode")


Change = Callable[[Tensor], Tensor]


@checker
def check_own_case(
    changes: Mapping[str, Change] | None, guess: str | None, dice_of: Callable[[Change], float]
) -> Verdict:
    """Exercise 9: at least three mistakes of one's own, measured again, and a guess which costs most.

    A change takes frames uint8 (N, 3, H, W) and returns frames of that kind.
    """
    if not isinstance(changes, Mapping) or not changes:
        raise NotYet("changes is missing; make it a dictionary {name: function of the frames}")
    if len(changes) < 3:
        raise NotYet(f"you have {len(changes)} of at least three mistakes")
    frames = torch.randint(
        0, 256, (2, 3, 6, 7), generator=torch.Generator().manual_seed(0), dtype=torch.uint8
    )
    for name, change in changes.items():
        got = ask(
            change, frames, case=f"{name!r}", nothing=f"{name!r} returns nothing; return the changed frames"
        )
        got = read(torch.as_tensor, got, f"frames from {name!r}")
        if got.shape != frames.shape or got.dtype != torch.uint8:
            raise NotYet(f"{name!r}: you return {show(got)}, expected a tensor (2, 3, 6, 7) of uint8")
        if got.equal(frames):
            raise NotYet(f"{name!r} changes nothing")
    if guess not in changes:
        raise NotYet(
            f"guess is {guess!r}; first guess which costs most: one of {', '.join(map(repr, changes))}"
        )
    honest = dice_of(lambda x: x)
    costs = {name: honest - dice_of(change) for name, change in changes.items()}
    worst = max(costs, key=lambda name: costs[name])
    bill = ", ".join(
        f"{name!r} {cost:+.2f}" for name, cost in sorted(costs.items(), key=lambda pair: -pair[1])
    )
    right = "as you guessed" if worst == guess else f"you guessed {guess!r}"
    return correct(f"of an honest Dice of {honest:.2f} they cost: {bill}. The worst is {worst!r}, {right}")
