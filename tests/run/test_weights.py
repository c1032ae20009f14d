"""The weights that come with the package."""

import os
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import torch

from polyp.__main__ import main
from polyp.config import Config, configure
from polyp.course.experiments import read_result
from polyp.course.hospitals import PLANS, elsewhere
from polyp.data.cache import PRINT
from polyp.data.dataset import PolypDataset, open_part
from polyp.data.familiar import Familiar
from polyp.data.split import PARTS, packaged_split, parts_of
from polyp.model.network import build_model
from polyp.run.checkpoint import (
    WEIGHTS,
    export_half,
    load_model,
    metadata_of,
    save_checkpoint,
    shipped_model,
)
from polyp.run.validation import validate

# Read now: tests do not see the user's variables.
PLACES = (Path(os.environ.get("POLYP_DATA") or "none"), Path(__file__).parents[3] / "shared")
RESULTS = {"clinicdb": "fold_0", "several": "several"}  # weights -> the experiment that made them


@pytest.fixture(params=RESULTS)
def name(request):
    return request.param


def test_they_are_small_and_say_what_they_are(name):
    assert shipped_model(name).stat().st_size < 12 * 2**20
    model, metadata = load_model(name)
    result = read_result(RESULTS[name])
    assert Config.from_dict(metadata["config"]) == Config.from_dict(result["config"])
    assert metadata["scores"]["epoch"] == result["epoch"]
    assert all(parameter.dtype == torch.float32 for parameter in model.parameters())


def test_the_operating_point_is_the_one_that_was_chosen():
    metadata, chosen = load_model("several")[1], read_result("several")["chosen"]
    assert metadata["threshold"] == 0.5
    assert (metadata["min_peak"], metadata["min_share"]) == (chosen["min_peak"], chosen["min_share"])
    assert metadata["second_look"] == PLANS["several"].second_look


def test_they_doubt_what_they_never_learnt(name):
    familiar = Familiar.from_dict(load_model(name)[1]["familiar"])
    assert familiar.doubt(np.zeros((288, 384, 3), np.uint8), (64, 64)) == "almost black"


def test_they_know_the_frames_that_they_learnt_from(name):
    config, split = Config.from_dict(load_model(name)[1]["config"]), load_model(name)[1]["split"]
    parts = parts_of(packaged_split(config.data, config.split), config.fold)
    found = {part: len(split.get(part, "")) // PRINT for part in PARTS}
    assert found == {part: len(parts[part]) for part in PARTS}


def test_every_weights_file_has_a_result():
    assert set(RESULTS) == set(WEIGHTS)


def test_predict_works_right_after_installing(tmp_path, capsys):
    frame = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "frame.png"), frame)
    assert main(["predict", str(tmp_path / "frame.png"), "--out", str(tmp_path / "out")]) == 0
    mask = cv2.imread(str(tmp_path / "out" / "masks" / "frame.png"), cv2.IMREAD_UNCHANGED)
    assert mask.shape == (90, 120)


def test_half_precision_changes_next_to_nothing(tmp_path):
    torch.manual_seed(0)
    config = configure(encoder="efficientnet-lite0", widths=(8, 8, 8, 8), size=(64, 64))
    model = build_model(config).eval()
    save_checkpoint(tmp_path / "full.safetensors", model, metadata_of(config, {}, {}))
    half = export_half(tmp_path / "full.safetensors", tmp_path / "half.safetensors", threshold=0.4)
    assert half.stat().st_size < 0.55 * (tmp_path / "full.safetensors").stat().st_size
    loaded, metadata = load_model(half)
    assert metadata["threshold"] == 0.4
    frames = torch.randint(0, 256, (1, 3, 64, 64), dtype=torch.uint8)
    torch.testing.assert_close(loaded(frames)[-1], model(frames)[-1], atol=0.02, rtol=0.02)


def test_their_scores_come_out_again_on_the_real_frames():
    """Those of the weights `clinicdb`, frame by frame, on the videos that they have never seen."""
    folder = real_folder("cvc-clinicdb")
    model, metadata = load_model("clinicdb")
    config = Config.from_dict(metadata["config"])
    found = validate(model.to(memory_format=torch.channels_last), open_part(config, "test", folder))
    expected = read_result("fold_0")
    assert found.table["frame"].tolist() == expected["frames"]["frame"]
    assert found.scores["dice_per_image"] == pytest.approx(expected["test"]["dice_per_image"], abs=0.005)
    gap = np.abs(found.table["dice"] - np.array(expected["frames"]["dice"], float))
    assert gap.median() < 0.005


def test_the_shipped_scores_come_out_again_in_a_hospital_that_trained_nothing():
    """Every fourth frame of ETIS-Larib, and what `clinicdb` says of them; in fp32, as they were scored."""
    folder = real_folder("etis-larib")
    for name, result in (("several", "several"), ("clinicdb", "clinicdb_elsewhere")):
        model, metadata = load_model(name)
        config = elsewhere(Config.from_dict(metadata["config"]), "etis-larib")
        frames = open_part(config, "all", folder)
        some = PolypDataset(frames.cache, frames.frames[::4], full_size_masks=True)
        found = validate(model.to(memory_format=torch.channels_last), some, precision="fp32").table
        expected = pd.DataFrame(read_result(result)["sets"]["etis-larib"]["frames"]).set_index("frame")
        gap = (found.set_index("frame")["dice"] - expected["dice"].astype(float)).dropna().abs()
        assert len(gap) == 49
        assert gap.median() < 0.005
        assert gap.mean() < 0.01


def real_folder(name: str) -> Path:
    for folder in (place / part for place in PLACES for part in (name, "")):
        if folder.is_dir() and folder.name == name:
            return folder
    pytest.skip(f"{name} is not here; set POLYP_DATA to a folder that holds it")
