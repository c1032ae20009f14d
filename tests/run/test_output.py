"""Predictions never replace what `polyp predict` did not make."""

import shutil
import zlib
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from polyp.__main__ import main
from polyp.data.images import write_png
from polyp.disk import make_folder
from polyp.errors import DataError, UsageError
from polyp.run.output import Writer, is_ours, output_folder, write_picture
from polyp.run.regions import shown_regions


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
    assert predict(run, "out/overlays/1.png", "--out", "out", "--overwrite") == 2
    assert "1.png: is to be predicted and would be replaced" in capsys.readouterr().err
    assert predict(run, "out/overlays", "--out", "out", "--overwrite") == 1
    assert (
        "out/overlays: no pictures in this folder, only such as polyp predict made" in capsys.readouterr().err
    )
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
    assert "left out, no pictures that it reads: 2 (d.heic, notes.txt)" in said.err


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


def test_a_run_that_was_killed_goes_on(run, frames_folder, tmp_path, capsys):
    """As after a kill: some masks, a table whose last line was cut off, a mask without a line."""
    assert predict(run, frames_folder / "images", "--out", "whole") == 0
    assert predict(run, frames_folder / "images", "--out", "out") == 0
    table = tmp_path / "out" / "predictions.csv"
    lines = table.read_text().splitlines(keepends=True)
    table.write_text("".join(lines[:9]) + lines[9][:12])
    for name in ("20", "21"):
        (tmp_path / "out" / "masks" / f"{name}.png").unlink()
    capsys.readouterr()
    assert predict(run, frames_folder / "images", "--out", "out", "--skip-existing") == 0
    said = capsys.readouterr().out
    assert "8 of 24 pictures are done already" in said
    assert "16 masks in " in said
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
    assert predict(run, frames_folder / "images", "--out", "out", "--skip-existing") == 0
    assert "24 of 24 pictures are done already" in capsys.readouterr().out
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_a_mask_that_is_gone_is_made_again_and_listed_once(run, frames_folder, tmp_path, capsys):
    assert predict(run, frames_folder / "images", "--out", "out") == 0
    before = pd.read_csv("out/predictions.csv").sort_values("file").to_csv(index=False)
    (tmp_path / "out" / "masks" / "7.png").unlink()
    assert predict(run, frames_folder / "images", "--out", "out", "--skip-existing") == 0
    assert "23 of 24 pictures are done already" in capsys.readouterr().out
    assert (tmp_path / "out" / "masks" / "7.png").is_file()
    assert pd.read_csv("out/predictions.csv").sort_values("file").to_csv(index=False) == before


@pytest.mark.parametrize(("table", "content"), [("csv", "a,b\n1,2\n"), ("json", "[3]"), ("json", "{")])
def test_another_table_is_not_gone_on_with(run, frames_folder, tmp_path, capsys, table, content):
    one = frames_folder / "images" / "1.png"
    assert predict(run, one, "--out", "out", "--table", table) == 0
    (tmp_path / "out" / f"predictions.{table}").write_text(content)
    assert predict(run, one, "--out", "out", "--table", table, "--skip-existing") == 1
    assert "not a table of polyp predict" in capsys.readouterr().err
    assert (tmp_path / "out" / f"predictions.{table}").read_text() == content


def test_each_line_is_there_as_soon_as_its_mask_is(run, frames_folder, tmp_path, monkeypatch):
    seen = []
    real = Writer.write

    def write(self, found):
        row = real(self, found)
        seen.append(len((self.folder / "predictions.csv").read_text().splitlines()) - 1)
        return row

    monkeypatch.setattr(Writer, "write", write)
    assert predict(run, frames_folder / "images", "--out", "out") == 0
    assert seen == list(range(1, 25))


