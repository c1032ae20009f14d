"""What the report tells of other hospitals, and of frames without a polyp.

It compares the weights `clinicdb`, which learnt from one hospital, with `several`, on the same frames.
"""

from typing import Any

import pandas as pd

from polyp.course.experiments import read_result
from polyp.course.hospitals import ELSEWHERE, HOSPITALS, MOST, choose_point
from polyp.data.sources import NO_POLYP
from polyp.data.split import packaged_split, parts_of
from polyp.errors import DataError
from polyp.model.intervals import bootstrap_mean

OLD, NEW = "clinicdb_elsewhere", "several"
PROTOCOL = "pranet_1"  # the one of the runs of `PROTOCOLS` that came to its planned end
PROTOCOLS = ("pranet_0", "pranet_1", "pranet_2")
TITLES = {
    "cvc-clinicdb": "CVC-ClinicDB, the videos of fold 0",
    "kvasir-seg": "Kvasir-SEG, PraNet's test frames",
    **{f"polypgen C{k}": f"PolypGen, hospital {k}" for k in range(1, 7)},
    "cvc-colondb": "CVC-ColonDB, all frames",
    "etis-larib": "ETIS-Larib, all frames",
}
# Mean Dice over 256 thresholds of stretched maps, as the tables of Polyp-PVT (arXiv:2108.06932) print it; for
# ClinicDB (62 frames), Kvasir (100), ColonDB (380), ETIS (196) and CVC-300 (60, which are frames of ColonDB).
PUBLISHED = {
    "U-Net": (0.823, 0.818, 0.512, 0.398, 0.710),
    "UNet++": (0.794, 0.821, 0.483, 0.401, 0.707),
    "PraNet": (0.899, 0.898, 0.712, 0.628, 0.871),
    "Polyp-PVT": (0.937, 0.917, 0.808, 0.787, 0.900),
}
SOURCES = ("cvc-clinicdb", "kvasir-seg", *(f"polypgen C{k}" for k in range(1, 7)))  # of `HOSPITALS`
CVC_300 = {f"cvc-colondb/{number}" for number in range(149, 209)}


def has(*names: str) -> bool:
    """Whether all these results are committed."""
    try:
        return all(read_result(name) for name in names)
    except DataError:
        return False


def frames_of(result: dict[str, Any], *sets: str) -> pd.DataFrame:
    """One row per frame of some of a result's sets, named `<dataset>/<frame>`; see `score_frames`."""
    tables = []
    for name in sets:
        table = pd.DataFrame(result["sets"][name]["frames"])
        if not table["frame"].str.contains("/").any():
            table["frame"] = f"{name}/" + table["frame"]
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def compared() -> pd.DataFrame:
    """The frames that neither network has learnt from: the columns of `score_frames` of `several`, and
    dice_old, found_old, marked_old of the weights `clinicdb` above 0.5, and dice_protocol of `pranet`."""
    new = frames_of(read_result(NEW), "test", *ELSEWHERE)
    old = frames_of(read_result(OLD), "kvasir-seg", "polypgen", *ELSEWHERE)
    videos = pd.DataFrame(read_result("fold_0")["frames"])  # the weights' own test videos
    videos["frame"] = "cvc-clinicdb/" + videos["frame"]
    old = pd.concat([old, videos[["frame", "dice", "found"]]])
    old["marked"] = old["largest"] > 0
    columns = {name: f"{name}_old" for name in ("dice", "found", "marked")}
    both = new.merge(old[["frame", *columns]].rename(columns=columns), on="frame")
    if not has(PROTOCOL):
        return both.assign(dice_protocol=float("nan"))
    # Of ClinicDB it has learnt from all videos, these among them.
    third = frames_of(read_result(PROTOCOL), "test", "polypgen", *ELSEWHERE)
    third = third[third["source"] != "cvc-clinicdb"]
    return both.merge(
        third[["frame", "dice"]].rename(columns={"dice": "dice_protocol"}), on="frame", how="left"
    )


