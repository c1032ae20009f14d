"""How time grows with the number of images, their pixels, and the network's widths."""

from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np

from polyp.config import Config
from polyp.course.bench.training import our_step, random_batch
from polyp.course.bench.turns import Plan, Section, stopwatch

WIDTHS = (8, 16, 32, 64, 128)


def measure(plan: Plan, folder: Path) -> Section:
    """Training steps of UNet++; the exponent p of time ~ size ** p is fitted to the logarithms."""
    halves, images, largest = (2, 2, 128) if plan.quick else (3, 8, 256)
    factors = [2.0**-step for step in reversed(range(halves))]

    def step(frames: int = 2, side: float = 1, width: float = 1) -> Callable[[], object]:
        config = Config(widths=tuple(round(width * channels) for channels in WIDTHS))
        size = round(largest * side)
        return our_step(config, plan, random_batch(plan, (size, size), frames))

    varied: dict[str, tuple[list[float], list[Callable[[], object]]]] = {
        "images in a batch": (
            [images * factor for factor in factors],
            [step(frames=round(images * factor)) for factor in factors],
        ),
        "pixels of a frame": (
            [(largest * factor) ** 2 for factor in factors],
            [step(side=factor) for factor in factors],
        ),
        "channels of every node": (
            [WIDTHS[0] * factor for factor in factors],
            [step(width=factor) for factor in factors],
        ),
    }
    rows = []
    for name, (sizes, steps) in varied.items():
        times = [median([stopwatch(work) for _ in range(plan.rounds + 1)][1:]) for work in steps]
        exponent = np.polyfit(np.log(sizes), np.log(times), 1)[0]
        rows.append(
            {
                "what": name,
                "from": sizes[0],
                "to": sizes[-1],
                "ms_from": 1000 * times[0] / plan.steps,
                "ms_to": 1000 * times[-1] / plan.steps,
                "exponent": float(exponent),
            }
        )
    note = (
        "1 is in proportion; channels grow in both directions of a convolution, so 2 would be its arithmetic"
    )
    return Section(f"How a training step of UNet++ (widths {WIDTHS}) grows", rows, (note,))
