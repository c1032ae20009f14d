"""The referee's measures and rows against other people's code, naive loops and numbers by hand."""

import csv
import io
import os
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.ndimage import binary_erosion
from scipy.spatial.distance import cdist
from sklearn.metrics import f1_score, jaccard_score
from torchmetrics.functional.segmentation import dice_score

from polyp.model.intervals import bootstrap_mean
from polyp.run.scoring import Settings, measure_frame, score
from polyp.run.scoring.regions import boundary_distances, match_regions, regions_of
from tests.run import sod_table

SOD = sod_table.frames()
TABLE = Path(__file__).with_name("pysodmetrics.csv")
SOD_PYTHON = os.environ.get("POLYP_SOD_PYTHON")
# Rows of the referee's table beside columns of PySODMetrics': convention, score -> column.
SHARED = {
    ("pranet_mean", "dice"): "stretched_mean_dice",
    ("pranet_mean", "iou"): "stretched_mean_iou",
    ("pranet_max", "dice"): "stretched_max_dice",
    ("pranet_max", "iou"): "stretched_max_iou",
    ("adaptive", "dice"): "adaptive_dice",
    ("adaptive", "iou"): "adaptive_iou",
    ("s_measure", "value"): "s_measure",
    ("e_mean", "value"): "e_measure_mean",
    ("e_max", "value"): "e_measure_max",
    ("weighted_f", "value"): "weighted_f",
    ("mae", "value"): "mae",
}


def score_sod(names=SOD, **options):
    maps, masks = ({name: SOD[name][part] for name in names} for part in (0, 1))
    return score(maps, masks, values="0-255", resamples=50, **options)


