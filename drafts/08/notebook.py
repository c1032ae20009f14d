# %% [markdown]
# # 08 Honest evaluation: what a score promises, and to whom
#
# **One model, one dataset, and two scores that both are "the test Dice": find out which of them you would stake something on, and how sure you may be of it.**
#
# **You will be able to**
# - show that a split leaks, and measure what the leak is worth
# - put an interval around a score, and choose the right unit to resample
# - report by video, polyp size and contrast, by polyp found or missed, and by kind of failure
# - read a reliability diagram, and choose a threshold without looking at the test frames
#
# **You need** the metrics of notebook [02](02_metrics.ipynb) and the split of notebook [01](01_dataset.ipynb). No training: the scores of finished runs on CVC-ClinicDB come with the package, frame by frame. No download either.
#
# **Time:** ten seconds of computing on a laptop with 2 cores, the same on a GPU; an hour to read and to do the exercises.

# %%
# Setup: works unchanged in JupyterLab and in Colab, and never touches an installed torch.
import importlib.util
import subprocess
import sys
from pathlib import Path

if importlib.util.find_spec("polyp") is None:
    here = Path("../pyproject.toml")
    source = ".." if here.exists() else "polyp-course @ git+https://github.com/polyp-course/polyp-course"
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", source], check=True)

# %%
from itertools import chain, product

import cv2
import numpy as np
import pandas as pd
from scipy import stats

from polyp import plots
from polyp.checkpoint import load_model
from polyp.checks.notebook_08 import (
    check_calibration_error,
    check_cluster_bootstrap,
    check_count_leaked,
    check_widths,
)
from polyp.config import TrainConfig, changed, configure
from polyp.dataset import open_data, open_part
from polyp.errors import DataError
from polyp.experiments import read_result, result_names
from polyp.metrics import bootstrap_mean
from polyp.sources import find_dataset
from polyp.split import packaged_split, parts_of
from polyp.validate import validate

# %% tags=[parameters]
data = "synthetic"  # for the demonstration of the leak: synthetic or cvc-clinicdb (videos must be known)
data_path = None  # where the data lies, if not in $POLYP_DATA or data/
other = "kvasir-seg"  # a second dataset, to see a shift; used only if you have it
other_path = None  # where that one lies
checkpoint = None  # a run's best.safetensors, to be tried on the second dataset
draws = 10_000  # resampled test sets of each bootstrap
seed = 0  # of the bootstraps

# %% [markdown]
# ## The leak
#
# **A split by frame gives the exam's questions out in advance.** CVC-ClinicDB has 612 frames, but they were cut from few videos, some twenty frames from each, taken moments apart. Draw test frames at random, and this happens:

# %%
by_frame = packaged_split("cvc-clinicdb", "random")
by_video = packaged_split("cvc-clinicdb", "sequence")
video_of = dict(zip(by_video["frame"], by_video["sequence"], strict=True))


def with_parts(split, fold=0):
    """Every frame with its video and its part."""
    part_of = {frame: part for part, frames in parts_of(split, fold).items() for frame in frames}
    rows = [(frame, video, part_of[frame]) for frame, video in video_of.items()]
    return pd.DataFrame(rows, columns=["frame", "video", "part"])


strips = {"split by frame": with_parts(by_frame), "split by video, fold 0": with_parts(by_video)}
for name, table in strips.items():
    trained = set(table.loc[table["part"] == "train", "video"])
    test = table[table["part"] == "test"]
    leaked = test["video"].isin(trained).sum()
    print(f"{name}: {leaked} of {len(test)} test frames have their video in training")
plots.show(
    plots.split_strips(strips),
    alt="Two panels, a row a video. Split by frame, black test marks are strewn over nearly all rows, "
    "between grey training marks. Split by video, a row has marks of one kind only.",
)

# %% [markdown]
# *Left, test frames (black) stand among training frames (grey) of their own video. Right, each video is on one side only.*
#
# What is that worth? Take a "model" that learns nothing: it looks for the training frame that resembles the test frame most, and hands in *that frame's mask*. It has no notion of what a polyp looks like.