def by_hospital(frames: pd.DataFrame) -> list[dict[str, Any]]:
    """One row per hospital: title, frames, groups, and of both networks the mean Dice and the share of frames
    below 0.5; interval of the new mean, groups resampled."""
    rows = []
    for source, title in TITLES.items():
        part = frames[frames["source"] == source]
        if len(part):
            rows.append(
                {
                    "title": title,
                    "frames": len(part),
                    "groups": part["group"].nunique(),
                    "old": part["dice_old"].mean(),
                    "new": part["dice"].mean(),
                    "protocol": part["dice_protocol"].mean(),
                    "interval": bootstrap_mean(part["dice"], part["group"]),
                    "low_old": (part["dice_old"] < 0.5).mean(),
                    "low": (part["dice"] < 0.5).mean(),
                    "toolbox": part["dice_pranet"].mean(),
                }
            )
    return rows


def by_size(frames: pd.DataFrame, sizes: dict[str, tuple[float, float]]) -> list[dict[str, Any]]:
    """One row per size of polyp: name, frames, Dice, found and found_chosen out of polyps."""
    polyp = frames[frames["source"] != NO_POLYP]
    rows = []
    for name, (low, high) in sizes.items():
        part = polyp[polyp["area"].between(low, high, "left")]
        facts = {"name": name, "frames": len(part), "dice": part["dice"].mean()}
        facts |= {"interval": bootstrap_mean(part["dice"], part["group"])}
        rows.append(facts | part[["polyps", "found", "found_chosen"]].sum().astype(int).to_dict())
    return rows


def alarms(frames: pd.DataFrame) -> dict[str, Any]:
    """Frames without a polyp: how many there are, of how many sequences, and the shares that are marked; and
    of the polyps of `ELSEWHERE` that `clinicdb` finds, the share that `several` finds at its point."""
    clean = frames[frames["source"] == NO_POLYP]
    never = frames[frames["source"].isin(ELSEWHERE)]
    kept = never[["found_old", "found_chosen"]].min(axis=1)
    return {
        "frames": len(clean),
        "groups": clean["group"].nunique(),
        "old": clean["marked_old"].mean(),
        "half": (clean["largest"] > 0).mean(),
        "chosen": clean["marked_chosen"].mean(),
        "interval": bootstrap_mean(clean["marked_chosen"].astype(float), clean["group"]),
        "polyps": int(never["polyps"].sum()),
        "found_old": int(never["found_old"].sum()),
        "found_half": int(never["found"].sum()),
        "found": int(never["found_chosen"].sum()),
        "kept": kept.sum() / never["found_old"].sum(),
        "dice_half": never["dice"].mean(),
        "dice_chosen": never["dice_chosen"].mean(),
    }


def another_limit(new: dict[str, Any], most: float = 0.10) -> dict[str, float]:
    """The operating point that another limit on the clean validation frames would have chosen, and the shares
    of the test part's clean frames and polyps that it marks and finds."""
    point = choose_point(new["sets"]["val"]["operating"], most)
    assert point is not None  # nothing shown marks nothing
    test = new["sets"]["test"]["operating"]
    pair = test["peaks"].index(point["min_peak"]), test["least_areas"].index(point["min_share"])
    marked, found = (test[name][pair[0]][pair[1]] for name in ("marked", "found"))
    return {"most": most, "marked": marked / test["clean"], "found": found / test["polyps"]}


def protocol() -> list[dict[str, Any]]:
    """PraNet's protocol, one row per test set: name, frames; ours, by run, the mean Dice by two conventions
    (`toolbox`, `half`) and the share of frames below 0.5 (`low`); published, by paper."""
    names = {
        "cvc-clinicdb": "ClinicDB",
        "kvasir-seg": "Kvasir",
        "cvc-colondb": "ColonDB",
        "etis-larib": "ETIS",
    }
    rows: dict[str, dict[str, Any]] = {}
    for run in filter(has, PROTOCOLS):
        frames = frames_of(read_result(run), "test", *ELSEWHERE)
        parts = {name: frames[frames["source"] == source] for source, name in names.items()}
        parts["CVC-300"] = frames[frames["frame"].isin(CVC_300)]
        for column, (name, part) in enumerate(parts.items()):
            published = {paper: row[column] for paper, row in PUBLISHED.items()}
            row = rows.setdefault(
                name, {"name": name, "frames": len(part), "ours": {}, "published": published}
            )
            row["ours"][run] = {
                "toolbox": part["dice_pranet"].mean(),
                "half": part["dice"].mean(),
                "low": (part["dice"] < 0.5).mean(),
            }
    return list(rows.values())


