"""The albumentations pipelines: one for training, one for everything else.

The only module that imports albumentations, so that a successor is one file's work. Images come and
go as uint8 RGB (H, W, 3), masks as uint8 {0, 1} (H, W); the network normalises, not the pipeline.
"""

import os

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # it asks the network for news otherwise

import albumentations as A
import cv2
import numpy as np

from polyp.errors import UsageError, did_you_mean


def evaluation_pipeline(size: tuple[int, int]) -> A.Compose:
    """Resize to (height, width): what validation, test and prediction see.

    Images are averaged over the area they shrink, masks take the nearest pixel and stay 0 or 1.
    """
    height, width = size
    return A.Compose([A.Resize(height, width, cv2.INTER_AREA, mask_interpolation=cv2.INTER_NEAREST)])


def training_pipeline(augment: str) -> A.Compose:
    """Augment a frame that already has its final size; image and mask move together.

    `none` changes nothing. `flips` mirrors: a colon has no up or left. `standard` adds rotation and
    scaling (the scope rolls and travels), and changes of colour, light and sharpness (processors and
    distances differ). What leaves the picture is filled with black, like the frame's border.

    Raises:
        UsageError: an unknown name.
    """
    flips = [A.HorizontalFlip(p=0.5), A.VerticalFlip(p=0.5)]
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
    blur = A.GaussianBlur(blur_limit=(3, 5), p=0.1)
    pipelines = {"none": [], "flips": flips, "standard": [*flips, geometry, colour, blur]}
    if augment not in pipelines:
        raise UsageError(f"unknown augmentation {augment!r}; {did_you_mean(augment, pipelines)}")
    return A.Compose(pipelines[augment])


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
        image and mask, of the same kinds.
    """
    if seed is not None:
        # albumentations would give every transform this same seed, and they would all draw alike: two
        # flips with p=0.5 would only ever come together.
        seeds = np.random.SeedSequence(seed).generate_state(len(pipeline.transforms))
        for transform, own in zip(pipeline.transforms, seeds, strict=True):
            transform.set_random_seed(int(own))
    if mask is None:
        return pipeline(image=image)["image"], None
    both = pipeline(image=image, mask=mask)
    return both["image"], both["mask"]
