"""From the committed results to the tables and the plot of the README: `polyp report`.

Every section is there only if its results are. A test runs this again and compares, so a table can
neither be forgotten nor mended by hand.
"""

from pathlib import Path
from statistics import mean, median, stdev

import numpy as np
import pandas as pd

from polyp.course import figures as plots
from polyp.course.experiments import CHANGES, EQUAL_STEPS, NETWORKS, read_result, read_seeds, result_names
from polyp.data.split import packaged_split
from polyp.disk import project_root, write_atomic
from polyp.errors import DataError
from polyp.model.metrics import bootstrap_mean

BEGIN, END = "<!-- polyp report -->", "<!-- end of polyp report -->"
PICTURE = Path("data") / "results.png"
MODEL_CARD = Path("polyp") / "weights" / "MODEL_CARD.md"
SHIPPED = "fold_0"  # the experiment whose weights come with the package
SIZES = {
    "small (below 5 % of the frame)": (0, 0.05),
    "medium": (0.05, 0.1),
    "large (10 % or more)": (0.1, 1.01),
}


def write_report(root: str | Path | None = None) -> Path:
    """Renew the blocks of results in the README and the model card, and the README's picture.

    Args:
        root: the checkout; the one the current folder lies in by default.

    Raises:
        DataError: a file or its block's marks are missing; nothing has been changed then.
    """
    root = Path(root or project_root())
    pages = {root / "README.md": markdown(), root / MODEL_CARD: card()}
    renewed = {page: _with_block(page, block) for page, block in pages.items()}
    write_atomic(root / PICTURE, plots.to_png(plots.sequence_scores(sequence_table())))
    for page, text in renewed.items():
        write_atomic(page, text)
    return root / "README.md"


def _with_block(page: Path, block: str) -> str:
    text = page.read_text() if page.is_file() else ""
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise DataError(f"{page}: expected one '{BEGIN}' and one '{END}' around the results")
    before, rest = text.split(BEGIN)
    return before + BEGIN + "\n" + block + END + rest.split(END)[1]


def markdown() -> str:
    """All sections whose results are committed."""
    sections = (_best(), _short(), _refit(), _videos(), _cpu(), _scratch(), _levels(), _changes())
    return "\n".join(section for section in sections if section)


def card() -> str:
    """The model card's scores of the shipped weights, on the videos they have never seen."""
    frames = frame_table().query(f"split == 'sequence' and fold == {SHIPPED[-1]}")
    parts = {"all": frames}
    parts |= {name: frames[frames["area"].between(low, high, "left")] for name, (low, high) in SIZES.items()}
    rows = []
    for name, part in parts.items():
        low, high = bootstrap_mean(part["dice"], part["sequence"])
        found = f"{part['found'].sum()} of {part['polyps'].sum()}"
        interval = f"{low:.3f} to {high:.3f}"
        row = [name, len(part), part["sequence"].nunique(), part["dice"].mean(), interval, found]
        rows.append([*row, part["false_regions"].sum()])
    header = ["polyps", "frames", "videos", "Dice", "95 % of resampled videos", "found", "false regions"]
    return _table(header, rows)


def frame_table() -> pd.DataFrame:
    """A row a test frame of the pretrained network.

    Columns: split (random or sequence), fold, sequence, and those of a result's `frames`. Every frame is in
    it once by its fold, and those of the random split's test set a second time.

    Raises:
        DataError: there is no such result yet.
    """
    parts = []
    for name in result_names():
        if name == "random" or name.startswith("fold_"):
            result = read_result(name)
            parts.append(
                pd.DataFrame(result["frames"]).assign(
                    split=result["config"]["split"], fold=result["config"]["fold"]
                )
            )
    if not parts:
        raise DataError("no result of the pretrained network has been committed yet")
    split = packaged_split("cvc-clinicdb", "sequence").astype({"frame": str})
    return pd.concat(parts, ignore_index=True).merge(split[["frame", "sequence"]], on="frame")


