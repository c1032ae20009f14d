"""Synthetic maps and masks, and the table of what PySODMetrics says of them.

PySODMetrics (MIT, github.com/lartpang/PySODMetrics) needs an older NumPy and OpenCV than this project, so
it lives in an environment of its own, and its answers in pysodmetrics.csv:

    python -m venv sod && sod/bin/pip install pysodmetrics==1.6.2
    sod/bin/python tests/run/sod_table.py > tests/run/pysodmetrics.csv

This file imports nothing of the project, and its frames are made of sums, products and comparisons alone:
the same bytes on every machine.
"""

import sys

import numpy as np

HEIGHT, WIDTH = 48, 64


def frames(seed=0):
    """Name -> (map, uint8 grey (48, 64); mask, bool (48, 64)): blobs, and every degenerate case."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(float)

    def blob(cy, cx, ry, rx):
        return ((y - cy) / ry) ** 2 + ((x - cx) / rx) ** 2

    def grey(values):
        return np.clip(values, 0, 255).astype(np.uint8)

    made = {}
    for number in range(8):  # a soft map beside the truth, noisier and noisier
        cy, cx, ry, rx = rng.uniform((12, 16, 4, 4), (36, 48, 14, 18))
        dy, dx = rng.uniform(-6, 6, 2)
        soft = 255 * (1.2 - blob(cy + dy, cx + dx, ry * 1.1, rx * 0.9) / 2)
        made[f"soft {number}"] = (
            grey(soft + rng.uniform(-1, 1, (HEIGHT, WIDTH)) * 8 * number),
            blob(cy, cx, ry, rx) < 1,
        )
    truth = blob(20, 30, 9, 14) < 1
    shifted = blob(23, 34, 9, 14) < 1
    none, everything = np.zeros_like(truth), np.ones_like(truth)
    corner, one = blob(0, 0, 12, 20) < 1, none.copy()
    one[10, 50] = True
    two = truth | (blob(40, 56, 5, 5) < 1)
    noise = rng.integers(0, 256, (HEIGHT, WIDTH)).astype(np.uint8)
    hard = {
        "mask": (shifted, truth),
        "identical": (truth, truth),
        "inverted": (~truth, truth),
        "disjoint": (blob(40, 56, 5, 5) < 1, truth),
        "one of two": (truth, two),
        "corner": (blob(2, 3, 12, 20) < 1, corner),
        "one pixel": (one, one),
        "one pixel missed": (shifted, one),
        "nothing predicted": (none, truth),
        "all predicted": (everything, truth),
        "no polyp, nothing predicted": (none, none),
        "no polyp, some predicted": (shifted, none),
        "no polyp, all predicted": (everything, none),
        "all polyp, nothing predicted": (none, everything),
        "all polyp, some predicted": (shifted, everything),
        "all polyp, all predicted": (everything, everything),
    }
    made |= {name: (grey(255.0 * preds), mask) for name, (preds, mask) in hard.items()}
    made["all equal"] = np.full_like(noise, 77), truth
    made["all equal, no polyp"] = np.full_like(noise, 77), none
    made["low contrast"] = (100 + 51 * shifted - noise // 16).astype(np.uint8), truth
    made["noise"] = noise, truth
    made["noise, no polyp"] = noise, none
    made["three levels"] = (85 * shifted + 85 * truth).astype(np.uint8), truth
    return made


def table():
    """One row per frame, and a last one, "all", of the set."""
    import py_sod_metrics as sod

    rows = []
    for name, pairs in [
        *((name, [pair]) for name, pair in frames().items()),
        ("all", list(frames().values())),
    ]:
        counted = sod.FmeasureV2(
            {
                "dice": sod.DICEHandler(with_dynamic=True, with_adaptive=True),
                "iou": sod.IOUHandler(with_dynamic=True, with_adaptive=True),
            }
        )
        others = sod.Smeasure(), sod.Emeasure(), sod.WeightedFmeasure(), sod.MAE()
        for probs, truth in pairs:
            for tool in (counted, *others):
                tool.step(probs, truth.astype(np.uint8) * 255)
        counts, (s, e, wf, mae) = counted.get_results(), (tool.get_results() for tool in others)
        row = {"frame": name}
        for score, found in counts.items():
            row[f"stretched_mean_{score}"] = found["dynamic"].mean()
            row[f"stretched_max_{score}"] = found["dynamic"].max()
            row[f"adaptive_{score}"] = found["adaptive"]
        row["s_measure"] = s["sm"]
        row["e_measure_mean"], row["e_measure_max"] = e["em"]["curve"].mean(), e["em"]["curve"].max()
        row["weighted_f"], row["mae"] = wf["wfm"], mae["mae"]
        rows.append(row)
    return rows


if __name__ == "__main__":
    import csv

    rows = table()
    writer = csv.DictWriter(sys.stdout, rows[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(
        {key: value if key == "frame" else f"{value:.9f}" for key, value in row.items()} for row in rows
    )
