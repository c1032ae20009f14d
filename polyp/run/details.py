"""A closer look than the mean scores: every threshold from one pass over the network, and polyp by polyp."""

from itertools import takewhile
from typing import Any

import numpy as np
import pandas as pd
import torch

from polyp.data.images import SPECK
from polyp.disk import without_nan
from polyp.model.metrics import Counts, summarise
from polyp.run.regions import largest_region
from polyp.run.scoring.regions import Regions, match_regions, overlaps, regions_of

THRESHOLDS = np.arange(1, 20) / 20  # 0.05, 0.1 ... 0.95
OVERLAPS = (0.1, 0.3, 0.5)  # the IoU from which on a predicted region finds a polyp
SIZES = {"large": 0.10, "medium": 0.05, "small": 0.0}  # least share of the frame; about CVC-ClinicDB's thirds


class Details:
    """What `validate` notes of each frame if it is asked to; a few numbers, so that memory stays small."""

    def __init__(self) -> None:
        self._counts: list[np.ndarray] = []  # (4, thresholds) of each frame
        self._marked: list[np.ndarray] = []  # (thresholds,) of each frame without a polyp
        self._polyps: list[dict[str, Any]] = []
        self._false: list[list[int]] = []  # false regions of each frame, by overlap

    def add(self, frame: str, probs: np.ndarray, mask: np.ndarray, truth: np.ndarray) -> None:
        """Note one frame.

        Args:
            frame: its name.
            probs: float32 (H, W), 0 to 1.
            mask: bool (H, W), what is shown at the operating point.
            truth: bool (H, W).
        """
        self._counts.append(counts_by_threshold(probs, truth))
        if not truth.any():
            self._marked.append(_marked(probs))
        predicted, true = regions_of(mask, SPECK), regions_of(truth, SPECK)
        found = np.array([match_regions(predicted, true, overlap) for overlap in OVERLAPS])  # (overlaps, R)
        self._polyps += _polyps(frame, predicted, true, found, mask)
        self._false.append((len(predicted) - found.sum(axis=1)).tolist())

    def sweep(self) -> pd.DataFrame:
        """Scores by threshold: one row for each of `THRESHOLDS`, with the columns of `Validation.scores`.

        Every pixel above the threshold counts: no region is left out, as `min_peak`, `min_share` or a second
        look at the operating point may do.
        """
        counts = torch.from_numpy(np.stack(self._counts))  # (N, 4, thresholds)
        marked = pd.DataFrame(self._marked, columns=range(len(THRESHOLDS)), dtype=float).mean()
        return pd.DataFrame(
            {"threshold": threshold}
            | summarise(Counts(*counts[:, :, k].T))
            | {"clean_marked": float(marked[k])}
            for k, threshold in enumerate(THRESHOLDS.tolist())
        )

    def polyps(self) -> pd.DataFrame:
        """One row per polyp, an 8-connected region of the true mask with at least `SPECK` pixels.

        Returns:
            columns frame; polyp, its number there; area, pixels; share, of the frame; size, see `SIZES`;
            covered, the share of its pixels that are predicted; iou, the best with a predicted region; and
            found_0.1 ..., whether a predicted region of its own has at least that IoU with it, see
            `match_regions`.
        """
        names = ["frame", "polyp", "area", "share", "size", "covered", "iou"]
        return pd.DataFrame(self._polyps, columns=[*names, *map(_column, OVERLAPS)])

    def detection(self) -> pd.DataFrame:
        """Polyps found and false alarms: one row for each of `OVERLAPS`.

        Returns:
            columns overlap; polyps; found; recall, their share; false_regions, the predicted regions of at
            least `SPECK` pixels that find none; false_per_frame; and polyps, found and recall of each of
            `SIZES`.
        """
        polyps, false = self.polyps(), np.array(self._false)  # (N, overlaps)
        rows = []
        for k, overlap in enumerate(OVERLAPS):
            found = polyps[_column(overlap)].astype(bool)
            alarms = {"false_regions": int(false[:, k].sum()), "false_per_frame": float(false[:, k].mean())}
            row = {"overlap": overlap} | _recall(found) | alarms
            for size in SIZES:
                row |= _recall(found[polyps["size"] == size], f"_{size}")
            rows.append(row)
        return pd.DataFrame(rows)

    def to_dict(self) -> dict[str, Any]:
        """The three tables, ready for JSON: None for NaN."""
        tables = {"sweep": self.sweep(), "detection": self.detection(), "polyps": self.polyps()}
        return {name: records(table) for name, table in tables.items()}


def size_of(share: float) -> str:
    """Which of `SIZES` a polyp is that covers this share of its frame."""
    return next(size for size, least in SIZES.items() if share >= least)


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """A table's rows, ready for JSON: None for NaN."""
    return [without_nan(row) for row in table.to_dict("records")]


def counts_by_threshold(probs: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Pixels by outcome above each of `THRESHOLDS`, from one histogram, which is exact.

    Args:
        probs: float32 (H, W), 0 to 1.
        truth: bool (H, W).

    Returns:
        int64 (4, thresholds), in the order of `Counts`.
    """
    passed = np.searchsorted(THRESHOLDS.astype(probs.dtype), probs)  # how many thresholds a pixel is above
    tp, predicted = (
        np.bincount(part.ravel(), minlength=len(THRESHOLDS) + 1)[::-1].cumsum()[-2::-1]
        for part in (passed[truth], passed)
    )
    fn = truth.sum() - tp
    return np.stack([tp, predicted - tp, fn, truth.size - predicted - fn])


def _marked(probs: np.ndarray) -> np.ndarray:
    """Above which of `THRESHOLDS` a region is marked; from the first on above which none is, none is."""
    above = takewhile(lambda threshold: largest_region(probs > threshold) >= SPECK, THRESHOLDS.tolist())
    return np.arange(len(THRESHOLDS)) < sum(1 for _ in above)


def _polyps(
    frame: str, predicted: Regions, true: Regions, found: np.ndarray, mask: np.ndarray
) -> list[dict[str, Any]]:
    iou = overlaps(predicted, true).max(axis=0, initial=0)
    covered = np.bincount(true.labels[mask], minlength=len(true) + 1)[1:] / true.areas
    return [
        {
            "frame": frame,
            "polyp": r + 1,
            "area": int(true.areas[r]),
            "share": (share := float(true.areas[r] / mask.size)),
            "size": size_of(share),
            "covered": float(covered[r]),
            "iou": float(iou[r]),
        }
        | {_column(overlap): bool(found[k, r]) for k, overlap in enumerate(OVERLAPS)}
        for r in range(len(true))
    ]


def _recall(found: pd.Series, suffix: str = "") -> dict[str, Any]:
    """`found.mean()` is NaN without a polyp."""
    numbers = {"polyps": len(found), "found": int(found.sum()), "recall": float(found.mean())}
    return {f"{name}{suffix}": number for name, number in numbers.items()}


def _column(overlap: float) -> str:
    return f"found_{overlap:g}"
