"""What must hold for any input, tried on inputs that hypothesis makes up."""

import csv
import io
import json

import numpy as np
import pandas as pd
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from polyp.config import PRESETS, Config, configure
from polyp.data.augmentation import AUGMENTATIONS, apply, training_pipeline
from polyp.data.images import list_images, write_png
from polyp.model.metrics import confusion_counts, dice_score, iou_score
from polyp.model.network import SegmentationNetwork, build_model
from polyp.run.inference import predict_probs
from polyp.run.inputs import collect_inputs
from polyp.run.output import write_predictions
from polyp.run.prediction import predict_files

settings.register_profile("suite", deadline=None, max_examples=40, derandomize=True)
settings.load_profile("suite")

masks = arrays.arrays(bool, st.tuples(st.integers(1, 3), st.just(1), st.integers(1, 9), st.integers(1, 9)))
seeds = st.integers(0, 2**32 - 1)


@st.composite
def pairs(draw):
    """Two masks of one shape."""
    first = draw(masks)
    return first, draw(arrays.arrays(bool, first.shape))


def counts(preds: np.ndarray, target: np.ndarray):
    logits = torch.from_numpy(preds).float() * 20 - 10
    return confusion_counts(logits, torch.from_numpy(target).long())


@given(pairs())
def test_scores_are_symmetric_bounded_and_of_one_family(pair):
    first, second = pair
    for score in (dice_score, iou_score):
        there, back = score(counts(first, second)), score(counts(second, first))
        assert torch.equal(there.nan_to_num(-1), back.nan_to_num(-1))
        assert ((there >= 0) & (there <= 1) | there.isnan()).all()
    dice, iou = dice_score(counts(first, second)), iou_score(counts(first, second))
    assert torch.allclose(iou, dice / (2 - dice), equal_nan=True, atol=1e-12)
    assert (dice_score(counts(first, first))[torch.from_numpy(first.any(axis=(1, 2, 3)))] == 1).all()


@given(pairs(), seeds)
def test_scores_do_not_know_where_a_pixel_lies(pair, seed):
    order = np.random.default_rng(seed).permutation(pair[0][0].size)
    shape = pair[0].shape
    moved = [mask.reshape(len(mask), -1)[:, order].reshape(shape) for mask in pair]
    for before, after in zip(counts(*pair), counts(*moved), strict=True):
        assert torch.equal(before, after)


@given(st.sampled_from(sorted(AUGMENTATIONS)), seeds, st.integers(24, 70), st.integers(24, 70))
def test_every_augmentation_moves_the_mask_with_the_frame(augment, seed, height, width):
    """Light differs, and an edge may be a pixel off; what is bright in the frame is what the mask says."""
    mask = np.zeros((height, width), np.uint8)
    mask[height // 4 : height // 2, width // 3 : 2 * width // 3] = 1
    image = np.where(mask[..., None] == 1, 230, 40).astype(np.uint8).repeat(3, axis=2)
    image, mask = apply(training_pipeline(augment), image, mask, seed)
    assert image.shape == (height, width, 3)
    assert mask.shape == (height, width)
    assert set(np.unique(mask)) <= {0, 1}
    grey = image.mean(axis=2)
    if 30 < mask.sum() < mask.size - 30:
        inside, outside = grey[mask == 1], grey[mask == 0]
        assert np.median(inside) > np.median(outside)
        middle = (np.median(inside) + np.median(outside)) / 2
        edge = (
            np.abs(np.diff(mask.astype(int), axis=0)).sum() + np.abs(np.diff(mask.astype(int), axis=1)).sum()
        )
        assert ((grey > middle) != (mask == 1)).sum() <= 3 * edge


TINY = build_model(configure(widths=(2, 4, 6), deep_supervision=True)).eval()


@settings(max_examples=15)
@given(seeds)
def test_flips_commute_when_they_are_averaged(seed):
    small = np.random.default_rng(seed).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    probs = predict_probs(TINY, small, (16, 16), mirror=True)
    for axis in (0, 1):
        flipped = predict_probs(TINY, np.flip(small, axis).copy(), (16, 16), mirror=True)
        assert np.allclose(np.flip(flipped, axis), probs, atol=1e-6)


@settings(max_examples=15)
@given(seeds, st.integers(1, 3), st.integers(1, 30), st.integers(1, 30))
@torch.inference_mode()
def test_a_pruned_network_is_its_head(seed, number, height, width):
    generator = torch.Generator().manual_seed(seed)
    image = torch.randint(0, 256, (number, 3, height, width), generator=generator, dtype=torch.uint8)
    stride = 2**TINY.depth  # so that the padding, which depends on the level, is the same
    image = torch.nn.functional.pad(image, (0, -width % stride, 0, -height % stride))
    heads = TINY(image)
    for level in range(1, TINY.depth + 1):
        assert torch.allclose(TINY(image, level)[-1], heads[level - 1], atol=1e-5)


@given(seeds, st.integers(1, 40), st.integers(1, 40), st.integers(0, 4))
def test_padding_and_cropping_change_nothing(seed, height, width, depth):
    class Echo(SegmentationNetwork):
        def head_logits(self, x, level):
            assert x.shape[-2] % 2**depth == x.shape[-1] % 2**depth == 0
            return [x[:, :1]]

    generator = torch.Generator().manual_seed(seed)
    image = torch.randint(0, 256, (1, 3, height, width), generator=generator).float()
    (out,) = Echo(depth, mean=(0, 0, 0), std=(1, 1, 1))(image)
    assert torch.equal(out, image[:, :1])


@given(
    st.sampled_from(sorted(PRESETS)),
    st.integers(0, 2**31 - 1),
    st.integers(1, 500),
    st.floats(1e-6, 1, allow_nan=False),
    st.tuples(st.integers(32, 512), st.integers(32, 512)),
    st.lists(st.integers(1, 64), min_size=4, max_size=4),
)
def test_a_configuration_survives_being_written(preset, seed, epochs, lr, size, widths):
    config = configure(preset, seed=seed, epochs=epochs, lr=lr, size=size, widths=tuple(widths))

    assert Config.from_dict(config.to_dict()) == config
    assert Config.from_dict(json.loads(json.dumps(config.to_dict()))) == config


letters = st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="/")
names = st.text(letters, min_size=1, max_size=20)


@settings(max_examples=25)
@given(names)
def test_any_file_name_survives_the_table(tmp_path_factory, name):
    folder = tmp_path_factory.mktemp("names")
    file = folder / "in" / f"{name}.png"
    if len(file.name.encode()) > 200 or name.startswith("."):
        return
    file.parent.mkdir()
    write_png(file, np.full((20, 30, 3), 90, np.uint8))
    assert [path.name for path in list_images(folder / "in")] == [file.name]
    found = predict_files(TINY, collect_inputs([folder / "in"]), (16, 16))
    rows, errors = write_predictions(found, folder / "out")
    assert not errors
    text = (folder / "out" / "predictions.csv").read_text(encoding="utf-8")
    (row,) = csv.DictReader(io.StringIO(text))
    assert row["file"] == rows[0]["file"] == str(file)
    table = pd.read_csv(folder / "out" / "predictions.csv", dtype=str, keep_default_na=False)
    assert table["file"].tolist() == [str(file)]
    assert (folder / "out" / "masks" / file.name).is_file()
