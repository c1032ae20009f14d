"""All folds of a split in one call, against one run after the other by hand."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from polyp.__main__ import main
from polyp.config import changed, configure
from polyp.data.dataset import open_part
from polyp.disk import without_nan
from polyp.errors import DataError, UsageError
from polyp.model.intervals import bootstrap_mean
from polyp.run.checkpoint import load_model, read_checkpoint
from polyp.run.fitting import fit
from polyp.run.folder import RunFolder
from polyp.run.folds import cross_validate, folds_config
from polyp.run.progress import Progress
from polyp.run.validation import validate

SETTINGS = {"size": (32, 32), "widths": (4, 8), "epochs": 2, "batch_size": 4, "precision": "fp32"}


def quick(config, path):
    return cross_validate(config, path, progress=False, pictures=False)


@pytest.fixture(scope="module")
def made(frames_folder, tmp_path_factory):
    place = tmp_path_factory.mktemp("folds")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setenv("POLYP_CACHE", str(place / "cache"))
        return quick(configure(data=str(frames_folder), **SETTINGS), place / "folds")


@pytest.fixture
def config(frames_folder):
    return configure(data=str(frames_folder), **SETTINGS)


@pytest.fixture
def folds(made, tmp_path):
    return shutil.copytree(made.path, tmp_path / "folds")


def test_each_fold_is_a_run_of_its_own(made, config, tmp_path):
    alone = fit(changed(config, fold=3), tmp_path / "alone", progress=False, test=True, pictures=False)
    tensors, _ = read_checkpoint(alone.best)
    others, _ = read_checkpoint(made.path / "fold_3" / "best.safetensors")
    assert all((tensors[name] == others[name]).all() for name in tensors)
    expected, row = alone.metrics()["test"], without_nan(made.folds.loc[3].to_dict())
    assert {name: row[name] for name in expected if name != "loss"} == {
        name: value for name, value in expected.items() if name != "loss"
    }


def test_each_frame_is_scored_once_by_the_network_that_never_saw_it(made, config):
    frames = made.frames
    assert sorted(frames["frame"]) == sorted(open_part(config, "all").frames)
    assert frames["fold"].nunique() == 5
    for fold, rows in frames.groupby("fold"):
        own, (model, _) = (
            changed(config, fold=fold),
            load_model(made.path / f"fold_{fold}" / "best.safetensors"),
        )
        expected = validate(model, open_part(own, "test"), precision="fp32").table
        assert not set(rows["frame"]) & set(open_part(own, "train").frames + open_part(own, "val").frames)
        rows = rows.set_index("frame").loc[expected["frame"]].reset_index()
        pd.testing.assert_frame_equal(rows[expected.columns.tolist()], expected)


def test_the_files_say_the_same(made):
    found = json.loads((made.path / "cross_validation.json").read_text())
    assert found == made.summary
    frames = pd.read_csv(made.path / "cross_validation.csv", dtype={"frame": str})
    assert found["frames"]["dice_per_image"] == pytest.approx(frames["dice"].mean())
    assert found["frames"]["dice_pooled"] == pytest.approx(
        2 * frames["tp"].sum() / (2 * frames["tp"] + frames["fp"] + frames["fn"]).sum()
    )
    means = frames.groupby("fold")["dice"].mean()
    assert found["mean_of_folds"]["dice_per_image"] == pytest.approx(means.mean())
    assert found["sd_of_folds"]["dice_per_image"] == pytest.approx(means.std(ddof=1))
    ends = bootstrap_mean(frames["dice"], frames["sequence"])
    assert found["interval"]["dice_per_image"] == pytest.approx(ends)
    assert (found["interval"]["draws"], found["interval"]["groups"]) == ("sequence", 6)
    assert f"{ends[0]:.3f} to {ends[1]:.3f}" in str(made)


def test_what_is_finished_is_kept(made, folds, config):
    """Also a fold that was trained by itself, without a look at its test frames."""
    metrics = json.loads((folds / "fold_2" / "metrics.json").read_text()) | {"test": None}
    (folds / "fold_2" / "metrics.json").write_text(json.dumps(metrics))
    (folds / "fold_2" / "test.csv").unlink()
    before = {path: path.stat().st_mtime_ns for path in folds.rglob("*.safetensors")}
    assert quick(config, folds).summary == made.summary
    assert {path: path.stat().st_mtime_ns for path in folds.rglob("*.safetensors")} == before


def test_an_interrupted_one_goes_on(made, config, tmp_path, monkeypatch):
    """Ctrl-C in the second fold's first epoch."""
    lines = []

    def stop(bar, row, is_best):
        lines.append(row)
        if len(lines) == 3:
            raise KeyboardInterrupt

    place = tmp_path / "stopped"
    with monkeypatch.context() as patch:
        patch.setattr(Progress, "epoch_done", stop)
        with pytest.raises(KeyboardInterrupt):
            quick(config, place)
    assert sorted(path.name for path in place.iterdir()) == ["fold_0", "fold_1"]
    assert not (place / "fold_1" / "metrics.json").exists()
    assert folds_config(place) == config
    assert quick(config, place).summary == made.summary


