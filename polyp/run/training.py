"""Training: the step, the epoch, and the loop over epochs, which needs no folder.

Everything random follows from (seed, epoch, frame), and nothing from what happened before. That is why
a killed run, resumed, ends with the same weights, bit for bit on a CPU, as one never killed.
"""

import math
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from polyp.config import Config
from polyp.data.dataset import Splits
from polyp.disk import without_nan
from polyp.errors import UsageError, look_up
from polyp.model.efficientnet import load_imagenet
from polyp.model.losses import LOSSES, Loss, deep_supervision
from polyp.model.metrics import AverageMeter, Counts, concatenate, count_pixels, iou_score
from polyp.model.network import EfficientUNetPlusPlus, SegmentationNetwork, build_model
from polyp.run import distributed
from polyp.run.checkpoint import find_checkpoint, read_checkpoint, restore_model
from polyp.run.hardware import autocast, to_training_device
from polyp.run.loading import TrainingLoader, scoring_loader
from polyp.run.shared_norm import shared_statistics
from polyp.run.validation import Validation, validate

Row = dict[str, Any]  # one epoch of a history, see `train`


class Diverged(ArithmeticError):
    """The loss became NaN or infinite."""


class Epoch(NamedTuple):
    """What a listener is told after an epoch: the training's state, ready to be written or drawn."""

    model: SegmentationNetwork
    optimizer: torch.optim.Optimizer
    history: list[Row]  # of all epochs so far, this one last

    @property
    def is_best(self) -> bool:
        """Whether no earlier epoch was as good."""
        return best_epoch(self.history) == len(self.history) - 1


def train(
    model: SegmentationNetwork,
    data: Splits,
    config: Config,
    *,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    on_progress: Callable[[int, float, float], None] = lambda frames, loss, iou: None,
    optimizer: torch.optim.Optimizer | None = None,
    history: Iterable[Row] = (),
) -> list[Row]:
    """Train `model` in place, epoch after epoch, and validate after each.

    Called by each process of a `distributed` group, it trains the same network in all of them.

    Args:
        model: on its device, such as `new_model(config)`.
        data: its training frames, and its validation frames if it has any.
        config: loss, epochs, batch size, learning rate, schedule, patience, precision and seed count here.
        on_epoch: called after each epoch.
        on_progress: see `train_one_epoch`.
        optimizer: `make_optimizer(model, config)` by default.
        history: the epochs that `model` and `optimizer` were trained for already; training continues there.

    Returns:
        one row per epoch: epoch (from 1), lr (at its last step), loss and iou (means over the training
        frames), val_loss, val_iou, val_dice (means over the validation frames, or None), val_clean_marked
        (see `validate`), seconds.

    Raises:
        Diverged: NaN or infinite loss.
    """
    loss = look_up(LOSSES, "loss", config.loss)
    optimizer = optimizer or make_optimizer(model, config)
    history = list(history)
    loader = TrainingLoader(data.train, config, data.sources, model.device)
    shared = data.val is not None and len(data.val) >= distributed.world()
    val_loader = None
    if data.val is not None:
        val_loader = scoring_loader(data.val, config.batch_size, config.workers, shared=shared)
    while len(history) < config.epochs and not _out_of_patience(history, config.patience):
        epoch, start = len(history), time.perf_counter()
        with shared_statistics(model):
            trained = train_one_epoch(model, loader, optimizer, loss, config, epoch, on_progress)
        validated = None
        if data.val is not None:
            validated = validate(
                model, data.val, loss, precision=config.precision, loader=val_loader, shared=shared
            )
        rate = optimizer.param_groups[-1]["lr"]
        history.append(_row(epoch, rate, trained, validated, time.perf_counter() - start))
        on_epoch(Epoch(model, optimizer, history))
    return history


class EpochResult(NamedTuple):
    """Means over the frames of one pass: loss, and per-image IoU of the deepest head."""

    loss: float
    iou: float


