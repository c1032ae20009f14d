"""What a run folder writes after each epoch: each function listens to `train` and writes one thing."""

import warnings
from collections.abc import Callable
from typing import Any

import pandas as pd
import torch

from polyp.data.dataset import PolypDataset
from polyp.disk import write_atomic
from polyp.run import checkpoint
from polyp.run.folder import RunFolder
from polyp.run.inference import predict_masks
from polyp.run.training import Epoch, Row

SAMPLES = 4


Describe = Callable[[Row], dict[str, Any]]  # from the scores of an epoch to a checkpoint's metadata


def save_best(folder: RunFolder, describe: Describe, epoch: Epoch) -> None:
    """Write `best.safetensors` where this epoch is the best so far."""
    if epoch.is_best:
        checkpoint.save_checkpoint(folder.best, epoch.model, describe(epoch.history[-1]))


def save_last(folder: RunFolder, describe: Describe, epoch: Epoch) -> None:
    """Write `last.safetensors`, to resume from: with the optimiser and the history."""
    metadata = describe(epoch.history[-1]) | {"history": epoch.history}
    checkpoint.save_checkpoint(folder.last, epoch.model, metadata, epoch.optimizer)


def write_log(folder: RunFolder, epoch: Epoch) -> None:
    """Write `log.csv`, one row per epoch."""
    write_atomic(folder.path / "log.csv", pd.DataFrame(epoch.history).to_csv(index=False))


def draw_curves(folder: RunFolder, epoch: Epoch) -> None:
    """Draw `curves.png`, loss and scores by epoch."""
    from polyp.run.pictures import curves, to_png  # matplotlib takes a second to import

    write_atomic(folder.path / "curves.png", to_png(curves(pd.DataFrame(epoch.history))))


def draw_samples(folder: RunFolder, dataset: PolypDataset, precision: str, epoch: Epoch) -> None:
    """Draw what the network now predicts for some of the dataset's frames, `samples/epoch_NNN.png`."""
    from polyp.run.pictures import comparison, to_png

    frames = sorted({round(i * (len(dataset) - 1) / (SAMPLES - 1)) for i in range(SAMPLES)})
    images, masks = (torch.stack(column) for column in zip(*(dataset[i] for i in frames), strict=True))
    preds = predict_masks(epoch.model, images, precision)
    figure = comparison(images, masks, preds, [dataset.frames[i] for i in frames])
    write_atomic(folder.path / "samples" / f"epoch_{len(epoch.history):03}.png", to_png(figure))


def tensorboard(folder: RunFolder, done_epochs: int) -> Callable[[Epoch], None]:
    """A listener that writes the log for TensorBoard too, if its package is installed.

    Args:
        folder: the events go into its `tensorboard/`.
        done_epochs: before a resume; later events of a killed run are dropped.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter

        writer = SummaryWriter(str(folder.path / "tensorboard"), purge_step=done_epochs + 1)
    except ImportError:  # it is optional: pip install 'polyp-course[tensorboard]'
        return lambda epoch: None
    except Exception as error:  # broken by a neighbour, such as another protobuf: still optional
        reason = " ".join(str(error).split())[:200]
        warnings.warn(f"TensorBoard does not work here ({reason}); going on without it", stacklevel=2)
        return lambda epoch: None

    def listen(epoch: Epoch) -> None:
        for name, value in epoch.history[-1].items():
            if name != "epoch" and value is not None:
                writer.add_scalar(name, value, len(epoch.history))
        writer.flush()

    return listen
