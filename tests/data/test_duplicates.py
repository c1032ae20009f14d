"""Duplicates: the same frame is found again, shrunk, turned or darkened; another frame is not."""

import numpy as np
import pytest

from polyp.data.check import survey
from polyp.data.duplicates import (
    ALIKE,
    Fingerprints,
    count_near_duplicates,
    find_overlap,
    most_alike,
    thumbnail,
)
from polyp.data.images import read_image
from polyp.data.pairs import find_pairs


@pytest.fixture(scope="module")
def frames():
    """Five pictures of large blots, which no two look alike, uint8 (5, 96, 128, 3)."""
    random = np.random.default_rng(0)
    return random.integers(20, 200, (5, 6, 8, 3), dtype=np.uint8).repeat(16, axis=1).repeat(16, axis=2)


def prints(**images: np.ndarray) -> Fingerprints:
    made = Fingerprints()
    for frame, image in images.items():
        made.add(frame, image)
    return made


def test_a_thumbnail_forgets_brightness_and_contrast(frames):
    one = thumbnail(frames[0])
    assert one.shape == (16 * 16 * 3,)
    assert np.linalg.norm(one) == pytest.approx(1, abs=1e-5)
    assert one.sum() == pytest.approx(0, abs=1e-3)
    assert one @ thumbnail(frames[0] // 2 + 30) > 0.999
    assert not thumbnail(np.full((9, 9, 3), 77, np.uint8)).any()


def test_most_alike_is_the_largest_correlation_of_another_group():
    vectors = np.random.default_rng(1).normal(size=(1500, 12)).astype(np.float32)  # more than one block
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    groups = np.arange(1500) // 2
    index, likeness = most_alike(vectors, vectors, groups, groups)
    for row in (0, 1, 1023, 1024, 1499):
        others = np.flatnonzero(groups != groups[row])
        dots = vectors[others] @ vectors[row]
        assert index[row] == others[dots.argmax()]
        assert likeness[row] == pytest.approx(dots.max(), abs=1e-5)


def test_nothing_to_compare():
    assert count_near_duplicates([]) == 0
    assert Fingerprints().same() == []
    assert Fingerprints().alike({}) == []
    assert find_overlap("a", Fingerprints(), "b", Fingerprints()).alike == []


def test_same_needs_equal_pixels_and_equal_shape(frames):
    image = frames[0]
    changed = image.copy()
    changed[0, 0, 0] ^= 1
    other_shape = image.reshape(128, 96, 3)
    assert prints(a=image, b=changed, c=image.copy(), d=other_shape).same() == [["a", "c"]]


def test_alike_names_each_pair_once_the_best_first(frames):
    noise = np.random.default_rng(2).normal(0, 12, frames[0].shape)
    made = prints(
        a=frames[0],
        b=frames[1],
        noisy_a=np.clip(frames[0] + noise, 0, 255).astype(np.uint8),
        dark_b=frames[1] // 2,
        c=frames[2],
    )
    pairs = made.alike({})
    assert [set(pair[:2]) for pair in pairs] == [{"b", "dark_b"}, {"a", "noisy_a"}]
    assert 1.001 > pairs[0][2] > pairs[1][2] >= ALIKE
    assert [set(pair[:2]) for pair in made.alike({"b": 1, "dark_b": 1})] == [{"a", "noisy_a"}]
    assert len(made.alike({"b": 1, "dark_b": 2})) == 2


@pytest.mark.parametrize("quarters", range(4))
@pytest.mark.parametrize("mirrored", [False, True])
def test_overlap_finds_a_turned_and_shrunk_copy(frames, quarters, mirrored):
    copy = np.rot90(frames[3][::2, ::2], quarters)
    copy = copy[:, ::-1] if mirrored else copy
    overlap = find_overlap(
        "ours", prints(a=frames[0], b=frames[3]), "theirs", prints(x=frames[1], y=copy, z=frames[2])
    )
    assert overlap.same == []
    assert [pair[:2] for pair in overlap.alike] == [("b", "y")]


def test_overlap_tells_equal_pixels_from_like_ones(frames):
    ours, theirs = prints(a=frames[0], b=frames[1]), prints(x=frames[0], y=frames[1] // 2, z=frames[0])
    overlap = find_overlap("one", ours, "two", theirs)
    assert overlap.same == [("a", "x"), ("a", "z")]
    assert [pair[:2] for pair in overlap.alike] == [("b", "y")]
    assert str(overlap) == "one and two: the same 2 (a = x, a = z); nearly the same 1 (b ~ y)"


def test_sets_without_a_common_frame(frames):
    overlap = find_overlap("one", prints(a=frames[0]), "two", prints(b=frames[1]))
    assert str(overlap) == "one and two: the same 0; nearly the same 0"


def test_a_survey_can_be_compared(frames_folder):
    facts = survey(frames_folder)
    pair = find_pairs(frames_folder)[5]
    overlap = find_overlap("mine", prints(mine=read_image(pair.image)), "synthetic", facts.prints)
    assert overlap.same == [("mine", pair.frame)]


@pytest.mark.parametrize(("likeness", "counted", "named"), [(0.975, 0, 0), (0.985, 2, 0), (0.995, 2, 1)])
def test_to_be_named_a_pair_must_be_more_alike_than_to_be_counted(likeness, counted, named):
    one, other = np.zeros((2, 768), np.float32)
    one[0], other[:2] = 1, (likeness, np.sqrt(1 - likeness**2))
    made = Fingerprints(["a", "b"], [("a",), ("b",)], [one, other])
    assert count_near_duplicates(made.thumbnails) == counted
    assert len(made.alike({})) == named
