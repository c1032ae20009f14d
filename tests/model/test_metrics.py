import math

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score, jaccard_score, precision_score, recall_score
from torchmetrics.functional.segmentation import dice_score as torchmetrics_dice

from polyp.model import metrics
from polyp.model.metrics import (
    AverageMeter,
    Counts,
    confusion_counts,
    dice_score,
    iou_score,
    summarise,
)

ORACLES = {"dice": f1_score, "iou": jaccard_score, "precision": precision_score, "recall": recall_score}


def random_case(share, images=5, shape=(13, 17), seed=0):
    generator = torch.Generator().manual_seed(seed)
    target = (torch.rand(images, 1, *shape, generator=generator) < share).to(torch.uint8)
    logits = torch.randn(images, 1, *shape, generator=generator)
    return logits, target


@pytest.mark.parametrize("share", [0.05, 0.3, 0.9])
@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.8])
def test_scores_are_scikit_learns(share, threshold):
    logits, target = random_case(share)
    counts = confusion_counts(logits, target, threshold)
    preds = (logits.sigmoid() > threshold).numpy()
    for name in metrics.SCORES:  # a new score without an oracle fails here
        oracle = ORACLES[name]
        expected = [oracle(t.ravel(), p.ravel()) for t, p in zip(target.numpy(), preds, strict=True)]
        np.testing.assert_allclose(metrics.SCORES[name](counts).numpy(), expected, rtol=1e-12)
        pooled = metrics.SCORES[name](counts.pooled()).item()
        assert pooled == pytest.approx(oracle(target.numpy().ravel(), preds.ravel()))


def test_dice_is_torchmetrics():
    logits, target = random_case(share=0.3)
    preds = (logits > 0).long()
    expected = torchmetrics_dice(
        preds[:, 0], target[:, 0].long(), num_classes=2, include_background=False, input_format="index"
    )
    assert torch.allclose(dice_score(confusion_counts(logits, target)).float(), expected.flatten())


def test_counts_add_up_to_the_pixels():
    counts = confusion_counts(*random_case(0.3))
    assert torch.equal(sum(counts), torch.full((5,), 13 * 17))
    assert all(count.dtype == torch.int64 for count in counts)


@pytest.mark.parametrize(
    ("predicted", "present", "expected"),
    [(False, False, math.nan), (False, True, 0.0), (True, False, 0.0), (True, True, 1.0)],
)
def test_empty_and_full(predicted, present, expected):
    logits = torch.full((1, 1, 4, 4), 3.0 if predicted else -3.0)
    target = torch.full((1, 1, 4, 4), int(present))
    for score in (iou_score, dice_score):
        assert score(confusion_counts(logits, target)).item() == pytest.approx(expected, nan_ok=True)


def test_an_undefined_score_is_counted_not_hidden():
    logits = torch.tensor([-3.0, 3.0]).view(2, 1, 1, 1)
    target = torch.tensor([0, 1]).view(2, 1, 1, 1)
    scores = summarise(confusion_counts(logits, target))
    assert scores["images"] == 2
    assert scores["dice_per_image"] == 1
    assert scores["dice_undefined"] == 1


def test_the_two_reductions_differ():
    counts = Counts(*(torch.tensor(column) for column in ([90, 1], [0, 9], [0, 9], [10, 81])))
    scores = summarise(counts)
    assert scores["dice_per_image"] == pytest.approx((1.0 + 0.1) / 2)
    assert scores["dice_pooled"] == pytest.approx(2 * 91 / (2 * 91 + 18))


def test_a_pixel_is_polyp_above_the_threshold_not_at_it():
    logits, target = torch.zeros(1, 1, 1, 1), torch.ones(1, 1, 1, 1)
    assert confusion_counts(logits, target, 0.5).tp.item() == 0
    assert confusion_counts(logits, target, 0.49).tp.item() == 1


@pytest.mark.parametrize(
    ("logits", "target", "threshold", "message"),
    [
        (torch.full((1, 1, 2, 2), math.nan), torch.zeros(1, 1, 2, 2), 0.5, "the logits hold NaN"),
        (torch.zeros(1, 1, 2, 2), torch.zeros(1, 2, 2), 0.5, "expected the same"),
        (torch.zeros(2, 2), torch.zeros(2, 2), 0.5, "expected the same"),
        (torch.zeros(1, 1, 2, 2), torch.zeros(1, 1, 2, 2), -2.5, "expected a probability"),
    ],
)
def test_bad_input(logits, target, threshold, message):
    with pytest.raises(ValueError, match=message):
        confusion_counts(logits, target, threshold)


def test_average_meter_weighs_by_count():
    meter = AverageMeter()
    assert math.isnan(meter.avg)
    meter.update(1.0, n=3)
    meter.update(torch.tensor(2.0, requires_grad=True), n=1)
    assert meter.avg == 1.25
    assert not meter.sum.requires_grad  # else it would keep every batch's graph alive
