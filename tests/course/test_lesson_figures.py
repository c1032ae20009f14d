"""The figures of notebooks 02 and 03 draw what they are given, and the wiring is the network's."""

import numpy as np
import pandas as pd
import pytest
import torch

from polyp.course import figures
from polyp.course.exercises.notebook_03 import feeds_of
from polyp.model import UNet, UNetPlusPlus

MASK = np.array([[0, 1, 1], [0, 0, 1]])
PRED = np.array([[1, 1, 0], [0, 0, 1]])
IMAGE = np.full((2, 3, 3), 128, np.uint8)


def texts(figure):
    return [text.get_text() for axes in figure.axes for text in axes.texts]


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_the_wiring_found_in_a_running_network(depth):
    expected = {
        f"{i}_{j}": [f"{a}_{b}" for a, b in read] or ["image"] for (i, j), read in feeds_of(depth).items()
    }
    assert figures.wiring(UNetPlusPlus((2,) * (depth + 1))) == expected
    plain = figures.wiring(UNet((2,) * (depth + 1)))
    assert len(plain) == 2 * depth + 1
    assert plain[f"0_{depth}"] == ["0_0", f"1_{depth - 1}"]


def test_the_wiring_leaves_the_network_as_it_was():
    model = UNetPlusPlus((2, 2)).train()
    figures.wiring(model)
    assert model.training
    assert not any(block._forward_hooks for block in model.nodes.values())


def test_every_square_is_named_by_its_outcome():
    assert texts(figures.outcome_grid(MASK, PRED)) == ["fp", "tp", "fn", "tn", "tn", "tp"]


def test_small_masks_are_drawn_with_their_titles():
    figure = figures.mask_grids({"one": MASK, "other": torch.from_numpy(PRED)})
    assert [axes.get_title() for axes in figure.axes] == ["one", "other"]


def test_the_areas_of_a_score_are_the_score():
    """Of two discs: what is drawn above the line, over what is drawn below it."""
    above = [axes for axes in figures.score_fractions().axes if axes.get_title()]
    pictures = {axes.get_title(): axes.images[0].get_array() for axes in above}
    assert list(pictures) == ["IoU", "Dice", "precision", "recall"]
    marked = {name: (picture > 0).sum() for name, picture in pictures.items()}
    assert marked["Dice"] == 2 * marked["IoU"] == 2 * marked["precision"] == 2 * marked["recall"]
    below = [axes.images[0].get_array() for axes in figures.score_fractions().axes if not axes.get_title()]
    union, apart, pred, truth = ((picture > 0).sum() for picture in below)
    assert apart == pred + truth == union + marked["IoU"]


def test_a_score_without_a_value_is_0_over_0():
    page = figures.mistake_page(IMAGE, MASK, 0 * PRED, {"dice": 0.25, "precision": float("nan")})
    assert texts(page) == ["0.25", "0/0"]


def test_a_threshold_page_tells_the_scores_at_its_threshold():
    sweep = pd.DataFrame(
        {"threshold": [0.3, 0.6], "dice": [0.5, 0.7], "precision": [0.4, 0.9], "recall": [1, 0]}
    )
    page = figures.threshold_page(IMAGE, PRED * 0.5, MASK, 0.6, sweep)
    labels = [text.get_text() for text in page.axes[2].get_legend().get_texts()]
    assert labels == ["Dice 0.70", "precision 0.90", "recall 0.00"]


def test_the_sizes_in_the_u():
    said = texts(figures.u_shape([8, 16, 32], [64, 80]))
    for size in ("3 x 64 x 80", "8 x 64 x 80", "16 x 32 x 40", "32 x 16 x 20", "1 x 64 x 80"):
        assert size in said


def test_pages_of_the_grid_and_of_a_field():
    feeds = {"0_0": [], "1_0": ["0_0"], "0_1": ["0_0", "1_0"]}
    image, mask = torch.zeros(3, 4, 4, dtype=torch.uint8), torch.eye(4)[None] > 0
    assert texts(figures.fill_page(feeds, ["0_0", "1_0"], "so far"))[:3] == ["0,0", "1,0", "0,1"]
    page = figures.level_page(feeds, set(feeds), image, mask, ~mask, ("grid", "frame"))
    assert [axes.get_title() for axes in page.axes] == ["grid", "frame"]
    page = figures.field_page(IMAGE, PRED, PRED + 0.5, (1, 2), 1, "the field")
    assert page.axes[1].get_title() == "the field"
