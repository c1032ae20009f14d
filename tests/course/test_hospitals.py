import json
import math
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import ndimage

from polyp.config import Config, changed, configure
from polyp.course import experiments, hospitals
from polyp.course.hospitals import (
    LEAST_AREAS,
    PEAKS,
    PLANS,
    Plan,
    choose_point,
    score_frames,
    stretched_dice,
)
from polyp.data.dataset import open_part
from polyp.data.images import write_png
from polyp.data.pairs import read_sequences
from polyp.data.sources import NO_POLYP
from polyp.data.split import packaged_split, parts_of
from polyp.disk import make_folder
from polyp.model.network import build_model
from polyp.run.inference import predict_probs
from polyp.run.regions import shown_regions
from polyp.run.scoring import score
from polyp.run.validation import validate


@pytest.fixture
def with_clean(frames_folder, tmp_path):
    """Synthetic videos, and twelve frames of noise in six videos that are said to show no polyp."""
    folder = shutil.copytree(frames_folder, tmp_path / "data")
    random = np.random.default_rng(0)
    for n in range(12):
        pixels = random.integers(0, 256, (48, 64, 3), dtype=np.uint8)
        write_png(make_folder(folder / "negatives") / f"v{n // 2}__{n}.png", pixels)
    return folder


@pytest.fixture
def scored(tiny, with_clean):
    """An untrained network whose maps have regions of all sizes, its frames and what is said of them."""
    config = changed(tiny, data=str(with_clean), split="random")
    torch.manual_seed(1)
    model = build_model(config).eval()
    for head in model.heads.values():
        torch.nn.init.normal_(head.weight, std=2.0)
    dataset = open_part(config, "all")
    return model, dataset, score_frames(model, dataset, dict.fromkeys(dataset.frames, "here"))


def probabilities(model, dataset):
    for row in range(len(dataset)):
        image, mask = dataset[row]
        target = mask[0].numpy().astype(bool)
        pixels = image.permute(1, 2, 0).numpy()
        probs = predict_probs(model, pixels, (32, 32), out_size=target.shape, precision="fp32")
        yield probs, target


def test_frames_are_scored_as_by_hand(scored):
    model, dataset, found = scored
    frames = found["frames"]
    assert frames["frame"] == dataset.frames
    eight = np.ones((3, 3))
    for row, (probs, target) in enumerate(probabilities(model, dataset)):
        preds = probs > 0.5
        total = preds.sum() + target.sum()
        dice = frames["dice"][row]
        assert dice == (None if total == 0 else pytest.approx(2 * (preds & target).sum() / total, abs=1e-4))
        assert frames["source"][row] == ("here" if target.any() else NO_POLYP)
        regions, count = ndimage.label(preds, eight)
        sizes = ndimage.sum_labels(preds, regions, range(1, count + 1))
        assert frames["largest"][row] == pytest.approx(max(sizes, default=0) / preds.size, abs=1e-6)
        false = [k for k in range(1, count + 1) if sizes[k - 1] >= 10 and not target[regions == k].any()]
        assert frames["false_regions"][row] == len(false)


def test_the_operating_table_is_that_of_the_masks(scored):
    model, dataset, found = scored
    operating, eight = found["operating"], np.ones((3, 3))
    pairs = list(probabilities(model, dataset))
    assert operating["clean"] == 12
    for t, a in ((0, 0), (2, 0), (2, 2), (4, 4), (9, 5)):
        hit = marked = polyps = 0
        for probs, target in pairs:
            kept = shown_regions(probs, 0.5, PEAKS[t], max(10 / probs.size, LEAST_AREAS[a]))
            marked += not target.any() and bool(kept.any())
            labels, count = ndimage.label(target, eight)
            for polyp in (labels == k for k in range(1, count + 1)):
                if polyp.sum() >= 10:
                    polyps += 1
                    hit += kept[polyp].mean() >= 0.5
        assert operating["polyps"] == polyps
        assert operating["found"][t][a] == hit
        assert operating["marked"][t][a] == marked
    for table in ("found", "marked"):
        assert (np.diff(operating[table], axis=0) <= 0).all()
        assert (np.diff(operating[table], axis=1) <= 0).all()


def test_the_chosen_point_is_what_a_user_then_gets(scored):
    """What the operating table promises for a point is what the masks at that point do."""
    model, dataset, found = scored
    most = 0.5
    point = choose_point(found["operating"], most)
    again = score_frames(model, dataset, dict.fromkeys(dataset.frames, "here"), chosen=point)
    frames, clean = pd.DataFrame(again["frames"]), np.array(found["frames"]["source"]) == NO_POLYP
    marked = np.array(frames["marked_chosen"])
    assert marked[clean].mean() == pytest.approx(point["marked"], abs=1e-4)
    assert marked[clean].mean() <= most
    assert frames["found_chosen"].sum() / frames["polyps"].sum() == pytest.approx(point["found"], abs=1e-4)
    knobs = {name: point[name] for name in ("min_peak", "min_share")}
    validated = validate(model, dataset, **knobs, precision="fp32")
    assert validated.table["marked"].tolist() == marked.tolist()
    gap = (validated.table["dice"] - frames["dice_chosen"].astype(float)).abs()
    assert gap.max() < 1e-4


