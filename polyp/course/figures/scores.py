"""Scores, and how sure they are."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from polyp.course.figures.style import BLUE, GREEN, ORANGE, PINK


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


def grouped_intervals(panels: dict[str, pd.DataFrame], ylabel: str) -> Figure:
    """Means of groups with their intervals: a panel a title.

    Args:
        panels: a title -> a table, index the groups' names, columns mean, low and high.
        ylabel: what is averaged.
    """
    figure = Figure(figsize=(4.2 * len(panels), 3.2), layout="constrained")
    rows = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axes, (title, table) in zip(rows, panels.items(), strict=True):
        places = np.arange(len(table))
        axes.vlines(places, table["low"], table["high"], color=BLUE, linewidth=3)
        axes.plot(places, table["mean"], "o", color="black", markersize=9)
        axes.set_xticks(places, table.index)
        axes.set(title=title, xlim=(-0.5, len(table) - 0.5), ylim=(0, 1.03))
        axes.grid(axis="y", alpha=0.3)
    rows[0].set_ylabel(ylabel)
    return figure


def scores_by_video(table: pd.DataFrame) -> Figure:
    """Every frame's Dice: a column a video, the videos in the order of their means, which are lines.

    Args:
        table: columns sequence and dice, a row a frame.
    """
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    axes = figure.subplots()
    means = table.groupby("sequence")["dice"].mean().sort_values(kind="stable")
    for place, sequence in enumerate(means.index):
        values = table.loc[table["sequence"] == sequence, "dice"]
        axes.plot([place] * len(values), values, "o", color=BLUE, alpha=0.35, markersize=5)
    places = np.arange(len(means))
    axes.hlines(means, places - 0.4, places + 0.4, color="black", linewidth=2.5, label="mean of the video")
    mean = table["dice"].mean()
    axes.axhline(mean, color=ORANGE, linestyle="--", linewidth=2, label=f"mean of all frames, {mean:.2f}")
    axes.set_xticks(places, means.index, fontsize=8)
    axes.set(xlabel="video", ylabel="Dice of a frame", ylim=(-0.03, 1.03))
    axes.grid(axis="y", alpha=0.3)
    axes.legend(frameon=False, loc="lower right")
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
        axes.text(0.01, place, f"{dice:.2f}", va="center", color="white", fontsize=10)
    names = [f"video {s} ({n} frames)" for s, n in zip(table["sequence"], table["frames"], strict=True)]
    axes.set(yticks=places, yticklabels=names, xlim=(0, 1), ylim=(-0.7, len(table) - 0.3))
    axes.set(xlabel="mean Dice of the video's frames, by a network that never saw the video")
    mean = np.average(table["dice"], weights=table["frames"])
    axes.axvline(mean, color=ORANGE, linestyle="--", linewidth=2, label=f"mean of all frames, {mean:.2f}")
    figure.legend(loc="outside upper right", frameon=False, fontsize=11)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def ranked_bars(values: pd.Series, xlabel: str, highlight: str) -> Figure:
    """A horizontal bar a value, the highest on top, its number beside it and one of them darker."""
    figure = Figure(figsize=(7.6, 0.42 * len(values) + 1.1), layout="constrained")
    axes = figure.subplots()
    values = values.sort_values()
    colours = [BLUE if name == highlight else "#C8C8C8" for name in values.index]
    axes.barh(range(len(values)), values, color=colours, edgecolor="black", height=0.7)
    for place, value in enumerate(values):
        side = "left" if value > 0 else "right"
        axes.text(
            value, place, f" {value:.2f} ".replace("-", "\N{MINUS SIGN}"), va="center", ha=side, fontsize=11
        )
    axes.set(yticks=range(len(values)), yticklabels=values.index, xlabel=xlabel)
    axes.margins(x=0.15)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def failure_bars(counts: pd.DataFrame) -> Figure:
    """How frames fail: a bar a row, a segment a kind, with its number of frames written into it.

    Args:
        counts: index the groups of frames, columns the kinds, values the numbers of frames.
    """
    figure = Figure(figsize=(9, 0.6 * len(counts) + 1.7), layout="constrained")
    axes = figure.subplots()
    looks = (("#F2F2F2", ""), ("black", ""), (ORANGE, "//"), (BLUE, ""), (GREEN, ".."), (PINK, "xx"))
    shares = counts.div(counts.sum(axis=1), axis=0)
    begin = np.zeros(len(counts))
    for (kind, widths), (colour, hatch) in zip(shares.items(), looks, strict=False):
        axes.barh(
            counts.index, widths, left=begin, color=colour, hatch=hatch, edgecolor="#555555", label=kind
        )
        for row, width in enumerate(widths):
            if width > 0.04:
                box = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
                place = begin[row] + width / 2
                axes.text(place, row, counts[kind].iloc[row], ha="center", va="center", bbox=box)
        begin += widths.to_numpy()
    axes.invert_yaxis()
    axes.set(xlabel="share of the frames", xlim=(0, 1))
    figure.legend(loc="outside upper center", ncols=len(counts.columns), frameon=False)
    return figure


def mistake_costs(scores: dict[str, list[float]], baseline: list[float], xlabel: str) -> Figure:
    """A row a mistake: a dot for each seed, a line from the mean of the honest runs to its own.

    Args:
        scores: a name -> its score for each seed.
        baseline: the honest score for each seed.
        xlabel: what is scored.
    """
    figure = Figure(figsize=(8, 0.5 * len(scores) + 1.6), layout="constrained")
    axes = figure.subplots()
    honest = np.mean(baseline)
    for place, values in enumerate(reversed(scores.values())):
        flatters = np.mean(values) > honest
        axes.hlines(place, *sorted((honest, np.mean(values))), color="#999999", linewidth=3)
        mark, colour = ("^", ORANGE) if flatters else ("o", BLUE)
        axes.plot(values, [place] * len(values), mark, color=colour, markersize=9, alpha=0.8)
    axes.axvline(honest, color="black", linewidth=1.5, label="honest, mean")
    axes.plot([], [], "o", color=BLUE, label="looks worse")
    axes.plot([], [], "^", color=ORANGE, label="looks better than it is")
    axes.set_yticks(range(len(scores)), list(scores)[::-1], fontsize=12)
    axes.set_xlabel(xlabel, fontsize=12)
    axes.grid(axis="x", alpha=0.3)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    return figure
