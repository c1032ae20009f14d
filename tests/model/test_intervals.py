"""Bootstrap intervals against SciPy's, and what they are for: frames of one video are not independent."""

import subprocess
import sys

import numpy as np
import pytest
import scipy.stats

from polyp.model.intervals import bootstrap, bootstrap_mean


def test_bootstrap_of_frames_agrees_with_scipy():
    values = np.random.default_rng(1).beta(5, 2, 80)
    ours = bootstrap_mean(values)
    theirs = scipy.stats.bootstrap((values,), np.mean, method="percentile", rng=0).confidence_interval
    assert ours == pytest.approx(tuple(theirs), abs=0.004)


def test_bootstrap_of_groups():
    """Videos of equal frames are so many values, not so many frames; and the interval is wider for it."""
    per_video = np.random.default_rng(2).beta(5, 2, 12)
    frames, groups = np.repeat(per_video, 20), np.repeat(np.arange(12), 20)
    assert bootstrap_mean(frames, groups) == pytest.approx(bootstrap_mean(per_video))
    low, high = bootstrap_mean(frames, groups)
    narrow = bootstrap_mean(frames)
    assert (high - low) / (narrow[1] - narrow[0]) == pytest.approx(20**0.5, rel=0.15)


def test_bootstrap_leaves_out_the_undefined_and_refuses_nothing():
    nan = float("nan")
    assert bootstrap_mean([0.5, nan, 0.5], [1, 1, 2]) == (0.5, 0.5)
    with pytest.raises(ValueError, match="no defined value"):
        bootstrap_mean([nan])
    with pytest.raises(ValueError, match="2 values but 1 groups"):
        bootstrap_mean([1, 2], [1])


def test_several_statistics_share_their_draws():
    """Each column is the interval that it would have alone; one that is never defined is NaN."""
    values = np.random.default_rng(3).random(30)

    def mean_maximum_nothing(drawn):
        best = np.where(drawn > 0, values, 0).max(axis=1)
        return np.stack([drawn @ values / 30, best, np.full(len(drawn), np.nan)], axis=1)

    ends = bootstrap(mean_maximum_nothing, 30)
    assert tuple(ends[:, 0]) == pytest.approx(bootstrap_mean(values))
    assert ends[1, 1] == values.max()
    assert np.isnan(ends[:, 2]).all()


def test_draws_in_blocks_are_the_draws_in_one():
    """The interval of many frames, drawn block by block to save memory, is NumPy's own of one large draw."""
    values = np.random.default_rng(4).random(6000)
    drawn = np.random.default_rng(0).integers(0, 6000, (1500, 6000))
    expected = np.quantile(values[drawn].mean(axis=1), [0.025, 0.975])
    assert bootstrap_mean(values, resamples=1500) == pytest.approx(tuple(expected), abs=1e-12)


def test_no_torch_is_loaded():
    code = "import sys; from polyp.model import bootstrap_mean; bootstrap_mean([0, 1])"
    code += "; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
