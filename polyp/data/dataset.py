"""Frames and masks on disk -> a torch `Dataset`, decoded once.

`open_data` is the way from a configuration to the three datasets of a run; `cache.FrameCache` holds the
decoded pixels; `PolypDataset` hands them out.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.utils.data import Dataset

from polyp.config import Config
from polyp.data import augmentation
from polyp.data.cache import PRINT, FrameCache
from polyp.data.masks import doubt, read_mask
from polyp.data.sources import find_sources, kept_together, settled_split, source_names, split_table
from polyp.data.split import PARTS, parts_of, read_split
from polyp.errors import DataError, UsageError, name_some


class PolypDataset(Dataset):
    """Frames of a cache as tensors: image uint8 (3, H, W) in 0-255, mask uint8 {0, 1} (1, H, W).

    The network normalises; the dataset does not. Augmentation follows from (seed, epoch, index)
    alone, so a run gives the same frames with any number of workers, and after a resume.

    Args:
        cache: the decoded frames.
        frames: which of them, by name and in this order; all by default.
        augment: a name that `augment.training_pipeline` knows.
        seed: of the augmentation.
        full_size_masks: hand out the masks at their original size, for scoring as the mask's author
            drew it. Sizes may then differ between frames: load them one by one.

    Raises:
        UsageError: a frame that the cache does not hold.
    """

    def __init__(
        self,
        cache: FrameCache,
        frames: list[str] | None = None,
        augment: str = "none",
        seed: int = 0,
        full_size_masks: bool = False,
    ):
        row_of = {frame: row for row, frame in enumerate(cache.table["frame"])}
        self.frames = list(row_of) if frames is None else list(frames)
        missing = [frame for frame in self.frames if frame not in row_of]
        if missing:
            raise UsageError(f"{len(missing)} frames are not in the data, first '{missing[0]}'")
        self.cache = cache
        self.rows = [row_of[frame] for frame in self.frames]
        self.augment = augment
        self.seed = seed
        self.full_size_masks = full_size_masks
        self.epoch = 0  # set by the training loop before each pass
        self.pipeline = augmentation.training_pipeline(augment)

    @property
    def prints(self) -> list[str]:
        """A print of each frame's file, see `FrameCache`."""
        return [self.cache.prints[row] for row in self.rows]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        row = self.rows[index]
        image, mask = self.cache.images[row], self.cache.masks[row]
        if self.full_size_masks:
            mask = self._full_size_mask(row)
        if self.augment != "none":
            seed = int(np.random.SeedSequence((self.seed, self.epoch, row)).generate_state(1)[0])
            image, mask = augmentation.apply(self.pipeline, image, mask, seed)
        image = torch.from_numpy(np.array(image)).permute(2, 0, 1)  # (H, W, 3) -> (3, H, W)
        return image, torch.from_numpy(np.array(mask))[None]  # (H, W) -> (1, H, W)

    def _full_size_mask(self, row: int) -> np.ndarray:
        pair, (height, width) = self.cache.pairs[row], self.cache.table.loc[row, ["height", "width"]]
        return np.zeros((height, width), np.uint8) if pair.mask is None else read_mask(pair.mask, pair.values)


@dataclass(frozen=True)
class Splits:
    """What a run reads: its datasets, which frame is in which, and what the data are.

    `sources` names for each training frame its hospital, else its dataset, or that it shows no polyp.
    """

    train: PolypDataset
    val: PolypDataset | None = None  # none with `refit`
    test: PolypDataset | None = None  # none where one's own split has none
    table: pd.DataFrame = field(default_factory=pd.DataFrame)  # columns frame, part
    # name, frames, content (a digest); of a split by sequence also groups, see `sources.kept_together`
    about: dict[str, str | int] = field(default_factory=dict)
    sources: list[str] = field(default_factory=list)
    split: str = ""  # which one it is: a key of `split.SPLITS`, a file, or `its own parts`

    @property
    def prints(self) -> dict[str, str]:
        """For each part the prints of its frames, joined: what a checkpoint keeps of the split."""
        parts = {"train": self.train, "val": self.val, "test": self.test}
        return {name: "".join(part.prints) for name, part in parts.items() if part is not None}


