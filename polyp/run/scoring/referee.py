"""The referee: one set of masks or maps, scored by every convention in use, with intervals."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from polyp.data.masks import AUTO
from polyp.disk import without_nan
from polyp.model.intervals import bootstrap
from polyp.run.scoring.conventions import Convention, conventions
from polyp.run.scoring.groups import GivenGroups, Groups, find_groups
from polyp.run.scoring.inputs import Given, Inputs, check_different, open_inputs
from polyp.run.scoring.measures import Settings, measure_frame
from polyp.run.scoring.paired import Paired, compare
from polyp.run.scoring.printing import page

CURVES = ("dice_curve", "iou_curve", "e_curve")


@dataclass(frozen=True)
class Scores:
    """What the referee found; printed, it is a page of 100 columns.

    Args:
        table: one row per convention and score: convention, score (dice, iou or value), value, low, high (its
            interval of 95 %, NaN with fewer than two groups), frames (how many count), title, used_by.
        frames: one row per frame: frame, group, its counts of pixels, every measure of it.
        about: frames, with_polyp, clean, groups, unit (what a group is), values (how the maps were read),
            in_between (masks with grey values), and the settings.
        paired: the comparison with another method, if one was asked for.
    """

    table: pd.DataFrame
    frames: pd.DataFrame
    about: dict[str, Any]
    paired: Paired | None = None

    def __str__(self) -> str:
        return page(self.table, self.about, self.paired)

    def value(self, convention: str, score: str = "value") -> float:
        """One number of the table, such as `value("pranet_mean", "dice")`."""
        table = self.table
        return float(table["value"][(table["convention"] == convention) & (table["score"] == score)].item())

    def to_dict(self) -> dict[str, Any]:
        """All but the frames, ready for JSON: None for NaN."""
        rows = [without_nan(row) for row in self.table.to_dict("records")]
        found = {"about": self.about, "rows": rows}
        return found | ({"paired": self.paired.to_dict()} if self.paired else {})


def score(
    predictions: Given,
    truth: Given,
    *,
    sequences: GivenGroups = None,
    paired: Given | None = None,
    values: str = "auto",
    mask_values: str = AUTO,
    subset: bool = False,
    threshold: float = 0.5,
    min_area: int = 10,
    overlap: float = 0.5,
    tolerance: float = 2.0,
    resamples: int = 10_000,
    seed: int = 0,
    progress: bool = False,
) -> Scores:
    """Score anyone's masks or probability maps by every convention in use.

    Args:
        predictions: a folder of pictures (8-bit grey) or `.npy` files, one per frame; or arrays (H, W): a
            dictionary by name, a list, or one array (N, H, W).
        truth: a folder of masks, a dataset's folder or its name (with its `negatives/`, which are clean); or
            arrays of 0 and 1. A prediction and its mask share their name up to the suffix.
        sequences: which frames are of one video: a CSV file `frame,sequence`, a label for each name, or
            labels in order. By default `sequences.csv` beside the truth, or else `centres.csv`; False for
            frames alone.
        paired: another method's predictions of the same frames, to compare with.
        values: a key of `VALUES`: what the maps hold, which is otherwise told from all of them together.
        mask_values: which pixels of a mask file mean polyp, see `masks.read_mask`.
        subset: score only the frames that are predicted, instead of refusing if any is missing.
        threshold, min_area, overlap, tolerance: see `Settings`.
        resamples, seed: of the bootstrap, which draws whole sequences (hospitals) where they are known.
        progress: show a bar in a terminal.

    Returns:
        see `Scores`.

    Raises:
        DataError: folders that do not pair up, sizes that differ, maps or masks that cannot be such.
        UsageError: a setting out of range; one folder given twice.
    """
    settings = Settings(threshold, min_area, overlap, tolerance)
    others = [paired] if paired is not None else []
    for given in (predictions, *others):
        check_different(given, truth)
    inputs = open_inputs(predictions, truth, values=values, subset=subset, mask_values=mask_values)
    groups = find_groups(sequences, list(inputs.predictions), inputs.folder)
    rivals = [
        open_inputs(other, truth, values=values, subset=True, mask_values=mask_values) for other in others
    ]
    columns = _measure(inputs, settings, progress)
    frames = pd.DataFrame({"frame": list(inputs.predictions), "group": groups.labels})
    frames = frames.assign(**{name: column for name, column in columns.items() if column.ndim == 1})
    table = _table(conventions(columns, groups, settings), groups, resamples, seed)
    comparison = compare(frames, rivals[0], groups, settings, resamples, seed) if rivals else None
    polyp = int((frames["tp"] + frames["fn"] > 0).sum())
    about = {
        "frames": len(frames),
        "with_polyp": polyp,
        "clean": len(frames) - polyp,
        "groups": groups.members[1],
        "unit": groups.unit,
        "values": inputs.values,
        "in_between": inputs.in_between,
        "polyps": int(frames["polyps"].sum()),
        "found": int(frames["found"].sum()),
        "false_regions": int(frames["false_regions"].sum()),
        "marked": int(frames["marked"][frames["tp"] + frames["fn"] == 0].sum()),
        **vars(settings),
    }
    return Scores(table, frames, about, comparison)


def _measure(inputs: Inputs, settings: Settings, progress: bool) -> dict[str, np.ndarray]:
    """Every measure of every frame, (N,) each, and the three curves, (N, 256)."""
    bar = tqdm(
        inputs, total=len(inputs.predictions), unit="frame", leave=False, disable=None if progress else True
    )
    measured = [measure_frame(probs, truth, settings) for _, probs, truth in bar]
    columns = {name: np.array([frame.scores[name] for frame in measured]) for name in measured[0].scores}
    return columns | {name: np.stack([getattr(frame, name) for frame in measured]) for name in CURVES}


def _table(rows: list[Convention], groups: Groups, resamples: int, seed: int) -> pd.DataFrame:
    cells = [(row, score, ratio) for row in rows for score, ratio in row.scores.items()]
    prepared = [ratio.prepare(groups) for _, _, ratio in cells]
    count = groups.members[1]

    def all_scores(drawn: np.ndarray) -> np.ndarray:
        return np.stack([statistic(drawn) for statistic in prepared], axis=1)  # (R, rows)

    values = all_scores(np.ones((1, count)))[0]
    ends = (
        bootstrap(all_scores, count, resamples=resamples, seed=seed)
        if count > 1
        else np.full((2, len(cells)), np.nan)
    )
    return pd.DataFrame(
        {
            "convention": [row.name for row, _, _ in cells],
            "score": [score for _, score, _ in cells],
            "value": values,
            "low": ends[0],
            "high": ends[1],
            "frames": [ratio.frames for _, _, ratio in cells],
            "title": [row.title for row, _, _ in cells],
            "used_by": [row.used_by for row, _, _ in cells],
        }
    )
