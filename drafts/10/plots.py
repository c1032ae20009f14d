def probability_histograms(maps: dict[str, np.ndarray], threshold: float = 0.5) -> Figure:
    """How often each probability comes out, one panel a program, on a logarithmic axis.

    Args:
        maps: a name -> probabilities of any shape.
        threshold: marked by a black line.
    """
    figure = Figure(figsize=(4 * len(maps), 2.8), layout="constrained")
    axes = figure.subplots(1, len(maps), sharey=True, squeeze=False)[0]
    for axis, (name, probs), colour in zip(axes, maps.items(), (BLUE, ORANGE, GREEN), strict=False):
        axis.hist(np.ravel(probs), np.linspace(0, 1, 41), color=colour, log=True)
        axis.axvline(threshold, color="black", linewidth=1.5, linestyle="--")
        axis.set_title(name, fontsize=14)
        axis.set_xlabel("probability", fontsize=12)
        axis.set_xlim(0, 1)
    axes[0].set_ylabel("pixels", fontsize=12)
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
