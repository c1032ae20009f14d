"""The experiments behind the course's numbers: a name and one JSON file each.

`polyp experiment NAME` trains and scores what `EXPERIMENTS[NAME]` says, or takes the measurement
`MEASUREMENTS[NAME]`, and writes `polyp/course/results/NAME.json`. Notebooks read those files, which are
part of the installed package.
"""

import json
import time
from importlib.resources import files
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np
import pandas as pd
import torch

from polyp.config import Config, configure
from polyp.course.finished import lists, open_finished
from polyp.course.hospitals import PLANS, score_plan
from polyp.course.measurements import MEASUREMENTS
from polyp.data.check import SPECK
from polyp.data.dataset import PolypDataset, open_part
from polyp.disk import make_folder, project_root, without_nan, write_atomic
from polyp.errors import DataError, UsageError, look_up
from polyp.model.metrics import count_pixels, dice_score, summarise
from polyp.model.network import SegmentationNetwork
from polyp.run.details import THRESHOLDS
from polyp.run.fitting import fit
from polyp.run.folder import RunFolder
from polyp.run.hardware import autocast
from polyp.run.inference import predict_probs
from polyp.run.levels import multiply_adds
from polyp.run.validation import counts_of, validate

HALF = THRESHOLDS.tolist().index(0.5)
BINS = 10  # of equal width, for the calibration of the probabilities

# Small enough that a table of many runs takes an hour on 2 cores: for comparing, not for the best score.
SMALL: dict[str, Any] = {"preset": "transfer", "size": (128, 128), "widths": (16, 32, 48, 64), "epochs": 10}
# Without validation frames, as the papers train that split the data in two: about half an hour's worth.
REFIT: dict[str, Any] = {"preset": "transfer", "epochs": 36, "refit": True}
# With a larger encoder, at the frames' own shape, which has a quarter fewer pixels than the square.
LARGE: dict[str, Any] = {"encoder": "efficientnet-lite2", "size": (192, 256), "epochs": 24}
SCRATCH: dict[str, Any] = {"preset": "cpu", "size": (96, 96), "epochs": 20, "widths": (12, 24, 48, 96, 192)}
NETWORKS: dict[str, dict[str, Any]] = {
    "unet": {"architecture": "unet", "deep_supervision": False},
    "unetpp": {"deep_supervision": False},
    "unetpp_ds": {"deep_supervision": True},
}
CHANGES: dict[str, dict[str, Any]] = {
    "base": {},
    "augment_none": {"augment": "none"},
    "augment_flips": {"augment": "flips"},
    "loss_bce": {"loss": "bce"},
    "loss_dice": {"loss": "dice"},
    "size_192": {"size": (192, 192)},
    "epochs_5": {"epochs": 5},
    "encoder_frozen": {"encoder_lr": 0.0},
    "encoder_random": {"pretrained": False},
    "encoder_full_lr": {"encoder_lr": 1.0},
    "sequences_3": {"train_sequences": 3},
    "sequences_6": {"train_sequences": 6},
    "sequences_12": {"train_sequences": 12},
}
LONG = SCRATCH | NETWORKS["unetpp_ds"] | {"epochs": 50, "split": "sequence"}  # long enough to overfit
AUGMENTS = ("none", "flips", "standard")
# An epoch over fewer videos is shorter; with these, every draw of videos trains for about as many steps.
EQUAL_STEPS = {3: 60, 6: 30, 12: 15, 19: 10}

