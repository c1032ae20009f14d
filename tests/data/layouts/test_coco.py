import json
import shutil

import numpy as np
import pytest
from PIL import Image

from polyp.config import changed
from polyp.data.check import survey
from polyp.data.dataset import open_data, open_part
from polyp.data.layouts import open_place
from polyp.data.pairs import find_pairs, found_in, read_pair
from polyp.disk import make_folder
from polyp.errors import DataError
from polyp.run.scoring.inputs import open_inputs
from tests.data.layouts.conftest import SIZE, box, box_mask


def polygon(row):
    left, top, right, bottom = box(row)
    return [left, top, right, top, right, bottom, left, bottom]


def runs(mask):
    """Uncompressed RLE, written pixel by pixel."""
    counts, value = [0], 0
    for pixel in mask.T.ravel():
        if pixel != value:
            counts.append(0)
            value = pixel
        counts[-1] += 1
    return {"size": list(mask.shape), "counts": counts}


def content(rows, **outlines):
    """A file about these frames, each with its rectangle or the outline given."""
    return {
        "images": [
            {"id": row, "file_name": f"{row}.png", "height": SIZE[0], "width": SIZE[1]} for row in rows
        ],
        "annotations": [
            {"id": 100 + row, "image_id": row, "category_id": 1, "iscrowd": 0}
            | {"segmentation": outlines.get(f"_{row}", [polygon(row)])}
            for row in rows
        ],
        "categories": [{"id": 1, "name": "polyp"}, {"id": 2, "name": "adenoma"}],
    }


def save(path, value):
    make_folder(path.parent)
    path.write_text(json.dumps(value))
    return path


@pytest.mark.parametrize(
    ("images", "file"),
    [
        ("images", "annotations/instances_default.json"),
        ("images", "anything.json"),
        ("", "_annotations.coco.json"),
        ("train2017", "annotations/instances_train2017.json"),
        ("images/train", "train.json"),
    ],
)
@pytest.mark.parametrize("named", ["folder", "file"])
def test_outlines_of_a_file(tmp_path, write, images, file, named):
    write([1, 2], tmp_path / images)
    path = save(tmp_path / file, content([1, 2]))
    pairs = find_pairs(path if named == "file" else tmp_path)
    assert [(pair.frame, pair.image) for pair in pairs] == [
        (str(r), tmp_path / images / f"{r}.png") for r in (1, 2)
    ]
    for pair, row in zip(pairs, (1, 2), strict=True):
        assert np.array_equal(read_pair(pair)[1], box_mask(row))


def test_several_polygons_runs_and_frames_without_any(tmp_path, write):
    write([1, 2, 3], tmp_path)
    ring = box_mask(2)
    ring[8:10, 8:10] = 0  # runs may have holes
    value = content([1, 2, 3], _2=runs(ring))
    value["annotations"][0]["segmentation"].append([20, 18, 30, 18, 30, 22, 20, 22])
    value["annotations"][2] = value["annotations"][0] | {
        "id": 7,
        "category_id": 2,
        "segmentation": [[0, 0, 2, 0, 2, 1]],
    }
    path = save(tmp_path / "a.json", value)
    pairs = {pair.frame: read_pair(pair)[1] for pair in find_pairs(path)}
    expected = box_mask(1)
    expected[18:22, 20:30] = 1
    expected[0, 1] = 1
    assert np.array_equal(pairs["1"], expected)
    assert np.array_equal(pairs["2"], ring)
    assert pairs["3"].sum() == 0
    assert find_pairs(path)[-1].mask is None
    assert (
        found_in(path) == "COCO's outlines in a.json; its categories adenoma, polyp are all taken for polyp"
    )


def test_files_for_parts_are_the_split(tmp_path, write, tiny):
    """`annotations/instances_train2017.json`, and Roboflow's `train/_annotations.coco.json`."""
    for part, rows in (("train", range(8)), ("val", range(8, 10)), ("test", range(10, 12))):
        write(rows, tmp_path / "a" / f"{part}2017")
        save(tmp_path / "a" / "annotations" / f"instances_{part}2017.json", content(rows))
        write(rows, tmp_path / "b" / part)
        save(tmp_path / "b" / part / "_annotations.coco.json", content(rows))
    for name in "ab":
        data = open_data(changed(tiny, data=str(tmp_path / name)))
        assert data.val.frames == ["val/8", "val/9"]
        assert data.test.frames == ["test/10", "test/11"]
        _, mask = open_part(changed(tiny, data=str(tmp_path / name)), "test")[1]
        assert np.array_equal(mask[0], box_mask(11))


def test_a_changed_outline_is_never_served_from_the_cache(tmp_path, write, tiny):
    write(range(12), tmp_path / "images")
    config = changed(tiny, data=str(tmp_path), split="random", size=SIZE)
    keys = []
    for outline in (polygon(0), [0, 0, 9, 0, 9, 9]):
        save(tmp_path / "a.json", content(range(12), _0=[outline]))
        data = open_part(config, "all")
        keys.append(data.cache.key)
    assert keys[0] != keys[1]
    assert data.cache.masks[0].sum() == data[0][1].sum() == 45  # 9 + 8 + ... + 1


