"""One process with all threads against two that share them, training the same batches."""

import csv
import os
import subprocess
import sys
from pathlib import Path
from statistics import median

from polyp.course.bench.turns import Plan, Section
from polyp.data.synthetic import write_dataset
from polyp.errors import DataError

FLAGS = ("--preset", "transfer", "--no-pretrained", "--workers", "0", "--batch-size", "8")


def measure(plan: Plan, folder: Path) -> Section:
    """Whole epochs of `polyp train`, the first of which is not counted; validation included."""
    title = "Training EfficientNet-Lite0 UNet++, 256 x 256, batch 8, by one process and by two"
    cores = os.cpu_count() or 1
    if plan.quick or cores < 2 or plan.device.type == "cuda":
        return Section(title, [], ("not measured: needs two cores, no GPU, and more time than --quick",))
    data = write_dataset(folder / "frames", sequences=8, frames=8)
    ways = {f"1 process, {cores} threads": 1, f"2 processes, {cores // 2} threads each": 2}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(2):
        for name, processes in ways.items():
            run = folder / f"run_{processes}_{number}"
            seconds[name] += _train(data, run, processes, cores // processes)
    reference = median(next(iter(seconds.values())))
    rows = [
        {"way": name, "s_per_epoch": median(times), "ratio": reference / median(times)}
        for name, times in seconds.items()
    ]
    return Section(title, rows)


def _train(data: Path, run: Path, processes: int, threads: int) -> list[float]:
    """The seconds of each epoch after the first."""
    launcher = (
        ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)]
        if processes > 1
        else []
    )
    command = [
        sys.executable,
        *launcher,
        "-m",
        "polyp",
        "train",
        *FLAGS,
        "--data",
        str(data),
        "--out",
        str(run),
    ]
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    done = subprocess.run([*command, "--epochs", "4"], env=environment, capture_output=True, text=True)
    if done.returncode:
        raise DataError(f"the training by {processes} process(es) failed: {done.stderr.strip()[-300:]}")
    with open(run / "log.csv") as file:
        return [float(row["seconds"]) for row in csv.DictReader(file)][1:]
