"""The mean of several networks, against the mean by hand of what each of them answers."""

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

import polyp
from polyp.__main__ import main
from polyp.data.familiar import AnyFamiliar
from polyp.data.images import read_image
from polyp.errors import DataError, UsageError
from polyp.run.checkpoint import load_model, save_checkpoint
from polyp.run.engines import SHIPPED_ONNX
from polyp.run.ensemble import find_members
from polyp.run.regions import shown_regions


def other(source, target, size=(32, 32), shift=0.3, **metadata):
    """Another network: the weights of `source` moved, seen at another size."""
    model, found = load_model(source)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(shift * torch.randn_like(parameter) * parameter.abs().mean())
    found["config"]["size"] = list(size)
    target.parent.mkdir(parents=True, exist_ok=True)
    return save_checkpoint(target, model, found | metadata)


@pytest.fixture(scope="module")
def members(_finished, tmp_path_factory):
    """Two checkpoints, one of another size, and the exported network that ships, whose point differs."""
    place = tmp_path_factory.mktemp("members")
    torch.manual_seed(0)
    second = other(_finished.best, place / "second.safetensors", (48, 64))
    return [_finished.best, second, SHIPPED_ONNX]


@pytest.fixture
def frame(frames_folder):
    return sorted((frames_folder / "images").iterdir())[0]


@pytest.mark.parametrize("mirror", [False, True])
def test_the_mean_of_the_probabilities(members, frame, mirror):
    alone = [polyp.load(path).predict(frame, mirror=mirror).probs for path in members]
    found = polyp.load(members).predict(frame, mirror=mirror)
    assert np.ptp(np.stack(alone), axis=0).max() > 0.02  # they do not agree
    assert found.probs.dtype == np.float32
    np.testing.assert_allclose(found.probs, np.mean(alone, axis=0), atol=1e-6)
    np.testing.assert_array_equal(found.mask, found.probs > 0.5)


def test_a_second_look_is_the_mean_of_all_looks(members, frame):
    image = read_image(frame)
    engines = [polyp.load(path).engine for path in members]
    threshold = float(np.quantile(np.mean([e.probs(image) for e in engines], axis=0), 0.9))
    looks = np.mean([engine.probs(image, mirror=True) for engine in engines], axis=0)
    found = polyp.load(members, threshold=threshold, min_peak=0.4, second_look=True).predict(image)
    expected = shown_regions(found.probs, threshold, 0.4, evidence=looks)
    np.testing.assert_array_equal(found.mask, expected)
    ensemble = polyp.load(members).engine
    np.testing.assert_allclose(ensemble.confirm(image, ensemble.probs(image)), looks, atol=1e-6)


def test_one_member_is_that_network(run, frame):
    expected = polyp.load(run.best).predict(frame).probs
    for path in ([run.best], run.path, str(run.path)):
        np.testing.assert_array_equal(polyp.load(path).predict(frame).probs, expected)
    with pytest.raises(UsageError, match="the list of checkpoints is empty"):
        polyp.load([])


def test_the_operating_point_is_what_all_share(run, tmp_path):
    one = other(run.best, tmp_path / "1.safetensors", threshold=0.4, min_peak=0.8, second_look=True)
    two = other(run.best, tmp_path / "2.safetensors", threshold=0.6, min_peak=0.8)
    point = polyp.load([one, two]).point
    assert (point.threshold, point.min_peak, point.second_look) == (0.5, 0.8, False)
    assert polyp.load([one, two]).metadata["differing"] == ["threshold", "second_look"]
    assert polyp.load([one, two], threshold=0.3).point.threshold == 0.3
    assert list(polyp.load([one, two]).metadata["members"]) == [str(one), str(two)]


class Doubting:
    def __init__(self, doubt, size):
        self.said, self.size = doubt, size

    def doubt(self, image, size):
        assert size == self.size
        return self.said


def test_what_is_familiar_to_one_is_not_doubted():
    dark, known = Doubting("almost black", (1, 2)), Doubting("", (3, 4))
    image = np.zeros((4, 4, 3), np.uint8)
    assert AnyFamiliar([(dark, (1, 2)), (dark, (1, 2))]).doubt(image, (9, 9)) == "almost black"
    assert AnyFamiliar([(dark, (1, 2)), (known, (3, 4))]).doubt(image, (9, 9)) == ""


@pytest.fixture
def folds(run, tmp_path):
    """A folder as `cross_validate` makes it, with eleven folds."""
    for k in range(11):
        shutil.copytree(run.path, tmp_path / "cv" / f"fold_{k}")
    return tmp_path / "cv"


def test_a_folder_of_folds_means_the_best_of_each(folds, frame, capsys):
    assert find_members(folds) == [folds / f"fold_{k}" / "best.safetensors" for k in range(11)]
    (folds / "fold_10" / "metrics.json").unlink()
    with pytest.raises(DataError, match=r"fold_10: this fold has not ended: polyp train --resume .*cv"):
        polyp.load(folds)
    shutil.rmtree(folds / "fold_10")
    assert main(["info", str(folds)]) == 0
    assert "10 networks" in capsys.readouterr().out
    assert main(["info", str(folds), "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 10
    # the same network ten times is that network
    expected = polyp.load(folds / "fold_0").predict(frame).probs
    np.testing.assert_allclose(polyp.load(folds).predict(frame).probs, expected, atol=1e-6)


@pytest.mark.parametrize("first", [True, False])
def test_the_command_takes_several(members, frame, first, tmp_path, capsys):
    flags = ["--checkpoint", *map(str, members)]
    arguments = [*flags, str(frame)] if first else [str(frame), *flags]
    assert main(["predict", *arguments, "--out", "out", "--probabilities"]) == 0
    expected = np.round(polyp.load(members).predict(frame).probs * 255)
    found = np.array(Image.open(tmp_path / "out" / "probabilities" / f"{frame.stem}.png"))
    np.testing.assert_array_equal(found, expected)
    said = capsys.readouterr()
    assert f"the mean of 3 networks: {members[0]}, " in said.out
    assert "operating points differ; used: min_peak 0.0, second_look False" in said.err


def test_a_fault_names_its_file(members, run, frame, tmp_path, capsys):
    broken = other(run.best, tmp_path / "broken.safetensors", shift=1e30)
    cases = {
        ("x.safetensors",): "polyp predict: x.safetensors: no such checkpoint",
        (str(broken),): f"polyp predict: {broken}: the network answers with NaN",
        (str(run.best),): f"polyp predict: {run.best}: is named twice; it would count double",
        (str(members[1]), "--level", "7"): f"polyp predict: {run.best}: level is 7; expected 1 to 2",
        (str(members[2]), "--precision", "bf16"): f"polyp predict: {members[2]}: ONNX Runtime computes in",
    }
    for flags, message in cases.items():
        assert main(["predict", str(frame), "--checkpoint", str(run.best), *flags, "--out", "out"]) in (1, 2)
        said = capsys.readouterr().err
        assert said.startswith(message)
        assert len(said.splitlines()) == 1


def test_nothing_but_pictures_is_missing(run, capsys):
    assert main(["predict", "--checkpoint", str(run.best), str(run.path)]) == 2
    assert "required: PICTURE" in capsys.readouterr().err
