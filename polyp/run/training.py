"""Training: one visible loop, and `fit`, which runs it over all epochs into a run folder.

Everything random follows from (seed, epoch, frame), and nothing from what happened before. That is why
a killed run, resumed, ends with the same weights, bit for bit on a CPU, as one never killed.
"""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_
from torch.utils.data import DataLoader

from polyp.config import TrainConfig
from polyp.data.dataset import Data, PolypDataset, open_data
from polyp.errors import UsageError
from polyp.model.efficientnet import load_imagenet
from polyp.model.losses import LOSSES, Loss, deep_supervision
from polyp.model.metrics import AverageMeter, concatenate, count_pixels, iou_score
from polyp.model.network import SegmentationNetwork, build_model
from polyp.run import checkpoint
from polyp.run.folder import RunFolder
from polyp.run.hardware import autocast, choose_device
from polyp.run.progress import Progress
from polyp.run.validation import Validation, validate


class Diverged(ArithmeticError):
    """The loss became NaN or infinite."""


def learning_rate(step: int, steps: int, highest: float, schedule: str = "onecycle") -> float:
    """The learning rate of a step, as a function of nothing but the step.

    It rises linearly for 30 % of the steps (`onecycle`, Smith and Topin, arXiv:1708.07120) or for 5 %
    (`cosine`), then falls along half a cosine to nearly zero.

    Args:
        step: 0 to steps - 1.
        steps: of the whole run.
        highest: the peak.
        schedule: `onecycle` or `cosine`.
    """
    warmup = max(1, round((0.3 if schedule == "onecycle" else 0.05) * steps))
    if step < warmup:
        return highest * (step + 1) / warmup
    done = (step - warmup) / max(1, steps - warmup)
    return highest * (0.001 + 0.999 * (1 + math.cos(math.pi * done)) / 2)


def epoch_order(frames: int, seed: int, epoch: int) -> list[int]:
    """The order in which an epoch visits the frames."""
    generator = torch.Generator().manual_seed(seed * 100_003 + epoch)
    return torch.randperm(frames, generator=generator).tolist()


class EpochResult(NamedTuple):
    """Means over the frames of one pass: loss, and per-image IoU of the deepest head."""

    loss: float
    iou: float


def train_one_epoch(
    model: SegmentationNetwork,
    dataset: PolypDataset,
    optimizer: torch.optim.Optimizer,
    loss: Loss,
    config: TrainConfig,
    epoch: int,
    on_progress: Callable[[int, float, float], None] = lambda frames, loss, iou: None,
) -> EpochResult:
    """One pass over the training frames; plain and deeply supervised networks take the same path.

    Args:
        model: on its device, changed in place.
        dataset: the training frames.
        optimizer: its learning rate is set at every step.
        loss: of one head.
        config: batch size, schedule, clipping, precision, workers and seed count here.
        epoch: from 0; with the seed it decides order and augmentation.
        on_progress: called about twice a second with frames done, mean loss and mean IoU so far.

    Raises:
        Diverged: the loss is NaN or infinite; the message names the first such batch.
    """
    device = model.mean.device
    dataset.epoch = epoch
    order = epoch_order(len(dataset), config.seed, epoch)
    # A last, smaller batch would weigh its frames more and give batch normalisation less to average.
    loader = DataLoader(
        dataset,
        config.batch_size,
        sampler=order,
        num_workers=config.workers,
        drop_last=True,
        pin_memory=device.type == "cuda",
    )
    steps = len(loader)
    meter, losses, counts = AverageMeter(), [], []
    shown = time.monotonic()
    model.train()
    if config.encoder_lr == 0:
        for part in _pretrained(model, config):
            part.eval()  # else batch normalisation would go on learning means and variances
    for step, (image, target) in enumerate(loader):
        image = image.to(device, non_blocking=True).contiguous(memory_format=torch.channels_last)
        target = target.to(device, non_blocking=True)
        rate = learning_rate(epoch * steps + step, config.epochs * steps, config.lr, config.schedule)
        for group in optimizer.param_groups:
            group["lr"] = rate * group.get("share", 1.0)

        with autocast(device, config.precision):
            outputs = model(image)  # each (N, 1, H, W)
            batch_loss = deep_supervision(loss, outputs, target)
        optimizer.zero_grad(set_to_none=True)
        batch_loss.backward()
        clip_grad_norm_(model.parameters(), config.clip_norm)
        optimizer.step()

        # Fetching a number makes a GPU finish all its work first, so keep them there and look rarely.
        losses.append(batch_loss.detach())
        counts.append(count_pixels(outputs[-1].detach() > 0, target > 0))
        meter.update(batch_loss, n=len(image))
        if step + 1 == steps or time.monotonic() - shown > 0.5:
            _check_losses(losses, dataset, order, config.batch_size)
            on_progress((step + 1) * config.batch_size, meter.avg, _mean_iou(counts))
            shown = time.monotonic()
    return EpochResult(meter.avg, _mean_iou(counts))