EXPERIMENTS: dict[str, dict[str, Any]] = {
    "random": {"preset": "transfer", "split": "random"},
    **{f"fold_{k}": {"preset": "transfer", "split": "sequence", "fold": k} for k in range(5)},
    "short_random": {"preset": "transfer", "split": "random", "epochs": 20},
    **{
        f"short_fold_{k}": {"preset": "transfer", "split": "sequence", "fold": k, "epochs": 20}
        for k in range(5)
    },
    "refit_random": REFIT | {"split": "random"},
    "refit_large_fold_0": REFIT | LARGE | {"split": "sequence", "fold": 0},
    "cpu_random": {"preset": "cpu", "split": "random"},
    "cpu_fold_0": {"preset": "cpu", "split": "sequence"},
    **{
        f"scratch_{name}_{split}_{seed}": SCRATCH | network | {"split": split, "seed": seed}
        for seed in range(3)
        for split in ("random", "sequence")
        for name, network in NETWORKS.items()
    },
    **{
        f"small_{name}_{seed}": SMALL | change | {"split": "sequence", "seed": seed}
        for seed in range(3)
        for name, change in CHANGES.items()
    },
    **{
        f"small_steps_{count}_{seed}": SMALL
        | {"split": "sequence", "seed": seed, "train_sequences": count, "epochs": epochs}
        for seed in range(3)
        for count, epochs in EQUAL_STEPS.items()
    },
    **{
        f"long_augment_{augment}_fold_{fold}": LONG | {"augment": augment, "fold": fold}
        for fold in range(2)
        for augment in AUGMENTS
    },
}


def experiment_names() -> list[str]:
    """Everything that `experiment` can do: the trainings, then the measurements."""
    return [*EXPERIMENTS, *PLANS, *MEASUREMENTS]


def experiment_config(name: str) -> Config:
    """The configuration of a training.

    Raises:
        UsageError: an unknown name.
    """
    settings = EXPERIMENTS | {name: plan.settings for name, plan in PLANS.items()}
    return configure(**look_up(settings, "experiment", name))


def experiment(name: str, data_path: str | Path | None = None, out: str | Path | None = None) -> Path:
    """Train and score one experiment, or take one measurement, and write its result.

    A training whose run folder holds a finished run is only scored again; an interrupted one is resumed.

    Args:
        name: one of `experiment_names()`.
        data_path: where the data are, if not in `$POLYP_DATA` or `data/`.
        out: the folder of results; `polyp/course/results/` of the project by default.

    Returns:
        the JSON file; see `score_run` and `measurements`.

    Raises:
        UsageError: an unknown name; the run folder holds a run of another configuration.
        DataError: as `fit`; the folder of results cannot be written to.
    """
    results = make_folder(out or project_root() / "polyp" / "course" / "results")
    found = MEASUREMENTS[name](data_path) if name in MEASUREMENTS else _train_and_score(name, data_path)
    result = {"name": name, "command": f"polyp experiment {name}", **found}
    return write_atomic(results / f"{name}.json", json.dumps(result, allow_nan=False) + "\n")


def _train_and_score(name: str, data_path: str | Path | None) -> dict[str, Any]:
    config, path = experiment_config(name), project_root() / "runs" / "experiments" / name
    run = RunFolder(path)
    if not run.metrics_file.is_file():
        resume = run.config_file.is_file()
        run = fit(config, path, data_path=data_path, resume=resume, pictures=name in EXPERIMENTS)
    elif run.config() != config:
        raise UsageError(f"{path}: holds a run of another configuration; move it away")
    return score_plan(name, run, data_path) if name in PLANS else score_run(run, data_path)


def read_result(name: str) -> dict[str, Any]:
    """A committed result by its experiment's name.

    Raises:
        DataError: there is none yet.
    """
    file = files("polyp.course") / "results" / f"{name}.json"
    if not file.is_file():
        raise DataError(f"no result '{name}' has been committed; `polyp experiment {name}` makes it")
    return json.loads(file.read_text())


def result_names() -> list[str]:
    """The experiments that have a committed result, in the order of `EXPERIMENTS`."""
    return [name for name in EXPERIMENTS if (files("polyp.course") / "results" / f"{name}.json").is_file()]


