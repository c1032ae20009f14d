"""Folders for train, val and test, either way round: `train/images` or `images/train`; or a file for each."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from polyp.data.layouts import coco, folders, yolo
from polyp.data.layouts.folders import IMAGE_FOLDERS, MASK_FOLDERS, between, has_pictures, subfolders
from polyp.data.layouts.listing import PART_NAMES, PARTS, Listing
from polyp.errors import DataError

Found = dict[str, tuple[str, Listing]]  # for each part its name there, and what it holds


def read(place: Path) -> Listing | None:
    """The parts of a folder, together; None if it has none. A frame is called `<part>/<frame>`.

    Raises:
        DataError: two folders of one part, or parts in more than one way.
    """
    if not place.is_dir():
        return None
    ways = [found for way in (_outside, _inside, _files) if (found := way(place))]
    if not ways:
        return None
    if len(ways) > 1:
        a, b = (_told(found) for found in ways[:2])
        raise DataError(f"{place}: holds {a}, but also {b}; keep one of the two, or name its folder")
    return _together(place, ways[0])


def _together(place: Path, found: Found) -> Listing:
    listings = {part: found[part][1].part(part) for part in PARTS if part in found}
    whole = Listing(place, "")
    for listing in listings.values():
        for name in ("images", "masks", "parts"):
            getattr(whole, name).update(getattr(listing, name))
        whole.clean.extend(listing.clean)
        for what, labels in listing.given.items():
            whole.given.setdefault(what, {}).update(labels)
    missing = (
        "" if "val" in found else "; none is val, so whole videos are taken out of train to choose an epoch"
    )
    missing += "" if "test" in found else "; none is test"
    kinds = list(dict.fromkeys(listing.found for listing in listings.values()))
    return replace(
        whole,
        found=f"{_told(found)}, which are the split unless another is asked for{missing}; {kinds[0]}",
        tables=(*(table for listing in listings.values() for table in listing.tables), ("", place)),
    )


def _told(found: Found) -> str:
    return "parts " + ", ".join(
        f"{found[part][0]} ({len(found[part][1].frames)} frames)" for part in PARTS if part in found
    )


def _by_part(names: dict[str, Path], where: Path) -> dict[str, Path]:
    """The folders or files of each part."""
    found: dict[str, Path] = {}
    for name, path in names.items():
        part = PART_NAMES.get(name)
        if part and part in found:
            raise DataError(f"{where}: {found[part].name} and {path.name} both mean {part}; keep one")
        if part:
            found[part] = path
    return found


def _outside(place: Path) -> Found:
    """`train/images` and `train/masks`, or what else a folder can hold."""
    found: Found = {}
    for part, folder in _by_part(subfolders(place), place).items():
        readers: list[Callable[[Path], Listing | None]] = [folders.read, yolo.read, coco.read]
        held = [listing for read in readers if (listing := read(folder))]
        if len(held) > 1:
            raise DataError(ambiguous(folder, held))
        if held:
            found[part] = f"{folder.name}/", held[0]
    return found


def _inside(place: Path) -> Found:
    """`images/train` and `masks/train`, or `labels/train`; of frames without masks nothing can be learnt."""
    inside = subfolders(place)
    images = next((inside[name] for name in IMAGE_FOLDERS if name in inside), None)
    found: Found = {}
    if images is None:
        return found
    frames = _by_part(subfolders(images), images)
    for name in MASK_FOLDERS:
        if name not in inside:
            continue
        for part, folder in _by_part(subfolders(inside[name]), inside[name]).items():
            if part not in frames:
                continue
            drawn, pictures = yolo.has_labels(folder), has_pictures(folder)
            if part in found and (drawn or pictures):
                other = folder.relative_to(place).as_posix()
                raise DataError(f"{place}: {found[part][1].found}, but also {other}/; keep one of the two")
            if pictures or drawn:
                read = between if pictures else yolo.between
                found[part] = frames[part].name + "/", read(place, frames[part], folder)
    return found


def _files(place: Path) -> Found:
    """`train.json` and `val.json`, or `annotations/instances_train2017.json`."""
    files = coco.files_of_parts(coco.files_in(place))
    return {part: (file.name, listing) for part, file in files.items() if (listing := coco.read(file))}


def ambiguous(place: Path, held: list[Listing]) -> str:
    """What to say of a place that can be read in two ways."""
    a, b, *_ = (listing.found.partition(";")[0].partition(", which")[0] for listing in held)
    return f"{place}: holds {a}, but also {b}; name one: its file, or its folders by --images and --masks"
