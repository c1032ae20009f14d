"""Masks on disk: which of their pixels mean polyp.

A mask holds two values, black and white. Some hold class numbers, colours, several polyps told apart, or a
border to ignore: taking what is bright for polyp would be wrong and say nothing. `read_mask` refuses those,
and says which `values` read them right.
"""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from polyp.data.drawn import DrawnMask
from polyp.data.images import SPECK, open_upright, to_rgb
from polyp.errors import DataError, UsageError

AUTO = "auto"


# Even areas of a grey level in between mean classes: 1 to 8 are class numbers, 25 to 230 are class colours.
# Between and above lies noise: levels of 9 to 23 fill the background of 49 masks of CVC-ClinicDB.
NUMBERS, COLOURS = (1, 8), (25, 230)
COLOURED = 32  # between a pixel's brightest and darkest channel; JPEG stays below
NEAR, LOSSY = 40, 110  # how far a channel may be from a colour that is asked for; JPEG blurs colours
VOC_BORDER = "e0e0c0"  # how the masks of PASCAL VOC draw what is to be ignored
MOST = 6  # colours or levels that a message lists


class UnclearMask(DataError):
    """A mask that says more than polyp or not; `values` are those that would read it, if they can be told."""

    def __init__(self, path: Path, what: str, values: Sequence[str] = (), note: str = ""):
        self.values = list(values)
        super().__init__(f"{path}: the mask {what}; {advice(values)}{note}")


def advice(values: Sequence[str]) -> str:
    """What to do with unclear masks of these values."""
    if not values:
        return "draw polyps in white, all else in black"
    return f"say what means polyp, such as --mask-values {'+'.join(values)}"


def read_mask(path: str | Path | DrawnMask, values: str = AUTO) -> np.ndarray:
    """Read one mask as uint8 of shape (H, W), values 0 (background) and 1 (polyp).

    Args:
        path: the file, or a mask to draw, which has no `values`: all that is drawn is polyp.
        values: which pixels mean polyp.
            `auto`: a grey value above 127, in a mask that says nothing else. Lossy files hold values in
            between (138 of the 612 masks of CVC-ClinicDB do), and that is fine.
            `bright`: the same, whatever else the mask says; `dark`: all others, for inverted masks.
            `nonzero`: whatever is not 0; `alpha`: what is opaque.
            Else values joined by +: grey levels, numbers of a palette or of a 16-bit or floating-point mask,
            such as `1+2`, and colours of six hexadecimal digits, such as `ff0000+00ff00`.

    Raises:
        UnclearMask: with `auto`, a mask of colours, of several grey levels, with transparency, of 16-bit or
            floating-point numbers.
        DataError: as `read_image`; `alpha` for a mask without transparency.
        UsageError: `values` is none of these.
    """
    check_values(values)
    if isinstance(path, DrawnMask):
        return path.read()
    path = Path(path)
    if values == AUTO:
        return _two_values(path)
    if values in WAYS:
        return WAYS[values](path).astype(np.uint8)
    return _listed(path, values.split("+")).astype(np.uint8)


def check_values(values: str) -> None:
    """Whether `read_mask` knows these values.

    Raises:
        UsageError: it does not.
    """
    if values != AUTO and values not in WAYS and not re.fullmatch(f"{ONE}([+]{ONE})*", values):
        raise UsageError(
            f"mask_values is {values!r}; expected {', '.join([AUTO, *WAYS])}, or numbers and colours joined "
            "by +, such as 1+2 or ff0000+00ff00"
        )


def doubt(areas: Sequence[float] | np.ndarray, values: str = AUTO) -> str:
    """Why all masks of a dataset together cannot be right; empty if they may be.

    Args:
        areas: the share of each frame that its mask takes, 0 to 1; frames in `negatives/` left out.
        values: how the masks were read.
    """
    shares = np.asarray(areas, float)
    if len(shares) and (shares == 0).all():
        return "every mask is empty; export them again, or move frames without a polyp to negatives/"
    if values != AUTO or not len(shares) or np.median(shares) <= 0.5:
        return ""
    return (
        f"the masks are mostly polyp, {np.median(shares):.0%} of a frame in the median: if polyps are drawn "
        "dark, use --mask-values dark; if they are that large, --mask-values bright"
    )


def _two_values(path: Path) -> np.ndarray:
    picture = open_upright(path, deep=True)
    if picture.mode.startswith(("I", "F")):
        values, note = _levels(_raw(path))
        raise UnclearMask(path, "holds 16-bit or floating-point numbers", values or ["nonzero"], note)
    if _has_alpha(picture) and np.asarray(picture.convert("RGBA"))[..., 3].min() < 255:
        raise UnclearMask(path, "is partly transparent", ["alpha"], ", if what is opaque does")
    rgb = np.asarray(to_rgb(picture, path))
    grey = np.asarray(to_rgb(picture, path).convert("L"))
    if _is_coloured(rgb):
        values, note = _colours(rgb)
        raise UnclearMask(path, f"is in colours{_listing(values)}", values, note)
    values, note = _levels(grey)
    if has_levels(grey):
        raise UnclearMask(path, f"has several grey levels{_listing(values)}", values, note)
    brightest = int(grey.max())
    if 0 < brightest <= 127:
        what = f"has no value above {brightest}, where 255 should mean polyp"
        raise UnclearMask(path, what, values or ["nonzero"], note)
    return (grey > 127).astype(np.uint8)


