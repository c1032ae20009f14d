"""COCO's JSON: images, annotations with outlines (polygons, or runs of pixels), categories.

Every category is taken for polyp, and an image without annotations is a frame without one.
https://cocodataset.org/#format-data
"""

import json
import re
from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from polyp.data.drawn import DrawnMask, decode_runs, draw_polygon, draw_runs
from polyp.data.images import natural_sort
from polyp.data.layouts.listing import PART_NAMES, Listing, frame_names, several
from polyp.errors import DataError, name_some


@dataclass(frozen=True)
class CocoMask(DrawnMask):
    """The annotations of one image, as JSON, and the size that the file says it has, (H, W)."""

    size: tuple[Any, Any]
    annotations: str

    def draw_on(self, mask: np.ndarray) -> None:
        if self.size != (None, None) and self.size != mask.shape:
            raise DataError(
                f"{self.file}: lists {self.image.name} as {self.size[1]} x {self.size[0]} px, but the file "
                f"is {mask.shape[1]} x {mask.shape[0]}; export both from the same pictures"
            )
        for annotation in json.loads(self.annotations):
            entry = f"{self.file}, annotation {annotation.get('id')} of {self.image.name}"
            _draw(mask, annotation, entry)

    def content(self) -> bytes:
        return f"{self.size} {self.annotations}".encode()


def _draw(mask: np.ndarray, annotation: dict[str, Any], entry: str) -> None:
    """Set what one annotation outlines in `mask`, bool (H, W)."""
    outline = annotation.get("segmentation")
    if annotation.get("iscrowd"):
        raise DataError(
            f"{entry}: is a crowd (iscrowd 1), a region to ignore; set 0 if it is a polyp, or remove it"
        )
    if isinstance(outline, dict):
        counts = outline.get("counts")
        if outline.get("size") != list(mask.shape):
            told = f"of {outline.get('size')}, the frame is {list(mask.shape)}"
            raise DataError(f"{entry}: its runs (RLE) are {told} (height, width); export it again")
        if not isinstance(counts, str | list):
            raise DataError(f"{entry}: its runs (RLE) have no counts; export it again")
        draw_runs(mask, decode_runs(counts, entry) if isinstance(counts, str) else counts, entry)
    elif isinstance(outline, list) and outline:
        polygons = outline if all(isinstance(points, list) for points in outline) else [outline]
        drawn = [draw_polygon(mask, points, entry) for points in polygons]
        for a, b in combinations(drawn, 2):
            if a.any() and b.any() and (a & ~b).any() != (b & ~a).any():
                raise DataError(
                    f"{entry}: one of its polygons lies within another; COCO's polygons have no holes: "
                    "export it as RLE or as a mask, or remove the inner one"
                )
    else:
        raise DataError(f"{entry}: has no outline (segmentation), only a box; export it for segmentation")


def read(place: Path) -> Listing | None:
    """The images and outlines of a JSON file, or of the one in a folder; None if there is none.

    Where there is one for each part, `parts` reads them.

    Raises:
        DataError: several such files, a damaged one, or images that are not there.
    """
    if place.is_file():
        if place.suffix.lower() != ".json":
            return None
        if (content := _load(place)) is None:
            raise DataError(
                f"{place}: not in COCO's form; expected JSON with images, annotations, categories"
            )
        return _listing(place, place, content)
    if not (found := files_in(place)) or files_of_parts(found):
        return None
    if len(found) > 1:
        names = name_some(path.relative_to(place).as_posix() for path in found)
        raise DataError(f"{place}: holds several files of annotations ({names}); name the one to use")
    content = _load(found[0])
    assert content is not None  # see `files_in`
    return _listing(place, found[0], content)


def files_in(folder: Path) -> list[Path]:
    """The files in COCO's form in a folder and in its `annotations/`."""
    places = [place for place in (folder, folder / "annotations") if place.is_dir()]
    found = (path for place in places for path in natural_sort(place.glob("*.json")))
    return [path for path in found if _load(path) is not None]


def files_of_parts(files: list[Path]) -> dict[str, Path]:
    """The file of each part, if there are several and each name says another part; else none."""
    parts = [part_in(file.stem) for file in files]
    if len(files) < 2 or None in parts or len(set(parts)) < len(parts):
        return {}
    return {part: file for part, file in zip(parts, files, strict=True) if part}


def part_in(name: str) -> str | None:
    """The part that a file's name says, such as train in `instances_train2017.json`."""
    words = [PART_NAMES[word] for word in re.findall("[a-z]+", name.lower()) if word in PART_NAMES]
    return words[0] if len(set(words)) == 1 else None