def known_parts(prints: list[str], split: Mapping[str, str]) -> list[str]:
    """Which part of a split each frame was in, by the print of its file; empty for a frame that it lacks.

    Args:
        prints: of the frames.
        split: see `Splits.prints`. A file that is in several parts counts as learnt from.
    """
    part_of: dict[str, str] = {}
    for part in reversed(PARTS):
        text = split.get(part, "")
        part_of |= {text[at : at + PRINT]: part for at in range(0, len(text), PRINT)}
    return [part_of.get(found, "") for found in prints]


def open_data(config: Config, path: str | Path | None = None) -> Splits:
    """Find, decode and split the data that `config` names.

    Args:
        config: its data, split, fold, add, clean, refit, size, augment and seed count here.
        path: where the data lies, if not in `$POLYP_DATA` or `data/`.

    Returns:
        what the data is, and the datasets; only the training set is augmented, and the test set hands
        out its masks at their original size.

    Raises:
        DataError, UsageError: see `find_sources`, `FrameCache` and `parts_of`; also a training set
            smaller than one batch, or a part without frames.
    """
    data = _Opened(config, path)
    parts = data.parts()
    data.check_part("train", parts)
    if config.batch_size > len(parts["train"]):
        raise UsageError(
            f"batch_size is {config.batch_size}, but the training set has {len(parts['train'])} frames; "
            "choose a smaller batch"
        )
    for part in ("val",) * (not config.refit) + ("test",) * (not data.own_split):
        data.check_part(part, parts)
    rows = [(frame, part) for part in PARTS for frame in parts[part]]
    cache, names = data.cache, source_names(data.own + data.added, data.areas)
    return Splits(
        train=PolypDataset(cache, parts["train"], config.augment, config.seed),
        val=None if config.refit else PolypDataset(cache, parts["val"]),
        test=PolypDataset(cache, parts["test"], full_size_masks=True) if parts["test"] else None,
        table=pd.DataFrame(rows, columns=["frame", "part"]),
        about=data.about(),
        sources=[names[frame] for frame in parts["train"]],
        split=config.split_file or ("its own parts" if data.split == "auto" else data.split),
    )


def open_part(config: Config, part: str, path: str | Path | None = None) -> PolypDataset:
    """The frames of one part (train, val, test) or `all`, to be scored: not augmented, masks full size.

    Raises:
        UsageError: the validation frames of a run that has learnt from them (`refit`).
        DataError: a part without frames.
    """
    if config.refit and part == "val":
        raise UsageError("this run trained on its validation frames too (refit); score it on test")
    data = _Opened(config, path)
    if part == "all":
        return PolypDataset(data.cache, full_size_masks=True)
    parts = data.parts()
    data.check_part(part, parts)
    return PolypDataset(data.cache, parts[part], full_size_masks=True)


def open_folds(config: Config, path: str | Path | None = None) -> pd.DataFrame:
    """Which fold tests each frame.

    Returns:
        columns frame; fold, -1 for a frame that none tests; and sequence or centre, which the split keeps on
        one side, if it names them.

    Raises:
        UsageError: the split has a single fold.
        DataError, UsageError: see `open_data`.
    """
    data = _Opened(config, path)
    table = data.split_rows()
    if "fold" not in table or table["fold"].max() < 1:
        where = config.split_file or ("the data's own split" if data.own_split else f"a {data.split} split")
        needed = "split=sequence or hospital, or a split_file with the columns fold and validates"
        raise UsageError(f"{where} has only one fold; use {needed}")
    kept = [name for name in ("sequence", "centre") if name in table][:1]
    table = table[["frame", "fold", *kept]]
    if len(data.own) > 1 and kept == ["sequence"]:  # their numbers are a dataset's own
        table = table.assign(sequence=table["frame"].str.partition("/")[0] + " " + table["sequence"].map(str))
    return table


