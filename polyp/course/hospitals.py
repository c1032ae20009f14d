"""Experiments on several hospitals and on frames without a polyp: what is trained, and how it is scored."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from scipy import ndimage

from polyp.config import Config, changed
from polyp.course.finished import lists, open_finished
from polyp.data.dataset import PolypDataset, open_part
from polyp.data.images import SPECK
from polyp.data.sources import NO_POLYP, find_sources, group_names, source_names
from polyp.model.network import SegmentationNetwork
from polyp.run.checkpoint import load_model, versions
from polyp.run.folder import RunFolder
from polyp.run.hardware import machine
from polyp.run.inference import confirm, predict_probs
from polyp.run.regions import shown_regions
from polyp.run.scoring.measures import counts_by_threshold, dice_iou, stretch

THREE = "cvc-clinicdb+kvasir-seg+polypgen"
HOSPITALS = ("clinicdb", "kvasir", "c1", "c2", "c3", "c4", "c5", "c6")  # in the order of the split's folds
ELSEWHERE = ("cvc-colondb", "etis-larib")  # never trained on, never chosen on

PEAKS = (
    *(0.5, 0.7, 0.8, 0.9, 0.95, 0.97, 0.98, 0.985, 0.99),
    *(0.993, 0.995, 0.996, 0.997, 0.998, 0.9985, 0.999, 0.9995),
)
LEAST_AREAS = (0.0, 0.001, 0.0025, 0.005, 0.01, 0.02)  # of the frame; and never below `SPECK` pixels
MOST = 0.05  # of the clean validation frames may be marked: half of what is wished for elsewhere
FOUND = 0.5  # a polyp is found if this share of its pixels is marked


@dataclass(frozen=True)
class Plan:
    """One experiment: its configuration's settings, and the parts that are scored after training.

    `parts` are of the run's own split; `elsewhere` are other sets, of which every frame is scored. With
    `second_look`, regions are judged by four looks, see `predict_files`.
    """

    settings: dict[str, Any]
    parts: tuple[str, ...] = ("val",)
    elsewhere: tuple[str, ...] = ()
    second_look: bool = False


# At the size that PraNet and those after it train at; for a GPU, since an epoch takes 40 minutes on 2 cores.
LARGE: dict[str, Any] = {
    "preset": "transfer", "data": THREE, "split": "mixed", "augment": "strong", "balance": 0.5,
    "encoder": "efficientnet-lite2", "size": (352, 352), "batch_size": 16, "schedule": "cosine",
    "epochs": 24, "workers": 2,
}  # fmt: skip
# Half the pixels and fewer epochs, for the tables of many runs.
MEDIUM: dict[str, Any] = LARGE | {"size": (256, 256), "epochs": 7}
# Smaller still: for comparing two ways of training, not for the best score.
SMALL: dict[str, Any] = LARGE | {"encoder": "efficientnet-lite0", "size": (192, 192), "epochs": 10}

PLANS: dict[str, Plan] = {
    "several": Plan(LARGE, ("val", "test"), ELSEWHERE, second_look=True),
    **{
        f"pranet_{seed}": Plan(
            LARGE
            | {"data": "cvc-clinicdb+kvasir-seg", "split": "pranet", "refit": True, "balance": 0.0}
            | {"seed": seed},
            ("test",),
            (*ELSEWHERE, "polypgen"),
        )
        for seed in range(3)
    },
    **{
        f"clean_{name}": Plan(SMALL | {"clean": clean, "epochs": epochs}, ("val", "test"))
        for name, clean, epochs in (("in", True, 10), ("out", False, 12))  # within 2 % as many steps
    },
    **{
        f"several_fold_{k}": Plan(
            MEDIUM
            | {"data": "cvc-clinicdb", "split": "sequence", "fold": k, "add": "kvasir-seg+polypgen"}
            | {"epochs": 8},
            ("val", "test"),
        )
        for k in range(5)
    },
    **{
        f"without_{hospital}": Plan(MEDIUM | {"split": "hospital", "fold": k}, ("val", "test", "left out"))
        for k, hospital in enumerate(HOSPITALS)
    },
    **{
        f"several_{name}": Plan(SMALL | changes)
        for name, changes in (
            ("augment_standard", {"augment": "standard"}),
            ("balance_0", {"balance": 0.0}),
            ("balance_1", {"balance": 1.0}),
        )
    },
}


def score_plan(name: str, folder: RunFolder, data_path: str | Path | None = None) -> dict[str, Any]:
    """All that the course tells of a finished run on several hospitals, as plain JSON values.

    Returns:
        see `open_finished`; chosen: the operating point, see `choose_point`, None without validation frames;
        and sets: for each part and set that the plan names, what `score_frames` says.

    Raises:
        DataError: the run has not ended.
    """
    model, config, facts = open_finished(folder)
    plan, sets, chosen = PLANS[name], {}, None
    for part in plan.parts:
        sets[part] = _score_part(model, config, part, data_path, chosen, plan.second_look)
        if part == "val":
            chosen = choose_point(sets["val"]["operating"])
    for other in plan.elsewhere:
        sets[other] = _score_part(model, elsewhere(config, other), "all", data_path, chosen, plan.second_look)
    return facts | {"chosen": chosen, "sets": sets}


def elsewhere(config: Config, data: str) -> Config:
    """A run's configuration, for frames of other data than it was trained on."""
    return changed(config, data=data, add="", split="random", fold=0, refit=False)


