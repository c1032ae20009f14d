"""What a sweep can run: a training, a notebook, the prediction of a folder; each with a folder of its own."""

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from polyp.config import Config
from polyp.errors import DataError, UsageError
from polyp.run.sweeping.grid import Point

if TYPE_CHECKING:
    from polyp.run.folder import RunFolder

Row = dict[str, Any]


@dataclass(frozen=True)
class Job:
    """One row of the table."""

    name: str
    point: Point  # what varies
    folder: Path  # for its results; absolute, as all machines see it

    def is_done(self) -> bool:
        """Whether there is nothing left to do.

        Raises:
            UsageError: the folder holds another job's results.
            DataError: it holds something else.
        """
        raise NotImplementedError

    @property
    def scratch(self) -> Path | None:
        """What each start removes, since it could not go on with it."""
        return None

    def prepare(self) -> list[str]:
        """Make the folder ready, and give the module to run and its arguments."""
        raise NotImplementedError

    def result(self) -> Row:
        """What the table says of a job that is done.

        Raises:
            DataError: it is not, or its results were changed.
        """
        raise NotImplementedError


@dataclass(frozen=True)
class TrainJob(Job):
    """A training, as `polyp train` does it; an interrupted one goes on after its last whole epoch."""

    config: Config
    flags: Sequence[str] = ()  # of `polyp train`, that are no settings

    def is_done(self) -> bool:
        run = _run_folder(self.folder)
        if run.config_file.is_file():
            run.require(self.config)
        return run.metrics_file.is_file()

    def prepare(self) -> list[str]:
        run = _run_folder(self.folder)
        if not run.config_file.is_file():
            run.create(self.folder, self.config)
        return ["polyp", "train", "--resume", str(self.folder), *self.flags]

    def result(self) -> Row:
        return _run_row(_run_folder(self.folder))


def _run_folder(path: Path) -> "RunFolder":
    from polyp.run.folder import RunFolder  # loads torch, without which pictures can be predicted

    return RunFolder(path)


def _run_row(run: "RunFolder") -> Row:
    metrics, log = run.metrics(), run.log()
    scores = metrics["val"] or {}
    return {
        "seconds": round(float(log["seconds"].sum()), 1),
        "val_dice": scores.get("dice_per_image"),
        "val_iou": scores.get("iou_per_image"),
        "epochs_run": len(log),
        "best_epoch": metrics["epoch"],
    }


@dataclass(frozen=True)
class NotebookJob(Job):
    """A notebook, as `papermill` executes it; one that did not come to its end is executed again.

    If it has a parameter `out` that is not given, it gets the folder `run` beside the executed notebook.
    """

    notebook: Path
    parameters: Point = field(default_factory=dict)  # all of them, those that vary too
    has_out: bool = False

    @property
    def _done(self) -> Path:
        return self.folder / self.notebook.name

    @property
    def _unfinished(self) -> Path:  # papermill writes after every cell, also the error of one that fails
        return self.folder / f"{self.notebook.stem}.unfinished.ipynb"

    def is_done(self) -> bool:
        if not self._done.is_file():
            return False
        found = self._about()["parameters"]
        asked = json.loads(json.dumps(self._all_parameters()))
        if found != asked:
            other = sorted(name for name in found | asked if found.get(name) != asked.get(name))[0]
            raise UsageError(
                f"{self._done}: was executed with {other}={found.get(other)!r}, not {asked.get(other)!r}; "
                "name another folder with --out"
            )
        return True

    def _about(self) -> dict[str, Any]:
        try:
            return json.loads(self._done.read_text(encoding="utf-8"))["metadata"]["papermill"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"{self._done}: not a notebook that papermill executed ({error!r})") from None

    def _all_parameters(self) -> Point:
        return self.parameters | ({"out": str(self.scratch)} if self.has_out else {})

    @property
    def scratch(self) -> Path | None:
        return self.folder / "run" if self.has_out else None

    def prepare(self) -> list[str]:
        self.folder.mkdir(parents=True, exist_ok=True)
        flags = [text for name, value in self._all_parameters().items() for text in _given(name, value)]
        return ["papermill", str(self.notebook), str(self._unfinished), "--no-progress-bar", *flags]

    def result(self) -> Row:
        if self._unfinished.is_file():
            os.replace(self._unfinished, self._done)
        run = self.folder / "run"
        row = _run_row(_run_folder(run)) if (run / "metrics.json").is_file() else {}
        return row | {"seconds": round(self._about()["duration"], 1)}


def _given(name: str, value: Any) -> list[str]:
    """A parameter as papermill's flags have it."""
    if isinstance(value, tuple):
        return ["-y", json.dumps({name: value})]
    return ["-r" if isinstance(value, str) else "-p", name, str(value)]


def notebook_parameters(notebook: Path) -> list[str]:
    """The names in the cell `parameters` of a notebook.

    Raises:
        DataError: there is no such notebook.
        UsageError: it has no parameters.
    """
    from papermill.inspection import inspect_notebook  # an extra of its own

    if not notebook.is_file():
        raise DataError(f"{notebook}: no such notebook")
    try:
        names = list(inspect_notebook(str(notebook)))
    except Exception as error:  # whatever a reader of JSON raises
        raise DataError(f"{notebook}: not a notebook ({str(error)[:100]})") from None
    if not names:
        raise UsageError(
            f"{notebook}: has no parameters; expected a cell with the tag `parameters`, and in each line one "
            "`NAME = VALUE`"
        )
    return names


@dataclass(frozen=True)
class PredictJob(Job):
    """The masks of all pictures in a folder, as `polyp predict` writes them; going on, new ones too."""

    source: Path
    flags: Sequence[str] = ()  # of `polyp predict`

    def is_done(self) -> bool:
        return False  # only `polyp predict` knows

    def prepare(self) -> list[str]:
        return [
            "polyp",
            "predict",
            str(self.source),
            "--out",
            str(self.folder),
            "--skip-existing",
            *self.flags,
        ]

    def result(self) -> Row:
        for file, read in (("predictions.csv", pd.read_csv), ("predictions.json", pd.read_json)):
            if (self.folder / file).is_file():
                return {"masks": len(read(self.folder / file))}
        raise DataError(f"{self.folder}: holds no table of predictions")


def name_folders(folders: Iterable[Path]) -> list[str]:
    """A name for each folder: its own, with those above it where two would be one.

    Raises:
        DataError: one is no folder.
        UsageError: one is given twice.
    """
    places = [folder.resolve() for folder in folders]
    for place in places:
        if not place.is_dir():
            raise DataError(
                f"{place}: no such folder; a sweep takes folders, `polyp predict` pictures and films"
            )
        if places.count(place) > 1:
            raise UsageError(f"{place}: is given twice")
    below = [place.relative_to(place.anchor).parts for place in places]
    depth = 1
    while len(set(names := ["/".join(parts[-depth:]) for parts in below])) < len(below):
        depth += 1
    return names
