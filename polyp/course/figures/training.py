"""Curves over steps, epochs, minutes and the number of videos."""

import pandas as pd
from matplotlib.figure import Figure

from polyp.course.figures.style import BLUE, GREEN, ORANGE


def line(values: list[float], xlabel: str, ylabel: str, title: str) -> Figure:
    """One curve of values at 0, 1, 2 ..."""
    figure = Figure(figsize=(6, 2.8), layout="constrained")
    axes = figure.subplots()
    axes.plot(values, color=BLUE, linewidth=2)
    axes.set(xlabel=xlabel, ylabel=ylabel, title=title)
    axes.grid(alpha=0.3)
    return figure


def two_lines(table: pd.DataFrame, xlabel: str, ylabel: str, title: str) -> Figure:
    """Two columns against the index: the first dashed orange, the second solid blue."""
    figure = Figure(figsize=(6, 2.8), layout="constrained")
    axes = figure.subplots()
    for name, colour, style in zip(table, (ORANGE, BLUE), ("--", "-"), strict=True):
        axes.plot(table.index, table[name], style, color=colour, label=name, linewidth=2)
    axes.set(xlabel=xlabel, ylabel=ylabel, title=title)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
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


def curves_by_minutes(arms: dict[str, list[pd.DataFrame]], budget: float) -> Figure:
    """Validation Dice against minutes of training: a colour and style an arm, a line a run.

    Args:
        arms: by name, the runs' tables with columns minutes and val_dice.
        budget: the minutes at which the runs are compared; a vertical line.
    """
    figure = Figure(figsize=(7.6, 3.6), layout="constrained")
    axes = figure.subplots()
    looks = ((BLUE, "-", "o"), (ORANGE, "--", "s"), ("black", ":", "^"), (GREEN, "-.", "D"))
    for (name, runs), (colour, style, marker) in zip(arms.items(), looks, strict=False):
        for number, run in enumerate(runs):
            axes.plot(
                run["minutes"], run["val_dice"], style,
                color=colour, marker=marker, markersize=5, linewidth=2, label=None if number else name,
            )  # fmt: skip
    axes.axvline(budget, color="#777777", linewidth=1.5)
    axes.set(xlabel="minutes of training", ylabel="validation Dice", ylim=(0, 1))
    axes.set_xlim(left=0)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, loc="lower right", fontsize=11)
    return figure


def learning_curve(table: pd.DataFrame, xlabel: str) -> Figure:
    """A mark a run and a line through the means, by how much there was to learn from: validation and test.

    Args:
        table: columns line, count, val, test; of two lines the second is dashed, its marks hollow.
        xlabel: what is counted.
    """
    figure = Figure(figsize=(7.6, 3.4), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for axes, part, colour, marker in zip(panels, ("val", "test"), (ORANGE, BLUE), "so", strict=True):
        looks = (("-", colour, -0.25), ("--", "white", 0.25))  # moved apart, so that no mark hides another
        for (label, runs), (style, fill, shift) in zip(
            table.groupby("line", sort=False), looks, strict=False
        ):
            means = runs.groupby("count")[part].mean()
            axes.plot(means.index + shift, means, style, color=colour, linewidth=2.5, label=label)
            dots = {"color": fill, "markeredgecolor": "black", "linestyle": "none"}
            axes.plot(runs["count"] + shift, runs[part], marker, **dots)
        title = {"val": "validation videos", "test": "test videos"}[part]
        axes.set(title=title, xlabel=xlabel, xticks=sorted(table["count"].unique()), ylim=(0, 1))
        axes.set_xlim(left=0)
        axes.legend(loc="lower right")
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("mean Dice of the frames")
    return figure
