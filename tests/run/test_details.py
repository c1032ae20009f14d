"""Scores by threshold and by polyp, against the plain way: threshold by threshold, region by region."""

import json
import math
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import ndimage

from polyp.__main__ import main
from polyp.config import changed
from polyp.data.dataset import open_part
from polyp.data.images import write_png
from polyp.disk import make_folder
from polyp.model.network import build_model
from polyp.run.details import THRESHOLDS, Details, counts_by_threshold
from polyp.run.validation import validate


@pytest.fixture
def dataset(tiny, frames_folder, tmp_path):
    """The synthetic frames, and four without a polyp."""
    folder = shutil.copytree(frames_folder, tmp_path / "data")
    rng = np.random.default_rng(0)
    for n in range(4):
        pixels = rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)
        write_png(make_folder(folder / "negatives") / f"v{n}__1.png", pixels)
    return open_part(changed(tiny, data=str(folder), split="random"), "all")


@pytest.fixture
def model(tiny, dataset):
    """Untrained, but with answers of all heights."""
    model = build_model(tiny).eval()
    with torch.inference_mode():
        logits = torch.cat([model(dataset[i][0][None])[-1] for i in range(len(dataset))])
    head = model.heads["2"]
    with torch.no_grad():
        head.weight /= logits.std() / 2
        head.bias.sub_(logits.median()).div_(logits.std() / 2)
    return model


def test_the_sweep_is_a_validation_at_each_threshold(model, dataset):
    found = validate(model, dataset, min_peak=0.9, precision="fp32", detailed=True)
    sweep = found.details.sweep().set_index("threshold")
    assert sweep.index.tolist() == THRESHOLDS.tolist()
    for threshold in (0.05, 0.3, 0.5, 0.7, 0.95):
        expected = validate(model, dataset, threshold=threshold, precision="fp32").scores
        assert sweep.loc[threshold].to_dict() == pytest.approx(expected, nan_ok=True)
    assert sweep["dice_per_image"].nunique() > 10  # the thresholds cut something
    assert sweep["clean_marked"].nunique() > 1


def test_details_change_no_score(model, dataset):
    plain, detailed = (validate(model, dataset, precision="fp32", detailed=d) for d in (False, True))
    assert plain.details is None
    assert (plain.loss, plain.scores) == (detailed.loss, detailed.scores)
    pd.testing.assert_frame_equal(plain.table, detailed.table)


def test_a_pixel_at_the_threshold_is_not_above_it():
    probs = np.array([[0.0, 0.05, 0.5], [0.95, 1.0, 0.51]], np.float32)
    truth = np.array([[1, 0, 1], [0, 1, 0]], bool)
    expected = [
        [(p & t).sum(), (p & ~t).sum(), (~p & t).sum(), (~p & ~t).sum()]
        for p, t in ((probs > np.float32(threshold), truth) for threshold in THRESHOLDS)
    ]
    assert counts_by_threshold(probs, truth).T.tolist() == expected


def random_mask(rng, size=(60, 80)):
    return ndimage.gaussian_filter(rng.normal(size=size), 4) > 0.08