def train_one_epoch(
    model: SegmentationNetwork,
    loader: TrainingLoader,
    optimizer: torch.optim.Optimizer,
    loss: Loss,
    config: Config,
    epoch: int,
    on_progress: Callable[[int, float, float], None] = lambda frames, loss, iou: None,
) -> EpochResult:
    """One pass over the training frames; plain and deeply supervised networks take the same path.

    Args:
        model: on its device, changed in place.
        loader: of the training frames.
        optimizer: its learning rate is set at every step.
        loss: of one head.
        config: schedule, clipping and precision count here.
        epoch: from 0; with the seed it decides order and augmentation.
        on_progress: called about twice a second with frames done, mean loss and mean IoU so far.

    Raises:
        Diverged: the loss is NaN or infinite; the message names the first such batch.
    """
    steps = len(loader)
    meter, losses, counts = AverageMeter(), [], []
    shown = time.monotonic()
    model.train()
    if config.encoder_lr == 0:
        for part in _pretrained(model, config):
            part.eval()  # else batch normalisation would go on learning means and variances
    for step, (image, target) in enumerate(loader.batches(epoch)):
        image = image.to(model.device, non_blocking=True)  # uint8 (N, 3, H, W)
        target = target.to(model.device, non_blocking=True)  # {0, 1} (N, 1, H, W)
        rate = learning_rate(epoch * steps + step, config.epochs * steps, config.lr, config.schedule)
        for group in optimizer.param_groups:
            group["lr"] = rate * group.get("lr_share", 1.0)

        with autocast(model.device, config.precision):
            outputs = _forward(model, image, config)  # each (N, 1, H, W)
            batch_loss = deep_supervision(loss, outputs, target)
        optimizer.zero_grad(set_to_none=True)
        batch_loss.backward()
        distributed.average_gradients(model)
        clip_grad_norm_(model.parameters(), config.clip_norm)
        optimizer.step()

        # Fetching a number makes a GPU finish all its work first, so keep them there and look rarely.
        losses.append(distributed.mean_of_means(batch_loss.detach()))
        counts.append(count_pixels(outputs[-1].detach() > 0, target > 0))
        meter.update(losses[-1], n=len(image))
        # Several processes look at the same steps, so that all of them stop at one batch.
        due = step % 10 == 9 if distributed.world() > 1 else time.monotonic() - shown > 0.5
        if step + 1 == steps or due:
            _ensure_finite(losses, loader, epoch)
            on_progress((step + 1) * config.batch_size, meter.avg, _mean_iou(counts))
            shown = time.monotonic()
    rows = distributed.rejoin(torch.stack(concatenate(counts), dim=1), steps * config.batch_size)
    return EpochResult(meter.avg, _mean_iou([Counts(*rows.unbind(dim=1))]))


def _forward(model: SegmentationNetwork, image: Tensor, config: Config) -> tuple[Tensor, ...]:
    try:
        return model(image)
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        raise UsageError(
            f"batch_size is {config.batch_size}, size {config.size}: at the lowest resolution one value is "
            "left per channel, of which batch normalisation can learn nothing; choose a larger size or "
            "batch_size, or fewer widths"
        ) from None


def _warm_up_cosine(warm_up: float, step: int, steps: int) -> float:
    """Rise linearly for a share of the steps, then fall along half a cosine to a thousandth."""
    rising = max(1, round(warm_up * steps))
    if step < rising:
        return (step + 1) / rising
    done = (step - rising) / max(1, steps - rising)
    return 0.001 + 0.999 * (1 + math.cos(math.pi * done)) / 2


# From (step, steps) to the share of the highest learning rate; the keys are the configuration's `schedule`.
SCHEDULES: dict[str, Callable[[int, int], float]] = {
    "onecycle": partial(_warm_up_cosine, 0.3),  # Smith and Topin, arXiv:1708.07120
    "cosine": partial(_warm_up_cosine, 0.05),
}


