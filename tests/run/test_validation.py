import math
import shutil

import numpy as np
import pytest
import torch
from torch.nn.functional import interpolate

from polyp.config import changed
from polyp.data.dataset import open_data, open_part
from polyp.data.images import read_image, write_png
from polyp.disk import make_folder
from polyp.model.losses import bce_dice_loss
from polyp.model.metrics import confusion_counts, dice_score
from polyp.model.network import SegmentationNetwork, build_model
from polyp.run.inference import confirm, predict_probs
from polyp.run.prediction import predict_files
from polyp.run.validation import validate


@pytest.fixture
def model(tiny):
    return build_model(tiny).eval()


def test_scores_are_those_of_one_frame_after_the_other(tiny, model):
    dataset = open_data(tiny).val
    found = validate(model, dataset, batch_size=3, precision="fp32")
    assert found.table["frame"].tolist() == dataset.frames
    losses = []
    for i, row in enumerate(found.table.itertuples()):
        image, target = dataset[i]
        outputs = model(image[None])
        losses.append(sum(bce_dice_loss(o, target[None]).item() for o in outputs) / len(outputs))
        counts = confusion_counts(outputs[-1], target[None])
        assert (row.tp, row.fp, row.fn, row.tn) == tuple(int(c) for c in counts)
        assert row.dice == pytest.approx(dice_score(counts).item(), nan_ok=True)
    assert found.loss == pytest.approx(sum(losses) / len(losses), rel=1e-4)
    assert found.scores["dice_per_image"] == pytest.approx(found.table["dice"].mean())
    assert found.scores["images"] == len(dataset)


def test_full_size_masks_are_scored_at_their_size(tiny, model):
    dataset = open_part(tiny, "test")
    table = validate(model, dataset, precision="fp32").table
    assert (table[["tp", "fp", "fn", "tn"]].sum(axis=1) == 48 * 64).all()
    image, target = dataset[0]
    logits = interpolate(model(image[None])[-1], (48, 64), mode="bilinear", align_corners=False)
    assert table["tp"][0] == ((logits > 0) & (target[None] > 0)).sum().item()


def test_threshold_and_level_count(tiny, model):
    dataset = open_data(tiny).val
    model.heads["2"].bias.data.fill_(0.3)
    predicted = [
        validate(model, dataset, threshold=t, precision="fp32").table.eval("tp + fp").sum()
        for t in (0.4, 0.5, 0.6)
    ]
    assert predicted == sorted(predicted, reverse=True)
    assert predicted[0] > predicted[2]
    expected = (model(dataset[0][0][None])[0] > 0).sum().item()
    pruned = validate(model, dataset, level=1, precision="fp32").table
    assert pruned["tp"][0] + pruned["fp"][0] == expected


@pytest.mark.parametrize("training", [True, False])
def test_the_model_is_left_as_it_was(tiny, model, training):
    model.train(training)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    validate(model, open_data(tiny).val)
    assert model.training is training
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())


def test_a_broken_network_does_not_pass_for_a_cautious_one(tiny, model):
    model.heads["2"].bias.data.fill_(float("nan"))
    with pytest.raises(ValueError, match="the logits hold NaN"):
        validate(model, open_data(tiny).val)


def test_clean_frames_are_marked_or_not(tiny, frames_folder, tmp_path, model):
    """Regions of fewer than ten pixels are no mark; Dice speaks of frames with a polyp only."""
    folder = shutil.copytree(frames_folder, tmp_path / "data")
    for n in range(4):
        write_png(make_folder(folder / "negatives") / f"v{n}__1.png", np.full((48, 64, 3), n, np.uint8))
    dataset = open_part(changed(tiny, data=str(folder), split="random"), "all")
    clean = [frame for frame in dataset.frames if "__" in frame]
    marks = {clean[0]: 0, clean[1]: 9, clean[2]: 10, clean[3]: 500}

    class Marking(torch.nn.Module):
        """Answers with a square region of so many pixels, by the grey of the clean frame, else all polyp."""

        device, training = torch.device("cpu"), False
        evaluating = SegmentationNetwork.evaluating

        def forward(self, image, level=None):
            logits = torch.full((1, 1, 48, 64), 9.0)
            if image.max() < 4:
                logits.fill_(-9.0).view(-1)[: marks[clean[int(image.max())]]] = 9.0
            return (logits,)

    found = validate(Marking(), dataset, precision="fp32")
    table = found.table.set_index("frame")
    assert table["marked"][clean].tolist() == [False, False, True, True]
    assert found.scores["clean_marked"] == 0.5
    assert found.scores["clean"] == 4
    with_polyp = table.drop(clean)
    assert found.scores["dice_per_image"] == pytest.approx(with_polyp["dice"].mean())
    assert math.isnan(validate(Marking(), open_part(tiny, "test"), precision="fp32").scores["clean_marked"])


def test_a_second_look_is_as_in_prediction(tiny, model, tmp_path):
    """The same frames, one after the other through `predict_files`, are marked alike."""
    dataset = open_part(tiny, "test")
    files = []
    for i in range(len(dataset)):
        # as large as the masks, so that both ways shrink the same picture to the same pixels
        image = dataset[i][0].permute(1, 2, 0).numpy()
        files.append(write_png(tmp_path / f"{i}.png", np.kron(image, np.ones((2, 2, 1), np.uint8))))
    first = [predict_probs(model, read_image(file), tiny.size, precision="fp32") for file in files]
    point = {"threshold": float(np.median([np.quantile(probs, 0.97) for probs in first]))}
    peaks = [
        confirm(model, read_image(file), tiny.size, probs, precision="fp32")[probs > point["threshold"]].max()
        for file, probs in zip(files, first, strict=True)
        if probs.max() > point["threshold"]
    ]
    point |= {"min_peak": float(np.median(peaks)), "second_look": True}  # and shows some of these
    expected = [found.mask for found in predict_files(model, files, tiny.size, **point, precision="fp32")]
    dataset.full_size_masks = False
    dataset.cache.masks = np.zeros((len(dataset.cache.masks), 64, 64), np.uint8)
    table = validate(model, dataset, **point, precision="fp32").table
    assert (table["tp"] + table["fp"]).tolist() == [int(mask.sum()) for mask in expected]
    marked = [mask.any() for mask in expected]
    assert any(marked)
    assert not all(marked)