def test_polyps_are_the_regions_of_the_mask():
    rng, details = np.random.default_rng(1), Details()
    expected, false = [], []
    for n in range(20):
        truth, mask = random_mask(rng), random_mask(rng)
        mask = np.where(rng.random() < 0.7, ndimage.shift(truth, rng.integers(0, 4, 2), order=0), mask)
        details.add(str(n), mask.astype(np.float32), mask, truth)
        true, count = ndimage.label(truth, np.ones((3, 3)))
        drawn, marks = ndimage.label(mask, np.ones((3, 3)))
        regions = [true == r for r in range(1, count + 1) if (true == r).sum() >= 10]
        marks = [drawn == r for r in range(1, marks + 1) if (drawn == r).sum() >= 10]
        hits = 0
        for region in regions:
            iou = max((float((region & m).sum() / (region | m).sum()) for m in marks), default=0.0)
            hits += iou >= 0.5
            expected.append((str(n), region.sum(), region.mean(), (region & mask).sum() / region.sum(), iou))
        false.append(len(marks) - hits)
    polyps = details.polyps()
    columns = ["frame", "area", "share", "covered", "iou"]
    # numbered row by row by one, by the first pixel by the other: the order within a frame is free
    order = lambda table: table.sort_values(["frame", "area", "iou"], ignore_index=True)  # noqa: E731
    pd.testing.assert_frame_equal(
        order(polyps[columns]), order(pd.DataFrame(expected, columns=columns)), check_dtype=False
    )
    # above one half a region has one partner at most, so that being found is a matter of its IoU
    assert (polyps["found_0.5"] == (polyps["iou"] >= 0.5)).all()
    assert (polyps["found_0.1"] <= (polyps["iou"] >= 0.1)).all()
    sizes = polyps["share"].map(
        lambda share: "large" if share >= 0.1 else "medium" if share >= 0.05 else "small"
    )
    assert (polyps["size"] == sizes).all()
    half = details.detection().set_index("overlap").loc[0.5]
    assert half["found"] == (polyps["iou"] >= 0.5).sum()
    assert half["false_regions"] == sum(false)
    assert half["false_per_frame"] == pytest.approx(sum(false) / 20)
    small = polyps[polyps["size"] == "small"]
    assert half["recall_small"] == pytest.approx((small["iou"] >= 0.5).mean())
    assert half[["polyps_small", "polyps_medium", "polyps_large"]].sum() == len(polyps)


def test_one_region_finds_one_polyp():
    """A region that covers two polyps finds one; two that cover one polyp are a hit and a false alarm."""
    details, whole = Details(), np.zeros((20, 40), bool)
    whole[5:15, 5:35] = True
    halves = whole.copy()
    halves[:, 20] = False
    details.add("joined", whole.astype(np.float32), whole, halves)
    details.add("split", halves.astype(np.float32), halves, whole)
    low = details.detection().set_index("overlap").loc[0.3]
    assert (low["polyps"], low["found"], low["false_regions"]) == (3, 2, 1)


def test_frames_without_polyps_alone():
    details, empty = Details(), np.zeros((20, 20), bool)
    details.add("clean", empty.astype(np.float32), empty, empty)
    assert details.polyps().empty
    found = details.to_dict()
    assert found["detection"][0]["recall"] is None
    assert found["sweep"][0]["clean_marked"] == 0


def refuse(constant):
    raise AssertionError(f"{constant} is no JSON")


def test_the_command_prints_json_alone(run, dataset, tmp_path, capsys):
    flags = ["--data", str(tmp_path / "data"), "--precision", "fp32"]
    assert main(["validate", str(run.best), *flags, "--json", "--out", "table.csv"]) == 0
    said = capsys.readouterr()
    found = json.loads(said.out, parse_constant=refuse)
    assert "table.csv" in said.err
    table = pd.read_csv("table.csv")
    assert [row["frame"] for row in found["frames"]] == table["frame"].tolist()
    undefined = table["dice"].isna()
    assert [row["dice"] is None for row in found["frames"]] == undefined.tolist()
    at_half = next(row for row in found["sweep"] if row["threshold"] == 0.5)
    assert at_half | {"threshold": 0} == found["scores"] | {"threshold": 0}
    assert math.isclose(found["scores"]["dice_per_image"], table["dice"][table.eval("tp + fn > 0")].mean())
    assert found["point"] == {"threshold": 0.5, "min_peak": 0, "min_share": 0, "second_look": False}
    assert main(["validate", str(run.best), *flags, "--sweep"]) == 0
    said = capsys.readouterr().out
    assert f"of {len(found['polyps'])}; false regions per frame" in said
    assert f"0.500 {at_half['dice_per_image']:.3f}" in said
