"""Experiments on several hospitals and on frames without a polyp: what is trained, and how it is scored."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd

from polyp.config import Config, changed
from polyp.course.finished import lists, open_finished
from polyp.data.check import SPECK
from polyp.data.dataset import PolypDataset, open_part
from polyp.data.sources import NO_POLYP, find_sources, source_names
from polyp.model.network import SegmentationNetwork
from polyp.run.folder import RunFolder
from polyp.run.prediction import predict_probs
from polyp.run.scoring.measures import counts_by_threshold, dice_iou, stretch

THREE = "cvc-clinicdb+kvasir-seg+polypgen"
HOSPITALS = ("clinicdb", "kvasir", "c1", "c2", "c3", "c4", "c5", "c6")  # in the order of the split's folds
ELSEWHERE = ("cvc-colondb", "etis-larib")  # never trained on, never chosen on

THRESHOLDS = np.arange(1, 20) / 20
LEAST_AREAS = (0.0, 0.001, 0.0025, 0.005, 0.01, 0.02)  # of the frame; and never below `SPECK` pixels
FOUND = 0.5  # a polyp is found if this share of its pixels is marked


@dataclass(frozen=True)
class Plan:
    """One experiment: its configuration's settings, and the parts that are scored after training.

    `parts` are of the run's own split; `elsewhere` says whether the sets of `ELSEWHERE` are scored too.
    """

    settings: dict[str, Any]
    parts: tuple[str, ...] = ("val",)
    elsewhere: bool = False


# From the weights `clinicdb`, which have learnt what a polyp is from one hospital's videos.
TUNED: dict[str, Any] = {
    "preset": "transfer", "init": "clinicdb", "data": THREE, "split": "mixed", "augment": "strong",
    "balance": 0.5, "size": (224, 224), "epochs": 5, "lr": 1e-3, "schedule": "cosine",
}  # fmt: skip
# Small enough that a table of many runs takes hours on 2 cores: for comparing, not for the best score.
SMALL: dict[str, Any] = {
    "preset": "transfer", "data": THREE, "split": "mixed", "augment": "strong", "balance": 0.5,
    "size": (128, 128), "epochs": 4,
}  # fmt: skip


PLANS: dict[str, Plan] = {
    "several": Plan(TUNED, ("val", "test"), elsewhere=True),
    **{
        f"clean_{name}": Plan(SMALL | {"clean": clean, "epochs": epochs}, ("val", "test"))
        for name, clean, epochs in (("in", True, 5), ("out", False, 6))  # within 2 % as many steps
    },
    **{
        f"pranet_{seed}": Plan(
            TUNED
            | {"init": "", "data": "cvc-clinicdb+kvasir-seg", "split": "pranet", "refit": True}
            | {"balance": 0.0, "lr": 2e-3, "epochs": 12, "seed": seed},
            ("test",),
            elsewhere=True,
        )
        for seed in range(3)
    },
    **{
        f"several_fold_{k}": Plan(
            TUNED
            | {"init": "", "data": "cvc-clinicdb", "split": "sequence", "fold": k}
            | {"add": "kvasir-seg+polypgen", "lr": 2e-3, "epochs": 5},
            ("val", "test"),
        )
        for k in range(5)
    },
    **{
        f"without_{hospital}": Plan(SMALL | {"split": "hospital", "fold": k}, ("val", "test", "left out"))
        for k, hospital in enumerate(HOSPITALS)
    },
    **{
        f"several_{name}": Plan(SMALL | changes)
        for name, changes in (
            ("base", {}),
            ("augment_standard", {"augment": "standard"}),
            ("balance_0", {"balance": 0.0}),
            ("balance_1", {"balance": 1.0}),
            ("input_192", {"size": (192, 192)}),
            ("lite2", {"encoder": "efficientnet-lite2"}),
        )
    },
}


def score_plan(name: str, folder: RunFolder, data_path: str | Path | None = None) -> dict[str, Any]:
    """All that the course tells of a finished run on several hospitals, as plain JSON values.

    Returns:
        see `open_finished`; and sets: for each part and set that the plan names, what `score_frames` says.

    Raises:
        DataError: the run has not ended.
    """
    model, config, facts = open_finished(folder)
    plan, sets = PLANS[name], {}
    for part in plan.parts:
        sets[part] = score_frames(model, open_part(config, part, data_path), sources_of(config, data_path))
    for other in ELSEWHERE if plan.elsewhere else ():
        theirs = changed(config, data=other, add="", split="random", fold=0, refit=False)
        sets[other] = score_frames(model, open_part(theirs, "all", data_path), sources_of(theirs, data_path))
    return facts | {"sets": sets}


def sources_of(config: Config, data_path: str | Path | None) -> dict[str, str]:
    """For each frame its hospital or dataset; see `sources.source_names`."""
    own, added = find_sources(config.data, config.add, data_path)
    return source_names(own + added, np.ones(sum(len(source.pairs) for source in own + added)))


def score_frames(
    model: SegmentationNetwork, dataset: PolypDataset, sources: dict[str, str]
) -> dict[str, Any]:
    """Predict every frame at the size of its mask, and score it by the conventions that papers use.

    Returns:
        frames: one list per column: frame; source (hospital or dataset, or `NO_POLYP`); area (share of the
        frame); dice (above 0.5); dice_pranet (mean over the 256 thresholds of the stretched map, as PraNet's
        toolbox has it); largest (share of the frame of the largest region above 0.5); polyps, found,
        false_regions (above 0.5).
        operating: thresholds, least_areas, and for each pair of them (thresholds, areas): found (polyps) and
        marked (frames without a polyp); polyps and clean: out of how many.
    """
    rows, found, marked = [], [], []
    for index, frame in enumerate(dataset.frames):
        tensors = dataset[index]  # (3, h, w), (1, H, W)
        image, target = tensors[0].permute(1, 2, 0).numpy(), tensors[1][0].numpy().astype(bool)
        probs = predict_probs(model, image, image.shape[:2], out_size=target.shape)
        preds, polyps = probs > 0.5, _polyps(target)
        marks = [Marks.of(probs > threshold, polyps) for threshold in THRESHOLDS]
        half = marks[THRESHOLDS.tolist().index(0.5)]
        rows.append(
            {
                "frame": frame,
                "source": sources[frame] if target.any() else NO_POLYP,
                "area": float(target.mean()),
                "dice": dice_iou(int((preds & target).sum()), int(preds.sum()), int(target.sum()))[0],
                "dice_pranet": stretched_dice(probs, target).mean() if target.any() else float("nan"),
                "largest": half.sizes.max(initial=0) / target.size,
                "polyps": len(polyps),
                "found": half.found(SPECK),
                "false_regions": int(((half.sizes >= SPECK) & ~half.touches).sum()),
            }
        )
        least = [max(SPECK, area * target.size) for area in LEAST_AREAS]
        if target.any():
            found.append([[mark.found(area) for area in least] for mark in marks])
        else:
            marked.append([[bool((mark.sizes >= area).any()) for area in least] for mark in marks])
    table = pd.DataFrame(rows).round({"area": 6, "largest": 6, "dice": 4, "dice_pranet": 4})
    shape = (-1, len(THRESHOLDS), len(LEAST_AREAS))
    return {
        "frames": lists(table),
        "operating": {
            "thresholds": THRESHOLDS.tolist(),
            "least_areas": list(LEAST_AREAS),
            "polyps": int(table["polyps"].sum()),
            "clean": len(marked),
            "found": np.array(found, int).reshape(shape).sum(axis=0).tolist(),
            "marked": np.array(marked, int).reshape(shape).sum(axis=0).tolist(),
        },
    }


def _polyps(target: np.ndarray) -> list[np.ndarray]:
    """The connected regions of a bool mask (H, W) that are no specks."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(target.astype(np.uint8), connectivity=8)
    return [labels == k for k in range(1, count) if stats[k, cv2.CC_STAT_AREA] >= SPECK]