def matrix() -> pd.DataFrame:
    """Who generalises to whom: a row for what was trained on, a column for each hospital, mean Dice.

    A hospital that trained a network is scored on frames of videos, or in Kvasir-SEG of lists, held out.
    """
    rows = {
        "ClinicDB": read_result(OLD),
        "ClinicDB and Kvasir": read_result(PROTOCOL),
        "these and PolypGen": read_result(NEW),
    }
    found = {}
    for title, result in rows.items():
        frames = frames_of(result, *(name for name in result["sets"] if name != "val"))
        polyp = frames[frames["source"] != NO_POLYP]
        found[title] = polyp.groupby("source")["dice"].mean()
    videos = pd.DataFrame(read_result("fold_0")["frames"])
    found["ClinicDB"] = pd.concat([found["ClinicDB"], pd.Series({"cvc-clinicdb": videos["dice"].mean()})])
    return pd.DataFrame(found).T.reindex(columns=list(TITLES))


def left_out() -> list[dict[str, Any]]:
    """Each hospital left out once, one row each: title, and of all its frames with a polyp the count, the
    number of groups, the mean Dice of the network that never saw it, its interval and the share below 0.5.
    And fairly compared, on its frames that the seven other networks held out (`shared`): Dice `without` it,
    and the mean of those seven, which learnt from its other frames (`within`).
    """
    rows = []
    for hospital, source in zip(HOSPITALS, SOURCES, strict=True):
        own = _polyps_of(f"without_{hospital}", "test")
        others = [_polyps_of(f"without_{other}", "left out") for other in HOSPITALS if other != hospital]
        parts = [part[part["source"] == source] for part in others]
        shared = own[own["frame"].isin(parts[0]["frame"])]
        rows.append(
            {
                "title": TITLES[source].split(",")[0] if "polypgen" not in source else TITLES[source],
                "frames": len(own),
                "groups": own["group"].nunique(),
                "dice": own["dice"].mean(),
                "interval": bootstrap_mean(own["dice"], own["group"]),
                "low": (own["dice"] < 0.5).mean(),
                "shared": len(shared),
                "without": shared["dice"].mean(),
                "within": sum(part["dice"].mean() for part in parts) / len(parts),
            }
        )
    return rows


def matrix_left_out() -> pd.DataFrame:
    """Mean Dice: a row for each network, named after what it never saw, a column for each hospital.

    The hospital that was left out is scored on all its frames, the others on those held out.
    """
    found = {}
    for hospital, source in zip(HOSPITALS, SOURCES, strict=True):
        frames = pd.concat([_polyps_of(f"without_{hospital}", part) for part in ("test", "left out")])
        found[source] = frames.groupby("source")["dice"].mean()
    return pd.DataFrame(found).T.reindex(columns=list(SOURCES))


def _polyps_of(name: str, part: str) -> pd.DataFrame:
    frames = frames_of(read_result(name), part)
    return frames[frames["source"] != NO_POLYP]


