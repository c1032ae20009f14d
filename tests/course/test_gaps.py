import numpy as np
import pandas as pd
import pytest

from polyp import DataError
from polyp.course import read_result
from polyp.course.gaps import copied_by_gap, dice_by_gap
from polyp.data import write_png

VIDEOS = ["a"] * 5 + ["b"] * 3


@pytest.fixture(scope="module")
def frames():
    """A bright band that moves two pixels with each frame: to the right in one video, down in the other."""
    masks = np.zeros((8, 32, 32), bool)
    for row, video in enumerate(VIDEOS):
        start = 4 + 2 * (row % 5)
        masks[row, :, start : start + 8] = True
        if video == "b":
            masks[row] = masks[row].T
    images = [np.repeat(20 + 200 * mask[..., None].astype(np.uint8), 3, axis=2) for mask in masks]
    return images, masks


def test_a_gap_makes_copies_less_exact(frames):
    by_gap = dice_by_gap(*frames, VIDEOS)
    assert len(by_gap) == 6  # the last is out of reach of the whole longest video
    assert by_gap[0] == pytest.approx(0.75)  # a neighbour shares 6 of 8 lines
    assert by_gap[0] > by_gap[1] > by_gap[2]


def test_only_other_videos_are_left_at_last(frames):
    images, masks = frames
    masks = masks & (np.array(VIDEOS) == "a")[:, None, None]  # whoever copies from b copies nothing
    by_gap = dice_by_gap(images, masks, VIDEOS)
    assert by_gap[-1] == 0
    assert by_gap[0] == pytest.approx(0.75 * 5 / 8)


def test_the_committed_result_is_made_so(frames, tmp_path):
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    for number, (image, mask) in enumerate(zip(*frames, strict=True)):
        write_png(tmp_path / "images" / f"{number}.png", image)
        write_png(tmp_path / "masks" / f"{number}.png", (mask * 255).astype(np.uint8))
    with pytest.raises(DataError, match=r"add a sequences\.csv"):
        copied_by_gap(data=str(tmp_path))
    table = pd.DataFrame({"frame": range(8), "sequence": VIDEOS})
    table.to_csv(tmp_path / "sequences.csv", index=False)
    found, committed = copied_by_gap(data=str(tmp_path)), read_result("copied_by_gap")
    assert len(found["dice"]) == 6
    assert found.keys() == committed.keys() - {"name", "command"}
    assert committed["data"] == {"name": "cvc-clinicdb", "frames": 612}
    assert committed["dice"][-1] < committed["dice"][5] < committed["dice"][0]