def _load(path: Path) -> dict[str, Any] | None:
    """The content of a file; None if it is JSON of something else."""
    stat = path.stat()
    return _parse(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=8)  # a command looks more than once
def _parse(path: Path, changed: int, size: int) -> dict[str, Any] | None:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{path}: not readable as JSON ({reason}); export it again") from None
    lists = ("images", "annotations")
    return content if isinstance(content, dict) and all(type(content.get(n)) is list for n in lists) else None


def _listing(place: Path, file: Path, content: dict[str, Any]) -> Listing:
    images = {image["id"]: image for image in _entries(file, content, "images", "file_name")}
    if not images:
        raise DataError(f"{file}: lists no images")
    annotations = defaultdict(list)
    for entry in _entries(file, content, "annotations", "image_id"):
        if entry["image_id"] not in images:
            raise DataError(
                f"{file}: annotation {entry.get('id')} is of image {entry['image_id']}, which is not listed"
            )
        annotations[entry["image_id"]].append(entry)
    paths = _find(file, [image["file_name"] for image in images.values()])
    names = frame_names(image["file_name"] for image in images.values())
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(f"{file}: lists the image {twice!r} twice; keep one entry")
    frames = dict(zip(images, zip(names, paths, strict=True), strict=True))
    known = {c.get("id"): c.get("name") for c in content.get("categories") or () if isinstance(c, dict)}
    used = {known.get(key, key) for found in annotations.values() for key in [_category(e) for e in found]}
    return Listing(
        place,
        f"COCO's outlines in {file.name}{several(used, 'categories')}",
        {name: [path] for key, (name, path) in frames.items() if key in annotations},
        {
            name: [CocoMask(file, path, _size(images[key]), json.dumps(annotations[key], sort_keys=True))]
            for key, (name, path) in frames.items()
            if key in annotations
        },
        [(name, path) for key, (name, path) in frames.items() if key not in annotations],
        tables=tuple(
            ("", folder) for folder in dict.fromkeys((place if place.is_dir() else file.parent, file.parent))
        ),
    )


def _entries(file: Path, content: dict[str, Any], what: str, needed: str) -> list[dict[str, Any]]:
    """The images or the annotations, each of which must be told apart and say what is needed."""
    entries, kinds = content[what], (str,) if needed == "file_name" else (int, str)
    names = ("id", needed) if what == "images" else (needed,)
    for number, entry in enumerate(entries, 1):
        if not isinstance(entry, dict) or not all(isinstance(entry.get(name), int | str) for name in names):
            raise DataError(f"{file}: entry {number} of {what} has no {' and '.join(names)}; export it again")
        if not isinstance(entry[needed], kinds):
            raise DataError(f"{file}: entry {number} of {what} has no {needed}; export it again")
    if what == "images" and len({entry["id"] for entry in entries}) < len(entries):
        raise DataError(f"{file}: two images have the same id; export it again")
    return entries


def _category(entry: dict[str, Any]) -> Any:
    key = entry.get("category_id")
    return key if isinstance(key, int | str) else None


def _size(image: dict[str, Any]) -> tuple[Any, Any]:
    return image.get("height"), image.get("width")


def _find(file: Path, names: list[str]) -> list[Path]:
    """The picture files: beside the annotations, in `images/`, or in a folder named after the annotations.

    Raises:
        DataError: some are in none of these places.
    """
    above = [file.parent, *([file.parent.parent] if file.parent.name.lower() == "annotations" else [])]
    own = file.stem.removeprefix("instances_")  # of instances_train2017.json
    inside = ("", "images", "imgs", "frames", own, f"images/{own}", *_part_folders(own))
    places = [place for folder in above for name in inside if (place := folder / name).is_dir()]
    found = [next((p / name for p in places if _is_file(p / name)), None) for name in names]
    missing = [name for name, path in zip(names, found, strict=True) if path is None]
    if missing:
        raise DataError(
            f"{file}: {len(missing)} of {len(names)} images are not there ({name_some(missing)}); put them "
            "beside it or into images/"
        )
    return [path for path in found if path]


def _part_folders(name: str) -> list[str]:
    """Folders of a part's images, whatever the part is called there."""
    words = [word for word, part in PART_NAMES.items() if part == part_in(name)]
    return [f"{before}{word}" for word in words for before in ("", "images/")]


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that no system can hold
        return False