def folds_with_others() -> list[dict[str, Any]]:
    """ClinicDB's folds by video, one row each and one of all: fold, frames, and the mean Dice and the share
    below 0.5 of the test frames, trained on ClinicDB alone (`fold_0` ...) and with other hospitals."""
    tables = []
    for fold in range(5):
        alone = pd.DataFrame(read_result(f"fold_{fold}")["frames"])[["frame", "dice"]]
        alone["frame"] = "cvc-clinicdb/" + alone["frame"].astype(str)
        more = frames_of(read_result(f"several_fold_{fold}"), "test").assign(fold=fold)
        more["frame"] = "cvc-clinicdb/" + more["frame"].str.rpartition("/")[2]
        tables.append(more.merge(alone, on="frame", suffixes=("", "_alone"), validate="1:1"))
    return [
        {
            "fold": "all" if len(table["fold"].unique()) > 1 else int(table["fold"].iloc[0]),
            "frames": len(table),
            "alone": table["dice_alone"].mean(),
            "more": table["dice"].mean(),
            "interval": bootstrap_mean(table["dice"], table["group"]),
            "low_alone": (table["dice_alone"] < 0.5).mean(),
            "low": (table["dice"] < 0.5).mean(),
        }
        for table in [*tables, pd.concat(tables)]
    ]


def _folds() -> dict[str, Any]:
    if not has(*(f"several_fold_{k}" for k in range(5))):
        return {"folds": []}
    return {"folds": folds_with_others(), "folds_epochs": read_result("several_fold_0")["config"]["epochs"]}


def _left_out() -> dict[str, Any]:
    if not has(*(f"without_{hospital}" for hospital in HOSPITALS)):
        return {"left_out": []}
    rows = left_out()
    short = {source: source.removeprefix("cvc-").removeprefix("polypgen ") for source in SOURCES}
    return {
        "left_out": rows,
        "left_out_epochs": read_result("without_c1")["config"]["epochs"],
        "within_gain": sum(row["within"] - row["without"] for row in rows) / len(rows),
        "matrix": matrix_left_out().rename(index=short, columns=short),
    }


def clean_in_training() -> list[dict[str, Any]]:
    """Trained with and without clean frames, about as many steps: steps, and on test frames Dice and the
    share of clean frames marked above 0.5."""
    rows = []
    for name, title in (("clean_out", "without"), ("clean_in", "with")):
        result = read_result(name)
        frames = frames_of(result, "test")
        clean, polyp = frames[frames["source"] == NO_POLYP], frames[frames["source"] != NO_POLYP]
        rows.append(
            {
                "title": title,
                "epochs": len(result["curve"]["epoch"]),
                "planned": result["config"]["epochs"],
                "dice": polyp["dice"].mean(),
                "interval": bootstrap_mean(polyp["dice"], polyp["group"]),
                "marked": (clean["largest"] > 0).mean(),
                "marked_interval": bootstrap_mean((clean["largest"] > 0).astype(float), clean["group"]),
                "clean": len(clean),
            }
        )
    return rows


def numbers_elsewhere(sizes: dict[str, tuple[float, float]]) -> dict[str, Any]:
    """What the templates may quote; empty while a result is missing."""
    if not has(OLD, NEW):
        return {}
    frames, new = compared(), read_result(NEW)
    split = packaged_split(new["config"]["data"], "mixed")
    areas = packaged_split("polypgen", "sequence")
    old = packaged_split("cvc-clinicdb", "sequence")
    assert split is not None  # they come with the package
    assert areas is not None
    assert old is not None
    parts, empty = parts_of(split), set("polypgen/" + areas["frame"][areas["area"] == 0].astype(str))
    return {
        "run": new,
        "most": MOST,
        "dice": max(new["curve"]["val_dice"]),
        "trained": {part: len(found) for part, found in parts.items()},
        "clean_share": len(empty & set(parts["train"])) / len(parts["train"]),
        "old_trained": len(parts_of(old)["train"]),
        "hospitals": by_hospital(frames),
        "sizes": by_size(frames, sizes),
        "alarms": alarms(frames),
        "another": another_limit(new),
        "protocol": protocol() if has(PROTOCOL) else [],
        "protocol_runs": {name: read_result(name) for name in filter(has, PROTOCOLS)},
        "doubts": read_result("doubts") if has("doubts") else {},
        **_folds(),
        **_left_out(),
        "clean": clean_in_training() if has("clean_in", "clean_out") else [],
    }
