"""The measurement of notebook 10 on networks that always get their frames normalised twice."""

import pytest
import torch

from polyp.config import Config, changed
from polyp.course import measurements
from polyp.course.experiments import read_result
from polyp.course.measurements import (
    FP32,
    NETWORKS,
    TREATMENTS,
    fresh_statistics,
    normalised_twice,
    repeated_border,
    small_eps,
)
from polyp.data.dataset import open_data
from polyp.model.network import build_model


def test_the_result_is_made_as_the_committed_one(tiny, monkeypatch):
    committed = read_result("normalised_twice")
    assert Config.from_dict(committed["config"]) == FP32
    monkeypatch.setattr(measurements, "train", lambda *_: [])
    monkeypatch.setattr(measurements, "NETWORKS", {name: {} for name in NETWORKS})
    found = normalised_twice(config=changed(tiny, encoder="efficientnet-lite0", widths=(4, 6, 8, 10)))
    assert found.keys() | {"name", "command"} == committed.keys()
    assert list(committed["dice"]) == list(found["dice"])
    assert list(found["dice"])[::2] == list(NETWORKS)
    assert set(committed["dice"]["pretrained encoder"]) == set(TREATMENTS)
    assert all(len(values) == len(found["seeds"]) for of in found["dice"].values() for values in of.values())


@pytest.mark.parametrize("settings", [{}, {"encoder": "efficientnet-lite0", "widths": (4, 6, 8, 10)}])
def test_the_treatments(tiny, settings):
    model = build_model(changed(tiny, pretrained=False, **settings)).eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    seen = []
    first = next(part for part in model.modules() if isinstance(part, torch.nn.Conv2d))
    first.register_forward_hook(lambda layer, given, answer: seen.append((given[0], answer)))
    image = torch.full((1, 3, 64, 64), 200.0)
    with torch.no_grad():
        model(image)
        repeated_border(model)
        model(image)
    assert seen[0][1].std(dim=(2, 3)).max() > 1e-3  # one colour everywhere, and yet a rim
    assert seen[1][1].std(dim=(2, 3)).max() < 1e-5
    after = model.state_dict().values()
    assert [value.shape for value in after] == [value.shape for value in before.values()]
    small_eps(model)
    assert {part.eps for part in model.modules() if isinstance(part, torch.nn.BatchNorm2d)} == {1e-8}


def test_statistics_anew(tiny):
    """One batch of all frames: the running averages are its mean and variance, and no weight changes."""
    model, frames = build_model(tiny), open_data(tiny).val
    weights = [parameter.clone() for parameter in model.parameters()]
    fresh_statistics(model, frames, batch=len(frames))
    assert not model.training
    assert all(torch.equal(*pair) for pair in zip(weights, model.parameters(), strict=True))
    images = torch.stack([frames[i][0] for i in range(len(frames))])
    with torch.no_grad():
        remembered = model(images)[-1]
        of_batch = model.train()(images)[-1]
    assert torch.allclose(remembered, of_batch, atol=0.05)
