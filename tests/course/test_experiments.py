import json
import re

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import f1_score

from polyp.__main__ import main
from polyp.config import Config, changed, configure
from polyp.course import experiments
from polyp.data.dataset import open_data, open_part
from polyp.errors import DataError, UsageError
from polyp.model.network import build_model
from polyp.run.inference import predict_probs


@pytest.fixture
def tiny_experiment(tiny, monkeypatch):
    """The settings of an experiment that is over in a second."""
    settings = {"data": tiny.data, "size": (32, 32), "widths": (4, 8, 16), "epochs": 1, "batch_size": 4}
    monkeypatch.setitem(experiments.EXPERIMENTS, "tiny", settings)
    return settings


@pytest.fixture
def result(tiny_experiment, tmp_path):
    """That experiment, run and scored."""
    return json.loads(experiments.experiment("tiny", out=tmp_path / "results").read_text())


def test_every_experiment_is_a_valid_configuration():
    for settings in experiments.EXPERIMENTS.values():
        configure(**settings)


def test_a_result_is_complete_and_agrees_with_its_table(result, tiny):
    assert Config.from_dict(result["config"]).data == tiny.data
    frames = pd.DataFrame(result["frames"])
    assert len(frames) == result["test"]["images"] == result["test_flips"]["images"]
    assert frames["dice"].mean() == pytest.approx(result["test"]["dice_per_image"], abs=1e-5)
    assert frames["dice_flips"].mean() == pytest.approx(result["test_flips"]["dice_per_image"], abs=1e-5)
    pooled = 2 * frames.tp.sum() / (2 * frames.tp + frames.fp + frames.fn).sum()
    assert pooled == pytest.approx(result["test_flips"]["dice_pooled"], abs=1e-5)
    assert (frames[["tp", "fp", "fn", "tn"]].sum(axis=1) == 48 * 64).all()
    bins = np.array(result["calibration"])
    assert bins[:, 0].sum() == 48 * 64 * len(frames)
    assert bins[:, 1].sum() == (frames.tp + frames.fn).sum()
    assert (bins[:, 2] <= bins[:, 0] * np.arange(1, 11) / 10 + 0.1).all()
    at_half = result["thresholds"]["values"].index(0.5)
    assert result["thresholds"]["test"][at_half] == pytest.approx(frames["dice_flips"].mean(), abs=1e-3)
    chosen = result["thresholds"]["values"].index(result["thresholds"]["chosen"])
    assert result["thresholds"]["val"][chosen] == max(result["thresholds"]["val"])
    assert result["levels"]["2"]["test"] == result["test"]["dice_per_image"]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_result_says_what_its_minutes_were_computed_in(tiny_experiment, tmp_path, precision):
    tiny_experiment["precision"] = precision
    result = json.loads(experiments.experiment("tiny", out=tmp_path / "results").read_text())
    assert result["machine"].split(", ")[-1] == precision


def test_a_refit_is_scored_on_test_alone(tiny_experiment, tmp_path):
    tiny_experiment["refit"] = True
    result = json.loads(experiments.experiment("tiny", out=tmp_path / "results").read_text())
    assert result["val"] is None
    assert "val_flips" not in result
    assert "val" not in result["thresholds"] | result["levels"]["2"]
    assert result["thresholds"]["chosen"] == 0.5
    assert result["curve"]["val_dice"] == [None]
    assert result["test"]["images"] == len(result["frames"]["frame"])


def test_a_finished_run_is_only_scored_again(result, tmp_path, monkeypatch):
    monkeypatch.setattr(experiments, "fit", None)  # calling it would fail
    again = json.loads(experiments.experiment("tiny", out=tmp_path / "again").read_text())
    for level in again["levels"].values():
        assert level.pop("ms") > 0  # measured anew
    for level in result["levels"].values():
        level.pop("ms")
    assert again == result


def test_a_run_of_another_configuration_is_not_mistaken(result, monkeypatch):
    monkeypatch.setitem(experiments.EXPERIMENTS["tiny"], "seed", 5)
    with pytest.raises(UsageError, match="another configuration"):
        experiments.experiment("tiny")


def test_a_misspelt_name():
    with pytest.raises(UsageError, match="did you mean 'random'"):
        experiments.experiment("randon")
    with pytest.raises(DataError, match="polyp experiment nothing"):
        experiments.read_result("nothing")


def test_the_command_line_refuses_a_misspelt_name_before_it_trains(monkeypatch, capsys):
    monkeypatch.setattr(experiments, "fit", None)
    assert main(["experiment", "random", "fold_9"]) == 2
    assert "'fold_9'; did you mean 'fold_" in capsys.readouterr().err
    assert main(["experiment"]) == 0
    assert capsys.readouterr().out.split() == experiments.experiment_names()


