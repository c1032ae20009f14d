"""What the report tells of other hospitals, recomputed from the committed results in another way."""

import numpy as np
import pytest

from polyp.course import elsewhere
from polyp.course.experiments import read_result
from polyp.course.report import SIZES
from polyp.errors import DataError


@pytest.fixture(scope="module")
def frames():
    return elsewhere.compared()


def test_every_frame_is_compared_once(frames):
    sets = read_result("several")["sets"]
    names = [
        name if "/" in name else f"{part}/{name}"
        for part in ("test", "cvc-colondb", "etis-larib")
        for name in sets[part]["frames"]["frame"]
    ]
    assert sorted(frames["frame"]) == sorted(names)
    assert frames.loc[frames["source"] != "no polyp", "dice_old"].notna().all()


def test_the_rows_of_etis_by_hand(frames):
    (row,) = [row for row in elsewhere.by_hospital(frames) if row["title"].startswith("ETIS")]
    old, new = (
        read_result(name)["sets"]["etis-larib"]["frames"] for name in ("clinicdb_elsewhere", "several")
    )
    assert row["frames"] == len(new["dice"]) == 196
    assert row["new"] == pytest.approx(sum(new["dice"]) / 196)
    assert row["old"] == pytest.approx(sum(old["dice"]) / 196)
    assert row["low"] == pytest.approx(sum(dice < 0.5 for dice in new["dice"]) / 196)
    assert row["groups"] == len(set(new["group"]))
    assert row["interval"][0] < row["new"] < row["interval"][1]


def test_alarms_by_hand(frames):
    found = elsewhere.alarms(frames)
    result = read_result("several")
    test = result["sets"]["test"]["frames"]
    clean = [k for k, source in enumerate(test["source"]) if source == "no polyp"]
    assert found["frames"] == len(clean)
    assert found["chosen"] == pytest.approx(np.mean([test["marked_chosen"][k] for k in clean]))
    assert found["half"] == pytest.approx(np.mean([test["largest"][k] > 0 for k in clean]))
    both = [result["sets"][name]["frames"] for name in ("cvc-colondb", "etis-larib")]
    assert found["found"] == sum(sum(part["found_chosen"]) for part in both)
    assert 0 <= found["kept"] <= 1
    # the table of all operating points says the same of the chosen one
    curve, chosen = result["sets"]["test"]["operating"], result["chosen"]
    pair = curve["peaks"].index(chosen["min_peak"]), curve["least_areas"].index(chosen["min_share"])
    assert curve["marked"][pair[0]][pair[1]] == sum(test["marked_chosen"][k] for k in clean)


def test_sizes_add_up(frames):
    whole, *parts = elsewhere.by_size(frames, SIZES)
    for name in ("frames", "polyps", "found", "found_chosen"):
        assert whole[name] == sum(part[name] for part in parts)


def test_the_protocol_has_all_five_sets():
    rows = {row["name"]: row["frames"] for row in elsewhere.protocol()}
    assert rows == {"ClinicDB": 62, "Kvasir": 100, "ColonDB": 379, "ETIS": 196, "CVC-300": 60}


def test_a_hospital_left_out_by_hand():
    (row,) = [row for row in elsewhere.left_out() if row["title"] == "PolypGen, hospital 4"]
    part = read_result("without_c4")["sets"]["test"]["frames"]
    own = {
        f: d
        for f, s, d in zip(part["frame"], part["source"], part["dice"], strict=True)
        if s == "polypgen C4"
    }
    assert set(part["source"]) == {"polypgen C4", "no polyp"}
    assert row["frames"] == len(own)
    assert row["dice"] == pytest.approx(np.mean(list(own.values())))
    assert row["low"] == pytest.approx(np.mean([dice < 0.5 for dice in own.values()]))
    assert row["interval"][0] < row["dice"] < row["interval"][1]
    means = []
    for other in ("clinicdb", "kvasir", "c1", "c2", "c3", "c5", "c6"):
        part = read_result(f"without_{other}")["sets"]["left out"]["frames"]
        held_out = {
            f: d
            for f, s, d in zip(part["frame"], part["source"], part["dice"], strict=True)
            if s == "polypgen C4"
        }
        means.append(np.mean(list(held_out.values())))
    assert row["within"] == pytest.approx(np.mean(means))
    assert row["shared"] == len(held_out)
    assert row["without"] == pytest.approx(np.mean([own[frame] for frame in held_out]))
    matrix = elsewhere.matrix_left_out()
    assert matrix.shape == (8, 8)
    assert matrix.notna().all(axis=None)
    assert matrix.loc["polypgen C4", "polypgen C4"] == pytest.approx(row["dice"])


def test_folds_with_others_by_hand():
    rows = elsewhere.folds_with_others()
    assert [row["fold"] for row in rows] == [0, 1, 2, 3, 4, "all"]
    assert sum(row["frames"] for row in rows[:5]) == rows[5]["frames"] == 612
    for fold, row in enumerate(rows[:5]):
        assert row["more"] == pytest.approx(
            np.mean(read_result(f"several_fold_{fold}")["sets"]["test"]["frames"]["dice"])
        )
        assert row["alone"] == pytest.approx(read_result(f"fold_{fold}")["test"]["dice_per_image"], abs=1e-4)


def test_without_results_nothing_is_told(monkeypatch):
    def none(name):
        raise DataError(name)

    monkeypatch.setattr(elsewhere, "read_result", none)
    assert elsewhere.numbers_elsewhere(SIZES) == {}
