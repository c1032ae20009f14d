"""Whether a picture is like those that a network learnt from.

A network answers to anything, to a photograph of a flower too. So 21 simple figures of each training frame
(light, colour, sharpness) are kept as a density, a mixture of Gaussians; a picture that is rarer there than
nearly every training frame is unlike them. This tells photographs, black frames and swapped colours; it does
not tell a frame on which the network will fail for a subtler reason.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from polyp.data.images import shrink

if TYPE_CHECKING:  # predicting needs neither PyTorch nor a dataset
    from polyp.data.dataset import PolypDataset

SIDE = 128  # pixels: the figures are taken from a small copy
DARK, BRIGHT = 0.1, 0.92  # of full light
LEAST = 20  # training frames, below which nothing is known of the others
PARTS, FRAMES_PER_PART = 4, 700  # of the mixture, at most; and how many frames each needs
BLOCKS, FOLDS = 20, 5  # blocks of neighbouring frames, dealt out to so many folds
ALLOWED = 0.02  # of training frames may be rarer than the limit, each judged by a density of other blocks
FEW = 300  # frames: about so many, or fewer, say little of the next video, and the limit is widened
SWAPPED = 3.0  # how much likelier a picture is with red and blue exchanged, in nats, to say so
SMALLER, LARGER = 3, 4  # times smaller than the smallest training frame, larger than the largest


def figures(image: np.ndarray) -> np.ndarray:
    """What the density is of.

    Args:
        image: uint8 RGB (H, W, 3).

    Returns:
        float64 (21,): mean and deviation of light (0 to 1), the shares of dark and of blown-out pixels; of
        pixels that are not dark, mean, deviation, 5th and 95th percentile of the logarithms of red / green
        and of blue / green, and the 10th, 50th and 90th of light; and the logarithm of the mean step between
        neighbours, across and down, at three scales.
    """
    small = cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    light = small.mean(axis=2)
    lit = small[light > DARK] if (light > DARK).any() else np.zeros((1, 3), np.float32)  # (N, 3)
    found = [light.mean(), light.std(), (light <= DARK).mean(), (light > BRIGHT).mean()]
    for channel in (0, 2):
        ratio = np.log((lit[:, channel] + 0.02) / (lit[:, 1] + 0.02))
        found += [ratio.mean(), ratio.std(), *np.quantile(ratio, (0.05, 0.95))]
    found += list(np.quantile(lit.mean(axis=1), (0.1, 0.5, 0.9)))
    for scale in (1, 2, 4):
        grey = cv2.resize(light, (SIDE // scale, SIDE // scale), interpolation=cv2.INTER_AREA)
        found += [np.log(np.abs(np.diff(grey, axis=axis)).mean() + 1e-3) for axis in (1, 0)]
    return np.array(found, np.float64)


@dataclass(frozen=True)
class Familiar:
    """What is familiar to a network.

    With K parts of the mixture and F figures, scaled to mean 0 and deviation 1: center (F,), scale (F,),
    weights (K,), means (K, F), factors (K, F, F), the Cholesky factors of the inverse covariances; limit, the
    highest surprise that is still familiar; sides, the shortest and longest side in pixels that a training
    frame had on disk.
    """

    center: np.ndarray
    scale: np.ndarray
    weights: np.ndarray
    means: np.ndarray
    factors: np.ndarray
    limit: float
    sides: tuple[int, int]

    def surprise(self, image: np.ndarray) -> float:
        """Minus the logarithm of the density, in nats, of an image uint8 RGB (H, W, 3)."""
        return float(self._surprise(figures(image)[None])[0])

    def _surprise(self, found: np.ndarray) -> np.ndarray:
        """(N, F) -> (N,)"""
        scaled = (found - self.center) / self.scale
        whitened = np.einsum("nkf,kfg->nkg", scaled[:, None] - self.means, self.factors)
        log_factors = np.log(np.diagonal(self.factors, axis1=1, axis2=2)).sum(axis=1)  # (K,)
        log_parts = log_factors - (whitened**2 + np.log(2 * np.pi)).sum(axis=2) / 2  # (N, K)
        terms = log_parts + np.log(self.weights)
        most = terms.max(axis=1)
        return -(most + np.log(np.exp(terms - most[:, None]).sum(axis=1)))

    def doubt(self, image: np.ndarray, size: tuple[int, int]) -> str:
        """In a few words why a picture is unlike the training frames; empty where it is like them.

        Args:
            image: uint8 RGB (H, W, 3), as it is on disk.
            size: height and width the network was trained at.
        """
        shortest, longest = min(image.shape[:2]), max(image.shape[:2])
        if longest * SMALLER < self.sides[0]:
            return f"{longest} pixels: far smaller than the frames that the model learnt from"
        if shortest > self.sides[1] * LARGER:
            return f"{shortest} pixels: far larger than the frames that the model learnt from"
        small = shrink(image, size)
        surprise, swapped = self.surprise(small), self.surprise(small[..., ::-1])
        if swapped < min(surprise - SWAPPED, self.limit):
            return "looks as if red and blue were exchanged"
        if surprise <= self.limit:
            return ""
        light = small.mean() / 255
        if light < DARK or light > BRIGHT:
            return "almost black" if light < DARK else "blown out"
        return "light, colours or sharpness unlike those of the frames that the model learnt from"

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, of six significant digits."""
        arrays = {name: getattr(self, name) for name in ("center", "scale", "weights", "means", "factors")}
        lists = {name: _rounded(array.ravel()) for name, array in arrays.items()}
        return lists | {"limit": _rounded([self.limit])[0], "sides": list(self.sides)}

    @classmethod
    def from_dict(cls, values: Any) -> "Familiar":
        """What `to_dict` wrote.

        Raises:
            ValueError: it is not that.
        """
        try:
            arrays = {
                name: np.array(values[name], np.float64)
                for name in ("center", "scale", "weights", "means", "factors")
            }
            parts, count = len(arrays["weights"]), len(arrays["center"])
            arrays["means"] = arrays["means"].reshape(parts, count)
            arrays["factors"] = arrays["factors"].reshape(parts, count, count)
            shortest, longest = map(int, values["sides"])
            found = cls(**arrays, limit=float(values["limit"]), sides=(shortest, longest))
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise ValueError(f"no density of figures: {str(error)[:100]}") from None
        positive = (found.scale, found.weights, np.diagonal(found.factors, axis1=1, axis2=2))
        if not count == len(found.scale) == 21 or not all(np.all(array > 0) for array in positive):
            raise ValueError("no density of figures: a number is out of its range")
        return found


