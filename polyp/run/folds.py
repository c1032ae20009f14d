"""Cross-validation: every fold of a split, and the score of each frame by the network that never saw it."""

import contextlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from polyp.config import Config, changed
from polyp.data.dataset import open_data, open_folds
from polyp.disk import without_nan, write_atomic
from polyp.errors import DataError, UsageError
from polyp.model.intervals import bootstrap_mean
from polyp.model.metrics import SCORES
from polyp.run.ensemble import fold_folders
from polyp.run.fitting import fit, score_best
from polyp.run.folder import ADJUSTABLE, RunFolder
from polyp.run.validation import scores_of

LEVEL = 0.95  # of the intervals
UNITS = {"sequence": "sequence", "centre": "hospital"}  # the column of a split, and what it names


@dataclass(frozen=True)
class CrossValidation:
    """What `cross_validate` found.

    Attributes:
        path: the folder, with a run in each `fold_0`, `fold_1` ...
        folds: one row per fold: fold, epoch, then `Validation.scores` of its test frames.
        frames: one row per frame: frame, fold, perhaps its sequence or centre, then `Validation.table`.
        summary: plain JSON values: config (`fold` says nothing there), data, folds; mean_of_folds and
            sd_of_folds, of the per-image means; frames, `Validation.scores` of all frames together; and
            interval: level, draws (sequence, hospital or frame), groups (how many), and the ends of each
            per-image mean.
    """

    path: Path
    folds: pd.DataFrame
    frames: pd.DataFrame
    summary: dict[str, Any]

    def __str__(self) -> str:
        columns = {"fold": "fold", "epoch": "epoch", "images": "frames"} | {
            f"{name}_per_image": title for name, title in (("dice", "Dice"), ("iou", "IoU"))
        }
        if self.folds["clean"].any():
            columns |= {"clean": "clean", "clean_marked": "marked"}
        table = self.folds[list(columns)].rename(columns=columns)
        scores, interval = self.summary["frames"], self.summary["interval"]
        means = [
            f"{columns[f'{name}_per_image']} {_number(scores[f'{name}_per_image'])} ({_ends(interval, name)})"
            for name in ("dice", "iou")
        ]
        return "\n".join(
            [
                table.to_string(index=False, na_rep="-", float_format="{:.3f}".format),
                f"all {scores['images']} frames, each by the network that never saw it: {', '.join(means)}",
                f"in brackets {LEVEL:.0%} intervals of {interval['groups']} resampled {interval['draws']}s",
            ]
        )


def cross_validate(
    config: Config,
    path: str | Path,
    *,
    data_path: str | Path | None = None,
    progress: bool = True,
    pictures: bool = True,
) -> CrossValidation:
    """Train every fold of the split, one after the other, and score each on its test frames.

    Each is a run of its own, in `fold_0`, `fold_1` ...; finished ones are kept and an interrupted one goes
    on, so that the same call ends what was stopped. At the end: `cross_validation.csv`, one row per frame,
    and `cross_validation.json`.

    Args:
        config: of every fold; its `fold` says nothing.
        path: the folder of the folds, a new one or that of an interrupted cross-validation.
        data_path, progress, pictures: see `fit`.

    Raises:
        UsageError: the split has one fold; the folder holds a run, or folds of another configuration or data.
        DataError, Diverged: see `fit`.
    """
    path = Path(path)
    try:
        table = open_folds(config, data_path)
        count = int(table["fold"].max()) + 1
        configs = {path / f"fold_{k}": changed(config, fold=k) for k in range(count)}
        _check(path, configs)
        runs = []
        for place, own in configs.items():
            if progress:
                print(f"fold {own.fold}, {own.fold + 1} of {count}: {place}", flush=True)
            runs.append(_finish(RunFolder(place), own, data_path, progress, pictures))
    except BaseException:
        with contextlib.suppress(OSError):
            path.rmdir()  # what `new_run_path` made, as long as it is empty
        raise
    return _pool(path, runs, table, config)


def folds_config(path: str | Path) -> Config:
    """The configuration of an interrupted or finished cross-validation.

    Raises:
        DataError: there is none.
    """
    folders = fold_folders(path)
    if not folders:
        raise DataError(f"{path}: holds no folds (fold_0, fold_1 ...)")
    return changed(RunFolder(folders[0]).config(), fold=0)