def test_folds_of_something_else_are_refused(folds, config):
    with pytest.raises(UsageError, match=r"fold_0: began with epochs=2, not 3; name a new folder"):
        quick(changed(config, epochs=3), folds)
    with pytest.raises(UsageError, match="fold_0: holds a single run"):
        quick(config, folds / "fold_0")
    shutil.copytree(folds / "fold_0", folds / "fold_5")
    with pytest.raises(UsageError, match="fold_5: this split has only 5 folds"):
        quick(config, folds)
    shutil.rmtree(folds / "fold_5")
    metrics = RunFolder(folds / "fold_1").metrics()
    metrics["data"]["content"] = "other"
    (folds / "fold_1" / "metrics.json").write_text(json.dumps(metrics))
    with pytest.raises(UsageError, match=r"fold_1: was trained on other data than .*fold_0"):
        quick(config, folds)


def test_the_command_resumes_and_prints_the_table(made, folds, capsys):
    (folds / "cross_validation.json").unlink()
    assert main(["train", "--resume", str(folds)]) == 0
    said = capsys.readouterr().out
    assert str(made) in said
    assert f"--checkpoint '{folds}'" in said
    assert json.loads((folds / "cross_validation.json").read_text()) == made.summary


def test_a_changed_table_is_refused(folds, config):
    table = folds / "fold_4" / "test.csv"
    lines = table.read_text().splitlines(keepends=True)
    for wrong in (b"\xff", b"", b"frame,tp\n", "".join(lines[:-1] + lines[-2:-1]).encode()):
        table.write_bytes(wrong)
        with pytest.raises(DataError, match=r"fold_4/test\.csv: not the scores of this fold"):
            quick(config, folds)


def test_a_split_of_one_fold_leaves_no_folder(config, tmp_path):
    (tmp_path / "new").mkdir()
    with pytest.raises(UsageError, match="a random split has only one fold; use split=sequence"):
        quick(changed(config, split="random"), tmp_path / "new")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--cross-validate", "--fold", "1"], "give it no --fold"),
        (["--fold", "all"], "--cross-validate trains all folds"),
        (["--resume", "folds", "--epochs", "9"], "its folds go on as they began"),
        (["--resume", "folds/fold_0", "--cross-validate"], "holds no folds"),
    ],
)
def test_what_makes_no_sense_is_said(folds, flags, message, capsys):
    try:
        code = main(["train", *flags])
    except SystemExit as stop:
        code = stop.code
    assert code in (1, 2)
    assert message in capsys.readouterr().err
    assert not list(Path("runs").glob("*"))  # no empty folder is left to take the next run's name


def test_videos_of_two_datasets_are_not_mixed_up(frames_folder, tmp_path):
    """Both number their videos from 1."""
    from polyp.data.dataset import open_folds

    for name in ("a", "b"):
        shutil.copytree(frames_folder, tmp_path / "data" / name)
    table = open_folds(configure(data="data/a+data/b", **SETTINGS))
    assert len(table) == 48
    assert table["sequence"].nunique() == 12
    assert np.isin(table["fold"], range(5)).all()
