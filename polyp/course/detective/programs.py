"""Programs that are broken on purpose: each letter is a mistake at its place between files and score."""

import copy
import random
from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from polyp.data.dataset import PolypDataset
from polyp.model.metrics import count_pixels, dice_score
from polyp.model.network import SegmentationNetwork

BATCH = 8  # frames at a time, in every program

# Letter -> what was done, and the trace that it leaves.
SUSPECTS = {
    "A": ("mask shrunk smoothly, cut above 0", "the masks are not the files', but larger all around"),
    "B": ("sigmoid twice", "no probability lies below 0.5 or above 0.7311"),
    "C": ("frames split at random, unseeded", "videos stand on both sides, and a second draw gives others"),
    "D": ("network left in training mode", "the answer to a frame depends on the frames beside it"),
    "E": ("red and blue swapped", "coloured frames get other answers than in the reference, grey ones not"),
    "F": ("pixels pooled over each batch", "the score of the same masks follows the batch size"),
    "G": ("augmentation left on", "frames and masks are not the files', and others again at the second run"),
    "H": ("masks of the neighbouring frames", "every mask is one of the files', and none is its own frame's"),
    "I": ("normalised twice", "the numbers at the first layer have far too narrow a range"),
    "J": ("wrong threshold", "the masks are not those of a cut at 0.5"),
}  # fmt: skip


@dataclass(frozen=True)
class Scene:
    """What all cases share: an honest network in evaluation mode, some frames, and their videos, if known.

    `images` is uint8 (N, 3, H, W), `masks` bool (N, 1, H, W), both on the network's device and as the files
    have them; `frames` are their dataset, and `names` all frames of the data.
    """

    model: SegmentationNetwork
    frames: PolypDataset
    names: list[str]
    video: Mapping[str, object]

    @property
    def images(self) -> Tensor:
        """The frames as the files have them."""
        return self.load(self.frames)[0]

    @property
    def masks(self) -> Tensor:
        """The masks as the files have them."""
        return self.load(self.frames)[1]

    def load(self, frames: PolypDataset) -> tuple[Tensor, Tensor]:
        """All of a dataset in two tensors."""
        images, masks = zip(*(frames[i] for i in range(len(frames))), strict=True)
        return torch.stack(images).to(self.model.device), torch.stack(masks).to(self.model.device) > 0


@dataclass(frozen=True)
class Program:
    """A way from files to a score, with the mistakes of some suspects in it; without any it is honest."""

    scene: Scene
    mistakes: str = ""

    def load(self, run: int = 0) -> tuple[Tensor, Tensor]:
        """Frames uint8 (N, 3, H, W) and masks bool (N, 1, H, W), as this program gets them in a run."""
        frames = self.scene.frames
        if "G" in self.mistakes:
            frames = PolypDataset(frames.cache, frames.frames, "flips", seed=run)
        images, masks = self.scene.load(frames)
        if "A" in self.mistakes:
            masks = self._smooth_masks(masks)
        if "H" in self.mistakes:
            masks = masks.roll(1, dims=0)
        return images, masks

    def _smooth_masks(self, masks: Tensor) -> Tensor:
        whole = PolypDataset(self.scene.frames.cache, self.scene.frames.frames, full_size_masks=True)
        height, width = masks.shape[-2:]
        pictures = [
            cv2.resize(
                whole[i][1][0].numpy().astype(np.float32), (width, height), interpolation=cv2.INTER_AREA
            )
            for i in range(len(whole))
        ]
        return torch.from_numpy(np.stack(pictures))[:, None].to(masks.device) > 0

    def inputs(self, images: Tensor) -> Tensor:
        """What reaches the first layer."""
        model = self.scene.model
        x = (images.flip(1) if "E" in self.mistakes else images).float()
        for _ in range(1 + ("I" in self.mistakes)):
            x = (x - model.mean) / model.std
        return x

    @torch.inference_mode()
    def probs(self, images: Tensor) -> Tensor:
        """Probabilities (N, 1, H, W), batch by batch."""
        model = self.scene.model
        network = copy.deepcopy(model).train() if "D" in self.mistakes else model
        x = self.inputs(images) * model.std + model.mean  # give back what the network will take
        probs = torch.cat([network(batch)[-1].float() for batch in x.split(BATCH)]).sigmoid()
        return probs.sigmoid() if "B" in self.mistakes else probs

    def cut(self, probs: Tensor) -> Tensor:
        """Masks of probabilities."""
        if "J" not in self.mistakes:
            return probs > 0.5
        # Beside B, tuned until it looked right; alone, a logit of -2.5.
        return probs > (0.68 if "B" in self.mistakes else 0.076)

    def score(self, preds: Tensor, masks: Tensor, batch: int = BATCH) -> float:
        """Dice of bool masks (N, 1, H, W)."""
        counts = count_pixels(preds, masks)
        if "F" not in self.mistakes:
            return dice_score(counts).nanmean().item()
        batches = zip(preds.split(batch), masks.split(batch), strict=True)
        return float(np.nanmean([dice_score(count_pixels(*pair).pooled()).item() for pair in batches]))

    def split(self, run: int = 0) -> tuple[list[str], list[str]]:
        """Training and test frames, as this program draws them in a run: a tenth, or whole videos."""
        names, video = self.scene.names, self.scene.video
        count = max(1, len(names) // 10)
        if "C" in self.mistakes:
            order = random.Random(1 + run).sample(names, len(names))
            return order[count:], order[:count]
        test: list[str] = []
        for number in random.Random(0).sample(kinds := list(dict.fromkeys(video.values())), len(kinds)):
            if len(test) < count:
                test += [name for name in names if video[name] == number]
        test = test or sorted(names)[:count]  # without videos
        return [name for name in names if name not in set(test)], test
