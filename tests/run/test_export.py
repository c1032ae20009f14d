"""The network without PyTorch: what is exported, and ONNX Runtime in its place."""

import json
import subprocess
import sys
from importlib.resources import files
from types import SimpleNamespace

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from polyp.__main__ import main
from polyp.config import changed, configure
from polyp.data import augmentation
from polyp.data.images import read_image, shrink
from polyp.errors import DataError, UsageError
from polyp.model.network import build_model
from polyp.run import engines, export
from polyp.run.checkpoint import load_model
from polyp.run.engines import OnnxEngine, TorchEngine, open_engine
from polyp.run.export import export_onnx, export_torch

SAMPLE = files("polyp.data") / "sample" / "images"
SMALL = configure(widths=(4, 8, 16), size=(32, 48))


def trained(config=SMALL):
    """A network whose batch normalisation has learnt something else than 0 and 1."""
    torch.manual_seed(0)
    model = build_model(config)
    with torch.no_grad():
        for _ in range(3):
            model(torch.randint(0, 256, (4, 3, *config.size), dtype=torch.uint8))
    return model.eval(), {"config": config.to_dict(), "threshold": 0.25}


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    return export_onnx(*trained(), tmp_path_factory.mktemp("onnx") / "small.onnx")


@pytest.mark.parametrize("shape", [(1, 32, 48), (3, 4, 4), (2, 64, 12)])
def test_every_head_is_pytorchs_at_any_size_and_number(exported, shape):
    model, _ = trained()
    count, height, width = shape
    image = torch.randint(0, 256, (count, 3, height, width), dtype=torch.uint8)
    session = onnxruntime.InferenceSession(exported, providers=["CPUExecutionProvider"])
    found = session.run(["level_1", "level_2"], {"image": image.numpy()})
    with torch.no_grad():
        expected = model(image)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-4)


def test_the_file_says_how_it_is_to_be_used(exported):
    graph = onnx.load(exported)
    about = json.loads({item.key: item.value for item in graph.metadata_props}["polyp"])
    assert (about["threshold"], about["stride"], about["levels"]) == (0.25, 4, ["level_1", "level_2"])
    assert about["config"]["size"] == [32, 48]
    assert about["licence"] == "MIT"


@pytest.mark.parametrize(
    "settings",
    [
        {"architecture": "unet"},
        {"deep_supervision": False},
        {"encoder": "efficientnet-lite0", "widths": (8, 8, 8, 8)},
    ],
    ids=["unet", "one head", "encoder"],
)
def test_every_network_can_be_exported(tmp_path, settings):
    config = changed(SMALL, **settings, pretrained=False)
    model, metadata = trained(config)
    engine = OnnxEngine(export_onnx(model, metadata, tmp_path / "it.onnx"))
    image = np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)
    expected = TorchEngine(model, config.size, precision="fp32").probs(image)
    np.testing.assert_allclose(engine.probs(image), expected, atol=1e-4)


def test_a_level_is_pruned(exported, tmp_path):
    model, metadata = trained()
    path = export_onnx(model, metadata, tmp_path / "one.onnx", level=1)
    engine = OnnxEngine(path)
    image = np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)
    expected = TorchEngine(model, SMALL.size, level=1, precision="fp32").probs(image)
    np.testing.assert_allclose(engine.probs(image), expected, atol=1e-4)
    assert engine.stride == 2
    whole = OnnxEngine(exported, level=1)
    assert [output.name for output in whole.session.get_outputs()] == ["level_1"]  # and no node of level 2
    np.testing.assert_allclose(whole.probs(image), expected, atol=1e-4)
    with pytest.raises(UsageError, match=r"level is 2; .*one.onnx has 1"):
        OnnxEngine(path, level=2)


