"""Training by two processes, as `torchrun` starts them, against training by one."""

import os
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest
import torch

from polyp.config import configure
from polyp.data.synthetic import write_dataset
from polyp.errors import UsageError
from polyp.run import distributed
from polyp.run.fitting import fit

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
SETTINGS = {
    "size": (32, 32),
    "widths": (8, 16),
    "lr": 5e-3,
    "epochs": 3,
    "batch_size": 4,
    "precision": "fp32",
}

# One step of the same batch by one process and by two, in float64, where rounding cannot hide a mistake.
STEP = """
import copy, torch
from torch.nn.functional import binary_cross_entropy_with_logits as loss
from polyp.config import Config
from polyp.model import build_model
from polyp.run import distributed
from polyp.run.shared_norm import shared_statistics

torch.manual_seed(0)
shared = build_model(Config(widths=(4, 8, 16))).double().train()
alone = copy.deepcopy(shared)
image = torch.rand(6, 3, 16, 24, dtype=torch.float64) * 255
target = (torch.rand(6, 1, 16, 24) > 0.5).double()
loss(alone(image)[-1], target).backward()
with distributed.joined(), shared_statistics(shared):
    loss(shared(distributed.share(image))[-1], distributed.share(target)).backward()
    distributed.average_gradients(shared)
    odd = torch.arange(10).view(5, 2)
    assert distributed.rejoin(distributed.share(odd), 5).equal(odd)
    value, weight = [(1.0, 3), (5.0, 1)][distributed.rank()]
    assert distributed.weighted_mean(value, weight, image.device) == 2
for one, two in zip(alone.parameters(), shared.parameters()):
    torch.testing.assert_close(two.grad, one.grad, rtol=1e-8, atol=1e-12)
for one, two in zip(alone.buffers(), shared.buffers()):
    torch.testing.assert_close(two, one, rtol=1e-8, atol=1e-12)
assert not any("Shared" in str(type(module)) for module in shared.modules())
"""


def flags(frames, **settings):
    """The same settings for the command line."""
    words = ["--data", str(frames), "--workers", "0"]
    for name, value in (SETTINGS | settings).items():
        values = value if isinstance(value, tuple) else (value,)
        words += ["--" + name.replace("_", "-"), *map(str, values)]
    return words


def by_two(*words):
    return subprocess.Popen(
        [*TORCHRUN, "-m", "polyp", "train", *words],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip


def own_lines(stderr):
    """What polyp said, without torchrun's report."""
    return [line for line in stderr.splitlines() if line.startswith("polyp train")]


@pytest.fixture(scope="module")
def odd_frames(tmp_path_factory):
    """Videos of five frames, so that two processes share five validation frames."""
    folder = tmp_path_factory.mktemp("odd") / "synthetic"
    return write_dataset(folder, seed=3, sequences=6, frames=5, height=48, width=64)


@pytest.fixture(scope="module")
def undisturbed(odd_frames, tmp_path_factory):
    """Three epochs by two processes."""
    place = tmp_path_factory.mktemp("two") / "run"
    process = by_two(*flags(odd_frames), "--out", str(place))
    said, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert said.count("epoch   1/3") == 1  # one of the two speaks
    return place


def test_a_step_of_two_is_the_step_of_one(tmp_path):
    script = tmp_path / "step.py"
    script.write_text(STEP)
    done = subprocess.run([*TORCHRUN, script], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_two_processes_train_as_one_does(undisturbed, odd_frames, tmp_path):
    config = configure("quick", data=str(odd_frames), workers=0, **SETTINGS)
    alone = fit(config, tmp_path / "one", progress=False).log()
    together = pd.read_csv(undisturbed / "log.csv")
    parts = pd.read_csv(undisturbed / "split.csv")["part"].value_counts()
    assert parts["val"] == 5
    assert together["val_iou"].max() > 0  # or the comparison would be of nothing
    for name in ("lr", "loss", "iou", "val_loss", "val_iou", "val_dice"):
        assert together[name].to_numpy() == pytest.approx(alone[name].to_numpy(), abs=1e-3), name


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL is Unix's")
def test_a_killed_process_ends_all_and_the_run_resumes(undisturbed, odd_frames, tmp_path):
    run = tmp_path / "run"
    process = by_two(*flags(odd_frames, epochs=500), "--out", str(run))
    deadline = time.monotonic() + 100
    while not (run / "last.safetensors").is_file() and time.monotonic() < deadline:
        time.sleep(0.05)
    children = subprocess.run(
        ["pgrep", "-P", str(process.pid)], capture_output=True, text=True
    ).stdout.split()
    os.kill(int(children[-1]), signal.SIGKILL)
    said, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    (line,) = own_lines(errors)
    assert line.startswith("polyp train: stopped with the other processes of this training; --resume goes on")
    done = said.count("val loss")
    more = by_two("--resume", str(run), "--epochs", str(done + 2))
    said, errors = more.communicate(timeout=120)
    assert more.returncode == 0, errors
    assert f"epoch {done + 2:>3}/{done + 2}" in said


def test_a_fault_of_all_is_said_once(odd_frames, tmp_path):
    process = by_two(*flags(odd_frames, batch_size=5), "--out", str(tmp_path / "run"))
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    assert own_lines(errors) == [
        "polyp train: batch_size is 5, and 2 processes share each batch; choose a multiple of 2"
    ]
    assert not (tmp_path / "run").exists()


def test_more_processes_than_gpus_is_said(monkeypatch):
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "3")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(distributed, "world", lambda: 3)
    distributed.ensure_own_device(torch.device("cpu"))
    with pytest.raises(UsageError, match=r"3 processes on this machine, but 2 GPU\(s\)"):
        distributed.ensure_own_device(torch.device("cuda"))