def _listing(values: list[str]) -> str:
    return f" ({', '.join(values)})" if values else ", as a drawing or a photograph is"


def _is_coloured(rgb: np.ndarray) -> bool:
    red, green, blue = cv2.split(rgb)  # NumPy would reduce three channels ten times slower
    spread = cv2.max(cv2.max(red, green), blue) - cv2.min(cv2.min(red, green), blue)
    return int((spread > COLOURED).sum()) >= SPECK


def has_levels(grey: np.ndarray) -> bool:
    """Whether a grey mask, uint8 (H, W), says more than polyp or not, by even areas of a level in between."""
    square = np.ones((3, 3), np.uint8)
    even = cv2.erode(grey, square) == cv2.dilate(grey, square)  # soft edges and noise are not even
    for low, high in (NUMBERS, COLOURS):
        area = grey[even & (grey >= low) & (grey <= high)]
        if len(area) >= SPECK and area.min() < grey.max():  # a single level is judged by its brightness
            return True
    return False


def _colours(rgb: np.ndarray) -> tuple[list[str], str]:
    """The colours of a mask's regions but the background, none if they are too many; and a note on them."""
    square = np.ones((3, 3), np.uint8)
    even = (cv2.dilate(rgb, square) - cv2.erode(rgb, square)).max(axis=2) <= NEAR  # no soft edges
    colours, counts = np.unique(rgb[even], axis=0, return_counts=True)
    kept: list[np.ndarray] = []
    for k in np.argsort(-counts):
        if counts[k] >= SPECK and all(np.abs(colours[k].astype(int) - other).max() > NEAR for other in kept):
            kept.append(colours[k])
    names = [bytes(colour.tolist()).hex() for colour in kept]
    shapes = [name for name in names[1:] if name != VOC_BORDER]  # the most frequent one is the background
    note = f" ({VOC_BORDER} is a border to ignore)" if VOC_BORDER in names else ""
    return (shapes, note) if len(shapes) <= MOST else ([], "")


def _levels(grey: np.ndarray) -> tuple[list[str], str]:
    """The numbers of a mask but 0, none if they are too many; and a note on them."""
    levels, counts = np.unique(grey[np.isfinite(grey)], return_counts=True)
    found = [
        f"{level:g}" for level, count in zip(levels, counts, strict=True) if count >= SPECK and level != 0
    ]
    if len(found) > MOST:
        return [], ""
    classes = [level for level in found if float(level) <= NUMBERS[1]]
    if classes and "255" in found:
        return classes, " (255 often means a border to ignore)"
    return found, ""


def _raw(path: Path) -> np.ndarray:
    """The numbers as they are stored: (H, W) of grey levels or of a palette, (H, W, 3) of colours."""
    picture = open_upright(path, deep=True)
    if picture.mode == "1":
        picture = picture.convert("L")
    if picture.mode in ("L", "P") or picture.mode.startswith(("I", "F")):
        return np.asarray(picture)
    rgb = np.asarray(to_rgb(picture, path))
    return rgb if _is_coloured(rgb) else rgb[..., 1]


def _grey(path: Path) -> np.ndarray:
    return np.asarray(to_rgb(open_upright(path), path).convert("L"))


def _nonzero(path: Path) -> np.ndarray:
    raw = _raw(path)
    return np.asarray((raw > 0).any(axis=2) if raw.ndim == 3 else np.nan_to_num(raw) != 0)


def _has_alpha(picture: Image.Image) -> bool:
    return picture.mode in ("PA", "RGBA", "LA") or "transparency" in picture.info


def _alpha(path: Path) -> np.ndarray:
    picture = open_upright(path)
    if not _has_alpha(picture):
        raise DataError(f"{path}: the mask has no transparency, which --mask-values alpha asks for")
    return np.asarray(picture.convert("RGBA"))[..., 3] > 127


def _listed(path: Path, values: list[str]) -> np.ndarray:
    raw, near = _raw(path), LOSSY if path.suffix.lower() in (".jpg", ".jpeg", ".webp") else NEAR
    found = np.zeros(raw.shape[:2], bool)
    for value in values:
        if not re.fullmatch(COLOUR, value):
            number = raw[..., 1] if raw.ndim == 3 else raw
            found |= number == float(value)
            continue
        rgb = np.asarray(to_rgb(open_upright(path), path)).astype(int)
        colour = [int(value[k : k + 2], 16) for k in (0, 2, 4)]
        found |= (np.abs(rgb - colour) <= near).all(axis=2)
    return found


COLOUR, ONE = "[0-9a-fA-F]{6}", "([0-9a-fA-F]{6}|-?[0-9]+([.][0-9]+)?)"
WAYS: dict[str, Callable[[Path], np.ndarray]] = {
    "bright": lambda path: _grey(path) > 127,
    "dark": lambda path: _grey(path) <= 127,
    "nonzero": _nonzero,
    "alpha": _alpha,
}
