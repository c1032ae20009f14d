import shutil

import numpy as np
import pytest
from PIL import Image

from polyp.config import changed
from polyp.data.dataset import open_data, open_part
from polyp.data.sources import NO_POLYP, find_sources
from polyp.data.split_tables import write_splits
from polyp.disk import make_folder
from polyp.errors import DataError, UsageError


@pytest.fixture
def hospitals(frames_folder, tmp_path):
    """Two copies of one dataset under other names; the second has clean frames, of videos s0 to s3."""
    a, b = (shutil.copytree(frames_folder, tmp_path / "data" / name) for name in "ab")
    folder = make_folder(b / "negatives")
    random = np.random.default_rng(0)
    for n in range(8):
        pixels = random.integers(0, 256, (48, 64, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"s{n // 2}__{n}.png")
    return a, b


@pytest.fixture
def both(tiny, hospitals):
    return changed(tiny, data="+".join(map(str, hospitals)))


def test_frames_of_several_datasets_are_named_after_them(both, hospitals):
    data = open_data(changed(both, split="random"))
    assert len(data.table) == data.about["frames"] == 24 + 24 + 8
    assert {frame.split("/")[0] for frame in data.table["frame"]} == {"a", "b"}
    frame = next(frame for frame in data.train.frames if frame.startswith("b/") and "__" not in frame)
    expected = np.asarray(Image.open(hospitals[1] / "images" / f"{frame.removeprefix('b/')}.png"))
    shown = open_part(changed(both, split="random", size=(48, 64)), "all")
    image, _ = shown[shown.frames.index(frame)]
    np.testing.assert_array_equal(image.permute(1, 2, 0).numpy(), expected)


def test_each_dataset_is_split_by_its_own_videos(both, tiny, hospitals):
    together = open_data(both)
    alone = open_data(changed(tiny, data=str(hospitals[0])))
    for part in ("train", "val", "test"):
        theirs = [frame for frame in getattr(together, part).frames if frame.startswith("a/")]
        assert theirs == [f"a/{frame}" for frame in getattr(alone, part).frames]
    video = {frame: frame.split("__")[0] for frame in together.table["frame"] if "__" in frame}
    assert (
        together.table.assign(video=lambda t: t["frame"].map(video)).groupby("video")["part"].nunique().max()
        == 1
    )


def test_a_clean_frame_has_an_empty_mask_of_its_own_size(both):
    data = open_part(changed(both, split="random"), "all")
    rows = [row for row, frame in enumerate(data.frames) if "__" in frame]
    assert len(rows) == 8
    for row in rows:
        assert data[row][1].shape == (1, 48, 64)
        assert data[row][1].sum() == 0
    assert set(data.cache.table["area"][rows]) == {0.0}


def test_clean_frames_may_be_left_out_of_training_only(both):
    with_them, without = (open_data(changed(both, split="mixed", clean=clean)) for clean in (True, False))
    assert {f for f in with_them.train.frames if "__" in f}
    assert not {f for f in without.train.frames if "__" in f}
    assert with_them.val.frames == without.val.frames
    assert with_them.test.frames == without.test.frames
    assert with_them.sources.count(NO_POLYP) == len(with_them.train) - len(without.train)
    assert without.sources.count(str(both.data.split("+")[0])) == len(
        [f for f in without.train.frames if f.startswith("a/")]
    )


def test_what_is_added_is_only_trained_on(tiny, hospitals):
    a, b = map(str, hospitals)
    data, alone = open_data(changed(tiny, data=a, add=b)), open_data(changed(tiny, data=a))
    assert data.val.frames == [f"a/{frame}" for frame in alone.val.frames]
    assert data.test.frames == [f"a/{frame}" for frame in alone.test.frames]
    added = data.train.frames[len(alone.train) :]
    assert len(added) == 24 + 8
    assert all(frame.startswith("b/") for frame in added)
    assert data.about["name"] == f"{a}+{b}"


def test_a_dataset_without_centres_is_one_hospital_among_several(both):
    config = changed(both, split="hospital", fold=1)
    tested = open_data(config).test.frames
    assert {f for f in tested if "__" not in f} == {
        f for f in open_part(config, "all").frames if f[0] == "b" and "__" not in f
    }
    left = open_part(config, "left out")
    assert len(left) > 0
    assert all(frame.startswith("a/") for frame in left.frames)


def test_without_videos_near_duplicates_are_kept_together(tiny, hospitals):
    folder = hospitals[0]
    assert open_data(changed(tiny, data=str(folder))).about["groups"] == "video"
    (folder / "sequences.csv").unlink()
    data = open_data(changed(tiny, data=str(folder)))
    assert data.about["groups"] == "near-duplicates"
    (folder / "centres.csv").write_text(
        "frame,centre\n"
        + "".join(f"{pair.frame},{n % 4}\n" for n, pair in enumerate(find_sources(str(folder))[0][0].pairs))
    )
    assert open_data(changed(tiny, data=str(folder))).about["groups"] == "hospital"


def test_mistakes(tiny, hospitals, tmp_path):
    a, b = map(str, hospitals)
    with pytest.raises(UsageError, match="name it once"):
        find_sources(a, a)
    with pytest.raises(UsageError, match="holds no folder kvasir-seg; it must hold one for each"):
        find_sources("cvc-clinicdb+kvasir-seg", path=_holding(tmp_path / "x", hospitals[0], "cvc-clinicdb"))
    with pytest.raises(UsageError, match="did you mean 'polypgen'"):
        find_sources(f"{a}+polypgem")
    (hospitals[1] / "sequences.csv").write_text("frame,sequence\n1,1\n")
    with pytest.raises(DataError, match=r"sequences.csv lacks 23 frames"):
        open_data(changed(tiny, data=f"{a}+{b}"))


def _holding(folder, source, name):
    shutil.copytree(source, folder / name)
    return folder


def test_tables_are_written_for_one_dataset_and_for_several(hospitals, tmp_path):
    a, b = hospitals
    names = [path.name for path in write_splits(str(a), tmp_path / "out")]
    assert names == ["a-sequence.csv", "a-random.csv"]
    (path,) = write_splits(f"{a}+{b}", tmp_path / "out")
    assert path.name == "mixed.csv"
    assert path.read_text().startswith("dataset,frame,part\n")
    assert path.read_text().count("\n") == 1 + 24 + 24 + 8
