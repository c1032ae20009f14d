import numpy as np
import pytest

from polyp.data.check import survey
from polyp.data.layouts import open_place
from polyp.data.pairs import find_pairs, found_in, read_pair
from polyp.disk import make_folder
from polyp.errors import DataError
from tests.data.layouts.conftest import SIZE, box, box_mask


def polygon(row, kind=0):
    left, top, right, bottom = (
        side / size for side, size in zip(box(row), (*SIZE[::-1], *SIZE[::-1]), strict=True)
    )
    return f"{kind} {left} {top} {right} {top} {right} {bottom} {left} {bottom}\n"


@pytest.fixture
def folder(tmp_path, write):
    """Frames 1 to 4: one polygon, two polygons of two classes, an empty file, none."""
    write([1, 2, 3, 4], tmp_path / "images")
    labels = make_folder(tmp_path / "labels")
    (labels / "1.txt").write_text(polygon(1))
    (labels / "2.txt").write_text(polygon(2) + "\n" + "1 0.9 0.9 1 0.9 1 1 0.9 1\n")
    (labels / "3.txt").write_text("\n")
    (labels / "classes.txt").write_text("polyp\n")
    return tmp_path


def test_polygons_are_masks(folder):
    pairs = {pair.frame: pair for pair in find_pairs(folder)}
    assert [*pairs] == ["1", "2", "3", "4"]
    assert np.array_equal(read_pair(pairs["1"])[1], box_mask(1))
    second = box_mask(2)
    second[22:24, 29:32] = 1  # centres beyond 0.9 of 24 and of 32: 21.6, 28.8
    assert np.array_equal(read_pair(pairs["2"])[1], second)
    assert pairs["3"].mask is pairs["4"].mask is None
    assert found_in(folder).endswith("polygons (YOLO) in labels/; its classes 0, 1 are all taken for polyp")


def test_parts_either_way_round(folder, tmp_path, write):
    for way in ("{part}/images", "images/{part}"):
        place = tmp_path / way[:3].strip("{")
        for part, row in (("train", 5), ("val", 6)):
            images = place / way.format(part=part)
            write([row], images)
            labels = make_folder(str(images).replace("images", "labels"))
            (labels / f"{row}.txt").write_text(polygon(row))
        pairs = find_pairs(place)
        assert [pair.frame for pair in pairs] == ["train/5", "val/6"]
        assert all(np.array_equal(read_pair(p)[1], box_mask(int(p.frame[-1]))) for p in pairs)


def test_polygons_in_folders_of_any_name(folder, tmp_path):
    (folder / "images").rename(folder / "pics")
    pairs = find_pairs(folder / "pics", masks=folder / "labels")
    assert np.array_equal(read_pair(pairs[0])[1], box_mask(1))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("0 0.5 0.5 0.2 0.2", "boxes, not polygons"),
        ("0 0.1 0.1 0.2 0.2 0.3", "has 5 numbers"),
        ("0 0.1 0.1 0.2 0.2 0.3 x", "expected a class and x y"),
        ("0 10 10 20 10 20 20", "the points are no shares of the frame"),
        ("0 0.1 0.1 1.5 0.2 0.3 0.3", "its point 48, 4.8 is outside of the frame"),
        ("0 0.1 0.1 nan 0.2 0.3 0.3", "no list of numbers"),
        ("0", "has 0 numbers"),
    ],
)
def test_a_line_that_is_no_polygon(folder, line, message):
    (folder / "labels" / "1.txt").write_text(f"\n{line}\n")
    with pytest.raises(DataError, match=f"1.txt, line 2: .*{message}"):
        read_pair(find_pairs(folder)[0])
    facts = survey(folder)
    assert len(facts.unreadable) == 1  # the check goes on and lists it
    assert message.split(" frame")[0] in facts.unreadable[0]


def test_a_label_without_its_image_and_a_file_of_bytes(folder):
    (folder / "labels" / "9.txt").write_text(polygon(1))
    with pytest.raises(DataError, match=r"labels: 1 of 3 without image \(9.txt\)"):
        find_pairs(folder)
    (folder / "labels" / "9.txt").write_bytes(b"\xff\x00")
    with pytest.raises(DataError, match=r"9.txt: cannot be read"):
        find_pairs(folder)


def test_masks_and_polygons_at_once_are_not_guessed(folder, write):
    write([1], folder / "images", folder / "masks")
    with pytest.raises(DataError, match=r"masks in masks/, but also frames in images/, polygons \(YOLO\)"):
        open_place(folder)
    assert open_place(folder / "images", folder / "masks").found == "frames in images/, masks in masks/"