def test_half_precision_loses_nothing_of_weights_that_ship(tmp_path):
    model, metadata = trained(changed(SMALL, widths=(16, 32, 64)))
    for parameter in model.parameters():
        parameter.data = parameter.data.half().float()
    whole, half = (export_onnx(model, metadata, tmp_path / f"{h}.onnx", half=h) for h in (False, True))
    assert half.stat().st_size < 0.65 * whole.stat().st_size
    image = np.random.default_rng(0).integers(0, 256, (32, 48, 3), dtype=np.uint8)
    np.testing.assert_allclose(OnnxEngine(half).probs(image), OnnxEngine(whole).probs(image), atol=1e-6)


def test_a_file_that_answers_otherwise_is_not_written(tmp_path, monkeypatch):
    monkeypatch.setattr(export, "TOLERANCE", -1.0)
    with pytest.raises(DataError, match="not written; level_1 differs from PyTorch's by"):
        export_onnx(*trained(), tmp_path / "it.onnx")
    assert list(tmp_path.iterdir()) == []


def test_torch_opens_its_own_export_without_polyp(tmp_path):
    model, _ = trained()
    path = export_torch(model, tmp_path / "it.pt2")
    code = (
        "import sys, torch; network = torch.export.load(sys.argv[1]).module();"
        "logits = network(torch.full((1, 3, 8, 12), 90, dtype=torch.uint8));"
        "print(logits[-1].sum().item(), 'polyp' in sys.modules)"
    )
    command = [sys.executable, "-W", "ignore", "-c", code, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    total, loaded = done.stdout.split()
    with torch.no_grad():
        expected = model(torch.full((1, 3, 8, 12), 90, dtype=torch.uint8))[-1].sum().item()
    assert float(total) == pytest.approx(expected, rel=1e-4)
    assert loaded == "False"


def test_the_command(run, tmp_path, capsys):
    assert main(["export", str(run.best), "--out", "net.onnx"]) == 0
    assert main(["export", str(run.best), "--out", "net.onnx"]) == 2
    assert "net.onnx: exists already" in capsys.readouterr().err
    assert main(["export", str(run.best), "--level", "9", "--out", "nine.onnx"]) == 2
    assert main(["export", str(run.best), "--out", "net.txt"]) == 2
    assert "a name that ends in .onnx" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["net.onnx"]
    picture = str(SAMPLE / "bright.jpg")
    for engine, checkpoint in (("torch", str(run.best)), ("onnx", "net.onnx")):
        assert (
            main(["predict", picture, "--checkpoint", checkpoint, "--engine", engine, "--out", engine]) == 0
        )
    masks = [(tmp_path / engine / "masks" / "bright.png").read_bytes() for engine in ("torch", "onnx")]
    assert masks[0] == masks[1]


@pytest.mark.parametrize(
    ("path", "options", "message"),
    [
        ("net.safetensors", {"engine": "onnx"}, "--engine onnx needs an .onnx file"),
        ("net.onnx", {"engine": "torch"}, "--engine torch needs a checkpoint"),
        (None, {"engine": "onnx", "device": "cuda"}, "float32 on the CPU here; use --engine torch"),
        (None, {"engine": "tensorrt"}, "unknown engine 'tensorrt'"),
        ("gone.onnx", {}, "gone.onnx: no such file"),
    ],
)
def test_an_engine_that_cannot(path, options, message):
    with pytest.raises((UsageError, DataError), match=message):
        open_engine(path, **options)


def test_a_damaged_or_foreign_file_is_one_line(exported, tmp_path):
    content = exported.read_bytes()
    graph = onnx.load(exported)
    del graph.metadata_props[:]
    cases = {
        "cut": content[: len(content) // 2],
        "text": b"no network",
        "empty": b"",
        "foreign": graph.SerializeToString(),
    }
    for name, content in cases.items():
        (tmp_path / f"{name}.onnx").write_bytes(content)
        with pytest.raises(DataError, match=f"{name}.onnx: (damaged|an ONNX file that)") as caught:
            OnnxEngine(tmp_path / f"{name}.onnx")
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("threshold", 7),
        ("threshold", None),
        ("familiar", {"a": 1}),
        ("stride", 0),
        ("levels", []),
        ("config", 5),
    ],
)
def test_metadata_that_cannot_be_true_are_refused(exported, tmp_path, name, value):
    graph = onnx.load(exported)
    about = json.loads(graph.metadata_props[0].value) | {name: value}
    onnx.helper.set_model_props(graph, {"polyp": json.dumps(about)})
    onnx.save(graph, tmp_path / "changed.onnx")
    with pytest.raises(DataError, match=r"changed\.onnx: "):
        OnnxEngine(tmp_path / "changed.onnx")


