"""Which pixels of a mask mean polyp: the clear are read, the others refused, and the advice is right."""

import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from polyp.__main__ import main
from polyp.config import changed
from polyp.data.check import survey
from polyp.data.dataset import open_data, open_part
from polyp.data.images import write_png
from polyp.data.masks import UnclearMask, read_mask
from polyp.data.pairs import find_pairs, read_pair
from polyp.errors import DataError, UsageError

HEIGHT, WIDTH = 60, 80
A, B = np.zeros((2, HEIGHT, WIDTH), bool)  # two polyps
cv2.circle(a := A.astype(np.uint8), (20, 25), 12, 1, -1)
cv2.circle(b := B.astype(np.uint8), (58, 35), 15, 1, -1)
A, B = a > 0, b > 0
BOTH = A | B


def painted(background, one, other) -> np.ndarray:
    """Uint8 (H, W) or (H, W, 3): the two polyps in a value or colour each."""
    picture = np.full((HEIGHT, WIDTH, *np.shape(background)), background, np.uint8)
    picture[A], picture[B] = one, other
    return picture


def colours(path, one, other, background=(0, 0, 0)):
    Image.fromarray(painted(background, one, other)).save(
        path, **({"quality": 90} if path.suffix == ".jpg" else {})
    )


def palette(path, border=False):
    """As labelme and PASCAL VOC write it: class numbers, and colours that mean them."""
    numbers = painted(0, 1, 2)
    if border:
        edge = cv2.dilate(BOTH.astype(np.uint8), np.ones((7, 7))) - BOTH
        numbers[edge > 0] = 255
    picture = Image.fromarray(numbers, "P")
    table = np.zeros((256, 3), np.uint8)
    table[1], table[2], table[255] = (128, 0, 0), (0, 128, 0), (224, 224, 192)
    picture.putpalette(table.ravel().tolist())
    picture.save(path)


def ignored_border(path):
    numbers = painted(0, 1, 2)
    numbers[cv2.dilate(BOTH.astype(np.uint8), np.ones((7, 7))) - BOTH > 0] = 255
    Image.fromarray(numbers).save(path)


def transparent(path):
    rgba = np.full((HEIGHT, WIDTH, 4), 255, np.uint8)
    rgba[..., 3] = 255 * BOTH
    Image.fromarray(rgba).save(path)


UNCLEAR = {
    "red and green": ("m.png", lambda path: colours(path, (255, 0, 0), (0, 255, 0))),
    "red and green, JPEG": ("m.jpg", lambda path: colours(path, (255, 0, 0), (0, 255, 0))),
    "all red": ("m.png", lambda path: colours(path, (255, 0, 0), (255, 0, 0))),
    "yellow and white": ("m.png", lambda path: colours(path, (255, 255, 0), (255, 255, 255))),
    "palette": ("m.png", palette),
    "palette with a border": ("m.png", lambda path: palette(path, border=True)),
    "palette, GIF": ("m.gif", palette),
    "border to ignore": ("m.png", ignored_border),
    "grey and white": ("m.png", lambda path: Image.fromarray(painted(0, 127, 255)).save(path)),
    "numbers of polyps": ("m.png", lambda path: Image.fromarray(painted(0, 100, 150)).save(path)),
    "class 1": ("m.png", lambda path: Image.fromarray(painted(0, 1, 1)).save(path)),
    "alpha": ("m.png", transparent),
    "16 bit": ("m.png", lambda path: cv2.imwrite(str(path), painted(0, 1, 2).astype(np.uint16) * 300)),
    "float": ("m.tif", lambda path: Image.fromarray(painted(0, 1, 1).astype(np.float32)).save(path)),
}