# %%
def thumbnails(dataset):
    """Frames as (n, 768) small pictures in float, and their masks (n, h, w)."""
    frames = [dataset.cache.images[row] for row in dataset.rows]
    masks = np.stack([dataset.cache.masks[row] for row in dataset.rows])
    small = [cv2.resize(np.array(frame), (16, 16), interpolation=cv2.INTER_AREA).ravel() for frame in frames]
    return np.stack(small).astype(float), masks.astype(bool)


def copyist(split):
    """The mean Dice of copying the mask of the most similar training frame."""
    parts = open_data(configure("quick", data=data, split=split, size=(96, 128)), data_path)
    (known, masks), (asked, truth) = thumbnails(parts.train), thumbnails(parts.test)
    distances = ((asked[:, None] - known[None]) ** 2).sum(axis=2)
    copied = masks[distances.argmin(axis=1)]
    both, either = (copied & truth).sum(axis=(1, 2)), copied.sum(axis=(1, 2)) + truth.sum(axis=(1, 2))
    return float(np.mean(2 * both / np.maximum(either, 1)))


copied = {split: copyist(split) for split in ("random", "sequence")}
for split, dice in copied.items():
    print(f"copying masks, {split} split: Dice {dice:.2f}")

# %% [markdown]
# The same copyist, the same data: only the split differs. A real network learns something besides, but nothing keeps it from copying too, and a score on a leaking split cannot tell the two apart.
#
# ### Exercise 1: count the leak
#
# Write `count_leaked(test, train, video_of)`: how many of the `test` frames have a frame of their own video in `train`? `video_of` is a dictionary, frame to video.

# %% tags=[exercise]
def count_leaked(test, train, video_of):
    """The number of test frames whose video is in training, too."""
    # your code here
    return None


check_count_leaked(count_leaked)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def count_leaked(test, train, video_of):
#     """The number of test frames whose video is in training, too."""
#     trained = {video_of[frame] for frame in train}
#     return sum(video_of[frame] in trained for frame in test)
# ```
#
# </details>

# %% [markdown]
# ## The same network, tested both ways
#
# **Cross-validation by video scores every frame once, by a network that never saw its video.** The videos are dealt into five folds; five networks are trained, each without one of them. The results that come with this package hold each test frame's counts, so that we can look as closely as we like. Scores are those of averaged mirrorings (`dice_flips`), at the threshold 0.5.

# %%
names = result_names()
folds = [name for name in names if name.startswith("fold_")]
complete = len(folds) == 5
honest = folds or [name for name in names if name.startswith("small_base_")][:1]


def frames_of(name):
    """The test frames of a committed result: a row a frame, with its video and its run."""
    table = pd.DataFrame(read_result(name)["frames"]).assign(run=name)
    table["sequence"] = table["frame"].map(video_of)
    return table.drop(columns="dice").rename(columns={"dice_flips": "dice"})


leaky = frames_of("random")
frames = pd.concat([frames_of(name) for name in honest], ignore_index=True)
assert not frames["frame"].duplicated().any()  # no frame is counted twice
if not folds:
    print("No fold's result has come yet. A smaller network's fold 0 stands in for all five folds:")
    print("what follows shows the method. Its gap to the split by frame is NOT the leak alone.")
elif not complete:
    print(f"{len(folds)} of 5 folds have come; what follows is about their frames only.")
for name, table in {"split by frame": leaky, "split by video": frames}.items():
    runs, videos = table["run"].nunique(), table["sequence"].nunique()
    print(f"{name}: Dice {table['dice'].mean():.3f}, {runs} run(s), {len(table)} frames of {videos} videos")
for run, table in frames.groupby("run"):
    print(f"  {run}: {table['dice'].mean():.3f} ({table['sequence'].nunique()} videos, {len(table)} frames)")

