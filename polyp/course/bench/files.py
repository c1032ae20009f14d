"""From a folder of frames to a folder of masks, and how much of that time the network takes."""

import itertools
import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from polyp.course.bench.turns import Plan, Section, take_turns
from polyp.data.synthetic import write_dataset
from polyp.run.engines import Engine
from polyp.run.predictor import Predictor, load


class Timing:
    """An engine that adds up the time it computes."""

    def __init__(self, engine: Engine):
        self.engine, self.size, self.seconds = engine, engine.size, 0.0

    def probs(self, image: np.ndarray, mirror: bool = False) -> np.ndarray:
        return self._timed(self.engine.probs, image, mirror)

    def confirm(self, image: np.ndarray, probs: np.ndarray) -> np.ndarray:
        return self._timed(self.engine.confirm, image, probs)

    def _timed(self, work: Any, *arguments: Any) -> np.ndarray:
        start = time.perf_counter()
        answer = work(*arguments)
        self.seconds += time.perf_counter() - start
        return answer


def measure(plan: Plan, folder: Path) -> Section:
    """Frames of 288 x 384, by the bundled model."""
    data = write_dataset(folder / "frames", sequences=2, frames=2 if plan.quick else 20)
    frames = sum(1 for _ in (data / "images").iterdir())
    number = itertools.count()
    timings: dict[str, Timing] = {}

    def side(name: str, **options: Any):
        model = load(**options)
        timings[name] = Timing(model.engine)
        timed = Predictor(timings[name], model.metadata, model.point)

        def work() -> None:
            timings[name].seconds = 0.0
            timed.predict(data / "images").save(folder / f"masks_{next(number)}")

        return work

    sides = {
        "PyTorch, four looks": side("PyTorch, four looks", engine="torch"),
        "as it comes, four looks": side("as it comes, four looks"),
        "as it comes, one look": side("as it comes, one look", second_look=False),
    }
    times = take_turns(sides, 1 if plan.quick else plan.rounds, "PyTorch, four looks")
    rows = [
        {
            "way": name,
            "frames_per_s": frames / timed.seconds,
            "ratio": timed.ratio,
            "network_share": timings[name].seconds / timed.seconds,
        }
        for name, timed in times.items()
    ]
    note = "the network's share is of the last round; decoding and encoding go on beside it"
    return Section(f"From {frames} PNG files of 288 x 384 to masks, {os.cpu_count()} cores", rows, (note,))
