import numpy as np
import pytest
from matplotlib.path import Path as Outline

from polyp.data.drawn import decode_runs, draw_polygon, draw_runs
from polyp.errors import DataError


def drawn(points, shape):
    mask = np.zeros(shape, bool)
    draw_polygon(mask, points, "entry 1")
    return mask


def centres(shape):
    y, x = np.mgrid[: shape[0], : shape[1]] + 0.5
    return x, y


def test_a_rectangle_is_its_pixels():
    expected = np.zeros((8, 10), bool)
    expected[2:5, 3:9] = True
    assert np.array_equal(drawn([3, 2, 9, 2, 9, 5, 3, 5], (8, 10)), expected)
    assert drawn([0, 0, 10, 0, 10, 8, 0, 8], (8, 10)).all()
    assert not drawn([1, 1, 5, 1, 9, 1], (8, 10)).any()  # no area


def test_any_polygon_is_the_pixels_whose_centres_it_holds():
    random = np.random.default_rng(0)
    for count in range(3, 43):
        corners = random.uniform(-0.9, 1, (count, 2)) * [1, 1] + random.uniform(0, [60, 40], (count, 2))
        corners = np.clip(corners, -0.9, [60.9, 40.9])  # crossing itself, a little outside
        x, y = centres((40, 60))
        inside = Outline(np.vstack([corners, corners[:1]]))
        expected = inside.contains_points(np.stack([x.ravel(), y.ravel()], 1)).reshape(40, 60)
        assert np.array_equal(drawn(corners.ravel(), (40, 60)), expected)


def test_polygons_are_joined_and_each_is_handed_back():
    mask = drawn([0, 0, 4, 0, 4, 4, 0, 4], (6, 9))
    alone = draw_polygon(mask, [2, 2, 8, 2, 8, 6, 2, 6], "entry 2")
    assert (alone.sum(), mask.sum()) == (24, 16 + 24 - 4)


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ([1, 1, 2, 2], "has 4 numbers; expected x and y of 3 points"),
        ([1, 1, 2, 2, 3, 3, 4], "has 7 numbers"),
        ([1, 1, 2, 2, 3, float("nan")], "no list of numbers"),
        ([1, 1, 2, "b", 3, 3], "no list of numbers"),
        ([1, 1, 2, None, 3, 3], "no list of numbers"),
        ([[1, 1], [2, 2], [3, 3]], "no list of numbers"),
        ([1, 1, 2, 10**400, 3, 3], "no list of numbers"),
        ([1, 1, 11.5, 2, 3, 3], "its point 11.5, 2 is outside of the frame, which is 10 x 8"),
        ([1, 1, 2, -1.5, 3, 3], "outside of the frame"),
    ],
)
def test_a_polygon_that_cannot_be_drawn(points, message):
    with pytest.raises(DataError, match=f"entry 1: .*{message}"):
        drawn(points, (8, 10))


def test_runs_go_down_the_columns():
    mask = np.zeros((3, 4), bool)
    draw_runs(mask, [1, 3, 5, 2, 1], "entry 1")
    assert mask.astype(int).tolist() == [[0, 1, 0, 1], [1, 0, 0, 1], [1, 0, 0, 0]]


def test_compressed_runs_are_those_of_pycocotools():
    """The texts are what `pycocotools.mask.encode` 2.0.11 made of these masks."""
    y, x = np.mgrid[:30, :40]
    distance = np.hypot(y - 15, x - 20)
    ring = (distance < 13.5) & (distance > 6)
    late = np.zeros((600, 800), bool)
    late[598:, 799] = True
    for mask, text in (
        (ring, "n67d06L2M4M2O0O2NEK04M20NO40K070H080H080HO:0F180H080H080I050L120N3L05;2N101N3L3N4J[5"),
        (np.ones((3, 5), bool), "0?"),
        (np.zeros((3, 5), bool), "?"),
        (late, "ngd>2"),
    ):
        found = np.zeros(mask.shape, bool)
        draw_runs(found, decode_runs(text, "entry 1"), "entry 1")
        assert np.array_equal(found, mask)


@pytest.mark.parametrize("text", ["n67 d06", "n", "ooooooooo0", "n67d06ü"])
def test_damaged_runs(text):
    with pytest.raises(DataError, match=r"entry 1: its runs \(RLE\)"):
        decode_runs(text, "entry 1")


@pytest.mark.parametrize("counts", [[1, 2], [12, 1], [-3, 15], [6.0, 6], ["12"], [True, 11], []])
def test_runs_that_do_not_fit(counts):
    with pytest.raises(DataError, match=r"do not add up to the frame's 4 x 3 pixels"):
        draw_runs(np.zeros((3, 4), bool), counts, "entry 1")
