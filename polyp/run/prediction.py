"""Any picture -> a mask at its original size.

`predict_probs` is the heart: the same resize as in training, the network (which normalises itself), and
the logits enlarged to the picture's own size. `predict_files` streams files through it, one at a time,
so memory does not grow with their number.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pandas as pd
import torch

from polyp.data import augmentation as augment
from polyp.data.familiar import Familiar
from polyp.data.images import list_images, natural_sort, read_image
from polyp.disk import make_folder, write_atomic
from polyp.errors import DataError, UsageError, name_some
from polyp.model.network import SegmentationNetwork, resize_logits
from polyp.run.hardware import autocast
from polyp.run.output import write_picture
from polyp.run.regions import shown_regions

MIRRORINGS = ((), (3,), (2,), (2, 3))  # none, left-right, up-down, both: dimensions of (N, C, H, W)
LITTER = ("thumbs.db", "desktop.ini")  # what systems leave in folders
OVERLAY_COLOUR = (0, 114, 178)


@torch.inference_mode()
def predict_probs(
    model: SegmentationNetwork,
    image: np.ndarray,
    size: tuple[int, int],
    *,
    mirror: bool = False,
    level: int | None = None,
    precision: str = "auto",
    out_size: tuple[int, int] | None = None,
) -> np.ndarray:
    """The probability of polyp in every pixel of one picture.

    Args:
        model: a network in evaluation mode, on any device.
        image: uint8 RGB (H, W, 3), any size.
        size: height and width the network was trained at.
        mirror: average over the four mirrorings (test-time augmentation; four times the work).
        level: prune a UNet++ to this level.
        precision: auto, fp32 or bf16.
        out_size: height and width of the answer; the picture's own by default.

    Returns:
        float32 (H, W), 0 to 1.

    Raises:
        DataError: the network answers with NaN.
        UsageError: `image` is of another kind; the network has no such level.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise UsageError(f"image is {image.dtype} {image.shape}; expected uint8 RGB (H, W, 3)")
    batch, out_size = as_batch(model, image, size), out_size or image.shape[:2]
    probs = look(model, batch, out_size, (), level, precision)
    if mirror:
        probs = look_again(model, batch, probs, level, precision)
    probs = probs[0]
    if probs.isnan().any():
        raise DataError("the network answers with NaN; the checkpoint is broken")
    return probs.cpu().numpy()


@torch.inference_mode()
def confirm(
    model: SegmentationNetwork,
    image: np.ndarray,
    size: tuple[int, int],
    probs: np.ndarray,
    level: int | None = None,
    precision: str = "auto",
) -> np.ndarray:
    """What four looks at a picture, mirrored each way, say on average; `probs` is the first of them.

    Args:
        model, image, size, level, precision: see `predict_probs`.
        probs: what that has answered, float32 (H, W).

    Returns:
        float32 (H, W), 0 to 1: the evidence for `regions.shown_regions`.
    """
    first = torch.from_numpy(probs)[None].to(model.device)
    return look_again(model, as_batch(model, image, size), first, level, precision)[0].cpu().numpy()


def as_batch(model: SegmentationNetwork, image: np.ndarray, size: tuple[int, int]) -> torch.Tensor:
    """A picture uint8 (H, W, 3) as a batch of one, (1, 3, h, w), resized, on the model's device."""
    small, _ = augment.apply(augment.evaluation_pipeline(size), image)
    return torch.from_numpy(small).permute(2, 0, 1)[None].to(model.device)


def look(
    model: SegmentationNetwork,
    batch: torch.Tensor,
    out_size: tuple[int, int],
    dims: tuple[int, ...],
    level: int | None = None,
    precision: str = "auto",
) -> torch.Tensor:
    """The probabilities for a batch that is mirrored along `dims`, mirrored back.

    Args:
        model: on the device of the batch.
        batch: uint8 RGB (N, 3, h, w).
        out_size: height and width of the answer.
        dims: 2 for up-down, 3 for left-right.
        level, precision: see `predict_probs`.

    Returns:
        float32 (N, H, W), 0 to 1.
    """
    with autocast(model.device, precision):
        logits = model(batch.flip(dims), level)[-1].flip(dims)  # (N, 1, h, w)
    return resize_logits(logits.float(), out_size)[:, 0].sigmoid()


def look_again(
    model: SegmentationNetwork,
    batch: torch.Tensor,
    probs: torch.Tensor,
    level: int | None = None,
    precision: str = "auto",
) -> torch.Tensor:
    """The mean of four looks at a batch, mirrored each way, of which the first gave `probs` (N, H, W)."""
    size = (int(probs.shape[-2]), int(probs.shape[-1]))
    others = [look(model, batch, size, dims, level, precision) for dims in MIRRORINGS[1:]]
    return (probs + sum(others)) / len(MIRRORINGS)


@torch.inference_mode()
def predict_masks(model: SegmentationNetwork, images: torch.Tensor, precision: str = "auto") -> torch.Tensor:
    """The masks that a network, whatever mode it is in, predicts for a batch of its own size.

    Args:
        model: on any device; left in the mode it was in.
        images: uint8 RGB (N, 3, H, W).
        precision: auto, fp32 or bf16.

    Returns:
        bool (N, 1, H, W) on the CPU; polyp where the probability is above one half.
    """
    with model.evaluating(), autocast(model.device, precision):
        return (model(images.to(model.device))[-1] > 0).cpu()


class Prediction(NamedTuple):
    """One picture's result: its file, the picture, the probabilities float32 (H, W), the mask, and what makes
    the picture unlike those that the network learnt from, if anything does."""

    file: Path
    image: np.ndarray
    probs: np.ndarray
    mask: np.ndarray  # uint8 {0, 1} (H, W)
    doubt: str = ""