class _Opened:
    """The data that a configuration names, found and decoded."""

    def __init__(self, config: Config, path: str | Path | None):
        self.config = config
        self.own, self.added = find_sources(config.data, config.add, path, config.mask_values, config.masks)
        self.split = settled_split(config.split, self.own)
        self.own_split = bool(config.split_file) or self.split == "auto"
        self.cache = FrameCache([p for source in self.own + self.added for p in source.pairs], config.size)
        self.areas = self.cache.table["area"].to_numpy()
        start = 0
        for source in self.own + self.added:
            rows = range(start, start := start + len(source.pairs))
            drawn = [self.areas[row] for row in rows if self.cache.pairs[row].mask]
            if unlikely := doubt(drawn, config.mask_values):
                raise DataError(f"{source.folder}: {unlikely}")

    def about(self) -> dict[str, str | int]:
        """What a run remembers of its data, see `Splits`."""
        name = "+".join(filter(None, [self.config.data, self.config.add]))
        about: dict[str, str | int] = {"name": name, "frames": len(self.areas), "content": self.cache.key}
        if self.split == "sequence" and not self.config.split_file:
            about["groups"] = ", ".join(sorted({kept_together(source) for source in self.own}))
        return about

    def split_rows(self) -> pd.DataFrame:
        """The split's table, of all own frames."""
        if self.config.split_file:
            return read_split(self.config.split_file)
        count = sum(len(source.pairs) for source in self.own)
        return split_table(self.split, self.own, self.areas[:count], self.cache.images[:count])

    def parts(self) -> dict[str, list[str]]:
        """The frames of each part."""
        config, table = self.config, self.split_rows()
        parts = parts_of(table, config.fold)
        self._check_complete(parts)
        if config.refit:
            parts = parts | {"train": parts["train"] + parts["val"], "val": []}
        if config.train_sequences:
            parts["train"] = _some_sequences(table, parts["train"], config.train_sequences, config.seed)
        parts["train"] = parts["train"] + [pair.frame for source in self.added for pair in source.pairs]
        if not config.clean:
            polyp = set(self.cache.table["frame"][self.areas > 0])
            parts["train"] = [frame for frame in parts["train"] if frame in polyp]
        return parts

    def check_part(self, part: str, parts: dict[str, list[str]]) -> None:
        """Refuse a part without frames."""
        if parts[part]:
            return
        config = self.config
        if self.own_split:
            other = "train with refit, which needs none" if part == "val" else "choose another split or part"
            raise DataError(
                f"{config.split_file or config.data}: no frames are for {part}; add some, or {other}"
            )
        raise DataError(
            f"{config.data}: no frames for {part} in the {self.split} split, fold {config.fold}; it needs "
            "more videos, or more frames"
        )

    def _check_complete(self, parts: dict[str, list[str]]) -> None:
        """Refuse a split of other frames than the data's: it would leave some out, or ask for others."""
        count = sum(len(source.pairs) for source in self.own)
        listed = {frame for frames in parts.values() for frame in frames}
        frames = set(self.cache.table["frame"][:count])
        for some, what in (
            (frames - listed, "frames are not in its"),
            (listed - frames, "frames are missing, which are in its"),
        ):
            if some and self.config.split_file:
                raise DataError(
                    f"{self.config.split_file}: {len(some)} {what.replace('its', 'it')} "
                    f"({name_some(sorted(some))}); it must list all frames of {self.config.data}, no others"
                )
            if some:
                raise DataError(
                    f"{self.config.data}: {len(some)} {what} {self.split} split "
                    f"({name_some(sorted(some))}), which was made for the published dataset; name the folder "
                    "by its path, and it gets a split of its own"
                )


def _some_sequences(table: pd.DataFrame, frames: list[str], count: int, seed: int) -> list[str]:
    """The frames of `count` videos among `frames`."""
    if "sequence" not in table:
        raise UsageError("train_sequences chooses videos, which this split mixes; use split=sequence")
    sequence_of = dict(zip(table["frame"].astype(str), table["sequence"], strict=True))
    sequences = sorted({sequence_of[frame] for frame in frames}, key=lambda label: (str(type(label)), label))
    if count > len(sequences):
        raise UsageError(f"train_sequences is {count}, but {len(sequences)} videos are there to train on")
    # A larger count keeps the videos of a smaller one, so that a learning curve only ever adds.
    chosen = set(np.random.default_rng(seed).permutation(np.array(sequences, dtype=object))[:count])
    return [frame for frame in frames if sequence_of[frame] in chosen]
