"""`survey`: it counts what it finds, names what is wrong, and does not stop at the first problem."""

import cv2
import numpy as np
import pytest
from PIL import Image

from polyp.config import configure
from polyp.data.check import survey
from polyp.data.dataset import open_data
from polyp.data.images import write_png
from polyp.disk import make_folder
from polyp.errors import DataError, UsageError

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
    assert facts.problems == []
    assert facts.pairs == 6
    assert facts.sizes == {(WIDTH, HEIGHT): 6}
    assert facts.image_modes == {"RGB": 6}
    assert facts.mask_modes == {"L": 6}
    assert facts.area_shares == [pytest.approx((4 * n) ** 2 / (HEIGHT * WIDTH)) for n in range(1, 7)]
    assert (facts.in_between_masks, facts.several_components, facts.specks) == (0, 0, 0)
    assert (facts.duplicates, facts.near_duplicates) == ([], 0)
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
    assert facts.problems == []
    assert (facts.empty_masks, facts.full_masks) == (["1"], ["2"])
    assert (facts.in_between_masks, facts.in_between_pixels) == (1, 7)
    assert facts.mask_modes == {"L": 5, "RGB": 1}
    assert (facts.several_components, facts.specks) == (1, 1)


def test_duplicates_are_found_exact_and_near(folder):
    image = np.asarray(Image.open(folder / "images" / "1.png"))
    write_png(folder / "images" / "2.png", image)
    write_png(folder / "images" / "3.png", (image * 0.9).astype(np.uint8))  # the same scene, darker
    facts = survey(folder)
    assert facts.problems == []
    assert facts.duplicates == [["1", "2"]]
    assert facts.near_duplicates == 3
    (pair,) = facts.near_pairs  # 3 is of another video than 1; 2 is told among the exact ones
    assert set(pair[:2]) == {"1", "3"}
    assert pair[2] == pytest.approx(1, abs=0.01)
    assert "exact duplicates          1 (1=2)" in str(facts)


def test_near_twins_of_one_video_are_counted_not_named(folder):
    image = np.asarray(Image.open(folder / "images" / "1.png"))
    write_png(folder / "images" / "2.png", (image * 0.9).astype(np.uint8))
    facts = survey(folder)
    assert facts.near_duplicates == 2
    assert facts.near_pairs == []
    (folder / "sequences.csv").unlink()
    assert [set(pair[:2]) for pair in survey(folder).near_pairs] == [{"1", "2"}]
    assert "pairs of near twins       1 (" in str(survey(folder))  # which video each is of is not known


def test_one_frame_with_two_masks(folder):
    image = np.asarray(Image.open(folder / "images" / "1.png"))
    for frame, mask in (("1", square(10, 10, 10)), ("2", square(10, 15, 10)), ("3", square(10, 10, 10))):
        write_png(folder / "images" / f"{frame}.png", image)
        write_png(folder / "masks" / f"{frame}.png", mask)
    facts = survey(folder)
    assert facts.duplicates == [["1", "2", "3"]]
    third = pytest.approx(50 / 150)  # two squares of 100 pixels that share half
    assert facts.two_masks == [("1", "2", third), ("2", "3", third)]
    assert "one frame, two masks      2 (1 = 2 IoU 0.33, 2 = 3 IoU 0.33)" in str(facts)


def test_two_empty_masks_are_the_same_and_two_sizes_are_not(folder):
    image = np.asarray(Image.open(folder / "images" / "1.png"))
    for frame, mask in (("1", square() * 0), ("2", square() * 0), ("3", np.zeros((5, 5), np.uint8))):
        write_png(folder / "images" / f"{frame}.png", image)
        write_png(folder / "masks" / f"{frame}.png", mask)
    facts = survey(folder)
    assert facts.two_masks == [("1", "3", 0.0), ("2", "3", 0.0)]
    assert facts.sizes_differ == ["3"]


