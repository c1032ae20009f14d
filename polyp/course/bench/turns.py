"""How speed is compared: the sides take turns, so that a machine that drifts slows all of them."""

import time
from collections.abc import Callable, Mapping
from statistics import median
from typing import Any, NamedTuple

import torch

from polyp.run.hardware import keep_memory


class Plan(NamedTuple):
    """How much to measure, and where."""

    quick: bool
    device: torch.device

    @property
    def rounds(self) -> int:
        """How often each side takes its turn, after one turn to warm up."""
        return 2 if self.quick else 3

    @property
    def steps(self) -> int:
        """How often a turn does its work: the first warms memory; a GPU works ahead until one is fetched."""
        return 10 if self.device.type == "cuda" else 2


class Section(NamedTuple):
    """One table: a row per way of doing the same work, the columns' names with their units."""

    title: str
    rows: list[dict[str, Any]]
    notes: tuple[str, ...] = ()


class Timed(NamedTuple):
    """One side: the median of its seconds; how many times as long the reference took in the same round."""

    seconds: float
    ratio: float
    lowest: float
    highest: float


def take_turns(sides: Mapping[str, Callable[[], object]], rounds: int, reference: str) -> dict[str, Timed]:
    """Time all sides, one after the other, again and again.

    Args:
        sides: by name, the work of each.
        rounds: how often, after one round that is not counted.
        reference: the side that the ratios compare with; above 1 is faster than it.
    """
    times: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds + 1):
        for name, work in sides.items():
            seconds = stopwatch(work)
            if number:
                times[name].append(seconds)
    found = {}
    for name, own in times.items():
        ratios = [theirs / ours for theirs, ours in zip(times[reference], own, strict=True)]
        found[name] = Timed(median(own), median(ratios), min(ratios), max(ratios))
    return found


def with_usual_memory(work: Callable[[], object]) -> Callable[[], object]:
    """The same work where the C library gives freed memory back, as it does without `keep_memory`."""

    def wrapped() -> object:
        keep_memory(False)
        try:
            return work()
        finally:
            keep_memory()

    return wrapped


def stopwatch(work: Callable[[], object]) -> float:
    """Seconds until the work is done, on a GPU too."""
    start = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


class Gemm:
    """A large matrix product: what the hardware gives at best, by its own library."""

    def __init__(self, dtype: torch.dtype, device: torch.device):
        size = 8192 if device.type == "cuda" else 2048
        self.a, self.b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
        self.times = 3
        self.gflop = self.times * 2 * size**3 / 1e9  # of one turn

    def __call__(self) -> None:
        for _ in range(self.times):
            self.a @ self.b