def sequence_table() -> pd.DataFrame:
    """A row a video: sequence, frames, dice; the mean over its frames, by a network that never saw it."""
    frames = frame_table().query("split == 'sequence'")
    groups = frames.groupby("sequence")["dice"]
    return groups.agg(frames="size", dice="mean").reset_index().sort_values("dice", ignore_index=True)


def _best() -> str:
    names = [name for name in result_names() if name == "random" or name.startswith("fold_")]
    results = {name: read_result(name) for name in names}
    if not results:
        return ""
    rows = {name: _best_row(result) for name, result in results.items()}
    folds = [row for name, row in rows.items() if name.startswith("fold_")]
    table = list(rows.values())
    if len(folds) > 1:
        label, *means = _fold_means([row[2:-1] for row in folds])
        table.append([label, sum(row[1] for row in folds), *means, ""])
    config = next(iter(results.values()))["config"]
    height, width = config["size"]
    text = (
        f"UNet++ on an ImageNet-pretrained EfficientNet-Lite0, {height} x {width}, "
        f"{config['epochs']} epochs, seed {config['seed']}. Scores on the test frames at their "
        "original size; the epoch is chosen on validation frames, the threshold is 0.5.\n\n"
    )
    text += _table(
        ["split", "test frames", "Dice", "IoU", "Dice of pooled pixels", "Dice with flips", "minutes"], table
    )
    if "random" in results and folds:
        frames = frame_table()
        text += f"\n{_leak(frames)}\n{_failures(frames)}"
    return text


def _short() -> str:
    """The runs of the first table, each beside a shorter one."""
    rows, folds, changes = [], [], []
    for name in result_names():
        if name.startswith("short_"):
            runs = [read_result(name), read_result(name.removeprefix("short_"))]
            scores = [r[part]["dice_per_image"] for part in ("val", "test") for r in runs]
            rows.append([_best_row(runs[1])[0], *scores, *(f"{r['minutes']:.0f}" for r in runs)])
            val_few, val_many, test_few, test_many = (round(score, 3) for score in scores)  # as tabled
            changes.append((val_many > val_few, test_many > test_few, test_many < test_few))
            if runs[1]["config"]["split"] == "sequence":
                folds.append(scores)
    if not rows:
        return ""
    if len(folds) > 1:
        rows.append([*_fold_means(folds), "", ""])
    few, many = (r["config"]["epochs"] for r in runs)
    val, test, worse = map(sum, zip(*changes, strict=True))
    columns = [(part, epochs) for part in ("validation", "test", "minutes") for epochs in (few, many)]
    random = [read_result(f"{prefix}random") for prefix in ("short_", "")]
    reached = " and ".join(f"{_minutes_to(0.9, r):.0f} minutes (of {r['minutes']:.0f})" for r in random)
    return (
        f"Why {many} epochs: the same with {few} (mean Dice; the number is a choice like any other, made "
        "on the validation frames):\n\n"
        + _table(["split", *(f"{part}, {epochs} epochs" for part, epochs in columns)], rows)
        + f"\nOf {len(changes)} longer runs {val} score higher on validation; on test {test} score higher, "
        f"{worse} lower. "
        "(Part of a gain on validation is chance: those frames picked the best of more epochs.) On the "
        f"random split, validation Dice first reaches 0.90 after {reached}.\n"
    )


def _minutes_to(dice: float, result: dict) -> float:
    """Minutes of training until an epoch ends with at least this validation Dice."""
    curve = result["curve"]
    first = next(epoch for epoch, score in enumerate(curve["val_dice"], start=1) if score >= dice)
    return sum(curve["seconds"][:first]) / 60


def _refit() -> str:
    """The runs that trained on the validation frames too."""
    sentences = []
    if "refit_random" in result_names():
        result = read_result("refit_random")
        sentences.append(
            "Refit: trained on the validation frames too, as papers do that split the data in two; "
            f"{result['config']['epochs']} epochs, the last one kept. {_one_line(result)}."
        )
    if "refit_large_fold_0" in result_names():
        result = read_result("refit_large_fold_0")
        height, width = result["config"]["size"]
        sentences.append(
            "Refit, a larger encoder (EfficientNet-Lite2) and the frames' own shape "
            f"({height} x {width}) together; {result['config']['epochs']} epochs, the last one kept. "
            f"{_one_line(result)}, to stand beside fold 0 above. One run with several changes cannot say "
            "what each is worth."
        )
    return "\n\n".join(sentences) + "\n" if sentences else ""


