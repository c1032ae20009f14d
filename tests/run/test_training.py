import csv
import dataclasses
import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from types import ModuleType

import numpy as np
import pytest
import torch
from safetensors.torch import save as serialise

from polyp.config import changed
from polyp.data.dataset import PolypDataset, open_data, open_part
from polyp.errors import DataError, UsageError
from polyp.model.losses import bce_dice_loss
from polyp.model.metrics import confusion_counts, iou_score
from polyp.model.network import build_model
from polyp.run import checkpoint, fitting
from polyp.run import training as module
from polyp.run.checkpoint import load_model, read_checkpoint
from polyp.run.fitting import fit
from polyp.run.folder import RunFolder, compare_runs, new_run_path
from polyp.run.loading import TrainingLoader, epoch_order
from polyp.run.training import (
    Diverged,
    Epoch,
    best_epoch,
    learning_rate,
    make_optimizer,
    new_model,
    train,
    train_one_epoch,
)

# A run in a process of its own: config, folder, and what to do.
FIT = """
import json, sys
from polyp.config import Config
from polyp.run.fitting import fit
fit(Config.from_dict(json.loads(sys.argv[1])), sys.argv[2])
"""

# Children that die by SIGKILL: at the n-th file that is moved into place (just before or after), or at a
# moment that nothing in the code knows of; then one that is left alone. Forked: torch is imported once.
KILLED = """
import itertools, json, os, signal, sys, time
from pathlib import Path
import polyp.run.fitting, polyp.run.pictures
from polyp.config import Config

config, run = Config.from_dict(json.loads(sys.argv[1])), Path(sys.argv[2])
real = os.replace

def dies_at(count, after):
    calls = itertools.count(1)
    def replace(source, target):
        if next(calls) < count:
            return real(source, target)
        if after:
            real(source, target)
        os.kill(os.getpid(), signal.SIGKILL)
    return replace

kills = 0
for moment in [(4, False), (9, True), (3, False), "a clock", None]:
    if not (child := os.fork()):
        if isinstance(moment, tuple):
            os.replace = dies_at(*moment)
        polyp.run.fitting.fit(config, run, resume=(run / "config.json").exists(), progress=False)
        os._exit(0)
    if moment == "a clock":
        time.sleep(float(sys.argv[3]))
        os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    kills += os.WIFSIGNALED(status)
    assert moment or status == 0, status
print(kills)
"""


def run_alone(code, *arguments):
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=600)


def tensors(path):
    return read_checkpoint(path)[0]


def assert_equal_runs(one, two):
    for name in ("last.safetensors", "best.safetensors"):
        ours, theirs = tensors(one / name), tensors(two / name)
        assert ours.keys() == theirs.keys()
        different = [key for key in ours if not torch.equal(ours[key], theirs[key])]
        assert different == []
    for name in ("metrics.json", "split.csv"):
        assert (one / name).read_bytes() == (two / name).read_bytes()
    logs = [list(csv.DictReader((run / "log.csv").read_text().splitlines())) for run in (one, two)]
    assert [row | {"seconds": ""} for row in logs[0]] == [row | {"seconds": ""} for row in logs[1]]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="SIGKILL and fork are Unix's")
def test_a_run_killed_at_any_moment_ends_as_if_never_killed(tiny, tmp_path):
    config = changed(tiny, epochs=4, augment="standard", precision="auto")
    fit(config, tmp_path / "whole", progress=False)
    moment = np.random.default_rng(0).uniform(0.3, 1.5)
    killed = run_alone(KILLED, json.dumps(config.to_dict()), tmp_path / "killed", moment)
    assert killed.returncode == 0, killed.stderr
    assert int(killed.stdout) >= 3  # the clock may be late
    assert_equal_runs(tmp_path / "whole", tmp_path / "killed")


