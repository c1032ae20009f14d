import pytest
import torch
from torch import nn
from torch.nn.functional import interpolate

from polyp.config import Config
from polyp.errors import UsageError
from polyp.model.losses import bce_dice_loss, deep_supervision
from polyp.model.network import MEAN, STD, UNet, UNetPlusPlus, build_model, resize_logits

WIDTHS = (4, 8, 12, 16, 20)


def frames(*shape, seed=0):
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


NETWORKS = {
    "unet": lambda: UNet(WIDTHS),
    "unetpp": lambda: UNetPlusPlus(WIDTHS, deep_supervision=False),
    "deep": lambda: UNetPlusPlus(WIDTHS),
}
HEADS = {"unet": 1, "unetpp": 1, "deep": 4}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("size", [(16, 16), (48, 64), (33, 47), (5, 7), (1, 1), (1, 100)])
def test_any_size_comes_back_at_that_size(name, size):
    outputs = NETWORKS[name]().eval()(frames(2, 3, *size))
    assert [tuple(o.shape) for o in outputs] == [(2, 1, *size)] * HEADS[name]


def test_parameters_at_full_width():
    model = UNetPlusPlus()
    assert sum(p.numel() for p in model.parameters()) == pytest.approx(9.2e6, rel=0.01)
    for level, expected in ((1, 0.1e6), (2, 0.5e6), (3, 2.2e6), (4, 9.2e6)):
        nodes = [node for name, node in model.nodes.items() if sum(map(int, name.split("_"))) <= level]
        assert sum(p.numel() for node in nodes for p in node.parameters()) == pytest.approx(
            expected, rel=0.04
        )


def explicit_unetpp(model, x):
    """UNet++ with its fifteen nodes written out, as an oracle for the loop over anti-diagonals."""

    def node(name, *inputs):
        return model.nodes[name](torch.cat(inputs, dim=1))

    def up(x):
        return interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)

    pool = nn.MaxPool2d(2)
    x00 = node("0_0", x)
    x10 = node("1_0", pool(x00))
    x20 = node("2_0", pool(x10))
    x30 = node("3_0", pool(x20))
    x40 = node("4_0", pool(x30))
    x01 = node("0_1", x00, up(x10))
    x11 = node("1_1", x10, up(x20))
    x21 = node("2_1", x20, up(x30))
    x31 = node("3_1", x30, up(x40))
    x02 = node("0_2", x00, x01, up(x11))
    x12 = node("1_2", x10, x11, up(x21))
    x22 = node("2_2", x20, x21, up(x31))
    x03 = node("0_3", x00, x01, x02, up(x12))
    x13 = node("1_3", x10, x11, x12, up(x22))
    x04 = node("0_4", x00, x01, x02, x03, up(x13))
    return [model.heads[str(j + 1)](x) for j, x in enumerate((x01, x02, x03, x04))]


def test_the_loop_is_the_fifteen_lines():
    model = UNetPlusPlus(WIDTHS).eval()
    image = frames(2, 3, 32, 48)
    normalised = (image - torch.tensor(MEAN).view(1, 3, 1, 1)) / torch.tensor(STD).view(1, 3, 1, 1)
    for ours, expected in zip(model(image), explicit_unetpp(model, normalised), strict=True):
        assert torch.equal(ours, expected)


@pytest.mark.parametrize("level", [1, 2, 3, 4])
def test_a_pruned_forward_is_that_levels_head_and_skips_the_rest(level):
    model = UNetPlusPlus(WIDTHS).eval()
    image = frames(1, 3, 35, 45)  # padded to another multiple at each level, on purpose
    used = set()
    for name, node in model.nodes.items():
        node.register_forward_hook(lambda *_, name=name: used.add(name))
    image = image[..., :32, :32]
    full = model(image)
    used.clear()
    pruned = model(image, level)
    assert len(pruned) == level
    assert torch.equal(pruned[-1], full[level - 1])
    assert used == {f"{i}_{d - i}" for d in range(level + 1) for i in range(d + 1)}


@pytest.mark.parametrize("name", NETWORKS)
def test_every_parameter_gets_a_gradient(name):
    model = NETWORKS[name]()
    target = (frames(2, 1, 32, 32, seed=1) > 127).float()
    deep_supervision(bce_dice_loss, model(frames(2, 3, 32, 32)), target).backward()
    without = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert without == []


@pytest.mark.parametrize("name", NETWORKS)
def test_one_image_is_learnt_by_heart(name):
    torch.manual_seed(1)
    model = NETWORKS[name]()
    target = torch.zeros(1, 1, 32, 32)
    target[..., 8:20, 10:25] = 1
    image = frames(1, 3, 32, 32) // 4 + (target * 40).byte()
    optimizer = torch.optim.AdamW(model.parameters(), 0.01)
    for _ in range(60):
        optimizer.zero_grad()
        deep_supervision(bce_dice_loss, model(image), target).backward()
        optimizer.step()
    assert torch.equal(model(image)[-1] > 0, target > 0)


@pytest.mark.parametrize("name", NETWORKS)
def test_layout_and_dtype_of_the_input_do_not_matter(name):
    model = NETWORKS[name]().eval()
    image = frames(2, 3, 32, 32)
    for other in (image.float(), image.contiguous(memory_format=torch.channels_last)):
        assert torch.allclose(model(image)[-1], model(other)[-1], atol=1e-5)


def test_the_scale_travels_with_the_weights():
    state = UNet(WIDTHS).state_dict()
    assert torch.allclose(state["mean"].flatten(), torch.tensor(MEAN))
    assert torch.allclose(state["std"].flatten(), torch.tensor(STD))


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 1, 32, 32), (1, 4, 32, 32)])
def test_a_wrong_shape_is_named(shape):
    with pytest.raises(UsageError, match=r"expected \(N, 3, H, W\)"):
        UNet(WIDTHS)(torch.zeros(shape))


@pytest.mark.parametrize(
    ("name", "level", "message"),
    [
        ("deep", 0, "expected 1 to 4"),
        ("deep", 5, "expected 1 to 4"),
        ("unetpp", 2, "one head"),
        ("unet", 1, "whole"),
    ],
)
def test_a_level_that_is_not_there(name, level, message):
    with pytest.raises(UsageError, match=message):
        NETWORKS[name]()(frames(1, 3, 16, 16), level)


def test_build_model_follows_the_configuration():
    assert isinstance(build_model(Config("unet", WIDTHS)), UNet)
    deep, plain = (build_model(Config("unetpp", WIDTHS, deep_supervision=d)) for d in (True, False))
    assert (len(deep.heads), len(plain.heads)) == (4, 1)


def test_export_gives_equal_outputs():
    model, image = UNetPlusPlus((4, 8, 12)).eval(), frames(1, 3, 32, 32)
    exported = torch.export.export(model, (image,)).module()
    for ours, theirs in zip(model(image), exported(image), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-6)


def test_resize_logits():
    logits = torch.randn(1, 1, 4, 6)
    assert resize_logits(logits, (4, 6)) is logits
    assert resize_logits(logits, (9, 5)).shape == (1, 1, 9, 5)
