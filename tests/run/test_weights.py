"""The weights that come with the package."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from polyp.__main__ import main
from polyp.config import Config, configure
from polyp.course.experiments import read_result
from polyp.course.report import SHIPPED
from polyp.data.dataset import open_part
from polyp.model.network import build_model
from polyp.run.checkpoint import export_half, load_model, metadata_of, save_checkpoint, shipped_model
from polyp.run.validation import validate

REAL = Path(os.environ.get("POLYP_DATA") or Path(__file__).parents[2] / "shared" / "cvc-clinicdb")


def test_they_are_small_and_say_what_they_are():
    assert shipped_model().stat().st_size < 12 * 2**20
    model, metadata = load_model(shipped_model())
    assert Config.from_dict(metadata["config"]) == Config.from_dict(read_result(SHIPPED)["config"])
    assert metadata["scores"]["epoch"] == read_result(SHIPPED)["epoch"]
    assert all(parameter.dtype == torch.float32 for parameter in model.parameters())


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


def test_their_scores_come_out_again_on_the_real_frames(monkeypatch):
    """Frame by frame, on the videos that they have never seen."""
    if not REAL.is_dir():
        pytest.skip("CVC-ClinicDB is not here; set POLYP_DATA to its folder")
    model, metadata = load_model(shipped_model())
    config = Config.from_dict(metadata["config"])
    found = validate(model.to(memory_format=torch.channels_last), open_part(config, "test", REAL))
    expected = read_result(SHIPPED)
    assert found.table["frame"].tolist() == expected["frames"]["frame"]
    assert found.scores["dice_per_image"] == pytest.approx(expected["test"]["dice_per_image"], abs=0.005)
    gap = np.abs(found.table["dice"] - np.array(expected["frames"]["dice"], float))
    assert gap.median() < 0.005