# %% [markdown]
# Read the folds one by one before you believe their mean. They share the recipe and differ in which videos are asked; where they differ by more than the recipes you want to compare, a single fold can crown any of them. One run a fold also leaves the seed out: another seed moves each of them again (notebook 06).

# %% [markdown]
# ## How sure is a score?
#
# **Another test set would have given another number: draw one from yours and see.** The bootstrap draws a test set of the same size, with replacement, scores it, and repeats. What lies between the 2.5th and the 97.5th percentile is the 95 % interval. The only decision is *what* to draw: frames, or whole videos with all their frames.

# %%
def bootstrap(scores, units, draws, seed):
    """Mean scores of `draws` test sets (draws,), each made of whole units drawn with replacement."""
    scores, units = np.asarray(scores), np.asarray(units)
    sums = np.array([scores[units == unit].sum() for unit in np.unique(units)])
    sizes = np.array([(units == unit).sum() for unit in np.unique(units)])
    picked = np.random.default_rng(seed).integers(0, len(sums), (draws, len(sums)))
    return sums[picked].sum(axis=1) / sizes[picked].sum(axis=1)


def ends(samples):
    """The 95 % interval of resampled scores."""
    return np.quantile(samples, [0.025, 0.975])


samples = {
    "drawn frame by frame": bootstrap(frames["dice"], np.arange(len(frames)), draws, seed),
    "drawn video by video": bootstrap(frames["dice"], frames["sequence"], draws, seed),
}
width = {}
for name, values in samples.items():
    low, high = ends(values)
    width[name] = high - low
    print(f"{name}: {frames['dice'].mean():.3f}, interval {low:.3f} to {high:.3f}, {high - low:.3f} wide")
ratio = width["drawn video by video"] / width["drawn frame by frame"]
print(f"By video the interval is {ratio:.1f} times as wide: {len(frames)} frames tell as much about the mean")
print(f"as some {len(frames) / ratio**2:.0f} independent ones would.")
plots.show(
    plots.bootstrap_histograms(samples, frames["dice"].mean(), "mean Dice of a resampled test set"),
    alt="Two histograms around the same mean: narrow where frames are drawn, wide where whole videos are.",
)

# %% [markdown]
# *The same scores, the same mean. Drawing frames pretends that every frame is a new witness; the bars below show the two intervals.*
#
# **Proof, three ways.** Drawn video by video, our few lines are `polyp.metrics.bootstrap_mean`. Drawn frame by frame, they agree with SciPy's `stats.bootstrap`. And for a test set of four videos no draw is needed at all: there are only 4 x 4 x 4 x 4 = 256 equally likely ones, and we can write them all down.

# %%
ours = ends(samples["drawn video by video"])
theirs = bootstrap_mean(frames["dice"], frames["sequence"], resamples=draws, seed=seed)
print("Equal to polyp.metrics.bootstrap_mean:", np.allclose(ours, theirs, atol=1e-12))

library = stats.bootstrap(
    (frames["dice"].to_numpy(),),
    np.mean,
    n_resamples=draws,
    batch=100,
    method="percentile",
    random_state=np.random.default_rng(seed),
).confidence_interval
near = np.abs(ends(samples["drawn frame by frame"]) - np.array(library)) < 0.1 * width["drawn frame by frame"]
print("By frame, within a tenth of its width of scipy.stats.bootstrap:", near.all())

few = frames[frames["sequence"].isin(np.unique(frames["sequence"])[:4])]
sets = [list(table["dice"]) for _, table in few.groupby("sequence")]
all_draws = [np.mean(list(chain(*picked))) for picked in product(sets, repeat=len(sets))]
drawn = bootstrap(few["dice"], few["sequence"], 100_000, seed)
same = abs(np.mean(all_draws) - drawn.mean()) < 0.002
print(f"{len(all_draws)} possible draws; their mean is ours:", same)
print("and so is their spread:", abs(np.std(all_draws) / np.std(drawn) - 1) < 0.02)

