import pickle
import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from polyp.config import changed
from polyp.data import cache as module
from polyp.data.cache import FrameCache
from polyp.data.dataset import PolypDataset, open_data, open_part
from polyp.data.images import write_png
from polyp.data.pairs import find_pairs
from polyp.disk import make_folder
from polyp.errors import DataError, UsageError


@pytest.fixture
def cache(frames_folder, tmp_path):
    return FrameCache(find_pairs(frames_folder), (32, 40), tmp_path / "cache")


def test_pixels_are_the_files(cache, frames_folder):
    for row in (0, 17):
        frame = cache.table["frame"][row]
        image = cv2.cvtColor(cv2.imread(str(frames_folder / "images" / f"{frame}.png")), cv2.COLOR_BGR2RGB)
        expected = cv2.resize(image, (40, 32), interpolation=cv2.INTER_AREA)
        np.testing.assert_array_equal(cache.images[row], expected)
        mask = np.asarray(Image.open(frames_folder / "masks" / f"{frame}.png").convert("L")) > 127
        assert cache.table["area"][row] == pytest.approx(mask.mean(), abs=1e-6)
        assert set(np.unique(cache.masks[row])) <= {0, 1}
        assert cache.masks[row].mean() == pytest.approx(mask.mean(), abs=0.02)


@pytest.mark.parametrize("size", [(48, 64), (24, 32), (16, 16), (10, 23), (96, 128)])
def test_a_resized_mask_lies_where_its_polyp_is(tmp_path, size):
    """The centre of a disc moves by less than a third of a pixel, of the coarser of the two sizes."""
    y, x = np.mgrid[:48, :64]
    mask = ((y - 20.5) ** 2 + (x - 30.5) ** 2 < 15**2).astype(np.uint8)
    for name, pixels in (("images", np.repeat(mask[..., None] * 255, 3, axis=2)), ("masks", mask * 255)):
        write_png(make_folder(tmp_path / name) / "1.png", pixels)
    small = FrameCache(find_pairs(tmp_path), size).masks[0]
    for axis, length, there in ((0, 48, size[0]), (1, 64, size[1])):
        centre = (np.nonzero(small)[axis].mean() + 0.5) * length / there
        true = np.nonzero(mask)[axis].mean() + 0.5
        assert abs(centre - true) < 0.3 * max(1, length / there)


def test_a_second_opening_decodes_nothing(cache, frames_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "read_pair", None)
    again = FrameCache(find_pairs(frames_folder), (32, 40), tmp_path / "cache")
    assert again.folder == cache.folder
    assert isinstance(again.images, np.memmap)


def test_a_changed_file_is_never_served_stale(frames_folder, tmp_path):
    folder = shutil.copytree(frames_folder, tmp_path / "copy")
    before = FrameCache(find_pairs(folder), (16, 16))
    Image.new("RGB", (64, 48), (9, 9, 9)).save(folder / "images" / "1.png")
    after = FrameCache(find_pairs(folder), (16, 16))
    assert before.key != after.key
    assert (after.images[0] == 9).all()


def test_several_processes_may_build_it_at_once(frames_folder, tmp_path):
    code = (
        "import sys; from polyp.data.cache import FrameCache; from polyp.data.pairs import find_pairs;"
        "print(FrameCache(find_pairs(sys.argv[1]), (24, 24), sys.argv[2]).images[:].sum())"
    )
    command = [sys.executable, "-c", code, frames_folder, tmp_path / "shared"]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    sums = {process.communicate(timeout=120)[0] for process in running}
    assert [process.returncode for process in running] == [0, 0, 0]
    assert len(sums) == 1
    assert len(list((tmp_path / "shared").iterdir())) == 1  # one cache, no litter