def _mean_iou(counts: list) -> float:
    return iou_score(concatenate(counts)).nanmean().item()


def _check_losses(losses: list[Tensor], dataset: PolypDataset, order: list[int], batch_size: int) -> None:
    finite = torch.stack(losses).isfinite().tolist()
    if all(finite):
        return
    batch = finite.index(False)
    frames = [dataset.frames[i] for i in order[batch * batch_size : (batch + 1) * batch_size]]
    raise Diverged(
        f"the loss is {losses[batch].item()} in epoch {dataset.epoch + 1}, batch {batch + 1} "
        f"(frames {', '.join(frames)}); lower lr, or try precision=fp32"
    )


def fit(
    config: TrainConfig,
    run: str | Path,
    *,
    data_path: str | Path | None = None,
    resume: bool = False,
    progress: bool = True,
) -> RunFolder:
    """Train as `config` says, into a run folder, and score the best epoch on the test frames.

    With `refit`, there are no validation frames to name a best epoch, and the last one counts.

    After each epoch: `log.csv`, `curves.png`, `samples/`, `last.safetensors` (to go on from) and, when the
    validation Dice is the best so far, `best.safetensors`. At the end: `metrics.json` and `test.csv`.

    Args:
        config: what to do.
        run: the run folder; a new one, or with `resume` one that was stopped.
        data_path: where the data lies, if not in `$POLYP_DATA` or `data/`.
        resume: go on after the last whole epoch.
        progress: show a bar (in a terminal or notebook) and a line an epoch.

    Raises:
        UsageError: the folder already holds a run, or holds another configuration's.
        DataError: the data or the folder cannot be used.
        Diverged: NaN or infinite loss; the last whole epoch is kept.
    """
    device, loss = choose_device(config.device), LOSSES[config.loss]
    data = open_data(config, data_path)
    folder = RunFolder.resume(run, config) if resume else RunFolder.create(run, config)
    folder.write_split(data)
    torch.manual_seed(config.seed)
    model = build_model(config.model).to(device, memory_format=torch.channels_last)
    optimizer = make_optimizer(model, config)
    history = _restore(folder, config, data, model, optimizer)

    with Progress(config, len(data.train), len(history), progress) as bar:
        try:
            while len(history) < config.epochs and not _out_of_patience(history, config.patience):
                epoch, start = len(history), time.perf_counter()
                trained = train_one_epoch(model, data.train, optimizer, loss, config, epoch, bar.update)
                validation = data.val and validate(
                    model, data.val, loss, precision=config.precision, workers=config.workers
                )
                rate = optimizer.param_groups[-1]["lr"]
                history.append(_row(epoch, rate, trained, validation, time.perf_counter() - start))
                _save_epoch(folder, data, model, optimizer, config, history)
                bar.epoch_done(history[-1], is_best=best_epoch(history) == epoch)
        except KeyboardInterrupt:
            bar.say(
                f"\nStopped; {len(history)} whole epochs are saved. Go on with:\n  {folder.how_to_resume}"
            )
            raise
    finish(folder, config, data, device)
    return folder


