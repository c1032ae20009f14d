"""How OpenMP's threads should wait: a training step alone on the machine, and beside a process that is busy.

torch reads both settings when it is imported, so each is measured in a process of its own.
"""

import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

SETTINGS: dict[str, dict[str, str]] = {
    "default": {},
    "OMP_WAIT_POLICY=PASSIVE": {"OMP_WAIT_POLICY": "PASSIVE"},
    "OMP_NUM_THREADS=1": {"OMP_NUM_THREADS": "1"},
}

STEP = """
import json, time, torch
from polyp.config import configure
from polyp.model import bce_dice_loss, build_model, deep_supervision
config = configure("quick", precision="fp32")
torch.manual_seed(0)
model = build_model(config).to(memory_format=torch.channels_last)
optimizer = torch.optim.AdamW(model.parameters())
image = torch.randint(0, 256, (config.batch_size, 3, *config.size), dtype=torch.uint8)
target = torch.randint(0, 2, (config.batch_size, 1, *config.size), dtype=torch.uint8)
times = []
for _ in range(STEPS):
    wall, cpu = time.perf_counter(), time.process_time()
    loss = deep_supervision(bce_dice_loss, model(image), target)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    times.append([1000 * (time.perf_counter() - wall), 1000 * (time.process_time() - cpu)])
print(json.dumps(times[STEPS // 4:]))
"""


def threads(data_path: str | Path | None = None, steps: int = 16, rounds: int = 2) -> dict[str, Any]:
    """Measure one training step of preset `quick` under each of `SETTINGS`.

    Args:
        data_path: not used; every measurement takes one.
        steps: in each process, of which the first quarter is not counted.
        rounds: how often every setting takes its turn.

    Returns:
        cores; torch; ms: for `alone` and `beside a busy process`, by setting, the medians of a step's wall
        and CPU time in milliseconds.
    """
    times: dict[str, dict[str, list]] = {"alone": {}, "beside a busy process": {}}
    for _ in range(rounds):
        for busy, found in zip((False, True), times.values(), strict=True):
            for name, environment in SETTINGS.items():
                with _busy_process(busy):
                    found.setdefault(name, []).extend(_steps(environment, steps))
    return {
        "cores": os.cpu_count(),
        "torch": version("torch"),
        "ms": {
            place: {
                name: {"wall": round(median(wall), 1), "cpu": round(median(cpu), 1)}
                for name, rows in by_setting.items()
                for wall, cpu in [zip(*rows, strict=True)]
            }
            for place, by_setting in times.items()
        },
    }


def _steps(environment: dict[str, str], steps: int) -> list[list[float]]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("OMP_")}
    done = subprocess.run(
        [sys.executable, "-c", STEP.replace("STEPS", str(steps))],
        env=inherited | environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return json.loads(done.stdout)


@contextmanager
def _busy_process(wanted: bool):
    """Another program that keeps one core busy."""
    if not wanted:
        yield
        return
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as process:
        time.sleep(0.2)
        try:
            yield
        finally:
            process.kill()