@pytest.mark.parametrize(
    ("moment", "settings"),
    [("save_checkpoint", {}), ("validate", {}), ("train_one_epoch", {"refit": True})],
)
def test_a_run_that_dies_at_a_known_moment_resumes(tiny, tmp_path, monkeypatch, moment, settings):
    """Between the writing of `best` and `last` above all."""
    tiny = changed(tiny, **settings)
    fit(tiny, tmp_path / "whole", progress=False)
    place = checkpoint if moment == "save_checkpoint" else module
    real, calls = getattr(place, moment), []

    def dies(*args, **kwargs):
        calls.append(moment)
        if len(calls) == 2:
            raise MemoryError
        return real(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(place, moment, dies)
        with pytest.raises(MemoryError):
            fit(tiny, tmp_path / "run", progress=False)
    fit(tiny, tmp_path / "run", resume=True, progress=False)
    assert_equal_runs(tmp_path / "whole", tmp_path / "run")


def test_ctrl_c_says_how_to_go_on(tiny, tmp_path, monkeypatch, capsys):
    real = module.train_one_epoch

    def interrupted(*args):
        if args[5] == 1:
            raise KeyboardInterrupt
        return real(*args)

    with monkeypatch.context() as patch:
        patch.setattr(module, "train_one_epoch", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fit(tiny, tmp_path / "run")
    said = capsys.readouterr().out
    assert "1 whole epoch is saved" in said
    assert f"polyp train --resume {tmp_path / 'run'}" in said
    fit(tiny, tmp_path / "run", resume=True, progress=False)
    assert len(RunFolder(tmp_path / "run").log()) == 3


def test_workers_change_nothing(tiny, tmp_path):
    fit(tiny, tmp_path / "alone", progress=False)
    fit(changed(tiny, workers=2), tmp_path / "shared", progress=False)
    ours, theirs = (tensors(tmp_path / run / "best.safetensors") for run in ("alone", "shared"))
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)


def test_the_seed_decides(tiny, tmp_path):
    for name, seed in (("a", 0), ("b", 1)):
        fit(changed(tiny, epochs=1, seed=seed), tmp_path / name, progress=False)
    ours, theirs = (tensors(tmp_path / run / "best.safetensors") for run in "ab")
    assert not torch.equal(ours["model.nodes.0_0.0.weight"], theirs["model.nodes.0_0.0.weight"])


def test_the_run_folder_holds_what_it_says(tiny, tmp_path):
    run = fit(tiny, tmp_path / "run", progress=False)
    names = {str(path.relative_to(run.path)) for path in run.path.rglob("*") if path.is_file()}
    assert names - {n for n in names if n.startswith("tensorboard")} == {
        *("config.json", "split.csv", "log.csv", "curves.png", "metrics.json", "val.csv", "run.html"),
        *("last.safetensors", "best.safetensors"),
        *(f"samples/epoch_00{epoch}.png" for epoch in (1, 2, 3)),
    }
    assert run.config() == tiny
    metrics, log = run.metrics(), run.log()
    assert metrics["epoch"] == log["val_dice"].idxmax() + 1
    assert metrics["val"]["dice_per_image"] == pytest.approx(log["val_dice"].max())
    assert metrics["test"] is None


def test_the_test_frames_are_scored_only_where_asked_for(tiny, tmp_path, monkeypatch):
    scored = []
    real = fitting.validate
    monkeypatch.setattr(
        fitting, "validate", lambda model, part, *a, **k: scored.append(part) or real(model, part, *a, **k)
    )
    fit(changed(tiny, epochs=1), tmp_path / "run", progress=False)
    assert [part.frames for part in scored] == [open_data(tiny).val.frames]
    run = fit(changed(tiny, epochs=1), tmp_path / "tested", progress=False, test=True)
    assert scored[-1].frames == open_data(tiny).test.frames
    assert run.metrics()["test"]["images"] == len(scored[-1])
    assert (run.path / "test.csv").is_file()


def test_training_needs_no_folder(tiny, tmp_path):
    """`train` alone gives the weights and the log that `fit` writes."""
    data, model, heard = open_data(tiny), new_model(tiny), []
    history = train(model, data, tiny, on_epoch=heard.append)
    run = fit(tiny, tmp_path / "run", progress=False)
    saved = tensors(run.last)
    assert all(torch.equal(tensor, saved[f"model.{name}"]) for name, tensor in model.state_dict().items())
    log = run.log()
    assert [row["loss"] for row in history] == log["loss"].tolist()
    assert [row["val_dice"] for row in history] == log["val_dice"].tolist()
    assert [epoch.history[-1] for epoch in heard] == [history[-1]] * 3  # one list, which grows
    assert all(isinstance(epoch, Epoch) and epoch.model is model for epoch in heard)


def test_training_continues_from_a_history(tiny):
    data, whole, parts = open_data(tiny), new_model(tiny), new_model(tiny)
    train(whole, data, tiny)
    optimizer, rows = make_optimizer(parts, tiny), []

    def stop_after_the_first(epoch):
        rows.extend(epoch.history)
        raise InterruptedError

    with pytest.raises(InterruptedError):
        train(parts, data, tiny, on_epoch=stop_after_the_first, optimizer=optimizer)
    assert len(train(parts, data, tiny, optimizer=optimizer, history=rows)) == 3
    ours, theirs = whole.state_dict(), parts.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_an_unknown_schedule_is_no_cosine():
    with pytest.raises(UsageError, match="unknown schedule 'cosinus'; did you mean 'cosine'"):
        learning_rate(0, 10, 0.1, "cosinus")


def test_importing_the_room_loads_no_matplotlib():
    code = "import sys; from polyp.run import fit, train, predict_probs; print('matplotlib' in sys.modules)"
    assert run_alone(code).stdout == "False\n"


def test_training_learns(tiny, tmp_path):
    config = changed(tiny, epochs=15, augment="none", lr=0.01)
    log = fit(config, tmp_path / "run", progress=False).log()
    assert log["loss"].iloc[-1] < 0.7 * log["loss"].iloc[0]
    assert log["iou"].iloc[-1] > log["iou"].iloc[0] + 0.1


def test_the_reported_means_are_those_of_the_frames(tiny):
    data, model = open_data(tiny), build_model(tiny)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    config = changed(tiny, lr=1e-30)  # nothing moves, so the batches can be done again by hand
    result = train_one_epoch(
        model, TrainingLoader(data.train, config), optimizer, bce_dice_loss, config, epoch=0
    )
    order = epoch_order(len(data.train), config.seed, 0)
    losses, scores = [], []
    for start in range(0, len(order) - 3, 4):
        frames = [data.train[i] for i in order[start : start + 4]]
        image, target = (torch.stack(column) for column in zip(*frames, strict=True))
        outputs = model(image)
        losses.append(sum(bce_dice_loss(o, target) for o in outputs).item() / len(outputs))
        scores += iou_score(confusion_counts(outputs[-1], target)).tolist()
    assert result.loss == pytest.approx(np.mean(losses), rel=1e-4)
    assert result.iou == pytest.approx(np.nanmean(scores), abs=1e-3)


def test_training_may_start_from_a_checkpoint(run, tiny, tmp_path):
    start = new_model(changed(tiny, init=str(run.best), seed=5))
    expected = load_model(run.best)[0].state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in start.state_dict().items())
    with pytest.raises(DataError, match="no such checkpoint"):
        new_model(changed(tiny, init=str(tmp_path / "gone.safetensors")))
    with pytest.raises(DataError, match="another architecture"):
        new_model(changed(tiny, init=str(run.best), widths=(4, 8)))


