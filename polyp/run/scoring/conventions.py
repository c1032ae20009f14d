"""The conventions: each row of the table as a ratio of sums over frames, and who uses it.

Every score here is a ratio of two sums, or the mean or maximum of several such ratios. So one function
gives the value and, with groups drawn again and again, its bootstrap interval.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from polyp.run.scoring.groups import Groups
from polyp.run.scoring.measures import Settings

Columns = Mapping[str, np.ndarray]  # one value per frame, (N,), or a curve for each, (N, 256)


class Ratio(NamedTuple):
    """A score: sums of `above` over sums of `below`, both float (N, K).

    With K > 1 the K ratios are averaged, or the largest is taken (`best`). With `by_group`, each group has
    its own ratio first, and these are averaged.
    """

    above: np.ndarray
    below: np.ndarray
    best: bool = False
    by_group: bool = False

    def prepare(self, groups: Groups) -> "Prepared":
        """The sums of each group."""
        numbers, count = groups.members
        sums = []
        for part in (self.above, self.below):
            total = np.zeros((count, part.shape[1]))
            np.add.at(total, numbers, part)
            sums.append(total)
        above, below = sums
        if self.by_group:
            defined = below > 0
            above, below = np.where(defined, above / np.where(defined, below, 1), 0), defined.astype(float)
        return Prepared(above, below, self.best)

    @property
    def frames(self) -> int:
        """How many frames count."""
        return int((self.below > 0).any(axis=1).sum())


class Prepared(NamedTuple):
    """A `Ratio` summed by group, (G, K) each."""

    above: np.ndarray
    below: np.ndarray
    best: bool

    def __call__(self, drawn: np.ndarray) -> np.ndarray:
        """The score of each resample, (R,), from how often each group is drawn, (R, G); NaN if undefined."""
        with np.errstate(invalid="ignore", divide="ignore"):
            ratios = (drawn @ self.above) / (drawn @ self.below)
        return ratios.max(axis=1) if self.best else ratios.mean(axis=1)


class Convention(NamedTuple):
    """One row: its short name, its title, the code or paper that uses it, and a score under each heading.

    The headings are `dice` and `iou`, or `value` for a measure that is neither.
    """

    name: str
    title: str
    used_by: str
    scores: dict[str, Ratio]


def conventions(frames: Columns, groups: Groups, settings: Settings) -> list[Convention]:
    """All rows that these frames have.

    Args:
        frames: the columns of `measures.Frame.scores` and its three curves.
        groups: of the frames; without known ones there is no mean of the groups' means.
        settings: named in the titles.
    """
    polyp, one = frames["tp"] + frames["fn"] > 0, np.ones(len(frames["tp"]))

    def both(name: str, title: str, used_by: str, make) -> Convention:
        return Convention(name, title, used_by, {score: make(score) for score in ("dice", "iou")})

    def value(name: str, title: str, used_by: str, ratio: Ratio) -> Convention:
        return Convention(name, title, used_by, {"value": ratio})

    def shown(score: str, **how) -> Ratio:
        return _mean(np.where(polyp, frames[score], np.nan), **how)

    rows = [
        both("image_mean", "mean of the frames with a polyp", "polyp validate; MONAI", shown),
        both("image_mean_all", "... and of clean ones marked, as 0", "nnU-Net", lambda s: _mean(frames[s])),
        both(
            "image_mean_empty_1",
            "... and of clean ones left clean, as 1",
            "segmentation_models",
            lambda s: _mean(np.nan_to_num(frames[s], nan=1)),
        ),
        both("pooled", "all pixels pooled", "DUCK-Net", lambda s: _pooled(frames, s)),
    ]
    if groups.known:
        title = f"mean of the {plural(groups.unit)}' means"
        rows.append(both("group_mean", title, "PNS-Net's toolbox", lambda s: shown(s, by_group=True)))
    rows += [
        both(
            "best_threshold",
            "best threshold for each frame",
            "BSDS500's OIS; a bound",
            lambda s: _mean(frames[f"best_{s}"]),
        ),
        both(
            "pranet_mean",
            "256 thresholds, stretched: mean",
            "PraNet toolbox meanDic",
            lambda s: _mean(frames[f"stretched_mean_{s}"]),
        ),
        both(
            "pranet_max",
            "256 thresholds, stretched: best",
            "PraNet toolbox maxDic",
            lambda s: _mean(frames[f"{s}_curve"], best=True),
        ),
        both(
            "background_mean",
            "averaged with background, by frame",
            "torchmetrics DiceScore",
            lambda s: _mean(_mean_of_defined(frames[s], frames[f"background_{s}"])),
        ),
        both(
            "background_pooled",
            "averaged with background, pooled",
            "MMSegmentation",
            lambda s: _pooled(frames, s, background=True),
        ),
        both(
            "adaptive",
            "threshold 2 x the stretched map's mean",
            "PySODMetrics, adaptive",
            lambda s: _mean(frames[f"adaptive_{s}"]),
        ),
        Convention(
            "soft",
            "no threshold, stretched: soft Dice",
            "Polyp-PVT's Train.py",
            {"dice": _mean(frames["soft_dice"])},
        ),
        value("s_measure", "S-measure, alpha 0.5", "Fan 2017; PraNet", _mean(frames["s_measure"])),
        value(
            "e_mean",
            "E-measure, 256 thresholds: mean",
            "Fan 2018; PySODMetrics",
            _mean(frames["e_measure_mean"]),
        ),
        value(
            "e_max",
            "E-measure, 256 thresholds: best",
            "Fan 2018; PySODMetrics",
            _mean(frames["e_curve"], best=True),
        ),
        value(
            "weighted_f", "weighted F-measure, beta 1", "Margolin 2014; PraNet", _mean(frames["weighted_f"])
        ),
        value("mae", "mean absolute error, stretched", "Perazzi 2012; PraNet", _mean(frames["mae"])),
        value("hd95", "HD95, pixels, where both are drawn", "MONAI", _mean(frames["hd95"])),
        value(
            "nsd",
            f"NSD, boundaries within {settings.tolerance:g} px",
            "Nikolov 2018; MONAI",
            _mean(frames["nsd"]),
        ),
        value(
            "found",
            f"polyps found, IoU >= {settings.overlap:g}",
            "detection recall",
            _ratio(frames["found"], frames["polyps"]),
        ),
        value(
            "precise",
            f"regions that are a polyp, IoU >= {settings.overlap:g}",
            "detection precision",
            _ratio(frames["found"], frames["found"] + frames["false_regions"]),
        ),
        value("false_regions", "false regions per frame", "detection", _ratio(frames["false_regions"], one)),
        value(
            "clean_marked",
            f"clean frames marked, >= {settings.min_area} px",
            "polyp validate",
            _ratio(np.where(polyp, 0, frames["marked"]), ~polyp),
        ),
    ]
    return rows


def plural(unit: str) -> str:
    """Sequences, hospitals, groups, frames."""
    return f"{unit}s"


def _ratio(above: np.ndarray, below: np.ndarray, **how) -> Ratio:
    return Ratio(_column(above), _column(below), **how)


def _column(values: np.ndarray) -> np.ndarray:
    return np.asarray(values, float).reshape(len(values), -1)


def _mean(values: np.ndarray, **how) -> Ratio:
    """The mean over the frames in which it is defined."""
    return _ratio(np.nan_to_num(values), ~np.isnan(values), **how)


def _mean_of_defined(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(a), b, np.where(np.isnan(b), a, (a + b) / 2))


def _pooled(frames: Columns, score: str, background: bool = False) -> Ratio:
    wrong = frames["fp"] + frames["fn"]
    right = [frames["tp"]] + [frames["tn"]] * background
    twice = 2 if score == "dice" else 1
    return Ratio(
        np.stack([twice * count for count in right], axis=1),
        np.stack([twice * count + wrong for count in right], axis=1),
    )