def score_elsewhere(data_path: str | Path | None = None, name: str = "clinicdb") -> dict[str, Any]:
    """What `score_frames` says of weights that come with the package, on sets that they never saw.

    Returns:
        versions, machine, chosen (None), and sets: Kvasir-SEG, PolypGen and those of `ELSEWHERE`.
    """
    model, metadata = load_model(name)
    config = Config.from_dict(metadata["config"])
    others = ("kvasir-seg", "polypgen", *ELSEWHERE)
    sets = {other: _score_part(model, elsewhere(config, other), "all", data_path) for other in others}
    return {"versions": versions(), "machine": machine(), "chosen": None, "sets": sets}


def _score_part(
    model: SegmentationNetwork,
    config: Config,
    part: str,
    data_path: str | Path | None,
    chosen: dict[str, float] | None = None,
    second_look: bool = False,
) -> dict[str, Any]:
    dataset = open_part(config, part, data_path)
    own, added = find_sources(config.data, config.add, data_path)
    areas, images = dataset.cache.table["area"].to_numpy(), dataset.cache.images
    groups = group_names(own + added, areas, images)
    return score_frames(model, dataset, source_names(own + added, areas), groups, chosen, second_look)


def choose_point(operating: dict[str, Any], most: float = MOST) -> dict[str, float] | None:
    """The operating point: the least peak and size of a region at which the most polyps are found.

    Args:
        operating: of validation frames, see `score_frames`.
        most: the share of the frames without a polyp that may be marked.

    Returns:
        min_peak; min_share, of the frame; found and marked, shares of the validation's polyps and
        clean frames. Of equals, the one that marks the fewest. None where no point is allowed.
    """
    found, marked = np.array(operating["found"]), np.array(operating["marked"])
    allowed = [pair for pair in np.ndindex(found.shape) if marked[pair] <= most * operating["clean"]]
    if not allowed:
        return None
    best = min(allowed, key=lambda pair: (-found[pair], marked[pair]))
    return {
        "min_peak": operating["peaks"][best[0]],
        "min_share": operating["least_areas"][best[1]],
        "found": round(found[best] / operating["polyps"], 4),
        "marked": round(marked[best] / operating["clean"], 4) if operating["clean"] else 0.0,
    }


