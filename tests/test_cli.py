"""The command line as a newcomer meets it, mistakes above all."""

import json
import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from polyp.__main__ import main
from polyp.config import changed, setting_fields
from polyp.data.images import write_png
from polyp.data.synthetic import write_dataset
from polyp.disk import make_folder
from polyp.run.fitting import fit
from polyp.run.folder import RunFolder


def polyp(*arguments):
    try:
        return main([str(a) for a in arguments])
    except SystemExit as stop:
        return stop.code


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("", "required: COMMAND"),
        ("trian", "did you mean 'train'?"),
        ("train --epoch 3", "unknown argument '--epoch'; did you mean '--epochs'?"),
        ("train --preset qick", "did you mean 'quick'?"),
        ("train --architecture unet++", "did you mean 'unet"),
        ("train --epochs three", "invalid int value: 'three'"),
        ("train --epochs 0", "epochs is 0; expected 1 or more"),
        ("train --size 64", "expected 2 arguments"),
        ("train --data cvc-clincdb", "did you mean 'cvc-clinicdb'?"),
        ("data get kvasir", "did you mean 'kvasir-seg'?"),
        ("predict", "required: PICTURE"),
        ("validate best.safetensors --part tset", "did you mean 'test'?"),
    ],
)
def test_a_usage_error_is_2_and_says_what_was_meant(arguments, message, capsys):
    assert polyp(*arguments.split()) == 2
    said = capsys.readouterr()
    assert message in said.err
    assert "Traceback" not in said.err
    assert said.out == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("train --data cvc-clinicdb", "run `polyp data get cvc-clinicdb`"),
        ("train --resume nowhere", "holds no run"),
        ("validate best.safetensors", "best.safetensors: no such checkpoint"),
        ("predict nothing.png --checkpoint best.safetensors", "no such"),
        ("data get kvasir-seg --archive gone.zip", "gone.zip: no such file"),
    ],
)
def test_bad_data_is_1_in_one_line(arguments, message, capsys):
    assert polyp(*arguments.split()) == 1
    said = capsys.readouterr()
    assert message in said.err
    assert said.err.count("\n") == 1


def test_every_setting_is_a_flag(capsys):
    assert polyp("train", "--help") == 0
    said = capsys.readouterr().out
    for name, field in setting_fields().items():
        assert f"--{name.replace('_', '-')}" in said
        assert field.metadata["help"].split()[0] in said


@pytest.mark.parametrize(
    "command", [(), ("data",), ("data", "check"), ("validate",), ("predict",), ("bench",)]
)
def test_help(command, capsys):
    assert polyp(*command, "--help") == 0
    assert "usage: polyp" in capsys.readouterr().out


def test_data_list_names_what_data_get_takes(capsys):
    from polyp.data import DATASETS

    assert polyp("data", "list") == 0
    assert capsys.readouterr().out.split() == list(DATASETS)


def test_train_validate_predict(frames_folder, tmp_path, capsys):
    settings = ["--size", 32, 32, "--widths", 4, 8, "--epochs", 2, "--batch-size", 4, "--no-deep-supervision"]
    assert polyp("train", "--data", frames_folder, "--out", "r", *settings) == 0
    said = capsys.readouterr().out
    assert "val, 4 frames: mean per-image Dice" in said
    assert "test," not in said
    run = RunFolder("r")
    assert run.metrics()["test"] is None
    assert f"polyp validate '{run.best}'" in said
    assert run.config().deep_supervision is False

    assert polyp("validate", run.best, "--out", "table.csv") == 0
    said = capsys.readouterr().out
    tested = fit(run.config(), tmp_path / "tested", progress=False, test=True)
    expected = tested.metrics()["test"]["dice_per_image"]
    assert f"Dice {expected:.3f}" in said
    pd.testing.assert_frame_equal(pd.read_csv("table.csv"), pd.read_csv(tested.path / "test.csv"))

    assert (
        polyp("predict", frames_folder / "images", "--checkpoint", run.best, "--out", "p", "--overlay") == 0
    )
    assert len(list((tmp_path / "p" / "masks").iterdir())) == 24
    assert len(pd.read_csv("p/predictions.csv")) == 24


