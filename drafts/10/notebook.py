# %% [markdown]
# # 10 What goes wrong: seven cases for a detective
#
# **Seven programs ran without an error and were wrong all the same: from the symptom, find the mistake, and see what each of them costs.**
#
# **You will be able to**
# - tell from a symptom which of the common mistakes of a segmentation project is behind it
# - design the one small test that convicts a suspect, or clears it
# - mend the mistakes in code, and say what each would have cost
#
# **You need** notebooks [02](02_metrics.ipynb) (Dice, IoU, threshold), [06](06_training.ipynb) (the loop) and [07](07_prediction.ipynb) (prediction). No download.
#
# **Time:** half a minute of computing on a laptop with 2 cores, less on a GPU; to play: an hour.
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
import copy
import json
import os
import platform
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from polyp import plots
from polyp.checkpoint import describe
from polyp.checks.notebook_10 import (
    SUSPECTS,
    check_case_1,
    check_case_2,
    check_case_3,
    check_case_4,
    check_case_5,
    check_case_6,
    check_case_7,
    check_own_case,
    program_1,
    program_2,
    program_3,
    program_4,
    program_5,
    program_6,
    program_7,
    scoreboard,
)
from polyp.config import changed, configure_notebook
from polyp.dataset import PolypDataset, open_data
from polyp.encoder import load_imagenet
from polyp.errors import DataError
from polyp.experiments import read_result
from polyp.files import write_atomic
from polyp.hardware import autocast, choose_device
from polyp.losses import LOSSES
from polyp.metrics import concatenate, confusion_counts, count_pixels, dice_score, iou_score, summarise
from polyp.network import build_model, resize_logits
from polyp.pairs import read_sequences
from polyp.sources import find_dataset
from polyp.train import make_optimizer, train_one_epoch

_names = set(globals())
# %% [markdown]
# ## The parameters
#
# The game needs none. They are for the measurement on real frames at the end: `out` names the file that it writes, and without `out` nothing is measured.
# %% tags=[parameters]
preset = "quick"  # quick, cpu, transfer or gpu
data = "synthetic"  # synthetic, cvc-clinicdb, kvasir-seg, or a folder of pairs
size = None  # [height, width] that the network sees
architecture = None  # unet or unetpp
encoder = None  # conv, or efficientnet-lite0 (4 widths)
pretrained = None  # start that encoder from ImageNet weights
widths = None  # channels of each resolution, downwards
augment = None  # none, flips or standard
fold = None  # which fold is the test set
precision = None  # auto, fp32 or bf16
batch_size = None
lr = None
epochs = 14
seed = 0  # of the game's network, and the first of the measurement's
seeds = 1  # how many seeds the measurement trains
data_path = None  # where the data lies, if not in $POLYP_DATA or data/
out = None  # the JSON file to measure into
# %%
config = configure_notebook(globals(), _names, others=("data_path", "seeds", "out"))
place = choose_device(config.device)
frames = open_data(config, data_path)
video = read_sequences(find_dataset(config.data, data_path)) or {}  # frame -> number of its video
print(f"{len(frames.train)} frames to train on, {len(frames.val)} validation frames to investigate")
# %% [markdown]
# ## The line-up
#
# Years ago a team segmented polyps with a UNet++. No line of their code ever raised an error. Their model found next to nothing, until somebody cut its logits at −2.5 and it found something. Several people of the line-up below had worked on that project. **Every case has exactly one culprit; some of the ten are innocent.**
# %%
for letter, (name, trace) in SUSPECTS.items():
    print(f"{letter}  {name:32} leaves: {trace}")
# %% [markdown]
# For each case you get a **symptom**, then **evidence**: what you would print if the program were yours. You accuse by letter; where the exercise asks for it, you also mend the program. The seven programs are called `program_1` to `program_7`. You may call them as often as you like, and that is half the fun. Reading their source is cheating.
#
# ## The victim
#
# One honest network, trained once, for some ten seconds. Every program of the game gets this same network, so whatever differs is the program's doing.
# %%
def train(config, dataset, prepare=None):
    """A network after all epochs on `dataset`; `prepare` may do something to it before the first."""
    torch.manual_seed(config.seed)
    model = build_model(config.model).to(place, memory_format=torch.channels_last)
    optimizer = make_optimizer(model, config)
    if config.model.encoder != "conv" and config.pretrained:
        load_imagenet(model.encoder)
    if prepare is not None:
        prepare(model)
    for epoch in range(config.epochs):
        train_one_epoch(model, dataset, optimizer, LOSSES[config.loss], config, epoch)
    return model.eval()