def test_a_run_that_fails_in_its_first_epoch_leaves_no_folder(tiny, tmp_path):
    """It would block the same --out, and fail again on --resume."""
    kept = tmp_path / "runs" / "kept" / "notes.txt"
    kept.parent.mkdir(parents=True)
    kept.write_text("mine")
    for name in ("run", "kept"):
        with pytest.raises(UsageError, match="one value is left per channel"):
            fit(changed(tiny, size=(4, 4), batch_size=1), tmp_path / "runs" / name, progress=False)
    assert list((tmp_path / "runs").rglob("*")) == [kept.parent, kept]
    fit(changed(tiny, epochs=1), tmp_path / "runs" / "run", progress=False)


def test_a_start_without_its_weights_leaves_no_folder(tiny, tmp_path):
    with pytest.raises(DataError, match="no such checkpoint"):
        fit(changed(tiny, init="gone.safetensors"), tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()
    fit(changed(tiny, epochs=1), tmp_path / "run", progress=False)


@pytest.mark.parametrize(("schedule", "peak"), [("onecycle", 30), ("cosine", 5)])
def test_the_learning_rate_rises_to_its_peak_and_falls(schedule, peak):
    rates = [learning_rate(step, 100, 0.01, schedule) for step in range(100)]
    assert rates.index(max(rates)) == peak - 1
    assert max(rates) == pytest.approx(0.01)
    assert rates[:peak] == sorted(rates[:peak])
    assert rates[peak - 1 :] == sorted(rates[peak - 1 :], reverse=True)
    assert 0 < rates[-1] < 1e-4
    assert learning_rate(0, 1, 0.01) == 0.01


def test_nan_names_the_batch_and_keeps_the_last_epoch(tiny, tmp_path, monkeypatch):
    real, poisoned = PolypDataset.__getitem__, open_data(tiny).train.frames[2]

    def poison(self, index):
        image, mask = real(self, index)
        if self.epoch == 1 and self.frames[index] == poisoned:
            image = image.float() * float("nan")
        return image, mask

    with monkeypatch.context() as patch:
        patch.setattr(PolypDataset, "__getitem__", poison)
        with pytest.raises(Diverged, match=rf"in epoch 2, batch \d+ \(frames .*\b{poisoned}\b.*\); lower lr"):
            fit(tiny, tmp_path / "run", progress=False)
    assert all(t.isfinite().all() for t in tensors(tmp_path / "run" / "last.safetensors").values())
    assert len(RunFolder(tmp_path / "run").log()) == 1


def test_patience(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(
        module,
        "_row",
        lambda *args: (
            {"epoch": args[0] + 1, "val_dice": 0.5 - args[0]}
            | dict.fromkeys(("lr", "loss", "iou", "val_loss", "val_iou", "seconds"), 0.1)
        ),
    )
    run = fit(changed(tiny, epochs=9, patience=2), tmp_path / "run", progress=False)
    assert len(run.log()) == 3


def test_best_epoch_is_the_earliest_of_the_highest():
    assert best_epoch([{"val_dice": d} for d in (None, 0.2, 0.7, 0.7, 0.1)]) == 2
    assert best_epoch([{"val_dice": None}] * 3) == 2


def test_refit_learns_from_all_but_the_test_frames_and_keeps_the_last_epoch(tiny, tmp_path, capsys):
    honest, data = open_data(tiny), open_data(changed(tiny, refit=True))
    assert data.val is None
    assert sorted(data.train.frames) == sorted(honest.train.frames + honest.val.frames)
    assert data.test.frames == honest.test.frames
    assert set(data.table["part"]) == {"train", "test"}

    run = fit(changed(tiny, refit=True), tmp_path / "run")
    best, last = tensors(run.best), tensors(run.last)
    assert all(torch.equal(best[name], last[name]) for name in best)
    assert run.log()[["val_loss", "val_iou", "val_dice"]].isna().all(axis=None)
    assert run.metrics()["epoch"] == 3
    assert run.metrics()["val"] is None
    assert run.metrics()["test"] is None
    assert "val loss" not in capsys.readouterr().out
    with pytest.raises(UsageError, match="trained on its validation frames too"):
        open_part(run.config(), "val")
    assert len(open_part(run.config(), "train")) == len(data.train)
    fit(tiny, tmp_path / "honest", progress=False)
    table = compare_runs([tmp_path / "run", tmp_path / "honest"])
    assert table["run"].tolist() == ["honest", "run"]
    assert table["val_dice"].isna().tolist() == [False, True]


def test_nothing_is_overwritten(tiny, tmp_path):
    run = fit(changed(tiny, epochs=1), tmp_path / "run", progress=False)
    before = run.last.read_bytes()
    with pytest.raises(UsageError, match="holds a run already; resume it"):
        fit(tiny, tmp_path / "run")
    with pytest.raises(UsageError, match=r"began with epochs=1, not 3"):
        fit(tiny, tmp_path / "run", resume=True)
    with pytest.raises(DataError, match="holds no run"):
        fit(tiny, tmp_path / "other", resume=True)
    assert run.last.read_bytes() == before


def test_changed_data_cannot_be_resumed(tiny, tmp_path, monkeypatch):
    fit(changed(tiny, epochs=1), tmp_path / "run", progress=False)
    real = fitting.open_data
    monkeypatch.setattr(
        fitting, "open_data", lambda *args: dataclasses.replace(real(*args), about={"content": "x"})
    )
    with pytest.raises(UsageError, match="the data has changed since this run began"):
        fit(changed(tiny, epochs=1), tmp_path / "run", resume=True)


def test_a_folder_that_cannot_be_written_is_said_before_training(tiny, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="cannot write here"):
        fit(tiny, tmp_path / "file" / "run")


def test_a_log_file_gets_lines_not_bars(tiny, tmp_path):
    alone = run_alone(FIT, json.dumps(tiny.to_dict()), tmp_path / "run")
    assert alone.returncode == 0
    assert alone.stderr == ""
    assert [line.split()[:2] for line in alone.stdout.splitlines()] == [
        ["epoch", f"{n}/3"] for n in (1, 2, 3)
    ]


def test_no_gpu_is_said(tiny, tmp_path):
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU, so asking for one is no mistake")
    with pytest.raises(UsageError, match="torch finds no GPU"):
        fit(changed(tiny, device="cuda"), tmp_path / "run")
    assert not os.path.exists(tmp_path / "run")


def test_tensorboard_gets_every_epoch(tiny, tmp_path):
    events = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason="TensorBoard is optional"
    )
    run = fit(changed(tiny, epochs=2), tmp_path / "run", progress=False)
    written = events.EventAccumulator(str(run.path / "tensorboard"))
    written.Reload()
    for name in ("loss", "val_dice", "lr"):
        assert [event.step for event in written.Scalars(name)] == [1, 2]
        values = [event.value for event in written.Scalars(name)]
        assert values == pytest.approx(run.log()[name].tolist(), rel=1e-5)


def test_without_tensorboard_nothing_is_missed(tiny, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    run = fit(changed(tiny, epochs=1), tmp_path / "run", progress=False)
    assert not (run.path / "tensorboard").exists()


def test_compare_runs(tiny, tmp_path):
    for name, lr in (("slow", 1e-5), ("fast", 1e-2)):
        fit(changed(tiny, epochs=2, lr=lr), tmp_path / name, progress=False)
    table = compare_runs([tmp_path / "slow", tmp_path / "fast"])
    assert list(table.columns) == ["run", "lr", "epoch", "val_dice"]
    assert table["val_dice"].is_monotonic_decreasing
    (tmp_path / "slow" / "metrics.json").unlink()
    with pytest.raises(DataError, match="this run has not ended"):
        compare_runs([tmp_path / "slow"])


def test_a_broken_tensorboard_is_as_good_as_none(tiny, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise TypeError("Descriptors cannot be created directly.\nIf this call came from ...")

    broken = ModuleType("broken")
    broken.SummaryWriter = refuse
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", broken)
    with pytest.warns(UserWarning, match="TensorBoard does not work here .Descriptors cannot be created"):
        run = fit(changed(tiny, epochs=1), tmp_path / "run", progress=False)
    assert len(run.log()) == 1


def test_of_two_starts_in_one_folder_one_wins(tiny, tmp_path):
    """At the very moment when both have seen that there is no run yet."""
    start, outcomes = Barrier(8), []

    def create(seed):
        start.wait()
        try:
            RunFolder.create(tmp_path / "run", changed(tiny, seed=seed))
        except UsageError as error:
            outcomes.append(str(error))
        else:
            outcomes.append(seed)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(create, range(8)))
    (winner,) = [outcome for outcome in outcomes if isinstance(outcome, int)]
    assert RunFolder(tmp_path / "run").config().seed == winner
    assert all("holds a run already" in outcome for outcome in outcomes if outcome != winner)


def test_without_a_name_every_start_gets_its_own_folder(tmp_path):
    start = Barrier(8)

    def name(_):
        start.wait()
        return new_run_path("quick")

    with ThreadPoolExecutor(8) as pool:
        names = sorted(path.name for path in pool.map(name, range(8)))
    assert names == ["quick", *(f"quick-{n}" for n in range(2, 9))]


def test_a_failed_start_leaves_no_folder(tiny, tmp_path):
    with pytest.raises(DataError):
        fit(changed(tiny, init="nowhere"), new_run_path("quick"), progress=False)
    assert new_run_path("quick").name == "quick"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda run: shutil.copy(run.best, run.last), "holds no state of a training"),
        (lambda run: run.best.unlink(), "best.safetensors: is missing"),
        (
            lambda run: edit(run, lr=1.0),
            "config.json: says another lr than the run was trained with; put 0.002",
        ),
        (lambda run: edit(run, batch_size=8), "says another batch_size"),
        (lambda run: edit(run, widths={"a": 1}), "not a configuration of this version"),
        (lambda run: run.config_file.write_text("[" * 10_000), "not a configuration of this version"),
        (lambda run: run.last.write_bytes(run.last.read_bytes()[:1000]), "truncated"),
        (lambda run: without_optimiser(run), "the optimiser's state of"),
    ],
    ids=["best as last", "no best", "lr", "batch size", "nested", "not JSON", "cut", "no optimiser"],
)
def test_a_damaged_run_is_not_resumed(run, tiny, damage, message):
    run.metrics_file.unlink()
    edit(run, epochs=tiny.epochs + 1)
    damage(run)
    with pytest.raises((DataError, UsageError), match=message):
        fit(RunFolder.resume(run.path).config(), run.path, resume=True, progress=False)


