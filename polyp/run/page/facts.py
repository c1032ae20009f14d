"""What a run's page knows of its data: which frame is in which part, of which video and hospital."""

from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from polyp.config import Config
from polyp.data.dataset import Splits
from polyp.data.sources import NO_POLYP, find_sources, group_names, kept_together, source_names
from polyp.data.split import PARTS
from polyp.errors import DataError
from polyp.run.folder import RunFolder

LEARNT = ("train", "val")  # the second chose the epoch


class Facts(NamedTuple):
    """A finished run and its frames.

    `epoch` is the one that was kept. `frames` has the columns frame, part, group (its video, else its
    near-duplicates), hospital (else its dataset; None without a polyp) and polyp; `videos` says whether the
    groups are videos. `tables` holds for each part that was scored its `RunFolder.frames`, with the group.
    """

    folder: RunFolder
    config: Config
    epoch: int
    frames: pd.DataFrame
    videos: bool
    tables: dict[str, pd.DataFrame]

    @property
    def unit(self) -> str:
        """What the groups are, in words."""
        return "videos" if self.videos else "groups of near-duplicate frames"

    def groups(self, *parts: str) -> set[str]:
        """The groups that have frames in any of these parts."""
        return set(self.frames["group"][self.frames["part"].isin(parts)])

    def hospitals(self, *parts: str) -> set[str]:
        """The hospitals (else datasets) that have frames with a polyp in any of these parts."""
        return set(self.frames["hospital"][self.frames["part"].isin(parts)].dropna())

    def part_table(self) -> list[dict[str, Any]]:
        """For each part: its frames, those without a polyp, its groups and hospitals."""
        rows = []
        for part in PARTS:
            frames = self.frames[self.frames["part"] == part]
            rows.append(
                {
                    "part": part,
                    "frames": len(frames),
                    "clean": int((~frames["polyp"]).sum()),
                    "groups": frames["group"].nunique(),
                    "hospitals": frames["hospital"].nunique(),
                }
            )
        return [row for row in rows if row["frames"]]


def facts_of_run(folder: RunFolder, data: Splits, data_path: str | Path | None = None) -> Facts:
    """Put together what is known of a finished run.

    Raises:
        DataError: the run has not ended, its scores were changed, or its data cannot be used.
    """
    config, metrics, table = folder.config(), folder.metrics(), data.train.cache.table
    own, added = find_sources(config.data, config.add, data_path, config.mask_values, config.masks)
    areas = table["area"].to_numpy()
    groups = group_names(own + added, areas, data.train.cache.images)
    hospitals = source_names(own + added, areas)
    frames = data.table[data.table["part"].isin(PARTS)].reset_index(drop=True)
    frames = frames.assign(group=frames["frame"].map(groups), hospital=frames["frame"].map(hospitals))
    frames["polyp"] = frames["frame"].map(dict(zip(table["frame"], areas > 0, strict=True)))
    frames["hospital"] = frames["hospital"].mask(frames["hospital"] == NO_POLYP)
    videos = all(kept_together(source) == "video" for source in own + added)
    tables = {part: _scored(folder, part, frames) for part in ("val", "test") if metrics.get(part)}
    return Facts(folder, config, metrics["epoch"], frames, videos, tables)


def _scored(folder: RunFolder, part: str, frames: pd.DataFrame) -> pd.DataFrame:
    """The scores of a part's frames, which must be those of the data, with the group of each."""
    table, own = folder.frames(part), frames[frames["part"] == part]
    if table is None or sorted(table["frame"]) != sorted(own["frame"]):
        lacking = "is missing" if table is None else "not the scores of this run's frames"
        again = f"{folder.how_to_resume}{' --test' if part == 'test' else ''}"
        raise DataError(f"{folder.path / part}.csv: {lacking}; to score them again: {again}")
    return table.merge(own[["frame", "group"]], on="frame")
