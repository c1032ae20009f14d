"""The pictures of the laboratory: real frames, drawn ones, parts without a polyp, and a photograph."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_image

import polyp
from polyp.data.images import shrink
from polyp.data.synthetic import make_sequence

SAMPLE = Path(polyp.__file__).parent / "data" / "sample"
CREDIT = "HyperKvasir (Borgli et al. 2020), CC BY 4.0, shrunk"
FLOWER_CREDIT = (
    "flower by vultilion, flickr.com/photos/vultilion/6056698931, CC BY 2.0, as scikit-learn hands it out"
)
SYNTHETIC = "drawn by polyp.data.synthetic"
THUMBNAIL = 96  # pixels high
# Parts of real frames in which the experts outlined nothing: rows and columns.
WITHOUT_POLYP = {"fold": (slice(0, 483), slice(0, 390)), "tiny": (slice(175, 477), slice(120, 512))}


class Frame(NamedTuple):
    """A picture of the page: uint8 RGB (H, W, 3); its mask uint8 {0, 1} (H, W), or None where it has none."""

    name: str
    kind: str  # real, synthetic, clean or photo
    title: str
    image: np.ndarray
    mask: np.ndarray | None
    credit: str


def frames() -> Iterator[Frame]:
    """All pictures, in the order in which the page offers them."""
    sees = dict(re.findall(r"^\| `(\w+)` .*\| (.*) \|$", (SAMPLE / "CREDITS.md").read_text(), re.MULTILINE))
    images = {name: polyp.read_image(SAMPLE / "images" / f"{name}.jpg") for name in sees}
    for name, title in sees.items():
        mask = cv2.imread(str(SAMPLE / "masks" / f"{name}.png"), cv2.IMREAD_GRAYSCALE) > 127
        yield Frame(name, "real", f"{name}: {title}", images[name], mask.astype(np.uint8), CREDIT)
    for number in range(3):
        (image,), (mask,) = make_sequence(seed=1, sequence=number, frames=1)
        yield Frame(
            f"synthetic_{number + 1}",
            "synthetic",
            f"a drawn frame, number {number + 1}",
            image,
            mask,
            SYNTHETIC,
        )
    for name, part in WITHOUT_POLYP.items():
        image = np.ascontiguousarray(images[name][part])
        title = f'part of the frame "{name}", without its polyp'
        yield Frame(
            f"clean_{name}", "clean", title, image, np.zeros(image.shape[:2], np.uint8), f"{CREDIT}, cropped"
        )
    (image,), (mask,) = make_sequence(seed=1, sequence=0, frames=1, clean=True)
    yield Frame("clean_synthetic", "clean", "a drawn frame without a polyp", image, mask, SYNTHETIC)
    yield Frame(
        "flower", "photo", "a photograph of a flower", load_sample_image("flower.jpg"), None, FLOWER_CREDIT
    )


def write_frames(folder: Path) -> None:
    """Each picture as it is shown, as the network sees it, small, and its mask; `frames.json` names them."""
    (folder / "frames").mkdir(exist_ok=True)
    size = tuple(json.loads((folder / "network.json").read_text())["size"])
    rows = []
    for frame in frames():
        height, width = frame.image.shape[:2]
        small = (THUMBNAIL, round(THUMBNAIL * width / height))
        pictures = {
            "picture": (frame.image, ".jpg"),
            "seen": (shrink(frame.image, size), ".png"),
            "thumbnail": (shrink(frame.image, small), ".jpg"),
        }
        if frame.mask is not None:
            pictures["mask"] = (frame.mask * 255, ".png")
        row: dict[str, Any] = {
            "name": frame.name,
            "kind": frame.kind,
            "title": frame.title,
            "credit": frame.credit,
        }
        for use, (pixels, suffix) in pictures.items():
            row[use] = f"frames/{frame.name}_{use}{suffix}"
            _write_picture(folder / row[use], pixels)
        rows.append({"mask": None} | row | {"height": height, "width": width})
    (folder / "frames.json").write_text(json.dumps(rows, indent=1))


def _write_picture(path: Path, pixels: np.ndarray) -> None:
    Image.fromarray(pixels).save(path, quality=95, optimize=True)
