"""`survey`: it counts what it finds, names what is wrong, and does not stop at the first problem."""

import numpy as np
import pytest
from PIL import Image

from polyp.data.check import survey
from polyp.data.images import write_png
from polyp.disk import make_folder
from polyp.errors import DataError

HEIGHT, WIDTH = 40, 60


def square(y: int = 10, x: int = 10, side: int = 12) -> np.ndarray:
    """A mask with one square polyp, 0 and 255."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[y : y + side, x : x + side] = 255
    return mask


@pytest.fixture
def folder(tmp_path):
    """Six sound pairs of noise, which no two look alike, in two sequences."""
    folder = tmp_path / "my data ü"
    make_folder(folder / "images"), make_folder(folder / "masks")
    random = np.random.default_rng(0)
    for frame in range(1, 7):
        noise = random.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
        write_png(folder / "images" / f"{frame}.png", noise)
        write_png(folder / "masks" / f"{frame}.png", square(side=4 * frame))
    (folder / "sequences.csv").write_text("frame,sequence\n1,1\n2,1\n3,2\n4,2\n5,2\n6,2\n")
    return folder


def test_a_sound_folder(folder):
    facts = survey(folder)
    assert facts.ok
    assert facts.problems == []
    assert facts.pairs == 6
    assert facts.sizes == {(WIDTH, HEIGHT): 6}
    assert facts.image_modes == {"RGB": 6}
    assert facts.mask_modes == {"L": 6}
    assert facts.area_shares == [pytest.approx((4 * n) ** 2 / (HEIGHT * WIDTH)) for n in range(1, 7)]
    assert (facts.in_between_masks, facts.several_components, facts.specks) == (0, 0, 0)
    assert (facts.duplicates, facts.near_duplicates) == ([], 0)
    assert str(facts).splitlines()[-1] == "ok"
    assert "sequences                 2, of 2 to 4 frames" in str(facts)
    assert "0.67% to 24.00%, median" in str(facts)


def test_oddities_are_told_but_are_no_problem(folder):
    write_png(folder / "masks" / "1.png", square() * 0)
    write_png(folder / "masks" / "2.png", square() * 0 + 255)
    in_between = square(30, 30, 5) + square()
    in_between[0, :7] = 9
    Image.fromarray(np.dstack([in_between] * 3)).save(folder / "masks" / "3.png")
    write_png(folder / "masks" / "4.png", square() | square(39, 59, 1))
    facts = survey(folder)
    assert facts.ok
    assert (facts.empty_masks, facts.full_masks) == (["1"], ["2"])
    assert (facts.in_between_masks, facts.in_between_pixels) == (1, 7)
    assert facts.mask_modes == {"L": 5, "RGB": 1}
    assert (facts.several_components, facts.specks) == (1, 1)


def test_duplicates_are_found_exact_and_near(folder):
    image = np.asarray(Image.open(folder / "images" / "1.png"))
    write_png(folder / "images" / "2.png", image)
    write_png(folder / "images" / "3.png", (image * 0.9).astype(np.uint8))  # the same scene, darker
    facts = survey(folder)
    assert facts.ok
    assert facts.duplicates == [["1", "2"]]
    assert facts.near_duplicates == 3


def test_flat_images_are_no_near_twins(folder):
    for frame, grey in (("1", 10), ("2", 20)):
        write_png(folder / "images" / f"{frame}.png", np.full((HEIGHT, WIDTH, 3), grey, np.uint8))
    assert survey(folder).near_duplicates == 0


def test_all_problems_are_listed_not_only_the_first(folder):
    (folder / "masks" / "1.png").unlink()
    write_png(folder / "masks" / "lonely.png", square())
    write_png(folder / "images" / "2.bmp", np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    (folder / "images" / "3.png").write_bytes(b"")
    write_png(folder / "masks" / "4.png", square() // 255)
    write_png(folder / "masks" / "5.png", np.zeros((HEIGHT, WIDTH + 1), np.uint8))
    facts = survey(folder)
    assert not facts.ok
    assert facts.pairs == 4
    assert facts.images_without_mask == ["1"]
    assert facts.masks_without_image == ["lonely"]
    assert facts.stems_twice == ["2"]
    assert facts.sizes_differ == ["5"]
    assert len(facts.unreadable) == 2
    assert len(facts.problems) == 6
    table = str(facts)
    assert "images/3.png: the file is empty" in table
    assert "masks/4.png: the mask's brightest value is 1;" in table
    assert table.endswith("not ok")
    assert max(map(len, table.splitlines())) <= 80


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("frame;sequence\n1;1\n", "the first line is not 'frame,sequence'"),
        ("frame,sequence\n1,1\n1,1\n", "frame '1' is listed twice"),
        ("frame,sequence\n1,1\n2,1\n", "4 frames missing in sequences.csv: 3, 4, 5 and 1 more"),
    ],
)
def test_sequences_that_cannot_be_used(folder, table, message):
    (folder / "sequences.csv").write_text(table)
    (problem,) = survey(folder).problems
    assert message in problem


def test_without_sequences(folder):
    (folder / "sequences.csv").unlink()
    facts = survey(folder)
    assert facts.ok
    assert "sequences                 none given" in str(facts)


def test_nothing_to_survey(tmp_path):
    with pytest.raises(DataError, match="missing: no such folder"):
        survey(tmp_path / "missing")
    with pytest.raises(DataError, match="expected the folders images/ and masks/"):
        survey(tmp_path)
    make_folder(tmp_path / "images"), make_folder(tmp_path / "masks")
    facts = survey(tmp_path)
    assert facts.problems == ["no pairs of an image and a mask"]
    assert str(facts).endswith("not ok")