@pytest.fixture
def other(tmp_path):
    """Six other videos."""
    return write_dataset(tmp_path / "other", seed=4, sequences=6, frames=4, height=48, width=64)


def test_validate_on_other_data_scores_all_of_it(run, other, capsys):
    assert polyp("validate", run.best, "--data", other) == 0
    assert f"{other}, all, 24 frames" in capsys.readouterr().out


def test_validate_says_how_many_clean_frames_are_marked(run, other, tmp_path, capsys):
    for n in range(4):
        write_png(make_folder(other / "negatives") / f"clean{n}.png", np.zeros((48, 64, 3), np.uint8))
    table = tmp_path / "table.csv"
    assert polyp("validate", run.best, "--data", other, "--out", table) == 0
    marked = pd.read_csv(table).set_index("frame").loc[[f"clean{n}" for n in range(4)], "marked"].sum()
    said = capsys.readouterr().out
    assert "28 frames: mean per-image Dice" in said
    assert f"of 4 without a polyp, which are left out there, {marked} marked" in said


def test_a_refit_may_be_scored_on_the_validation_frames_of_other_data(tiny, other, tmp_path, capsys):
    run = fit(changed(tiny, refit=True), tmp_path / "run", progress=False)
    assert polyp("validate", run.best, "--part", "val") == 2
    assert "trained on its validation frames too" in capsys.readouterr().err
    assert polyp("validate", run.best, "--data", other, "--part", "val") == 0
    assert f"{other}, val" in capsys.readouterr().out


def test_resume(run, tiny, capsys):
    assert polyp("train", "--resume", run.path) == 0
    assert len(run.log()) == tiny.epochs


def test_a_run_is_resumed_from_elsewhere_and_after_its_data_moved(
    frames_folder, tmp_path, capsys, monkeypatch
):
    mine = shutil.copytree(frames_folder, tmp_path / "mine")
    settings = ["--size", 32, 32, "--widths", 4, 8, "--epochs", 1, "--batch-size", 4]
    assert polyp("train", "--data", "mine", "--out", "run", *settings) == 0
    monkeypatch.chdir(make_folder(tmp_path / "elsewhere"))
    assert polyp("train", "--resume", "../run") == 0
    assert polyp("validate", "../run/best.safetensors") == 0
    mine.rename(tmp_path / "moved")
    assert polyp("validate", "../run/best.safetensors") == 2
    assert "say where it is now with --data-path" in capsys.readouterr().err
    assert polyp("validate", "../run/best.safetensors", "--data-path", "../moved") == 0
    assert polyp("train", "--resume", "../run", "--epochs", 2, "--data-path", "../moved") == 0
    assert len(RunFolder("../run").log()) == 2


def test_a_finished_run_goes_on_for_longer(run, tiny, capsys):
    assert polyp("train", "--resume", run.path, "--epochs", tiny.epochs + 2) == 0
    assert run.config() == changed(tiny, epochs=tiny.epochs + 2)
    assert run.log()["epoch"].tolist() == list(range(1, tiny.epochs + 3))
    assert run.metrics()["epoch"] <= tiny.epochs + 2
    before = run.config_file.read_bytes()
    assert polyp("train", "--resume", run.path, "--lr", 1) == 2
    assert "goes on as it began, but for device, epochs, precision, workers" in capsys.readouterr().err
    assert polyp("train", "--resume", run.path, "--epochs", 1) == 2
    assert (
        f"{tiny.epochs + 2} epochs are done already; name a larger number than 1" in capsys.readouterr().err
    )
    assert run.config_file.read_bytes() == before


