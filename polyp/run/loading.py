"""Batches of frames for training and scoring; loader processes live as long as their loader."""

import multiprocessing
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from polyp.config import Config
from polyp.data.dataset import PolypDataset
from polyp.run import distributed


class TrainingLoader:
    """The training frames in batches, in an order that follows from (seed, epoch) alone.

    Of several processes each gets its share of every batch; see `polyp.run.distributed`.

    Args:
        dataset: the training frames.
        config: batch size, balance, workers and seed count here.
        sources: where each frame is from, for `balance`; see `Splits`.
        device: where the batches go; for a GPU they are put in memory that it can fetch from.

    Raises:
        UsageError: the batch size cannot be shared by the processes.
    """

    def __init__(
        self,
        dataset: PolypDataset,
        config: Config,
        sources: Sequence[str] = (),
        device: torch.device = torch.device("cpu"),  # noqa: B008, a constant
    ):
        self.dataset, self.seed, self.batch_size = dataset, config.seed, config.batch_size
        self.weights = balanced_weights(sources, config.balance)
        own = distributed.share_of(config.batch_size)
        # A last, smaller batch would weigh its frames more and give batch normalisation less to average.
        self._order: list[tuple[int, int]] = [(0, 0)] * (len(dataset) // config.batch_size * own)
        self._loader: DataLoader = DataLoader(
            _Epochs(dataset),
            own,
            sampler=self._order,
            pin_memory=device.type == "cuda",
            **_processes(config.workers),
        )

    def __len__(self) -> int:
        """Batches in an epoch."""
        return len(self._loader)

    def batches(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """The batches of one epoch (from 0): image uint8 (N, 3, H, W), mask {0, 1} (N, 1, H, W)."""
        whole = len(self) * self.batch_size
        self._order[:] = [(epoch, index) for index in distributed.share(self._indices(epoch)[:whole])]
        return iter(self._loader)

    def frames(self, epoch: int, batch: int) -> list[str]:
        """The frames of one batch, by name."""
        indices = self._indices(epoch)[batch * self.batch_size : (batch + 1) * self.batch_size]
        return [self.dataset.frames[index] for index in indices]

    def _indices(self, epoch: int) -> list[int]:
        return epoch_order(len(self.dataset), self.seed, epoch, self.weights)


def scoring_loader(
    dataset: PolypDataset, batch_size: int, workers: int = 0, *, shared: bool = False
) -> DataLoader:
    """All frames, in their order, the last batch smaller; one by one where masks have their own sizes.

    With `shared`, only this process's share of them; see `polyp.run.distributed`.
    """
    frames = range(len(dataset))
    return DataLoader(
        dataset,
        1 if dataset.full_size_masks else batch_size,
        sampler=distributed.share(frames) if shared else frames,
        **_processes(workers),
    )


def epoch_order(frames: int, seed: int, epoch: int, weights: Tensor | None = None) -> list[int]:
    """The order in which an epoch visits the frames; with `weights` (N,) they are drawn, some repeatedly."""
    generator = torch.Generator().manual_seed(seed * 100_003 + epoch)
    if weights is None:
        return torch.randperm(frames, generator=generator).tolist()
    return torch.multinomial(weights, frames, replacement=True, generator=generator).tolist()


def balanced_weights(sources: Sequence[str], balance: float) -> Tensor | None:
    """How likely each frame is drawn, float64 (N,), so that small sources are seen more often.

    A source of n frames has a share in proportion to n ** (1 - balance): 0 is as the data are (None: every
    frame once per epoch), 1 the same for every source, 0.5 half-way.
    """
    if balance == 0 or not sources:
        return None
    sizes = Counter(sources)
    return torch.tensor([sizes[source] ** -balance for source in sources], dtype=torch.float64)


class _Epochs(Dataset):
    """A dataset whose indices are (epoch, index): so a worker that lives on learns of the next epoch."""

    def __init__(self, dataset: PolypDataset):
        self.dataset = dataset

    def __getitem__(self, key: tuple[int, int]) -> tuple[Tensor, Tensor]:
        self.dataset.epoch, index = key
        return self.dataset[index]


def _processes(wanted: int) -> dict:
    """How many loader processes to start; none where each would have to import everything anew."""
    if wanted and multiprocessing.get_start_method() != "fork":
        warnings.warn(
            "loader processes are spawned here, not forked, which costs seconds for each; going on with "
            "workers=0",
            stacklevel=2,
        )
        wanted = 0
    return {"num_workers": wanted, "persistent_workers": wanted > 0}
