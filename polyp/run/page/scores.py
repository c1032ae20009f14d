"""The scores of a part with their intervals, by size of the polyp, and its worst frames in words."""

from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from polyp.model.intervals import bootstrap
from polyp.model.metrics import SCORES, Counts, summarise
from polyp.run.details import size_of

FEW_GROUPS = 10  # an interval from fewer groups is hardly worth its name
# Of `details.SIZES`, in this order.
SIZE_NAMES = {
    "small": "small (below 5 % of the frame)",
    "medium": "medium (5 to 10 %)",
    "large": "large (10 % or more)",
}
TITLES = {"dice": "Dice", "iou": "IoU", "precision": "precision", "recall": "recall (sensitivity)"}


class Score(NamedTuple):
    """A score, 0 to 1, and the ends of its 95 % interval; None for what is not defined."""

    name: str
    value: float | None
    low: float | None = None
    high: float | None = None


def part_scores(table: pd.DataFrame) -> list[Score]:
    """The scores of a part, with intervals that draw whole groups of frames (see `bootstrap_mean`).

    Args:
        table: its frames, see `Validation`, with the group of each.

    Returns:
        the means over the frames with a polyp; the scores of all pixels pooled; and, where there are frames
        without a polyp, the share of them that is marked. No interval where there is but one group.
    """
    names = {f"{name}_per_image": f"{TITLES[name]}, mean of the frames" for name in SCORES}
    names |= {f"{name}_pooled": f"{TITLES[name]}, all pixels pooled" for name in SCORES}
    names |= {"clean_marked": "frames without a polyp that are marked"}
    values = summarise(Counts(*(torch.tensor(table[name].tolist()) for name in Counts._fields)))
    clean = clean_frames(table)
    values["clean_marked"] = float(clean["marked"].mean())
    found = []
    for (name, title), *ends in zip(names.items(), *_intervals(table, table["group"]), strict=True):
        defined = not np.isnan([values[name], *ends]).any()
        value = None if np.isnan(values[name]) else values[name]
        found.append(Score(title, value, *(ends if defined else ())))
    return found if len(clean) else found[:-1]


def clean_frames(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of the frames without a polyp."""
    return table[(table["tp"] + table["fn"]) == 0]


def _intervals(table: pd.DataFrame, groups: pd.Series) -> np.ndarray:
    """The ends (2, K) of the intervals of all K scores, from one set of draws."""
    _, number = np.unique(groups, return_inverse=True)
    count = number.max() + 1
    if count < 2:
        return np.full((2, 2 * len(SCORES) + 1), np.nan)

    def by_group(column: pd.Series | np.ndarray) -> np.ndarray:
        return np.bincount(number, np.asarray(column, float), count)

    polyp = (table["tp"] + table["fn"]) > 0
    means = []
    for name in SCORES:
        counts = polyp & table[name].notna()
        means.append((by_group(table[name].where(counts, 0)), by_group(counts)))
    means.append((by_group(table["marked"] & ~polyp), by_group(~polyp)))
    pixels = [by_group(table[name]) for name in Counts._fields]

    def statistic(drawn: np.ndarray) -> np.ndarray:  # (R, G) -> (R, K)
        with np.errstate(invalid="ignore"):  # 0 / 0: not defined in this resample
            *per_image, clean = [(drawn @ sums) / (drawn @ sizes) for sums, sizes in means]
        pooled = Counts(*(torch.from_numpy(drawn @ count) for count in pixels))
        return np.stack([*per_image, *(score(pooled).numpy() for score in SCORES.values()), clean], axis=1)

    return bootstrap(statistic, count)


class Size(NamedTuple):
    """How well the polyps of one size are found: mean Dice, None without a frame."""

    name: str
    frames: int
    dice: float | None


def by_size(table: pd.DataFrame) -> list[Size]:
    """The mean Dice of the frames with a polyp, by how much of the frame is polyp."""
    share = (table["tp"] + table["fn"]) / table[list(Counts._fields)].sum(axis=1)
    sizes = share.map(size_of)
    found = []
    for size, name in SIZE_NAMES.items():
        dice = table["dice"][(share > 0) & (sizes == size)]
        found.append(Size(name, len(dice), float(dice.mean()) if len(dice) else None))
    return found


def worst_frames(table: pd.DataFrame, count: int = 6) -> pd.DataFrame:
    """The frames of the lowest Dice, those with more wrong pixels first; a marked clean frame's Dice is 0."""
    wrong = table.assign(wrong=table["fp"] + table["fn"]).dropna(subset="dice")
    return wrong.sort_values(["dice", "wrong"], ascending=[True, False]).head(count)


def went_wrong(tp: int, fp: int, fn: int) -> str:
    """What went wrong in a frame of these pixels, in words."""
    if tp + fn == 0:
        return f"false mark: {fp} pixels, and no polyp is there"
    if tp == 0:
        return "missed: nothing is marked" if fp == 0 else "missed, and another place is marked"
    extra, lacking = fp / (tp + fp), fn / (tp + fn)
    if max(extra, lacking) < 0.1:
        return f"found; {lacking:.0%} of it is not marked, {extra:.0%} of the mark is beside it"
    if lacking > extra:
        return f"partly found: {lacking:.0%} of it is not marked"
    return f"too much marked: {extra:.0%} of the mark is beside it"