# %% [markdown]
# ### Exercise 2: write the cluster bootstrap
#
# Now you, without the trick of sums: draw as many videos as there are, with replacement; put *all* frames of every drawn video together (twice, if it was drawn twice); take the mean over frames. Repeat `draws` times with the generator `rng`.

# %% tags=[exercise]
def cluster_bootstrap(scores, videos, draws, rng):
    """The mean frame score of each of `draws` test sets, made of whole videos, as an array (draws,)."""
    # your code here
    return None


check_cluster_bootstrap(cluster_bootstrap)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def cluster_bootstrap(scores, videos, draws, rng):
#     """The mean frame score of each of `draws` test sets, made of whole videos, as an array (draws,)."""
#     members = [scores[videos == video] for video in np.unique(videos)]
#     means = []
#     for _ in range(draws):
#         picked = rng.integers(0, len(members), len(members))
#         means.append(np.concatenate([members[k] for k in picked]).mean())
#     return np.array(means)
# ```
#
# </details>

# %% [markdown]
# ### What the leak is worth
#
# The two scores of above stand on different frames. Fairer is to compare on the *same* frames: each test frame of the split by frame was also scored by a network that never saw its video. Frame by frame we take the difference, and resample videos.

# %%
pairs = leaky.merge(frames, on="frame", suffixes=("", "_honest"))
gain = pairs["dice"] - pairs["dice_honest"]
low, high = bootstrap_mean(gain, pairs["sequence"], resamples=draws, seed=seed)
kind = "the leak" if folds else "leak AND smaller network (stand-in)"
print(f"{len(pairs)} frames of {pairs['sequence'].nunique()} videos scored both ways")
print(f"with their video in training {pairs['dice'].mean():.3f}, without {pairs['dice_honest'].mean():.3f}")
print(f"{kind}: {gain.mean():+.3f}, 95 % interval {low:+.3f} to {high:+.3f}")
if not folds:
    print("Two things changed at once, so this interval says nothing about the leak by itself.")
elif low > 0:
    print("The whole interval is above 0: the split by frame flatters.")
elif high < 0:
    print("The whole interval is below 0: on these frames the split by frame scored lower.")
else:
    print("The interval holds 0: these frames alone do not show a leak; they do not rule it out either.")
means = {name: table["dice"].mean() for name, table in (("by frame", leaky), ("by video", frames))}
print(f"All test frames of each split, unpaired: {means['by frame'] - means['by video']:+.3f}")

# %% [markdown]
# Two things this does *not* separate. The network of the split by frame also trains on more frames (80 % against about 70 %), which is part of its advantage. And the few frames that were scored both ways are a small sample; that is why the interval stands beside the number.

# %% [markdown]
# ## Where the mean comes from
#
# **A mean Dice is nobody's Dice.** Look at the videos first.

# %%
plots.show(
    plots.scores_by_video(frames),
    alt="A column of dots for each video, sorted by mean, with a line at the mean. Dots of one video lie "
    "close together in the good videos and reach far down in the worst ones.",
)
by_sequence = frames.groupby("sequence")["dice"].agg(["size", "mean", "min"])
print("the three worst videos:")
print(by_sequence.sort_values("mean").head(3).round(2).to_string())
print(f"mean of frames {frames['dice'].mean():.3f}, mean of video means {by_sequence['mean'].mean():.3f}")

# %% [markdown]
# *Each dot is a frame, each column a video. The more the columns differ from each other, the more the frames of a video succeed and fail together, and the more overconfident it is to draw single frames.*
#
# Next, what explains it? Two suspects can be measured on the frame: the polyp's **size** (its share of the frame) and its **contrast** (how far the mean colour of the polyp is from that of a ring around it, in CIELAB units; about 2 is just visible). We cut both into thirds.

# %%
def thirds(values, names):
    """Each value's third: the lowest, the middle, the highest."""
    return pd.Categorical.from_codes(
        np.minimum(values.rank(method="first", pct=True).mul(3).astype(int), 2), names, ordered=True
    )


