"""Pictures on disk: reading them strictly, listing a folder of them, writing a PNG. For masks see `masks`."""

import re
import warnings
from collections.abc import Iterable, Mapping
from io import BytesIO
from pathlib import Path
from threading import Lock

import cv2
import numpy as np
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

from polyp.disk import write_atomic
from polyp.errors import DataError, name_some

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".gif")
# Whatever a file is called: Pillow would start other programs for some formats, such as PostScript.
FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP", "GIF")
ORIENTATION = 0x0112  # the EXIF tag
SPECK = 10  # pixels; a smaller region of a mask is a slip of the annotator's pen, not a polyp
MAX_PIXELS = 100_000_000  # 10 000 x 10 000; a larger picture is a scan or a mistake, not a frame
UNTABLED = re.compile("[\\x00-\\x1f\\x7f\\udc80-\\udcff]")  # control characters; bytes that are not UTF-8
_filters = Lock()  # the whole process shares Python's warning filters


def open_quietly(path: Path) -> ImageFile.ImageFile:
    """Read a picture's header without Pillow's warning about large pictures: `MAX_PIXELS` is our bound.

    The user's warning filters stay as they were, even if several threads read at once.
    """
    with _filters, warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        return Image.open(path, formats=FORMATS)


def open_upright(path: Path, deep: bool = False) -> Image.Image:
    """Decode `path` and turn it upright as its EXIF data ask, or say what is wrong with it and what to do.

    Args:
        path: one picture, of one page.
        deep: 16-bit grey is fine.

    Raises:
        DataError: see `read_image`.
    """
    if not path.exists():
        raise DataError(f"{path}: no such file")
    if path.stat().st_size == 0:
        raise DataError(f"{path}: the file is empty (0 bytes); copy or export it again")
    try:
        with open_quietly(path) as picture:  # closes the file, whatever happens
            _check_header(picture, path, deep)
            picture.load()
            if picture.format == "PNG":
                with open_quietly(path) as again:
                    again.verify()  # by its checksums: a flipped bit often decodes, as another picture
            # A phone or a converter may have stored it turned and said so only in its EXIF data.
            return ImageOps.exif_transpose(picture)
    except DataError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise DataError(
            f"{path}: larger than {MAX_PIXELS // 1_000_000} megapixels; scale it down or cut it into frames"
        ) from None
    except UnidentifiedImageError:
        raise DataError(
            f"{path}: not a readable image; expected one of {', '.join(IMAGE_SUFFIXES)}"
        ) from None
    except Exception as error:  # damaged bytes make decoders raise nearly anything, struct.error included
        raise DataError(f"{path}: corrupt or truncated image ({error}); copy or export it again") from None


def _check_header(picture: ImageFile.ImageFile, path: Path, deep: bool) -> None:
    """Refuse, before anything is decoded, what is too large and what decoding would quietly cut to 8 bit."""
    width, height = picture.size
    if width * height > MAX_PIXELS:
        raise DataError(
            f"{path}: {width} x {height} px is larger than {MAX_PIXELS // 1_000_000} megapixels; "
            "scale it down or cut it into frames"
        )
    pages = getattr(picture, "n_frames", 1)
    if pages > 1 and picture.format != "MPO":  # a phone's JPEG with a preview behind it
        raise DataError(f"{path}: holds {pages} pages; save each as a file of its own")
    # Pillow has no 16-bit RGB: it drops the low byte and calls the rest RGB. Only the raw mode tells.
    if any(re.search(";16[BLN]", str(tile[3])) for tile in picture.tile) and not (
        deep and picture.mode.startswith("I")
    ):
        raise DataError(f"{path}: the image is 16-bit; save it as 8-bit RGB")


def to_rgb(picture: Image.Image, path: Path) -> Image.Image:
    """Convert if nothing is lost or guessed; otherwise name the mode and the remedy."""
    mode = picture.mode
    if mode == "RGB":
        return picture
    if mode in ("1", "L"):  # equal channels say the same thing
        return picture.convert("RGB")
    if mode in ("P", "PA", "RGBA", "LA"):
        rgba = picture.convert("RGBA")
        if np.asarray(rgba)[..., 3].min() < 255:
            raise DataError(
                f"{path}: the image is partly transparent ({mode}); flatten it onto a background "
                "and save it as 8-bit RGB"
            )
        return rgba.convert("RGB")
    depth = "16-bit or floating point" if mode.startswith(("I", "F")) else mode
    raise DataError(f"{path}: the image is {depth}; save it as 8-bit RGB")


