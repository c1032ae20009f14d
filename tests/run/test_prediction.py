import json
import tracemalloc
from importlib.resources import files

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from polyp.config import configure
from polyp.data.dataset import open_part
from polyp.data.familiar import Familiar
from polyp.data.images import read_image, write_png
from polyp.errors import DataError, UsageError
from polyp.model.network import build_model
from polyp.run import inference
from polyp.run.checkpoint import load_model
from polyp.run.inference import predict_probs
from polyp.run.inputs import collect_inputs, list_pictures
from polyp.run.output import write_predictions
from polyp.run.prediction import Prediction, overlay, predict_files, table_row
from polyp.run.validation import validate

SIZE = (32, 32)


@pytest.fixture
def model():
    return build_model(configure(widths=(4, 8, 16))).eval()


def picture(path, size=(50, 70), seed=0, mode="RGB"):
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).convert(mode).save(path)
    return path


@pytest.mark.parametrize("size", [(50, 70), (32, 32), (3, 5), (1, 1), (301, 17)])
def test_the_answer_has_the_pictures_size(model, size):
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    probs = predict_probs(model, image, SIZE)
    assert (probs.shape, probs.dtype) == (size, np.float32)
    assert ((probs >= 0) & (probs <= 1)).all()


def test_prediction_and_validation_agree(model, tiny):
    """Same resize, same network, same enlargement: the masks that are scored are the masks one gets."""
    dataset = open_part(tiny, "test")
    table = validate(model, dataset, threshold=0.5, precision="fp32").table
    for frame, row in zip(dataset.frames, table.itertuples(), strict=True):
        image = read_image(dataset.cache.table.set_index("frame")["image"][frame])
        mask = predict_probs(model, image, tiny.size, precision="fp32") > 0.5
        assert mask.sum() == row.tp + row.fp


def test_flips_average_four_views(model):
    image = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    views = [
        predict_probs(model, np.ascontiguousarray(image[::a, ::b]), SIZE, precision="fp32")[::a, ::b]
        for a in (1, -1)
        for b in (1, -1)
    ]
    ours = predict_probs(model, image, SIZE, mirror=True, precision="fp32")
    np.testing.assert_allclose(ours, np.mean(views, axis=0), atol=1e-5)


def test_a_level(model):
    image = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    batch = torch.from_numpy(image).permute(2, 0, 1)[None]
    expected = model(batch)[0].sigmoid()[0, 0].detach().numpy()
    np.testing.assert_allclose(
        predict_probs(model, image, SIZE, level=1, precision="fp32"), expected, atol=1e-5
    )


@pytest.mark.parametrize("suffix", ["png", "jpg", "JPEG", "tif", "tiff", "bmp"])
def test_every_format_and_awkward_names(model, tmp_path, suffix):
    file = picture(tmp_path / "Ordner mit Ä" / f"größe 1.{suffix}")
    (found,) = predict_files(model, collect_inputs([file.parent]), SIZE)
    rows, errors = write_predictions([found], tmp_path / "out")
    assert errors == []
    assert np.asarray(Image.open(tmp_path / "out" / "masks" / "größe 1.png")).shape == (50, 70)
    assert rows[0]["file"] == str(file)


@pytest.mark.parametrize("mode", ["L", "P", "RGBA"])
def test_grey_palette_and_opaque_rgba_work(model, tmp_path, mode):
    file = picture(tmp_path / "a.png", mode=mode)
    (found,) = predict_files(model, [file], SIZE)
    assert found.image.shape == (50, 70, 3)


def test_a_bad_file_is_told_and_the_others_go_on(model, tmp_path):
    files = [picture(tmp_path / f"{n}.png", seed=n) for n in range(3)]
    files[1].write_bytes(files[1].read_bytes()[:100])
    rows, errors = write_predictions(predict_files(model, files, SIZE), tmp_path / "out")
    assert [row["file"] for row in rows] == [str(files[0]), str(files[2])]
    assert len(errors) == 1
    assert str(errors[0]).startswith(f"{files[1]}: corrupt or truncated")
    assert sorted(p.name for p in (tmp_path / "out" / "masks").iterdir()) == ["0.png", "2.png"]