def read_seeds(family: str) -> list[dict[str, Any]]:
    """The committed results of the runs `<family>_<seed>`, in the order of their seeds; may be none."""
    return [read_result(name) for name in result_names() if name.rpartition("_")[0] == family]


def score_run(folder: RunFolder, data_path: str | Path | None = None) -> dict[str, Any]:
    """All that the course tells of a finished run, as plain JSON values.

    Returns:
        see `open_finished`;
        val, test: `metrics.summarise` at threshold 0.5 and the original size; here and below, a run with
        `refit` has None or nothing in place of val;
        val_flips, test_flips: the same, averaged over four mirrorings;
        levels: of a UNet++ with deep supervision, the mean per-image Dice of each level, val and test, and
        what a frame costs there (see `level_cost`);
        thresholds: mean per-image Dice (with flips) by threshold, val and test, and `chosen` on val (0.5 with
        `refit`);
        calibration: by probability (with flips), ten bins of pixels, polyp pixels, summed probability (test);
        frames: one list per column, one row per test frame: frame, area (share of the frame), contrast (see
        `contrast`), dice, dice_flips, and with flips tp, fp, fn, tn and polyps, found, false_regions
        (see `regions`).

    Raises:
        DataError: the run has not ended.
    """
    model, config, facts = open_finished(folder)
    names = ("test",) if config.refit else ("val", "test")
    parts = {name: open_part(config, name, data_path) for name in names}
    plain = {name: validate(model, data) for name, data in parts.items()}
    flips = {name: frame_scores(model, data) for name, data in parts.items()}
    curves = {part: np.nanmean(np.array(rows["by_threshold"]), axis=0) for part, rows in flips.items()}
    return {
        **facts,
        **{name: _rounded(plain[name].scores) if name in parts else None for name in ("val", "test")},
        **{f"{name}_flips": _summary(rows["table"]) for name, rows in flips.items()},
        "levels": _levels(model, parts, config.size),
        "thresholds": {
            "values": THRESHOLDS.tolist(),
            **{part: curve.round(4).tolist() for part, curve in curves.items()},
            "chosen": 0.5 if config.refit else float(THRESHOLDS[curves["val"].argmax()]),
        },
        "calibration": np.sum(flips["test"]["bins"], axis=0).round(1).tolist(),
        "frames": _columns(plain["test"].table, flips["test"]["table"]),
    }


def frame_scores(model: SegmentationNetwork, dataset: PolypDataset) -> dict[str, Any]:
    """Predict each frame with flips, at its original size.

    Returns:
        table: one row per frame, see `score_run`; by_threshold: for each frame its Dice at each of
        `THRESHOLDS`; bins: for each frame (BINS, 3) pixels, polyp pixels and summed probability.
    """
    rows, by_threshold, bins = [], [], []
    for index, frame in enumerate(dataset.frames):
        tensors = dataset[index]  # (3, h, w), (1, H, W)
        image, target = tensors[0].permute(1, 2, 0).numpy(), tensors[1][0].numpy().astype(bool)
        (height, width), (h, w) = target.shape, image.shape[:2]
        probs = predict_probs(model, image, (h, w), mirror=True, out_size=(height, width))
        rows.append({"frame": frame, "area": round(float(target.mean()), 6)})
        small = cv2.resize(target.astype(np.uint8), image.shape[1::-1], interpolation=cv2.INTER_NEAREST_EXACT)
        rows[-1] |= {"contrast": contrast(image, small.astype(bool))}
        preds = torch.from_numpy(probs > THRESHOLDS[:, None, None, None])  # (thresholds, 1, H, W)
        counts = count_pixels(preds, torch.from_numpy(target).expand_as(preds))
        rows[-1] |= {outcome: int(count[HALF]) for outcome, count in counts._asdict().items()}
        rows[-1] |= regions(preds[HALF, 0].numpy(), target)
        by_threshold.append(dice_score(counts).tolist())
        bins.append(_calibration(probs, target))
    return {"table": pd.DataFrame(rows), "by_threshold": by_threshold, "bins": bins}


