import itertools
import shutil

import numpy as np
import pandas as pd
import pytest

from polyp.config import changed, configure
from polyp.data.dataset import open_data
from polyp.data.groups import label_frames
from polyp.data.pairs import find_pairs
from polyp.data.split import (
    PARTS,
    hospital_split,
    make_split,
    mixed_split,
    packaged_split,
    parts_of,
    random_split,
    sequence_split,
)
from polyp.data.split_tables import write_splits
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


@pytest.mark.parametrize("split", ["sequence", "random", "mixed"])
def test_each_split_of_unlabelled_frames_can_be_used(split):
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
    with pytest.raises(UsageError, match="this split has only fold 0"):
        parts_of(packaged_split("cvc-clinicdb", "random"), 1)
    with pytest.raises(UsageError, match="unknown split 'sequences'; did you mean 'sequence'"):
        make_split("sequences", ["a"], [0.1], {"a": 1})
    with pytest.raises(DataError, match="which frames are of one video"):
        make_split("sequence", ["a"], [0.1], None)
    with pytest.raises(DataError, match="lacks 1 frames, first 'b'"):
        make_split("sequence", ["a", "b"], [0.1, 0.2], {"a": 1})
    with pytest.raises(DataError, match="at least 2 hospitals, found 0"):
        make_split("hospital", ["a", "b"], [0.1, 0.2], None)
    with pytest.raises(UsageError, match="lists frames of cvc-clinicdb and kvasir-seg"):
        make_split("pranet", ["a"], [0.1], None)
    assert packaged_split("synthetic", "sequence") is None
    assert packaged_split("cvc-clinicdb+etis-larib", "pranet") is None


# --- several hospitals ---------------------------------------------------------------------------

THREE = "cvc-clinicdb+kvasir-seg+polypgen"


def hospitals(frames=20, videos=5):
    """Frames of three hospitals and of some without a polyp; one video of A was cut in two, 0 and 1."""
    names = [f"{h}{n:02}" for h in "ABC-" for n in range(frames)]
    sequences = {name: f"{name[0]}{int(name[1:]) * videos // frames}" for name in names if name[0] in "A-"}
    alike = list(range(len(names)))
    alike[names.index("A00")] = alike[names.index("A04")]
    centres = {name: name[0] for name in names if name[0] != "-"}
    areas = [0.0 if name[0] == "-" else 0.1 for name in names]
    table = label_frames(names, areas, None, centres, alike, [n[0] == "-" for n in names])
    return table.assign(sequence=table["frame"].map(sequences).astype(object))


def test_a_share_of_every_hospital_is_held_out_by_video():
    table = hospitals()
    parts = mixed_split(table).assign(hospital=table["frame"].str[0], video=table["sequence"])
    shares = parts.groupby("hospital")["part"].value_counts(normalize=True).unstack(fill_value=0)
    assert (shares.loc[["B", "C"], ["test", "val"]] == 0.1).all(axis=None)  # single frames
    assert (shares.loc["-", ["test", "val"]] == [0.4, 0.2]).all()  # at least a third and a sixth, by fives
    assert parts.groupby("video")["part"].nunique().max() == 1
    cut = parts[parts["video"].isin(["A0", "A1"])]  # they share a near-duplicate
    assert cut["part"].nunique() == 1
    pd.testing.assert_frame_equal(mixed_split(table), mixed_split(table))


def test_what_is_decided_stays():
    table = hospitals()
    fixed = {"B00": "test", "B01": "test", "B02": "val", "B03": "val"}
    parts = mixed_split(table, fixed).set_index("frame")["part"]
    assert parts[list(fixed)].to_dict() == fixed
    assert (parts[[f"B{n:02}" for n in range(4, 20)]] == "train").all()


def test_one_hospital_is_left_out_whole():
    table = hospital_split(hospitals())
    for fold, name in enumerate("ABC"):
        parts = parts_of(table, fold)
        assert parts["test"][:20] == [f"{name}{n:02}" for n in range(20)]
        assert {frame[0] for frame in parts["test"][20:]} == {"-"}  # the clean frames of `mixed_split`
        assert not {frame for frame in parts["train"] + parts["val"] if frame[0] == name}
        assert sorted(itertools.chain(*parts.values())) == sorted(table["frame"])
        assert len(parts["left out"]) >= 4
    with pytest.raises(UsageError, match="folds 0 to 2"):
        parts_of(table, 3)


