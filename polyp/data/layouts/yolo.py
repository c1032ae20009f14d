"""The polygons of Ultralytics' YOLO: one text file per frame, one line per polyp, `class x y x y ...`.

x and y are shares of the frame's width and height. A frame without a file, or with an empty one, shows no
polyp. https://docs.ultralytics.com/datasets/segment/
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from polyp.data.drawn import DrawnMask, draw_polygon
from polyp.data.images import list_images, natural_sort
from polyp.data.labels import frame_name
from polyp.data.layouts.listing import Listing, several
from polyp.errors import DataError

LABELS = "labels"
NO_LABELS = ("classes", "obj.names", "readme", "notes", "train", "val", "test")  # what lies there, too
BOX = 5  # numbers in a line: class, centre, width and height


@dataclass(frozen=True)
class YoloMask(DrawnMask):
    """The polygons of one text file."""

    text: str

    def draw_on(self, mask: np.ndarray) -> None:
        height, width = mask.shape
        for number, line in enumerate(self.text.splitlines(), 1):
            words, entry = line.split(), f"{self.file}, line {number}"
            if not words:
                continue
            if len(words) == BOX:
                raise DataError(
                    f"{entry}: boxes, not polygons; export it for segmentation, one outline per line"
                )
            try:
                points = np.array([float(word) for word in words[1:]])
            except ValueError:
                raise DataError(f"{entry}: {line[:40]!r}; expected a class and x y x y ..., 0 to 1") from None
            if np.abs(points).max(initial=0) > 2:
                raise DataError(f"{entry}: the points are no shares of the frame, 0 to 1; divide by its size")
            scale = np.resize([width, height], len(points))
            draw_polygon(mask, points * scale, entry)

    def content(self) -> bytes:
        return self.text.encode()


def has_labels(folder: Path) -> bool:
    """Whether there are label files directly in a folder."""
    return bool(_label_files(folder))


def _label_files(folder: Path) -> list[Path]:
    return natural_sort(
        path
        for path in folder.iterdir()
        if path.suffix.lower() == ".txt" and path.stem.lower() not in NO_LABELS and path.is_file()
    )


def read(place: Path) -> Listing | None:
    """The frames in `images/` and the polygons in `labels/`; None if there are none."""
    inside = {path.name.lower(): path for path in place.iterdir() if path.is_dir()} if place.is_dir() else {}
    images, labels = inside.get("images"), inside.get(LABELS)
    return between(place, images, labels) if images and labels and has_labels(labels) else None


def between(place: Path, images: Path, labels: Path) -> Listing:
    """The frames of one folder with the polygons of the other.

    Raises:
        DataError: a label file that cannot be read.
    """
    files = {frame_name(path): path for path in _label_files(labels)}
    texts = {frame: _text(path) for frame, path in files.items()}
    frames: dict[str, list[Path]] = {}
    for path in list_images(images):
        frames.setdefault(frame_name(path), []).append(path)
    drawn = [frame for frame in [*frames, *(f for f in files if f not in frames)] if texts.get(frame)]
    classes = {line.split()[0] for text in texts.values() for line in text.splitlines() if line.split()}
    clean = [(frame, paths[0]) for frame, paths in frames.items() if not texts.get(frame) and len(paths) == 1]
    known = {frame for frame, _ in clean}
    return Listing(
        place,
        f"frames in {images.name}/, polygons (YOLO) in {labels.name}/{several(classes, 'classes')}",
        {frame: paths for frame, paths in frames.items() if frame not in known},
        {
            frame: [YoloMask(files[frame], frames.get(frame, [files[frame]])[0], texts[frame])]
            for frame in drawn
        },
        clean,
        tables=(("", images.parent),),
    )


def _text(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{path}: cannot be read ({reason}); expected lines of text") from None
    return text if text.strip() else ""
