"""Predictions never replace what `polyp predict` did not make."""

import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from polyp.__main__ import main
from polyp.data.images import write_png
from polyp.disk import make_folder
from polyp.errors import DataError, UsageError
from polyp.run.output import is_ours, output_folder, write_picture


def predict(run, *arguments) -> int:
    return main(["predict", "--checkpoint", str(run.best), *map(str, arguments)])


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("flags", [(), ("--overwrite",)])
def test_a_dataset_is_no_place_for_predictions(run, frames_folder, tmp_path, capsys, flags):
    mine = shutil.copytree(frames_folder, tmp_path / "mine")
    before = contents(mine)
    assert predict(run, mine / "images", "--out", mine, *flags) == 2
    assert (
        "looks like a dataset (it holds images/), and its masks may be an expert's" in capsys.readouterr().err
    )
    assert contents(mine) == before


@pytest.mark.parametrize("place", ["masks", "overlays", "probabilities"])
def test_nor_is_a_folder_with_other_peoples_pictures(run, frames_folder, tmp_path, capsys, place):
    pixels = np.zeros((48, 64), np.uint8)
    theirs = write_png(make_folder(tmp_path / "out" / place) / "1.png", pixels).read_bytes()
    assert predict(run, frames_folder / "images", "--out", "out", "--overwrite") == 2
    assert "1.png: was not made by polyp predict; name another folder" in capsys.readouterr().err
    assert contents(tmp_path / "out") == {
        (tmp_path / "out" / place / "1.png").relative_to(tmp_path / "out"): theirs
    }


def test_an_input_is_never_replaced(run, frames_folder, tmp_path, capsys):
    inputs = shutil.copytree(frames_folder / "images", tmp_path / "in" / "masks")
    before = contents(inputs)
    assert predict(run, inputs, "--out", "in") == 2
    assert contents(inputs) == before


def test_nor_if_it_is_an_earlier_prediction(run, frames_folder, tmp_path, capsys):
    assert predict(run, frames_folder / "images" / "1.png", "--out", "out", "--overlay") == 0
    before = contents(tmp_path / "out")
    assert predict(run, "out/overlays", "--out", "out", "--overwrite") == 2
    assert "1.png: is to be predicted and would be replaced" in capsys.readouterr().err
    assert contents(tmp_path / "out") == before


def test_a_start_that_fails_removes_nothing(run, frames_folder, tmp_path, capsys):
    assert predict(run, frames_folder / "images" / "1.png", "--out", "out") == 0
    before = contents(tmp_path / "out")
    for wrong in (("--level", "9"), ("--threshold", "7"), ("--checkpoint", "nowhere.safetensors")):
        assert predict(run, frames_folder / "images", "--out", "out", "--overwrite", *wrong) != 0
        assert contents(tmp_path / "out") == before


def test_a_table_without_masks_is_someone_elses(run, frames_folder, tmp_path, capsys):
    table = make_folder(tmp_path / "out") / "predictions.csv"
    table.write_text("mine")
    assert predict(run, frames_folder / "images" / "1.png", "--out", "out", "--overwrite") == 2
    assert "predictions.csv: was not made by polyp predict" in capsys.readouterr().err
    assert table.read_text() == "mine"


def test_an_earlier_run_is_kept_apart_or_replaced_whole(run, frames_folder, tmp_path, capsys):
    assert predict(run, frames_folder / "images", "--out", "out", "--overlay") == 0
    one = frames_folder / "images" / "1.png"
    assert predict(run, one, "--out", "out") == 2
    assert "holds the predictions of an earlier run" in capsys.readouterr().err
    assert len(pd.read_csv("out/predictions.csv")) == 24
    assert predict(run, one, "--out", "out", "--overwrite") == 0
    assert sorted(map(str, contents(tmp_path / "out"))) == ["masks/1.png", "predictions.csv"]


def test_without_a_name_the_next_free_folder_is_taken(run, frames_folder, tmp_path, capsys):
    for name in ("predictions", "predictions-2", "predictions-3"):
        assert predict(run, frames_folder / "images" / "1.png") == 0
        assert f"1 masks in {name}/masks" in capsys.readouterr().out
        assert len(contents(tmp_path / name)) == 2


def test_a_missing_input_changes_nothing(run, frames_folder, tmp_path, capsys):
    assert predict(run, frames_folder / "images" / "1.png", "--out", "out") == 0
    before = contents(tmp_path / "out")
    assert predict(run, "nowhere.png", "--out", "out", "--overwrite") == 1
    assert "nowhere.png: no such file" in capsys.readouterr().err
    assert contents(tmp_path / "out") == before


def test_what_is_left_out_of_a_folder_is_said(run, tmp_path, capsys):
    folder = make_folder(tmp_path / "in")
    for name in ("a.png", "b.webp", "c.gif"):
        Image.new("RGB", (20, 20)).save(folder / name)
    for name in ("d.heic", "notes.txt", ".hidden", "Thumbs.db"):
        (folder / name).write_text("x")
    make_folder(folder / "sub")
    assert predict(run, folder, "--out", "out") == 0
    said = capsys.readouterr()
    assert "3 masks" in said.out
    assert "left out, no pictures that it reads: 3 (d.heic, notes.txt, sub)" in said.err


def test_a_folder_without_pictures_says_what_is_there(run, tmp_path, capsys):
    (make_folder(tmp_path / "in") / "film.mp4").write_text("x")
    assert predict(run, tmp_path / "in") == 1
    assert "in: no pictures in this folder, only film.mp4" in capsys.readouterr().err


def test_our_pictures_are_known_again(tmp_path):
    ours = write_picture(tmp_path / "a.png", np.eye(9, dtype=np.uint8))
    assert is_ours(ours)
    assert write_picture(ours, np.zeros((9, 9), np.uint8)) == ours  # replaced
    theirs = write_png(tmp_path / "b.png", np.eye(9, dtype=np.uint8))
    assert not is_ours(theirs)
    with pytest.raises(DataError, match=r"b\.png: exists, and was not made by polyp predict"):
        write_picture(theirs, np.zeros((9, 9), np.uint8))
    assert not is_ours(tmp_path)
    assert output_folder(tmp_path / "new") == tmp_path / "new"
    with pytest.raises(UsageError):
        output_folder(make_folder(tmp_path / "c" / "Negatives").parent)
