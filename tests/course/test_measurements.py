"""The measurements of the lessons, on frames whose facts are known beforehand."""

import inspect
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import f1_score

from polyp.config import Config, changed
from polyp.course import measurements
from polyp.course.experiments import experiment, read_result
from polyp.course.measurements import MEASUREMENTS, dataset_facts, redness, redness_rules
from polyp.data.dataset import open_data
from polyp.data.images import write_png
from polyp.data.pairs import find_pairs, read_pair
from polyp.errors import DataError, UsageError
from polyp.run.training import new_model, train
from polyp.run.validation import validate
from tests.notebooks import NOTEBOOKS, code_cells, read


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("00_start_here", redness),
        ("01_dataset", measurements.thumbnail),
        ("09_transfer_learning", measurements.symmetric),
        ("10_what_goes_wrong", measurements.normalise_twice),
    ],
)
def test_what_is_measured_is_what_the_lesson_shows(name, function):
    lesson = next(path for path in NOTEBOOKS if path.stem == name)
    assert any(inspect.getsource(function).strip() in cell.source for cell in code_cells(read(lesson)))


def test_redness_rules(frames_folder):
    found = redness_rules(data=str(frames_folder))
    dice = found["mean Dice"]
    chosen = [read_pair(pair) for pair in find_pairs(frames_folder)[::3]]
    area = np.array([mask.mean() for _, mask in chosen])
    assert dice["everything"] == pytest.approx((2 * area / (1 + area)).mean(), abs=1e-4)
    judged = [f1_score(mask.ravel(), redness(image).ravel() > 0.7) for image, mask in chosen]
    assert dice["redness above 0.7"] == pytest.approx(np.mean(judged), abs=1e-4)
    assert len(dice) == 7
    assert found["data"] == {"name": str(frames_folder), "frames": 24}
    assert found["versions"].keys() == {"polyp", "torch", "python"}
    assert "cores" in found["machine"]


@pytest.fixture
def known_videos(tmp_path):
    """Ten videos of three frames, each with a square polyp of 64 pixels, of which 16 shine."""
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    rng = np.random.default_rng(0)
    rows = []
    for number in range(30):
        video, corner = number // 3, np.array([4, 4]) + 12 * np.array(divmod(number // 3, 5))
        image = np.random.default_rng(video).integers(30, 120, (64, 80, 3))
        image = image + rng.integers(0, 3, image.shape)  # near twins, no duplicates
        mask = np.zeros((64, 80), np.uint8)
        y, x = corner
        mask[y : y + 8, x : x + 8] = 255
        image[y : y + 8, x : x + 8] += 80
        image[y : y + 4, x : x + 4] = 255
        if number == 0:
            mask[60, 70] = 255  # a speck
        if number == 1:
            mask[50:54, 70:74] = 255  # a second polyp
        if number == 2:
            mask[62, 2] = 100  # neither, and so nothing
        write_png(tmp_path / "images" / f"{number}.png", image.astype(np.uint8))
        write_png(tmp_path / "masks" / f"{number}.png", mask)
        rows.append({"frame": number, "sequence": video})
    pd.DataFrame(rows).to_csv(tmp_path / "sequences.csv", index=False)
    return tmp_path


def test_dataset_facts(known_videos):
    found = dataset_facts(data=str(known_videos))
    facts = found["facts"]
    areas = np.full(30, 64 / (64 * 80))
    areas[:2] += np.array([1, 16]) / (64 * 80)
    counts = {
        "polyp brighter": 1,
        "shiny outside": 0,
        "in-between masks": 1,
        "masks in several pieces": 2,
        "masks with a speck": 1,
        "in several pieces without specks": 1,
        "near twins": 30,
    }
    assert {name: facts[name] for name in counts} == counts
    shares = [16 / 64] * 28 + [16 / 65, 16 / 80]  # the speck and the second polyp do not shine
    assert facts["shiny inside"] == pytest.approx(np.mean(shares))
    assert facts["accuracy of nothing"] == pytest.approx(1 - areas.mean())
    assert facts["spread of areas"] == pytest.approx(areas.std(ddof=1))
    assert facts["spread within a video"] == pytest.approx(areas[:3].std(ddof=1) / 10)
    assert found["nearest frame of the same video"]["16"] == 1
    assert facts["copied, at random"] > 0.9
    assert facts["copied, by video"] == 0  # no two videos have their polyp in the same place
    assert found["data"]["frames"] == 30


def test_facts_about_videos_need_videos(known_videos):
    (known_videos / "sequences.csv").unlink()
    with pytest.raises(DataError, match=r"about videos; add a sequences\.csv"):
        dataset_facts(data=str(known_videos))


def test_a_measurement_is_an_experiment(monkeypatch, tmp_path):
    monkeypatch.setitem(MEASUREMENTS, "answer", lambda data_path: {"mean": 42, "where": str(data_path)})
    written = json.loads(experiment("answer", "there", out=tmp_path).read_text())
    expected = {"name": "answer", "command": "polyp experiment answer", "mean": 42, "where": "there"}
    assert written == expected


def shape(value):
    """The names of a result, at every level; everything else left out."""
    return {key: shape(inner) for key, inner in value.items()} if isinstance(value, dict) else None


WITH_ENCODER = {"encoder": "efficientnet-lite0", "widths": (4, 6, 8, 10), "epochs": 1}