frames["size"] = thirds(frames["area"], ["small", "medium", "large"])
known = frames["contrast"].notna()
by_contrast = thirds(frames.loc[known, "contrast"], ["low", "middle", "high"])
frames.loc[known, "contrast_third"] = by_contrast.astype(str)


def with_intervals(table, by, order):
    """Mean Dice of each group and its interval, videos resampled."""
    rows = {}
    for group in order:
        part = table[table[by] == group]
        low, high = bootstrap_mean(part["dice"], part["sequence"], resamples=draws, seed=seed)
        videos = part["sequence"].nunique()
        rows[group] = [len(part), videos, part["dice"].mean(), low, high]
    table = pd.DataFrame(rows, ["frames", "videos", "mean", "low", "high"]).T
    return table.astype({"frames": int, "videos": int})


panels = {
    "polyp's size": with_intervals(frames, "size", ["small", "medium", "large"]),
    "contrast": with_intervals(frames, "contrast_third", ["low", "middle", "high"]),
}
for title, table in panels.items():
    print(title)
    print(table.round(2).to_string())
plots.show(
    plots.grouped_intervals(panels, "mean Dice, 95 % interval"),
    alt="Two panels with three points each, thirds of size and of contrast, with intervals.",
)

# %% [markdown]
# *Thirds of the test frames. Intervals resample videos; those of groups overlap easily, because each has few videos.*
#
# Beware of the word "because": size and contrast go together with the video and with each other. The picture says where to look, not why.

# %% [markdown]
# ## Found or missed?
#
# **To the patient, half a millimetre of outline is nothing and a missed polyp is everything.** So count polyps beside pixels. Here a polyp is *found* when at least half of its pixels are predicted, and a *false region* is a predicted patch that touches no polyp. Both definitions are choices: write them beside the numbers.

# %%
def sensitivity(table):
    """Polyps found of all, with the interval that resamples videos (a row a polyp)."""
    repeated = table.loc[table.index.repeat(table["polyps"])]
    first = repeated.groupby(level=0).cumcount() < repeated["found"]
    low, high = bootstrap_mean(first.to_numpy(float), repeated["sequence"], resamples=draws, seed=seed)
    return f"{table['found'].sum()} of {table['polyps'].sum()} found, {first.mean():.1%} ({low:.1%} to {high:.1%})"


print("all:", sensitivity(frames))
for size in ("small", "medium", "large"):
    print(f"{size}:", sensitivity(frames[frames["size"] == size]))
pooled = 2 * frames["tp"].sum() / (2 * frames["tp"] + frames["fp"] + frames["fn"]).sum()
print(f"Dice per image {frames['dice'].mean():.3f}, pooled over all pixels {pooled:.3f}")
found_all = frames[frames["found"] == frames["polyps"]]
print(f"Dice of the frames in which every polyp is found: {found_all['dice'].mean():.3f}")
print(f"false regions: {frames['false_regions'].sum()}, that is {frames['false_regions'].mean():.2f} a frame")

# %% [markdown]
# A polyp here is a connected region of the mask in *one frame*. A mask that the frame's edge or a reflection cuts in two counts as two, so there are more "polyps" than frames; and a video shows the same polyp many times, so that a system which finds it in most frames may still have found it for the doctor. And as every frame of this dataset has a polyp, the false regions say nothing about normal mucosa, which is most of a colonoscopy.

# %% [markdown]
# ## Kinds of failure
#
# **Failures with the same Dice need different cures.** The columns of counts are enough to name them. The rules are read from top to bottom, and the first that fits names the frame:
#
# | kind | rule | what to try |
# | --- | --- | --- |
# | missed | a polyp in it was not found | harder or more examples, resolution, lower threshold |
# | false region | a predicted patch touches no polyp | frames without polyps, higher threshold, drop tiny patches |
# | good | Dice at least 0.85 | |
# | too small | missed pixels are more than twice the false ones | lower threshold |
# | too large | false pixels are more than twice the missed ones | higher threshold |
# | ragged | what is left: errors on both sides | resolution, decoder, the expert's own doubt |

