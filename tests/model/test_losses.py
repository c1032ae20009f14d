import pytest
import torch
from torch.nn.functional import binary_cross_entropy

from polyp.model.losses import LOSSES, bce_dice_loss, bce_loss, deep_supervision, dice_loss


@pytest.fixture
def case():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 1, 5, 7, generator=generator, dtype=torch.float64)
    return logits, (torch.rand(3, 1, 5, 7, generator=generator) > 0.6).to(torch.uint8)


def dice_by_hand(logits, target):
    losses = []
    for x, y in zip(logits, target.double(), strict=True):
        p = 1 / (1 + torch.exp(-x))
        losses.append(1 - (2 * (p * y).sum() + 1) / (p.sum() + y.sum() + 1))
    return sum(losses) / len(losses)


def test_values_are_those_of_the_definitions(case):
    logits, target = case
    bce = binary_cross_entropy(logits.sigmoid(), target.double())
    assert bce_loss(logits, target).item() == pytest.approx(bce.item(), rel=1e-6)
    assert dice_loss(logits, target).item() == pytest.approx(dice_by_hand(logits, target).item(), rel=1e-6)
    assert bce_dice_loss(logits, target) == bce_loss(logits, target) + dice_loss(logits, target)


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_are_those_of_finite_differences(case, name):
    logits, target = case
    loss = LOSSES[name]
    logits = logits.float().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(logits, target), logits)
    step = torch.zeros_like(logits)
    step[1, 0, 2, 3] = 0.05
    with torch.no_grad():
        slope = (loss(logits + step, target) - loss(logits - step, target)) / 0.1
    assert gradient[1, 0, 2, 3].item() == pytest.approx(slope.item(), rel=0.02)


@pytest.mark.parametrize("name", LOSSES)
def test_a_perfect_prediction_costs_nothing(case, name):
    _, target = case
    assert LOSSES[name]((target.float() - 0.5) * 200, target) == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize("name", LOSSES)
def test_extreme_logits_and_empty_masks_stay_finite(name):
    logits = torch.tensor([-1e4, 1e4]).view(1, 1, 1, 2).requires_grad_()
    for target in (torch.zeros(1, 1, 1, 2), torch.ones(1, 1, 1, 2)):
        loss = LOSSES[name](logits, target)
        (gradient,) = torch.autograd.grad(loss, logits)
        assert loss.isfinite()
        assert gradient.isfinite().all()


def test_dice_of_an_empty_mask_predicted_empty_is_no_loss():
    assert dice_loss(torch.full((1, 1, 8, 8), -50.0), torch.zeros(1, 1, 8, 8)) == pytest.approx(0)


def test_bf16_logits_are_summed_in_fp32(case):
    logits, target = case
    assert bce_dice_loss(logits.bfloat16(), target).dtype == torch.float32


def test_deep_supervision_is_the_mean_over_heads(case):
    logits, target = case
    outputs = (logits, logits * 2, -logits)
    expected = sum(bce_loss(head, target) for head in outputs) / 3
    assert torch.equal(deep_supervision(bce_loss, outputs, target), expected)
    assert torch.equal(deep_supervision(bce_loss, outputs[:1], target), bce_loss(logits, target))


def test_dice_loss_on_an_empty_mask_saturates_and_bce_does_not():
    """With S marked in all, Dice loss is S / (S + 1): its slope dies as S grows, cross-entropy's does not."""
    target = torch.zeros(1, 1, 8, 8)
    slopes = {}
    for name, loss in (("dice", dice_loss), ("bce", bce_loss)):
        logits = torch.full((1, 1, 8, 8), 2.0, requires_grad=True)
        value = loss(logits, target)
        value.backward()
        slopes[name] = logits.grad.abs().sum().item()
        if name == "dice":
            marked = logits.detach().sigmoid().sum().item()
            assert value.item() == pytest.approx(marked / (marked + 1))
            probs = logits.detach().sigmoid()
            by_hand = (probs * (1 - probs)).sum().item() / (marked + 1) ** 2
            assert slopes[name] == pytest.approx(by_hand, rel=1e-4)
    assert slopes["bce"] > 100 * slopes["dice"]
