"""Speed, as ratios within one run: what the cache, bf16 with channels_last, and not fetching numbers buy.

Times on a shared machine drift, so the two sides of each contest take turns, and only their ratio is
worth quoting. Run it alone: `polyp bench --out bench.json`.
"""

import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import torch
from torch.utils.data import DataLoader, Dataset

from polyp.config import Config
from polyp.data.augmentation import apply, evaluation_pipeline
from polyp.data.cache import FrameCache
from polyp.data.dataset import PolypDataset
from polyp.data.pairs import Pair, find_pairs, read_pair
from polyp.data.synthetic import write_dataset
from polyp.disk import write_atomic
from polyp.model.losses import bce_dice_loss, deep_supervision
from polyp.model.metrics import count_pixels, iou_score
from polyp.model.network import SegmentationNetwork, build_model
from polyp.run.hardware import autocast, choose_device, to_device

SIZE, BATCH = (256, 256), 8


class DecodeEachTime(Dataset):
    """The plain way: open, decode and resize both files whenever a frame is asked for."""

    def __init__(self, pairs: list[Pair]):
        self.pairs, self.pipeline = pairs, evaluation_pipeline(SIZE)

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        image, mask = apply(self.pipeline, *read_pair(self.pairs[index]))
        return torch.from_numpy(image).permute(2, 0, 1), torch.from_numpy(mask)[None]


Step = Callable[[], tuple[torch.Tensor, torch.Tensor]]  # returns the loss and the IoU


class Contest(NamedTuple):
    """The same work done in two ways."""

    ours: Callable[[], None]
    plain: Callable[[], None]
    images: int  # that each of them works through


def bench(rounds: int = 3, out: str | Path | None = None) -> dict:
    """Measure and print all three contests and the peak memory of training; with `out`, write them as JSON.

    Args:
        rounds: how often each side of a contest takes its turn, after one turn to warm up.
        out: a JSON file.

    Returns:
        images/s of both sides and the median ratio of each contest, and `peak_memory_gib` of training,
        None where the system does not say.
    """
    device = choose_device()
    print(f"{platform.machine()}, {os.cpu_count()} cores, {device}, torch {torch.__version__}")
    print(f"full-width UNet++ with deep supervision, {SIZE[0]} x {SIZE[1]}, batch {BATCH}\n")
    train, infer = training(device), inference(device)
    train.ours()
    memory = _peak_memory(device)  # before the plain ways have run
    print("peak memory of training:", "unknown" if memory is None else f"{memory:.1f} GiB")
    results: dict[str, Any] = {"device": str(device), "torch": torch.__version__, "rounds": rounds}
    results["peak_memory_gib"] = memory
    with tempfile.TemporaryDirectory() as folder:
        for name, contest in (
            ("loading: cached, against decoding each time", loading(Path(folder))),
            ("training: bf16 and channels_last, against fp32, NCHW and .item() each step", train),
            ("inference: bf16 and channels_last, against fp32 and NCHW", infer),
        ):
            results[name] = compare(name, contest, rounds)
    if out is not None:
        write_atomic(out, json.dumps(results, indent=2) + "\n")
    return results


def compare(name: str, contest: Contest, rounds: int) -> dict[str, float]:
    """Let both sides take turns, so that a drifting machine slows both, and print their ratio."""
    ours, plain, images = contest
    times = [[_seconds(side) for side in (ours, plain)] for _ in range(rounds + 1)][1:]  # the first is cold
    ratios = [slow / fast for fast, slow in times]
    speeds = [images / median(column) for column in zip(*times, strict=True)]
    print(
        f"{name}\n  {speeds[0]:.2f} against {speeds[1]:.2f} images/s: "
        f"{median(ratios):.2f} x ({min(ratios):.2f} to {max(ratios):.2f})",
        flush=True,
    )
    return {"images_per_s": speeds[0], "plain_images_per_s": speeds[1], "ratio": median(ratios)}


def _seconds(work: Callable[[], None]) -> float:
    start = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def _peak_memory(device: torch.device) -> float | None:
    """GiB at most so far; None on a system that does not say."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated() / 2**30
    try:
        import resource
    except ImportError:  # Windows
        return None
    unit = 1 if sys.platform == "darwin" else 2**10  # macOS counts in bytes, Linux in KiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30


def loading(folder: Path) -> Contest:
    """One pass over 120 frames of 288 x 384, already in the system's file cache."""
    frames = find_pairs(write_dataset(folder / "synthetic"))
    cached = PolypDataset(FrameCache(frames, SIZE, folder / "cache"))

    def read(dataset: Dataset) -> None:
        for _ in DataLoader(dataset, BATCH):
            pass

    return Contest(lambda: read(cached), lambda: read(DecodeEachTime(frames)), len(frames))


def training(device: torch.device) -> Contest:
    """Two steps, each with its loss and IoU."""
    image, target = _batch(device)

    def stepper(model: SegmentationNetwork, context: AbstractContextManager) -> Step:
        optimizer = torch.optim.AdamW(model.train().parameters())

        def step() -> tuple[torch.Tensor, torch.Tensor]:
            with context:
                outputs = model(image)
                loss = deep_supervision(bce_dice_loss, outputs, target)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            return loss.detach(), iou_score(count_pixels(outputs[-1].detach() > 0, target > 0)).nanmean()

        return step

    fast = stepper(to_device(build_model(Config())), autocast(device))
    slow = stepper(build_model(Config()).to(device), nullcontext())

    def ours() -> None:
        kept = [fast() for _ in range(2)]
        torch.stack([loss for loss, _ in kept]).tolist()

    def plain() -> None:
        for _ in range(2):
            loss, iou = slow()
            loss.item(), iou.item()

    return Contest(ours, plain, 2 * BATCH)


def inference(device: torch.device) -> Contest:
    """Two batches."""
    image, _ = _batch(device)

    def runner(model: SegmentationNetwork, context: AbstractContextManager) -> Callable[[], None]:
        model.eval()

        @torch.inference_mode()
        def run() -> None:
            for _ in range(2):
                with context:
                    model(image)

        return run

    ours = runner(to_device(build_model(Config())), autocast(device))
    return Contest(ours, runner(build_model(Config()).to(device), nullcontext()), 2 * BATCH)


def _batch(device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(0, 256, (BATCH, 3, *SIZE), dtype=torch.uint8, generator=generator)
    target = torch.randint(0, 2, (BATCH, 1, *SIZE), dtype=torch.uint8, generator=generator)
    return image.to(device), target.to(device)