def _one_line(result: dict) -> str:
    label, _, dice, *_, flips, minutes = _best_row(result)
    return f"{label[0].upper()}{label[1:]}: Dice {dice:.3f}, with flips {flips:.3f}, in {minutes} minutes"


def _cpu() -> str:
    results = [read_result(name) for name in result_names() if name.startswith("cpu_")]
    if not results:
        return ""
    config = results[0]["config"]
    height, width = config["size"]
    rows = [_best_row(result) for result in results]
    runs = "; ".join(f"{label}: Dice {dice:.3f} in {minutes} minutes" for label, _, dice, *_, minutes in rows)
    return (
        f"Without a pretrained encoder: preset `cpu`, a UNet++ from scratch ({height} x {width}, "
        f"{config['epochs']} epochs). {runs[0].upper()}{runs[1:]}.\n"
    )


def _fold_means(scores: list[list[float]]) -> list:
    means = [mean(column) for column in zip(*scores, strict=True)]
    return [f"**by video, mean of {len(scores)} folds**", *means]


def _best_row(result: dict) -> list:
    config, test = result["config"], result["test"]
    label = (
        f"by video, fold {config['fold']}" if config["split"] == "sequence" else "random, by frame (leaks)"
    )
    scores = [test[score] for score in ("dice_per_image", "iou_per_image", "dice_pooled")]
    flips = result["test_flips"]["dice_per_image"]
    return [label, test["images"], *scores, flips, f"{result['minutes']:.0f}"]


def _leak(frames: pd.DataFrame) -> str:
    honest, leaky = (frames[frames["split"] == split] for split in ("sequence", "random"))
    low, high = bootstrap_mean(honest["dice"], honest["sequence"])
    narrow = bootstrap_mean(honest["dice"])
    both = leaky.merge(honest, on="frame", suffixes=("", "_honest"))  # every frame is in some fold
    gain = both["dice"] - both["dice_honest"]
    least, most = bootstrap_mean(gain, both["sequence"])
    return (
        f"By video, the mean over all {len(honest)} frames is {honest['dice'].mean():.3f}; resampling whole "
        f"videos, 95 % of the means lie between {low:.3f} and {high:.3f} (resampling frames, as if they were "
        f"independent, would claim {narrow[0]:.3f} to {narrow[1]:.3f}). The same {len(both)} frames score "
        f"{gain.mean():.3f} more when their own videos (and some more frames) are in training: the leak, "
        f"with 95 % of the resampled differences between {least:.3f} and {most:.3f}.\n"
    )


def _failures(frames: pd.DataFrame) -> str:
    """How few frames a mean hangs on."""
    text = "Few failures cost much."
    for split, name in (("random", "On the random split"), ("sequence", "By video")):
        dice = frames.loc[frames["split"] == split, "dice"]
        low = dice < 0.5
        text += (
            f" {name} {low.sum()} of {len(dice)} frames score below 0.5; the others average "
            f"{dice[~low].mean():.3f}, and the median of all is {dice.median():.3f}."
        )
    dice = frames.loc[frames["split"] == "random", "dice"]
    return text + (
        f" The standard error of the mean over the {len(dice)} random frames is {dice.sem():.3f} (more in "
        "truth, as frames of one video are not independent): its second decimal is not settled, and neither "
        "is the order of published means over as few frames that differ by no more.\n"
    )


