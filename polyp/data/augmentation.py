"""The albumentations pipelines: one for training, one for everything else.

The only module that imports albumentations, so that replacing it means changing one file. Images are
uint8 RGB (H, W, 3) before and after, masks uint8 {0, 1} (H, W); the network normalises, not the pipeline.
A new augmentation is a function that lists its transforms, and its row in `AUGMENTATIONS`.
"""

import os
from collections.abc import Callable
from typing import overload

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # it asks the network for news otherwise

import albumentations as A
import cv2
import numpy as np

from polyp.errors import look_up


def evaluation_pipeline(size: tuple[int, int]) -> A.Compose:
    """Resize to (height, width): what validation, test and prediction see.

    Images are averaged over the area they shrink; masks take the pixel in the middle of that area and stay
    0 or 1. (OpenCV's plain INTER_NEAREST takes its top left pixel: the mask would lie beside its frame.)
    """
    height, width = size
    return A.Compose([A.Resize(height, width, cv2.INTER_AREA, mask_interpolation=cv2.INTER_NEAREST_EXACT)])


def _flips() -> list[A.BasicTransform]:
    """Mirror: a colon has no up or left."""
    return [A.HorizontalFlip(p=0.5), A.VerticalFlip(p=0.5)]


def _standard() -> list[A.BasicTransform]:
    """Flips, rotation, scale (the scope rolls and travels), colour, light and sharpness (processors differ).

    What leaves the picture is filled with black, like the frame's border.
    """
    geometry = A.Affine(
        scale=(0.8, 1.25),
        translate_percent=(-0.1, 0.1),
        rotate=(-90, 90),
        interpolation=cv2.INTER_LINEAR,
        mask_interpolation=cv2.INTER_NEAREST,
        p=0.8,
    )
    colour = A.ColorJitter(
        brightness=(0.7, 1.3), contrast=(0.8, 1.2), saturation=(0.8, 1.2), hue=(-0.03, 0.03), p=0.7
    )
    return [*_flips(), geometry, colour, A.GaussianBlur(blur_limit=(3, 5), p=0.1)]


def _strong() -> list[A.BasicTransform]:
    """For frames of other hospitals: any angle, 0.6 to 1.5 times the size, other lamps and sensors.

    Colour and light vary twice as far as in `standard`; blur, noise and compression stand for worse scopes.
    """
    geometry = A.Affine(
        scale=(0.6, 1.5),
        translate_percent=(-0.15, 0.15),
        rotate=(-180, 180),
        shear=(-10, 10),
        interpolation=cv2.INTER_LINEAR,
        mask_interpolation=cv2.INTER_NEAREST,
        p=0.9,
    )
    colour = A.ColorJitter(
        brightness=(0.5, 1.4), contrast=(0.6, 1.4), saturation=(0.5, 1.5), hue=(-0.06, 0.06), p=0.8
    )
    quality = [A.GaussianBlur(blur_limit=(3, 7)), A.ISONoise(), A.ImageCompression(quality_range=(40, 90))]
    return [*_flips(), geometry, colour, A.OneOf(quality, p=0.3)]


AUGMENTATIONS: dict[str, Callable[[], list[A.BasicTransform]]] = {
    "none": list,
    "flips": _flips,
    "standard": _standard,
    "strong": _strong,
}


def training_pipeline(augment: str) -> A.Compose:
    """Augment a frame that already has its final size; image and mask move together.

    Args:
        augment: a name in `AUGMENTATIONS`.

    Raises:
        UsageError: an unknown name.
    """
    return A.Compose(look_up(AUGMENTATIONS, "augmentation", augment)())


@overload
def apply(
    pipeline: A.Compose, image: np.ndarray, mask: np.ndarray, seed: int | None = None
) -> tuple[np.ndarray, np.ndarray]: ...


@overload
def apply(
    pipeline: A.Compose, image: np.ndarray, mask: None = None, seed: int | None = None
) -> tuple[np.ndarray, None]: ...


def apply(
    pipeline: A.Compose, image: np.ndarray, mask: np.ndarray | None = None, seed: int | None = None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Run a pipeline on one frame.

    Args:
        pipeline: from this module.
        image: uint8 (H, W, 3).
        mask: uint8 (H, W), or None.
        seed: the same seed gives the same result, in any process and after any history.

    Returns:
        image and mask, of the same types.
    """
    if seed is not None:
        # albumentations would give every transform this same seed, and they would all draw the same numbers:
        # two flips with p=0.5 would always happen together.
        seeds = np.random.SeedSequence(seed).generate_state(len(pipeline.transforms))
        for transform, own in zip(pipeline.transforms, seeds, strict=True):
            transform.set_random_seed(int(own))
    if mask is None:
        return pipeline(image=image)["image"], None
    both = pipeline(image=image, mask=mask)
    return both["image"], both["mask"]