def coloured(*colours) -> np.ndarray:
    """A mask of one square of each colour, RGB."""
    mask = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    for i, colour in enumerate(colours):
        mask[5:20, 5 + 18 * i : 17 + 18 * i] = colour
    return mask


@pytest.mark.parametrize(
    "mask",
    [
        coloured((255, 0, 0), (0, 255, 0)),  # NeoPolyp's classes
        coloured((255, 255, 0)),  # bright enough to be read as polyp, but still a class
        coloured(127, 255),
        coloured(100, 150),  # numbers of polyps
        coloured(1, 255),  # class 1, and 255 for "do not care"
    ],
    ids=["red and green", "yellow", "grey and white", "two greys", "class and border"],
)
def test_colours_and_greys_that_mean_classes(folder, mask):
    Image.fromarray(mask).save(folder / "masks" / "2.png")
    facts = survey(folder)
    assert facts.unclear_masks == ["2"]
    (problem,) = facts.problems
    assert problem.startswith(f"1 unclear masks (2); the first is {folder / 'masks' / '2.png'}: the mask ")
    assert "for all of them, say what means polyp, such as --mask-values " in problem


def test_noise_and_soft_edges_are_no_classes(folder):
    soft = cv2.GaussianBlur(square(), (0, 0), 3)
    write_png(folder / "masks" / "1.png", soft)
    Image.fromarray(np.dstack([soft] * 3)).save(folder / "masks" / "2.jpg", quality=50)
    (folder / "masks" / "2.png").unlink()
    write_png(folder / "masks" / "3.png", np.maximum(square(), 11))  # a haze, as in CVC-ClinicDB
    write_png(folder / "masks" / "4.png", np.minimum(square(), 250))
    facts = survey(folder)
    assert facts.in_between_masks == 4
    assert facts.unclear_masks == []
    assert facts.problems == []


def test_frames_without_a_polyp(folder):
    make_folder(folder / "negatives")
    random = np.random.default_rng(1)
    for name in ("9__a", "9__b", "clean"):
        noise = random.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
        write_png(folder / "negatives" / f"{name}.png", noise)
    write_png(folder / "masks" / "1.png", square() * 0)
    facts = survey(folder)
    assert facts.problems == []
    assert (facts.pairs, facts.negatives) == (6, 3)
    assert facts.sizes == {(WIDTH, HEIGHT): 9}
    assert "frames without a polyp    3 in negatives/, 1 with an empty mask" in str(facts)
    assert "sequences                 3, of 2 to 4 frames" in str(facts)  # the names tell the third
    (folder / "sequences.csv").unlink()
    assert survey(folder).problems == []  # sequences of clean frames alone ask nothing of the others