def test_pranet_lists_are_those_of_the_paper():
    together = parts_of(packaged_split("cvc-clinicdb+kvasir-seg", "pranet"))
    assert [len(together[part]) for part in PARTS] == [1450, 0, 162]
    alone = parts_of(packaged_split("kvasir-seg", "pranet"))
    assert [len(alone[part]) for part in PARTS] == [900, 0, 100]
    assert {f"kvasir-seg/{frame}" for frame in alone["test"]} < set(together["test"])


def test_the_mixed_table_keeps_test_frames_test_frames():
    mixed = parts_of(packaged_split(THREE, "mixed"))
    named = {part: {tuple(frame.split("/", 1)) for frame in mixed[part]} for part in PARTS}
    for name, table in (
        ("cvc-clinicdb", packaged_split("cvc-clinicdb", "sequence")),
        ("kvasir-seg", packaged_split("kvasir-seg", "pranet")),
    ):
        expected = {(name, frame) for frame in parts_of(table)["test"]}
        assert {frame for frame in named["test"] if frame[0] == name} == expected
    videos = {part: {f.split("__")[0] for _, f in named[part] if "__" in f} for part in PARTS}
    assert not videos["train"] & (videos["val"] | videos["test"])
    assert not videos["val"] & videos["test"]
    # by eye and by thumbnails, seq11 goes on where seq1 stops, and seq12 where seq2 does
    assert all({"seq1", "seq11"} <= v or not {"seq1", "seq11"} & v for v in videos.values())
    assert all({"seq2", "seq12"} <= v or not {"seq2", "seq12"} & v for v in videos.values())


def own_split(folder, text):
    (folder / "own.csv").write_text(text, encoding="utf-8-sig")
    return changed(configure("quick", data=str(folder / "mine")), split_file=str(folder / "own.csv"))


def test_ones_own_split(frames_folder, tmp_path):
    mine = shutil.copytree(frames_folder, tmp_path / "mine")
    frames = [pair.frame for pair in find_pairs(mine)]
    parts = ["train"] * 16 + ["val"] * 3 + ["test"] * 5
    lines = "".join(f"{frame},{part}\n" for frame, part in zip(frames, parts, strict=True))
    data = open_data(own_split(tmp_path, "frame,part\n" + lines))
    assert (data.train.frames, data.val.frames, data.test.frames) == (frames[:16], frames[16:19], frames[19:])
    assert "groups" not in data.about


def test_what_polyp_data_split_wrote_is_ones_own_split_too(frames_folder, tmp_path):
    mine = shutil.copytree(frames_folder, tmp_path / "mine")
    write_splits(str(mine), tmp_path)
    config = changed(configure("quick", data=str(mine)), fold=2)
    given = open_data(changed(config, split_file=str(tmp_path / "mine-sequence.csv")))
    assert given.table.equals(open_data(config).table)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("frame,part\n1,train\n", r"own.csv: 23 frames are not in it \(.*it must list all frames of"),
        ("frame,part\n1,train\n1,test\n", "own.csv: frame '1' is listed twice"),
        ("frame,part\n1,training\n", "own.csv: lists the part 'training'; expected train, val, test"),
        ("frame,fold\n1,0\n", "own.csv: has the columns frame, fold; expected frame,part"),
        ("", "own.csv: cannot be read"),
    ],
)
def test_a_split_of_ones_own_that_cannot_be_used(frames_folder, tmp_path, text, message):
    shutil.copytree(frames_folder, tmp_path / "mine")
    with pytest.raises(DataError, match=message):
        open_data(own_split(tmp_path, text))


def test_a_split_file_that_is_gone(frames_folder, tmp_path):
    config = own_split(tmp_path, "")
    shutil.copytree(frames_folder, tmp_path / "mine")
    (tmp_path / "own.csv").unlink()
    with pytest.raises(UsageError, match=r"split_file is '.*own.csv': no such file"):
        open_data(config)
    (tmp_path / "own.csv").mkdir()
    with pytest.raises(UsageError, match=r"split_file is '.*own.csv': a folder; expected a CSV"):
        open_data(config)
