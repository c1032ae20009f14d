"""Reading strictly: what each kind of bad picture is answered with."""

import contextlib
import gc
import io
import random
import struct
import subprocess
import sys
import time
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from polyp.data.images import list_images, natural_sort, open_quietly, read_image, write_png
from polyp.data.masks import read_mask
from polyp.disk import make_folder
from polyp.errors import DataError

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)


def error_of(function, *arguments) -> str:
    """The message of the DataError that the call must raise; it must fit on one line."""
    with pytest.raises(DataError) as caught:
        function(*arguments)
    gc.collect()  # a file left open would now warn, and warnings are errors here
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- read_image ----------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp"])
def test_lossless_formats_come_back_exactly(tmp_path, suffix):
    Image.fromarray(PIXELS).save(tmp_path / f"a.{suffix}")
    image = read_image(tmp_path / f"a.{suffix}")
    np.testing.assert_array_equal(image, PIXELS)
    assert image.dtype == np.uint8
    assert image.flags.writeable  # torch.from_numpy warns of arrays that are not


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA"])
def test_what_loses_nothing_is_converted(tmp_path, mode):
    picture = Image.fromarray(PIXELS).convert(mode)
    picture.save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), np.asarray(picture.convert("RGB")))


def test_a_path_may_hold_spaces_and_any_letter(tmp_path):
    path = tmp_path / "Ground Truth – Größe 息肉" / "Bild ä 1.png"
    write_png(make_folder(path.parent) / path.name, PIXELS)
    np.testing.assert_array_equal(read_image(path), PIXELS)


def test_a_turned_photo_is_read_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # "turn me 90 degrees clockwise"
    Image.fromarray(PIXELS).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), np.rot90(PIXELS, -1))


@pytest.mark.parametrize("suffix", ["tif", "gif", "webp"])
def test_several_pages_are_refused_and_no_file_is_left_open(tmp_path, suffix):
    page = Image.fromarray(PIXELS)
    page.save(tmp_path / f"a.{suffix}", save_all=True, append_images=[page.rotate(180), page.rotate(90)])
    assert "holds 3 pages; save each as a file of its own" in error_of(read_image, tmp_path / f"a.{suffix}")
    gc.collect()


def test_only_known_formats_are_opened_whatever_they_are_called(tmp_path):
    """Pillow would start Ghostscript for PostScript."""
    (tmp_path / "a.png").write_bytes(
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n"
    )
    assert "not a readable image; expected one of .png" in error_of(read_image, tmp_path / "a.png")
    Image.fromarray(PIXELS).save(tmp_path / "b.png", "PPM")
    assert "not a readable image" in error_of(read_image, tmp_path / "b.png")


def truncated(path):
    write_png(path, PIXELS)
    path.write_bytes(path.read_bytes()[:-40])


def converted(mode, **options):
    return lambda path: Image.fromarray(PIXELS).convert(mode).save(path, **options)


def half_transparent(path):
    Image.new("RGBA", (4, 4), (9, 9, 9, 128)).save(path)


def grey_16_bit(path):
    cv2.imwrite(str(path), PIXELS[..., 0].astype(np.uint16) * 257)


def rgb_16_bit(path):
    cv2.imwrite(str(path), PIXELS.astype(np.uint16) * 257)


BAD_IMAGES = [
    ("a.png", lambda path: None, "no such file"),
    ("a.png", Path.touch, "the file is empty (0 bytes); copy or export it again"),
    ("a.png", lambda path: path.write_text("no picture"), "not a readable image; expected one of .png"),
    ("a.png", truncated, "corrupt or truncated image (image file is truncated); copy or export it again"),
    ("a.png", Path.mkdir, "Is a directory"),
    ("a.png", half_transparent, "partly transparent (RGBA); flatten it onto a background"),
    (
        "a.png",
        converted("P", transparency=bytes(256)),
        "partly transparent (P); flatten it onto a background",
    ),
    ("a.png", grey_16_bit, "the image is 16-bit; save it as 8-bit RGB"),
    ("a.png", rgb_16_bit, "the image is 16-bit; save it as 8-bit RGB"),
    ("a.tif", rgb_16_bit, "the image is 16-bit; save it as 8-bit RGB"),
    ("a.tif", converted("F"), "the image is 16-bit or floating point; save it as 8-bit RGB"),
    ("a.jpg", converted("CMYK"), "the image is CMYK; save it as 8-bit RGB"),
]


@pytest.mark.parametrize(("name", "make", "message"), BAD_IMAGES)
def test_a_bad_file_is_named_with_its_remedy(tmp_path, name, make, message):
    make(tmp_path / name)
    error = error_of(read_image, tmp_path / name)
    assert error.startswith(f"{tmp_path / name}: ")
    assert message in error