def random_pairs(count=6, shape=(23, 31), seed=0):
    """Blurred noise, so that regions have some size: float maps 0 to 1 and masks."""
    rng = np.random.default_rng(seed)
    coarse = rng.random((2, count, shape[0] // 4 + 2, shape[1] // 4 + 2))
    maps, truth = coarse.repeat(4, axis=2).repeat(4, axis=3)[:, :, : shape[0], : shape[1]]
    return np.clip(maps + rng.normal(0, 0.1, maps.shape), 0, 1), truth > 0.6


# --- PySODMetrics --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SOD)
def test_a_frame_has_pysodmetrics_scores(name):
    """All of them, degenerate frames included: on these the stretched measures follow the tool."""
    theirs = pd.read_csv(TABLE).set_index("frame").loc[name]
    ours = score_sod([name])
    for (convention, what), column in SHARED.items():
        assert ours.value(convention, what) == pytest.approx(theirs[column], abs=1e-6), column


def test_a_set_has_pysodmetrics_scores():
    """The best threshold of a set is not the mean of the frames' best."""
    theirs = pd.read_csv(TABLE).set_index("frame").loc["all"]
    ours = score_sod()
    for (convention, what), column in SHARED.items():
        assert ours.value(convention, what) == pytest.approx(theirs[column], abs=1e-6), column
    assert ours.value("pranet_max", "dice") < ours.frames["best_dice"].mean()


@pytest.mark.skipif(
    not SOD_PYTHON, reason="POLYP_SOD_PYTHON names no Python with pysodmetrics: its table is not rebuilt"
)
def test_the_committed_table_is_pysodmetrics():
    script = Path(sod_table.__file__)
    done = subprocess.run([SOD_PYTHON, script], capture_output=True, text=True, check=True)
    rebuilt, committed = (
        list(csv.DictReader(io.StringIO(text))) for text in (done.stdout, TABLE.read_text())
    )
    assert rebuilt == committed


# --- Other oracles -------------------------------------------------------------------------------


def test_pranets_thresholds_one_by_one():
    """As in its MATLAB: stretch each map, cut it at 256 thresholds; average the frames; then mean, max."""
    maps, truth = random_pairs()
    curves = []
    for probs, mask in zip(maps, truth, strict=True):
        flat = (probs - probs.min()) / (probs.max() - probs.min())
        preds = flat >= np.linspace(1, 0, 256)[:, None, None]
        hits = (preds & mask).sum(axis=(1, 2))
        curves.append(np.where(hits == 0, 0, 2 * hits / (preds.sum(axis=(1, 2)) + mask.sum())))
    column = np.mean(curves, axis=0)
    found = score(maps, truth, resamples=9)
    assert found.value("pranet_mean", "dice") == pytest.approx(column.mean(), abs=1e-3)
    assert found.value("pranet_max", "dice") == pytest.approx(column.max(), abs=1e-3)


def test_best_threshold_one_by_one():
    maps, truth = random_pairs(1)
    dices = [f1_score(truth.ravel(), maps.ravel() >= k / 255) for k in range(1, 256)]
    assert score(maps, truth).value("best_threshold", "dice") == pytest.approx(max(dices), abs=1e-12)


def test_pooled_is_scikit_learns():
    maps, truth = random_pairs()
    found, preds = score(maps, truth, resamples=9), maps > 0.5
    assert found.value("pooled", "dice") == pytest.approx(f1_score(truth.ravel(), preds.ravel()))
    assert found.value("pooled", "iou") == pytest.approx(jaccard_score(truth.ravel(), preds.ravel()))
    both = jaccard_score(truth.ravel(), preds.ravel(), average="macro")
    assert found.value("background_pooled", "iou") == pytest.approx(both)


def test_averaged_with_background_is_torchmetrics():
    """An empty frame left empty, too: only its background has a score."""
    maps, truth = random_pairs()
    maps[2], truth[2] = 0, False
    preds, target = (torch.from_numpy(array.astype(int)) for array in (maps > 0.5, truth))
    options = {"num_classes": 2, "include_background": True, "average": "macro", "input_format": "index"}
    found = score(maps, truth, resamples=9)
    by_frame = dice_score(preds, target, **options).mean().item()
    assert found.value("background_mean", "dice") == pytest.approx(by_frame, abs=1e-6)
    pooled = dice_score(preds, target, **options, aggregation_level="global").item()
    assert found.value("background_pooled", "dice") == pytest.approx(pooled, abs=1e-6)


def test_soft_dice_is_polyp_pvts():
    maps, truth = random_pairs()
    expected = []
    for probs, mask in zip(maps, truth, strict=True):
        res = (probs - probs.min()) / (probs.max() - probs.min() + 1e-8)
        expected.append((2 * (res * mask).sum() + 1) / (res.sum() + mask.sum() + 1))
    assert score(maps, truth, resamples=9).value("soft", "dice") == pytest.approx(np.mean(expected), abs=1e-6)


def brute_force(preds, truth, tolerance):
    """HD95 and NSD with SciPy alone: erosion by a cross, and all distances of all pairs of pixels."""
    a, b = (np.argwhere(mask & ~binary_erosion(mask)) for mask in (preds, truth))
    distances = cdist(a, b)
    there, back = distances.min(axis=1), distances.min(axis=0)
    within = (there <= tolerance).sum() + (back <= tolerance).sum()
    return max(np.percentile(there, 95), np.percentile(back, 95)), within / (len(there) + len(back))


def boundary_cases():
    maps, truth = random_pairs(8, seed=1)
    yield from zip(maps > 0.5, truth, strict=True)
    yield from ((probs > 127, mask) for probs, mask in SOD.values() if (probs > 127).any() and mask.any())


@pytest.mark.parametrize("tolerance", [0, 2, 3.5])
def test_boundary_distances_by_brute_force(tolerance):
    """Also where a mask touches the frame's end, fills it, or is one pixel."""
    for preds, truth in boundary_cases():
        found = boundary_distances(preds, truth, tolerance)
        assert found == pytest.approx(brute_force(preds, truth, tolerance), abs=1e-4)


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_boundary_distances_are_monais():
    """Where a mask is empty, MONAI's HD95 is infinite or NaN; ours is undefined, and the frame left out."""
    monai = pytest.importorskip("monai.metrics", reason="MONAI is not installed: brute force is the oracle")
    for preds, truth in boundary_cases():
        one_hot = [
            torch.from_numpy(np.stack([~mask, mask])[None].astype(np.float32)) for mask in (preds, truth)
        ]
        hd95, nsd = boundary_distances(preds, truth, 2)
        assert monai.compute_hausdorff_distance(*one_hot, percentile=95).item() == pytest.approx(
            hd95, abs=1e-3
        )
        assert monai.compute_surface_dice(*one_hot, [2.0]).item() == pytest.approx(nsd, abs=1e-3)


def test_boundaries_of_nothing():
    none, some = np.zeros((5, 5), bool), np.eye(5, dtype=bool)
    assert boundary_distances(none, some, 2) == pytest.approx((np.nan, 0), nan_ok=True)
    assert boundary_distances(some, none, 2) == pytest.approx((np.nan, 0), nan_ok=True)
    assert np.isnan(boundary_distances(none, none, 2)).all()


# --- Regions -------------------------------------------------------------------------------------


def boxes(*corners):
    mask = np.zeros((40, 40), bool)
    for top, left, bottom, right in corners:
        mask[top:bottom, left:right] = True
    return mask


@pytest.mark.parametrize(
    ("predicted", "overlap", "found", "false"),
    [
        ([(0, 0, 10, 10), (20, 20, 30, 30)], 0.5, 2, 0),
        ([(0, 0, 10, 10)], 0.5, 1, 0),
        ([(0, 0, 5, 10)], 0.5, 1, 0),  # IoU just 0.5
        ([(0, 0, 5, 10)], 0.51, 0, 1),
        ([(0, 0, 4, 10), (6, 0, 10, 10)], 0.3, 1, 1),  # two fragments find one polyp once
        ([(0, 0, 30, 30)], 0.1, 1, 0),  # one large region finds one polyp, not two
        ([(0, 0, 3, 3), (35, 35, 38, 38)], 0.5, 0, 0),  # of 9 pixels: no regions
        ([], 0.5, 0, 0),
    ],
)
def test_polyps_found_and_false_regions(predicted, overlap, found, false):
    truth = boxes((0, 0, 10, 10), (20, 20, 30, 30))
    scores = measure_frame(boxes(*predicted).astype(float), truth, Settings(overlap=overlap)).scores
    assert (scores["polyps"], scores["found"], scores["false_regions"]) == (2, found, false)


def test_as_many_as_possible_are_paired():
    """The wide region could take the left polyp, the only one the narrow region can have."""
    truth = boxes((0, 0, 10, 10), (0, 12, 10, 22))
    predicted = regions_of(boxes((0, 0, 4, 10), (6, 0, 10, 22)), 1)
    assert match_regions(predicted, regions_of(truth, 1), 0.2).tolist() == [True, True]


@pytest.mark.parametrize(("side", "marked"), [((3, 3), 0), ((2, 5), 1)])
def test_a_clean_frame_is_marked_by_ten_pixels(side, marked):
    preds = boxes((4, 4, 4 + side[0], 4 + side[1]))
    found = score([preds, boxes()], [boxes(), boxes((0, 0, 9, 9))], sequences=False, resamples=9)
    assert found.value("clean_marked") == marked
    assert found.table.set_index("convention").loc["clean_marked", "frames"] == 1


# --- Rows ----------------------------------------------------------------------------------------


def test_what_a_clean_frame_is_worth():
    """Four frames: right; missed; clean and left clean; clean and marked. Each convention by hand."""
    polyp, none = boxes((0, 0, 10, 10)), boxes()
    found = score([polyp, none, none, polyp], [polyp, polyp, none, none], resamples=9)
    dice = {
        name: found.value(name, "dice") for name in ("image_mean", "image_mean_all", "image_mean_empty_1")
    }
    assert dice == {"image_mean": 1 / 2, "image_mean_all": 1 / 3, "image_mean_empty_1": 2 / 4}
    # PraNet's toolbox counts both clean frames as 0; of the others, the lowest threshold marks all.
    all_marked = 2 * 100 / (100 + 1600)
    pranet = (255 / 256 + 2 * all_marked / 256) / 4
    assert found.value("pranet_mean", "dice") == pytest.approx(pranet)
    assert found.value("clean_marked") == 1 / 2
    assert found.value("found") == 1 / 2
    assert found.value("false_regions") == 1 / 4


def test_means_of_sequences_and_their_intervals():
    """A long video and two short ones; the interval of the plain mean is the package's cluster bootstrap."""
    maps, truth = random_pairs(10)
    videos = ["a"] * 6 + ["b"] * 3 + ["c"]
    found = score(maps, truth, sequences=videos)
    dice = found.frames.groupby("group")["dice"].mean()
    assert found.value("group_mean", "dice") == pytest.approx(dice.mean())
    row = found.table.query("convention == 'image_mean' and score == 'dice'").iloc[0]
    expected = bootstrap_mean(found.frames["dice"], pd.factorize(found.frames["group"])[0])
    assert (row["low"], row["high"]) == pytest.approx(expected)


def test_every_interval_is_of_the_row_of_resampled_frames():
    """Not a formula of its own: draw whole videos, score these frames as a set, take quantiles."""
    maps, truth = random_pairs(6)
    truth[5] = False
    videos = np.array([0, 0, 1, 1, 2, 2])
    drawn = np.random.default_rng(3).integers(0, 3, (30, 3))
    resampled = []
    for draw in drawn:
        rows = np.concatenate([np.flatnonzero(videos == video) for video in draw])
        labels = np.repeat(np.arange(3), 2)  # a video drawn twice counts as two
        once = score(maps[rows], truth[rows], sequences=labels, resamples=2)
        resampled.append(once.table["value"].to_numpy())
    found = score(maps, truth, sequences=videos, resamples=30, seed=3).table
    expected = np.array([np.quantile(c[~np.isnan(c)], [0.025, 0.975]) for c in np.transpose(resampled)])
    np.testing.assert_allclose(found[["low", "high"]], expected, atol=1e-12)


def test_one_group_has_no_interval_and_no_groups_no_mean_of_means():
    maps, truth = random_pairs(3)
    one = score(maps, truth, sequences=[7, 7, 7])
    assert one.table["low"].isna().all()
    assert "all of one sequence: no intervals" in str(one)
    alone = score(maps, truth, resamples=9)
    assert "group_mean" not in set(alone.table["convention"])
    assert "draw single frames" in str(alone)


def test_all_frames_clean():
    """Dice is undefined and said to be so; what clean frames are for is there."""
    found = score(np.zeros((3, 20, 20)), np.zeros((3, 20, 20), bool), resamples=9)
    assert np.isnan(found.value("image_mean", "dice"))
    assert found.value("clean_marked") == 0
    assert "-: undefined, for no frame shows a polyp" in str(found)
    assert found.to_dict()["rows"][0]["value"] is None


# --- Paired --------------------------------------------------------------------------------------


def test_paired_by_hand():
    polyp, half, none = boxes((0, 0, 10, 10)), boxes((0, 0, 5, 10)), boxes()
    truth = [polyp, polyp, polyp, none]
    found = score([polyp, polyp, half, none], truth, paired=[half, half, half, polyp], sequences=[1, 1, 2, 3])
    pair = found.paired
    assert (pair.dice, pair.other) == pytest.approx((8 / 9, 2 / 3))
    assert pair.difference == pytest.approx(2 / 9)
    assert (pair.low, pair.high) == pytest.approx(bootstrap_mean([1 / 3, 1 / 3, 0], [1, 1, 2]))
    assert (pair.marked, pair.other_marked) == (0, 1)
    assert pair.groups.to_dict("list") == {
        "group": [1, 2],
        "frames": [2, 1],
        "difference": [pytest.approx(1 / 3), 0],
    }
    assert "better in 1 of 2 sequences, worse in 0" in str(found)


def test_a_method_against_itself_gains_nothing():
    maps, truth = random_pairs()
    pair = score(maps, truth, paired=maps, resamples=99).paired
    assert (pair.difference, pair.low, pair.high) == (0, 0, 0)
