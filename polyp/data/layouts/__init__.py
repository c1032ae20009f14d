"""How people keep frames and masks: each layout's reader, and the one that fits a place."""

from collections.abc import Callable
from pathlib import Path

from polyp.data.layouts import coco, folders, parts, table, yolo
from polyp.data.layouts.listing import Listing
from polyp.errors import DataError, UsageError

# Each gives the frames of a folder or file, or None if it is laid out otherwise.
LAYOUTS: dict[str, Callable[[Path], Listing | None]] = {
    "two folders": folders.read,
    "YOLO": yolo.read,
    "parts": parts.read,
    "COCO": coco.read,
    "table": table.read,
}


def open_place(place: str | Path, masks: str | Path = "") -> Listing:
    """The frames and masks of a folder or file, by the layout that fits; see `LAYOUTS`.

    Args:
        place: a folder, a table of pairs, or a JSON file of COCO.
        masks: the folder of masks, if `place` is the folder of frames and no more.

    Raises:
        DataError: nothing there, nothing that fits, or more than one layout does.
    """
    place = Path(place).expanduser()
    if masks:
        return folders.read_given(place, Path(masks).expanduser())
    if not place.exists():
        raise DataError(f"{place}: no such folder")
    found = [listing for read in LAYOUTS.values() if (listing := read(place))]
    if len(found) > 1:
        raise DataError(parts.ambiguous(place, found))
    if found:
        return found[0]
    if place.is_file():
        raise UsageError(
            f"{place}: not a dataset; expected a folder, a CSV of pairs (image,mask), or a JSON file of COCO"
        )
    if held := folders.layout(place):  # without any masks: the pairs say which are missing
        return folders.between(place, *held)
    raise DataError(
        f"{place}: contains no dataset; expected the folders images/ and masks/ (or image/ and label/, "
        "imgs/ and gts/, Original/ and Ground Truth/), directly, in PNG/ or in train/, val/ and test/; or "
        "1.png beside 1_mask.png; or YOLO's labels/, or a JSON file of COCO"
    )
