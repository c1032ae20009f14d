import numpy as np
import pytest

from polyp.data.augmentation import apply, evaluation_pipeline, training_pipeline


@pytest.fixture
def frame():
    rng = np.random.default_rng(0)
    mask = np.zeros((40, 60), np.uint8)
    mask[10:25, 20:50] = 1
    return rng.integers(0, 256, (40, 60, 3), dtype=np.uint8), mask


@pytest.mark.parametrize("augment", ["none", "flips", "standard"])
def test_kinds_stay(frame, augment):
    for seed in range(20):
        image, mask = apply(training_pipeline(augment), *frame, seed)
        assert (image.dtype, image.shape) == (np.uint8, (40, 60, 3))
        assert (mask.dtype, mask.shape) == (np.uint8, (40, 60))
        assert set(np.unique(mask)) <= {0, 1}


def test_none_changes_nothing_and_standard_does(frame):
    assert all(map(np.array_equal, apply(training_pipeline("none"), *frame, 1), frame))
    assert not np.array_equal(apply(training_pipeline("standard"), *frame, 1)[0], frame[0])


def test_colours_never_move_the_mask(frame):
    """A mask may only move where the geometry moved; turned back, flips are the frame itself."""
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
