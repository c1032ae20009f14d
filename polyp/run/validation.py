"""Loss and scores on frames that the network was not trained on."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch.utils.data import DataLoader

from polyp.data.dataset import PolypDataset
from polyp.data.images import SPECK
from polyp.disk import without_nan
from polyp.errors import DataError
from polyp.model.losses import Loss, bce_dice_loss, deep_supervision
from polyp.model.metrics import SCORES, AverageMeter, Counts, concatenate, count_pixels, summarise
from polyp.model.network import SegmentationNetwork, resize_logits
from polyp.run import distributed
from polyp.run.details import Details, records
from polyp.run.hardware import autocast
from polyp.run.inference import look_again
from polyp.run.loading import scoring_loader
from polyp.run.regions import largest_region, shown_regions


class Validation(NamedTuple):
    """What `validate` found.

    `loss` is the mean over the frames; `scores` is `metrics.summarise`'s dictionary, with `clean_marked`: the
    share of the frames without a polyp in which a region of at least `SPECK` pixels is predicted (NaN without
    such frames); `table` has one row per frame with its counts, its scores and `marked`; `details`, if they
    were asked for, have the scores by threshold and the polyps one by one.
    """

    loss: float
    scores: dict[str, float | int]
    table: pd.DataFrame
    details: Details | None = None

    def to_dict(self) -> dict[str, Any]:
        """All of it, ready for JSON: None for NaN."""
        found = without_nan({"loss": self.loss}) | {"scores": without_nan(self.scores)}
        details = self.details.to_dict() if self.details else {}
        return found | details | {"frames": records(self.table)}


@torch.inference_mode()
def validate(
    model: SegmentationNetwork,
    dataset: PolypDataset,
    loss: Loss = bce_dice_loss,
    threshold: float = 0.5,
    min_peak: float = 0.0,
    min_share: float = 0.0,
    second_look: bool = False,
    level: int | None = None,
    batch_size: int = 8,
    precision: str = "auto",
    workers: int = 0,
    loader: DataLoader | None = None,
    shared: bool = False,
    detailed: bool = False,
) -> Validation:
    """Score `model` on every frame of `dataset`, at the size of the dataset's masks.

    The model is evaluated on its device and left in the mode it was in.

    Args:
        model: any network of this package.
        dataset: what to score on; with `full_size_masks` the logits are enlarged to each mask.
        loss: of one head; with deep supervision the heads are averaged, as in training.
        threshold: a pixel is polyp above this probability.
        min_peak, min_share: which regions count, see `regions.shown_regions`.
        second_look: judge regions by four looks where the first marks anything, as `predict_files` does.
        level: prune a UNet++ to this level.
        batch_size: frames at a time (1 where masks have their original sizes).
        precision: auto, fp32 or bf16.
        workers: loader processes.
        loader: the dataset's `loading.scoring_loader`, for a run that keeps its processes; a new one of
            `batch_size` and `workers` by default.
        shared: several processes have called this, each scores its share (of at least one frame), and all get
            the same answer.
        detailed: also score by threshold and by polyp, see `details.Details`.

    Raises:
        DataError: the network answers with NaN.
    """
    loader = loader or scoring_loader(dataset, batch_size, workers, shared=shared)
    frames = distributed.share(dataset.frames) if shared else dataset.frames
    meter, parts = AverageMeter(), []
    marked: list[bool] = []
    details = Details() if detailed else None
    with model.evaluating():
        for image, target in loader:
            image, target = image.to(model.device), target.to(model.device)
            with autocast(model.device, precision):
                outputs = model(image, level)
            outputs = tuple(resize_logits(logits, target.shape[-2:]) for logits in outputs)
            meter.update(deep_supervision(loss, outputs, target), n=len(image))
            if outputs[-1].isnan().any():
                broken = ", ".join(frames[len(marked) :][: len(image)])
                raise DataError(
                    f"the logits hold NaN on frames {broken}; look for a diverged training run (lower lr, or "
                    "precision=fp32) or a broken checkpoint"
                )
            probs = outputs[-1][:, 0].float().sigmoid()
            evidence = probs.clone()
            if second_look and (probs > threshold).any():
                marks = (probs > threshold).flatten(1).any(dim=1)
                evidence[marks] = look_again(model, image[marks], probs[marks], level, precision)
            maps, truth = probs.cpu().numpy(), target.cpu() > 0
            shown = (
                shown_regions(frame, threshold, min_peak, min_share, judged)
                for frame, judged in zip(maps, evidence.cpu().numpy(), strict=True)
            )
            masks = np.stack(list(shown))
            if details:
                names = frames[len(marked) :]
                for name, frame, mask, true in zip(names, maps, masks, truth[:, 0].numpy(), strict=False):
                    details.add(name, frame, mask, true)
            parts.append(count_pixels(torch.from_numpy(masks)[:, None], truth))
            marked += [largest_region(mask) >= SPECK for mask in masks]
    counts, loss_mean = concatenate(parts), meter.avg
    if shared:
        counts, marked, loss_mean = _rejoined(counts, marked, meter, len(dataset), model.device)
    columns: dict[str, Any] = {"frame": dataset.frames, "marked": marked}
    columns |= {name: count.numpy() for name, count in counts._asdict().items()}
    columns |= {name: score(counts).numpy() for name, score in SCORES.items()}
    table = pd.DataFrame(columns)
    return Validation(loss_mean, scores_of(table), table, details)


def _rejoined(
    counts: Counts, marked: list[bool], meter: AverageMeter, frames: int, device: torch.device
) -> tuple[Counts, list[bool], float]:
    """The counts, marks and mean loss of all frames, from every process's share."""
    rows = torch.stack([*counts, torch.tensor(marked)], dim=1).to(device)  # (n, 5)
    *counted, flags = distributed.rejoin(rows, frames).cpu().unbind(dim=1)
    loss = distributed.weighted_mean(meter.avg, meter.count, device)
    return Counts(*counted), flags.bool().tolist(), loss


def scores_of(table: pd.DataFrame) -> dict[str, float | int]:
    """The scores of all frames of a table, see `Validation`."""
    counts = counts_of(table)
    clean = table["marked"][(counts.tp + counts.fn).numpy() == 0]
    return summarise(counts) | {"clean_marked": float(clean.mean())}


def counts_of(table: pd.DataFrame) -> Counts:
    """The pixels of each frame by outcome, from a table with these columns."""
    return Counts(*(torch.tensor(table[name].to_numpy()) for name in Counts._fields))