def test_what_is_written(tmp_path):
    probs = np.zeros((40, 60), np.float32)
    probs[5:15, 10:30] = 0.9
    probs[30:33, 50:52] = 0.7
    probs[0, 0] = 0.4
    image = np.full((40, 60, 3), 200, np.uint8)
    item = Prediction(tmp_path / "a.png", image, probs, (probs > 0.5).astype(np.uint8))
    expected = {
        "file": str(tmp_path / "a.png"),
        "height": 40,
        "width": 60,
        "area_share": round(206 / 2400, 6),
        "components": 2,
        "boxes": [[10, 5, 20, 10], [50, 30, 2, 3]],
        "mean_probability": round((200 * 0.9 + 6 * 0.7) / 206, 4),
        "doubt": "",
    }
    assert table_row(item) == expected
    for table in ("csv", "json"):
        write_predictions([item], tmp_path / "out", overlays=True, probabilities=True, table=table)
    assert json.loads((tmp_path / "out" / "predictions.json").read_text()) == [expected]
    row = pd.read_csv(tmp_path / "out" / "predictions.csv").iloc[0]
    assert json.loads(row["boxes"]) == expected["boxes"]
    written = {
        kind: cv2.imread(str(tmp_path / "out" / kind / "a.png"), 0) for kind in ("masks", "probabilities")
    }
    assert set(np.unique(written["masks"])) == {0, 255}
    np.testing.assert_allclose(written["probabilities"] / 255, probs, atol=0.003)
    drawn = np.asarray(Image.open(tmp_path / "out" / "overlays" / "a.png"))
    changed = (drawn != image).any(axis=2)
    assert changed[5, 10:30].all()
    assert not changed[9, 15:25].any()  # only the outline
    assert (image == 200).all()  # the picture itself is not drawn on


def test_nothing_found_is_a_row_too(tmp_path):
    empty = np.zeros((4, 4), np.uint8)
    item = Prediction(tmp_path / "a.png", np.zeros((4, 4, 3), np.uint8), empty.astype(np.float32), empty)
    row = table_row(item)
    assert (row["components"], row["boxes"], row["mean_probability"]) == (0, [], None)
    assert overlay(item.image, empty).shape == (4, 4, 3)


def test_memory_does_not_grow_with_the_number_of_pictures(monkeypatch, model, tmp_path):
    file = picture(tmp_path / "a.png", size=(400, 500))
    monkeypatch.setattr(
        inference, "predict_probs", lambda model, image, size, **_: np.zeros(image.shape[:2], np.float32)
    )
    peaks = []
    for count in (2, 20):
        tracemalloc.start()
        write_predictions(predict_files(model, [file] * count, SIZE), tmp_path / "out")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 1_000_000  # one picture here is 1.6 MB with its probabilities


def test_inputs(tmp_path):
    files = [picture(tmp_path / "d" / name) for name in ("2.png", "10.png")]
    (tmp_path / "d" / "notes.txt").touch()
    assert collect_inputs([tmp_path / "d", files[0]]) == files
    picture(tmp_path / "d" / "2.jpg")
    assert [p.name for p in list_pictures([tmp_path / "d"])] == ["2.jpg", "2.png", "10"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no pictures in this folder"):
        collect_inputs([tmp_path / "empty"])


def test_mistakes(model):
    with pytest.raises(UsageError, match="expected uint8 RGB"):
        predict_probs(model, np.zeros((4, 4)), SIZE)
    model.heads["2"].bias.data.fill_(float("nan"))
    with pytest.raises(DataError, match="answers with NaN"):
        predict_probs(model, np.zeros((4, 4, 3), np.uint8), SIZE)


def test_a_picture_unlike_those_learnt_from_is_doubted(tmp_path):
    """The command says so, the table holds it, and the mask is there all the same."""
    model, metadata = load_model()
    (tmp_path / "in").mkdir()
    write_png(tmp_path / "in" / "black.png", np.zeros((288, 384, 3), np.uint8))
    frame = files("polyp.data") / "sample" / "images" / "stalk.jpg"
    (tmp_path / "in" / "stalk.jpg").write_bytes(frame.read_bytes())
    familiar = Familiar.from_dict(metadata["familiar"])
    pictures = collect_inputs([tmp_path / "in"])
    found = list(predict_files(model, pictures, SIZE, familiar=familiar))
    rows, _ = write_predictions(found, tmp_path / "out")
    assert [row["doubt"] for row in rows] == ["almost black", ""]
    assert pd.read_csv(tmp_path / "out" / "predictions.csv")["doubt"].fillna("").tolist() == [
        "almost black",
        "",
    ]
    assert (tmp_path / "out" / "masks" / "black.png").is_file()


def test_only_a_marked_picture_is_looked_at_again(model, tmp_path, monkeypatch):
    """The first look draws the outlines; four together say which regions are shown."""
    looks = []

    def look(model, batch, size, dims, level=None, precision="auto"):
        looks.append(dims)
        probs = torch.full((1, *size), 0.1)
        probs[0, 2:12, 2:12] = 0.9 if dims == () else 0.5
        return probs

    monkeypatch.setattr(inference, "look", look)
    file = picture(tmp_path / "a.png", (20, 30))
    shown = {}
    for threshold, min_peak in ((0.95, 0.0), (0.6, 0.58), (0.6, 0.62)):  # the mean of the four looks is 0.6
        looks.clear()
        options = {"threshold": threshold, "min_peak": min_peak, "second_look": True}
        (found,) = predict_files(model, [file], SIZE, **options)
        shown[threshold, min_peak] = int(found.mask.sum()), list(looks)
    assert shown[0.95, 0.0] == (0, [()])
    assert shown[0.6, 0.58] == (100, [(), (3,), (2,), (2, 3)])
    assert shown[0.6, 0.62] == (0, [(), (3,), (2,), (2, 3)])
