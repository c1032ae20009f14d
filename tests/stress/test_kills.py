"""Twenty SIGKILLs in one run, some in the middle of a write: resumed, it ends as if never killed."""

import builtins
import itertools
import os
import signal
import time

import numpy as np
import pytest
import torch

from polyp.config import changed
from polyp.run.checkpoint import read_checkpoint
from polyp.run.fitting import fit

pytestmark = [
    pytest.mark.stress,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="SIGKILL and fork are Unix's"),
]
KILLS = 20


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def dies_in(name: str, count: int) -> None:
    """From now on, this process dies in the `count`-th call: before it, or in a write after half of it."""
    calls = itertools.count(1)
    if name == "write":
        real = builtins.open

        def opened(path, mode="r", *args, **kwargs):
            file = real(path, mode, *args, **kwargs)
            if "w" not in mode or next(calls) < count:
                return file
            write = file.write

            class Half:
                def __enter__(self):
                    return self

                def __exit__(self, *error):
                    file.close()

                def write(self, data):
                    write(data[: len(data) // 2])
                    file.flush()
                    die()

            return Half()

        builtins.open = opened
    else:
        real = getattr(os, name)
        setattr(os, name, lambda *args, **kwargs: real(*args, **kwargs) if next(calls) < count else die())


def test_twenty_kills(tiny, tmp_path, tried):
    config = changed(tiny, epochs=60, augment="standard")
    fit(config, tmp_path / "whole", progress=False, pictures=False)
    rng, run, kills = np.random.default_rng(0), tmp_path / "killed", 0
    for k in itertools.count():
        moment = ("clock", "replace", "fsync", "write")[k % 4]
        count, seconds = int(rng.integers(2, 9)), float(rng.uniform(0.05, 1.0))
        child = os.fork()
        if child == 0:
            if kills < KILLS and moment != "clock":
                dies_in(moment, count)
            torch.set_num_threads(1)
            fit(config, run, resume=(run / "config.json").exists(), progress=False, pictures=False)
            os._exit(0)
        if kills < KILLS and moment == "clock":
            time.sleep(seconds)
            os.kill(child, signal.SIGKILL)
        status = os.waitpid(child, 0)[1]
        if not os.WIFSIGNALED(status):
            assert status == 0
            break
        kills += 1
        tried("a run, killed and resumed", "right")
    assert kills >= KILLS
    for name in ("last.safetensors", "best.safetensors"):
        ours, theirs = (read_checkpoint(place / name)[0] for place in (run, tmp_path / "whole"))
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    assert not [path for path in run.rglob("*") if path.name.endswith(".tmp")]
