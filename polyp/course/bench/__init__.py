"""`polyp bench`: what speed there is, as ratios, each measured within one process on one machine.

Times on a shared machine drift, so the sides of every comparison take turns, each row gives the median of its
rounds, and only ratios are worth quoting. Run it alone: `polyp bench --out bench.json`.
"""

import json
import os
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from polyp.course.bench import files, growth, inference, loading, processes, training
from polyp.course.bench.turns import Plan, Section
from polyp.disk import write_atomic
from polyp.run.hardware import choose_device, machine

# In this order; each takes a plan and an empty folder, and returns a table.
SECTIONS: dict[str, Callable[[Plan, Path], Section]] = {
    "loading": loading.measure,
    "training": training.measure,
    "forward": training.measure_forward,
    "shipped": training.measure_shipped,
    "processes": processes.measure,
    "inference": inference.measure,
    "files": files.measure,
    "growth": growth.measure,
}


def bench(quick: bool = False, out: str | Path | None = None, only: tuple[str, ...] = ()) -> dict[str, Any]:
    """Measure, and print one table per section; with `out`, write all of it as JSON.

    Args:
        quick: fewer rounds of smaller work, under a minute on 2 cores; its ratios are a first impression.
        out: a JSON file.
        only: which `SECTIONS`; all by default. Others that `out` holds from this machine are kept there.

    Returns:
        what made the figures (machine, cores, threads, torch, date), and `sections`: for each its title,
        notes, and rows, one per way, whose columns carry their units.
    """
    plan = Plan(quick, choose_device())
    found: dict[str, Any] = {
        "machine": machine(),
        "processor": processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "system": platform.system(),
        "date": time.strftime("%Y-%m-%d"),
        "quick": quick,
        "sections": {},
    }
    if only and out is not None:
        found["sections"] = _kept(Path(out), found)
    print(f"{found['machine']} ({found['processor']}), {found['threads']} threads, torch {found['torch']}")
    for name in only or SECTIONS:
        with tempfile.TemporaryDirectory() as folder:
            section = SECTIONS[name](plan, Path(folder))
        print(f"\n{section.title}" + (f"\n{_table(section.rows)}" if section.rows else ""), flush=True)
        for note in section.notes:
            print(f"({note})")
        found["sections"][name] = section._asdict()
        if out is not None:  # after each, so that an interrupted run keeps what it measured
            write_atomic(out, json.dumps(found, indent=1) + "\n")
    return found


def _kept(out: Path, found: dict[str, Any]) -> dict[str, Any]:
    """The sections of an earlier run that the same machine, packages and amount of work made."""
    try:
        earlier = json.loads(out.read_text())
        same = all(earlier[name] == found[name] for name in found if name not in ("date", "sections"))
        return dict(earlier["sections"]) if same else {}
    except (OSError, ValueError, TypeError, KeyError):  # nothing there, or nothing of ours
        return {}


def processor() -> str:
    """The processor's name, as the system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _table(rows: list[dict[str, Any]]) -> str:
    return pd.DataFrame(rows).to_string(index=False, na_rep="", float_format=lambda value: f"{value:.3g}")
