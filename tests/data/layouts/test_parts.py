import shutil

import numpy as np
import pytest

from polyp.config import changed
from polyp.data.check import survey
from polyp.data.dataset import open_data, open_part
from polyp.data.layouts import LAYOUTS, open_place
from polyp.data.pairs import find_pairs, found_in, read_pair
from polyp.disk import make_folder
from polyp.errors import DataError, UsageError
from polyp.run.fitting import fit
from tests.data.layouts.conftest import box_mask

ROWS = {"train": range(8), "val": range(8, 11), "test": range(11, 15)}


def outside(folder, write, names=("train", "valid", "testing")):
    for name, rows in zip(names, ROWS.values(), strict=True):
        write(rows, folder / name / "images", folder / name / "masks")
    return folder


def inside(folder, write, names=("train", "valid", "testing")):
    for name, rows in zip(names, ROWS.values(), strict=True):
        write(rows, folder / "images" / name, folder / "masks" / name)
    return folder


@pytest.fixture(params=[outside, inside])
def folder(request, tmp_path, write):
    return request.param(tmp_path / "mine", write)


def test_folders_of_parts_are_the_split(folder, tiny):
    config = changed(tiny, data=str(folder))
    data = open_data(config)
    for part, rows in ROWS.items():
        assert getattr(data, part).frames == [f"{part}/{row}" for row in rows]
    _, mask = open_part(config, "test")[0]
    assert np.array_equal(mask[0], box_mask(11))
    assert "groups" not in data.about


def test_what_was_found_is_said(folder):
    assert found_in(folder).startswith(
        "parts train/ (8 frames), valid/ (3 frames), testing/ (4 frames), which are"
    )


def test_another_split_overrules_the_folders(folder, tiny, tmp_path):
    data = open_data(changed(tiny, data=str(folder), split="random"))
    assert {frame.split("/")[0] for frame in data.train.frames} == {"train", "val", "test"}
    mine = "".join(
        f"{pair.frame},{'train' if n > 3 else 'val'}\n" for n, pair in enumerate(find_pairs(folder))
    )
    (tmp_path / "mine.csv").write_text("frame,part\n" + mine)
    data = open_data(changed(tiny, data=str(folder), split_file=str(tmp_path / "mine.csv")))
    assert data.val.frames == [f"train/{row}" for row in range(4)]


def test_a_name_may_be_in_two_parts(tmp_path, write):
    for part in ("train", "test"):
        write([1], tmp_path / part / "images", tmp_path / part / "masks")
    assert [pair.frame for pair in find_pairs(tmp_path)] == ["train/1", "test/1"]
    assert survey(tmp_path).across_parts == ["train/1 ~ test/1"]


def test_without_val_whole_groups_of_train_choose(folder, tiny):
    for place in [*folder.rglob("valid")]:
        shutil.rmtree(place)
    lines = "".join(f"{row},video{row // 2}\n" for row in (*ROWS["train"], *ROWS["test"]))
    (folder / "sequences.csv").write_text("frame,sequence\n" + lines)  # without the part, or with it
    data = open_data(changed(tiny, data=str(folder)))
    assert "none is val, so whole videos are taken out of train" in found_in(folder)
    assert data.test.frames == [f"test/{row}" for row in ROWS["test"]]
    first, *_ = numbers = sorted(int(frame.split("/")[1]) for frame in data.val.frames)
    assert numbers == [first, first + 1]  # one video of two frames
    assert first % 2 == 0
    assert len(data.train) == 6


def test_without_test_nothing_can_be_tested(folder, tiny):
    for place in [*folder.rglob("testing")]:
        shutil.rmtree(place)
    config = changed(tiny, data=str(folder))
    assert open_data(config).test is None
    with pytest.raises(DataError, match="no frames are for test"):
        open_part(config, "test")
    with pytest.raises(UsageError, match="has no test frames to score"):
        fit(config, "run", test=True)


