"""What a sequence shows: the tube's wall with its textures and colours, and the polyps' shapes."""

from dataclasses import dataclass, field

import cv2
import numpy as np

TEXTURE = 1024  # pixels once around the tube; textures repeat along it after the same length
ROUND = np.float32(2 * np.pi)


def float32(values) -> np.ndarray:
    return np.array(values, np.float32)


# Reflectance (red, green, blue) of mucosa; a sequence mixes its own from two neighbours.
MUCOSA = float32([[0.85, 0.27, 0.18], [0.90, 0.38, 0.13], [0.70, 0.44, 0.24], [0.85, 0.38, 0.25]])


@dataclass
class Polyp:
    base: np.ndarray  # (3,) where it grows on the wall
    axes: np.ndarray  # (3, 3) rows: around the tube, along it, away from the wall
    head: np.ndarray  # (3,) centre of its head, from `base`, in `axes`
    radii: np.ndarray  # (3,) half-axes of its head, in `axes`
    stalk: float  # radius of its stalk; 0 for none
    fillet: float  # how softly its foot runs into the wall
    lumps: np.ndarray  # (7,) height, three frequencies, three phases of its unevenness


@dataclass
class Scene:
    """One patient: textures (TEXTURE, TEXTURE) indexed [along, around] the tube, colours, and polyps."""

    relief: np.ndarray  # radius of the wall
    vessels: np.ndarray  # 0-1
    stool: np.ndarray  # 0-1
    foam: np.ndarray  # 0-1, rims of bubbles
    mottle: np.ndarray  # deviation 1, blotches of colour
    grain: np.ndarray  # deviation 1, fine unevenness
    bend: np.ndarray  # (2,) how fast the tube's axis leaves the straight line
    mucosa: np.ndarray  # (3,) reflectance
    tint: np.ndarray  # (3,) how the polyp's reflectance differs, as a share
    vessel_tint: np.ndarray  # (3,) what a vessel takes away
    stool_colour: np.ndarray  # (3,)
    exposure: float
    film: float  # unevenness of the wet film
    focus: float  # blur of the lens, in pixels of a frame 288 high
    polyps: list[Polyp] = field(default_factory=list)


def _noise(rng, size: int, detail: float) -> np.ndarray:
    """Smooth random texture that tiles: mean 0, deviation 1, details about `detail` of its `size` px wide."""
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None]).astype(np.float32)
    spectrum = np.fft.rfft2(rng.standard_normal((size, size), np.float32))
    texture: np.ndarray = np.fft.irfft2(spectrum / (1 + (frequency * detail) ** 2) ** 2, (size, size)).astype(
        np.float32
    )
    texture = cv2.resize(texture, (TEXTURE, TEXTURE), interpolation=cv2.INTER_CUBIC)
    return (texture - texture.mean()) / texture.std()


def ramp(low: float, high: float, value: np.ndarray) -> np.ndarray:
    share = np.clip((value - low) / (high - low), 0, 1)
    return share * share * (3 - 2 * share)


def _relief(rng) -> np.ndarray:
    """Radius of the wall: crescent-shaped folds across the tube, and gentle unevenness."""
    along = np.linspace(0, ROUND, TEXTURE, endpoint=False, dtype=np.float32)[:, None]
    around = along.T
    radius = 1 + 0.025 * _noise(rng, 512, 60) + 0.006 * _noise(rng, 512, 14)
    count = int(rng.integers(5, 10))
    for fold in range(count):
        wave = rng.normal(0, 0.12) * np.sin(around + rng.uniform(0, 6)) + rng.normal(0, 0.08) * np.sin(
            2 * around
        )
        offset = along - (fold + rng.uniform(0.2, 0.8)) * ROUND / count - wave
        offset = (offset + np.pi) % ROUND - np.pi
        crescent = 0.35 + 0.65 * np.abs(np.sin(1.5 * around + rng.uniform(0, 6)))
        radius -= rng.uniform(0.08, 0.3) * crescent * np.exp(-((offset / rng.uniform(0.07, 0.14)) ** 2))
    return radius.astype(np.float32)