# %%
KINDS = ["good", "missed", "false region", "too small", "too large", "ragged"]


def failure(row):
    """The kind of a frame, from its counts."""
    if row["found"] < row["polyps"]:
        return "missed"
    if row["false_regions"] > 0:
        return "false region"
    if row["dice"] >= 0.85:
        return "good"
    if row["fn"] > 2 * row["fp"]:
        return "too small"
    return "too large" if row["fp"] > 2 * row["fn"] else "ragged"


frames["kind"] = frames.apply(failure, axis=1)
rows = {"all": frames} | {size: frames[frames["size"] == size] for size in ("small", "medium", "large")}
counts = pd.DataFrame({name: part["kind"].value_counts() for name, part in rows.items()})
counts = counts.reindex(KINDS).fillna(0).astype(int).T
assert (counts.loc["all"] == counts.drop("all").sum()).all()
plots.show(
    plots.failure_bars(counts),
    alt="Four bars: all frames, small, medium and large polyps; segments show how many frames are good, missed, "
    "have a false region, or are too small, too large or ragged.",
)
missing = (1 - frames["dice"]).groupby(frames["kind"]).sum()
lost = missing.reindex(KINDS).fillna(0) / missing.sum()
print("share of all the Dice that is lost:")
print(lost.map("{:.0%}".format).to_string())

# %% [markdown]
# *How many frames are of which kind. The list below weighs each kind by the Dice that it costs: work on what stands on top there.*
#
# The 0.85 and the factor 2 are ours. Move them, and see whether your conclusion moves along.

# %% [markdown]
# ## Does it mean what it says? Calibration
#
# **Of all pixels with the probability 0.8, eight in ten should be polyp.** A reliability diagram puts the stated probability against what was observed, in ten bins. The results hold each bin's pixels, polyp pixels and summed probability; folds simply add up.

# %%
bins = np.sum([read_result(name)["calibration"] for name in honest], axis=0)
pixels, polyp, stated = bins.T
print("stated   observed   share of pixels")
for k in range(len(bins)):
    print(f"{stated[k] / pixels[k]:.2f}     {polyp[k] / pixels[k]:.2f}       {pixels[k] / pixels.sum():.1%}")
plots.show(
    plots.reliability(bins),
    alt="Left, observed share against stated probability beside the diagonal. Right, a histogram: nearly all "
    "pixels are in the lowest bin, most others in the highest.",
)
above = stated[5:].sum() / pixels[5:].sum() - polyp[5:].sum() / pixels[5:].sum()
print(f"pixels above 0.5 are given {above:+.3f} more probability than comes true")

# %% [markdown]
# *Below the diagonal the network is too sure, above it too timid. Mind the right panel: it is logarithmic.*
#
# ### Exercise 3: the calibration error in one number
#
# The *expected calibration error* is the mean gap between stated and observed, each bin weighted by its pixels. Write it for `bins` of shape (n, 3): pixels, polyp pixels, summed probability. A bin may be empty.

# %% tags=[exercise]
def calibration_error(bins):
    """The gap between stated and observed probability, averaged over pixels."""
    # your code here
    return None


check_calibration_error(calibration_error)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def calibration_error(bins):
#     """The gap between stated and observed probability, averaged over pixels."""
#     pixels, polyp, stated = np.asarray(bins, float).T
#     some = pixels > 0
#     gaps = np.abs(polyp[some] / pixels[some] - stated[some] / pixels[some])
#     return float((pixels[some] / pixels.sum() * gaps).sum())
# ```
#
# </details>

# %% [markdown]
# Now look at `calibration_error(bins)` when yours is right. Do not be flattered if it is small: most pixels are easy background, stated as 0 and truly 0. Leave out the lowest bin, `calibration_error(bins[1:])`, and it is another number. Pixels have the same trouble as frames, only worse: the neighbours of a pixel are no new witnesses.