def test_frame_scores_agree_with_scikit_learn(tiny):
    torch.manual_seed(1)
    model = build_model(tiny).eval()
    data = open_part(tiny, "test")
    rows = experiments.frame_scores(model, data)
    for index, row in enumerate(rows["table"].to_dict("records")):
        image, target = data[index]
        probs = predict_probs(
            model, image.permute(1, 2, 0).numpy(), (32, 32), mirror=True, out_size=target.shape[1:]
        )
        truth = target[0].numpy().ravel()
        for t, dice in zip(experiments.THRESHOLDS, rows["by_threshold"][index], strict=True):
            assert dice == pytest.approx(
                f1_score(truth, probs.ravel() > t, zero_division=np.nan), nan_ok=True
            )
        assert row["tp"] + row["fn"] == truth.sum()


def test_regions():
    target = np.zeros((40, 40), bool)
    target[2:8, 2:8] = target[20:26, 2:8] = True
    preds = np.zeros((40, 40), bool)
    preds[2:8, 2:5] = True  # exactly half of the first
    preds[20:22, 2:8] = True  # a third of the second, and touching it
    preds[30:34, 30:34] = True  # elsewhere
    assert experiments.regions(preds, target) == {"polyps": 2, "found": 1, "false_regions": 1}
    nothing = np.zeros((40, 40), bool)
    assert experiments.regions(nothing, target) == {"polyps": 2, "found": 0, "false_regions": 0}
    assert experiments.regions(preds, nothing) == {"polyps": 0, "found": 0, "false_regions": 3}


def test_specks_are_neither_polyps_nor_false_regions():
    target = np.zeros((40, 40), bool)
    target[2:8, 2:8] = True
    target[30, 2:11] = True  # 9 pixels
    preds = np.zeros((40, 40), bool)
    preds[2:8, 2:8] = True
    preds[20, 20:29] = True  # 9 pixels
    assert experiments.regions(preds, target) == {"polyps": 1, "found": 1, "false_regions": 0}
    target[31, 2] = preds[21, 20] = True  # a tenth pixel each
    assert experiments.regions(preds, target) == {"polyps": 2, "found": 1, "false_regions": 1}
    preds[30:32, 2:11] = True  # a mark that touches a speck is no false region
    target[31, 2] = False
    assert experiments.regions(preds, target) == {"polyps": 1, "found": 1, "false_regions": 1}


def test_contrast():
    image = np.full((40, 40, 3), 100, np.uint8)
    target = np.zeros((40, 40), bool)
    target[10:20, 10:20] = True
    assert experiments.contrast(image, target) == 0
    image[target] = 255
    assert experiments.contrast(image, target) == pytest.approx(57.6, abs=0.5)  # L* of grey 100 is 42.4
    assert experiments.contrast(image, np.zeros((40, 40), bool)) is None
    assert experiments.contrast(image, np.ones((40, 40), bool)) is None


def test_fewer_videos_to_train_on(tiny):
    """A learning curve only ever adds videos, and tests on the same ones."""
    table = pd.read_csv(f"{tiny.data}/sequences.csv", dtype=str).set_index("frame")["sequence"]
    whole = open_data(tiny)
    before = set()
    for count in (1, 2, 3):
        data = open_data(changed(tiny, train_sequences=count))
        sequences = set(table[data.train.frames])
        assert len(sequences) == count
        assert before <= sequences
        assert data.test.frames == whole.test.frames
        before = sequences
    with pytest.raises(UsageError, match="train_sequences is 99"):
        open_data(changed(tiny, train_sequences=99))
    with pytest.raises(UsageError, match="split=sequence"):
        open_data(changed(tiny, train_sequences=1, split="random"))


def test_committed_results_are_of_the_experiments_as_they_stand():
    """A changed experiment needs a new run."""
    for name in experiments.result_names():
        found = experiments.read_result(name)
        assert Config.from_dict(found["config"]) == configure(**experiments.EXPERIMENTS[name]), name
        assert found["command"] == f"polyp experiment {name}"
        assert len(found["curve"]["epoch"]) == found["config"]["epochs"]
        assert not re.search(r"/(home|root|tmp|work|Users|content)/\w", json.dumps(found))


def test_what_a_level_costs():
    """Counted by hand for U-Net++'s smallest grid: X00, X10 and X01 with widths 2, 3 on 8 x 8 pixels."""
    model = build_model(configure(widths=(2, 3, 4))).eval()
    cost = experiments.level_cost(model, (8, 8), 1)
    weights = 9 * (3 * 2 + 2 * 2), 9 * (2 * 3 + 3 * 3), 9 * (5 * 2 + 2 * 2), 1 * 2
    assert cost["multiply_adds"] == 64 * (weights[0] + weights[2] + weights[3]) + 16 * weights[1]
    norms_and_bias = 2 * (2 * 2 + 2 * 3 + 2 * 2) + 1
    assert cost["parameters"] == sum(weights) + norms_and_bias
    whole = experiments.level_cost(model, (8, 8), 2)
    assert whole["parameters"] == sum(p.numel() for p in model.parameters())
    assert whole["ms"] > 0