def make_optimizer(model: SegmentationNetwork, config: TrainConfig) -> torch.optim.AdamW:
    """AdamW; a pretrained encoder has its own, lower learning rate, or with `encoder_lr` 0 none."""
    encoder = [parameter for part in _pretrained(model, config) for parameter in part.parameters()]
    ids = set(map(id, encoder))
    rest = [parameter for parameter in model.parameters() if id(parameter) not in ids]
    groups = [{"params": rest, "share": 1.0}]
    if encoder and config.encoder_lr > 0:
        groups.insert(0, {"params": encoder, "share": config.encoder_lr})
    for parameter in encoder:
        parameter.requires_grad_(config.encoder_lr > 0)
    return torch.optim.AdamW(groups, config.lr, weight_decay=config.weight_decay)


def _pretrained(model: SegmentationNetwork, config: TrainConfig) -> list[torch.nn.Module]:
    """The parts of the network that start from ImageNet weights; none for most networks."""
    return list(model.encoder) if config.model.encoder != "conv" and config.pretrained else []


def _restore(
    folder: RunFolder,
    config: TrainConfig,
    data: Data,
    model: SegmentationNetwork,
    optimizer: torch.optim.Optimizer,
) -> list[dict]:
    """Bring model and optimiser to where the run stopped, or starts; the history of its epochs so far."""
    if not folder.last.is_file():
        if _pretrained(model, config):
            load_imagenet(model.encoder, config.model.encoder)
        return []
    tensors, metadata = checkpoint.read_checkpoint(folder.last)
    if metadata["data"] != data.about:
        raise UsageError(f"{folder.path}: the data has changed since this run began; start a new run")
    checkpoint.restore_model(model, tensors, folder.last)
    checkpoint.restore_optimizer(optimizer, model, tensors)
    return metadata["history"]


def _row(
    epoch: int, rate: float, trained: EpochResult, validation: Validation | None, seconds: float
) -> dict:
    scores = validation.scores if validation else {}
    row = {
        "epoch": epoch + 1,
        "lr": rate,
        "loss": trained.loss,
        "iou": trained.iou,
        "val_loss": validation.loss if validation else None,
        "val_iou": scores.get("iou_per_image"),
        "val_dice": scores.get("dice_per_image"),
        "seconds": round(seconds, 1),
    }
    return checkpoint.without_nan(row)


def _save_epoch(
    folder: RunFolder,
    data: Data,
    model: SegmentationNetwork,
    optimizer: torch.optim.Optimizer,
    config: TrainConfig,
    history: list[dict],
) -> None:
    metadata = checkpoint.describe(config, history[-1], data.about)
    if best_epoch(history) == len(history) - 1:
        checkpoint.save_checkpoint(folder.best, model, metadata)
    folder.write_epoch(history, model, data.val or data.train, config.precision)
    # `last` is written last: a run that is killed before it does the whole epoch again.
    checkpoint.save_checkpoint(folder.last, model, metadata | {"history": history}, optimizer)


def best_epoch(history: list[dict]) -> int:
    """The index of the epoch with the highest validation Dice, the earliest of equals; else the last."""
    if all(row["val_dice"] is None for row in history):
        return len(history) - 1
    dice = [-1.0 if row["val_dice"] is None else row["val_dice"] for row in history]
    return dice.index(max(dice))


def _out_of_patience(history: list[dict], patience: int) -> bool:
    return bool(history and patience) and len(history) - 1 - best_epoch(history) >= patience


def finish(folder: RunFolder, config: TrainConfig, data: Data, device: torch.device) -> None:
    """Score the best epoch: on the validation frames, and once on the test frames at original size."""
    model, metadata = checkpoint.load_model(folder.best)
    model = model.to(device, memory_format=torch.channels_last)
    options = {"loss": LOSSES[config.loss], "precision": config.precision, "workers": config.workers}
    val, test = data.val and validate(model, data.val, **options), validate(model, data.test, **options)
    folder.write_results(metadata["scores"]["epoch"], val, test, data.about)
