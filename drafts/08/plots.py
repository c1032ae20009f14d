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


def reliability(bins: np.ndarray) -> Figure:
    """Stated probability against the observed share of polyp, and how many pixels each bin has.

    Args:
        bins: (n, 3) pixels, polyp pixels and summed probability of bins of equal width.
    """
    figure = Figure(figsize=(8.6, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    pixels, polyp, stated = np.asarray(bins, float).T
    some = pixels > 0
    left.plot([0, 1], [0, 1], "--", color="#777777", linewidth=1.5, label="calibrated")
    left.plot(
        stated[some] / pixels[some],
        polyp[some] / pixels[some],
        "o-",
        color=BLUE,
        linewidth=2.5,
        label="model",
    )
    left.set(xlabel="mean stated probability", ylabel="share that is polyp", xlim=(0, 1), ylim=(0, 1))
    left.legend(frameon=False)
    left.grid(alpha=0.3)
    places = (np.arange(len(pixels)) + 0.5) / len(pixels)
    right.bar(places, np.maximum(pixels, 0.5), width=0.9 / len(pixels), color=ORANGE, edgecolor="black")
    right.set(yscale="log", xlabel="stated probability", ylabel="pixels (logarithmic)", xlim=(0, 1))
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