def test_a_full_disk_leaves_no_half_cache(frames_folder, tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np.lib.format, "open_memmap", full)
    with pytest.raises(DataError, match="No space left on device"):
        FrameCache(find_pairs(frames_folder), (32, 32), tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_sizes_that_differ_are_named(frames_folder, tmp_path):
    folder = shutil.copytree(frames_folder, tmp_path / "copy")
    Image.new("L", (10, 20)).save(folder / "masks" / "2.png")
    with pytest.raises(DataError, match=r"masks/2.png: the mask is 10 x 20 px but its image is 64 x 48"):
        FrameCache(find_pairs(folder), (32, 32))
    assert list((tmp_path / "data" / "cache").iterdir()) == []


def test_pickled_it_carries_no_pixels(cache):
    assert len(pickle.dumps(cache)) < cache.images.nbytes / 5
    assert np.array_equal(pickle.loads(pickle.dumps(cache)).images, cache.images)


def test_items(cache):
    image, mask = PolypDataset(cache)[3]
    assert (image.dtype, tuple(image.shape)) == (torch.uint8, (3, 32, 40))
    assert (mask.dtype, tuple(mask.shape)) == (torch.uint8, (1, 32, 40))
    assert torch.equal(image.permute(1, 2, 0), torch.from_numpy(cache.images[3].copy()))
    full = PolypDataset(cache, full_size_masks=True)[3][1]
    assert tuple(full.shape) == (1, 48, 64)
    assert full.float().mean() == pytest.approx(cache.table["area"][3], abs=1e-6)


def test_augmentation_follows_from_seed_epoch_and_frame_alone(cache):
    one, two = (PolypDataset(cache, augment="standard", seed=5) for _ in range(2))
    for i in (4, 1, 4):
        one[i]  # a history the other does not have
    assert torch.equal(one[2][0], two[2][0])
    first = one[2][0]
    one.epoch = 1
    assert not torch.equal(one[2][0], first)
    assert not torch.equal(PolypDataset(cache, augment="standard", seed=6)[2][0], first)


@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_workers_give_the_same_frames(cache, context):
    dataset = PolypDataset(cache, augment="standard", seed=1)
    alone = [image for image, _ in DataLoader(dataset, 8)]
    shared = [image for image, _ in DataLoader(dataset, 8, num_workers=2, multiprocessing_context=context)]
    assert all(torch.equal(a, b) for a, b in zip(alone, shared, strict=True))


def test_image_and_mask_move_together(tmp_path):
    for name in ("images", "masks"):
        (tmp_path / "d" / name).mkdir(parents=True)
    mask = np.zeros((64, 64), np.uint8)
    mask[20:45, 15:40] = 255
    Image.fromarray(np.stack([mask] * 3, axis=2)).save(tmp_path / "d" / "images" / "a.png")
    Image.fromarray(mask).save(tmp_path / "d" / "masks" / "a.png")
    dataset = PolypDataset(FrameCache(find_pairs(tmp_path / "d"), (64, 64)), augment="flips", seed=0)
    seen = set()
    for dataset.epoch in range(20):
        image, mask = dataset[0]
        assert torch.equal(image[0] > 127, mask[0] > 0)
        seen.add(mask.numpy().tobytes())
    assert len(seen) == 4  # all mirrorings came up: the two flips draw apart


def test_open_data_splits_by_video(tiny):
    data = open_data(tiny)
    assert data.about["frames"] == 24
    frames = [set(part.frames) for part in (data.train, data.val, data.test)]
    assert sum(map(len, frames)) == 24
    videos = [{(int(f) - 1) // 4 for f in part} for part in frames]
    assert len(videos[0] | videos[1] | videos[2]) == sum(map(len, videos))
    assert data.table["part"].value_counts().to_dict() == {
        name: len(part) for name, part in zip(("train", "val", "test"), frames, strict=True)
    }


def test_open_part(tiny):
    assert len(open_part(tiny, "all")) == 24
    assert open_part(tiny, "test").frames == open_data(tiny).test.frames


def test_mistakes(tiny, cache):
    with pytest.raises(UsageError, match="batch_size is 99, but the training set has"):
        open_data(changed(tiny, batch_size=99))
    with pytest.raises(UsageError, match="fold is 7; this split has folds 0 to 4"):
        open_data(changed(tiny, fold=7))
    with pytest.raises(UsageError, match="1 frames are not in the data, first 'x'"):
        PolypDataset(cache, ["1", "x"])
    with pytest.raises(UsageError, match="unknown augmentation 'flip'; did you mean 'flips'"):
        PolypDataset(cache, augment="flip")