@pytest.mark.parametrize(
    ("name", "values", "settings"), [("encoder_inputs", "val_dice", WITH_ENCODER), ("mistakes", "scores", {})]
)
def test_a_result_is_made_as_the_committed_one(tiny, monkeypatch, name, values, settings):
    """The same names, and the settings and seeds of the committed file."""
    committed = read_result(name)
    assert Config.from_dict(committed["config"]) == measurements.SHORT
    assert committed["seeds"] == list(measurements.SEEDS)
    monkeypatch.setattr(measurements, "train", lambda *_: [{"val_dice": 0.5}])
    config = changed(tiny, **settings)
    found = MEASUREMENTS[name](None, config=config)
    assert found.keys() | {"name", "command"} == committed.keys()
    for part in (values, "data", "versions"):
        shown = {key: value for key, value in found[part].items() if key != "groups"}  # newer than the files
        assert shape(shown) == shape(committed[part])
    assert found["seeds"] == [0, 1, 2]
    of_seeds = [inner for outer in found[values].values() for inner in outer.values()]
    assert all(len(inner) == 3 for inner in of_seeds)
    assert Config.from_dict(found["config"]) == config


def test_encoder_inputs(tiny):
    config = changed(tiny, **WITH_ENCODER)
    found = measurements.encoder_inputs(config=config, seeds=(5,))
    data = open_data(config)
    assert found["val_frames"] == len(data.val)
    assert all(len(run) == 1 for start in found["val_dice"].values() for (run,) in start.values())

    def dice(prepare, **settings):
        model = new_model(changed(config, seed=5, **settings))
        prepare(model)
        history = train(model, data, changed(config, seed=5, **settings))
        return [[pytest.approx(row["val_dice"], abs=1e-5) for row in history]]

    def other_input(model):
        model.mean = 255 * torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
        model.std = 255 * torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
        for part in model.encoder.modules():
            if getattr(part, "margin", None) is not None:
                part.margin = {3: (1, 1, 1, 1), 5: (2, 2, 2, 2)}[part[0].kernel_size[0]]

    frozen = found["val_dice"]["frozen"]
    assert frozen["as the weights expect"] == dice(lambda model: None, encoder_lr=0.0)
    assert frozen["both"] == dice(other_input, encoder_lr=0.0)
    assert found["val_dice"]["fine-tuned"]["both"] == dice(other_input)
    assert frozen["symmetric padding"] != frozen["both"] != frozen["ImageNet statistics"]


def test_mistakes(tiny):
    config = changed(tiny, seed=2, epochs=10, lr=5e-3)  # until it finds something
    found = measurements.mistakes(config=config, seeds=(2,))
    data = open_data(config)
    model = new_model(config)
    train(model, data, config)
    assert found["test_frames"] == len(data.test)
    honest = validate(model, data.test, precision="fp32")

    def dice(name):
        return pytest.approx(found["scores"][name]["dice"][0], abs=1e-5)

    assert honest.scores["dice_per_image"] == dice("honest")
    assert honest.scores["iou_per_image"] == pytest.approx(found["scores"]["honest"]["iou"][0], abs=1e-5)
    cut = validate(model, data.test, threshold=1 / (1 + np.exp(2.5)), precision="fp32")
    assert cut.scores["dice_per_image"] == dice("logits cut at -2.5")
    groups = honest.table.groupby(np.arange(len(honest.table)) // 8)[["tp", "fp", "fn"]].sum()
    pooled = 2 * groups.tp / (2 * groups.tp + groups.fp + groups.fn)
    assert pooled.mean() == dice("pooled over batches of 8")
    area = 1 - honest.table.assign(pixels=48 * 64).eval("(fp + tn) / pixels")
    assert (2 * area / (1 + area)).mean() == dice("sigmoid twice")  # all is polyp
    assert validate(measurements.normalise_twice(model), data.test, precision="fp32").scores[
        "dice_per_image"
    ] == dice("normalised twice, in prediction only")
    assert all(0 <= values[score][0] <= 1 for values in found["scores"].values() for score in values)
    others = ("BGR in prediction only", "random split", "training mode, frame by frame")
    assert all(found["scores"][name] != found["scores"]["honest"] for name in others)


def test_normalising_twice_is_once_with_other_numbers(tiny):
    model = new_model(tiny)
    x = torch.randint(0, 256, (2, 3, 8, 8)).float()
    expected = ((x - model.mean) / model.std - model.mean) / model.std
    measurements.normalise_twice(model)
    assert torch.allclose((x - model.mean) / model.std, expected, atol=1e-5)


def test_a_measurement_resumes_after_the_last_whole_seed(tiny, monkeypatch):
    tiny = changed(tiny, epochs=1)
    whole = measurements.mistakes(config=tiny, seeds=(0, 1))
    kept = Path("runs/experiments/mistakes")
    (kept / "seed_1.json").unlink()
    seeds = []
    measure = measurements._each_mistake
    monkeypatch.setattr(
        measurements, "_each_mistake", lambda config, data: seeds.append(config.seed) or measure(config, data)
    )
    again = measurements.mistakes(config=tiny, seeds=(0, 1))
    assert seeds == [1]
    assert again["scores"] == whole["scores"]
    with pytest.raises(UsageError, match=r"seed_0\.json: was measured with other settings"):
        measurements.mistakes(config=changed(tiny, lr=0.1), seeds=(0, 1))