def test_of_the_points_that_find_most_the_quietest_is_chosen():
    operating = {"peaks": [0.3, 0.5, 0.7], "least_areas": [0.0, 0.01], "polyps": 10, "clean": 10}
    operating |= {"found": [[9, 8], [8, 8], [7, 5]], "marked": [[9, 3], [4, 2], [1, 0]]}
    chosen = [choose_point(operating, most) for most in (1.0, 0.4, 0.1, 0.0)]
    points = [(p["min_peak"], p["min_share"], p["found"], p["marked"]) for p in chosen]
    assert points == [
        (0.3, 0.0, 0.9, 0.9),
        (0.5, 0.01, 0.8, 0.2),
        (0.7, 0.0, 0.7, 0.1),
        (0.7, 0.01, 0.5, 0.0),
    ]
    operating["marked"] = [[9, 9]] * 3
    assert choose_point(operating, 0.5) is None


def test_groups_are_videos_where_they_are_known(tiny, with_clean):
    found = hospitals._score_part(
        build_model(tiny).eval(), changed(tiny, data=str(with_clean), split="random"), "all", None
    )
    frames, videos = pd.DataFrame(found["frames"]), read_sequences(with_clean)
    assert set(frames["source"]) > {NO_POLYP}
    assert frames["group"].tolist() == [str(videos[frame]) for frame in frames["frame"]]


def test_the_stretched_dice_is_that_of_the_referee(scored, tmp_path):
    """Two programs: this one as it trains, and `polyp score` on files."""
    model, dataset, found = scored
    shown = [
        (frame, probs, target)
        for frame, (probs, target) in zip(dataset.frames, probabilities(model, dataset), strict=True)
        if target.any()
    ]
    for frame, probs, target in shown:
        stretched = (probs - probs.min()) / (probs.max() - probs.min())
        write_png(make_folder(tmp_path / "p") / f"{frame}.png", np.round(255 * stretched).astype(np.uint8))
        write_png(make_folder(tmp_path / "t") / f"{frame}.png", 255 * target.astype(np.uint8))
    table = score(tmp_path / "p", tmp_path / "t", progress=False)
    mean = np.nanmean(np.array(found["frames"]["dice_pranet"], float))
    assert table.value("pranet_mean", "dice") == pytest.approx(mean, abs=1e-3)


def test_maps_of_one_value_are_kept_as_they_are():
    target = np.zeros((4, 4), bool)
    target[:2] = True
    curve = stretched_dice(np.full((4, 4), 0.3, np.float32), target)
    assert curve[0] == pytest.approx(2 * 8 / 24)  # at threshold 0 all is marked
    assert (curve[77:] == 0).all()
    assert curve[76] == pytest.approx(2 * 8 / 24)


@pytest.mark.parametrize("name", PLANS)
def test_every_plan_is_a_valid_configuration(name):
    config = configure(**PLANS[name].settings)
    assert not (config.refit and "val" in PLANS[name].parts)
    assert name in experiments.experiment_names()


def test_clean_in_and_out_take_as_many_steps():
    """The clean frames are those in `negatives/`, and the empty masks of PolypGen."""
    inside, out = (configure(**PLANS[f"clean_{way}"].settings) for way in ("in", "out"))
    assert inside == changed(out, clean=True, epochs=inside.epochs)
    frames = parts_of(packaged_split(inside.data, "mixed"))["train"]
    areas = packaged_split("polypgen", "sequence").set_index("frame")["area"]
    empty = {f"polypgen/{frame}" for frame in areas.index[areas == 0]}
    steps = len(frames) * inside.epochs, len(set(frames) - empty) * out.epochs
    assert steps[0] == pytest.approx(steps[1], rel=0.02)
    assert len(empty) > 893  # the folder's README counts the frames in negatives/


def test_a_plan_is_trained_scored_and_written(tiny, with_clean, tmp_path, monkeypatch):
    settings = {key: value for key, value in tiny.to_dict().items() if key != "data"}
    settings |= {"data": str(with_clean), "split": "mixed", "epochs": 1}
    monkeypatch.setitem(PLANS, "small", Plan(settings, ("val", "test"), elsewhere=(str(with_clean),)))
    result = json.loads(experiments.experiment("small", out=tmp_path / "results").read_text())
    assert Config.from_dict(result["config"]) == configure(**settings)
    assert result["epoch"] == 1
    assert list(result["sets"]) == ["val", "test", str(with_clean)]
    assert len(result["sets"][str(with_clean)]["frames"]["frame"]) == 24 + 12
    assert result["curve"]["val_clean_marked"][0] is not None
    assert not math.isnan(result["curve"]["val_dice"][0])
