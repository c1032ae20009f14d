"""Two methods on the same frames: what the one is worth more than the other."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from polyp.disk import without_nan
from polyp.errors import DataError, name_some
from polyp.model.intervals import bootstrap_mean
from polyp.run.scoring.groups import Groups
from polyp.run.scoring.inputs import Inputs
from polyp.run.scoring.measures import Settings, dice_iou
from polyp.run.scoring.regions import regions_of


@dataclass(frozen=True)
class Paired:
    """The differences of two methods, first minus second, on the same frames.

    Args:
        dice, other: each one's mean Dice over the frames that show a polyp.
        difference, low, high: of the two, and its interval of 95 %, by group; NaN with fewer than two groups.
        marked, other_marked: the share of the clean frames that each one marks; NaN without any.
        groups: one row per group: group, frames, difference, the mean of its frames.
    """

    dice: float
    other: float
    difference: float
    low: float
    high: float
    marked: float
    other_marked: float
    groups: pd.DataFrame

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON: None for NaN."""
        numbers = {name: value for name, value in vars(self).items() if name != "groups"}
        return without_nan(numbers) | {"groups": self.groups.to_dict("records")}


def compare(
    frames: pd.DataFrame, other: Inputs, groups: Groups, settings: Settings, resamples: int, seed: int
) -> Paired:
    """The comparison of `frames`, the first method's, with the `other` method's maps.

    Raises:
        DataError: the other method lacks a frame.
    """
    missing = [name for name in frames["frame"] if name not in other.predictions]
    if missing:
        raise DataError(
            f"--paired: {len(missing)} of {len(frames)} frames have no prediction there "
            f"({name_some(missing, 10)}); both methods must predict the same frames"
        )
    theirs = {name: _dice_and_marked(probs, truth, settings) for name, probs, truth in other}
    dice, marked = np.array([theirs[name] for name in frames["frame"]]).T
    polyp = (frames["tp"] + frames["fn"] > 0).to_numpy()
    gain = pd.DataFrame({"group": groups.labels, "difference": frames["dice"] - dice})[polyp]
    numbers, _ = groups.members
    several = len(set(numbers[polyp])) > 1
    interval = (
        bootstrap_mean(gain["difference"], numbers[polyp], resamples=resamples, seed=seed)
        if several
        else (np.nan, np.nan)
    )
    by_group = gain.groupby("group", sort=False)["difference"].agg(frames="size", difference="mean")
    return Paired(
        _mean(frames["dice"][polyp]),
        _mean(dice[polyp]),
        _mean(gain["difference"]),
        *interval,
        _mean(frames["marked"][~polyp]),
        _mean(marked[~polyp]),
        by_group.reset_index(),
    )


def _mean(values) -> float:
    return float(np.mean(values)) if len(values) else float("nan")


def _dice_and_marked(probs: np.ndarray, truth: np.ndarray, settings: Settings) -> tuple[float, float]:
    preds = probs > settings.threshold
    dice, _ = dice_iou((preds & truth).sum(), preds.sum(), int(truth.sum()))
    return float(dice), float(len(regions_of(preds, settings.min_area)) > 0)
