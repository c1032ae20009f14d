import json
import math
import shutil

import numpy as np
import pytest
import torch
from scipy import ndimage

from polyp.config import Config, changed, configure
from polyp.course import experiments, hospitals
from polyp.course.hospitals import LEAST_AREAS, PLANS, THRESHOLDS, Plan, score_frames, stretched_dice
from polyp.data.dataset import open_part
from polyp.data.images import write_png
from polyp.data.sources import NO_POLYP
from polyp.data.split import packaged_split, parts_of
from polyp.disk import make_folder
from polyp.model.network import build_model
from polyp.run.prediction import predict_probs
from polyp.run.scoring import score


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
        yield predict_probs(model, image.permute(1, 2, 0).numpy(), (32, 32), out_size=target.shape), target


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
    for t, a in ((0, 0), (9, 0), (9, 2), (12, 4), (18, 5)):
        hit = marked = polyps = 0
        for probs, target in pairs:
            regions, _ = ndimage.label(probs > THRESHOLDS[t], eight)
            sizes = np.bincount(regions.ravel())
            sizes[0] = 0
            kept = (sizes >= max(10, LEAST_AREAS[a] * probs.size))[regions]
            marked += not target.any() and bool(kept.any())
            labels, count = ndimage.label(target, eight)
            for polyp in (labels == k for k in range(1, count + 1)):
                if polyp.sum() >= 10:
                    polyps += 1
                    hit += kept[polyp].mean() >= 0.5
        assert operating["polyps"] == polyps
        assert operating["found"][t][a] == hit
        assert operating["marked"][t][a] == marked
    assert (np.diff(operating["found"], axis=1) <= 0).all()
    assert (np.diff(operating["marked"], axis=1) <= 0).all()


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
    assert config.refit == ("val" not in PLANS[name].parts)
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
    monkeypatch.setitem(PLANS, "small", Plan(settings, ("val", "test"), elsewhere=True))
    monkeypatch.setattr(hospitals, "ELSEWHERE", (str(with_clean),))
    result = json.loads(experiments.experiment("small", out=tmp_path / "results").read_text())
    assert Config.from_dict(result["config"]) == configure(**settings)
    assert result["epoch"] == 1
    assert list(result["sets"]) == ["val", "test", str(with_clean)]
    assert len(result["sets"][str(with_clean)]["frames"]["frame"]) == 24 + 12
    assert result["curve"]["val_clean_marked"][0] is not None
    assert not math.isnan(result["curve"]["val_dice"][0])