class AnyFamiliar:
    """What is familiar to one network of an ensemble is not doubted.

    Args:
        members: `Familiar` and size of each that knows what it learnt from.
    """

    def __init__(self, members: list[tuple[Familiar, tuple[int, int]]]):
        self.members = members

    def doubt(self, image: np.ndarray, size: tuple[int, int]) -> str:
        """The same as `Familiar.doubt`; each looks at its own size, not at `size`."""
        doubt = ""
        for familiar, own in self.members:
            if not (doubt := familiar.doubt(image, own)):
                return ""
        return doubt


def learn_familiar(dataset: "PolypDataset") -> dict[str, Any]:
    """What is familiar to a network that learns from `dataset`, see `Familiar.to_dict`.

    Empty for fewer than `LEAST` frames. The limit is chosen on frames that the density was not fitted to.
    """
    if len(dataset) < LEAST:
        return {}
    found = np.array([figures(np.asarray(dataset.cache.images[row])) for row in dataset.rows])
    sizes = dataset.cache.table.loc[dataset.rows, ["height", "width"]].to_numpy()
    sides = (int(sizes.min()), int(sizes.max()))
    # neighbours in a list of frames are often of one video, so they are judged together
    block = np.arange(len(found)) * BLOCKS // len(found)
    fold = np.random.default_rng(0).permutation(BLOCKS)[block] % FOLDS
    judged = [_fit(found[fold != k], sides)._surprise(found[fold == k]) for k in range(FOLDS)]
    limit = float(np.quantile(np.concatenate(judged), 1 - ALLOWED))
    return _fit(found, sides, limit * (1 + (FEW / len(found)) ** 2)).to_dict()


def _fit(found: np.ndarray, sides: tuple[int, int], limit: float = np.inf) -> Familiar:
    from sklearn.mixture import GaussianMixture

    center, scale = found.mean(axis=0), np.maximum(found.std(axis=0), 0.02)
    parts = min(PARTS, 1 + len(found) // FRAMES_PER_PART)
    mixture = GaussianMixture(parts, reg_covar=0.01, random_state=0).fit((found - center) / scale)
    return Familiar(
        center, scale, mixture.weights_, mixture.means_, mixture.precisions_cholesky_, limit, sides
    )


def _rounded(values: Iterable[float]) -> list[float]:
    return [float(f"{value:.6g}") for value in values]
