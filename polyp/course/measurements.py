"""What the lessons measured on real data beside trainings: one function and one row per measurement.

Each takes `data_path` (where the data are, if not in `$POLYP_DATA` or `data/`) and returns plain JSON values.
"""

import copy
import json
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import torch
from torch import Tensor

from polyp.config import PRESETS, Config, changed, configure
from polyp.course.doubts import count_doubts
from polyp.course.gaps import copied_by_gap
from polyp.course.hospitals import score_elsewhere
from polyp.course.threads import threads
from polyp.data.cache import FrameCache
from polyp.data.check import count_near_duplicates, survey
from polyp.data.dataset import PolypDataset, Splits, open_data
from polyp.data.known import find_dataset
from polyp.data.pairs import find_pairs, read_pair, read_sequences
from polyp.data.split import make_split, packaged_split, parts_of
from polyp.disk import make_folder, project_root, write_atomic
from polyp.errors import DataError, UsageError
from polyp.model.efficientnet import MEAN, STD, ConvNorm
from polyp.model.metrics import concatenate, count_pixels, dice_score, iou_score
from polyp.model.network import ConvBlock, SegmentationNetwork, resize_logits
from polyp.run.checkpoint import versions
from polyp.run.hardware import autocast, machine
from polyp.run.training import new_model, train


def redness_rules(data_path: str | Path | None = None, data: str = "cvc-clinicdb") -> dict[str, Any]:
    """How well rules do that look at a pixel's colour alone, on every third frame (notebook 00).

    Returns:
        data, versions, machine; mean Dice: by rule, the mean over the frames.
    """
    pairs = find_pairs(find_dataset(data, data_path))
    thresholds = (0.1, 0.3, 0.5, 0.7, 0.9)
    names = ["everything", "everything lit", *(f"redness above {t}" for t in thresholds)]
    scores = []
    for pair in pairs[::3]:
        image, mask = read_pair(pair)
        probs = redness(image)
        preds = [np.ones_like(mask), probs > 0, *(probs > t for t in thresholds)]
        scores.append(_dice(np.stack(preds), np.stack([mask] * len(preds))))
    means = np.nanmean(scores, axis=0).round(4).tolist()
    return {**_origin(data, pairs), "mean Dice": dict(zip(names, means, strict=True))}


def redness(image):
    """How red each lit pixel is compared with the rest of its frame: 0 to 1, (H, W)."""
    colour = cv2.GaussianBlur(image.astype(np.float32), (0, 0), sigmaX=6)  # without speckles
    light = colour.sum(axis=2)
    lit = light > 60  # not the black border, not the far end of the colon
    red = np.where(lit, colour[..., 0] / (light + 1), 0)  # red's share of the light
    red = (red - red[lit].mean()) / red[lit].std()
    return np.where(lit, 1 / (1 + np.exp(-2 * red)), 0)  # 0.5 is the average of the frame


def dataset_facts(data_path: str | Path | None = None, data: str = "cvc-clinicdb") -> dict[str, Any]:
    """What notebook 01 tells of the real frames, their masks and their videos.

    Returns:
        data, versions, machine; facts: one number each, shares from 0 to 1;
        nearest frame of the same video: by side of the thumbnails, the share of frames for which it is.

    Raises:
        DataError: the dataset does not say which video its frames are from.
    """
    folder = find_dataset(data, data_path)
    pairs, sequences, found = find_pairs(folder), read_sequences(folder), survey(folder)
    if sequences is None:
        raise DataError(f"{folder}: these facts are about videos; add a sequences.csv (data/README.md)")
    cache = FrameCache(pairs, PRESETS["quick"]["size"])
    masks = [read_pair(pair)[1] for pair in pairs]
    brighter, shiny_inside, shiny_outside = np.mean([_light(*read_pair(pair)) for pair in pairs], axis=0)
    area = pd.Series(found.area_shares)
    video = np.array([sequences[pair.frame] for pair in pairs])

    vectors = {
        side: np.stack([thumbnail(image, side) for image in cache.images]) for side in (1, 2, 4, 8, 16)
    }
    likeness = {side: small @ small.T for side, small in vectors.items()}  # every frame with every other
    for table in likeness.values():
        np.fill_diagonal(table, -1)  # a frame is not its own neighbour
    same = {str(side): float((video[t.argmax(axis=1)] == video).mean()) for side, t in likeness.items()}

    frames = [pair.frame for pair in pairs]
    row_of = {frame: row for row, frame in enumerate(frames)}

    def copied(parts: dict[str, list[str]]) -> np.ndarray:
        """Dice of each test frame when the answer is the mask of the training frame most like it."""
        train, test = ([row_of[frame] for frame in parts[part]] for part in ("train", "test"))
        nearest = likeness[16][np.ix_(test, train)].argmax(axis=1)
        return _dice(cache.masks[train][nearest], cache.masks[test])

    at_random = make_split("random", frames, area.tolist(), sequences)
    by_video = packaged_split(data, "sequence")
    if by_video is None:
        by_video = make_split("sequence", frames, cache.table["area"].tolist(), sequences)
    folds = [copied(parts_of(by_video, fold)) for fold in by_video["fold"].unique()]
    facts = {
        "polyp brighter": float(brighter),
        "shiny inside": float(shiny_inside),
        "shiny outside": float(shiny_outside),
        "in-between masks": found.in_between_masks,
        "masks in several pieces": sum(cv2.connectedComponents(mask)[0] > 2 for mask in masks),
        "masks with a speck": found.specks,
        "in several pieces without specks": found.several_components,
        "accuracy of nothing": float(1 - area.mean()),
        "spread of areas": float(area.std()),
        "spread within a video": float(area.groupby(video).std().mean()),
        "near twins": count_near_duplicates(vectors[16]),
        "copied, at random": float(copied(parts_of(at_random)).mean()),
        "copied, by video": float(np.concatenate(folds).mean()),
    }
    return {**_origin(data, pairs), "facts": facts, "nearest frame of the same video": same}


