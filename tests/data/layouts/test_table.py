import shutil

import numpy as np
import pytest

from polyp.config import changed
from polyp.data.dataset import open_data
from polyp.data.layouts import open_place
from polyp.data.pairs import find_pairs, found_in, read_pair
from polyp.errors import DataError, UsageError
from tests.data.layouts.conftest import box_mask


@pytest.fixture
def table(tmp_path, write):
    """Writes a table about twelve frames; two folders hold six each, by the same names."""
    for day in "ab":
        for row in range(6):
            write([row], tmp_path / day, tmp_path / f"{day}_drawn")

    def table(text, name="pairs.csv"):
        (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        return tmp_path / name

    return table


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_pairs_of_a_table(table, tmp_path, delimiter):
    path = table(
        delimiter.join(["Image", "mask", "note"])
        + "\r\na/1.png|a_drawn/1.png|x\r\n\r\n".replace("|", delimiter)
    )
    (pair,) = find_pairs(path)
    assert (pair.frame, pair.image, pair.mask) == ("1", tmp_path / "a/1.png", tmp_path / "a_drawn/1.png")
    assert np.array_equal(read_pair(pair)[1], box_mask(1))
    assert found_in(path) == "a table of 1 frames with a mask and 0 without; not used: note"


def test_absolute_paths_and_frames_without_a_polyp(table, tmp_path):
    path = table(f"image,mask\n{tmp_path / 'a' / '0.png'},{tmp_path / 'a_drawn' / '0.png'}\nb/3.png,\n")
    with_polyp, without = find_pairs(path)
    assert (with_polyp.frame, without.frame, without.mask) == ("0", "3", None)
    assert read_pair(without)[1].sum() == 0


def test_equal_names_are_told_apart_by_their_folders(table):
    path = table("image,mask\na/1.png,a_drawn/1.png\n./b/1.png,b_drawn/1.png\nb/2.png,b_drawn/2.png\n")
    assert [pair.frame for pair in find_pairs(path)] == ["a/1", "b/1", "b/2"]


def test_what_a_table_says_of_its_frames(table, tiny):
    lines = [
        f"{day}/{row}.png,{day}_drawn/{row}.png,{number // 2},{centre},{part}"
        for number, (day, row) in enumerate((day, row) for day in "ab" for row in range(6))
        for centre, part in [("north" if day == "a" else "south", "Train" if number < 8 else "valid")]
    ]
    path = table("image,mask,patient,hospital,split\n" + "\n".join(lines))
    listing = open_place(path)
    assert listing.labels("sequence")["b/5"] == listing.labels("patient")["b/5"] == 5
    assert listing.labels("centre")["b/5"] == "south"
    data = open_data(changed(tiny, data=str(path)))
    assert (len(data.train), len(data.val), data.test) == (8, 4, None)
    assert open_data(changed(tiny, data=str(path), split="sequence")).about["groups"] == "video"
    assert "its column patient as sequence; its column hospital as centre" in found_in(path)


def test_paths_that_lead_out_of_the_tables_folder(table, tmp_path):
    """Frames of one name are told apart, and no name leads out of a folder that it is written in."""
    shutil.copytree(tmp_path / "b", tmp_path / "lists" / "b")
    rows = "../a/1.png,../a_drawn/1.png\n../b/1.png,../b_drawn/1.png\nb/1.png,../b_drawn/1.png\n"
    assert [pair.frame for pair in find_pairs(table("image,mask\n" + rows, "lists/pairs.csv"))] == [
        "up/a/1",
        "up/b/1",
        "b/1",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot be read .it is empty"),
        ("image,label1\na/1.png,1\n", "has no column mask, only image, label1; expected image,mask and"),
        ("a/1.png,a_drawn/1.png\n", "has no column image"),
        ("image,mask\na/1.png\n", "line 2: 1 cells, where the first line has 2"),
        ("image,mask\n,a_drawn/1.png\n", "line 2: no image"),
        ("image,mask\na/1.png,\nb/2.png,\na/1.png,\n", "line 4: image 'a/1.png' is listed twice"),
        (
            "image,mask\na/1.png,a_drawn/x.png\na/y.png,\n",
            r"lists 2 files that are not there \(.*y.png, .*x.png\)",
        ),
        ("image,mask,part\na/1.png,a_drawn/1.png,fold1\n", "line 2: part 'fold1'; expected train, val, test"),
        (b"image,mask\n\xff\xfe,\n", "save it as CSV in UTF-8"),
        ("image,mask\na/\x00.png,\n", "cannot be read|not there"),
    ],
)
def test_a_wrong_table(table, text, message):
    with pytest.raises(DataError, match=f"pairs.csv.*{message}"):
        find_pairs(table(text))


def test_a_file_of_another_kind(table):
    with pytest.raises(UsageError, match=r"data.yaml: not a dataset; expected a folder, a CSV of pairs"):
        open_place(table("train: images", "data.yaml"))