# %% [markdown]
# ## The threshold
#
# **Choose on validation, report on test, whatever comes out.** For each run: the best threshold on its validation frames, what that scores on test, and the best that the *test* frames would have wished for. The last column is what cheating would have added.

# %%
rows = {}
for name in ["random", *honest]:
    curve = read_result(name)["thresholds"]
    at = [round(value, 2) for value in curve["values"]]
    chosen = round(curve["chosen"], 2)
    assert chosen == at[int(np.argmax(curve["val"]))]
    test = dict(zip(at, curve["test"], strict=True))
    best = max(test, key=test.get)
    rows[name] = [chosen, test[0.5], test[chosen], best, test[best], test[best] - test[chosen]]
columns = ["chosen on val", "test at 0.5", "test at chosen", "test's own best", "test there", "cheating adds"]
thresholds = pd.DataFrame(rows, columns, dtype=float).T
print(thresholds.round(3).T.to_string())
gained = (thresholds["test at chosen"] - thresholds["test at 0.5"]).drop("random")
print(f"choosing on validation moved the test score by {gained.mean():+.3f} on average")
print("Cheating never loses:", bool((thresholds["cheating adds"] >= 0).all()))

# %% [markdown]
# Cheating cannot lose, by construction: that is what makes it cheating. And a threshold chosen on few validation videos may well do worse than 0.5; then you report that. If validation and test want very different thresholds, the videos differ, and that is a finding about your data.

# %% [markdown]
# ### Exercise 4: how many videos are enough? (open)
#
# Suppose that the test set had fewer videos. Draw some of them (for example half, two thirds and all; without replacement), compute the width of the interval that `bootstrap_mean` gives for their frames, and collect `{number of videos: width}`. One draw may be lucky, so take the mean width of several. How many videos would you need to tell two models apart that differ by 0.02? Write down what you expected first.

# %% tags=[exercise]
widths = None  # your code here

check_widths(widths)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# rng = np.random.default_rng(0)
# videos = np.unique(frames["sequence"])
# widths = {}
# for count in (len(videos) // 2, 2 * len(videos) // 3, len(videos)):
#     found = []
#     for _ in range(20):
#         some = frames[frames["sequence"].isin(rng.choice(videos, count, replace=False))]
#         low, high = bootstrap_mean(some["dice"], some["sequence"], resamples=1000)
#         found.append(high - low)
#     widths[count] = float(np.mean(found))
# ```
#
# With very few videos the bootstrap interval is itself too narrow: it cannot draw what it never saw. Elsewhere the width falls about with the square root of the number of videos: half the width costs four times the videos. For the difference of two models on the *same* frames, resample the difference; it is usually much narrower.
#
# </details>

# %% [markdown]
# ## Another hospital: shift
#
# **Even an honest split asks for new videos of the same clinic and the same endoscope.** Another dataset asks more. If you have Kvasir-SEG (`polyp data get kvasir-seg`) and a checkpoint from notebook 06, the next cell scores it there; neither is needed for anything else. Nothing may be tuned on it. Kvasir-SEG does not say which frames are of one video, so its interval can only be drawn by frame, and you now know which way that errs.

# %% tags=[nbval-ignore-output]
try:
    find_dataset(other, other_path)
except DataError:
    print(f"{other} is not here, so the shift is not measured. `polyp data get {other}` fetches it.")
else:
    if checkpoint is None:
        print(f"{other} is here; set `checkpoint` to a run's best.safetensors to measure the shift.")
    else:
        model, metadata = load_model(checkpoint)
        config = changed(TrainConfig.from_dict(metadata["config"]), data=other)
        scores = validate(model, open_part(config, "all", other_path)).table["dice"]
        low, high = bootstrap_mean(scores, resamples=draws, seed=seed)
        print(f"{other}: Dice {scores.mean():.3f} ({low:.3f} to {high:.3f}, by frame), {len(scores)} frames")

