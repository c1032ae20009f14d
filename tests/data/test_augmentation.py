import numpy as np
import pytest

from polyp.data.augmentation import AUGMENTATIONS, apply, evaluation_pipeline, training_pipeline
from polyp.errors import UsageError


@pytest.fixture
def frame():
    rng = np.random.default_rng(0)
    mask = np.zeros((40, 60), np.uint8)
    mask[10:25, 20:50] = 1
    return rng.integers(0, 256, (40, 60, 3), dtype=np.uint8), mask


@pytest.mark.parametrize("augment", AUGMENTATIONS)
def test_kinds_stay(frame, augment):
    for seed in range(20):
        image, mask = apply(training_pipeline(augment), *frame, seed)
        assert (image.dtype, image.shape) == (np.uint8, (40, 60, 3))
        assert (mask.dtype, mask.shape) == (np.uint8, (40, 60))
        assert set(np.unique(mask)) <= {0, 1}


def test_only_none_changes_nothing(frame):
    changed = {name: apply(training_pipeline(name), *frame, 1) for name in AUGMENTATIONS}
    assert [name for name, after in changed.items() if np.array_equal(after[0], frame[0])] == ["none"]
    assert np.array_equal(changed["none"][1], frame[1])


def test_an_unknown_augmentation_is_not_taken_for_another():
    with pytest.raises(UsageError, match="unknown augmentation 'flip'; did you mean 'flips'"):
        training_pipeline("flip")


@pytest.mark.parametrize("augment", AUGMENTATIONS)
def test_image_and_mask_move_together(augment):
    """The image is its own mask, a white block on black: after any augmentation the two must agree.

    Along the edge the image is interpolated, so a few pixels may differ; a mask left where it was, or
    turned by itself, would miss hundreds.
    """
    mask = np.zeros((64, 96), np.uint8)
    mask[14:40, 30:80] = 1
    moved = 0
    for seed in range(20):
        image, after = apply(training_pipeline(augment), 255 * mask[..., None].repeat(3, 2), mask, seed)
        assert ((image.max(axis=2) > 127) != after).sum() < 0.1 * mask.sum()
        moved += not np.array_equal(after, mask)
    assert (moved > 10) == (augment != "none")


def test_flips_are_mirror_images(frame):
    image, mask = apply(training_pipeline("flips"), *frame, 3)
    mirrored = [(image[::a, ::b], mask[::a, ::b]) for a in (1, -1) for b in (1, -1)]
    assert sum(np.array_equal(i, frame[0]) and np.array_equal(m, frame[1]) for i, m in mirrored) == 1


def test_the_seed_decides(frame):
    pipeline = training_pipeline("standard")
    first = apply(pipeline, *frame, 8)
    apply(pipeline, *frame, 9)
    assert all(map(np.array_equal, apply(pipeline, *frame, 8), first))


def test_evaluation_resizes(frame):
    image, mask = apply(evaluation_pipeline((16, 24)), *frame)
    assert image.shape == (16, 24, 3)
    assert mask.shape == (16, 24)
    assert set(np.unique(mask)) == {0, 1}
    image, mask = apply(evaluation_pipeline((16, 24)), frame[0])
    assert mask is None
