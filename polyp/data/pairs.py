"""A folder of frames and a folder of masks: finding the pairs, and the videos and hospitals they are from.

Frames without a polyp may lie in `negatives/` beside the folder of frames; they need no masks.
"""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from polyp.data.images import IMAGE_SUFFIXES, is_turned, list_images, natural_sort, read_image, stored_size
from polyp.data.masks import AUTO, read_mask
from polyp.errors import DataError, name_some

# What people call the folders of frames and of masks, in small letters; the earlier name goes first.
IMAGE_FOLDERS = ("images", "image", "imgs", "img", "frames", "original", "imagestr")
MASK_FOLDERS = (
    *("masks", "mask", "ground truth", "groundtruth", "ground_truth", "gts", "gt"),
    *("labels", "label", "segmentations", "annotations", "labelstr"),
)
# What masks' names may have after the frame's.
MASK_ENDINGS = ("_mask", "-mask", "_label", "_gt", "_seg", "_segmentation")
NEGATIVES = "negatives"

Label = int | str  # the name of a video or a hospital


@dataclass(frozen=True)
class Pair:
    """One frame and its mask; `frame` is the stem that both file names share.

    The mask is None for a frame without a polyp that lies in `negatives/`. `values` says which of the mask's
    pixels mean polyp, see `masks.read_mask`.
    """

    frame: str
    image: Path
    mask: Path | None
    values: str = AUTO


def read_pair(pair: Pair) -> tuple[np.ndarray, np.ndarray]:
    """Decode one pair at its original size: uint8 RGB (H, W, 3) and uint8 {0, 1} (H, W).

    The mask of a frame in `negatives/` is empty.

    Raises:
        DataError: a file cannot be read; the two differ in size, or one is stored turned and the other not.
    """
    image = read_image(pair.image)
    if pair.mask is None:
        return image, np.zeros(image.shape[:2], np.uint8)
    mask = read_mask(pair.mask, pair.values)
    if image.shape[:2] != mask.shape:
        raise DataError(
            f"{pair.mask}: the mask is {mask.shape[1]} x {mask.shape[0]} px but its image is "
            f"{image.shape[1]} x {image.shape[0]}; export it again at the image's size"
            + ("; the image is stored turned (EXIF): was its mask drawn unturned?" * is_turned(pair.image))
        )
    if turned := turned_apart(pair.image, pair.mask, mask.shape):
        raise DataError(turned)
    return image, mask


def turned_apart(image: Path, mask: Path, shape: tuple[int, ...]) -> str:
    """Whether nobody can know if a mask fits its image: one is stored turned and the other is not.

    Args:
        image, mask: the files, of this shape, (H, W), as they are seen.

    Returns:
        what to say then, else nothing.
    """
    if not is_turned(image) or is_turned(mask):
        return ""
    if stored_size(image) != shape[:2]:  # turned by a quarter, and the mask fits what is seen
        return ""
    return (
        f"{image}: the image is stored turned (EXIF orientation), its mask is not, and both directions fit; "
        "save the image upright, without the tag, if the mask was drawn on what is seen; else remove the tag"
    )


def frame_name(path: Path) -> str:
    """The name of the frame in a file: its stem."""
    return normal(path.stem)


def normal(name: str) -> str:
    """A name whose accents are one with their letters: systems differ in that, and it cannot be seen."""
    return unicodedata.normalize("NFC", name)


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


def found_in(folder: str | Path) -> str:
    """Where frames and masks were found, in a few words; none for `images/` and `masks/`."""
    images, masks = layout(Path(folder)) or (Path("images"), Path("masks"))
    if (images.name.lower(), masks.name.lower()) == ("images", "masks"):
        return ""
    if images == masks:
        return "frames and masks in one folder, told apart by the masks' names"
    return f"frames in {images.name}/, masks in {masks.name}/"


def _pictures(folder: Path) -> list[Path]:
    return list_images(folder) if folder.is_dir() else []