def contrast(image: np.ndarray, target: np.ndarray) -> float | None:
    """How much a polyp differs in colour from what surrounds it.

    The distance between the mean CIELAB colours of the mask and of a ring around it, a twentieth of the
    frame wide; about 2 is just visible. None where there is no mask or no ring.
    """
    reach = max(3, max(target.shape) // 10)
    near = cv2.dilate(target.astype(np.uint8), np.ones((reach, reach), np.uint8)).astype(bool) & ~target
    if not (target.any() and near.any()):
        return None
    lab = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    return round(float(np.linalg.norm(lab[target].mean(axis=0) - lab[near].mean(axis=0))), 2)


def regions(preds: np.ndarray, target: np.ndarray) -> dict[str, int]:
    """Polyps instead of pixels, for two (H, W) bool masks; specks are left out on both sides.

    Returns:
        polyps: the 8-connected regions of `target`; found: how many of them have at least half of their
        pixels in `preds`; false_regions: the regions of `preds` that touch no pixel of `target`.
    """
    polyps, marked = _connected(target), _connected(preds)
    return {
        "polyps": len(polyps),
        "found": sum(bool(preds[polyp].mean() >= 0.5) for polyp in polyps),
        "false_regions": sum(not target[region].any() for region in marked),
    }


def _connected(mask: np.ndarray) -> list[np.ndarray]:
    count, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    found = (labels == k for k in range(1, count))
    return [region for region in found if region.sum() >= SPECK]


def _calibration(probs: np.ndarray, target: np.ndarray) -> np.ndarray:
    which = np.minimum((probs * BINS).astype(int), BINS - 1).ravel()
    weights = (None, target.ravel(), probs.ravel())
    return np.stack([np.bincount(which, w, minlength=BINS) for w in weights], axis=1)


def _summary(table: pd.DataFrame) -> dict[str, Any]:
    return _rounded(summarise(counts_of(table)))


def _rounded(scores: dict[str, float | int]) -> dict[str, Any]:
    return {name: round(v, 6) if isinstance(v, float) else v for name, v in without_nan(scores).items()}


def _levels(
    model: SegmentationNetwork, parts: dict[str, PolypDataset], size: tuple[int, int]
) -> dict[str, Any]:
    if not getattr(model, "deep_supervision", False):
        return {}
    return {
        str(level): {
            part: round(validate(model, data, level=level).scores["dice_per_image"], 6)
            for part, data in parts.items()
        }
        | level_cost(model, size, level)
        for level in range(1, model.depth + 1)
    }


@torch.inference_mode()
def level_cost(model: SegmentationNetwork, size: tuple[int, int], level: int) -> dict[str, float]:
    """What one frame costs a network that is pruned to a level.

    Returns:
        parameters: of the modules that run; multiply_adds: of their convolutions; ms: the median of ten
        forward passes in the precision that the hardware is best at.
    """
    image = torch.zeros(1, 3, *size, device=model.device)
    ran: set[torch.nn.Module] = set()
    hooks = [part.register_forward_hook(lambda part, *_: ran.add(part)) for part in model.modules()]
    adds = multiply_adds(model, size, level)
    for hook in hooks:
        hook.remove()
    times = []
    for _ in range(10):
        start = time.perf_counter()
        with autocast(image.device, "auto"):
            model(image, level)[-1].sum().item()  # fetching a number waits for a GPU
        times.append(1000 * (time.perf_counter() - start))
    return {
        "parameters": sum(p.numel() for part in ran for p in part.parameters(recurse=False)),
        "multiply_adds": adds,
        "ms": round(median(times), 1),
    }


def _columns(plain: pd.DataFrame, flips: pd.DataFrame) -> dict[str, list]:
    return lists(flips.assign(dice=plain["dice"], dice_flips=dice_score(counts_of(flips)).numpy()))
