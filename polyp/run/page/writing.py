"""A finished run as one self-contained HTML page: no script, and nothing that a browser would fetch."""

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from jinja2 import Environment, PackageLoader, StrictUndefined

from polyp.config import Config
from polyp.data.dataset import PolypDataset, Splits, open_data
from polyp.disk import write_atomic
from polyp.errors import DataError
from polyp.model.network import SegmentationNetwork
from polyp.run.checkpoint import load_model
from polyp.run.folder import RunFolder
from polyp.run.hardware import to_device
from polyp.run.inference import predict_masks
from polyp.run.info import facts_of
from polyp.run.page.checklist import checklist
from polyp.run.page.facts import Facts, facts_of_run
from polyp.run.page.figures import frame_picture, histogram, loss_curve, score_curve
from polyp.run.page.reading import read_curves
from polyp.run.page.scores import FEW_GROUPS, by_size, part_scores, went_wrong, worst_frames

LOGGED = {"epoch", "loss", "iou", "val_loss", "val_iou", "val_dice", "seconds"}
PART_NAMES = {"train": "training", "val": "validation", "test": "test"}


def write_page(
    run: str | Path | RunFolder, data: Splits | None = None, data_path: str | Path | None = None
) -> Path:
    """Write `run.html` into the folder of a finished run: curves, scores, worst frames, a publication's list.

    The worst frames are in the page, shrunk: where the frames must not go, the page must not go either.

    Args:
        run: the run or its folder.
        data: its data, if they are open already.
        data_path: where they are, if not in `$POLYP_DATA` or `data/`.

    Returns:
        the page.

    Raises:
        DataError: the run has not ended; its data cannot be used, or have changed.
    """
    folder = run if isinstance(run, RunFolder) else RunFolder(run)
    config, metrics = folder.config(), folder.metrics()
    model, metadata = load_model(folder.best)
    model = to_device(model, config.device)
    data = open_data(config, data_path) if data is None else data
    if metrics["data"] != data.about:
        raise DataError(f"{folder.path}: the data have changed since this run; a page of it needs the same")
    facts = facts_of_run(folder, data, data_path)
    log = _log(folder, facts.epoch)
    said = facts_of(metadata) | _training(folder, log)
    said.pop("validation", None)  # it is among the scores
    page = {
        "name": folder.path.resolve().name,
        "model": said,
        "changed": _changed(config),
        "again": f"polyp train --config {folder.config_file.name} --out NEW",
        "parts": facts.part_table(),
        "facts": facts,
        "names": PART_NAMES,
        "few": FEW_GROUPS,
        "curves": {"loss": loss_curve(log), "scores": score_curve(log)},
        "reading": read_curves(log, facts.epoch),
        # without the test frames: who looks at the worst of them, chooses by them
        "scores": [_part(facts, "val", model, data.val), _part(facts, "test", model, None)],
        "items": checklist(facts),
    }
    return write_atomic(folder.page, render(page))


def render(page: dict[str, Any]) -> str:
    """The page of these facts; whatever is in them is shown as text, but for the figures."""
    pages = Environment(
        loader=PackageLoader("polyp.run.page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages.filters["score"] = lambda value: "not defined" if value is None else f"{value:.3f}"
    return pages.get_template("run.html").render(page)


def _log(folder: RunFolder, best: int) -> pd.DataFrame:
    """The run's log, numbers only, in which the best epoch must be."""
    try:
        log = folder.log().astype(float)
        if len(log) >= best and set(log) >= LOGGED:
            return log
        reason = f"expected the columns {', '.join(sorted(LOGGED))} and {best} rows or more"
    except ValueError as error:
        reason = str(error)[:200]
    raise DataError(f"{folder.path / 'log.csv'}: not the log of this run ({reason})")


def _training(folder: RunFolder, log: pd.DataFrame) -> dict[str, str]:
    """When and how long, and the file of the weights."""
    ended = datetime.fromtimestamp(folder.metrics_file.stat().st_mtime, UTC)
    weights = folder.best.read_bytes()
    digest, size = hashlib.sha256(weights).hexdigest(), len(weights) / 1e6
    took = f"{len(log)} {'epoch' if len(log) == 1 else 'epochs'}, {log['seconds'].sum() / 60:.1f} minutes"
    return {
        "ended": f"{ended:%Y-%m-%d %H:%M} UTC, after {took}",
        "weights": f"{folder.best.name}, {size:.2f} MB, SHA-256 {digest}",
    }


def _changed(config: Config) -> dict[str, Any]:
    """The settings that are not the defaults."""
    default = Config().to_dict()
    return {name: value for name, value in config.to_dict().items() if value != default[name]}


def _part(
    facts: Facts, part: str, model: SegmentationNetwork, dataset: PolypDataset | None
) -> dict[str, Any] | None:
    """What the page says of a part's scores, with the worst of its frames if these are given."""
    if part not in facts.tables:
        return None
    table = facts.tables[part]
    polyp = table[(table["tp"] + table["fn"]) > 0]
    return {
        "part": part,
        "frames": len(table),
        "groups": table["group"].nunique(),
        "rows": part_scores(table),
        "sizes": by_size(table),
        "median": None if polyp["dice"].isna().all() else float(polyp["dice"].median()),
        "histogram": histogram(polyp["dice"]),
        "bins": _bins(polyp["dice"]),
        "worst": [] if dataset is None else _worst(facts, table, model, dataset),
    }


def _bins(dice: pd.Series) -> str:
    """The histogram in words, for who does not see it."""
    low, high = (dice < 0.5).sum(), (dice >= 0.8).sum()
    return f"Of {len(dice)} frames with a polyp, {low} have a Dice below 0.5 and {high} of 0.8 or more."


def _worst(
    facts: Facts, table: pd.DataFrame, model: SegmentationNetwork, dataset: PolypDataset
) -> list[dict[str, Any]]:
    """The worst frames of a dataset: name, Dice, what went wrong, and the picture."""
    worst = worst_frames(table)
    rows = [dataset.frames.index(frame) for frame in worst["frame"]]
    if not rows:
        return []
    images, masks = (torch.stack(column) for column in zip(*(dataset[row] for row in rows), strict=True))
    preds = predict_masks(model, images, facts.config.precision)
    sizes = dataset.cache.table.loc[[dataset.rows[row] for row in rows], ["height", "width"]]
    found = []
    for at, (row, size) in enumerate(zip(worst.itertuples(), sizes.itertuples(index=False), strict=True)):
        try:
            picture = frame_picture(images[at], masks[at], preds[at], tuple(size))
        except Exception:  # whatever is odd about a frame, its line is there
            picture = None
        said = went_wrong(row.tp, row.fp, row.fn)
        found.append(
            {"frame": row.frame, "group": row.group, "dice": row.dice, "said": said, "picture": picture}
        )
    return found