@dataclass(frozen=True)
class Marks:
    """The marked regions of a frame: their sizes in pixels (K,), whether each touches a polyp (K,), and for
    each polyp the share of it that each region covers (P, K)."""

    sizes: np.ndarray
    touches: np.ndarray
    cover: np.ndarray

    @classmethod
    def of(cls, preds: np.ndarray, polyps: list[np.ndarray]) -> "Marks":
        """From a bool prediction (H, W) and the polyps' masks."""
        count, labels, stats, _ = cv2.connectedComponentsWithStats(preds.astype(np.uint8), connectivity=8)
        covered = [np.bincount(labels[polyp], minlength=count)[1:] / polyp.sum() for polyp in polyps]
        cover = np.array(covered).reshape(len(polyps), count - 1)
        touches = np.asarray(np.any(cover > 0, axis=0))
        return cls(stats[1:, cv2.CC_STAT_AREA], touches, cover)

    def found(self, least: float) -> int:
        """How many polyps are covered enough by the regions of at least `least` pixels."""
        return int((self.cover[:, self.sizes >= least].sum(axis=1) >= FOUND).sum())


def stretched_dice(probs: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Dice at the 256 thresholds 0, 1/255 ... 1 of the map stretched to 0-1, float (256,).

    So it is done by the toolbox of PraNet (github.com/DengPing-Fan/PraNet, eval/): each map is stretched to
    its own lowest and highest value (one of a single value is kept), saved with 8 bits, and cut at >=.
    """
    levels = np.round(255 * stretch(probs)) / 255  # (H, W)
    curve, _ = dice_iou(*counts_by_threshold(levels, target), int(target.sum()))
    return np.nan_to_num(curve[::-1])