def test_the_check_reads_them(tmp_path, write):
    write([1, 2, 3], tmp_path / "images")
    save(tmp_path / "a.json", content([1, 2, 3], _2=[[1, 1, 2]]))
    facts = survey(tmp_path)
    assert (facts.pairs, dict(facts.mask_modes)) == (3, {"outlines": 2})
    (message,) = facts.unreadable
    assert message.startswith(
        f"{tmp_path / 'a.json'}, annotation 102 of 2.png: its polygon has 3 numbers; exp"
    )
    (tmp_path / "images" / "1.png").write_bytes(b"no picture")
    assert len(survey(tmp_path).unreadable) == 2


def test_they_are_truth_for_the_referee(tmp_path, write):
    write([1, 2], tmp_path / "images", tmp_path / "maps")
    inputs = open_inputs(str(tmp_path / "maps"), str(save(tmp_path / "a.json", content([1, 2]))))
    for _, probs, mask in inputs:
        assert np.array_equal(probs > 0.5, mask)


def changes(key, value):
    def change(content):
        content["annotations"][0][key] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (changes("iscrowd", 1), "annotation 101 of 1.png: is a crowd"),
        (changes("segmentation", []), "has no outline"),
        (changes("segmentation", None), "has no outline"),
        (changes("segmentation", [[1, 1, 40, 1, 4, 4]]), "its point 40, 1 is outside of the frame"),
        (
            changes("segmentation", [polygon(1), [6, 6, 8, 6, 8, 8, 6, 8]]),
            "one of its polygons lies within another",
        ),
        (
            changes("segmentation", {"size": [9, 9], "counts": [81]}),
            r"runs \(RLE\) are of \[9, 9\], the frame is",
        ),
        (changes("segmentation", {"size": [*SIZE], "counts": None}), "have no counts"),
        (changes("segmentation", {"size": [*SIZE], "counts": [5]}), "do not add up"),
        (
            lambda value: value["images"][0].update(width=640, height=480),
            "lists 1.png as 640 x 480 px, but the file",
        ),
    ],
)
def test_an_annotation_that_cannot_be_drawn(tmp_path, write, change, message):
    write([1], tmp_path)
    value = content([1])
    change(value)
    (pair,) = find_pairs(save(tmp_path / "a.json", value))
    with pytest.raises(DataError, match=f"a.json.*{message}"):
        read_pair(pair)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (changes("image_id", 9), "annotation 101 is of image 9, which is not listed"),
        (changes("image_id", [1]), "entry 1 of annotations has no image_id"),
        (lambda value: value["images"].append(value["images"][0]), "two images have the same id"),
        (lambda value: value["images"].append(value["images"][0] | {"id": 5}), "lists the image '1' twice"),
        (lambda value: value["images"][0].pop("file_name"), "entry 1 of images has no id and file_name"),
        (
            lambda value: value["images"].append({"id": 5, "file_name": "x.png"}),
            r"1 of 2 images are not there \(x.png\)",
        ),
        (lambda value: value["images"].append({"id": 5, "file_name": "\0"}), "1 of 2 images are not there"),
        (lambda value: value["images"].clear(), "lists no images"),
        (lambda value: value.pop("images"), "not in COCO's form"),
    ],
)
def test_a_file_that_cannot_be_used(tmp_path, write, change, message):
    write([1], tmp_path)
    value = content([1])
    change(value)
    with pytest.raises(DataError, match=f"a.json: .*{message}"):
        find_pairs(save(tmp_path / "a.json", value))


@pytest.mark.parametrize("text", ["{", "[" * 100_000, ""])
def test_a_damaged_file(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(DataError, match=r"a.json: not readable as JSON"):
        open_place(tmp_path)


def test_files_that_are_not_clear(tmp_path, write):
    write([1, 2], tmp_path / "images")
    for name in ("a.json", "b.json"):
        save(tmp_path / name, content([1, 2]))
    save(tmp_path / "boxes.json", {"1": {"height": 3}})  # of another kind, as Kvasir-SEG has
    with pytest.raises(
        DataError, match=r"holds several files of annotations \(a.json, b.json\); name the one"
    ):
        open_place(tmp_path)
    (tmp_path / "b.json").unlink()
    shutil.copytree(tmp_path / "images", tmp_path / "masks")
    with pytest.raises(
        DataError, match=r"holds frames in images/, masks in masks/, but also COCO's outlines in a.json"
    ):
        open_place(tmp_path)
    assert len(open_place(tmp_path / "a.json").images) == 2


def test_a_frame_that_is_stored_turned(tmp_path, write):
    write([1], tmp_path)
    value = content([1])
    picture, exif = Image.open(tmp_path / "1.png"), Image.Exif()
    for orientation, size, message in (
        (3, SIZE, "both directions fit"),
        (6, SIZE, "lists 1.png as"),
        (6, SIZE[::-1], ""),
    ):
        exif[0x0112] = orientation
        picture.save(tmp_path / "1.png", exif=exif)
        value["images"][0] |= {"height": size[0], "width": size[1]}
        value["annotations"][0]["segmentation"] = [[0, 0, 24, 0, 24, 5, 0, 5]]
        (pair,) = find_pairs(save(tmp_path / "a.json", value))
        if message:
            with pytest.raises(DataError, match=message):
                read_pair(pair)
        else:
            assert read_pair(pair)[1][:5].all()  # drawn on what is seen, 24 wide