def test_a_clean_frame_that_is_wrong_or_shown_elsewhere(folder):
    make_folder(folder / "negatives")
    (folder / "negatives" / "broken.png").write_bytes(b"no picture")
    image = np.asarray(Image.open(folder / "images" / "1.png"))
    write_png(folder / "negatives" / "copy.png", image)
    write_png(folder / "negatives" / "2.png", image // 2)
    facts = survey(folder)
    assert facts.duplicates == [["1", "copy"]]
    assert facts.stems_twice == ["2"]
    assert "negatives/broken.png: not a readable image" in str(facts)


def test_hospitals(folder):
    (folder / "centres.csv").write_text("frame,centre\n1,Oslo\n2,Oslo\n3,Lyon\n4,Lyon\n5,Lyon\n6,Lyon\n")
    assert "hospitals                 Lyon (4), Oslo (2)" in str(survey(folder))
    (folder / "centres.csv").write_text("frame,centre\n1,Oslo\n")
    (problem,) = survey(folder).problems
    assert "5 frames missing in centres.csv: 2, 3, 4 and 2 more" in problem
    (folder / "centres.csv").write_text("frame;centre\n1;Oslo\n")
    facts = survey(folder)
    assert "the first line is not 'frame,centre'" in facts.problems[0]
    assert "sequences                 2, of 2 to 4 frames" in str(facts)


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
    assert len(facts.unreadable) == 1
    assert facts.unclear_masks == ["4"]
    assert len(facts.problems) == 6
    table = str(facts)
    assert "images/3.png: the file is empty" in table
    assert "--mask-values 1" in table
    assert table.endswith("not ok")
    assert max(map(len, table.splitlines())) <= 80


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("frame;sequence\n1;1\n", "the first line is not 'frame,sequence'"),
        ("frame,sequence\n1,1\n1,1\n", "frame '1' is listed twice"),
        ("frame,sequence\n1,1\n2,1\n", "4 frames missing in sequences.csv: 3, 4, 5 and 1 more"),
        (
            "frame,sequence\n" + "".join(f"{i}.PNG,1\n" for i in range(1, 7)),
            "'1.PNG' is listed, where the file",
        ),
        ("frame,sequence\n" + "".join(f" {i} ,1\n" for i in range(1, 7)), "' 1 ' is listed, where the file"),
        ("frame,sequence\n" + "".join(f"00{i},1\n" for i in range(1, 7)), "'001' is listed, where the file"),
    ],
)
def test_sequences_that_cannot_be_used(folder, table, message):
    (folder / "sequences.csv").write_text(table)
    (problem,) = survey(folder).problems
    assert message in problem


def test_a_number_too_long_for_python_is_a_name(folder):
    (folder / "sequences.csv").write_text(
        "frame,sequence\n" + "".join(f"{i},{'9' * 5000}\n" for i in range(1, 7))
    )
    assert set(survey(folder).sequences.values()) == {"9" * 5000}


def test_without_sequences(folder):
    (folder / "sequences.csv").unlink()
    facts = survey(folder)
    assert facts.problems == []
    assert "sequences                 none given" in str(facts)


@pytest.mark.parametrize(
    ("count", "sequences", "reason"),
    [
        (15, 5, ""),
        (15, None, ""),  # near-duplicates, here none, are kept together instead
        (15, 2, "a split by sequence needs at least 3 sequences, found 2"),
        (6, None, "3 frames would be left to train on, fewer than a batch of 8"),
        (3, 3, "1 frames would be left to train on, fewer than a batch of 8"),
    ],
)
def test_ok_means_that_training_would_begin(folder, tmp_path, count, sequences, reason):
    random = np.random.default_rng(7)
    for frame in range(7, count + 1):
        noise = random.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
        write_png(folder / "images" / f"{frame}.png", noise)
        write_png(folder / "masks" / f"{frame}.png", square(side=2 * frame))
    for frame in range(count + 1, 7):
        (folder / "images" / f"{frame}.png").unlink()
        (folder / "masks" / f"{frame}.png").unlink()
    (folder / "sequences.csv").unlink()
    if sequences:
        rows = "".join(f"{frame},{frame % sequences}\n" for frame in range(1, count + 1))
        (folder / "sequences.csv").write_text("frame,sequence\n" + rows)
    facts = survey(folder)
    assert facts.problems == []
    assert reason in facts.split_error
    assert facts.ok == (not reason)
    assert str(facts).splitlines()[-1] == ("not ok" if reason else "ok")
    assert ("can be scored, but not trained on" in str(facts)) == bool(reason)
    try:
        open_data(configure(data=str(folder)))
        began = True
    except (DataError, UsageError):
        began = False
    assert began == facts.ok


def test_nothing_to_survey(tmp_path):
    with pytest.raises(DataError, match="missing: no such folder"):
        survey(tmp_path / "missing")
    with pytest.raises(DataError, match="expected the folders images/ and masks/"):
        survey(tmp_path)
    make_folder(tmp_path / "images"), make_folder(tmp_path / "masks")
    facts = survey(tmp_path)
    assert facts.problems == ["no pairs of an image and a mask"]
    assert str(facts).endswith("not ok")