def scan(folder: str | Path) -> tuple[dict[str, list[Path]], dict[str, list[Path]]]:
    """All frames and all masks by their stem, in natural order, whether or not they pair up.

    Raises:
        DataError: no such folder, or one without folders of frames and masks.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder")
    if not (folders := layout(folder)):
        raise DataError(
            f"{folder}: contains no dataset; expected the folders images/ and masks/ (or image/ and label/, "
            "imgs/ and gts/, Original/ and Ground Truth/), directly or in PNG/; or 1.png beside 1_mask.png"
        )
    images: dict[str, list[Path]] = {}
    masks: dict[str, list[Path]] = {}
    for place, stems in zip(folders, (images, masks), strict=True):
        for path in list_images(place):
            stems.setdefault(frame_name(path), []).append(path)
    if folders[0] == folders[1]:
        images = {stem: paths for stem, paths in images.items() if not stem.lower().endswith(MASK_ENDINGS)}
        masks = {stem: paths for stem, paths in masks.items() if stem.lower().endswith(MASK_ENDINGS)}
    return images, _without_endings(masks, images)


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


def find_pairs(folder: str | Path, values: str = AUTO) -> list[Pair]:
    """The pairs of a frame and a mask in `folder`, in natural order, and then its frames without a polyp.

    They are read from `images/` and `masks/`, or what else people call these (`IMAGE_FOLDERS`,
    `MASK_FOLDERS`), in `folder` or in its `PNG/`; a pair shares its stem, not always its suffix (`7.jpg` with
    `7.png`), and masks may have one of `MASK_ENDINGS` (`7_mask.png`), even beside their frames. What lies in
    `negatives/` beside them is a frame without a polyp and needs no mask. `values` is every pair's.

    Raises:
        DataError: no such folder, nothing in it, a frame without a mask or the reverse, or two files
            with one stem.
    """
    images, masks = scan(folder)
    if not images and not masks:
        raise DataError(f"{folder}: contains no images; expected frames and masks of the same names")
    for stems in (images, masks):
        twice = [paths for paths in stems.values() if len(paths) > 1]
        if twice:
            what = name_some(f"{a.name} and {b.name}" for a, b, *_ in twice)
            raise DataError(f"{twice[0][0].parent}: {what} share a stem; keep one file per frame")
    for here, there, missing in ((images, masks, "mask"), (masks, images, "image")):
        alone = [paths[0] for stem, paths in here.items() if stem not in there]
        if alone:
            raise DataError(
                f"{alone[0].parent}: {len(alone)} of {len(here)} without {missing} "
                f"({name_some(path.name for path in alone)}); add each {missing} under the same stem, "
                "or move these files away"
            )
    pairs = [Pair(stem, paths[0], masks[stem][0], values) for stem, paths in images.items()]
    return pairs + [Pair(frame_name(path), path, None) for path in _negatives(folder, images)]


def _negatives(folder: str | Path, images: dict[str, list[Path]]) -> list[Path]:
    """The pictures in `negatives/`, whose names must not be those of `images` too."""
    stems: dict[str, Path] = {}
    for path in list_negatives(folder):
        name = frame_name(path)
        other = stems.setdefault(name, path) if name not in images else images[name][0]
        if other is not path:
            raise DataError(f"{path} and {other}: two frames of one name; rename one of them")
    return list(stems.values())


def list_negatives(folder: str | Path) -> list[Path]:
    """The pictures in `negatives/` beside the folder of frames, in natural order."""
    place = subfolders(_holder(folder)).get(NEGATIVES)
    return list_images(place) if place else []


def _holder(folder: str | Path) -> Path:
    """The folder that holds the folder of frames."""
    folders = layout(Path(folder))
    return folders[0].parent if folders and folders[0] != folders[1] else Path(folder)


def read_sequences(folder: str | Path) -> dict[str, Label] | None:
    """The video of each frame, from `sequences.csv` (header `frame,sequence`); None if there is no such file.

    A frame in `negatives/` that is not listed there, and is named `<sequence>__<anything>`, says it itself.

    Raises:
        DataError: see `read_labels`.
    """
    listed = read_labels(folder, "sequence")
    named = {name: name.split("__")[0] for name in map(frame_name, list_negatives(folder))}
    named = {frame: sequence for frame, sequence in named.items() if sequence != frame}
    if not named:
        return listed
    return {**named, **{frame: str(label) for frame, label in (listed or {}).items()}}  # all of one type


def read_centres(folder: str | Path) -> dict[str, Label] | None:
    """The hospital of each frame, from `centres.csv` (header `frame,centre`); None if there is no such file.

    Raises:
        DataError: see `read_labels`.
    """
    return read_labels(folder, "centre")


def read_labels(folder: str | Path, what: str) -> dict[str, Label] | None:
    """What `<what>s.csv` says of each frame; None if there is no such file.

    It belongs next to the folder of frames, or next to the `PNG/` that holds that folder, with the
    header `frame,<what>`: a stem, and a number or a name. Labels that are all whole numbers are read as such.

    Raises:
        DataError: another header, a row that is not a frame and a label, or a frame listed twice.
    """
    holder = _holder(folder)
    places = [holder, holder.parent] if holder.name.lower() in ("png", "tif") else [holder]
    files = (place / f"{what}s.csv" for place in places)
    path = next((file for file in files if file.is_file()), None)
    if path is None:
        return None
    import pandas as pd  # predicting a folder needs none

    columns = ["frame", what, "more"]  # the third catches what should not be there
    try:
        lines = pd.read_csv(
            path, names=columns, dtype=str, na_filter=False, skip_blank_lines=False, encoding="utf-8-sig"
        )
    except ValueError as error:  # not UTF-8, or not a table
        reason = " ".join(str(error).split())
        raise DataError(f"{path}: cannot be read ({reason}); save it as CSV in UTF-8") from None
    if lines[:1].values.tolist() != [["frame", what, ""]]:
        raise DataError(
            f"{path}: the first line is not 'frame,{what}'; expected that header, then lines like 1,A"
        )
    lines.index += 1
    rows = lines[1:][(lines[1:] != "").any(axis=1)]  # without blank lines
    right = (rows["frame"] != "") & (rows[what].str.strip() != "") & (rows["more"] == "")
    for number, row in rows[~right].iterrows():
        text = ",".join(row).rstrip(",")
        raise DataError(f"{path}, line {number}: {text!r}; expected a frame and its {what}")
    for number, frame in rows["frame"][rows["frame"].duplicated()].items():
        raise DataError(f"{path}, line {number}: frame {frame!r} is listed twice; keep one line")
    labels: list[Label] = rows[what].str.strip().tolist()
    if rows[what].str.fullmatch(r"\s*[0-9]{1,18}\s*").all():
        labels = [int(label) for label in labels]
    return dict(zip(map(normal, rows["frame"]), labels, strict=True))


def spelt_otherwise(frames: list[str], listed: Iterable[str]) -> str:
    """A remark where a table lists a frame that is missing there with a suffix, spaces, zeros or capitals."""

    def core(name: str) -> str:
        name = name.strip().casefold()
        return (Path(name).stem if name.endswith(IMAGE_SUFFIXES) else name).lstrip("0")

    known = {core(name): name for name in listed}
    for frame in frames:
        if (name := known.get(core(frame))) is not None:
            return f"; {name!r} is listed, where the file is called {frame!r}"
    return ""