def _check(path: Path, configs: dict[Path, Config]) -> None:
    """Refuse a folder that holds something else, before hours are spent."""
    if RunFolder(path).config_file.exists():
        raise UsageError(f"{path}: holds a single run; name a new folder for the folds")
    for folder in fold_folders(path):
        if folder not in configs:
            raise UsageError(f"{folder}: this split has only {len(configs)} folds; name a new folder")
        if not (run := RunFolder(folder)).config_file.exists():
            continue
        begun, asked = run.config().to_dict(), configs[folder].to_dict()
        other = [name for name, value in asked.items() if begun[name] != value and name not in ADJUSTABLE]
        if begun["epochs"] != asked["epochs"]:
            other.append("epochs")
        if other:
            told = ", ".join(f"{name}={begun[name]!r}, not {asked[name]!r}" for name in other)
            raise UsageError(f"{folder}: began with {told}; name a new folder")


def _finish(
    run: RunFolder, config: Config, data_path: str | Path | None, progress: bool, pictures: bool
) -> RunFolder:
    if not run.metrics_file.exists():
        begun = run.config_file.exists()
        return fit(
            run.config() if begun else config,
            run.path,
            data_path=data_path, resume=begun, progress=progress, test=True, pictures=pictures,
        )  # fmt: skip
    if run.metrics()["test"] is None or not _table(run).is_file():  # it was trained by itself
        score_best(run, run.config(), open_data(run.config(), data_path), test=True)
    return run


def _table(run: RunFolder) -> Path:
    return run.path / "test.csv"


def _pool(path: Path, runs: list[RunFolder], table: pd.DataFrame, config: Config) -> CrossValidation:
    found = [run.metrics() for run in runs]
    for run, metrics in zip(runs, found, strict=True):
        if metrics["data"] != found[0]["data"]:
            raise UsageError(f"{run.path}: was trained on other data than {runs[0].path}; name a new folder")
    tested = []
    for fold, run in enumerate(runs):
        try:
            rows = pd.read_csv(_table(run), dtype={"frame": str})
            tested.append(table[table["fold"] == fold].merge(rows, on="frame", validate="1:1"))
            if len(tested[-1]) != len(rows) or rows.empty:
                raise ValueError("it lists other frames than the split")
        except (OSError, ValueError, KeyError) as error:
            remedy = f"remove {run.metrics_file} and go on"
            raise DataError(f"{_table(run)}: not the scores of this fold ({error}); {remedy}") from None
    frames = pd.concat(tested, ignore_index=True)
    folds = pd.DataFrame(
        {"fold": fold, "epoch": metrics["epoch"]} | scores_of(rows)
        for fold, (metrics, rows) in enumerate(zip(found, tested, strict=True))
    )
    means = [f"{name}_per_image" for name in SCORES]
    summary = {
        "config": config.to_dict(),
        "data": found[0]["data"],
        "folds": [without_nan(row) for row in folds.to_dict("records")],
        "mean_of_folds": without_nan(folds[means].mean().to_dict()),
        "sd_of_folds": without_nan(folds[means].std().to_dict()),
        "frames": without_nan(scores_of(frames)),
        "interval": _intervals(frames),
    }
    write_atomic(path / "cross_validation.csv", frames.to_csv(index=False))
    write_atomic(path / "cross_validation.json", json.dumps(summary, indent=2, allow_nan=False) + "\n")
    return CrossValidation(path, folds, frames, summary)


def _intervals(frames: pd.DataFrame) -> dict[str, Any]:
    """Intervals of the per-image means, which are of the frames with a polyp."""
    column = next((name for name in UNITS if name in frames), "frame")
    polyp = frames[frames["tp"] + frames["fn"] > 0]
    groups = pd.factorize(polyp[column], sort=True)[0]
    draws = UNITS.get(column, "frame")
    found: dict[str, Any] = {"level": LEVEL, "draws": draws, "groups": len(set(groups))}
    for name in SCORES:
        defined = polyp[name].notna().any()
        ends = bootstrap_mean(polyp[name], groups, LEVEL) if defined else None
        found[f"{name}_per_image"] = ends and list(ends)
    return found


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3f}"


def _ends(interval: dict[str, Any], name: str) -> str:
    ends = interval[f"{name}_per_image"]
    return "no interval" if ends is None else f"{ends[0]:.3f} to {ends[1]:.3f}"
