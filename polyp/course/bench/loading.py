"""Reading frames: decoded each time, or once into the cache; with and without loader processes."""

import multiprocessing
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from polyp.course.bench.turns import Plan, Section, take_turns
from polyp.data.augmentation import apply, evaluation_pipeline
from polyp.data.cache import FrameCache
from polyp.data.dataset import PolypDataset
from polyp.data.pairs import Pair, find_pairs, read_pair
from polyp.data.synthetic import write_dataset

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


def measure(plan: Plan, folder: Path) -> Section:
    """One pass over 120 frames of 288 x 384, already in the system's file cache."""
    frames = find_pairs(write_dataset(folder / "synthetic", sequences=3 if plan.quick else 12))
    cache = FrameCache(frames, SIZE, folder / "cache")
    cached, plain = PolypDataset(cache), DecodeEachTime(frames)
    loaders = {"decode each time": DataLoader(plain, BATCH), "cached": DataLoader(cached, BATCH)}
    notes = ["the cache lies on disk and is mapped: the system keeps it in memory while there is room"]
    if multiprocessing.get_start_method() == "fork":
        options: dict[str, Any] = {"num_workers": 2, "persistent_workers": True}
        loaders["decode each time, 2 processes"] = DataLoader(plain, BATCH, **options)
        loaders["cached, 2 processes"] = DataLoader(cached, BATCH, **options)
    else:
        notes.append("loader processes are not used where they are spawned, as on this system")
    times = take_turns(
        {name: partial(list, loader) for name, loader in loaders.items()},
        plan.rounds,
        "decode each time",
    )
    mapped = (cache.images.nbytes + cache.masks.nbytes) / 2**20
    rows = [
        {
            "way": name,
            "frames_per_s": len(frames) / timed.seconds,
            "ratio": timed.ratio,
            "mapped_mib": mapped if name.startswith("cached") else 0.0,
        }
        for name, timed in times.items()
    ]
    title = f"Loading {len(frames)} frames of 288 x 384, resized to {SIZE[0]} x {SIZE[1]}"
    return Section(title, rows, tuple(notes))