def _light(image: np.ndarray, mask: np.ndarray) -> tuple[bool, float, float]:
    """Whether the polyp is brighter than the rest, and the shares of it and of the rest that shine."""
    inside, grey, shiny = mask == 1, image.mean(axis=2), image.min(axis=2) > 220
    rest = ~inside & (image.max(axis=2) >= 20)  # without the black border
    return grey[inside].mean() > grey[rest].mean(), shiny[inside].mean(), shiny[~inside].mean()


def thumbnail(image: np.ndarray, side: int = 16) -> np.ndarray:
    """A frame, uint8 (H, W, 3), as a unit vector of side * side * 3 numbers."""
    vector = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA).astype(np.float32).ravel()
    vector -= vector.mean()
    return vector / max(float(np.linalg.norm(vector)), 1e-6)


def _dice(preds: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Dice of each of N pairs of masks, (N, H, W) of 0 and 1; NaN where both are empty."""
    pair = (torch.from_numpy(masks > 0)[:, None] for masks in (preds, targets))
    return dice_score(count_pixels(*pair)).numpy()


def _origin(data: str, pairs: list) -> dict[str, Any]:
    """What a result was measured on, and with what."""
    return {"data": {"name": data, "frames": len(pairs)}, "versions": versions(), "machine": machine()}


# Short runs with a pretrained encoder on small frames, as the experiments `small_...`.
SHORT = configure("transfer", split="sequence", size=(128, 128), epochs=10)
SEEDS = (0, 1, 2)
IMAGENET = ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))  # mean and std of red, green, blue
INPUTS: dict[str, dict[str, Any]] = {
    "as the weights expect": {},
    "symmetric padding": {"padding": "symmetric"},
    "ImageNet statistics": {"scale": IMAGENET},
    "both": {"padding": "symmetric", "scale": IMAGENET},
}
STARTS = {"fine-tuned": {}, "frozen": {"encoder_lr": 0.0}}
Values = dict[str, dict[str, Any]]  # of one seed, by two names


def encoder_inputs(
    data_path: str | Path | None = None, config: Config = SHORT, seeds: Iterable[int] = SEEDS
) -> dict[str, Any]:
    """How well an encoder learns that is fed otherwise than its ImageNet weights expect (notebook 09).

    Returns:
        config, data, versions, machine, minutes, seeds; val_frames, their number;
        val_dice: validation Dice by start, input, seed and epoch.
    """
    data = open_data(config, data_path)

    def val_dice(config: Config, padding: str = "SAME", scale: tuple = (MEAN, STD)) -> list[float]:
        model = new_model(config)
        for buffer, numbers in zip((model.mean, model.std), scale, strict=True):
            buffer.copy_(torch.tensor(numbers).view_as(buffer))
        if padding == "symmetric":
            symmetric(model.encoder)
        return [row["val_dice"] for row in train(model, data, config)]

    def measure(config: Config) -> Values:
        return {
            start: {name: val_dice(changed(config, **settings), **fed) for name, fed in INPUTS.items()}
            for start, settings in STARTS.items()
        }

    origin, values = _by_seed("encoder_inputs", config, data, seeds, measure)
    return {**origin, "val_frames": len(data.val or ()), "val_dice": values}


def symmetric(encoder):
    """The same encoder with as many zeros before as after."""
    for module in encoder.modules():
        if isinstance(module, ConvNorm) and module.margin is not None:
            module.margin = (module.kernel // 2,) * 4
    return encoder


def mistakes(
    data_path: str | Path | None = None, config: Config = SHORT, seeds: Iterable[int] = SEEDS
) -> dict[str, Any]:
    """What each mistake of notebook 10 costs, on the test frames and in the last epoch: no frame chooses one.

    Returns:
        config, data, versions, machine, minutes, seeds; test_frames, their number;
        scores: by mistake, dice and iou of each seed.
    """
    data = open_data(config, data_path)
    origin, values = _by_seed("mistakes", config, data, seeds, lambda config: _each_mistake(config, data))
    return {**origin, "test_frames": len(data.test or ()), "scores": values}


def _each_mistake(config: Config, data: Splits) -> dict[str, dict[str, float]]:
    """Scores of an honest network and of each mistake; two of them need a training of their own."""
    cache, test = data.train.cache, data.test

    def trained(frames: list[str], prepare: Callable[[SegmentationNetwork], Any] = lambda model: None):
        model = new_model(config)
        prepare(model)
        train(model, Splits(PolypDataset(cache, frames, config.augment, config.seed)), config)
        return model.eval()

    def predict(model: SegmentationNetwork, part=test, change: Callable[[Tensor], Tensor] = lambda x: x):
        return _predict(model, part, config.precision, change)

    # By frame instead of by video: a tenth to test on, a tenth left out as for validation.
    order = np.random.default_rng(config.seed).permutation(cache.table["frame"].tolist()).tolist()
    tenth = len(order) // 10
    drawn = PolypDataset(cache, order[:tenth], full_size_masks=True)

    honest = trained(data.train.frames)
    logits, targets = predict(honest)
    return {
        "honest": _score(logits, targets),
        "normalised twice, always": _score(*predict(trained(data.train.frames, normalise_twice))),
        "normalised twice, in prediction only": _score(*predict(normalise_twice(copy.deepcopy(honest)))),
        "BGR in prediction only": _score(*predict(honest, change=lambda x: x.flip(1))),
        "pooled over batches of 8": _score(logits, targets, pool=8),
        "logits cut at -2.5": _score(logits, targets, lambda x: x > -2.5),
        "sigmoid twice": _score(logits, targets, lambda x: x.sigmoid().sigmoid() > 0.5),
        "random split": _score(*predict(trained(order[2 * tenth :]), drawn)),
        "training mode, frame by frame": _score(*predict(copy.deepcopy(honest).train())),
    }


def normalise_twice(network):
    """((x - m) / s - m) / s is one normalisation, with other constants; so the buffers can hold it."""
    network.mean, network.std = network.mean * (1 + network.std), network.std**2
    return network


# In fp32, so that no digit is missing; on synthetic frames, so that anybody can repeat it in minutes.
FP32 = configure(
    "transfer", data="synthetic", size=(64, 96), precision="fp32", epochs=12, augment="flips", lr=3e-3
)
SCRATCH = {"encoder": "conv", "size": (64, 80), "widths": (12, 24, 48, 96), "epochs": 10, "lr": 5e-3}
NETWORKS = {"pretrained encoder": {}, "small, from scratch": SCRATCH}
Prepare = Callable[[SegmentationNetwork], Any]


def normalised_twice(
    data_path: str | Path | None = None, config: Config = FP32, seeds: Iterable[int] = (0, 1)
) -> dict[str, Any]:
    """Why networks that always get their frames normalised twice learn little or much (notebook 10).

    Returns:
        config, data, versions, machine, minutes, seeds; test_frames, their number;
        dice: by network and treatment, that of each seed on the test frames, in the last epoch; and once more
        with the statistics of batch normalisation taken anew from the training frames.
    """
    data = open_data(config, data_path)

    def dice(model: SegmentationNetwork, test: PolypDataset | None) -> float:
        return _score(*_predict(model.eval(), test, "fp32", lambda x: x))["dice"]

    def measure(config: Config) -> Values:
        found: Values = {}
        for name, settings in NETWORKS.items():
            one = changed(config, **settings)
            frames = open_data(one, data_path)
            anew = f"{name}, statistics anew"
            found |= {name: {}, anew: {}}
            for treatment in TREATMENTS if one.starts_pretrained else ("once", "twice"):
                model = new_model(one)
                TREATMENTS[treatment](model)
                train(model, Splits(frames.train), one)
                found[name][treatment] = dice(model, frames.test)
                fresh_statistics(model, PolypDataset(frames.train.cache, frames.train.frames))
                found[anew][treatment] = dice(model, frames.test)
        return found

    origin, values = _by_seed("normalised_twice", config, data, seeds, measure)
    return {**origin, "test_frames": len(data.test or ()), "dice": values}


@torch.no_grad()
def fresh_statistics(model: SegmentationNetwork, frames: PolypDataset, batch: int = 8) -> None:
    """Put the mean over these frames' batches in the place of batch normalisation's running averages."""
    for part in model.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.reset_running_stats()
            part.momentum = None  # a plain mean instead of a running one
    model.train()
    for start in range(0, len(frames) - batch + 1, batch):
        model(torch.stack([frames[i][0] for i in range(start, start + batch)]).to(model.device))
    model.eval()


def small_eps(model: SegmentationNetwork) -> None:
    """Let no batch normalisation add more than 1e-8 to a variance."""
    for part in model.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.eps = 1e-8


def repeated_border(model: SegmentationNetwork) -> None:
    """Let the first convolution see its picture's border once more, where there would be zeros."""
    block = next(part for part in model.modules() if isinstance(part, ConvNorm | ConvBlock))
    if isinstance(block, ConvNorm):
        assert block.margin is not None
        block.insert(0, torch.nn.ReplicationPad2d(block.margin))  # type: ignore[arg-type]
        block.margin = None
    else:
        next(part for part in block.modules() if isinstance(part, torch.nn.Conv2d)).padding_mode = "replicate"


def _several(*steps: Prepare) -> Prepare:
    return lambda model: [step(model) for step in steps]


TREATMENTS: dict[str, Prepare] = {
    "once": lambda model: None,
    "twice": normalise_twice,
    "twice, eps 1e-8": _several(normalise_twice, small_eps),
    "twice, border repeated": _several(normalise_twice, repeated_border),
    "twice, both": _several(normalise_twice, small_eps, repeated_border),
}


@torch.inference_mode()
def _predict(model, part, precision: str, change) -> tuple[list[Tensor], list[Tensor]]:
    """Frame by frame, in the network's mode: logits and targets, each (1, 1, H, W), at the mask's size."""
    logits, targets = [], []
    for image, target in (part[i] for i in range(len(part))):
        with autocast(model.device, precision):
            answer = model(change(image[None].to(model.device)))[-1]
        logits.append(resize_logits(answer, target.shape[-2:]).float())
        targets.append(target[None].to(model.device) > 0)
    return logits, targets


def _score(logits, targets, decide=lambda x: x > 0, pool: int = 1) -> dict[str, float]:
    """Dice and IoU: the mean over frames; with `pool`, pixels are pooled over so many frames first."""
    counts = [count_pixels(decide(x), target) for x, target in zip(logits, targets, strict=True)]
    groups = concatenate([concatenate(counts[i : i + pool]).pooled() for i in range(0, len(counts), pool)])
    return {
        name: round(score(groups).nanmean().item(), 6)
        for name, score in (("dice", dice_score), ("iou", iou_score))
    }


def _by_seed(
    name: str, config: Config, data: Splits, seeds: Iterable[int], measure: Callable[[Config], Values]
) -> tuple[dict[str, Any], Values]:
    """Measure with each seed; every one that is done is kept in `runs/experiments/<name>/`, for a restart.

    Args:
        measure: from the configuration with its seed to the values.

    Returns:
        config, data, versions, machine, minutes, seeds; and by both names the values, one for each seed.

    Raises:
        UsageError: what is kept there was measured with other settings, or on other data.
    """
    folder = make_folder(project_root() / "runs" / "experiments" / name)
    done = []
    for one in (changed(config, seed=seed) for seed in seeds):
        file, made_from = folder / f"seed_{one.seed}.json", {"config": one.to_dict(), "data": data.about}
        if not file.is_file():
            start = time.perf_counter()
            found = {"values": measure(one), "minutes": (time.perf_counter() - start) / 60}
            write_atomic(file, json.dumps(made_from | found))
        done.append(json.loads(file.read_text()))
        if {key: done[-1][key] for key in made_from} != made_from:
            raise UsageError(f"{file}: was measured with other settings or on other data; move it away")
    origin = {
        "config": config.to_dict(),
        "data": data.about,
        "versions": versions(),
        "machine": machine(config.device, config.precision),
        "minutes": round(sum(seed["minutes"] for seed in done), 1),
        "seeds": [seed["config"]["seed"] for seed in done],
    }
    values = {
        outer: {inner: [seed["values"][outer][inner] for seed in done] for inner in inners}
        for outer, inners in done[0]["values"].items()
    }
    return origin, values


MEASUREMENTS: dict[str, Callable[[str | Path | None], dict[str, Any]]] = {
    "redness_rules": redness_rules,
    "dataset_facts": dataset_facts,
    "encoder_inputs": encoder_inputs,
    "mistakes": mistakes,
    "normalised_twice": normalised_twice,
    "threads": threads,
    "clinicdb_elsewhere": score_elsewhere,
    "doubts": count_doubts,
    "copied_by_gap": copied_by_gap,
}