@pytest.mark.parametrize(("name", "make", "message"), BAD_IMAGES)
def test_a_mask_is_refused_for_the_same_reasons(tmp_path, name, make, message):
    make(tmp_path / name)
    error = error_of(read_mask, tmp_path / name)
    assert error.startswith(f"{tmp_path / name}: ")
    assert message in error or "--mask-values" in error


def test_damaged_bytes_never_raise_anything_else(tmp_path):
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "maker"
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).save(buffer, "JPEG", exif=exif, dpi=(72, 72))
    chance, path = random.Random(0), tmp_path / "a.jpg"
    for _ in range(200):
        damaged = bytearray(buffer.getvalue())
        for _ in range(4):
            damaged[chance.randrange(2, 150)] = chance.randrange(256)
        path.write_bytes(damaged)
        with contextlib.suppress(DataError):
            assert read_image(path).ndim == 3


def claims_to_be(path: Path, side: int) -> Path:
    """A PNG whose header says side x side px and which holds next to nothing: decoding it must fail."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    return path


@pytest.mark.parametrize("side", [11_000, 20_000])
def test_a_huge_picture_is_refused_by_its_header(tmp_path, side):
    error = error_of(read_image, claims_to_be(tmp_path / "a.png", side))
    assert "larger than 100 megapixels; scale it down" in error


# --- Warning filters -----------------------------------------------------------------------------


def test_importing_leaves_the_users_warning_filters_alone():
    """Pillow and NumPy are imported first: they add filters of their own."""
    code = (
        "import numpy, PIL.Image, warnings; before = list(warnings.filters); import polyp.data.images;"
        "changed = set(before) ^ set(warnings.filters); print(changed); raise SystemExit(bool(changed))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_reading_a_large_picture_neither_warns_nor_changes_the_filters(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50)  # above which Pillow warns, and here that raises
    path = write_png(tmp_path / "a.png", PIXELS)
    before = list(warnings.filters)
    np.testing.assert_array_equal(read_image(path), PIXELS)
    assert warnings.filters == before


def test_threads_that_read_at_once_do_not_change_the_filters(tmp_path, monkeypatch):
    """Two that overlap would each save the other's filters, and the last one would restore them."""
    real, delays = Image.open, iter([0.05, 0.15])

    def slow(path, **options):
        time.sleep(next(delays))
        return real(path, **options)

    path = write_png(tmp_path / "a.png", PIXELS)
    monkeypatch.setattr(Image, "open", slow)
    before = list(warnings.filters)
    with ThreadPoolExecutor(2) as pool:
        for picture in pool.map(open_quietly, [path, path]):
            picture.close()
    assert warnings.filters == before


# --- read_mask, of masks that are clear; for others see test_masks ---------------------------------


@pytest.mark.parametrize("rgb", [False, True])
def test_a_mask_is_cut_above_127(tmp_path, rgb):
    grey = np.array([[0, 8, 127], [128, 247, 255]], np.uint8)
    path = write_png(tmp_path / "a.png", np.dstack([grey] * 3) if rgb else grey)
    mask = read_mask(path)
    np.testing.assert_array_equal(mask, [[0, 0, 0], [1, 1, 1]])
    assert mask.dtype == np.uint8


@pytest.mark.parametrize("value", [0, 255])
def test_a_mask_may_be_all_background_or_all_polyp(tmp_path, value):
    path = write_png(tmp_path / "a.png", np.full((3, 4), value, np.uint8))
    assert (read_mask(path) == value // 255).all()


def test_a_black_and_white_mask_is_read(tmp_path):
    Image.fromarray(np.eye(5) > 0).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "a.png"), np.eye(5))


# --- Folders -------------------------------------------------------------------------------------


def test_images_are_listed_in_natural_order(tmp_path):
    for name in ("10.png", "2.PNG", "1.jpg", ".3.png", "notes.txt"):
        (tmp_path / name).touch()
    (tmp_path / "4.png").mkdir()
    assert [path.name for path in list_images(tmp_path)] == ["1.jpg", "2.PNG", "10.png"]


def test_listing_what_is_no_folder(tmp_path):
    (tmp_path / "file").touch()
    assert "no such folder" in error_of(list_images, tmp_path / "missing")
    assert "is not a folder" in error_of(list_images, tmp_path / "file")


def test_natural_order_is_total():
    names = ["1²2.png", "1a2.png", "01.png", "1.png", "a.png"]
    orders = [[path.name for path in natural_sort(map(Path, order))] for order in (names, names[::-1])]
    assert orders[0] == orders[1] == ["01.png", "1.png", "1a2.png", "1²2.png", "a.png"]


# --- Writing -------------------------------------------------------------------------------------


@pytest.mark.parametrize("pixels", [PIXELS, PIXELS[..., 0]], ids=["rgb", "grey"])
def test_a_png_comes_back_exactly(tmp_path, pixels):
    path = write_png(tmp_path / "a.png", pixels)
    np.testing.assert_array_equal(np.asarray(Image.open(path)), pixels)
