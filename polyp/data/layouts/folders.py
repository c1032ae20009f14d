"""A folder of frames and a folder of masks, or masks beside their frames: what most people have."""

from pathlib import Path

from polyp.data.images import IMAGE_SUFFIXES, list_images, natural_sort
from polyp.data.labels import frame_name
from polyp.data.layouts import yolo
from polyp.data.layouts.listing import Listing
from polyp.errors import DataError

# What people call the folders of frames and of masks, in small letters; the earlier name goes first.
IMAGE_FOLDERS = ("images", "image", "imgs", "img", "frames", "original", "imagestr")
MASK_FOLDERS = (
    *("masks", "mask", "ground truth", "groundtruth", "ground_truth", "gts", "gt"),
    *("labels", "label", "segmentations", "annotations", "labelstr"),
)
# What masks' names may have after the frame's.
MASK_ENDINGS = ("_mask", "-mask", "_label", "_gt", "_seg", "_segmentation")
NEGATIVES = "negatives"
USUAL = "frames in images/, masks in masks/"


def subfolders(folder: Path) -> dict[str, Path]:
    """The visible folders in `folder` by their lower-case names: `PNG`, `png` and `Png` are one to us."""
    if not folder.is_dir():
        return {}
    inside = (path for path in natural_sort(folder.iterdir()) if not path.name.startswith("."))
    return {path.name.lower(): path for path in inside if path.is_dir()}


def layout(folder: Path) -> tuple[Path, Path] | None:
    """The folder of frames and the folder of masks, or None; PNG before TIF, which holds the same."""
    inside = subfolders(folder)
    for holder in (inside, *(subfolders(inside[name]) for name in ("png", "tif") if name in inside)):
        images = next((holder[name] for name in IMAGE_FOLDERS if name in holder), None)
        masks = next((holder[name] for name in MASK_FOLDERS if name in holder), None)
        if images and masks:
            return images, masks
    if any(path.stem.lower().endswith(MASK_ENDINGS) for path in _pictures(folder)):  # 1.png beside 1_mask.png
        return folder, folder
    return None


def _pictures(folder: Path) -> list[Path]:
    return list_images(folder) if folder.is_dir() else []


def has_pictures(folder: Path) -> bool:
    """Whether there are pictures directly in a folder."""
    return any(path.suffix.lower() in IMAGE_SUFFIXES for path in folder.iterdir())


def read(place: Path) -> Listing | None:
    """The frames and masks of a folder, see `find_pairs`; None if it holds none."""
    folders = layout(place)
    return between(place, *folders) if folders and has_pictures(folders[1]) else None


def read_given(images: Path, masks: Path) -> Listing:
    """The frames of one folder with the masks, or the polygons of YOLO, of another; whatever they are called.

    Raises:
        DataError: no such folder, or a folder of masks that holds neither or both.
    """
    for folder in (images, masks):
        if not folder.is_dir():
            raise DataError(f"{folder}: no such folder")
    if not has_pictures(images):
        inside = subfolders(images)
        images = next((inside[name] for name in IMAGE_FOLDERS if name in inside), images)
    drawn, pictures = yolo.has_labels(masks), has_pictures(masks)
    if drawn == pictures and images != masks:
        what = "both masks and label files (*.txt)" if drawn else "no masks"
        raise DataError(f"{masks}: holds {what}; expected a folder of masks, or of YOLO's polygons")
    read = yolo.between if drawn and (not pictures or images == masks) else between
    return read(images, images, masks)


def between(place: Path, images: Path, masks: Path) -> Listing:
    """What lies in these two folders, which may be one; also without any layout, for the tables beside it."""
    files, drawn = ([*_pictures(folder)] for folder in (images, masks))
    if images == masks:
        found = "frames and masks in one folder, told apart by the masks' names"
        files = [path for path in files if not path.stem.lower().endswith(MASK_ENDINGS)]
        drawn = [path for path in drawn if path.stem.lower().endswith(MASK_ENDINGS)]
    else:
        found = f"frames in {_below(images, place)}/, masks in {_below(masks, place)}/"
    frames = _by_stem(files)
    holder = place if images == masks else images.parent
    clean = list_negatives(holder)
    tables = [holder, holder.parent] if holder.name.lower() in ("png", "tif") else [holder]
    return Listing(
        place,
        found,
        frames,
        {name: [*paths] for name, paths in _without_endings(_by_stem(drawn), frames).items()},
        [(frame_name(path), path) for path in clean],
        given=_named(clean),
        tables=tuple(("", table) for table in tables),
    )


def _below(folder: Path, place: Path) -> str:
    inside = folder.is_relative_to(place) and folder.parent.name.lower() not in ("png", "tif")
    return folder.relative_to(place).as_posix() if inside and folder != place else folder.name


def _by_stem(files: list[Path]) -> dict[str, list[Path]]:
    stems: dict[str, list[Path]] = {}
    for path in files:
        stems.setdefault(frame_name(path), []).append(path)
    return stems


def _without_endings(masks: dict[str, list[Path]], images: dict[str, list[Path]]) -> dict[str, list[Path]]:
    """The masks by their frames' names, where all of them have the same ending after it, such as `_mask`."""
    if masks.keys() & images.keys():
        return masks
    for ending in MASK_ENDINGS:
        named = {
            stem[: -len(ending)]: paths for stem, paths in masks.items() if stem.lower().endswith(ending)
        }
        if len(named) == len(masks) and named.keys() & images.keys():
            return named
    return masks


def list_negatives(holder: Path) -> list[Path]:
    """The pictures in `negatives/` beside the folder of frames, in natural order."""
    place = subfolders(holder).get(NEGATIVES)
    return list_images(place) if place else []


def _named(clean: list[Path]) -> dict[str, dict[str, int | str]]:
    """The videos that frames in `negatives/` name: `<sequence>__<anything>`."""
    named = {name: name.split("__")[0] for name in map(frame_name, clean)}
    sequences: dict[str, int | str] = {n: sequence for n, sequence in named.items() if sequence != n}
    return {"sequence": sequences} if sequences else {}
