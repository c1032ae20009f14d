"""No frame that was learnt from is scored as unseen, by whatever name its folder goes."""

import os
import re
import shutil

import numpy as np
import pandas as pd
import pytest

from polyp.__main__ import main
from polyp.data.dataset import known_parts
from polyp.data.images import write_png
from polyp.run.checkpoint import read_checkpoint, save_checkpoint


@pytest.fixture
def split(run):
    """Frame -> part of the finished run."""
    table = pd.read_csv(run.path / "split.csv", dtype=str)
    return dict(zip(table["frame"], table["part"], strict=True))


def scored(capsys, run, *arguments, code=0):
    """What `polyp validate` prints, and the frames that it scored."""
    assert main(["validate", str(run.best), *map(str, arguments), "--out", "table.csv"]) == code
    said = capsys.readouterr()
    frames = pd.read_csv("table.csv", dtype={"frame": str})["frame"].tolist() if code == 0 else []
    return said.out + said.err, frames


@pytest.mark.parametrize("spelling", ["slash", "relative", "link", "moved", "renamed"])
def test_the_same_data_by_another_name(run, split, frames_folder, tmp_path, capsys, spelling):
    test = [frame for frame, part in split.items() if part == "test"]
    if spelling == "slash":
        place = f"{frames_folder}/"
    elif spelling == "relative":
        place = os.path.relpath(frames_folder)
    elif spelling == "link":
        place = tmp_path / "link"
        place.symlink_to(frames_folder)
    else:
        place = shutil.copytree(frames_folder, tmp_path / "moved")
        if spelling == "renamed":
            for path in [*place.glob("*/*.png")]:
                path.rename(path.with_name(f"new{path.name}"))
            (place / "sequences.csv").unlink()
    said, frames = scored(capsys, run, "--data", place)
    assert [frame.removeprefix("new") for frame in frames] == test
    assert "24 of 24 frames are of the data that the model was trained with" in said
    assert "no score on unseen frames" not in said


@pytest.mark.parametrize("part", ["train", "val", "test"])
def test_a_part_is_the_runs_own(run, split, frames_folder, tmp_path, capsys, part):
    said, frames = scored(capsys, run, "--data", f"{frames_folder}/", "--part", part)
    assert frames == [frame for frame, where in split.items() if where == part]
    assert ("this is no score on unseen frames" in said) == (part != "test")


def test_all_are_scored_with_a_warning(run, split, frames_folder, capsys):
    said, frames = scored(capsys, run, "--data", f"{frames_folder}/", "--part", "all")
    assert len(frames) == 24
    learnt = sum(part != "test" for part in split.values())
    assert f"{learnt} of the 24 frames scored trained the model or chose its epoch" in said


def test_some_frames_of_the_training_in_other_data(run, split, frames_folder, tmp_path, capsys):
    other = tmp_path / "other"
    for name in ("images", "masks"):
        (other / name).mkdir(parents=True)
    learnt = [frame for frame, part in split.items() if part == "train"][:3]
    for frame in learnt:
        for name in ("images", "masks"):
            shutil.copy(frames_folder / name / f"{frame}.png", other / name / f"a{frame}.png")
    rng = np.random.default_rng(0)
    for frame in ("x", "y"):
        write_png(other / "images" / f"{frame}.png", rng.integers(0, 256, (48, 64, 3), dtype=np.uint8))
        write_png(other / "masks" / f"{frame}.png", (rng.random((48, 64)) > 0.9).astype(np.uint8) * 255)
    said, frames = scored(capsys, run, "--data", other)
    assert frames == ["x", "y"]
    assert "3 of 5 frames are of the data that the model was trained with (3 train)" in said
    said, _ = scored(capsys, run, "--data", other, "--part", "val", code=1)
    assert "none is in its part val" in said
    for frame in ("x", "y"):
        for name in ("images", "masks"):
            (other / name / f"{frame}.png").unlink()
    said, _ = scored(capsys, run, "--data", other, code=1)
    assert "none is left to score; --part all scores them anyway" in said


def test_frames_that_joined_the_training_set_later_are_noticed(run, frames_folder, capsys):
    """A checkpoint that has learnt from the frames which are now its test frames."""
    tensors, metadata = read_checkpoint(run.best)
    assert set(metadata["split"]) == {"train", "val", "test"}
    said, _ = scored(capsys, run)
    assert "no score on unseen frames" not in said
    model = type(
        "Model", (), {"state_dict": lambda self: {n.removeprefix("model."): t for n, t in tensors.items()}}
    )
    metadata["split"] = {"train": metadata["split"]["train"] + metadata["split"]["test"]}
    save_checkpoint(run.best, model(), metadata)
    said, frames = scored(capsys, run)
    assert re.search(f"{len(frames)} of the {len(frames)} frames scored trained the model", said)


def test_a_file_that_is_in_two_parts_was_learnt_from():
    a, b, c = "0" * 12, "1" * 12, "2" * 12
    assert known_parts([a, b, c], {"train": a, "test": a + b}) == ["train", "test", ""]
    assert known_parts([a], {}) == [""]


def test_a_split_table_beside_the_data_is_not_ours(frames_folder, tmp_path, tiny):
    """`polyp data split` writes one there by default, and it may be older than the data."""
    from polyp.config import changed
    from polyp.data.dataset import open_data

    place = shutil.copytree(frames_folder, tmp_path / "mine")
    (tmp_path / "mine-sequence.csv").write_text("frame,sequence\n1,1\n")
    (tmp_path / "mine-random.csv").write_text("frame,part\n1,train\n")
    expected = open_data(tiny).table
    found = open_data(changed(tiny, data=str(place))).table
    pd.testing.assert_frame_equal(found, expected)
    assert len(open_data(changed(tiny, data=str(place), split="random")).table) == 24


def test_more_or_fewer_frames_than_the_packages_split(frames_folder, tmp_path, tiny, monkeypatch):
    from polyp.config import changed
    from polyp.data import sources
    from polyp.data.dataset import open_data
    from polyp.errors import DataError

    table = open_data(tiny).table
    for kept, message in (
        (table.iloc[2:], "2 frames are not in its random split ("),
        (pd.concat([table, pd.DataFrame({"frame": ["99"], "part": ["test"]})]), "1 frames are missing"),
    ):
        monkeypatch.setattr(sources, "packaged_split", lambda data, split, kept=kept: kept)
        with pytest.raises(DataError, match=re.escape(message)):
            open_data(changed(tiny, split="random"))
