"""One map or mask: reading it, and telling what its values are."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from scipy.special import expit

from polyp.data.images import open_quietly, read_image
from polyp.errors import DataError, name_some

CHROMA = 8  # a grey JPEG may come back with channels that differ by this much
CLASSES = 25  # of 255; if no map has a brighter pixel, the numbers are classes rather than grey values

Map = Path | np.ndarray


def _as_they_are(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float64)


# What the values of maps may be, and how each becomes a probability, float64 0 to 1.
# `settle_values` replaces "auto".
VALUES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "auto": _as_they_are,
    "0-1": _as_they_are,
    "0-255": lambda values: values.astype(np.float64) / 255,
    "logits": lambda values: expit(values.astype(np.float64)),
}


@dataclass
class Span:
    """What all maps together hold: the range, whether all are whole numbers, who holds which kind."""

    low: float = np.inf
    high: float = -np.inf
    whole: bool = True
    kinds: dict[str, str] = field(default_factory=dict)  # kind of number -> the first frame of it

    def add(self, values: np.ndarray, name: str) -> None:
        """Take another map into account."""
        self.kinds.setdefault("fractions" if values.dtype.kind == "f" else "whole numbers", name)
        self.low, self.high = min(self.low, float(values.min())), max(self.high, float(values.max()))
        self.whole = self.whole and (values.dtype.kind != "f" or bool((values == np.rint(values)).all()))


def settle_values(found: Span, values: str, place: str) -> str:
    """The key of `VALUES` by which all maps are read: the one given, or the only one that fits them.

    Args:
        found: over all maps.
        values: a key of `VALUES`; "auto" to tell it from what was found.
        place: to name in an error.

    Raises:
        DataError: no key fits, or several may.
    """
    return _tell_apart(found, place) if values == "auto" else _confirm(found, values, place)


def _tell_apart(found: Span, place: str) -> str:
    span = f"the values of all maps lie between {found.low:g} and {found.high:g}"
    say = "say what they are with --values 0-1, 0-255 or logits"
    if len(found.kinds) > 1:
        (a, first), (b, second) = found.kinds.items()
        raise DataError(f"{place}: {first} holds {a}, {second} holds {b}; write all maps in one way")
    if found.low >= 0 and found.high <= 1:
        return "0-1"
    if found.low < 0:
        if found.low >= -1 and found.high <= 1:
            raise DataError(f"{place}: {span}, as logits or a tanh may; {say}")
        return "logits"
    if found.whole and CLASSES < found.high <= 255:
        return "0-255"
    if found.whole and found.high > 255:
        raise DataError(
            f"{place}: {span}; expected at most 255: save the maps as 8-bit grey or as floats 0 to 1"
        )
    what = "class numbers or dark maps" if found.whole else "logits or grey values"
    raise DataError(f"{place}: {span}, as {what} may; {say}")


def _confirm(found: Span, values: str, place: str) -> str:
    if values != "logits" and (found.low < 0 or found.high > float(values.partition("-")[2])):
        raise DataError(
            f"{place}: the values of all maps lie between {found.low:g} and {found.high:g}, "
            f"not within {values}; give --values as they are"
        )
    return values


def read_map(given: Map, name: str) -> np.ndarray:
    """A map as it is stored, (H, W): uint8 or another whole number, bool, or a float.

    Raises:
        DataError: not a grey picture or an array of one channel; corrupt; NaN or infinite values.
    """
    where = str(given) if isinstance(given, Path) else f"prediction {name}"
    if not isinstance(given, Path):
        values = given
    elif given.suffix.lower() == ".npy":
        values = _load_npy(given)
    else:
        floats = _read_float_picture(given)
        values = _grey(given, "a map") if floats is None else floats
    values = plane(values)
    check_shape(values, where)
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise DataError(f"{where}: holds NaN or infinity; look for a diverged network")
    return values


def plane(array: np.ndarray) -> np.ndarray:
    """(1, 1, H, W), (1, H, W) or (H, W, 1), as networks answer, as (H, W)."""
    return array.squeeze() if array.ndim in (3, 4) else array


def _load_npy(path: Path) -> np.ndarray:
    try:
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{path}: cannot be read ({reason}); write it with numpy.save") from None


def _read_float_picture(path: Path) -> np.ndarray | None:
    """The values of a picture of floating-point numbers, float32 (H, W); None for any other file."""
    try:
        with open_quietly(path) as picture:
            return np.asarray(picture) if picture.mode == "F" else None
    except Exception:  # what is wrong with it, `read_image` says better
        return None


def _grey(path: Path, what: str) -> np.ndarray:
    """The one channel of a grey picture, uint8 (H, W)."""
    red, green, blue = cv2.split(read_image(path))
    if max(cv2.absdiff(green, other).max() for other in (red, blue)) > CHROMA:
        raise DataError(f"{path}: a colour picture; expected {what} in grey: is this the folder of frames?")
    return green


def check_shape(array: np.ndarray, where: str) -> None:
    """Refuse what is not numbers of shape (H, W)."""
    if array.ndim != 2 or not array.size or array.dtype.kind not in "buif":
        raise DataError(f"{where}: {array.dtype} of shape {array.shape}; expected numbers of shape (H, W)")


def has_greys(given: Map | None, name: str) -> bool:
    """Whether a mask holds values beyond a JPEG's noise (0-8, 247-255); too many in the middle are refused.

    Soft outlines and dark grey backgrounds are common and harmless: a pixel is polyp above 127.

    Raises:
        DataError: a colour picture; classes or probabilities; an array of more than 0 and 1, or 0 and 255.
    """
    if given is None:
        return False
    if isinstance(given, np.ndarray):
        check_shape(given, f"truth {name}")
        found = set(np.unique(given).tolist())
        if not (found <= {0, 1} or found <= {0, 255}):
            some = name_some(f"{value:g}" for value in sorted(found))
            raise DataError(f"truth {name}: holds {some}; expected a mask of 0 and 1")
        return False
    grey = _grey(given, "a mask")
    middle, bright = ((grey > 63) & (grey < 192)).mean(), (grey > 63).mean()
    if middle > 0.01 and middle > 0.2 * bright:
        raise DataError(
            f"{given}: {middle:.0%} of the mask is middle grey; expected two values, 0 and 255: "
            "is it a probability map, or a mask of classes?"
        )
    return bool(((grey > 8) & (grey < 247)).any())