@pytest.mark.parametrize(("name", "draw"), UNCLEAR.values(), ids=UNCLEAR)
def test_an_unclear_mask_is_refused_and_the_advice_reads_it(tmp_path, name, draw):
    path = tmp_path / name
    draw(path)
    with pytest.raises(UnclearMask) as refused:
        read_mask(path)
    assert str(refused.value).startswith(f"{path}: the mask ")
    assert "\n" not in str(refused.value)
    values = re.search(r"--mask-values (\S+)", str(refused.value))[1].rstrip(",")
    found = read_mask(path, values)
    assert found.dtype == np.uint8
    assert np.count_nonzero(found != BOTH) <= (30 if name.endswith("jpg") else 0)  # JPEG blurs an outline


@pytest.mark.parametrize(
    ("values", "expected"), [("ff0000", A), ("00FF00", B), ("ff0000+00ff00", BOTH), ("nonzero", BOTH)]
)
def test_some_colours_may_be_named(tmp_path, values, expected):
    colours(tmp_path / "m.png", (255, 0, 0), (0, 255, 0))
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png", values), expected)


@pytest.mark.parametrize(("values", "expected"), [("1", A), ("2", B), ("1+2", BOTH), ("nonzero", BOTH)])
@pytest.mark.parametrize("kind", ["palette", "grey", "RGB", "16 bit", "float"])
def test_numbers_are_those_that_are_stored(tmp_path, kind, values, expected):
    numbers, path = painted(0, 1, 2), tmp_path / ("m.tif" if kind == "float" else "m.png")
    if kind == "palette":
        palette(path)
    elif kind == "16 bit":
        cv2.imwrite(str(path), numbers.astype(np.uint16))
    elif kind == "float":
        Image.fromarray(numbers.astype(np.float32)).save(path)
    else:
        Image.fromarray(np.dstack([numbers] * 3) if kind == "RGB" else numbers).save(path)
    np.testing.assert_array_equal(read_mask(path, values), expected)


def test_inverted_and_bright(tmp_path):
    path = write_png(tmp_path / "m.png", painted(255, 0, 0))
    np.testing.assert_array_equal(read_mask(path, "dark"), BOTH)
    np.testing.assert_array_equal(read_mask(path, "bright"), ~BOTH)


def test_alpha_needs_transparency(tmp_path):
    path = write_png(tmp_path / "m.png", painted(0, 255, 255))
    with pytest.raises(DataError, match="no transparency, which --mask-values alpha asks for"):
        read_mask(path, "alpha")


@pytest.mark.parametrize("values", ["", "white", "1,2", "1+", "#ff0000", "ff00", "auto+1"])
def test_unknown_values(tmp_path, values):
    with pytest.raises(
        UsageError, match="expected auto, bright, dark, nonzero, alpha, or numbers and colours"
    ):
        read_mask(tmp_path / "m.png", values)