def test_tables_may_lie_in_a_part_too(tmp_path, write):
    outside(tmp_path, write)
    (tmp_path / "train" / "sequences.csv").write_text("frame,sequence\n0,7\n1,8\n")
    (tmp_path / "sequences.csv").write_text("frame,sequence\nval/8,9\n11,7\n1,99\n")
    labels = open_place(tmp_path).labels("sequence")
    assert labels == {"train/0": 7, "train/1": 8, "val/8": 9, "test/11": 7, "1": 99, "11": 7}
    assert "sequence 7" in survey(tmp_path).across_parts


def test_clean_frames_of_a_part_stay_there(tmp_path, write, tiny):
    outside(tmp_path, write)
    write([20], tmp_path / "train" / "negatives")
    data = open_data(changed(tiny, data=str(tmp_path)))
    assert data.train.frames[-1] == "train/20"


def test_several_datasets_keep_their_parts_or_name_a_split(tmp_path, write, tiny):
    a, b = outside(tmp_path / "a", write), inside(tmp_path / "b", write)
    data = open_data(changed(tiny, data=f"{a}+{b}"))
    assert data.val.frames == [f"{name}/val/{row}" for name in "ab" for row in ROWS["val"]]
    write(range(30, 40), tmp_path / "c" / "images", tmp_path / "c" / "masks")
    with pytest.raises(UsageError, match=r"a has train, val and test of its own, .*c has not; name a split"):
        open_data(changed(tiny, data=f"{a}+{tmp_path / 'c'}"))


def test_parts_that_are_not_clear(tmp_path, write):
    outside(tmp_path / "a", write)
    write([40], tmp_path / "a" / "val" / "images", tmp_path / "a" / "val" / "masks")
    outside(tmp_path / "b", write)
    write([40], tmp_path / "b" / "images", tmp_path / "b" / "masks")
    outside(tmp_path / "c", write)
    inside(tmp_path / "c", write)
    inside(tmp_path / "d", write)
    write([1], tmp_path / "d" / "gt" / "train")
    for name, message in {
        "a": "val and valid both mean val; keep one",
        "b": r"holds frames in images/, masks in masks/, but also parts train/ \(8 frames\)",
        "c": "holds parts train/ .* but also parts train/ ",
        "d": "masks in masks/train/, but also gt/train/; keep one of the two",
    }.items():
        with pytest.raises(DataError, match=message):
            open_place(tmp_path / name)


def test_frames_without_masks_are_left_out_of_the_parts(tmp_path, write):
    """A competition's test frames have none."""
    outside(tmp_path, write)
    shutil.rmtree(tmp_path / "testing" / "masks")
    assert "none is test" in found_in(tmp_path)
    assert len(find_pairs(tmp_path)) == 11


def test_two_folders_of_any_names(tmp_path, write):
    write([1, 2], tmp_path / "pics", tmp_path / "drawn")
    with pytest.raises(DataError, match="contains no dataset"):
        open_place(tmp_path / "pics")
    pairs = find_pairs(tmp_path / "pics", masks=tmp_path / "drawn")
    assert [pair.frame for pair in pairs] == ["1", "2"]
    assert np.array_equal(read_pair(pairs[1])[1], box_mask(2))
    assert found_in(tmp_path / "pics", tmp_path / "drawn") == "frames in pics/, masks in drawn/"
    with pytest.raises(DataError, match=r"gone: no such folder"):
        open_place(tmp_path / "pics", tmp_path / "gone")
    make_folder(tmp_path / "empty")
    with pytest.raises(DataError, match=r"empty: holds no masks"):
        open_place(tmp_path / "pics", tmp_path / "empty")


def test_each_layout_is_read_by_one(folder, tmp_path, write):
    write([1], tmp_path / "two" / "images", tmp_path / "two" / "masks")
    for place, name in ((folder, "parts"), (tmp_path / "two", "two folders")):
        assert [key for key, read in LAYOUTS.items() if read(place)] == [name]