def _vessels(rng) -> np.ndarray:
    """Trees of vessels: walkers that wander, branch and thin out."""
    canvas = np.zeros((TEXTURE, TEXTURE), np.uint8)
    place, heading = rng.uniform(0, TEXTURE, (26, 2)), rng.uniform(0, ROUND, 26)
    thick = rng.uniform(2, 5, 26)
    for _ in range(90):
        heading = heading + rng.normal(0, 0.22, len(heading))
        step = 9 * np.stack([np.cos(heading), np.sin(heading)], 1)
        ends = np.concatenate([place % TEXTURE, place % TEXTURE + step], 1).astype(int).tolist()
        for (x, y, to_x, to_y), width in zip(ends, thick.tolist(), strict=True):
            cv2.line(canvas, (x, y), (to_x, to_y), int(70 + 35 * width), max(1, round(width)))
        forks = rng.random(len(place)) < 0.05
        turn = rng.choice([-0.8, 0.8], forks.sum()) * rng.uniform(0.6, 1.2, forks.sum())
        place = np.concatenate([place + step, (place + step)[forks]])
        heading = np.concatenate([heading, heading[forks] + turn])
        thick = 0.985 * np.concatenate([thick, 0.75 * thick[forks]])
        place, heading, thick = place[thick > 0.7], heading[thick > 0.7], thick[thick > 0.7]
    return cv2.GaussianBlur(canvas, (0, 0), 1.3).astype(np.float32) / 255


def _foam(rng) -> np.ndarray:
    """Clusters of bubbles, drawn as bright rims."""
    canvas = np.zeros((TEXTURE, TEXTURE), np.uint8)
    for cluster in rng.uniform(0, TEXTURE, (int(rng.integers(0, 9)), 2)):
        for x, y in rng.normal(cluster, 22, (25, 2)).astype(int).tolist():
            radius = int(rng.integers(3, 11))
            cv2.circle(canvas, (x, y), radius, int(rng.integers(90, 200)), 1, cv2.LINE_AA)
            cv2.circle(canvas, (x - radius // 2, y - radius // 2), 1, 255, -1, cv2.LINE_AA)
    return canvas.astype(np.float32) / 255


def make_scene(rng, hue: float) -> Scene:
    """Everything of a sequence but its polyps; `hue` 0-1 goes around the colours in MUCOSA."""
    first, mix = divmod(hue * len(MUCOSA), 1)
    one, other = MUCOSA[int(first) % len(MUCOSA)], MUCOSA[(int(first) + 1) % len(MUCOSA)]
    return Scene(
        relief=_relief(rng),
        vessels=_vessels(rng),
        stool=ramp(rng.uniform(1.4, 3.2), 3.6, _noise(rng, 256, 18) + 0.35 * _noise(rng, 256, 4)),
        foam=_foam(rng),
        mottle=0.6 * _noise(rng, 256, 30) + 0.4 * _noise(rng, 256, 8),
        grain=_noise(rng, TEXTURE, 6),
        bend=rng.normal(0, 0.05, 2).astype(np.float32),
        mucosa=one + np.float32(mix) * (other - one),
        tint=rng.uniform([0.0, -0.24, -0.22], [0.10, -0.01, 0.02]).astype(np.float32),
        vessel_tint=float32([0.25, 0.5, 0.45]) * np.float32(rng.uniform(0.5, 1.4)),
        stool_colour=rng.uniform([0.6, 0.4, 0.06], [0.85, 0.6, 0.2]).astype(np.float32),
        exposure=rng.uniform(0.65, 1.25),
        film=rng.uniform(0.08, 0.2),
        focus=rng.uniform(0.6, 1.2),
    )
