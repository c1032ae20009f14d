"""Batches of frames: their order, and the processes that load them."""

import os

import pytest
import torch

from polyp.config import changed
from polyp.data.dataset import PolypDataset, open_data
from polyp.run import loading
from polyp.run.loading import TrainingLoader, balanced_weights, epoch_order, scoring_loader
from polyp.run.training import new_model, train


@pytest.fixture
def whose(monkeypatch):
    """Datasets hand out the number of the process that loaded each frame, instead of its pixels."""
    monkeypatch.setattr(PolypDataset, "__getitem__", lambda self, index: (os.getpid(), self.epoch))


def test_an_epoch_visits_every_frame_in_its_own_order():
    orders = [epoch_order(50, seed, epoch) for seed, epoch in ((0, 0), (0, 1), (1, 0))]
    assert all(sorted(order) == list(range(50)) for order in orders)
    assert len({tuple(order) for order in orders}) == 3
    assert epoch_order(50, 0, 1) == orders[1]


@pytest.mark.parametrize(("balance", "share"), [(0.0, 0.9), (0.5, 0.75), (1.0, 0.5)])
def test_balance_gives_small_sources_their_share(balance, share):
    names = ["large"] * 90 + ["small"] * 10
    weights = balanced_weights(names, balance)
    drawn = [names[i] for epoch in range(200) for i in epoch_order(100, 0, epoch, weights)]
    assert drawn.count("large") / len(drawn) == pytest.approx(share, abs=0.01)
    assert epoch_order(100, 0, 3, weights) == epoch_order(100, 0, 3, weights)
    assert (weights is None) == (balance == 0)


@pytest.mark.parametrize("workers", [0, 2])
def test_each_epoch_has_its_order_and_its_augmentation(tiny, workers):
    config = changed(tiny, augment="standard", batch_size=4, workers=workers)
    data = open_data(config).train
    loader = TrainingLoader(data, config)
    for epoch in (0, 1, 5):
        batches = list(loader.batches(epoch))
        assert len(batches) == len(loader) == len(data) // 4
        data.epoch = epoch
        order = epoch_order(len(data), config.seed, epoch)
        for batch, (image, mask) in enumerate(batches):
            rows = order[batch * 4 : batch * 4 + 4]
            expected = [torch.stack(column) for column in zip(*(data[i] for i in rows), strict=True)]
            assert torch.equal(image, expected[0])
            assert torch.equal(mask, expected[1])
            assert loader.frames(epoch, batch) == [data.frames[i] for i in rows]


def test_processes_start_once_and_learn_of_the_next_epoch(tiny, whose):
    loader = TrainingLoader(open_data(tiny).train, changed(tiny, workers=2))
    seen = []
    for epoch in range(3):
        numbers, epochs = zip(*loader.batches(epoch), strict=True)
        assert set(torch.cat(epochs).tolist()) == {epoch}
        seen.append(set(torch.cat(numbers).tolist()))
    assert seen[0] == seen[1] == seen[2]
    assert len(seen[0]) == 2
    assert os.getpid() not in seen[0]


def test_a_run_keeps_its_processes(tiny, monkeypatch):
    started = []
    real = loading.DataLoader._get_iterator
    monkeypatch.setattr(loading.DataLoader, "_get_iterator", lambda self: started.append(self) or real(self))
    config = changed(tiny, workers=1, epochs=3)
    train(new_model(config), open_data(config), config)
    assert len(started) == 2  # for training and for validation, not for each epoch


def test_masks_of_their_own_size_come_one_by_one(tiny):
    data = open_data(tiny)
    assert all(len(image) == 1 for image, _ in scoring_loader(data.test, 8))
    assert [len(image) for image, _ in scoring_loader(data.val, len(data.val) - 1)] == [len(data.val) - 1, 1]


@pytest.mark.parametrize("method", ["spawn", "forkserver", "fork"])
def test_no_loader_processes_where_they_are_spawned(tiny, monkeypatch, method):
    data = open_data(tiny).val
    monkeypatch.setattr(loading.multiprocessing, "get_start_method", lambda: method)
    assert scoring_loader(data, 2, 0).num_workers == 0
    if method == "fork":
        assert scoring_loader(data, 2, 2).num_workers == 2
        return
    with pytest.warns(UserWarning, match="going on with workers=0"):
        assert scoring_loader(data, 2, 2).num_workers == 0
