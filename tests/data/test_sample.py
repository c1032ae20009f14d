"""The twelve real frames: whole, small, credited, and nothing more in them than pixels."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

import polyp.data
from polyp.data.check import survey
from polyp.data.images import read_image
from polyp.data.masks import read_mask
from polyp.data.pairs import find_pairs

FOLDER = Path(polyp.data.__file__).parent / "sample"
PAIRS = find_pairs(FOLDER)
frames = pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.frame)


def credited() -> dict[str, list[str]]:
    """The rows of the table in CREDITS.md: by name, the original's id, the size and the share."""
    lines = (FOLDER / "CREDITS.md").read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in lines if line[:3] == "| `"]
    return {name: cells for name, *cells in rows}


def polyps(name: str) -> np.ndarray:
    """The areas of the regions in a mask, in pixels."""
    return cv2.connectedComponentsWithStats(read_mask(FOLDER / "masks" / f"{name}.png"))[2][1:, -1]


def test_twelve_frames_and_nothing_else():
    assert len(PAIRS) == 12
    files = [path for path in FOLDER.rglob("*") if path.is_file()]
    assert len(files) == 2 * 12 + 1
    assert sum(path.stat().st_size for path in files) < 700_000


def test_nothing_is_wrong_with_them():
    facts = survey(FOLDER)
    assert facts.problems == []
    assert facts.pairs == 12
    assert (facts.in_between_masks, facts.specks, facts.duplicates) == (0, 0, [])


@frames
def test_size_and_content(pair):
    height, width, _ = read_image(pair.image).shape
    assert max(height, width) == 512
    mask = np.asarray(Image.open(pair.mask))
    assert mask.shape == (height, width)
    assert set(np.unique(mask)) == {0, 255}


@frames
def test_no_metadata(pair):
    with Image.open(pair.image) as image, Image.open(pair.mask) as mask:
        assert len(image.getexif()) == 0
        assert not {"exif", "icc_profile", "comment", "photoshop", "xmp"} & image.info.keys()
        assert mask.info == {}


@frames
def test_credits_tell_each_frame(pair):
    original, size, share, seen = credited()[pair.frame]
    height, width, _ = read_image(pair.image).shape
    assert original.startswith("cju")
    assert size == f"{width} x {height}"
    assert share == f"{100 * read_mask(pair.mask).mean():.1f} %"
    assert seen


def test_credits_name_source_licence_and_nothing_that_is_not_here():
    text = (FOLDER / "CREDITS.md").read_text(encoding="utf-8")
    for needed in (
        "10.1038/s41597-020-00622-y",
        "https://creativecommons.org/licenses/by/4.0/",
        "What was changed",
    ):
        assert needed in text
    assert credited().keys() == {pair.frame for pair in PAIRS}
    assert len({original for original, *_ in credited().values()}) == 12


def test_the_names_say_what_is_in_the_masks():
    share = {pair.frame: read_mask(pair.mask).mean() for pair in PAIRS}
    assert min(share, key=share.__getitem__) == "tiny"
    assert max(share, key=share.__getitem__) == "large"
    assert len(polyps("two")) == 2
    assert polyps("two").min() > 1000
    assert len(polyps("many")) == 10