def test_predict_goes_on_after_a_bad_file_and_ends_with_1(run, tmp_path, capsys):
    Image.new("RGB", (9, 9)).save(tmp_path / "good.png")
    (tmp_path / "bad.png").write_bytes(b"")
    code = polyp("predict", "good.png", "bad.png", "--checkpoint", run.best, "--table", "json")
    assert code == 1
    said = capsys.readouterr()
    assert said.err == "polyp predict: bad.png: the file is empty (0 bytes); copy or export it again\n"
    assert len(json.loads((tmp_path / "predictions" / "predictions.json").read_text())) == 1


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--threshold", 2), "expected a number from 0 to 1"),
        (("--min-share", -0.1), "--min-share is -0.1; expected a number from 0 to 1"),
        (("--level", 9), "expected 1 to 2"),
        (("--device", "cuda"), "no GPU"),
    ],
)
def test_predict_with_an_impossible_wish_writes_nothing(run, tmp_path, capsys, flags, message):
    Image.new("RGB", (9, 9)).save(tmp_path / "a.png")
    assert polyp("predict", "a.png", "--checkpoint", run.best, *flags) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "predictions").exists()


def test_data_check(frames_folder, tmp_path, capsys):
    assert polyp("data", "check", frames_folder) == 0
    assert re.search(r"^pairs +24$", capsys.readouterr().out, re.MULTILINE)
    broken = shutil.copytree(frames_folder, tmp_path / "broken")
    (broken / "masks" / "3.png").unlink()
    assert polyp("data", "check", broken) == 1
    assert "1 images without a mask: 3" in capsys.readouterr().out


def test_data_split(frames_folder, tmp_path, capsys):
    assert polyp("data", "split", frames_folder, "--out", tmp_path / "s") == 0
    written = capsys.readouterr().out.split()
    assert [p.split("-")[-1] for p in written] == ["sequence.csv", "random.csv"]
    assert len(pd.read_csv(written[0])) == 24


def test_data_split_by_groups(frames_folder, tmp_path, capsys):
    assert polyp("data", "split", frames_folder, "--by", "sequence", "--out", tmp_path) == 0
    path = tmp_path / "synthetic-sequence.csv"
    assert f"polyp train --split-file '{path}'" in capsys.readouterr().out
    assert polyp("data", "split", frames_folder, "--table", path) == 2


def test_frames_and_masks_of_two_flags(frames_folder, tmp_path, capsys):
    shutil.copytree(frames_folder / "images", "pics")
    shutil.copytree(frames_folder / "masks", "drawn")
    flags = ("--images", "pics", "--masks", "drawn")
    assert polyp("data", "check", *flags) == 0
    assert "frames in pics/, masks in drawn/" in capsys.readouterr().out
    small = ("--size", 32, 32, "--widths", 4, 8, "--epochs", 1, "--batch-size", 4, "--split", "random")
    assert polyp("train", *flags, *small, "--out", "run") == 0
    assert f"{tmp_path / 'pics'}: frames in pics/, masks in drawn/" in capsys.readouterr().out
    assert polyp("validate", "run/best.safetensors") == 0  # it knows where the masks are
    assert polyp("validate", "run/best.safetensors", *flags, "--part", "all") == 0
    assert "24 frames" in capsys.readouterr().out
    assert polyp("data", "check") == polyp("data", "check", "--masks", "drawn") == 2
    assert polyp("validate", "run/best.safetensors", "--masks", "drawn") == 2


