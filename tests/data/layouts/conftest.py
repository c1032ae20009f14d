"""Small datasets by hand: frames of noise, of which no two look alike, and masks that are rectangles."""

import numpy as np
import pytest
from PIL import Image

from polyp.disk import make_folder

SIZE = (24, 32)  # height and width


def box(row):
    """The rectangle of frame `row`: left, top, right, bottom."""
    return 2 + row % 5, 3, 14 + row % 7, 15 + row % 3


def box_mask(row):
    left, top, right, bottom = box(row)
    mask = np.zeros(SIZE, np.uint8)
    mask[top:bottom, left:right] = 1
    return mask


@pytest.fixture
def write():
    """Writes frames, and their masks if there is a folder for them, called `<row>.png`."""

    def write(rows, images, masks=None):
        for row in rows:
            pixels = np.random.default_rng(row).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(make_folder(images) / f"{row}.png")
            if masks is not None:
                Image.fromarray(box_mask(row) * 255).save(make_folder(masks) / f"{row}.png")
        return images

    return write