# %% [markdown]
# ## What goes wrong
#
# | symptom | cause | fix |
# | --- | --- | --- |
# | 0.93 in the paper, 0.8 on your videos | the paper splits by frame | split by video; say which split beside every number |
# | an interval of half a percent from 29 videos | frames were resampled | resample videos |
# | A beats B, until the seed or the fold changes | one run each | several seeds, all folds, the interval of the difference |
# | pooled Dice is high, small polyps are missed | pixels weigh large polyps more | per-image Dice, and polyps found |
# | the test score is best at just your threshold | it was chosen on test | choose on validation only |
# | the calibration error is tiny, the diagram is crooked | background fills the lowest bin | look at the diagram; leave that bin out |
# | a good score, and false alarms in practice | no frame without a polyp was ever tested | test on whole videos |
#
# ## Take-aways
#
# - A test frame whose video trains is not a test frame.
# - The unit of resampling is what is drawn anew in the world: a video, better still a patient.
# - Report every fold, the number of videos, and an interval; compare on the same frames.
# - Beside the mean: the worst videos, small polyps, polyps found, false regions, kinds of failure.
# - Whatever can be chosen is chosen on validation. Then open the test once.
#
# ## Quiz
#
# **1.** A colleague splits by frame but leaves five frames between training and test frames. Is that enough?
#
# <details><summary>Answer</summary>
#
# No. Five frames on, it is still the same polyp in the same colon under the same light. A gap makes copies less exact; only a split by video (better by patient) makes the question new.
#
# </details>
#
# **2.** All frames of each video have the same score. How do the two bootstrap intervals compare, with 20 frames a video?
#
# <details><summary>Answer</summary>
#
# The frames then are exact copies of one witness. The variance of the mean by frame is 20 times too small, so its interval is about the square root of 20, some 4.5 times, too narrow.
#
# </details>
#
# **3.** Does the interval by video cover another hospital?
#
# <details><summary>Answer</summary>
#
# No. It answers: what if *these* videos had been drawn again from wherever they come from? Another endoscope or other patients were never in the urn. Nor does it cover another training seed.
#
# </details>
#
# **4.** Model A finds 95 of 100 polyps with Dice 0.80; B finds 90 with Dice 0.84. Which is better?
#
# <details><summary>Answer</summary>
#
# It depends on the use. To alert a doctor, A; to measure what is found, perhaps B. And first ask for the interval of the difference, in polyps of how many patients, and for the false regions of both: finding more is easy if one predicts everywhere.
#
# </details>
#
# **5.** On validation the best threshold is 0.2, on test 0.5 would have been better. What do you report?
#
# <details><summary>Answer</summary>
#
# The test score at 0.2. That 0.5 is better is known only from the test frames. You may add that validation and test disagree, and that the validation set has few videos.
#
# </details>
#
# ## References
#
# - J. Bernal et al., *WM-DOVA maps for accurate polyp highlighting in colonoscopy* (CVC-ClinicDB), Comput. Med. Imaging Graph. 43 (2015), [doi:10.1016/j.compmedimag.2015.02.007](https://doi.org/10.1016/j.compmedimag.2015.02.007)
# - B. Efron, *Bootstrap methods: another look at the jackknife*, Ann. Stat. 7 (1979), [doi:10.1214/aos/1176344552](https://doi.org/10.1214/aos/1176344552)
# - C. A. Field and A. H. Welsh, *Bootstrapping clustered data*, J. R. Stat. Soc. B 69 (2007), [doi:10.1111/j.1467-9868.2007.00593.x](https://doi.org/10.1111/j.1467-9868.2007.00593.x)
# - C. Guo et al., *On calibration of modern neural networks* (2017), [arXiv:1706.04599](https://arxiv.org/abs/1706.04599)
# - D. Jha et al., *Kvasir-SEG: a segmented polyp dataset* (2019), [arXiv:1911.07069](https://arxiv.org/abs/1911.07069)
# - S. Kapoor and A. Narayanan, *Leakage and the reproducibility crisis in machine-learning-based science*, Patterns 4 (2023), [doi:10.1016/j.patter.2023.100804](https://doi.org/10.1016/j.patter.2023.100804)