def is_turned(path: Path) -> bool:
    """Whether a picture's EXIF data say that it is stored turned or mirrored."""
    with open_quietly(path) as picture:
        return picture.getexif().get(ORIENTATION, 1) not in (0, 1)


def stored_size(path: Path) -> tuple[int, int]:
    """Height and width of a picture's pixels as they are stored, before it is turned upright."""
    with open_quietly(path) as picture:
        return picture.size[1], picture.size[0]


def seen_size(path: Path) -> tuple[int, int]:
    """Height and width of a picture as it is seen, turned upright, from its header alone.

    Raises:
        DataError: no such file, or no picture.
    """
    try:
        with open_quietly(path) as picture:
            width, height = picture.size
            quarter = picture.getexif().get(ORIENTATION, 1) >= 5
    except Exception as error:  # damaged bytes make decoders raise nearly anything
        reason = "no such file" if isinstance(error, FileNotFoundError) else "not a readable image"
        raise DataError(f"{path}: {reason}") from None
    if width * height > MAX_PIXELS:
        raise DataError(f"{path}: larger than {MAX_PIXELS // 1_000_000} megapixels; scale it down")
    return (width, height) if quarter else (height, width)


def read_image(path: str | Path) -> np.ndarray:
    """Read one picture as uint8 RGB of shape (H, W, 3), values 0-255, turned upright.

    Grey, palette and opaque RGBA pictures are converted, since nothing is lost.

    Raises:
        DataError: missing, empty, corrupt, 16-bit, CMYK, transparent, or above `MAX_PIXELS`.
    """
    path = Path(path)
    return np.array(to_rgb(open_upright(path), path))  # a copy: Pillow's own buffer is read-only


def shrink(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """An image uint8 (H, W, 3) at the height and width that a network wants, as training has resized it.

    The same as `augmentation.evaluation_pipeline`, without the seconds that its import takes.
    """
    if image.shape[:2] == tuple(size):
        return image
    return cv2.resize(image, (size[1], size[0]), interpolation=cv2.INTER_AREA)


def list_images(folder: str | Path) -> list[Path]:
    """The image files directly in `folder`, in natural order (2.png before 10.png), hidden ones left out.

    Raises:
        DataError: the folder is missing or is not a folder; a name in it that no table could hold.
    """
    folder = Path(folder)
    if not folder.is_dir():
        what = "is not a folder" if folder.exists() else "no such folder"
        raise DataError(f"{folder}: {what}")
    found = natural_sort(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".") and path.is_file()
    )
    odd = [path for path in found if UNTABLED.search(path.name)]
    if odd:
        names = name_some(ascii(path.name) for path in odd)
        raise DataError(
            f"{folder}: {len(odd)} names hold control characters or are not UTF-8 ({names}); rename them, "
            "for example with `convmv -f latin1 -t utf8`"
        )
    return found


def natural_sort(paths: Iterable[Path]) -> list[Path]:
    """Sort by name, numbers by value: `2.png` before `10.png`."""

    def key(path: Path):
        parts = re.split(r"([0-9]+)", path.name)  # the odd parts are the numbers
        numbers = [(0, int(part), "") if i % 2 else (1, 0, part) for i, part in enumerate(parts)]
        return numbers, path.name  # the name settles `1.png` and `01.png`

    return sorted(paths, key=key)


def write_png(
    path: str | Path, pixels: np.ndarray, texts: Mapping[str, str] | None = None, durable: bool = True
) -> Path:
    """Write uint8 pixels, (H, W) grey or (H, W, 3) RGB, as a PNG with these text fields, atomically.

    With `durable` it survives a power cut as soon as this returns, which takes a disk some milliseconds.
    """
    buffer, info = BytesIO(), PngInfo()
    for name, text in (texts or {}).items():
        info.add_text(name, text)
    Image.fromarray(pixels).save(buffer, format="PNG", pnginfo=info)
    return write_atomic(path, buffer.getvalue(), durable)
