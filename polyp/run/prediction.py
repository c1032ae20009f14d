"""Pictures -> masks at their own size, one by one, so that memory does not grow with their number."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from polyp.data.familiar import AnyFamiliar, Familiar
from polyp.data.images import read_image
from polyp.errors import DataError
from polyp.run.engines import Engine, TorchEngine
from polyp.run.regions import shown_regions

OVERLAY_COLOUR = (0, 114, 178)


class Picture(NamedTuple):
    """What is to be predicted: a file, or pixels uint8 RGB (H, W, 3).

    `name` is where its results go below the output's folders, without a suffix: `1`, or `clip/1`.
    """

    file: Path
    name: str
    image: np.ndarray | None = None

    def read(self) -> np.ndarray:
        """Its pixels.

        Raises:
            DataError: see `read_image`.
        """
        return read_image(self.file) if self.image is None else self.image


class Point(NamedTuple):
    """An operating point: which of the network's answers are shown.

    A pixel is polyp above `threshold`; which regions are shown, `regions.shown_regions` says. With
    `second_look`, where the first look marks anything, the mean of four judges them, mirrored each way.
    """

    threshold: float = 0.5
    min_peak: float = 0.0
    min_share: float = 0.0
    second_look: bool = False
    min_area: int = 0

    @classmethod
    def of(cls, metadata: dict[str, Any], **given: Any) -> "Point":
        """The one in a checkpoint's metadata (0.2 knew the threshold alone), but for what is given."""
        stored = {name: metadata[name] for name in cls._fields if name in metadata}
        return cls(**stored | {name: value for name, value in given.items() if value is not None})


@dataclass(frozen=True)
class Prediction:
    """One picture's result.

    Attributes:
        file: of the picture.
        image: uint8 RGB (H, W, 3).
        probs: of polyp, float32 (H, W), 0 to 1.
        mask: uint8 {0, 1} (H, W).
        doubt: what makes the picture unlike those that the network learnt from, if anything does.
        name: see `Picture`; the file's stem by default.
    """

    file: Path
    image: np.ndarray
    probs: np.ndarray
    mask: np.ndarray
    doubt: str = ""
    name: str = ""

    @property
    def boxes(self) -> list[list[int]]:
        """[x, y, width, height] in pixels of each 8-connected region, the largest region first."""
        _, _, stats, _ = cv2.connectedComponentsWithStats(self.mask, connectivity=8)
        regions = sorted(stats[1:].tolist(), key=lambda region: -region[cv2.CC_STAT_AREA])
        return [region[:4] for region in regions]

    def row(self) -> dict[str, Any]:
        """The picture's row of the table, see `table_row`."""
        return table_row(self)

    def overlay(self) -> np.ndarray:
        """The picture with the outline, see `overlay`."""
        return overlay(self.image, self.mask)


def predict_pictures(
    engine: Engine,
    pictures: Iterable[Picture | DataError],
    point: Point = Point(),  # noqa: B008, it cannot be changed
    familiar: Familiar | AnyFamiliar | None = None,
    mirror: bool = False,
) -> Iterator[Prediction | DataError]:
    """Predict picture after picture.

    Args:
        engine: what computes.
        pictures: read one at a time; an error is handed on.
        point: which regions are shown.
        familiar: what the network learnt from, to doubt other pictures.
        mirror: average over the four mirrorings (test-time augmentation; four times the work).

    Yields:
        a prediction for each picture, or for one that cannot be read the error, so the others still go on.
    """
    for picture in pictures:
        try:
            if isinstance(picture, DataError):
                raise picture
            image = picture.read()
        except DataError as error:
            yield error
            continue
        probs = engine.probs(image, mirror)
        evidence = None
        if point.second_look and not mirror and (probs > point.threshold).any():
            evidence = engine.confirm(image, probs)
        mask = shown_regions(
            probs, point.threshold, point.min_peak, point.min_share, evidence, point.min_area
        )
        doubt = familiar.doubt(image, engine.size) if familiar else ""
        yield Prediction(picture.file, image, probs, mask.astype(np.uint8), doubt, picture.name)


def predict_files(
    model: Any,
    files: Iterable[Path],
    size: tuple[int, int],
    threshold: float = 0.5,
    min_peak: float = 0.0,
    min_share: float = 0.0,
    second_look: bool = False,
    familiar: Familiar | None = None,
    mirror: bool = False,
    level: int | None = None,
    precision: str = "auto",
) -> Iterator[Prediction | DataError]:
    """`predict_pictures` for files and a network in PyTorch, such as `load_model` gives.

    Args:
        model, size, level, precision: see `TorchEngine`.
        files: pictures, each with a stem of its own; read one at a time.
        threshold, min_peak, min_share, second_look: see `Point`.
        familiar, mirror: see `predict_pictures`.
    """
    engine = TorchEngine(model, size, level, precision)
    point = Point(threshold, min_peak, min_share, second_look)
    pictures = (Picture(Path(file), Path(file).stem) for file in files)
    return predict_pictures(engine, pictures, point, familiar, mirror)


def table_row(prediction: Prediction) -> dict[str, Any]:
    """One row of the table.

    Returns:
        file; height, width (pixels); area_share of the frame, 0 to 1; components, the number of
        8-connected regions; boxes, see `Prediction.boxes`; mean_probability over the predicted polyp, None
        where there is none; and doubt, see `Prediction`.
    """
    mask, probs, boxes = prediction.mask, prediction.probs, prediction.boxes
    return {
        "file": str(prediction.file),
        "height": mask.shape[0],
        "width": mask.shape[1],
        "area_share": round(float(mask.mean()), 6),
        "components": len(boxes),
        "boxes": boxes,
        "mean_probability": round(float(probs[mask == 1].mean()), 4) if mask.any() else None,
        "doubt": prediction.doubt,
    }


def overlay(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The picture with the mask's outline, uint8 RGB (H, W, 3); blue with a white rim, to be seen on red."""
    contours, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    width = max(2, round(min(mask.shape) / 150))
    drawn = np.ascontiguousarray(image.copy())
    cv2.drawContours(drawn, contours, -1, (255, 255, 255), width + 2 * max(1, width // 3))
    cv2.drawContours(drawn, contours, -1, OVERLAY_COLOUR, width)
    return drawn