def _scratch() -> str:
    rows = []
    names = {"unet": "U-Net", "unetpp": "UNet++", "unetpp_ds": "UNet++ with deep supervision"}
    for network in NETWORKS:
        cells = [names[network], _parameters(f"scratch_{network}_random")]
        for split in ("random", "sequence"):
            cells.append(_seeds(f"scratch_{network}_{split}"))
        if any(cells[2:]):
            rows.append(cells)
    if not rows:
        return ""
    config = next(read_result(name)["config"] for name in result_names() if name.startswith("scratch_"))
    height, width = config["size"]
    return (
        f"From scratch, the same frames, epochs and learning rate for each ({height} x {width}, "
        f"{config['epochs']} epochs): mean Dice on test frames, plus or minus one standard deviation over "
        "the seeds.\n\n" + _table(["network", "parameters", "random", "by video, fold 0"], rows)
    )


def _parameters(family: str) -> str:
    runs = read_seeds(family)
    return f"{runs[0]['parameters'] / 1e6:.2f} M" if runs else ""


def _changes() -> str:
    rows = [
        [f"`{change}`", _seeds(f"small_{change}", "val"), _seeds(f"small_{change}")] for change in CHANGES
    ]
    rows = [row for row in rows if row[1]]
    if len(rows) < 2:
        return ""
    return (
        "One change at a time (`base` is the first table's recipe at 128 x 128 for 10 epochs, fold 0 by "
        "video; mean Dice over the seeds, plus or minus one standard deviation). `encoder_full_lr` trains "
        "the encoder at the decoder's learning rate; fewer videos (`sequences_...`) mean fewer steps here, "
        "too.\n\n" + _table(["run `small_...`", "validation", "test"], rows)
    )


def _videos() -> str:
    """The learning curve over training videos, each run with about as many steps."""
    families = {count: f"small_steps_{count}" for count in EQUAL_STEPS}
    runs = {count: read_seeds(family) for count, family in families.items()}
    if not all(runs.values()):
        return ""
    rows = [
        [count, EQUAL_STEPS[count], _seeds(family, "val"), _seeds(family)]
        for count, family in families.items()
    ]
    points = [(np.log2(n), r["test"]["dice_per_image"]) for n, found in runs.items() for r in found]
    slope = np.polyfit(*zip(*points, strict=True), 1)[0]
    most = max(runs)
    minutes = median(run["minutes"] for run in runs[most])
    return (
        "Would more videos help? The same network as `base` below, on fewer training videos for "
        f"correspondingly more epochs, so that each run takes about as many steps. Below {most} videos the "
        "spread includes which videos were drawn, and validation picks the best of more epochs.\n\n"
        + _table(["training videos", "epochs", "validation", "test"], rows)
        + f"\nA straight line through the test scores gains {slope:.3f} with each doubling of the videos. "
        f"(These runs were made on {runs[most][0]['machine']}, where {most} videos took {minutes:.1f} "
        "minutes.)\n"
    )


def _levels() -> str:
    results = [read_result(name) for name in result_names() if name.startswith("fold_")]
    if not results:
        return ""
    rows = []
    for level, cost in results[0]["levels"].items():
        dice = [mean(r["levels"][level][part] for r in results) for part in ("val", "test")]
        work = [f"{cost['parameters'] / 1e6:.2f} M", f"{cost['multiply_adds'] / 1e9:.2f} billion"]
        time = median(r["levels"][level]["ms"] for r in results)
        rows.append([f"L{level}", *dice, *work, f"{time:.0f}"])
    return (
        f"Pruned to a level (mean of {len(results)} folds; milliseconds for one frame on "
        f"{results[0]['machine']}):\n\n"
        + _table(["level", "validation Dice", "test Dice", "parameters", "multiply-adds", "ms"], rows)
    )


def _seeds(family: str, part: str = "test") -> str:
    scores = [run[part]["dice_per_image"] for run in read_seeds(family)]
    if len(scores) < 2:
        return "".join(f"{score:.3f} (one seed)" for score in scores)
    return f"{mean(scores):.3f} ± {stdev(scores):.3f} ({len(scores)} seeds)"


def _table(header: list[str], rows: list[list]) -> str:
    lines = [header, ["---"] * len(header)]
    lines += [[f"{c:.3f}" if isinstance(c, float | np.floating) else str(c) for c in row] for row in rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)