def edit(run, **settings):
    run.config_file.write_text(json.dumps(json.loads(run.config_file.read_text()) | settings))


def without_optimiser(run):
    tensors, metadata = read_checkpoint(run.last)
    kept = {name: tensor for name, tensor in tensors.items() if name.startswith("model.")}
    run.last.write_bytes(serialise(kept, {"polyp": json.dumps(metadata)}))


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("metrics.json", b"[1, 2]"),
        ("metrics.json", b'{"epoch": 3}'),
        ("metrics.json", b"\xfb\xff"),
        ("metrics.json", None),
        ("log.csv", b"\xfb\xff"),
        ("log.csv", b""),
        ("log.csv", None),
    ],
)
def test_damaged_results_are_an_error_of_one_line(run, file, content):
    """As bytes that are none of ours, or as a folder in their place."""
    path = run.path / file
    path.unlink()
    path.mkdir() if content is None else path.write_bytes(content)
    with pytest.raises(DataError, match=file) as caught:
        run.metrics() if file == "metrics.json" else run.log()
    assert "\n" not in str(caught.value)


def test_results_that_cannot_be_removed_leave_the_configuration(run, tiny):
    """`--resume --epochs N` of a finished run, with a folder where its results should be."""
    run.metrics_file.unlink()
    run.metrics_file.mkdir()
    before = run.config_file.read_bytes()
    with pytest.raises(DataError, match=r"metrics.json: could not be removed"):
        run.adjust(epochs=tiny.epochs + 1)
    assert run.config_file.read_bytes() == before