def test_the_surest_answers_overflow_nothing(exported, monkeypatch):
    engine = OnnxEngine(exported)
    sure = np.full((1, 1, 32, 48), -500, np.float32)
    engine.session = SimpleNamespace(run=lambda *_: [sure])
    assert engine.probs(np.zeros((32, 48, 3), np.uint8)).max() < 1e-30


def test_the_resize_is_the_one_of_training():
    pipeline = augmentation.evaluation_pipeline((64, 80))
    for size in [(50, 70), (64, 80), (300, 401), (64, 81), (7, 5)]:
        image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
        np.testing.assert_array_equal(shrink(image, (64, 80)), augmentation.apply(pipeline, image)[0])


def test_the_model_that_ships_is_the_same_in_both_forms():
    """Its answers to real frames, with the second look; and what its file says of itself."""
    model, metadata = load_model()
    ours, theirs = OnnxEngine(engines.SHIPPED_ONNX), TorchEngine(model, (352, 352), precision="fp32")
    assert {name: metadata[name] for name in ours.metadata if name in metadata} == {
        name: value for name, value in ours.metadata.items() if name in metadata
    }
    for file in ("bright.jpg", "dark.jpg"):
        image = read_image(SAMPLE / file)
        probs = theirs.probs(image)
        np.testing.assert_allclose(ours.probs(image), probs, atol=1e-4)
        np.testing.assert_allclose(ours.confirm(image, probs), theirs.confirm(image, probs), atol=1e-4)
        np.testing.assert_allclose(ours.probs(image, mirror=True), ours.confirm(image, probs), atol=1e-4)


WITHOUT = """
import sys
from importlib.machinery import PathFinder
real = PathFinder.find_spec
absent = {absent}
def find_spec(name, path=None, target=None):
    return None if name.split(".")[0] in absent else real(name, path, target)
PathFinder.find_spec = find_spec
from polyp.__main__ import main
code = main({arguments!r})
assert not absent & set(sys.modules)
sys.exit(code)
"""
ABSENT = {
    "torch",
    "albumentations",
    "pandas",
    "scipy",
    "sklearn",
    "safetensors",
    "matplotlib",
    "platformdirs",
}


def without_torch(*arguments):
    code = WITHOUT.format(absent=ABSENT, arguments=list(map(str, arguments)))
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


def test_prediction_alone_needs_no_torch(tmp_path):
    """The small installation: its packages alone, the same command, the same files."""
    here = without_torch("predict", SAMPLE, "--out", "small", "--overlay", "--probabilities")
    assert (here.returncode, here.stderr) == (0, "")
    as_onnx = ["--engine", "torch", "--precision", "fp32"]  # as ONNX Runtime computes, on any processor
    assert main(["predict", str(SAMPLE), "--out", "large", "--overlay", "--probabilities", *as_onnx]) == 0
    for kind in ("masks", "overlays"):
        for path in sorted((tmp_path / "large" / kind).iterdir()):
            assert path.read_bytes() == (tmp_path / "small" / kind / path.name).read_bytes()
    rows = [(tmp_path / out / "predictions.csv").read_text() for out in ("small", "large")]
    assert rows[0] == rows[1]


def test_what_needs_more_says_what_to_install(tmp_path):
    for command, extra in (
        ("train", "train"),
        ("score", "score"),
        ("export", "export"),
        ("validate", "train"),
    ):
        arguments = [SAMPLE, SAMPLE] if command == "score" else []
        done = without_torch(command, *arguments)
        assert done.returncode == 2
        assert f"pip install 'polyp-course[{extra}]'" in done.stderr
        assert done.stderr.count("\n") == 1