def predict_files(
    model: SegmentationNetwork,
    files: Iterable[Path],
    size: tuple[int, int],
    threshold: float = 0.5,
    min_peak: float = 0.0,
    min_share: float = 0.0,
    second_look: bool = False,
    familiar: Familiar | None = None,
    **options,
) -> Iterator[Prediction | DataError]:
    """Predict file after file.

    Args:
        model, size, options: see `predict_probs`.
        files: pictures; read one at a time.
        threshold: a pixel is polyp above this probability.
        min_peak, min_share: which regions are shown, see `regions.shown_regions`.
        second_look: judge regions by the mean of four looks, mirrored each way; only pictures in which the
            first look marks anything are looked at again.
        familiar: what the network learnt from, to doubt other pictures.

    Yields:
        a prediction for each file, or for one that cannot be read the error, so the others still go on.
    """
    for file in files:
        try:
            image = read_image(file)
        except DataError as error:
            yield error
            continue
        probs = predict_probs(model, image, size, **options)
        evidence = None
        if second_look and not options.get("mirror") and (probs > threshold).any():
            others = {name: value for name, value in options.items() if name in ("level", "precision")}
            evidence = confirm(model, image, size, probs, **others)
        mask = shown_regions(probs, threshold, min_peak, min_share, evidence)
        doubt = familiar.doubt(image, size) if familiar else ""
        yield Prediction(file, image, probs, mask.astype(np.uint8), doubt)


def collect_inputs(inputs: Iterable[str | Path]) -> list[Path]:
    """Files and the pictures of folders, in order; none twice.

    Raises:
        DataError: nothing there; two pictures whose masks would have one name.
    """
    files: dict[Path, None] = {}
    for item in map(Path, inputs):
        found = list_images(item) if item.is_dir() else [item]
        if not found:
            others = name_some(path.name for path in left_out([item]))
            raise DataError(f"{item}: no pictures in this folder" + (f", only {others}" if others else ""))
        files |= dict.fromkeys(found)
    by_stem: dict[str, Path] = {}
    for file in files:
        other = by_stem.setdefault(file.stem, file)
        if other is not file:
            raise DataError(f"{other} and {file}: both would write {file.stem}.png; predict them apart")
    if files and not any(file.exists() for file in files):
        raise DataError(f"{name_some(map(str, files))}: no such file")
    return list(files)


def left_out(inputs: Iterable[str | Path]) -> list[Path]:
    """What lies in the folders among `inputs` and is no picture that can be read: other files, folders."""
    folders = [Path(item) for item in inputs if Path(item).is_dir()]
    return [
        path
        for folder in folders
        for path in natural_sort(set(folder.iterdir()) - set(list_images(folder)))
        if not path.name.startswith(".") and path.name.lower() not in LITTER
    ]


def table_row(prediction: Prediction) -> dict:
    """One row of the table.

    Returns:
        file; height, width (pixels); area_share of the frame, 0 to 1; components, the number of
        8-connected regions; boxes, a list of [x, y, width, height] in pixels, largest region first;
        mean_probability over the predicted polyp, None where there is none; and doubt, see `Prediction`.
    """
    mask, probs = prediction.mask, prediction.probs
    count, _, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    regions = sorted(stats[1:].tolist(), key=lambda region: -region[cv2.CC_STAT_AREA])
    return {
        "file": str(prediction.file),
        "height": mask.shape[0],
        "width": mask.shape[1],
        "area_share": round(float(mask.mean()), 6),
        "components": count - 1,
        "boxes": [region[:4] for region in regions],
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


def write_predictions(
    predictions: Iterable[Prediction | DataError],
    folder: str | Path,
    *,
    overlays: bool = False,
    probabilities: bool = False,
    table: str = "csv",
) -> tuple[list[dict], list[DataError]]:
    """Write masks (0/255 PNG), and on request overlays and probability maps, and one table.

    Args:
        predictions: from `predict_files`; consumed one at a time.
        folder: where to; created. Masks go into `masks/`, the rest into `overlays/` and
            `probabilities/` (8-bit grey: 255 x probability).
        overlays: draw the outline on the picture.
        probabilities: write the probability map.
        table: `csv` or `json`; `predictions.csv` has boxes as JSON text. None where no file could be read.

    Returns:
        the table's rows, and the errors of the files that could not be read.

    Raises:
        DataError: the folder cannot be written to, or the disk is full; a file there that this package did
            not make would be replaced.
    """
    folder = make_folder(folder)
    for name in ("masks", *["overlays"] * overlays, *["probabilities"] * probabilities):
        make_folder(folder / name)
    rows, errors = [], []
    for item in predictions:
        if isinstance(item, DataError):
            errors.append(item)
            continue
        name = f"{item.file.stem}.png"
        write_picture(folder / "masks" / name, item.mask * 255)
        if overlays:
            write_picture(folder / "overlays" / name, overlay(item.image, item.mask))
        if probabilities:
            write_picture(folder / "probabilities" / name, (item.probs * 255).round().astype(np.uint8))
        rows.append(table_row(item))
    if not rows:  # an empty table would say that there was nothing to find
        return rows, errors
    if table == "json":
        write_atomic(folder / "predictions.json", json.dumps(rows, indent=2) + "\n")
    else:
        written = [row | {"boxes": json.dumps(row["boxes"])} for row in rows]
        write_atomic(folder / "predictions.csv", pd.DataFrame(written).to_csv(index=False))
    return rows, errors
