"""The folder of one training run: what is in it, and that every file in it is whole."""

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import pandas as pd
import torch

from polyp.config import TrainConfig, setting_fields
from polyp.course import figures as plots
from polyp.data.dataset import Data, PolypDataset
from polyp.disk import make_folder, project_root, write_atomic
from polyp.errors import DataError, UsageError
from polyp.model.network import SegmentationNetwork
from polyp.run import checkpoint
from polyp.run.hardware import autocast
from polyp.run.validation import Validation

SAMPLES = 4


class RunFolder:
    """`config.json`, `split.csv`, `log.csv`, `last.safetensors`, `best.safetensors`, `curves.png`,
    `samples/epoch_NNN.png`, and at the end `metrics.json` and `test.csv`.

    Use `create` for a new run and `resume` for one that was stopped.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.config_file = self.path / "config.json"
        self.last = self.path / "last.safetensors"
        self.best = self.path / "best.safetensors"
        self.metrics_file = self.path / "metrics.json"
        self._tensorboard = None

    @classmethod
    def create(cls, path: str | Path, config: TrainConfig) -> "RunFolder":
        """Begin a run in a folder that holds none.

        Raises:
            UsageError: there is a run already, and nothing is overwritten.
            DataError: the folder cannot be written to.
        """
        folder = cls(path)
        if folder.config_file.exists():
            raise UsageError(
                f"{folder.path}: holds a run already; go on with it ({folder.how_to_resume}) "
                "or name a new folder"
            )
        make_folder(folder.path / "samples")
        write_atomic(folder.config_file, _json(config.to_dict()))
        return folder

    @classmethod
    def resume(cls, path: str | Path, config: TrainConfig | None = None) -> "RunFolder":
        """Open a run to go on with.

        Raises:
            DataError: there is no run.
            UsageError: `config` is not the one the run began with.
        """
        folder = cls(path)
        found = folder.config()
        if config is not None and config != found:
            raise UsageError(f"{folder.path}: began with {_differences(found, config)}; start a new run")
        make_folder(folder.path / "samples")
        return folder

    def config(self) -> TrainConfig:
        """The configuration this run began with.

        Raises:
            DataError: there is none, or it is not one of this version.
        """
        if not self.config_file.is_file():
            raise DataError(f"{self.path}: holds no run (no config.json)")
        try:
            return TrainConfig.from_dict(json.loads(self.config_file.read_text()))
        except (ValueError, AttributeError, TypeError) as error:
            raise DataError(f"{self.config_file}: not a configuration of this version ({error})") from None

    @property
    def how_to_resume(self) -> str:
        """The command that goes on with this run."""
        return f"polyp train --resume '{self.path}'"

    def log(self) -> pd.DataFrame:
        """The run's log: a row an epoch."""
        return pd.read_csv(self.path / "log.csv")

    def metrics(self) -> dict:
        """The final scores; see `write_results`."""
        return json.loads(self.metrics_file.read_text())

    def write_split(self, data: Data) -> None:
        """Put down which frame is in which part."""
        write_atomic(self.path / "split.csv", data.split.to_csv(index=False))

    def write_epoch(
        self, history: list[dict], model: SegmentationNetwork, dataset: PolypDataset, precision: str
    ) -> None:
        """Write the log, the curves, and what the model now makes of some of the dataset's frames."""
        write_atomic(self.path / "log.csv", pd.DataFrame(history).to_csv(index=False))
        write_atomic(self.path / "curves.png", plots.to_png(plots.curves(pd.DataFrame(history))))
        frames = sorted({round(i * (len(dataset) - 1) / (SAMPLES - 1)) for i in range(SAMPLES)})
        images, masks = (torch.stack(column) for column in zip(*(dataset[i] for i in frames), strict=True))
        preds = _predict(model, images, precision)
        figure = plots.comparison(images, masks, preds, [dataset.frames[i] for i in frames])
        write_atomic(self.path / "samples" / f"epoch_{len(history):03}.png", plots.to_png(figure))
        self._write_tensorboard(history)

    def _write_tensorboard(self, history: list[dict]) -> None:
        if self._tensorboard is None:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError:  # it is optional
                return
            self._tensorboard = SummaryWriter(self.path / "tensorboard", purge_step=len(history))
        for name, value in history[-1].items():
            if name != "epoch" and value is not None:
                self._tensorboard.add_scalar(name, value, len(history))
        self._tensorboard.flush()

    def write_results(self, epoch: int, val: Validation | None, test: Validation, about: dict) -> None:
        """Write `test.csv`, a row a test frame, and `metrics.json`: best epoch, its scores, the data."""
        write_atomic(self.path / "test.csv", test.table.to_csv(index=False))
        parts = {
            name: part and checkpoint.without_nan({"loss": part.loss, **part.scores})
            for name, part in (("val", val), ("test", test))
        }
        write_atomic(self.metrics_file, _json({"epoch": epoch, "data": about, **parts}))


def compare_runs(paths: Iterable[str | Path]) -> pd.DataFrame:
    """Finished runs side by side, best validation Dice first.

    Returns:
        a row a run: its name, the settings in which the runs differ, epoch (the best), val_dice and
        test_dice (means over the frames; no val_dice for a run with `refit`).

    Raises:
        DataError: a folder holds no run, or one that has not ended.
    """
    rows = []
    for folder in map(RunFolder, paths):
        config = folder.config().to_dict()
        if not folder.metrics_file.is_file():
            raise DataError(f"{folder.path}: this run has not ended; {folder.how_to_resume}")
        metrics = folder.metrics()
        rows.append(
            {"run": folder.path.name}
            | config.pop("model")
            | config
            | {
                "epoch": metrics["epoch"],
                "val_dice": metrics["val"] and metrics["val"]["dice_per_image"],
                "test_dice": metrics["test"]["dice_per_image"],
            }
        )
    table = pd.DataFrame(rows)
    same = [c for c in setting_fields() if table[c].astype(str).nunique() == 1]
    return table.drop(columns=same).sort_values("val_dice", ascending=False, ignore_index=True)


def new_run_path(name: str) -> Path:
    """A folder below the project's `runs/` that does not exist yet: `name`, `name-2`, `name-3` ..."""
    runs = project_root() / "runs"
    path, number = runs / name, 1
    while path.exists():
        number += 1
        path = runs / f"{name}-{number}"
    return path


@torch.inference_mode()
def _predict(model: SegmentationNetwork, images: torch.Tensor, precision: str) -> torch.Tensor:
    """Masks (N, 1, H, W) that the model in its present state makes of some frames."""
    device = model.mean.device
    was_training = model.training
    model.eval()
    with autocast(device, precision):
        logits = model(images.to(device).contiguous(memory_format=torch.channels_last))[-1]
    model.train(was_training)
    return (logits > 0).cpu()


def _json(content: dict) -> str:
    return json.dumps(content, indent=2, allow_nan=False) + "\n"


def _differences(found: TrainConfig, asked: TrainConfig) -> str:
    before, after = ({**asdict(c), **asdict(c.model)} for c in (found, asked))
    names = [name for name in before if name != "model" and before[name] != after[name]]
    return ", ".join(f"{name}={before[name]!r}, not {after[name]!r}" for name in names)