def score_frames(
    model: SegmentationNetwork,
    dataset: PolypDataset,
    sources: Mapping[str, str],
    groups: Mapping[str, str] | None = None,
    chosen: Mapping[str, float] | None = None,
    second_look: bool = False,
) -> dict[str, Any]:
    """Predict every frame at the size of its mask, and score it by the conventions that papers use.

    Args:
        model: on its device.
        dataset: the frames, with their masks at full size.
        sources: the hospital or dataset of each.
        groups: the video of each, or whatever else belongs together; by default each frame is alone.
        chosen: an operating point, see `choose_point`.
        second_look: see `Plan`.

    Returns:
        frames: one list per column: frame; source (or `NO_POLYP`); group; area (share of the frame); dice
        (above 0.5); dice_pranet (mean over the 256 thresholds of the stretched map, as PraNet's toolbox has
        it); largest (share of the frame of the largest region above 0.5); polyps, found, false_regions (above
        0.5); and with `chosen` what is left at that point: dice_chosen, found_chosen, marked_chosen.
        operating: peaks, least_areas, and for each pair of them (peaks, areas), when of the regions above 0.5
        those of that peak and size are shown: found (polyps) and marked (frames without a polyp); polyps and
        clean: out of how many.
    """
    rows, found, marked = [], [], []
    for index, frame in enumerate(dataset.frames):
        tensors = dataset[index]  # (3, h, w), (1, H, W)
        image, target = tensors[0].permute(1, 2, 0).numpy(), tensors[1][0].numpy().astype(bool)
        size = image.shape[:2]
        probs = predict_probs(model, image, size, out_size=target.shape, precision="fp32")
        again = second_look and bool((probs > 0.5).any())
        evidence = confirm(model, image, size, probs, precision="fp32") if again else probs
        preds, polyps = probs > 0.5, _polyps(target)
        marks = Marks.of(probs, polyps, evidence)
        rows.append(
            {
                "frame": frame,
                "source": sources[frame] if target.any() else NO_POLYP,
                "group": (groups or {}).get(frame, frame),
                "area": float(target.mean()),
                "dice": _dice(preds, target),
                "dice_pranet": stretched_dice(probs, target).mean() if target.any() else float("nan"),
                "largest": marks.sizes.max(initial=0) / target.size,
                "polyps": len(polyps),
                "found": marks.found(marks.sizes >= SPECK),
                "false_regions": int(((marks.sizes >= SPECK) & ~marks.touches).sum()),
            }
        )
        if chosen:
            kept = marks.shown(chosen["min_peak"], chosen["min_share"] * target.size)
            shown = shown_regions(probs, 0.5, chosen["min_peak"], chosen["min_share"], evidence)
            rows[-1] |= {
                "dice_chosen": _dice(shown, target),
                "found_chosen": marks.found(kept),
                "marked_chosen": bool(kept.any()),
            }
        points = [[marks.shown(peak, area * target.size) for area in LEAST_AREAS] for peak in PEAKS]
        if target.any():
            found.append([[marks.found(kept) for kept in row] for row in points])
        else:
            marked.append([[bool(kept.any()) for kept in row] for row in points])
    table = pd.DataFrame(rows).round({"area": 6, "largest": 6})
    shape = (-1, len(PEAKS), len(LEAST_AREAS))
    return {
        "frames": lists(table.round({name: 4 for name in table.columns if name.startswith("dice")})),
        "operating": {
            "peaks": list(PEAKS),
            "least_areas": list(LEAST_AREAS),
            "polyps": int(table["polyps"].sum()),
            "clean": len(marked),
            "found": np.array(found, int).reshape(shape).sum(axis=0).tolist(),
            "marked": np.array(marked, int).reshape(shape).sum(axis=0).tolist(),
        },
    }


def _dice(preds: np.ndarray, target: np.ndarray) -> float:
    return float(dice_iou(int((preds & target).sum()), int(preds.sum()), int(target.sum()))[0])


def _polyps(target: np.ndarray) -> list[np.ndarray]:
    """The connected regions of a bool mask (H, W) that are no specks."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(target.astype(np.uint8), connectivity=8)
    return [labels == k for k in range(1, count) if stats[k, cv2.CC_STAT_AREA] >= SPECK]


@dataclass(frozen=True)
class Marks:
    """The marked regions of a frame: their sizes in pixels (K,), their highest probabilities (K,), whether
    each touches a polyp (K,), and for each polyp the share of it that each region covers (P, K)."""

    sizes: np.ndarray
    peaks: np.ndarray
    touches: np.ndarray
    cover: np.ndarray

    @classmethod
    def of(cls, probs: np.ndarray, polyps: list[np.ndarray], evidence: np.ndarray | None = None) -> "Marks":
        """From probabilities (H, W), of which those above 0.5 are marked, the polyps' masks, and what the
        regions' peaks are taken from, by default the probabilities."""
        preds = (probs > 0.5).astype(np.uint8)
        count, labels, stats, _ = cv2.connectedComponentsWithStats(preds, connectivity=8)
        covered = [np.bincount(labels[polyp], minlength=count)[1:] / polyp.sum() for polyp in polyps]
        cover = np.array(covered).reshape(len(polyps), count - 1)
        touches = np.asarray(np.any(cover > 0, axis=0))
        judged = probs if evidence is None else evidence
        peaks = np.asarray(ndimage.maximum(judged, labels, np.arange(1, count)))
        return cls(stats[1:, cv2.CC_STAT_AREA], peaks, touches, cover)

    def shown(self, min_peak: float, least: float) -> np.ndarray:
        """Which regions have a peak above `min_peak` and at least `least` pixels, specks never: bool (K,)."""
        return (self.peaks > min_peak) & (self.sizes >= max(SPECK, least))

    def found(self, shown: np.ndarray) -> int:
        """How many polyps the regions `shown` (bool, (K,)) cover enough."""
        return int((self.cover[:, shown].sum(axis=1) >= FOUND).sum())


def stretched_dice(probs: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Dice at the 256 thresholds 0, 1/255 ... 1 of the map stretched to 0-1, float (256,).

    So it is done by the toolbox of PraNet (github.com/DengPing-Fan/PraNet, eval/): each map is stretched to
    its own lowest and highest value (one of a single value is kept), saved with 8 bits, and cut at >=.
    """
    levels = np.round(255 * stretch(probs)) / 255  # (H, W)
    curve, _ = dice_iou(*counts_by_threshold(levels, target), int(target.sum()))
    return np.nan_to_num(curve[::-1])
