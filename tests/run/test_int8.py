"""The network in 8-bit integers: close to float32, and calibrated on nothing that it is scored on."""

import shutil

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from polyp.__main__ import main
from polyp.config import changed
from polyp.data.dataset import open_data, open_part
from polyp.errors import DataError, UsageError
from polyp.model.network import build_model
from polyp.run import export, int8
from polyp.run.checkpoint import load_model
from polyp.run.engines import OnnxEngine, TorchEngine
from polyp.run.int8 import export_int8
from polyp.run.validation import validate


class Stop(Exception):
    """Ends an export where the frames are chosen."""


@pytest.fixture
def calibrated(monkeypatch):
    """The frames that an export calibrates on, in place of the export."""
    chosen = []

    def quantised(graph, frames, stride):
        chosen.append(frames)
        raise Stop

    monkeypatch.setattr(export, "to_onnx", lambda network: None)
    monkeypatch.setattr(int8, "_quantised", quantised)

    def frames(checkpoint, **options):
        with pytest.raises(Stop):
            export_int8(*load_model(checkpoint), "it.onnx", **options)
        return chosen[-1]

    return frames


def test_it_is_calibrated_on_training_frames_alone(run, calibrated, frames_folder, tmp_path):
    data = open_data(run.config())
    some = calibrated(run.best, frames=5)
    assert len(set(some.frames)) == 5
    assert set(some.frames) < set(data.train.frames)
    assert some.augment == "none"
    assert calibrated(run.best, frames=5).frames == some.frames
    assert sorted(calibrated(run.best, frames=500).frames) == sorted(data.train.frames)
    # the same files in a folder of another name, known by what they hold
    elsewhere = shutil.copytree(frames_folder, tmp_path / "elsewhere")
    assert sorted(calibrated(run.best, data=str(elsewhere), frames=500).prints) == sorted(data.train.prints)


def test_a_folder_of_test_frames_is_refused(run, frames_folder, tmp_path, calibrated):
    elsewhere = shutil.copytree(frames_folder, tmp_path / "elsewhere")
    for file in (elsewhere / "sequences.csv", *(elsewhere / "images").iterdir()):
        if file.stem not in open_data(run.config()).test.frames:
            file.unlink()
            (elsewhere / "masks" / file.name).unlink(missing_ok=True)
    with pytest.raises(DataError, match="none is in its part train"):
        export_int8(*load_model(run.best), "it.onnx", data=str(elsewhere))


