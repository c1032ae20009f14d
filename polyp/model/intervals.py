"""Bootstrap intervals, of frames or of whole groups of frames; NumPy only, so that no torch is loaded."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np


def bootstrap_mean(
    values: Sequence[float],
    groups: Sequence[int] | None = None,
    level: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> tuple[float, float]:
    """A percentile bootstrap interval for a mean (Efron, 1979), of frames or of whole groups of frames.

    Frames of one video are alike, so they say less than as many independent ones would. With `groups`,
    whole groups are drawn with replacement, each with all its frames (the cluster bootstrap: Field and
    Welsh, J. R. Stat. Soc. B 69:369-390, 2007).

    Args:
        values: one score per frame; NaN (undefined) is left out.
        groups: the video of each frame, or None to draw frame by frame.
        level: the share of resampled means that lie inside.
        resamples: how many are drawn.
        seed: of the draws.

    Raises:
        ValueError: nothing to resample, or as many groups as values are needed.
    """
    scores = np.asarray(values, dtype=float)
    labels = np.arange(len(scores)) if groups is None else np.asarray(groups)
    if len(labels) != len(scores):
        raise ValueError(f"{len(scores)} values but {len(labels)} groups; expected a group for each value")
    defined = ~np.isnan(scores)
    _, number = np.unique(labels[defined], return_inverse=True)
    if len(number) == 0:
        raise ValueError("no defined value to resample")
    sums, sizes = np.bincount(number, scores[defined]), np.bincount(number)
    found = bootstrap(lambda drawn: (drawn @ sums) / (drawn @ sizes), len(sums), level, resamples, seed)
    return float(found[0]), float(found[1])


def bootstrap(
    statistic: Callable[[np.ndarray], np.ndarray],
    groups: int,
    level: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> np.ndarray:
    """Percentile bootstrap intervals of one or several statistics of the same groups.

    Args:
        statistic: from how often each group is drawn, float (R, G), to the value of each resample, (R,) or,
            for several statistics at once, (R, K); NaN, undefined in that resample, is left out.
        groups: their number, G.
        level, resamples, seed: see `bootstrap_mean`.

    Returns:
        the lower and the upper end, (2,) or (2, K); NaN where no resample is defined.
    """
    values = np.concatenate([statistic(drawn) for drawn in _draws(groups, resamples, seed)])
    columns = values.reshape(len(values), -1).T
    ends = np.full((2, len(columns)), np.nan)
    for number, column in enumerate(columns):
        defined = column[~np.isnan(column)]
        if len(defined):
            ends[:, number] = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return ends.reshape(2, *values.shape[1:])


def _draws(groups: int, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """How often each group is drawn in each resample, float (R, G), in blocks that fit in memory."""
    rng = np.random.default_rng(seed)
    block = max(1, 4_000_000 // groups)
    for start in range(0, resamples, block):
        rows = min(block, resamples - start)
        draws = rng.integers(0, groups, (rows, groups)) + groups * np.arange(rows)[:, None]
        yield np.bincount(draws.ravel(), minlength=rows * groups).reshape(rows, groups).astype(float)