def test_ctrl_c_is_130(monkeypatch):
    import polyp.data

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(polyp.data, "survey", interrupted, raising=False)
    assert main(["data", "check", "."]) == 130


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGPIPE")
def test_a_reader_that_has_seen_enough_is_no_error(tmp_path):
    command = [sys.executable, "-c", "import sys; from polyp.__main__ import main; sys.exit(main())"]
    with subprocess.Popen(
        [*command, "data", "list"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path
    ) as running:
        running.stdout.close()
        assert running.stderr.read() == b""
    assert running.returncode == 141


@pytest.mark.parametrize("name", [b"polyp\xe9_1.png", b"a\nb.png"], ids=["Latin-1", "a line feed"])
def test_names_that_no_table_could_hold(frames_folder, run, tmp_path, capsys, name):
    mine = shutil.copytree(frames_folder, tmp_path / "mine")
    for place in ("images", "masks"):
        os.rename(mine / place / "1.png", os.fsencode(mine / place) + b"/" + name)
    for command in (["data", "check", mine], ["train", "--data", mine], ["predict", mine / "images"]):
        assert polyp(*command) == 1
        said = capsys.readouterr().err
        assert said.count("\n") == 1
        assert f"1 names hold control characters or are not UTF-8 ({os.fsdecode(name)!a}); rename" in said


def test_a_console_that_cannot_show_a_name(frames_folder, tmp_path):
    mine = shutil.copytree(frames_folder, tmp_path / "khối u")
    environment = os.environ | {"PYTHONUTF8": "0", "PYTHONIOENCODING": "cp1252"}
    done = subprocess.run(
        [sys.executable, "-m", "polyp", "data", "check", mine],
        env=environment,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode("cp1252")
    assert b"kh\\u1ed1i u" in done.stdout


def test_a_run_that_was_begun_on_a_gpu_goes_on_without(run, capsys):
    config = changed(run.config(), device="cuda", epochs=4)
    run.config_file.write_text(json.dumps(config.to_dict()))
    assert polyp("train", "--resume", run.path) == 2
    assert "torch finds no GPU" in capsys.readouterr().err
    assert polyp("train", "--resume", run.path, "--device", "cpu") == 0
    assert len(run.log()) == 4


@pytest.mark.parametrize(
    ("message", "remedy"),
    [
        ("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory", "a smaller --size"),
        ("DataLoader worker (pid 7) is killed by signal: Killed.", "use --workers 0"),
        ("unable to allocate shared memory(shm) for file </torch_1>: No space left on device", "/dev/shm"),
    ],
)
def test_too_small_a_machine_is_one_line(run, monkeypatch, capsys, message, remedy):
    def fail(*_, **__):
        raise RuntimeError(message)

    monkeypatch.setattr("polyp.run.fit", fail, raising=False)
    assert polyp("train", "--resume", run.path) == 1
    said = capsys.readouterr().err
    assert remedy in said
    assert said.count("\n") == 1
    monkeypatch.setattr("polyp.run.fit", lambda *_, **__: (_ for _ in ()).throw(RuntimeError("a bug")))
    with pytest.raises(RuntimeError, match="a bug"):
        polyp("train", "--resume", run.path)


def test_a_second_ctrl_c_while_python_cleans_up_prints_no_traceback():
    code = """
import atexit, os, signal, sys
from polyp import __main__ as command
command.main = lambda: 130
atexit.register(lambda: os.kill(os.getpid(), signal.SIGINT))
sys.exit(command.command_line())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (130, "")


@pytest.mark.parametrize("command", ["validate", "score", "bench"])
def test_where_a_table_goes_is_tested_before_the_work(frames_folder, tmp_path, capsys, command, monkeypatch):
    """A folder in its place was a traceback after the scoring."""
    monkeypatch.setattr("polyp.run.checkpoint.load_model", lambda path: pytest.fail("it began to work"))
    (tmp_path / "table").mkdir()
    inputs = {"score": [frames_folder / "masks", frames_folder / "masks"]}.get(command, [])
    assert polyp(command, *inputs, "--out", "table") == 1
    assert "table: is a folder; name the file to write" in capsys.readouterr().err


def test_settings_of_another_run(run, tmp_path, capsys):
    assert polyp("train", "--config", run.config_file, "--epochs", "1", "--seed", "3", "--out", "again") == 0
    again = json.loads((tmp_path / "again" / "config.json").read_text())
    assert again == run.config().to_dict() | {"epochs": 1, "seed": 3}
    assert polyp("train", "--config", run.path, "--preset", "cpu") == 2
    assert "takes the place of --preset" in capsys.readouterr().err
    assert polyp("train", "--config", run.best) == 2
    assert "expected the config.json of a run, or its folder" in capsys.readouterr().err


def test_info_says_what_is_in_a_file(run, capsys):
    assert polyp("info", run.path) == 0
    said = capsys.readouterr().out
    assert "widths 4 8" in said
    assert f"mean per-image Dice {run.log()['val_dice'].max():.3f}" in said
    assert polyp("info", "--json") == 0
    assert json.loads(capsys.readouterr().out)["config"]["encoder"] == "efficientnet-lite2"
    assert polyp("info", "nowhere.safetensors") == 1