def test_folders_below_are_kept_and_names_told_apart(run, frames_folder, tmp_path):
    for place in ("day 1/left", "day 1/right", "day 2"):
        shutil.copy(frames_folder / "images" / "1.png", make_folder(tmp_path / "in" / place) / "a.png")
    Image.open(frames_folder / "images" / "2.png").save(tmp_path / "in" / "day 2" / "a.bmp")
    assert predict(run, "in", "--out", "in/out", "--suffix", "_mask") == 0
    found = sorted(str(path) for path in contents(tmp_path / "in" / "out"))
    assert found == [
        *("masks/day 1/left/a_mask.png", "masks/day 1/right/a_mask.png"),
        *("masks/day 2/a.bmp_mask.png", "masks/day 2/a.png_mask.png", "predictions.csv"),
    ]
    before = contents(tmp_path / "in" / "out")
    assert (
        predict(run, "in", "--out", "in/out", "--suffix", "_mask", "--overwrite") == 0
    )  # no mask is predicted
    assert contents(tmp_path / "in" / "out") == before
    assert predict(run, "in/day 1", "in/day 2", "--out", "both") == 0
    assert (tmp_path / "both" / "masks" / "day 1" / "left" / "a.png").is_file()
    assert predict(run, "in/day 1/left/a.png", "in/day 1/right/a.png", "--out", "files") == 0
    assert (tmp_path / "files" / "masks" / "right" / "a.png.png").is_file()


def test_a_hostile_picture_in_a_folder_is_that_pictures_fault(run, tmp_path, capsys):
    """Looking whether a picture is ours must not end the others: this one's header claims 60 000 x 60 000."""
    folder = make_folder(tmp_path / "in")
    Image.new("RGB", (20, 20)).save(folder / "good.png")
    content = bytearray((folder / "good.png").read_bytes())
    content[16:24] = (60_000).to_bytes(4, "big") * 2
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    (folder / "huge.png").write_bytes(content)
    assert not is_ours(folder / "huge.png")
    assert predict(run, folder, "--out", "out") == 1
    said = capsys.readouterr()
    assert "1 masks" in said.out
    assert "huge.png: larger than 100 megapixels" in said.err


def test_of_a_dataset_the_frames_are_predicted(run, frames_folder, tmp_path):
    assert predict(run, frames_folder, "--out", "out") == 0
    assert len(pd.read_csv("out/predictions.csv")) == 24


def test_a_picture_may_come_through_a_pipe(run, frames_folder, tmp_path, monkeypatch, capsys):
    content = (frames_folder / "images" / "1.png").read_bytes()
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=BytesIO(content)))
    assert predict(run, "-", "--out", "out") == 0
    assert predict(run, frames_folder / "images" / "1.png", "--out", "file") == 0
    piped, read = (contents(tmp_path / out) for out in ("out", "file"))
    assert piped[Path("masks/stdin.png")] == read[Path("masks/1.png")]
    for wrong, message in ((b"", "nothing came"), (b"no picture", "stdin: not a readable image")):
        monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=BytesIO(wrong)))
        assert predict(run, "-", "--out", "none") == 1
        assert message in capsys.readouterr().err


def test_small_regions_can_be_left_out(run, tmp_path):
    probs = np.zeros((40, 60), np.float32)
    probs[2:12, 2:12] = probs[20:30, 20:29] = 0.9  # 100 and 90 pixels
    mask = shown_regions(probs, min_area=100)
    assert (mask.sum(), mask[2:12, 2:12].sum()) == (100, 100)
    assert shown_regions(probs, min_area=90).sum() == 190
    Image.new("RGB", (60, 40)).save(tmp_path / "a.png")
    for area, found in (("0", 1), ("2401", 0)):  # a threshold of 0 marks every pixel
        assert predict(run, "a.png", "--out", area, "--threshold", "0", "--min-area", area) == 0
        assert pd.read_csv(tmp_path / area / "predictions.csv")["components"].tolist() == [found]


def test_a_suffix_is_no_path(run, frames_folder, capsys):
    assert predict(run, frames_folder / "images", "--suffix", "../x") == 2
    assert "expected a part of a file's name" in capsys.readouterr().err