started = time.perf_counter()
model = train(config, frames.train)
minutes = (time.perf_counter() - started) / 60
print("the network is trained and in evaluation mode:", not model.training)
# %% tags=[nbval-ignore-output]
rows = (
    [i * (len(frames.val) - 1) // 19 for i in range(20)] if len(frames.val) > 20 else range(len(frames.val))
)
images, masks = (torch.stack(column).to(place) for column in zip(*(frames.val[i] for i in rows), strict=True))


@torch.inference_mode()
def honest_logits(images):
    return model(images)[-1].float()  # (N, 3, H, W) -> (N, 1, H, W)


def mean_dice(logits, threshold=0.5):
    return dice_score(confusion_counts(logits, masks, threshold)).nanmean().item()


logits = honest_logits(images)
print(f"the honest network: mean per-image Dice {mean_dice(logits):.3f} on {len(images)} validation frames")
# %% [markdown]
# We look at these frames again and again, so they are validation frames. A detective who searches the test set leaves fingerprints.
#
# ## Case 1: the fog
#
# **Symptom.** *"My network trains, but badly; and the same weights that worked for you find nothing in my program. The frames look fine in my notebook."*
#
# **Evidence.** Not the frames: the numbers that reach the first layer. Ours, and theirs.
# %%
with torch.inference_mode():
    inputs = {"ours": (images.float() - model.mean) / model.std, "theirs": program_1(model, images)}
for name, x in inputs.items():
    red = x[:, 0]
    print(
        f"{name:7} red from {red.min():5.2f} to {red.max():5.2f}; range below 0.1: {bool(red.max() - red.min() < 0.1)}"
    )
# %% [markdown]
# A number in bfloat16, which trains faster, has about three digits. What is left of a frame in it?
# %%
levels = {name: len(x[0, 0].bfloat16().unique()) for name, x in inputs.items()}
print("theirs keeps fewer than ten shades of red:", levels["theirs"] < 10)
print("ours keeps more than fifty:", levels["ours"] > 50)
pictures = [x[0, 0].bfloat16().float().cpu() for x in inputs.values()]
plots.show(
    plots.tiles(pictures, list(inputs)),
    alt="The red channel of one frame as the first layer gets it in bfloat16. Ours is a smooth picture; "
    "theirs has only a few flat shades.",
)
# %% [markdown]
# *The red channel in bfloat16, each stretched from black to white. Theirs has a handful of shades left.*
# %% tags=[nbval-ignore-output]
with torch.inference_mode():  # our network, fed with their numbers
    fed = program_1(model, images) * model.std + model.mean  # the model normalises, so take that back first
    fogged = model(fed)[-1].float()
print(f"mean per-image Dice: ours {mean_dice(logits):.3f}, theirs {mean_dice(fogged):.3f}")
# %% [markdown]
# ### Exercise 1: who made the fog?
#
# Accuse with `suspect_1`, and write `undo(x, mean, std)`, which turns what `program_1` gave into what should have reached the network. `mean` and `std` are those of the model, (1, 3, 1, 1).
# %% tags=[exercise]
suspect_1 = None  # your code here


def undo(x, mean, std):
    """What should have reached the network."""
    # your code here


check_case_1(suspect_1, undo)
# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# suspect_1 = "A"
#
#
# def undo(x, mean, std):
#     return x * std + mean
# ```
#
# One `Normalize` stood in the dataset, another in the pipeline. The second one expects 0-255 and gets numbers around 0, so it moves everything to about minus mean / std and shrinks it by std. Trained that way, batch normalisation stretches the picture again and hides the mistake, as far as the digits reach. Only predicted that way, nothing is left. In `polyp` the mean and std are buffers *in the model*: there is no second place to normalise.
#
# </details>
#
# ## Case 2: the colour thief
#
# **Symptom.** *"On my disk your model scores lower than on yours. Same weights, same files, same threshold."*
#
# **Evidence.** The Dice, and then an old trick: take something away and see whether the trouble goes with it. We take the colour away.
# %% tags=[nbval-ignore-output]
with torch.inference_mode():
    theirs = program_2(model, images).float()
print(f"mean per-image Dice: ours {mean_dice(logits):.3f}, theirs {mean_dice(theirs):.3f}")
# %%
grey = images.float().mean(dim=1, keepdim=True).expand_as(images).to(torch.uint8)  # R = G = B
with torch.inference_mode():
    on_grey = program_2(model, grey).float()
print("coloured frames, same logits:", torch.allclose(theirs, logits, atol=1e-3))
print("grey frames, same logits:    ", torch.allclose(on_grey, honest_logits(grey), atol=1e-3))
# %% [markdown]
# ### Exercise 2: who took the colour?
#
# Accuse, and write `load(bgr)`: it gets a picture as `cv2.imread` returns it, uint8 (H, W, 3), and returns the uint8 tensor (3, H, W) that our network was trained on. The picture itself must stay as it is.
# %% tags=[exercise]
suspect_2 = None  # your code here


def load(bgr):
    """uint8 BGR (H, W, 3) -> uint8 RGB tensor (3, H, W)."""
    # your code here


check_case_2(suspect_2, load)
# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# suspect_2 = "B"
#
#
# def load(bgr):
#     rgb = bgr[:, :, ::-1].copy()
#     return torch.from_numpy(rgb).permute(2, 0, 1)
# ```
#
# Without `.copy()` torch refuses: it has no arrays that run backwards. Trained *and* predicted on BGR, a network is about as good as on RGB (only pretrained weights mind). The mistake is the change of order in between.
#
# </details>
#
# ## Case 3: the score that follows the seating plan
#
# **Symptom.** *"I only changed the batch size of the validation loader, and my IoU went up. Is my network better now?"*
#
# **Evidence.** No network at all: as predictions we take the experts' masks, moved three pixels to the right. They are the same in every row below.
# %%
spread = [i * (len(frames.train) - 1) // 23 for i in range(24)]
plain = PolypDataset(frames.train.cache, [frames.train.frames[i] for i in spread])
truth = torch.stack([plain[i][1] for i in range(24)]) > 0  # (24, 1, H, W)
moved = truth.roll(3, dims=-1)
shuffled = torch.randperm(24, generator=torch.Generator().manual_seed(1))
print("batch size   in order   shuffled")
for batch in (1, 4, 12, 24):
    print(
        f"{batch:10} {program_3(moved, truth, batch):10.2f} {program_3(moved[shuffled], truth[shuffled], batch):10.2f}"
    )
print(
    "the order alone changes the score:",
    program_3(moved, truth, 4) != program_3(moved[shuffled], truth[shuffled], 4),
)
# %% [markdown]
# ### Exercise 3: who arranged the seats?
#
# Accuse, and write `honest_iou(preds, masks)`: the mean per-image IoU of boolean tensors (N, 1, H, W) as a number. A frame that is empty in both is left out.
# %% tags=[exercise]
suspect_3 = None  # your code here


def honest_iou(preds, masks):
    """Mean per-image IoU; frames with nothing to overlap are left out."""
    # your code here


check_case_3(suspect_3, honest_iou)
# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# suspect_3 = "C"
#
#
# def honest_iou(preds, masks):
#     intersection = (preds & masks).sum(dim=(1, 2, 3))
#     union = (preds | masks).sum(dim=(1, 2, 3))
#     return (intersection / union).nanmean().item()  # 0 / 0 is NaN
# ```
#
# Pooling lets the large polyps of a batch speak for the small ones, and large polyps are the easy ones. Pooling over *all* frames is an honest score with a name of its own. Pooling over whatever sat in one batch is none.
#
# </details>
#
# ## Case 4: the generous mask
#
# **Symptom.** *"My network finds every polyp. My colleagues say that it also finds everything else."*
#
# **Evidence.** Size of the predicted masks against the experts', and Dice, precision and recall of the honest probabilities at every threshold. The black line marks where `program_4` cuts.
# %%
generous = program_4(logits)
print("theirs is larger than ours:", bool(generous.sum() > (logits > 0).sum()))
print("theirs contains all of ours:", bool((generous | ~(logits > 0)).all()))
# %% tags=[nbval-ignore-output]
print(
    f"pixels of polyp, theirs to the experts': {generous.sum() / masks.sum():.2f}; ours {(logits > 0).sum() / masks.sum():.2f}"
)
# %%
grid = np.arange(1, 50) / 50
sweep = [summarise(confusion_counts(logits, masks, t)) for t in grid]
sweep = pd.DataFrame(
    [{name: s[f"{name}_per_image"] for name in ("dice", "precision", "recall")} for s in sweep]
)
cut = logits[generous].min().sigmoid().item()  # the least probability that the program takes for polyp
plots.show(
    plots.threshold_curves(sweep.assign(threshold=grid), cut, "where does program_4 cut?"),
    alt="Dice, precision and recall of the honest probabilities against the threshold, with a black line at "
    "a threshold far to the left, where recall is high and precision low.",
)
# %% [markdown]
# *Far to the left, recall is nearly all there is.*
#
# ### Exercise 4: who is so generous?
# %% tags=[exercise]
suspect_4 = None  # your code here
check_case_4(suspect_4)
# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# suspect_4 = "D"
# ```
#
# The program cuts the *logits* at −2.5, a probability of 1 / (1 + e^2.5) = 0.076. In the old project this was a bandage: other mistakes, the first two cases among them, left little above 0, and a low threshold brought something back. A threshold far from 0.5 is a symptom. Look for the disease first.
#
# </details>
#
# ## Case 5: the program that always says yes
#
# **Symptom.** *"At threshold 0.5, every pixel of every frame is polyp."*
#
# **Evidence.** How often does each probability come out?
# %%
maps = {"ours": logits.sigmoid().cpu().numpy(), "theirs": program_5(logits).cpu().numpy()}
print("theirs, smallest at least 0.5:  ", bool(maps["theirs"].min() >= 0.5))
print("theirs, largest at most 0.7311: ", bool(maps["theirs"].max() <= 0.7311))
print(
    "same order of pixels as ours:   ",
    bool((np.diff(maps["theirs"].ravel()[maps["ours"].ravel().argsort()]) > -1e-6).all()),
)
plots.show(
    plots.probability_histograms(maps),
    alt="Two histograms of probabilities. Ours has most pixels near 0 and some near 1. Theirs has all its "
    "pixels between 0.5 and 0.73.",
)
# %% [markdown]
# *Dashed: the threshold 0.5. Ours falls on both sides; theirs on one.*
#
# ### Exercise 5: who cannot say no?
# %% tags=[exercise]
suspect_5 = None  # your code here
check_case_5(suspect_5)
# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# suspect_5 = "E"
# ```
#
# The network ended with a sigmoid, and the code behind it applied another. The second one gets numbers between 0 and 1 and returns sigmoid(0) = 0.5 to sigmoid(1) = 0.7311. If it happens in training, with `binary_cross_entropy_with_logits` on probabilities, the loss cannot fall below 0.31 for a polyp or 0.69 for background. In `polyp`, networks return logits, always; the sigmoid stands in one place.
#
# </details>
#
# ## Case 6: the lucky draw
#
# **Symptom.** *"I ran the same script three times, and got three different scores. All were wonderful. In the clinic it was not."*
#
# **Evidence.** Draw three times with `program_6`, and look who sits on both sides. Then the cruellest witness: the **parrot**. It has never heard of polyps. Asked for a frame's mask, it looks for the most similar training frame and repeats that frame's mask.
# %%
cache = frames.train.cache
names = cache.table["frame"].tolist()
row_of = {name: row for row, name in enumerate(names)}
thumbs = torch.from_numpy(np.array(cache.images[:, ::8, ::8])).flatten(1).float()  # (n, few numbers)
cached_masks = torch.from_numpy(np.array(cache.masks))[:, None] > 0  # (n, 1, H, W)


def parrot_dice(train_frames, test_frames):
    known, asked = (torch.tensor([row_of[f] for f in part]) for part in (train_frames, test_frames))
    nearest = known[torch.cdist(thumbs[asked], thumbs[known]).argmin(dim=1)]
    return dice_score(count_pixels(cached_masks[nearest], cached_masks[asked])).nanmean().item()


draws = [program_6(names) for _ in range(3)]
shared = [len({video[f] for f in a} & {video[f] for f in b}) for a, b in draws] if video else []
print("every draw has videos on both sides:", all(shared))
print("three draws, one test set:", len({frozenset(test) for _, test in draws}) == 1)
by_video = parrot_dice(frames.train.frames, frames.test.frames)
print(
    "the parrot does better in every draw than on unseen videos:",
    all(parrot_dice(*d) > by_video for d in draws),
)
# %% tags=[nbval-ignore-output]
for number, draw in enumerate(draws, 1):
    print(f"the parrot's Dice, draw {number}: {parrot_dice(*draw):.2f}")
print(f"the parrot's Dice on unseen videos: {by_video:.2f}")
# %% [markdown]
# ### Exercise 6: who shuffled the cards?
#
# Accuse, and write `split_by_video(video, share, seed)`. `video` is a dictionary from each frame to the number of its video. Return the test frames as a list: shuffle the *videos* by the seed, and take whole videos until at least `share` of all frames are in. The same seed gives the same frames, whatever other code has drawn before.
# %% tags=[exercise]
suspect_6 = None  # your code here


def split_by_video(video, share, seed):
    """The test frames: whole videos, at least `share` of all frames."""
    # your code here


check_case_6(suspect_6, split_by_video)
# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# suspect_6 = "F"
#
#
# def split_by_video(video, share, seed):
#     order = np.random.default_rng(seed).permutation(sorted(set(video.values())))
#     test = []
#     for number in order:
#         if len(test) >= share * len(video):
#             break
#         test += [frame for frame in video if video[frame] == number]
#     return test
# ```
#
# There are two mistakes in one. Without a seed, two models are never tested on the same frames, so their difference may be the draw's. By frame instead of by video, the test frames have neighbours in training, and remembering is enough. The seed alone mends only the first. Notebook [08](08_honest_evaluation.ipynb) measures the second.
#
# </details>
#
# ## Case 7: the moody model
#
# **Symptom.** *"I ask for the same frame twice and get two masks. I have no dropout, no test-time augmentation, and my frames are untouched."*
#
# **Evidence.** One frame, asked alone, and in two companies.
# %%
moody = program_7(model)
before = [buffer.clone() for buffer in moody.buffers()]


@torch.inference_mode()
def answer(network, company):
    return network(images[[0, *company]])[-1][0].float()


others = range(1, len(images))
companies = [[], list(others)[:3], list(others)[-3:]]
for name, network in (("ours", model), ("theirs", moody)):
    answers = [answer(network, company) for company in companies]
    print(
        f"{name:7} same logits in every company:",
        all(torch.allclose(answers[0], a, atol=1e-2) for a in answers),
    )
changed_by_asking = any(not old.equal(new) for old, new in zip(before, moody.buffers(), strict=True))
print("being asked has changed the network itself:", changed_by_asking)
# %% [markdown]
# ### Exercise 7: who is moody?
# %% tags=[exercise]
suspect_7 = None  # your code here
check_case_7(suspect_7)
# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# suspect_7 = "G"
# ```
#
# In training mode, batch normalisation takes mean and variance from the batch at hand, so neighbours matter ([Ioffe and Szegedy, 2015](https://arxiv.org/abs/1502.03167)); and it goes on averaging them into its buffers, even without gradients. `torch.inference_mode()` does not prevent that. `model.eval()` does; `load_model` and `validate` of `polyp` see to it.
#
# </details>
#
# ## Your rank
# %%
print(scoreboard())
# %% [markdown]
# Zero on the first run, of course. Solve, run the cells again, and then this one.
#
# ### Exercise 8: commit one yourself
#
# Now change sides. `dice_of(change)` gives the honest network's Dice when `change` has been at the frames: a function from uint8 (N, 3, H, W) to the same. Measure at least three mistakes that could happen in a hospital or in code: a darker lamp, a strong JPEG, a frame upside down, a lost colour channel. First guess which costs most; then put all results into `observed`, a dictionary name -> Dice, together with `"honest"`.
# %%
def dice_of(change):
    return mean_dice(honest_logits(change(images.clone())))
# %% tags=[exercise]
observed = None  # your code here
check_own_case(observed)
# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# observed = {
#     "honest": dice_of(lambda x: x),
#     "half the light": dice_of(lambda x: x // 2),
#     "upside down, mask not": dice_of(lambda x: x.flip(2)),
#     "negative": dice_of(lambda x: 255 - x),
#     "no red": dice_of(lambda x: x * torch.tensor([0, 1, 1], dtype=torch.uint8, device=x.device).view(1, 3, 1, 1)),
# }
# ```
#
# A mistake that costs everything is found within a minute. The dangerous ones cost a little: nobody looks for three points of Dice that nobody knows are missing.
#
# </details>
#
# ## The bill: what each mistake costs on real frames
#
# A game on synthetic videos proves that a mistake *can* matter. What does it cost on CVC-ClinicDB? We train honest networks on the split by sequence and then make **one mistake at a time**. Normalising twice in training and the random split need a training run of their own; the others spoil only the prediction, or only the score. All runs use their last epoch, so that no frame chooses anything.
#
# Here are all of them in the open, as short as they are:
# %%
def normalise_twice(network):
    """((x - m) / s - m) / s is one normalisation, with other constants; so the buffers can hold it."""
    network.mean, network.std = network.mean * (1 + network.std), network.std**2
    return network


@torch.inference_mode()
def predict(network, part, change=lambda x: x):
    """Logits of each frame, alone, at its mask's size; and its mask: [(1, 1, H, W), ...] each."""
    logits, targets = [], []
    for image, target in (part[i] for i in range(len(part))):
        with autocast(place, config.precision):
            answer = network(change(image[None].to(place)))[-1]
        logits.append(resize_logits(answer, target.shape[-2:]).float())
        targets.append(target[None].to(place) > 0)
    return logits, targets


def score(logits, targets, decide=lambda x: x > 0, pool=1):
    """Dice and IoU: the mean over frames; with `pool`, pixels are pooled over so many frames first."""
    counts = [count_pixels(decide(x), t) for x, t in zip(logits, targets, strict=True)]
    groups = [concatenate(counts[i : i + pool]).pooled() for i in range(0, len(counts), pool)]
    counts = concatenate(groups)
    return {
        name: round(f(counts).nanmean().item(), 6) for name, f in (("dice", dice_score), ("iou", iou_score))
    }
# %%
def shuffled_frames(seed):
    """Case 6 with a seed, since a measurement must be repeatable: training and test set, by frame."""
    order = np.random.default_rng(seed).permutation(names).tolist()
    tenth = len(order) // 10
    learnt = PolypDataset(cache, order[2 * tenth :], config.augment, seed)
    return learnt, PolypDataset(cache, order[:tenth], full_size_masks=True)


def measure(config, model, frames):
    """The honest score and that of each mistake, for one seed; trains two more networks."""
    test, twice = frames.test, normalise_twice(copy.deepcopy(model))
    logits, targets = predict(model, test)
    learnt, drawn = shuffled_frames(config.seed)
    return {
        "honest": score(logits, targets),
        "normalised twice, always": score(*predict(train(config, frames.train, normalise_twice), test)),
        "normalised twice, in prediction only": score(*predict(twice, test)),
        "BGR in prediction only": score(*predict(model, test, lambda x: x.flip(1))),
        "pooled over batches of 8": score(logits, targets, pool=8),
        "logits cut at -2.5": score(logits, targets, lambda x: x > -2.5),
        "sigmoid twice": score(logits, targets, lambda x: x.sigmoid().sigmoid() > 0.5),
        "random split": score(*predict(train(config, learnt), drawn)),
        "training mode, frame by frame": score(*predict(copy.deepcopy(model).train(), test)),
    }
# %% [markdown]
# A proof that the short cut through the buffers is the real thing: it gives the first layer exactly what `program_1` gave.
# %%
short = normalise_twice(copy.deepcopy(model))
once = (images.float() - short.mean) / short.std
print("the buffers alone normalise twice:", torch.allclose(once, program_1(model, images), atol=1e-4))
# %% [markdown]
# The command that measures, from the top of the project (about as long as three trainings for each seed):
#
# ```
# papermill notebooks/10_what_goes_wrong.ipynb runs/mistakes.ipynb -p data cvc-clinicdb -p preset transfer \
#     -y 'size: [128, 128]' -p epochs 10 -p seeds 3 -p out polyp/results/mistakes.json
# ```
#
# It writes after every seed, and goes on after the last whole seed if it was stopped.
# %% tags=[nbval-ignore-output]
COMMAND = (
    "papermill notebooks/10_what_goes_wrong.ipynb runs/mistakes.ipynb -p data cvc-clinicdb -p preset transfer "
    "-y 'size: [128, 128]' -p epochs 10 -p seeds 3 -p out polyp/results/mistakes.json"
)
if out is not None:
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    file = Path(out)
    saved = json.loads(file.read_text()) if file.is_file() else {"config": config.to_dict(), "seeds": []}
    if saved["config"] != config.to_dict():
        raise DataError(f"{file}: holds a measurement with another configuration; move it away")
    for number in range(config.seed, config.seed + seeds):
        if number in saved["seeds"]:
            continue
        started = time.perf_counter()
        of_seed = changed(config, seed=number)
        data_of_seed = open_data(of_seed, data_path)
        honest_model = model if number == config.seed else train(of_seed, data_of_seed.train)
        found = measure(of_seed, honest_model, data_of_seed)
        took = (time.perf_counter() - started) / 60 + (minutes if number == config.seed else 0)
        old = saved.get("scores", {})
        saved = {
            "name": "mistakes",
            "command": COMMAND,
            "config": config.to_dict(),
            "data": frames.about,
            "versions": describe(config, {}, frames.about)["versions"],
            "machine": f"{platform.machine()}, {os.cpu_count()} cores, {gpu}",
            "minutes": round(saved.get("minutes", 0) + took, 1),
            "test_frames": len(frames.test),
            "seeds": [*saved["seeds"], number],
            "scores": {
                name: {key: [*old.get(name, {}).get(key, []), value] for key, value in of_name.items()}
                for name, of_name in found.items()
            },
        }
        write_atomic(file, json.dumps(saved, allow_nan=False) + "\n")
        print(f"seed {number}: honest Dice {found['honest']['dice']:.3f}, {took:.1f} minutes")
else:
    print("nothing is measured here; set `out` to measure")
# %%
try:
    bill = json.loads(Path(out).read_text()) if out else read_result("mistakes")
except DataError:
    bill = None
    print("The bill has not been measured yet. To measure it, run in the project's top folder:")
    print(COMMAND)
else:
    scores = pd.DataFrame(
        {name: {key: np.mean(v) for key, v in s.items()} for name, s in bill["scores"].items()}
    ).T
    scores["cost in Dice"] = scores.loc["honest", "dice"] - scores["dice"]
    many = "one seed" if len(bill["seeds"]) == 1 else f"mean of {len(bill['seeds'])} seeds"
    print(
        f"{bill['data']['name']}, {bill['test_frames']} test frames, {bill['config']['epochs']} epochs, {many}\n"
    )
    print(scores.round(3).to_string())
# %%
if bill:
    dice_by_seed = {name: values["dice"] for name, values in bill["scores"].items()}
    honest_dice = dice_by_seed.pop("honest")
    plots.show(
        plots.mistake_costs(dice_by_seed, honest_dice, "Dice that the program reports"),
        alt="A row a mistake with a dot for each seed, against a line at the honest Dice. Dots are mistakes "
        "that look worse than honest, triangles those that look better.",
    )
# %% [markdown]
# *A mark is a seed; the grey line runs from the honest mean to the mean of the mistake. The picture appears once the bill is there.*
#
# How to read the bill: a positive cost is a worse model, or good masks thrown away. A **negative cost is a lie**: the model is no better, only the number is. The random split is also scored on other frames than the rest, since that *is* the mistake. With few seeds, a small difference may be chance: compare it with the distance between the seeds. And a mistake that costs nothing here may cost a lot elsewhere; training mode, for one, depends on the batch.
#
# ## What goes wrong
#
# | symptom | cause | fix |
# | --- | --- | --- |
# | input to the first layer in a range of 0.1 | normalised twice | normalise in one place, inside the model |
# | worse on colour, equal on grey frames | BGR for RGB | convert where the file is read |
# | the score changes with the batch size | pooled over batches | counts for each image, one reduction |
# | only a threshold near 0 finds anything | the threshold is a bandage | find what pushed the logits down |
# | all probabilities at least 0.5 | sigmoid twice | logits everywhere, one sigmoid |
# | another score at each run, all wonderful | random split without a seed | whole videos, in a file |
# | the answer depends on the neighbours | training mode | `model.eval()` |
# | the mask has more than two values, and its border grows or shrinks | mask resized bilinearly | nearest neighbour for masks |
#
# ## Take-aways
#
# - None of these raises an error. Print what reaches the first layer, and the range of what comes out.
# - A good test takes one thing away: the colour, the batch, the network itself.
# - Mistakes come in pairs and hide each other. A strange threshold is a symptom.
# - Mistakes that lower the score get found. Those that raise it get published.
# - Design them away: normalise inside the model, logits everywhere, counts first, splits in files.
#
# ## Quiz
#
# **1.** A network was trained on BGR and is predicted on BGR. Is that a mistake?
#
# <details><summary>Answer</summary>
#
# From random weights hardly: the order is a convention, and both sides keep it. With pretrained weights it is, since those learnt on RGB. And it is a trap for whoever loads the model next, so the order belongs into the checkpoint.
#
# </details>
#
# **2.** Normalising twice in training *and* in prediction may cost a network from scratch little. Why, and when does it cost a lot?
#
# <details><summary>Answer</summary>
#
# The two are one linear map, and the first batch normalisation takes out offset and scale again. It costs a lot when the digits run out (bfloat16), when padding puts zeros beside numbers that all lie near one value, when pretrained weights expect another scale, and when only one side does it.
#
# </details>
#
# **3.** Your validation IoU rises when you go from batches of 2 to batches of 16. Name two possible causes, and the experiment that tells them apart.
#
# <details><summary>Answer</summary>
#
# Pooling over batches (C), or a network in training mode (G). Save the masks of both runs and compare them: the same masks convict the score, different masks the network.
#
# </details>
#
# **4.** You fix the seed of a random split by frame. Which of its two mistakes is left?
#
# <details><summary>Answer</summary>
#
# Frames of one video are still on both sides. The score is repeatable now, and repeatably too high.
#
# </details>
#
# **5.** Why are mistakes that cost two points of Dice more dangerous than those that cost fifty?
#
# <details><summary>Answer</summary>
#
# Because nobody looks for them. Fifty points stop a project until the cause is found; two points pass for the difficulty of the data. Tests with a known answer (grey frames, the same frame twice, masks scored against themselves) find both.
#
# </details>
#
# ## References
#
# - J. Bernal et al., *WM-DOVA maps for accurate polyp highlighting in colonoscopy* (CVC-ClinicDB), Comput. Med. Imaging Graph. 43:99-111, 2015, [doi 10.1016/j.compmedimag.2015.02.007](https://doi.org/10.1016/j.compmedimag.2015.02.007)
# - S. Ioffe and C. Szegedy, *Batch Normalization*, ICML 2015, [arXiv:1502.03167](https://arxiv.org/abs/1502.03167)
# - Z. Zhou et al., *UNet++: A Nested U-Net Architecture for Medical Image Segmentation*, DLMIA 2018, [arXiv:1807.10165](https://arxiv.org/abs/1807.10165)
# - S. Kapoor and A. Narayanan, *Leakage and the reproducibility crisis in machine-learning-based science*, Patterns 4:100804, 2023, [doi 10.1016/j.patter.2023.100804](https://doi.org/10.1016/j.patter.2023.100804)
# - L. Maier-Hein et al., *Metrics reloaded: recommendations for image analysis validation*, Nature Methods 21:195-212, 2024, [doi 10.1038/s41592-023-02151-z](https://doi.org/10.1038/s41592-023-02151-z)