def test_a_drawing_gets_no_wrong_advice(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    Image.fromarray(np.kron(noise[:15, :20], np.ones((4, 4, 1), np.uint8))).save(tmp_path / "m.png")
    with pytest.raises(
        UnclearMask, match="drawing or a photograph is; draw polyps in white, all else in black"
    ):
        read_mask(tmp_path / "m.png")


def test_no_flipped_bit_of_a_png_is_read_as_another_mask(tmp_path):
    content = write_png(tmp_path / "m.png", painted(0, 255, 255)).read_bytes()
    path, outcomes = tmp_path / "flipped.png", set[str]()
    for bit in range(0, 8 * len(content), 3):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        try:
            outcomes.add("right" if np.array_equal(read_mask(path), BOTH) else f"wrong at bit {bit}")
        except DataError:
            outcomes.add("refused")
    assert outcomes <= {"refused", "right"}
    assert "refused" in outcomes


# --- A folder of them ----------------------------------------------------------------------------


@pytest.fixture
def folder(frames_folder, tmp_path):
    return shutil.copytree(frames_folder, tmp_path / "mine")


def redrawn(folder: Path, change) -> Path:
    """Every mask of a dataset drawn in another way."""
    for path in (folder / "masks").iterdir():
        mask = np.asarray(Image.open(path).convert("L")) > 127
        Image.fromarray(change(mask)).save(path)
    return folder


def in_red(mask):
    return np.dstack([255 * mask, 0 * mask, 0 * mask]).astype(np.uint8)


def test_the_check_speaks_of_all_masks_and_the_flag_mends_them(folder, capsys):
    paths = sorted((redrawn(folder, in_red) / "masks").iterdir())
    green = np.asarray(Image.open(paths[-1]))[..., [1, 0, 2]]
    Image.fromarray(green).save(paths[-1])
    assert main(["data", "check", str(folder)]) == 1
    said = " ".join(capsys.readouterr().out.split())
    assert "24 unclear masks" in said
    values = re.search(r"--mask-values ([0-9a-f+]+) not ok", said)[1]
    assert sorted(values.split("+")) == ["00ff00", "ff0000"]
    assert main(["data", "check", str(folder), "--mask-values", values]) == 0


def test_training_reads_them_so_too(folder, frames_folder, tiny):
    config = changed(tiny, data=str(folder))
    expected = open_part(changed(tiny, data=str(frames_folder)), "test")
    redrawn(folder, in_red)
    with pytest.raises(UnclearMask):
        open_data(config)
    found = open_part(changed(config, mask_values="ff0000"), "test")
    assert len(found) == len(expected)
    for (_, mask), (_, other) in zip(found, expected, strict=True):
        assert mask.equal(other)
    assert found.cache.masks.sum() == expected.cache.masks.sum()


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda mask: 0 * mask.astype(np.uint8), "every mask is empty"),
        (lambda mask: 255 + 0 * mask.astype(np.uint8), "the masks are mostly polyp, 100%"),
        (lambda mask: 255 * (1 - mask.astype(np.uint8)), "the masks are mostly polyp, "),
    ],
    ids=["empty", "full", "inverted"],
)
def test_masks_that_cannot_be_right_together(folder, tiny, change, problem):
    redrawn(folder, change)
    assert any(line.startswith(problem) for line in survey(folder).problems)
    with pytest.raises(DataError, match=problem):
        open_data(changed(tiny, data=str(folder)))


def test_inverted_masks_are_mended_as_advised(folder, tiny):
    redrawn(folder, lambda mask: 255 * (1 - mask.astype(np.uint8)))
    values = re.search(r"--mask-values (\w+)", " ".join(survey(folder).problems))[1]
    assert survey(folder, values).ok
    assert open_data(changed(tiny, data=str(folder), mask_values=values)).train.cache.masks.mean() < 0.5


# --- Turned frames -------------------------------------------------------------------------------


def turned(folder: Path, orientation: int, size: tuple[int, int]) -> Path:
    """A dataset of one frame that is stored turned, of this height and width, and a mask as it is stored."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    frame = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    Image.fromarray(frame).save(folder / "images" / "1.png", exif=exif)
    write_png(folder / "masks" / "1.png", cv2.resize(painted(0, 255, 255), size[::-1]) // 128 * 255)
    return folder


@pytest.mark.parametrize(
    ("orientation", "size", "message"),
    [
        (3, (60, 80), "both directions fit; save the image upright, without the tag"),
        (6, (60, 60), "both directions fit; save the image upright, without the tag"),
        (6, (60, 80), "the image is stored turned .EXIF.: was its mask drawn unturned"),
    ],
)
def test_a_mask_that_was_drawn_on_a_turned_frame(tmp_path, orientation, size, message):
    folder = turned(tmp_path / "data", orientation, size)
    with pytest.raises(DataError, match=message):
        read_pair(find_pairs(folder)[0])
    assert not survey(folder).ok


def test_a_mask_that_was_drawn_on_what_is_seen(tmp_path):
    folder = turned(tmp_path / "data", 6, (60, 80))
    upright = np.asarray(Image.open(folder / "masks" / "1.png").rotate(-90, expand=True))
    write_png(folder / "masks" / "1.png", upright)
    image, mask = read_pair(find_pairs(folder)[0])
    assert image.shape[:2] == mask.shape == (80, 60)
    np.testing.assert_array_equal(mask, upright // 255)
