import itertools

import numpy as np
import pandas as pd
import pytest

from polyp.data.split import SPLITS, make_split, packaged_split, parts_of, random_split, sequence_split
from polyp.errors import DataError, UsageError


@pytest.fixture
def table():
    return packaged_split("cvc-clinicdb", "sequence")


def test_the_packaged_tables_are_what_the_code_makes(table):
    again = sequence_split(*(table[column].tolist() for column in ("frame", "sequence", "area")))
    pd.testing.assert_frame_equal(again, table)
    shipped = packaged_split("cvc-clinicdb", "random")
    pd.testing.assert_frame_equal(random_split(shipped["frame"].tolist()), shipped)


def test_clinicdb_has_its_frames_and_videos(table):
    assert table["frame"].tolist() == [str(n) for n in range(1, 613)]
    assert table["sequence"].nunique() == 29


@pytest.mark.parametrize("fold", range(5))
def test_no_video_is_on_two_sides(table, fold):
    parts = parts_of(table, fold)
    videos = {name: set(table.loc[table["frame"].isin(frames), "sequence"]) for name, frames in parts.items()}
    assert all(videos.values())
    assert not videos["train"] & videos["val"]
    assert not videos["train"] & videos["test"]
    assert not videos["val"] & videos["test"]
    assert sorted(itertools.chain(*parts.values())) == sorted(table["frame"])


def test_every_frame_is_tested_once(table):
    tested = [frame for fold in range(5) for frame in parts_of(table, fold)["test"]]
    assert sorted(tested) == sorted(table["frame"])


def test_folds_are_balanced_by_frames_and_polyp_size(table):
    folds = table.groupby("fold")["area"]
    assert folds.size().between(110, 135).all()
    assert folds.mean().between(0.08, 0.10).all()
    validation = table[table["validates"] >= 0].groupby("validates").size()
    assert validation.between(50, 75).all()


def test_random_is_80_10_10():
    sizes = packaged_split("cvc-clinicdb", "random")["part"].value_counts()
    assert sizes.to_dict() == {"train": 488, "val": 62, "test": 62}


def test_fewer_sequences_make_fewer_folds():
    table = sequence_split(list("abcdef"), [1, 1, 2, 2, 3, 3], np.linspace(0.1, 0.2, 6).tolist())
    for fold in range(3):
        assert {name: len(frames) for name, frames in parts_of(table, fold).items()} == {
            "train": 2,
            "val": 2,
            "test": 2,
        }
    with pytest.raises(UsageError, match="fold is 3; this split has folds 0 to 2"):
        parts_of(table, 3)


@pytest.mark.parametrize("sequences", [4, 7, 12])
def test_every_part_has_frames(sequences):
    frames = [f"{s}_{i}" for s in range(sequences) for i in range(3)]
    ids = [int(frame.split("_")[0]) for frame in frames]
    table = sequence_split(frames, ids, np.random.default_rng(0).random(len(frames)).tolist())
    for fold in range(min(5, sequences)):
        assert all(parts_of(table, fold).values())


@pytest.mark.parametrize("split", SPLITS)
def test_each_split_of_the_table_can_be_used(split):
    frames = [str(n) for n in range(30)]
    table = make_split(split, frames, [0.1] * 30, {frame: int(frame) // 3 for frame in frames})
    parts = parts_of(table)
    assert all(parts.values())
    assert sorted(itertools.chain(*parts.values())) == sorted(frames)


def test_mistakes():
    with pytest.raises(DataError, match="at least 3 sequences, found 2"):
        sequence_split(["a", "b"], [1, 2], [0.1, 0.2])
    with pytest.raises(DataError, match="at least 10 frames, found 3"):
        random_split(["a", "b", "c"])
    with pytest.raises(UsageError, match="the random split has only fold 0"):
        parts_of(packaged_split("cvc-clinicdb", "random"), 1)
    with pytest.raises(UsageError, match="unknown split 'sequences'; did you mean 'sequence'"):
        make_split("sequences", ["a"], [0.1], {"a": 1})
    with pytest.raises(DataError, match="which frames are of one video"):
        make_split("sequence", ["a"], [0.1], None)
    with pytest.raises(DataError, match="lacks 1 frames, first 'b'"):
        make_split("sequence", ["a", "b"], [0.1, 0.2], {"a": 1})
    assert packaged_split("synthetic", "sequence") is None
