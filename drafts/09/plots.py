

def stride_windows(length: int, kernel: int, margins: dict[str, tuple[int, int]]) -> Figure:
    """Where a filter of stride 2 looks in one row of pixels: a panel a padding, a bracket a window.

    Args:
        length: pixels of the row.
        kernel: pixels of the filter.
        margins: by title, how many zeros stand before and after the row.
    """
    figure = Figure(figsize=(4.4 * len(margins), 1.7), layout="constrained")
    panels = figure.subplots(1, len(margins), sharex=True, sharey=True, squeeze=False)[0]
    for axes, (title, (before, after)) in zip(panels, margins.items(), strict=True):
        for x in range(-before, length + after):
            real = 0 <= x < length
            face = "#B8D8EA" if real else "white"
            axes.add_patch(Rectangle((x, 0), 1, 1, facecolor=face, edgecolor="black"))
            axes.text(x + 0.5, 0.5, x if real else "0", ha="center", va="center", fontsize=12)
        for step, start in enumerate(range(-before, length + after - kernel + 1, 2)):
            y = -0.4 - 0.45 * (step % 2)
            axes.plot([start + 0.1, start + kernel - 0.1], [y, y], color=ORANGE, linewidth=3)
            axes.plot(start + kernel / 2, y, "o", color="black", markersize=6)
        axes.set_title(title, fontsize=13)
        axes.set(xlim=(-1.3, length + 1.3), ylim=(-1.1, 1.1), aspect="equal")
        axes.set_axis_off()
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
    """A dot a run and a line through the means, by how much there was to learn from: validation and test.

    Args:
        table: columns count, val, test.
        xlabel: what is counted.
    """
    figure = Figure(figsize=(7.6, 3.4), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for axes, part, colour, marker in zip(panels, ("val", "test"), (ORANGE, BLUE), "so", strict=True):
        means = table.groupby("count")[part].mean()
        axes.plot(means.index, means, "-", color=colour, linewidth=2.5)
        axes.plot(
            table["count"], table[part], marker, color=colour, markeredgecolor="black", linestyle="none"
        )
        title = {"val": "validation videos", "test": "test videos"}[part]
        axes.set(title=title, xlabel=xlabel, xticks=means.index, ylim=(0, 1))
        axes.set_xlim(left=0)
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("mean Dice of the frames")
    return figure
