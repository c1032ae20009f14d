"""What each level is worth and costs, and where it is kept."""

import numpy as np
import pytest
import torch

import polyp
from polyp.__main__ import main
from polyp.config import changed
from polyp.data.dataset import open_data, open_part
from polyp.errors import DataError
from polyp.model.network import build_model
from polyp.run.checkpoint import annotate, load_model, read_checkpoint
from polyp.run.levels import level_table, multiply_adds, score_heads, torch_heads
from polyp.run.validation import validate


@pytest.fixture
def model(tiny):
    model = build_model(tiny).eval()
    model.heads["1"].bias.data.fill_(0.3)  # else the levels are too much alike to tell them apart
    return model


@pytest.mark.parametrize("full_size", [False, True])
def test_the_table_is_what_validate_finds_level_by_level(tiny, model, full_size):
    dataset = open_part(tiny, "val") if full_size else open_data(tiny).val
    table = level_table(model, dataset, tiny.size, "fp32")
    assert [row["level"] for row in table] == [1, 2]
    for row in table:
        expected = validate(model, dataset, level=row["level"], precision="fp32").scores["dice_per_image"]
        assert row["dice"] == pytest.approx(expected, abs=1e-6)
        assert (row["precision"], row["frames"]) == ("fp32", len(dataset))
    assert table[0]["dice"] != table[1]["dice"]


def test_multiply_adds_are_those_of_the_convolutions(tiny, model):
    block = [9 * (before * 4 + 4 * 4) * 32 * 32 for before in (3, 4 + 8)]  # X[0][0], X[0][1]
    below = 9 * (4 * 8 + 8 * 8) * 16 * 16  # X[1][0]
    assert multiply_adds(model, tiny.size, 1) == sum(block) + below + 4 * 32 * 32
    assert multiply_adds(model, tiny.size, 2) > multiply_adds(model, tiny.size, 1)


def test_a_network_with_one_head_has_one_row(tiny):
    for settings in ({"architecture": "unet"}, {"deep_supervision": False}):
        config = changed(tiny, **settings)
        table = level_table(build_model(config), open_data(config).val, config.size, "fp32")
        assert [row["level"] for row in table] == [2]


def test_without_a_polyp_there_is_no_table(tiny, model):
    dataset = open_data(tiny).val
    dataset.cache.masks = np.zeros_like(dataset.cache.masks)
    assert level_table(model, dataset, tiny.size) == []


def test_two_forms_of_a_network_are_compared_frame_by_frame(tiny, model):
    dataset = open_data(tiny).val
    ours = torch_heads(model, precision="fp32")

    def none(image):
        return [torch.full_like(logits, -1) for logits in ours(image)]

    dice, agreement = score_heads([ours, ours, none], dataset)
    empty = [not (model(dataset[index][0][None])[-1] > 0).any() for index in range(len(dataset))]
    assert dice[0] == dice[1]
    assert dice[2] == [0, 0]
    assert agreement == pytest.approx([1, 1, sum(empty) / len(empty)])


def test_a_run_keeps_its_table(run):
    table, config = run.metrics()["levels"], run.config()
    assert read_checkpoint(run.best)[1]["validation"] == table
    assert [row["level"] for row in table] == [1, 2]
    assert table[-1]["dice"] == pytest.approx(run.metrics()["val"]["dice_per_image"], abs=1e-6)
    assert table[0]["multiply_adds"] == multiply_adds(build_model(config), config.size, 1)


def test_notes_in_a_checkpoint_leave_its_weights_alone(run):
    before, old = read_checkpoint(run.last)  # with the optimiser
    after, new = read_checkpoint(annotate(run.last, validation=[]))
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert new == old | {"validation": []}


def test_an_old_checkpoint_gets_its_table_from_the_command(run, capsys):
    table = read_checkpoint(run.best)[1]["validation"]
    annotate(run.best, validation=[])
    arguments = ["validate", str(run.best), "--levels", "--precision", "fp32"]
    assert main(arguments) == 0
    assert read_checkpoint(run.best)[1]["validation"] == []
    assert main([*arguments, "--save"]) == 0
    saved = read_checkpoint(run.best)[1]["validation"]
    assert [row["level"] for row in saved] == [row["level"] for row in table]
    assert f"level 1, fp32: Dice {saved[0]['dice']:.4f}" in capsys.readouterr().out
    expected = validate(load_model(run.best)[0], open_part(run.config(), "val"), precision="fp32")
    assert saved[-1]["dice"] == pytest.approx(expected.scores["dice_per_image"], abs=1e-6)
    assert main(["info", str(run.best)]) == 0
    assert f"by level    level 1, fp32: Dice {saved[0]['dice']:.4f}, " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--save"], "give both"),
        (["--levels", "--part", "test"], "give no --part"),
        (["--levels", "--level", "1"], "give no --part, --level"),
        (["--levels", "--save", "--data", "sample"], "give no --data"),
    ],
)
def test_flags_that_contradict_each_other(run, flags, message, capsys):
    assert main(["validate", str(run.best), *flags]) == 2
    assert message in capsys.readouterr().err


def test_predict_takes_the_cheapest_level_that_is_good_enough(run, frames_folder, capsys):
    frame = next((frames_folder / "images").iterdir())
    table = [row | {"dice": dice} for row, dice in zip(run.metrics()["levels"], (0.8, 0.805), strict=True)]
    annotate(run.best, validation=table)
    assert main(["predict", str(frame), "--checkpoint", str(run.best), "--max-dice-drop", "0.01"]) == 0
    assert capsys.readouterr().out.startswith("level 1 in fp32, ")
    chosen = polyp.load(run.best, max_dice_drop=0.01, precision="fp32").predict(frame).probs
    assert (chosen == polyp.load(run.best, level=1, precision="fp32").predict(frame).probs).all()
    whole = polyp.load(run.best, max_dice_drop=0.001, precision="fp32").predict(frame).probs
    assert (whole == polyp.load(run.best, precision="fp32").predict(frame).probs).all()
    assert (whole != chosen).any()
    arguments = ["predict", str(frame), "--checkpoint", str(run.best), "--max-dice-drop", "0.01"]
    assert main([*arguments, "--level", "1"]) == 2
    assert "give one of them" in capsys.readouterr().err


@pytest.mark.parametrize(
    "change",
    [{"dice": 2.0}, {"dice": "0.5"}, {"level": 0}, {"level": True}, {"multiply_adds": 0}, {"frames": None}],
)
def test_a_table_that_cannot_be_true_is_refused(run, change):
    annotate(run.best, validation=[run.metrics()["levels"][0] | change])
    with pytest.raises(DataError, match=r"best\.safetensors: its validation has the row"):
        load_model(run.best)
