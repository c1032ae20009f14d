"""Every figure that a notebook or a run folder shows.

Colours are from Okabe and Ito's colour-blind-safe palette; the two that meet in a figure also differ in
lightness, so that they part in greyscale. Functions return a matplotlib `Figure` and touch no global state;
`show` displays one.
"""

from io import BytesIO

import numpy as np
import pandas as pd
import torch
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from PIL import Image

BLUE, ORANGE, GREEN, PINK = "#0072B2", "#E69F00", "#009E73", "#CC79A7"
LIGHT_BLUE = "#56B4E9"  # of the same palette, for outlines: frames are dark


def to_png(figure: Figure) -> bytes:
    """The figure as the bytes of a PNG file."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=100)
    return buffer.getvalue()


def show(figure: Figure, alt: str) -> None:
    """Show a figure in a notebook with a description for those who cannot see it.

    Args:
        figure: any matplotlib figure.
        alt: what the picture shows, in a sentence or two.
    """
    from IPython.display import display  # only notebooks have it

    # 256 colours take a third of the room, and a notebook should stay small enough to review.
    small = BytesIO()
    Image.open(BytesIO(to_png(figure))).convert("RGB").quantize(256).save(small, format="PNG", optimize=True)
    content = {"image/png": small.getvalue(), "text/plain": alt}
    display(content, metadata={"image/png": {"alt": alt}}, raw=True)


def curves(log: pd.DataFrame) -> Figure:
    """Loss and scores by epoch, training against validation, with the best epoch marked.

    Args:
        log: columns epoch, loss, iou, val_loss, val_iou, val_dice.
    """
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    log = log.astype(float)
    lines = (
        (left, "loss", "training", ORANGE, "--"),
        (left, "val_loss", "validation", BLUE, "-"),
        (right, "iou", "training IoU", ORANGE, "--"),
        (right, "val_iou", "validation IoU", BLUE, "-"),
        (right, "val_dice", "validation Dice", GREEN, ":"),
    )
    marker = "o" if len(log) == 1 else None  # one point makes no line
    for axes, column, label, colour, style in lines:
        axes.plot(log["epoch"], log[column], style, color=colour, label=label, marker=marker, linewidth=2)
    if log["val_dice"].notna().any():
        best = log.loc[log["val_dice"].idxmax()]
        right.plot(best["epoch"], best["val_dice"], "*", color="black", markersize=10, clip_on=False)
        right.set_title(f"best validation Dice {best['val_dice']:.3f} in epoch {best['epoch']:.0f}")
    left.set_title("loss")
    right.set_ylim(0, 1)
    for axes in (left, right):
        axes.set_xlabel("epoch")
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    return figure


def line(values: list[float], xlabel: str, ylabel: str, title: str) -> Figure:
    """One curve of values at 0, 1, 2 ..."""
    figure = Figure(figsize=(6, 2.8), layout="constrained")
    axes = figure.subplots()
    axes.plot(values, color=BLUE, linewidth=2)
    axes.set(xlabel=xlabel, ylabel=ylabel, title=title)
    axes.grid(alpha=0.3)
    return figure


def two_lines(series: dict[str, list[float]], xlabel: str, ylabel: str, title: str) -> Figure:
    """Two curves by name: the first dashed orange, the second solid blue."""
    figure = Figure(figsize=(6, 2.8), layout="constrained")
    axes = figure.subplots()
    for (name, values), colour, style in zip(series.items(), (ORANGE, BLUE), ("--", "-"), strict=True):
        axes.plot(range(1, len(values) + 1), values, style, color=colour, label=name, linewidth=2)
    axes.set(xlabel=xlabel, ylabel=ylabel, title=title)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    return figure


def frames_with_masks(images: torch.Tensor, masks: torch.Tensor, names: list[str]) -> Figure:
    """Frames in a row, each with its mask's outline in white.

    Args:
        images: uint8 RGB (N, 3, H, W).
        masks: {0, 1}, (N, 1, H, W).
        names: a title for each frame.
    """
    figure = Figure(figsize=(2.6 * len(names), 2.6), layout="constrained")
    axes = figure.subplots(1, len(names), squeeze=False)[0]
    for axis, image, mask, name in zip(axes, images, masks, names, strict=True):
        _show(axis, image)
        outline(axis, mask[0].numpy(), "white")
        axis.set_title(name, fontsize=14)
    return figure


def comparison(images: torch.Tensor, masks: torch.Tensor, preds: torch.Tensor, names: list[str]) -> Figure:
    """A column a frame: the frame above; below, the mask's outline (solid) and the prediction's (dashed).

    Args:
        images: uint8 RGB (N, 3, H, W).
        masks: {0, 1}, (N, 1, H, W).
        preds: {0, 1}, (N, 1, H, W).
        names: a title for each frame.
    """
    figure = Figure(figsize=(2.6 * len(names), 5.4), layout="constrained")
    axes = figure.subplots(2, len(names), squeeze=False)
    for column, name in enumerate(names):
        _show(axes[0, column], images[column])
        _show(axes[1, column], images[column])
        axes[0, column].set_title(name, fontsize=15)
        outline(axes[1, column], masks[column, 0].numpy(), "white", "-")
        outline(axes[1, column], preds[column, 0].numpy(), LIGHT_BLUE, "--")
    figure.supxlabel("white: the expert's outline     light blue, dashed: the prediction's", fontsize=14)
    return figure


def outline(axes, mask: np.ndarray, colour: str, style: str = "-", width: float = 1.8) -> None:
    """Draw the border of a (H, W) mask of 0 and 1 over what `axes` shows; nothing for an even mask."""
    mask = mask.astype(np.uint8)
    if mask.min() != mask.max():
        axes.contour(mask, levels=[0.5], colors=[colour], linestyles=[style], linewidths=width)


def _show(axes, image: torch.Tensor) -> None:
    axes.imshow(image.permute(1, 2, 0).numpy())  # (3, H, W) -> (H, W, 3)
    axes.set_axis_off()


def picture_grid(
    pictures: list[np.ndarray],
    titles: list[str],
    masks: list[np.ndarray | None] | None = None,
    columns: int = 3,
    width: float = 2.4,
) -> Figure:
    """Pictures in rows, each with a title and, where given, the outline of its mask in white.

    Args:
        pictures: uint8 0-255, RGB (H, W, 3) or grey (H, W), all of one shape.
        titles: one for each.
        masks: {0, 1} (H, W) or None, one for each.
        columns: how many stand in a row.
        width: of one picture, in inches.
    """
    rows = -(-len(pictures) // columns)
    height = width * pictures[0].shape[0] / pictures[0].shape[1] + 0.35
    figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
    for number, (picture, title) in enumerate(zip(pictures, titles, strict=True)):
        axis = figure.add_subplot(rows, columns, number + 1)
        axis.imshow(picture, cmap="gray", vmin=0, vmax=255)
        axis.set_axis_off()
        axis.set_title(title)
        if masks is not None and masks[number] is not None:
            outline(axis, masks[number], "white")
    return figure


def sizes_and_places(areas: np.ndarray, masks: np.ndarray) -> Figure:
    """How large polyps are (a histogram), and where in the frame they lie (a heat map).

    Args:
        areas: polyp's share of each frame, 0 to 1, (N,).
        masks: {0, 1}, (N, H, W).
    """
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    percent, middle = 100 * np.asarray(areas), 100 * float(np.median(areas))
    left.hist(percent, bins=20, color=BLUE, edgecolor="white")
    left.axvline(middle, color=ORANGE, linestyle="--", linewidth=2.5, label=f"median {middle:.1f} %")
    left.set(xlabel="polyp, % of the frame", ylabel="frames", title="how large")
    left.legend(frameon=False)
    picture = right.imshow(100 * masks.mean(axis=0), cmap="viridis", vmin=0)
    figure.colorbar(picture, ax=right, label="% of frames with polyp here", shrink=0.9)
    right.set_title("where in the frame")
    right.set_axis_off()
    return figure


def split_strips(splits: dict[str, pd.DataFrame]) -> Figure:
    """Which part each frame of each video is in: a row a video, a mark a frame, a panel a split.

    Args:
        splits: a title -> a table with the columns video and part (train, val, test), frames in order.
    """
    figure = Figure(figsize=(8.4, 3.6), layout="constrained")
    marks = (("train", "#C8C8C8", "s"), ("val", ORANGE, "D"), ("test", "black", "o"))
    for axis, (title, table) in zip(
        figure.subplots(1, len(splits), sharey=True), splits.items(), strict=True
    ):
        place = table.groupby("video").cumcount() + 1
        for part, colour, shape in marks:
            rows = table["part"] == part
            axis.plot(place[rows], table["video"][rows], shape, color=colour, label=part, markersize=6)
        axis.set(title=title, xlabel="frame of the video")
        axis.locator_params(integer=True)
    figure.axes[0].set_ylabel("video")
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
    return figure


def prediction_steps(image: np.ndarray, small: np.ndarray, coarse: np.ndarray, probs: np.ndarray) -> Figure:
    """A prediction in four steps: the frame, what the network sees, its probabilities, the same enlarged.

    Args:
        image: uint8 RGB (H, W, 3).
        small: uint8 RGB (h, w, 3), the frame at the network's size.
        coarse: probabilities (h, w).
        probs: probabilities (H, W); the line is where they pass 0.5.
    """
    figure = Figure(figsize=(7, 5.4), layout="constrained")
    axes = figure.subplots(2, 2).flat
    titles = ("1  the frame", "2  what the network sees", "3  what it answers", "4  enlarged; line at 0.5")
    for axis, pixels, title in zip(axes, (image, small, coarse, probs), titles, strict=True):
        picture = axis.imshow(pixels, cmap="gray", vmin=0, vmax=1 if pixels.ndim == 2 else None)
        axis.set_title(f"{title}  ({pixels.shape[1]} x {pixels.shape[0]})", fontsize=11)
        axis.set_axis_off()
    outline(axis, probs > 0.5, ORANGE)
    figure.colorbar(picture, ax=figure.axes, label="probability of polyp", shrink=0.6)
    return figure


def threshold_curves(scores: pd.DataFrame, at: float, title: str, axes=None) -> Figure:
    """Dice, precision and recall against the threshold, with one threshold marked.

    Args:
        scores: columns threshold, dice, precision, recall.
        at: the threshold to mark.
        title: says what they are scores of.
        axes: where to draw; a new figure by default.
    """
    axes = axes or Figure(figsize=(6.4, 3.4), layout="constrained").subplots()
    for column, colour, style in (("dice", BLUE, "-"), ("precision", ORANGE, "--"), ("recall", GREEN, ":")):
        label = column.replace("dice", "Dice")
        axes.plot(scores["threshold"], scores[column], style, color=colour, linewidth=2.5, label=label)
    axes.axvline(at, color="black", linewidth=1.2)
    axes.set(xlabel="threshold", ylabel="score", title=title, xlim=(0, 1), ylim=(0, 1.02))
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=3)
    return axes.figure


def flip_disagreement(image: np.ndarray, mask: np.ndarray, flipped: np.ndarray) -> Figure:
    """A frame with its mask, and the mean and the spread of the probabilities of its mirrorings.

    Args:
        image: uint8 RGB (H, W, 3).
        mask: {0, 1}, (H, W).
        flipped: probabilities (mirrorings, H, W), all turned back.
    """
    figure = Figure(figsize=(9, 2.9), layout="constrained")
    first, *rest = figure.subplots(1, 3)
    first.imshow(image)
    outline(first, mask, "white")
    outline(first, flipped.mean(axis=0) > 0.5, LIGHT_BLUE, "--", width=3)
    first.set_title("white: expert; dashed: model", fontsize=11)
    first.set_axis_off()
    maps = ((flipped.mean(axis=0), "mean of the four", 1), (flipped.std(axis=0), "standard deviation", None))
    for axis, (pixels, title, highest) in zip(rest, maps, strict=True):
        picture = axis.imshow(pixels, cmap="gray", vmin=0, vmax=highest)
        axis.set_title(title, fontsize=11)
        axis.set_axis_off()
        figure.colorbar(picture, ax=axis, shrink=0.8)
    return figure


def gallery(images: list, masks: list, preds: list, titles: list[str]) -> Figure:
    """A column a frame: the frame above; below, the expert's outline in white and the model's dashed.

    Args:
        images: uint8 RGB, each (H, W, 3); sizes may differ.
        masks, preds: {0, 1}, each (H, W).
        titles: one for each frame.
    """
    figure = Figure(figsize=(3 * len(images), 5.2), layout="constrained")
    above, below = figure.subplots(2, len(images), squeeze=False)
    for column, (image, title) in enumerate(zip(images, titles, strict=True)):
        for axis in (above[column], below[column]):
            axis.imshow(image)
            axis.set_axis_off()
        above[column].set_title(title, fontsize=12)
        outline(below[column], masks[column], "white")
        outline(below[column], preds[column], LIGHT_BLUE, "--", width=3)
    figure.supxlabel("white: the expert's outline     light blue, dashed: the model's", fontsize=11)
    return figure


def dice_against(table: pd.DataFrame, columns: dict[str, str], logarithmic: tuple[str, ...] = ()) -> Figure:
    """Dice of every frame against what may explain it: a panel a column, a shape and colour a video.

    Args:
        table: columns sequence, dice, and those named in `columns`.
        columns: a column -> the label of its axis.
        logarithmic: the columns to show on a logarithmic axis.
    """
    figure = Figure(figsize=(4.2 * len(columns), 3.6), layout="constrained")
    panels = figure.subplots(1, len(columns), sharey=True, squeeze=False)[0]
    looks = list(zip([BLUE, ORANGE, GREEN, PINK, "black"] * 2, "osD^vPX*<>", strict=True))
    for axes, (column, label) in zip(panels, columns.items(), strict=True):
        for i, (sequence, rows) in enumerate(table.groupby("sequence")):
            colour, marker = looks[i % len(looks)]
            axes.plot(rows[column], rows["dice"], marker, color=colour, alpha=0.8, label=f"video {sequence}")
        axes.set(xlabel=label, ylim=(-0.03, 1.03), xscale="log" if column in logarithmic else "linear")
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("Dice")
    if table["sequence"].nunique() <= len(looks):
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=5, frameon=False)
    return figure


def threshold_view(
    image: np.ndarray, mask: np.ndarray, probs: np.ndarray, scores: pd.DataFrame, threshold: float
) -> Figure:
    """One frame's mask at a threshold, beside its scores at all of them.

    Args:
        image: uint8 RGB (H, W, 3).
        mask: the expert's, {0, 1}, (H, W).
        probs: the model's, (H, W).
        scores: of this frame; columns threshold, dice, precision, recall.
        threshold: the one to show.
    """
    figure = Figure(figsize=(8.4, 3.3), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.imshow(image)
    left.set_axis_off()
    outline(left, mask, "white")
    outline(left, probs > threshold, LIGHT_BLUE, "--", width=3)
    left.set_title("white: expert; dashed: model", fontsize=11)
    threshold_curves(scores, threshold, f"this frame, threshold {threshold:.2f}", right)
    return figure


def dots(groups: dict[str, list[float]], ylabel: str, title: str) -> Figure:
    """A column of dots for each group, with a line at its mean: how far do the values scatter?

    Args:
        groups: a name -> its values.
        ylabel: what the values are.
        title: of the figure.
    """
    figure = Figure(figsize=(6, 3), layout="constrained")
    axes = figure.subplots()
    marks = zip("osD^", (ORANGE, BLUE, GREEN, PINK), strict=True)
    for place, (values, (shape, colour)) in enumerate(zip(groups.values(), marks, strict=False)):
        axes.plot([place] * len(values), values, shape, color=colour, markersize=9, alpha=0.8)
        axes.hlines(np.mean(values), place - 0.2, place + 0.2, color="black", linewidth=2)
    axes.set_xticks(range(len(groups)), list(groups))
    axes.set(ylabel=ylabel, title=title, xlim=(-0.6, len(groups) - 0.4))
    axes.grid(axis="y", alpha=0.3)
    return figure


def tiles(pictures: list[torch.Tensor], names: list[str]) -> Figure:
    """Pictures of any size in a row, each drawn equally high.

    Args:
        pictures: uint8 RGB (3, H, W), or one channel (H, W) of any range, shown from black to white.
        names: a title for each.
    """
    ratios = [picture.shape[-1] / picture.shape[-2] for picture in pictures]
    figure = Figure(figsize=(1.75 * sum(ratios), 2.1), layout="constrained")
    for axis, picture, name in zip(
        figure.subplots(1, len(names), width_ratios=ratios, squeeze=False)[0], pictures, names, strict=True
    ):
        if picture.ndim == 3:
            _show(axis, picture)
        else:
            axis.imshow(picture.numpy(), cmap="gray", interpolation="nearest")
            axis.set_axis_off()
        axis.set_title(name, fontsize=12)
    return figure


def predictions(
    image: torch.Tensor, mask: torch.Tensor, preds: list[torch.Tensor], names: list[str]
) -> Figure:
    """One frame in a row, each time with its mask's outline (white) and another prediction's (dashed).

    Args:
        image: uint8 RGB (3, H, W).
        mask: {0, 1}, (1, H, W).
        preds: each {0, 1} or bool, (1, H, W).
        names: a title for each prediction.
    """
    figure = Figure(figsize=(2.6 * len(preds), 2.7), layout="constrained")
    axes = figure.subplots(1, len(preds), squeeze=False)[0]
    for axis, pred, name in zip(axes, preds, names, strict=True):
        _show(axis, image)
        outline(axis, mask[0].numpy(), "white", "-")
        outline(axis, pred[0].numpy(), LIGHT_BLUE, "--")
        axis.set_title(name, fontsize=12)
    figure.supxlabel("white: the expert's outline     light blue, dashed: the prediction's", fontsize=10)
    return figure


def log_lines(curves: dict[str, list[float]], xlabel: str, ylabel: str, title: str) -> Figure:
    """Up to four curves of values at 1, 2, 3 ... on a logarithmic axis, each labelled."""
    figure = Figure(figsize=(7, 3.2), layout="constrained")
    axes = figure.subplots()
    styles = ((ORANGE, "-", "o"), (GREEN, "--", "s"), (BLUE, "-", "^"), ("black", ":", "D"))
    for (name, values), (colour, style, marker) in zip(curves.items(), styles, strict=False):
        steps = range(1, len(values) + 1)
        axes.plot(steps, values, style, color=colour, marker=marker, markersize=5, linewidth=2, label=name)
    axes.set(xlabel=xlabel, ylabel=ylabel, title=title, yscale="log")
    axes.locator_params(axis="x", integer=True)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    return figure


def build_order(widths: list[int]) -> Figure:
    """The grid of a UNet++, its nodes numbered diagonal by diagonal, with the channels that each reads.

    Args:
        widths: channels of each resolution, from full size to the bottom.
    """
    depth = len(widths) - 1
    figure = Figure(figsize=(2.2 * depth + 1.4, 1.1 * depth + 1.6), layout="constrained")
    axes = figure.subplots()
    label = {"fontsize": 10, "zorder": 5, "bbox": {"facecolor": "white", "edgecolor": "none", "pad": 1}}
    nodes = [(i, d - i) for d in range(depth + 1) for i in range(d, -1, -1)]
    for number, (i, j) in enumerate(nodes, start=1):
        x, y = i + 2 * j, -i
        axes.plot(x, y, "o", markersize=25, color="white", markeredgecolor="black", zorder=3)
        axes.text(x, y, number, ha="center", va="center", fontsize=12, fontweight="bold", zorder=4)
        reads = j * widths[i] + widths[i + 1] if j else (3, *widths)[i]
        axes.text(x, y - 0.27, f"X[{i}][{j}]: {reads}", ha="center", va="top", **label)
        if i > 0:
            _arrow(axes, (x, y), (x + 1, y + 1), ORANGE)
        if j == 0 and i < depth:
            _arrow(axes, (x, y), (x + 1, y - 1), "black")
        for k in range(j):
            _arrow(axes, (i + 2 * k, y), (x, y), BLUE, ":", -0.1 * (j - k - 1))
    above = 0.1 * (depth - 1) * depth + 0.35  # the longest skip connection bends so high
    axes.set(xlim=(-0.5, 2 * depth + 0.5), ylim=(-depth - 0.6, above), aspect="equal")
    axes.set_axis_off()
    return figure


def _arrow(axes, begin, end, colour: str, style: str = "-", bend: float = 0.0) -> None:
    look = {"arrowstyle": "-|>", "linestyle": style, "color": colour, "linewidth": 1.6}
    room = {"shrinkA": 14, "shrinkB": 14, "connectionstyle": f"arc3,rad={bend}"}
    axes.annotate("", end, begin, arrowprops=look | room)


def error_maps(
    masks: list[np.ndarray], preds: list[np.ndarray], titles: list[str], image: np.ndarray | None = None
) -> Figure:
    """Every pixel's outcome: found white, false alarm orange, missed blue, background dark.

    Args:
        masks: {0, 1} (H, W), all of one shape.
        preds: {0, 1} (H, W), one for each mask.
        titles: one for each mask.
        image: uint8 RGB (H, W, 3) to show, darkened, as the background of all.
    """
    panel, (height, width) = 9.2 / max(len(masks), 3), masks[0].shape
    ncols = 4 if len(masks) > 2 else 2
    extra = 0.7 + 0.2 * titles[0].count("\n") + 0.25 * (ncols == 2)  # inches for titles and legend
    figure = Figure(figsize=(panel * len(masks), panel * height / width + extra), layout="constrained")
    colours = np.array([to_rgb(colour) for colour in ("#202020", BLUE, ORANGE, "white")])
    panels = figure.subplots(1, len(masks), squeeze=False)[0]
    for axis, mask, pred, title in zip(panels, masks, preds, titles, strict=True):
        picture = colours[2 * pred.astype(int) + mask]  # (H, W) of 0 to 3 -> (H, W, 3)
        if image is not None:
            picture = np.where(((mask + pred) == 0)[..., None], image / 255 * 0.45, picture)
        axis.imshow(picture, interpolation="nearest")
        axis.set_axis_off()
        axis.set_title(title, fontsize=11)
    names = ("background (tn)", "missed (fn)", "false alarm (fp)", "found (tp)")
    patches = [Patch(facecolor=c, edgecolor="gray", label=n) for c, n in zip(colours, names, strict=True)]
    figure.legend(handles=patches[::-1], loc="outside lower center", ncols=ncols, frameon=False)
    return figure


def precision_recall(sweep: pd.DataFrame, chosen: float) -> Figure:
    """Scores against the threshold, and precision against recall with lines of equal Dice.

    Args:
        sweep: columns threshold, dice_per_image, dice_pooled, and pooled precision and recall.
        chosen: the threshold to mark.
    """
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    for reduction, colour, style in (("per_image", BLUE, "-"), ("pooled", ORANGE, "--")):
        dice, label = sweep[f"dice_{reduction}"], f"Dice, {reduction.replace('_', ' ')}"
        left.plot(sweep["threshold"], dice, style, color=colour, linewidth=2.5, label=label)
    left.axvline(chosen, color="black", linewidth=1)
    left.set(xlabel="threshold", ylabel="Dice", ylim=(0, 1.02), title=f"best Dice at {chosen:g}")
    recall = np.linspace(0.01, 1, 200)
    for dice in (0.2, 0.4, 0.6, 0.8):
        shown = recall > dice / (2 - dice)  # below it, no precision up to 1 reaches this Dice
        right.plot(recall[shown], (dice * recall / (2 * recall - dice))[shown], color="silver", linewidth=1)
        right.text(1.01, dice / (2 - dice), f"Dice {dice:g}", color="dimgray", fontsize=9, va="center")
    right.plot(sweep["recall"], sweep["precision"], color=BLUE, linewidth=2.5)
    for threshold, marker, label in ((0.5, "o", "threshold 0.5"), (chosen, "*", f"threshold {chosen:g}")):
        row = sweep.iloc[(sweep["threshold"] - threshold).abs().argmin()]
        right.plot(row["recall"], row["precision"], marker, color="black", markersize=10, label=label)
    right.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.02), title="precision and recall")
    left.legend(frameon=False, loc="lower right")
    right.legend(frameon=False, loc="lower left")
    return figure


def loss_gradients(shares: pd.DataFrame, pulls: pd.DataFrame) -> Figure:
    """What the gradients of BCE and of Dice loss care about: by polyp size, and by a pixel's error.

    Args:
        shares: index the polyp's share of the frame, columns bce and dice: its pixels' share of the gradient.
        pulls: index a polyp pixel's probability, columns bce and dice: its gradient over the largest one.
    """
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    for axes, table in ((left, shares), (right, pulls)):
        axes.plot(table.index, table["dice"], "-", color=BLUE, linewidth=2.5, label="Dice loss")
        axes.plot(table.index, table["bce"], "--", color=ORANGE, linewidth=2.5, label="BCE")
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    left.set(xlabel="polyp's share of the frame", ylabel="its share of the gradient", ylim=(0, 1))
    left.set_title("who is heard at the start")
    right.set(xlabel="probability that a polyp pixel is given", ylabel="gradient / largest", ylim=(0, 1.05))
    right.set_title("how hard a polyp pixel is pulled")
    return figure


def bootstrap_histograms(samples: dict[str, np.ndarray], score: float, xlabel: str) -> Figure:
    """The scores of many resampled test sets, two ways of resampling, each with its 95 % interval.

    Args:
        samples: a label -> the resampled scores (n,); two of them.
        score: of the test set as it is.
        xlabel: what is scored.
    """
    figure = Figure(figsize=(7, 3.4), layout="constrained")
    axes = figure.subplots()
    edges = np.histogram_bin_edges(np.concatenate(list(samples.values())), 50)
    looks = ({"color": ORANGE, "alpha": 0.6}, {"color": BLUE, "histtype": "step", "linewidth": 2.5})
    for (label, values), look in zip(samples.items(), looks, strict=True):
        heights, _, _ = axes.hist(values, edges, label=label, **look)
        low, high = np.percentile(values, [2.5, 97.5])
        axes.plot([low, high], [-0.06 * heights.max()] * 2, color=look["color"], linewidth=5)
    axes.axvline(score, color="black", linewidth=1.5, linestyle="--", label="the test set as it is")
    axes.set(xlabel=xlabel, ylabel="resampled test sets")
    axes.legend(frameon=False, fontsize=9)
    return figure


def of_hundred(count: int, marked: str, others: str) -> Figure:
    """A hundred circles, the last `count` of them open: what a percentage means.

    Args:
        count: how many are open.
        marked: what the open ones are, for the legend.
        others: what the full ones are.
    """
    figure = Figure(figsize=(6.4, 2.4), layout="constrained")
    axes = figure.subplots()
    row, column = np.divmod(np.arange(100), 20)
    full = np.arange(100) < 100 - count
    axes.scatter(column[full], -row[full], s=120, color=BLUE, label=f"{100 - count} {others}")
    axes.scatter(
        *(column[~full], -row[~full]),
        s=100, facecolor="white", edgecolor=ORANGE, linewidth=2.5, label=f"{count} {marked}",
    )  # fmt: skip
    axes.set_aspect("equal")
    axes.margins(0.03, 0.12)
    axes.set_axis_off()
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=13)
    return figure


def mask_close_up(image: np.ndarray, mask: np.ndarray, size: int = 9) -> Figure:
    """A frame and its mask, and below both a few pixels at the polyp's edge, the mask's with their values.

    Args:
        image: uint8 RGB (H, W, 3).
        mask: {0, 1} (H, W).
        size: pixels across of the close-up.
    """
    edges = np.argwhere(mask[1:] != mask[:-1])  # the row above an edge, and its column
    middle = edges[len(edges) // 2] if len(edges) else np.zeros(2, int)
    top, left = np.clip(middle - size // 2, 0, np.subtract(mask.shape, size)).tolist()
    figure = Figure(figsize=(6.6, 5.8), layout="constrained")
    axes = figure.subplots(2, 2, height_ratios=(1, 1.25))
    titles = ("the frame", "its mask", f"{size} x {size} pixels of it", "the same of the mask")
    for axis, title in zip(axes.flat, titles, strict=True):
        axis.set_title(title, fontsize=13)
        axis.set(xticks=[], yticks=[])
    inside = np.s_[top : top + size, left : left + size]
    for (whole, close), picture in zip(axes.T, (image, mask), strict=True):
        whole.imshow(picture, cmap="gray", vmin=0)
        close.imshow(picture[inside], cmap="gray", vmin=0)
        for colour, width in (("white", 5), (BLUE, 2.5)):  # a little larger than it is, to be seen
            corner = (left - 4, top - 4)
            frame = Rectangle(corner, size + 7, size + 7, fill=False, edgecolor=colour, linewidth=width)
            whole.add_patch(frame)
    for (y, x), value in np.ndenumerate(mask[inside]):
        axes[1, 1].text(x, y, int(value), ha="center", va="center", fontsize=12, color="wk"[value])
    return figure


def map_to_mask(image: np.ndarray, probs: np.ndarray, threshold: float, mask: np.ndarray) -> Figure:
    """A map of numbers 0 to 1, what of it is above a threshold, and that against the true mask.

    Args:
        image: uint8 RGB (H, W, 3).
        probs: 0 to 1 (H, W).
        threshold: polyp above this.
        mask: {0, 1} (H, W).
    """
    figure = Figure(figsize=(8.7, 2.9), layout="constrained")
    axes = figure.subplots(1, 3)
    above = (probs > threshold).astype(np.uint8)
    titles = ("a number for every pixel", f"above {threshold:g}", "against the truth")
    pictures = ((probs, "viridis"), (above, "gray"), (image, None))
    for axis, title, (picture, colours) in zip(axes, titles, pictures, strict=True):
        shown = axis.imshow(picture, cmap=colours, vmin=0, vmax=1)
        axis.set_title(title, fontsize=13)
        axis.set_axis_off()
        if picture is probs:
            figure.colorbar(shown, ax=axis, location="left", shrink=0.8)
    outline(axes[2], mask, "white", "-")
    outline(axes[2], above, LIGHT_BLUE, "--")
    figure.supxlabel("white: the polyp     light blue, dashed: what the map calls polyp", fontsize=11)
    return figure


def node_grids(
    graphs: dict[str, dict[str, list[str]]], ran: dict[str, set[str]] | None = None, columns: int = 2
) -> Figure:
    """U-Nets and UNet++s as grids: a circle a block, an arrow for every output that a block reads.

    Args:
        graphs: by title; block "i_j" -> the blocks it reads. Row i is 1 / 2^i of full size.
        ran: by title, the blocks that were computed; the others are drawn grey, without arrows.
        columns: how many panels stand in a row.
    """
    rows = -(-len(graphs) // columns)
    figure = Figure(figsize=(4.7 * columns, 3.3 * rows), layout="constrained")
    for number, (title, feeds) in enumerate(graphs.items(), start=1):
        axes = figure.add_subplot(rows, columns, number)
        _draw_nodes(axes, feeds, set(feeds) if ran is None else ran[title])
        axes.set_title(title, fontsize=13)
    return figure


def _draw_nodes(axes, feeds: dict[str, list[str]], ran: set[str]) -> None:
    places = {name: tuple(map(int, name.split("_"))) for name in feeds}
    for name, (i, j) in places.items():
        edge, face, ink = ("black", "white", "black") if name in ran else ("#bbbbbb", "#eeeeee", "#999999")
        x, y = i + 2 * j, -i
        axes.plot(x, y, "o", markersize=24, color=face, markeredgecolor=edge, zorder=3)
        axes.text(x, y, f"{i},{j}", ha="center", va="center", fontsize=11, color=ink, zorder=4)
        for k, m in (places[source] for source in feeds[name] if name in ran and source in places):
            between = sum(row == i and m < step < j for row, step in places.values())
            colour, style = (BLUE, ":") if k == i else (ORANGE, "-") if k > i else ("black", "-")
            _arrow(axes, (k + 2 * m, -k), (x, y), colour, style, -0.3 * between / (between + 1))
    depth = max(i for i, _ in places.values())
    axes.set(xlim=(-0.6, 2 * depth + 0.6), ylim=(-depth - 0.5, 0.4 + 0.18 * depth))
    axes.set_axis_off()


def node_costs(costs: dict[str, dict[str, float]]) -> Figure:
    """What each block costs: a panel a title, row i, column j, the number written into its field.

    Args:
        costs: by title; block "i_j" -> a number of 0 or more.
    """
    figure = Figure(figsize=(4.7 * len(costs), 3.6), layout="constrained")
    panels = figure.subplots(1, len(costs), squeeze=False)[0]
    for axes, (title, values) in zip(panels, costs.items(), strict=True):
        places = {name: tuple(map(int, name.split("_"))) for name in values}
        depth = max(i for i, _ in places.values())
        table = np.full((depth + 1, depth + 1), np.nan)
        for name, place in places.items():
            table[place] = values[name]
        axes.imshow(table, cmap="Blues", vmin=0, vmax=np.nanmax(table) * 1.1, aspect="auto")
        for i, j in places.values():
            colour = "white" if table[i, j] > 0.6 * np.nanmax(table) else "black"
            axes.text(j, i, f"{table[i, j]:.2f}", ha="center", va="center", color=colour, fontsize=12)
        axes.set(xlabel="j: steps from the encoder", ylabel="i: times halved", title=title)
        axes.set(xticks=range(depth + 1), yticks=range(depth + 1))
        axes.spines[:].set_visible(False)
    return figure


def effective_fields(rows: dict[str, list[np.ndarray]], boxes: list[int], names: list[str]) -> Figure:
    """Where the answer in the middle looks: a row of maps a network, the theoretical field as a square.

    Args:
        rows: by name of the row; maps (H, W) of the gradient's size, one for each of `names`.
        boxes: side of the theoretical field in pixels, one for each of `names`.
        names: titles of the columns.
    """
    figure = Figure(figsize=(2.4 * len(names), 2.5 * len(rows)), layout="constrained")
    axes = figure.subplots(len(rows), len(names), squeeze=False)
    for line_of_axes, (row, maps) in zip(axes, rows.items(), strict=True):
        for axis, field, box, name in zip(line_of_axes, maps, boxes, names, strict=True):
            height, width = field.shape
            axis.imshow(np.sqrt(field / field.max()), cmap="gray_r", extent=(0, width, height, 0))
            corner = ((width - box) / 2, (height - box) / 2)
            axis.add_patch(Rectangle(corner, box, box, fill=False, edgecolor=BLUE, linewidth=1.8))
            axis.set(xticks=[], yticks=[], title=name if axes[0, 0] in line_of_axes else "")
        line_of_axes[0].set_ylabel(row, fontsize=12)
    return figure


def paired_scores(scores: pd.DataFrame, xlabel: str) -> Figure:
    """A line a row between its two scores: circle for the first column, filled square for the second."""
    figure = Figure(figsize=(7.5, 0.5 * len(scores) + 1.5), layout="constrained")
    axes = figure.subplots()
    (first, before), (second, after) = scores.items()
    places = np.arange(len(scores))[::-1]
    axes.hlines(places, scores.min(axis=1), scores.max(axis=1), color="#999999", linewidth=2)
    axes.plot(before, places, "o", color="white", markeredgecolor="black", markersize=11, label=first)
    axes.plot(after, places, "s", color=BLUE, markersize=8, label=second)
    for place, (a, b) in zip(places, scores.to_numpy(), strict=True):
        gain = f"{b - a:+.3f}".replace("-", "\N{MINUS SIGN}")
        axes.text(max(a, b) + 0.02, place, gain, va="center", fontsize=11)
    axes.set(yticks=places, yticklabels=scores.index, xlabel=xlabel, ylim=(-0.6, len(scores) - 0.4))
    axes.margins(x=0.2)
    axes.grid(axis="x", alpha=0.3)
    axes.legend(frameon=False, loc="upper left", fontsize=11)
    return figure


def sequence_scores(table: pd.DataFrame) -> Figure:
    """A bar a video: mean Dice of its frames, the lowest on top.

    Args:
        table: columns sequence, frames, dice, sorted.
    """
    figure = Figure(figsize=(7.5, 0.26 * len(table) + 1.2), layout="constrained")
    axes = figure.subplots()
    places = np.arange(len(table))[::-1]
    axes.barh(places, table["dice"], color=BLUE, height=0.7)
    for place, dice in zip(places, table["dice"], strict=True):
        axes.text(dice + 0.01, place, f"{dice:.2f}", va="center", fontsize=10)
    names = [f"video {s} ({n} frames)" for s, n in zip(table["sequence"], table["frames"], strict=True)]
    axes.set(yticks=places, yticklabels=names, xlim=(0, 1.08), ylim=(-0.7, len(table) - 0.3))
    axes.set(xlabel="mean Dice of the video's frames, by a network that never saw the video")
    axes.axvline(np.average(table["dice"], weights=table["frames"]), color="black", linestyle="--")
    axes.spines[["top", "right"]].set_visible(False)
    return figure