def learning_rate(step: int, steps: int, highest: float, schedule: str = "onecycle") -> float:
    """The learning rate of a step, as a function of nothing but the step.

    It rises linearly for 30 % of the steps (`onecycle`) or for 5 % (`cosine`), then falls along half a
    cosine to nearly zero.

    Args:
        step: 0 to steps - 1.
        steps: of the whole run.
        highest: the peak.
        schedule: a key of `SCHEDULES`.

    Raises:
        UsageError: an unknown schedule.
    """
    return highest * look_up(SCHEDULES, "schedule", schedule)(step, steps)


def new_model(config: Config) -> SegmentationNetwork:
    """The network that `config` describes as training starts with it, on its device.

    Its weights follow from the seed; a pretrained encoder has its ImageNet weights. With `init` they are
    those of a checkpoint.

    Raises:
        UsageError: the device is not there; the ImageNet weights are not installed.
        DataError: the checkpoint of `init` cannot be read, or is of another network.
    """
    torch.manual_seed(config.seed)
    model = build_model(config)
    if config.init:
        file = find_checkpoint(config.init)
        restore_model(model, read_checkpoint(file)[0], file)
    elif isinstance(model, EfficientUNetPlusPlus) and config.pretrained:
        load_imagenet(model.encoder, config.encoder)
    return to_training_device(model, config.device, config.precision)


def make_optimizer(model: SegmentationNetwork, config: Config) -> torch.optim.AdamW:
    """AdamW; a pretrained encoder has its own, lower learning rate, or with `encoder_lr` 0 none."""
    encoder = [parameter for part in _pretrained(model, config) for parameter in part.parameters()]
    ids = set(map(id, encoder))
    rest = [parameter for parameter in model.parameters() if id(parameter) not in ids]
    groups: list[dict[str, Any]] = [{"params": rest, "lr_share": 1.0}]
    if encoder and config.encoder_lr > 0:
        groups.insert(0, {"params": encoder, "lr_share": config.encoder_lr})
    for parameter in encoder:
        parameter.requires_grad_(config.encoder_lr > 0)
    return torch.optim.AdamW(groups, config.lr, weight_decay=config.weight_decay)


def best_epoch(history: list[Row]) -> int:
    """The index of the epoch with the highest validation Dice, the earliest of equals; else the last."""
    if all(row["val_dice"] is None for row in history):
        return len(history) - 1
    dice = [-1.0 if row["val_dice"] is None else row["val_dice"] for row in history]
    return dice.index(max(dice))


def _out_of_patience(history: list[Row], patience: int) -> bool:
    return bool(history and patience) and len(history) - 1 - best_epoch(history) >= patience


def _pretrained(model: SegmentationNetwork, config: Config) -> list[torch.nn.Module]:
    """The parts of the network that start from ImageNet weights; none for most networks."""
    return list(model.encoder) if isinstance(model, EfficientUNetPlusPlus) and config.pretrained else []


def _mean_iou(counts: list) -> float:
    return iou_score(concatenate(counts)).nanmean().item()


def _ensure_finite(losses: list[Tensor], loader: TrainingLoader, epoch: int) -> None:
    finite = torch.stack(losses).isfinite().tolist()
    if all(finite):
        return
    batch = finite.index(False)
    raise Diverged(
        f"the loss is {losses[batch].item()} in epoch {epoch + 1}, batch {batch + 1} "
        f"(frames {', '.join(loader.frames(epoch, batch))}); lower lr, or try precision=fp32"
    )


def _row(epoch: int, rate: float, trained: EpochResult, validated: Validation | None, seconds: float) -> Row:
    scores = validated.scores if validated else {}
    return without_nan(
        {
            "epoch": epoch + 1,
            "lr": rate,
            "loss": trained.loss,
            "iou": trained.iou,
            "val_loss": validated.loss if validated else None,
            "val_iou": scores.get("iou_per_image"),
            "val_dice": scores.get("dice_per_image"),
            "val_clean_marked": scores.get("clean_marked"),
            "seconds": round(seconds, 1),
        }
    )
