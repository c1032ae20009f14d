"""The folder of one training run: what is in it, and that every file in it is whole."""

import contextlib
import json
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from polyp.config import Config, changed, setting_fields
from polyp.data.dataset import Splits
from polyp.disk import (
    make_folder,
    project_root,
    shell_path,
    sweep_files,
    without_nan,
    write_atomic,
    write_new,
)
from polyp.errors import DataError, UsageError
from polyp.model.metrics import SCORES, Counts
from polyp.run.validation import Validation

ADJUSTABLE = {"epochs", "device", "workers", "precision"}  # what a resumed run may change
# Of the tables with one row per frame.
COLUMNS: dict[str, Any] = {"frame": str, "marked": bool}
COLUMNS |= dict.fromkeys(Counts._fields, int) | dict.fromkeys(SCORES, float)


class RunFolder:
    """`config.json`, `split.csv`, `log.csv`, `last.safetensors`, `best.safetensors`, `curves.png`,
    `samples/epoch_NNN.png`, and at the end `metrics.json`, `val.csv`, perhaps `test.csv`, and `run.html`.

    It only reads and writes; `listeners` decide what is written when. Use `create` for a new run and `resume`
    for an interrupted one.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.config_file = self.path / "config.json"
        self.last = self.path / "last.safetensors"
        self.best = self.path / "best.safetensors"
        self.metrics_file = self.path / "metrics.json"
        self.page = self.path / "run.html"

    @classmethod
    def create(cls, path: str | Path, config: Config) -> "RunFolder":
        """Begin a run in a folder that holds none.

        Raises:
            UsageError: there is a run already, and nothing is overwritten.
            DataError: the folder cannot be written to.
        """
        folder = cls(path)
        taken = f"{folder.path}: holds a run already; resume it ({folder.how_to_resume}) or name a new folder"
        if folder.config_file.exists():
            raise UsageError(taken)
        make_folder(folder.path / "samples")
        try:
            write_new(folder.config_file, _json(config.to_dict()))
        except FileExistsError:  # another process was faster
            raise UsageError(taken) from None
        return folder

    @classmethod
    def resume(cls, path: str | Path, config: Config | None = None) -> "RunFolder":
        """Open an interrupted run.

        Raises:
            DataError: there is no run.
            UsageError: `config` is not the one the run began with.
        """
        folder = cls(path)
        if config is None:
            folder.config()
        else:
            folder.require(config)
        make_folder(folder.path / "samples")
        sweep_files(folder.path)
        return folder

    def require(self, config: Config) -> None:
        """
        Raises:
            DataError: there is no run.
            UsageError: it did not begin with `config`.
        """
        if config != (found := self.config()):
            raise UsageError(f"{self.path}: began with {_differences(found, config)}; start a new run")

    def adjust(self, **settings: Any) -> Config:
        """Let a run go on with more epochs, or on other hardware; with more epochs, the schedule falls later.

        Args:
            settings: epochs, device, workers or precision.

        Raises:
            UsageError: another setting; so many epochs are done already.
            DataError: there is no run, or it cannot be written to.
        """
        if other := sorted(settings.keys() - ADJUSTABLE):
            raise UsageError(
                f"{self.path}: a run goes on as it began, but for {', '.join(sorted(ADJUSTABLE))}; start a "
                f"new run to change {other[0]}"
            )
        config = changed(self.config(), **settings)
        done = len(self.log()) if (self.path / "log.csv").is_file() else 0
        longer = "epochs" in settings
        if longer and (config.epochs < done or (config.epochs == done and self.metrics_file.is_file())):
            raise UsageError(
                f"{self.path}: {done} epochs are done already; name a larger number than {config.epochs}"
            )
        if longer:
            try:
                self.metrics_file.unlink(missing_ok=True)
            except OSError as error:
                raise DataError(f"{self.metrics_file}: could not be removed ({error.strerror})") from None
        write_atomic(self.config_file, _json(config.to_dict()))
        return config

    def config(self) -> Config:
        """The configuration this run began with.

        Raises:
            DataError: there is none, or it is not one of this version.
        """
        if not self.config_file.is_file():
            raise DataError(f"{self.path}: holds no run (no config.json)")
        try:
            return Config.from_dict(json.loads(self.config_file.read_text()))
        except (ValueError, AttributeError, TypeError, RecursionError) as error:
            raise DataError(f"{self.config_file}: not a configuration of this version ({error})") from None

    def drop_if_begun(self) -> None:
        """Remove a run without weights, which failed at its start and would only block the next one."""
        if self.best.exists() or self.last.exists():
            return
        self.config_file.unlink(missing_ok=True)
        (self.path / "split.csv").unlink(missing_ok=True)
        shutil.rmtree(self.path / "tensorboard", ignore_errors=True)
        for place in (self.path / "samples", self.path):
            with contextlib.suppress(OSError):
                place.rmdir()  # unless there is something that is not ours

    @property
    def how_to_resume(self) -> str:
        """The command that resumes this run."""
        return f"polyp train --resume {shell_path(self.path)}"

    def log(self) -> pd.DataFrame:
        """The run's log: one row per epoch.

        Raises:
            DataError: there is none, or it was changed.
        """
        file = self.path / "log.csv"
        try:
            return pd.read_csv(file)
        except (OSError, ValueError) as error:
            raise DataError(f"{file}: not the log of a run ({_first_line(error)})") from None

    def metrics(self) -> dict:
        """The final scores; see `write_results`.

        Raises:
            DataError: the run has not ended, or its results were changed.
        """
        if not self.metrics_file.exists():
            raise DataError(f"{self.path}: this run has not ended; {self.how_to_resume}")
        try:
            found = json.loads(self.metrics_file.read_text())
            if found["epoch"] and isinstance(found["data"], dict) and (found["val"] or found["val"] is None):
                return found
            reason = "a value is missing"
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            reason = _first_line(error)
        raise DataError(
            f"{self.metrics_file}: not the results of a run ({reason}); remove it, and {self.how_to_resume}"
        )

    def frames(self, part: str) -> pd.DataFrame | None:
        """The final scores of each frame of `val` or `test`, see `Validation`; None if they are not kept.

        Raises:
            DataError: the table was changed.
        """
        file = self.path / f"{part}.csv"
        if not file.is_file():
            return None
        try:  # a frame may be called 007, or NA
            empty = {name: [""] for name in SCORES}
            return pd.read_csv(
                file, usecols=list(COLUMNS), dtype=COLUMNS, keep_default_na=False, na_values=empty
            )
        except (OSError, ValueError) as error:
            raise DataError(f"{file}: not the scores of a run ({_first_line(error)})") from None

    @property
    def has_test(self) -> bool:
        """Whether some of its frames are for test."""
        return "test" in pd.read_csv(self.path / "split.csv", dtype=str)["part"].values

    def write_split(self, data: Splits) -> None:
        """Write which part each frame belongs to."""
        write_atomic(self.path / "split.csv", data.table.to_csv(index=False))

    def write_results(
        self,
        epoch: int,
        val: Validation | None,
        test: Validation | None,
        about: dict,
        levels: Sequence[dict] = (),
    ) -> None:
        """Write `metrics.json`: best epoch, its scores, those of its levels (`levels.level_table`), the data;
        and, one row per frame, `val.csv` and `test.csv`.

        A part that was not scored is null there.
        """
        found = {"val": val, "test": test}
        for name, part in found.items():
            if part is not None:
                write_atomic(self.path / f"{name}.csv", part.table.to_csv(index=False))
        parts = {
            name: None if part is None else without_nan({"loss": part.loss, **part.scores})
            for name, part in found.items()
        }
        write_atomic(
            self.metrics_file, _json({"epoch": epoch, "data": about, **parts, "levels": list(levels)})
        )


def compare_runs(paths: Iterable[str | Path]) -> pd.DataFrame:
    """Finished runs side by side, best validation Dice first.

    Test scores are not shown: whoever chooses by them has no test set left.

    Returns:
        one row per run: its name, the settings in which the runs differ, epoch (the best) and val_dice
        (the mean over the frames; none for a run with `refit`).

    Raises:
        DataError: a folder holds no run, or one that has not ended.
    """
    rows = []
    for folder in map(RunFolder, paths):
        config, metrics = folder.config(), folder.metrics()
        val_dice = metrics["val"] and metrics["val"]["dice_per_image"]
        rows.append(
            {"run": folder.path.name} | config.to_dict() | {"epoch": metrics["epoch"], "val_dice": val_dice}
        )
    table = pd.DataFrame(rows)
    same = [c for c in setting_fields() if table[c].astype(str).nunique() == 1]
    return table.drop(columns=same).sort_values("val_dice", ascending=False, ignore_index=True)


def new_run_path(name: str) -> Path:
    """A new, empty folder below the project's `runs/`: `name`, or the first free of `name-2`, `name-3` ...

    It is made here, so that of two processes that start at one moment each gets its own.
    """
    runs, number = make_folder(project_root() / "runs"), 1
    while True:
        path = runs / (name if number == 1 else f"{name}-{number}")
        with contextlib.suppress(FileExistsError):
            path.mkdir()
            return path
        number += 1


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:200]


def _json(content: dict) -> str:
    return json.dumps(content, indent=2, allow_nan=False) + "\n"


def _differences(found: Config, asked: Config) -> str:
    before, after = asdict(found), asdict(asked)
    names = [name for name in before if before[name] != after[name]]
    return ", ".join(f"{name}={before[name]!r}, not {after[name]!r}" for name in names)