def test_it_answers_nearly_as_in_float(run, frames_folder, tmp_path, capsys):
    assert main(["export", str(run.best), "--int8", "--frames", "6"]) == 0
    out, path = capsys.readouterr().out, tmp_path / "best-int8.onnx"
    model, metadata = load_model(run.best)
    graph = onnx.load(path)
    filters = [tensor for tensor in graph.graph.initializer if len(tensor.dims) == 4]
    in_float = {tensor.name for tensor in filters if tensor.name.endswith(".weight")}
    first = {f"model.nodes.0_0.{index}.weight" for index in (0, 3)}
    assert in_float == first | {"model.heads.1.weight", "model.heads.2.weight"}
    integers = [tensor for tensor in filters if tensor.data_type == onnx.TensorProto.INT8]
    assert len(integers) == 2 * 5  # X[1][0], X[2][0], X[0][1], X[1][1], X[0][2]

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for shape in [(1, 32, 32), (3, 64, 16), (2, 4, 4)]:
        image = torch.randint(0, 256, (shape[0], 3, *shape[1:]), dtype=torch.uint8)
        found = session.run(["level_1", "level_2"], {"image": image.numpy()})
        with torch.no_grad():
            expected = model(image)
        for ours, theirs in zip(found, expected, strict=True):
            assert (ours.dtype, ours.shape) == (np.float32, tuple(theirs.shape))
            spread = float(theirs.std()) or 1.0
            assert np.abs(ours - theirs.numpy()).mean() < 0.1 * spread

    engine = OnnxEngine(path)
    about, val = engine.metadata, open_part(run.config(), "val")
    assert (about["precision"], about["calibrated"], about["threshold"]) == ("int8", 6, metadata["threshold"])
    rows = {(row["level"], row["precision"]): row for row in about["validation"]}
    assert list(rows) == [(1, "fp32"), (2, "fp32"), (1, "int8"), (2, "int8")]
    scores = [validate(model, val, level=level, precision="fp32").scores for level in (1, 2)]
    for level, score in enumerate(scores, 1):
        assert rows[level, "fp32"]["dice"] == pytest.approx(score["dice_per_image"], abs=1e-6)
        assert rows[level, "int8"]["dice"] == pytest.approx(rows[level, "fp32"]["dice"], abs=0.05)
    assert f"calibrated on 6 frames of {frames_folder}, train; checked on {len(val)} frames of" in out
    assert f"level 2, int8: Dice {rows[2, 'int8']['dice']:.4f}" in out

    frame = next((frames_folder / "images").iterdir())
    arguments = ["predict", str(frame), "--checkpoint", str(path), "--max-dice-drop", "1"]
    assert main(arguments) == 0
    assert "level 1 in int8" in capsys.readouterr().out
    assert main(["info", str(path)]) == 0
    assert "int8, calibrated on 6 training frames" in capsys.readouterr().out
    assert len(list((tmp_path / "predictions" / "masks").iterdir())) == 1


def test_a_pruned_network_without_validation_frames(run, tmp_path):
    """Sides that the stride does not divide, and an encoder whose grid begins at half the frame's size."""
    settings = {
        "encoder": "efficientnet-lite0",
        "widths": (4, 4, 4, 4),
        "size": (40, 50),
        "pretrained": False,
    }
    config = changed(run.config(), **settings, refit=True)
    torch.manual_seed(0)
    model = build_model(config).eval()
    metadata = load_model(run.best)[1] | {"config": config.to_dict()}
    found = export_int8(model, metadata, tmp_path / "one.onnx", level=2, frames=2)
    assert (found.rows, found.checked) == ([], found.calibrated)
    assert 0.5 < found.agreement <= 1
    engine = OnnxEngine(found.path)
    assert (engine.metadata["levels"], engine.metadata["validation"]) == (["level_2"], [])
    image = np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)
    expected = TorchEngine(model, config.size, level=2, precision="fp32").probs(image)
    assert np.abs(engine.probs(image) - expected).mean() < 0.02


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--int8", "--half"], "give no --half"),
        (["--int8", "--format", "pt2"], "no --format pt2"),
        (["--frames", "3"], "--frames says what to calibrate on; it needs --int8"),
        (["--data-path", "x"], "--data-path says what to calibrate on; it needs --int8"),
        (["--int8", "--frames", "0"], "--frames is 0; expected 1 or more"),
        (["--int8", "--level", "9"], "level is 9; expected 1 to 2"),
        (["--int8", "--out", "it.txt"], "a name that ends in .onnx"),
        (["--int8", "--data", "smaple"], "did you mean 'sample'"),
    ],
)
def test_what_cannot_be_exported(run, flags, message, capsys, tmp_path):
    assert main(["export", str(run.best), *flags]) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.glob("*.onnx"))


def test_nothing_is_written_where_the_data_are_gone(run, capsys, tmp_path):
    model, metadata = load_model(run.best)
    metadata["config"]["data"] = "cvc-clinicdb"
    with pytest.raises(DataError, match="cvc-clinicdb: not found"):
        export_int8(model, metadata, tmp_path / "it.onnx")
    assert not (tmp_path / "it.onnx").exists()
    with pytest.raises(UsageError, match="no such dataset"):
        export_int8(model, metadata, tmp_path / "it.onnx", data="gone")
