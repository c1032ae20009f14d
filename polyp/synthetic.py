"""Colonoscopy-like video sequences with exact masks, for lessons and tests without patient data.

Each sequence is a small 3-D scene: a bent tube of mucosa with folds, polyps that grow on its wall, and a
camera with its lamp inside. Rays are marched from the camera to the first surface they meet, so a mask is
the polyp's visible surface by construction: what a fold hides or the frame cuts off is not in it.
Lengths are in radii of the tube; points and directions are float32 (3, H, W).
"""

import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from polyp.errors import DataError, UsageError

FOCAL = 0.56  # focal length over the frame's height: a wide-angle lens, as colonoscopes have
FAR = 9.0  # the lamp does not reach farther
TEXTURE = 1024  # pixels once around the tube; textures repeat along it after the same length
ROUND = np.float32(2 * np.pi)

# Reflectance (red, green, blue) of mucosa; a sequence mixes its own from two neighbours.
MUCOSA = np.float32([[0.85, 0.27, 0.18], [0.90, 0.38, 0.13], [0.70, 0.44, 0.24], [0.85, 0.38, 0.25]])
# The polyp's share of the frame at these quantiles of the sequences, near that of real collections.
SHARES = ([0, 0.05, 0.25, 0.5, 0.75, 0.95, 1], [0.009, 0.0135, 0.036, 0.068, 0.127, 0.234, 0.36])


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
    texture = np.fft.irfft2(spectrum / (1 + (frequency * detail) ** 2) ** 2, (size, size)).astype(np.float32)
    texture = cv2.resize(texture, (TEXTURE, TEXTURE), interpolation=cv2.INTER_CUBIC)
    return (texture - texture.mean()) / texture.std()


def _ramp(low: float, high: float, value: np.ndarray) -> np.ndarray:
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


def _scene(rng, hue: float) -> Scene:
    """Everything of a sequence but its polyps; `hue` 0-1 goes around the colours in MUCOSA."""
    first, mix = divmod(hue * len(MUCOSA), 1)
    one, other = MUCOSA[int(first) % len(MUCOSA)], MUCOSA[(int(first) + 1) % len(MUCOSA)]
    return Scene(
        relief=_relief(rng),
        vessels=_vessels(rng),
        stool=_ramp(rng.uniform(1.4, 3.2), 3.6, _noise(rng, 256, 18) + 0.35 * _noise(rng, 256, 4)),
        foam=_foam(rng),
        mottle=0.6 * _noise(rng, 256, 30) + 0.4 * _noise(rng, 256, 8),
        grain=_noise(rng, TEXTURE, 6),
        bend=rng.normal(0, 0.05, 2).astype(np.float32),
        mucosa=one + np.float32(mix) * (other - one),
        tint=rng.uniform([-0.05, -0.16, -0.16], [0.06, 0.10, 0.12]).astype(np.float32),
        vessel_tint=np.float32([0.25, 0.5, 0.45]) * np.float32(rng.uniform(0.5, 1.4)),
        stool_colour=rng.uniform([0.6, 0.4, 0.06], [0.85, 0.6, 0.2]).astype(np.float32),
        exposure=rng.uniform(0.65, 1.25),
        film=rng.uniform(0.08, 0.2),
        focus=rng.uniform(0.6, 1.2),
    )


def _turned(axes: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """`axes` (3, 3) times vectors (3, H, W); not by BLAS, whose rounding may depend on its threads."""
    return sum(axes[:, i, None, None] * vectors[i] for i in range(3))


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.einsum("i...,i...->...", a, b)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.sqrt(_dot(vectors, vectors))


def _sample(texture: np.ndarray, around: np.ndarray, along: np.ndarray) -> np.ndarray:
    scale = TEXTURE / ROUND
    return cv2.remap(texture, around * scale, along * scale, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)


def _on_wall(scene: Scene, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distance from the tube's axis, angle around it, and length along it, each (H, W)."""
    x, y, along = points
    radius, around = cv2.cartToPolar(x - scene.bend[0] * along**2, y - scene.bend[1] * along**2)
    return radius, around, along


def _blend(a: np.ndarray, b: np.ndarray, fillet: float) -> np.ndarray:
    """The smaller of two distances, rounded off where they meet."""
    return np.minimum(a, b) - np.square(np.maximum(fillet - np.abs(a - b), 0)) * np.float32(0.25 / fillet)


def _to_polyp(polyp: Polyp, points: np.ndarray) -> np.ndarray:
    """About the distance to the polyp's surface: a lumpy ellipsoid, joined to a capsule as its stalk."""
    local = _turned(polyp.axes, points - polyp.base[:, None, None])
    head, radii = polyp.head[:, None, None], polyp.radii[:, None, None]
    offset = local - head
    waves = np.sin(offset * polyp.lumps[1:4, None, None] + polyp.lumps[4:, None, None])
    offset /= radii
    inner = np.sqrt(_dot(offset, offset))
    offset /= radii
    slope = np.sqrt(_dot(offset, offset)) + np.float32(1e-6)
    distance = inner * (inner - 1) / slope - polyp.lumps[0] * waves[0] * waves[1] * waves[2]
    if polyp.stalk == 0:
        return distance
    share = np.clip(_dot(head, local) / _dot(polyp.head, polyp.head), 0, 1)
    gap = local - head * share
    stalk = np.sqrt(_dot(gap, gap)) - np.float32(polyp.stalk)
    return _blend(distance, stalk, polyp.stalk)


def _distances(scene: Scene, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """About the distance, each (H, W), to the wall, to the nearest polyp, and to both with their fillet."""
    radius, around, along = _on_wall(scene, points)
    wall = _sample(scene.relief, around, along) - radius
    polyp = np.minimum.reduce([_to_polyp(polyp, points) for polyp in scene.polyps])
    return wall, polyp, _blend(wall, polyp, scene.polyps[0].fillet)


def _march(scene: Scene, camera, rays: np.ndarray, depth, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Follow each ray from `depth` on; returns the depth (H, W) reached and whether a polyp is there."""
    eye, turn = camera
    rays = _turned(turn, rays)
    for _ in range(steps):
        wall, polyp, gap = _distances(scene, eye[:, None, None] + rays * depth)
        depth = np.minimum(depth + np.float32(0.75) * gap, np.float32(FAR))
    # A ray that grazes the polyp's rim is still on its way past it: it has not met the polyp.
    return depth, (polyp < wall) & (gap < 0.015 * depth)


def _rays(height: int, width: int) -> np.ndarray:
    """Unit directions through the pixels, in the camera's own axes (right, down, forward)."""
    y, x = (np.mgrid[:height, :width] - np.array([height - 1, width - 1])[:, None, None] / 2) / (
        FOCAL * height
    )
    return _unit(np.stack([x, y, np.ones_like(x)]).astype(np.float32))


def _window(rng, height: int, width: int) -> np.ndarray:
    """The octagon that the endoscope's optics leave of the frame: bool (H, W)."""
    y, x = np.mgrid[:height, :width]
    beside = np.minimum(x - width * rng.uniform(0.06, 0.12), width * rng.uniform(0.90, 0.95) - x)
    above = np.minimum(y - height * rng.uniform(0.03, 0.07), height * rng.uniform(0.95, 0.98) - y)
    return (beside > 0) & (above > 0) & (beside + above > height * rng.uniform(0.12, 0.19))


def _grow(rng, scene: Scene, form: float, size: float, around: float, along: float) -> Polyp:
    """A polyp of about the radius `size`: flat, then domed, then on a stalk as `form` goes from 0 to 1."""
    cos, sin = np.cos(around), np.sin(around)
    radius = _sample(scene.relief, np.float32([[around]]), np.float32([[along]]))[0, 0]
    height, stalked = np.interp(form, [0, 0.3, 0.7, 1], [0.3, 0.6, 0.85, 0.95]), form > 0.72
    lift = rng.uniform([-0.8, -0.8, 1.3], [0.8, 0.8, 2]) if stalked else np.array([0, 0, 0.3 * height])
    return Polyp(
        base=np.float32([*(radius * np.array([cos, sin]) + scene.bend * along**2), along]),
        axes=np.float32([[-sin, cos, 0], [0, 0, 1], [-cos, -sin, 0]]),
        head=np.float32(size * lift),
        radii=np.float32(size * np.array([*rng.uniform(0.75, 1.4, 2), height])),
        stalk=float(size * rng.uniform(0.35, 0.5)) if stalked else 0.0,
        fillet=float(size * np.interp(form, [0, 0.6, 1], [0.5, 0.25, 0.15])),
        lumps=np.float32(
            [rng.uniform(0.05, 0.25) * size, *rng.uniform(1.5, 3.5, 3) / size, *rng.uniform(0, 6, 3)]
        ),
    )


def _cameras(rng, polyp: Polyp, distance: float, frames: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """A smooth hand-held path that keeps the polyp in view: an eye (3,) and axes (3, 3) for each frame."""
    side, along, up = polyp.axes
    oblique = rng.uniform(0.25, 1.35)  # looking down at the wall, to looking along the tube
    aim = polyp.base + polyp.head @ polyp.axes
    eye = aim + distance * (np.cos(oblique) * up - np.sin(oblique) * along + rng.uniform(-0.3, 0.3) * side)
    off = rng.uniform(0, 0.5) if rng.random() < 0.75 else rng.uniform(0.6, 0.85)  # or partly cut off
    roll, bearing = rng.uniform(0, ROUND, 2)
    phase, speed = rng.uniform(0, ROUND, (2, 3)), rng.uniform(0.15, 0.4, (2, 3))
    path = []
    for frame in range(frames):
        sway, swing = np.sin(phase + speed * frame)
        forward, angle = _unit(aim - eye), roll + 0.05 * swing[0]
        right = _unit(np.cross(np.cos(angle) * side + np.sin(angle) * along, forward))
        pan = off * np.array([np.cos(bearing), np.sin(bearing)]) + 0.06 * swing[1:]
        forward = _unit(forward - pan[0] * right - pan[1] * np.cross(forward, right))
        right = _unit(right - forward * (right @ forward))
        turn = np.stack([right, np.cross(forward, right), forward], 1)
        path.append(((eye + 0.07 * distance * sway).astype(np.float32), turn.astype(np.float32)))
    return path


def _stage(rng, scene: Scene, window: np.ndarray, share: float, frames: int):
    """Give the scene polyps, and find a camera path on which they cover about `share` of every frame.

    Returns the cameras and, for each, a coarse depth from which the full-size march can start.
    """
    height, width = window.shape
    rays = _rays(max(32, height // 4), max(32, height // 4) * width // height)
    seen = cv2.resize(window.astype(np.uint8), rays.shape[:0:-1], interpolation=cv2.INTER_NEAREST) > 0
    while True:
        form, around, along = rng.random(), rng.uniform(0, ROUND), rng.uniform(0.2, 2)
        twin, draw = rng.random() < 0.25, int(rng.integers(2**32))
        distance = np.interp(share, [0.005, 0.07, 0.3], [1.3, 1.0, 0.75]) * rng.uniform(0.85, 1.15)
        size = distance * np.sqrt(share * width / height / np.pi) / FOCAL
        for _ in range(4):  # the same polyp, larger or smaller
            again = np.random.default_rng(draw)
            scene.polyps = [_grow(again, scene, form, size, around, along)]
            cameras = _cameras(again, scene.polyps[0], distance, frames)
            if twin:
                where = np.array([around, along]) + 2.4 * size * again.choice([-1, 1], 2)
                scene.polyps.append(_grow(again, scene, 0.5 * form, 0.55 * size, *where))
            eyes = np.stack([eye for eye, _ in cameras], 1)[:, None]
            if _distances(scene, eyes)[2].min() < 0.12:
                break  # the camera would touch something
            views = [_march(scene, camera, rays, np.zeros_like(rays[0]), 40) for camera in cameras]
            shares = np.array([(hit & seen).mean() for _, hit in views])
            if shares.min() > max(0.006, 0.6 * share) and shares.max() < min(0.45, 1.7 * share):
                return cameras, [depth for depth, _ in views]
            if shares.min() == 0:
                break  # hidden behind a fold or out of the frame
            size *= np.clip(np.sqrt(share / shares.mean()), 0.6, 1.5)


def _sharpen(scene: Scene, camera, rays: np.ndarray, coarse: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Full-size depth and polyp mask: a few more steps from just before the coarse surface."""
    start = cv2.resize(cv2.erode(coarse, np.ones((3, 3), np.uint8)), rays.shape[:0:-1])
    depth, hit = _march(scene, camera, rays, 0.96 * start, 11)
    return depth, cv2.medianBlur(hit.astype(np.uint8), 5) > 0  # a rim without single stray pixels


def _normals(scene: Scene, points: np.ndarray) -> np.ndarray:
    """Unit normals: the direction in which the distance to everything grows."""
    here = _distances(scene, points)[2]
    steps = 0.015 * np.eye(3, dtype=np.float32)[:, :, None, None]
    return _unit(np.stack([_distances(scene, points + step)[2] - here for step in steps]) + np.float32(1e-7))


def _shade(scene: Scene, camera, rays: np.ndarray, depth: np.ndarray, hit: np.ndarray) -> np.ndarray:
    """The light (H, W, 3) that comes back along the rays from a lamp beside the lens."""
    eye, turn = camera
    rays = _turned(turn, rays)
    points = eye[:, None, None] + rays * depth
    normal = _normals(scene, points)
    facing = np.clip(-_dot(normal, rays), 0, 1)
    hollow = 1 - np.clip(_distances(scene, points + np.float32(0.14) * normal)[2] / 0.13, 0, 1)
    _, around, along = _on_wall(scene, points)
    polyp = cv2.GaussianBlur(hit.astype(np.float32), (0, 0), 0.8)[..., None]

    # Vessels, stool and foam lie on the wall; a polyp has fine pits, that follow its own axes.
    own = _turned(scene.polyps[0].axes, points - scene.polyps[0].base[:, None, None])
    u, v = np.where(hit, own[:2] + 0.6 * own[2], np.stack([around, along])).astype(np.float32)
    pits = _sample(scene.grain, 1.7 * u, 1.7 * v)[..., None]
    mottle, vessels, stool, foam = (
        _sample(texture, around, along)[..., None]
        for texture in (scene.mottle, scene.vessels, scene.stool, scene.foam)
    )
    albedo = scene.mucosa * (1 + mottle * np.float32([0.05, 0.12, 0.11]))
    albedo *= 1 + polyp * (scene.tint + pits * np.float32([0.03, 0.06, 0.06]))
    albedo *= 1 - (1 - 0.9 * polyp) * vessels * scene.vessel_tint
    albedo += (1 - polyp) * stool * (scene.stool_colour * (1 + 0.15 * pits) - albedo)
    albedo += (1 - polyp) * foam * np.float32(0.35)
    albedo *= 1 - hollow[..., None] * np.float32([0.1, 0.3, 0.3])  # light that creeps into a groove is red
    light = (0.2 + 0.8 * facing) * (1 - 0.55 * hollow) / (0.12 + depth**2)

    # The wet film is uneven, so its highlights break up into blobs, where it is wet at all.
    tilt = np.stack([_sample(scene.grain, u + shift, v) for shift in (0, 2, 4)])
    glance = -_dot(_unit(normal + np.float32(scene.film) * tilt), rays)
    glint = _ramp(0.985, 0.996, glance) * _ramp(-0.2, 1.5, mottle[..., 0]) / (0.3 + depth)
    return albedo * light[..., None] + glint[..., None] * np.float32([4, 3.9, 3.6])


def _develop(rng, light: np.ndarray, window: np.ndarray, focus: float) -> np.ndarray:
    """What the video processor makes of the light (H, W, 3): exposure, blur, noise and the black border."""
    scale = window.shape[0] / 288
    light = light + 0.1 * cv2.GaussianBlur(np.maximum(light - 1, 0), (0, 0), 4 * scale + 0.1)
    picture = (1 - np.exp(-1.6 * light)) ** np.float32(0.7)
    focus *= rng.uniform(2, 3.5) if rng.random() < 0.12 else 1
    picture = cv2.GaussianBlur(picture, (0, 0), focus * scale)
    if rng.random() < 0.2:  # a fast movement
        drift = np.zeros((15, 15), np.float32)
        reach = rng.uniform(-5, 5, 2) * min(scale, 1)
        cv2.line(drift, tuple((7 - reach).astype(int).tolist()), tuple((7 + reach).astype(int).tolist()), 1)
        picture = cv2.filter2D(picture, -1, drift / drift.sum())
    edge = cv2.GaussianBlur(window.astype(np.float32), (0, 0), 0.7)[..., None]
    noise = rng.standard_normal(picture.shape, np.float32) * np.float32(1.8)
    return np.clip(255 * picture * edge + 8 * (1 - edge) + noise + 0.5, 0, 255).astype(np.uint8)


def _spread(seed: int, sequence: int, step: float) -> float:
    """A number in 0-1 that fills the range evenly as `sequence` counts up, yet needs none of the others."""
    return float((np.random.default_rng([seed, int(step * 1e6)]).random() + sequence * step) % 1)


def _check(**counts: tuple[int, int]) -> None:
    for name, (given, least) in counts.items():
        if not isinstance(given, int | np.integer) or isinstance(given, bool) or given < least:
            raise UsageError(f"{name}={given!r}: expected a whole number, {least} or more")


def make_sequence(
    seed: int, sequence: int, frames: int = 10, height: int = 288, width: int = 384
) -> tuple[np.ndarray, np.ndarray]:
    """Render one video sequence: the same patient and polyps, seen by a slowly moving camera.

    Returns images, uint8 RGB (frames, H, W, 3) with values 0-255, and masks, uint8 (frames, H, W) with
    values 0 and 1. Polyps cover 0.3-50 % of every frame. The same arguments give the same bytes.

    Raises:
        UsageError: seed or sequence below 0, frames below 1, height or width below 32.
    """
    _check(seed=(seed, 0), sequence=(sequence, 0), frames=(frames, 1), height=(height, 32), width=(width, 32))
    rng = np.random.default_rng([seed, sequence])
    scene = _scene(rng, hue=_spread(seed, sequence, 0.754878))
    window = _window(rng, height, width)
    share = float(np.interp(_spread(seed, sequence, 0.618034), *SHARES))
    cameras, depths = _stage(rng, scene, window, share, frames)
    near = np.percentile(np.stack(depths), 15)  # the processor sets the exposure by what is near
    exposure = np.float32(scene.exposure * (0.12 + near**2))
    rays = _rays(height, width)
    images, masks = [], []
    for camera, coarse in zip(cameras, depths, strict=True):
        depth, hit = _sharpen(scene, camera, rays, coarse)
        light = exposure * _shade(scene, camera, rays, depth, hit)
        images.append(_develop(rng, light, window, scene.focus))
        masks.append((hit & window).astype(np.uint8))
    return np.stack(images), np.stack(masks)


def _write(path: Path, pixels: np.ndarray) -> None:
    """Fast PNG; the folder is renamed into place as a whole, so that single files need no care."""
    path.write_bytes(cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes())


def write_dataset(
    folder: str | Path,
    seed: int = 0,
    sequences: int = 12,
    frames: int = 10,
    height: int = 288,
    width: int = 384,
) -> Path:
    """Write `sequences` video sequences as a dataset and return its folder.

    `images/N.png` (RGB) and `masks/N.png` (0 and 255) are numbered from 1 through all sequences;
    `sequences.csv` (`frame,sequence`) tells which sequence, numbered from 1, frame N belongs to.
    The folder appears complete or not at all; where one of that name stands already, it is kept.

    Raises:
        UsageError: sequences or frames below 1, height or width below 32.
        DataError: the folder cannot be written.
    """
    _check(
        seed=(seed, 0), sequences=(sequences, 1), frames=(frames, 1), height=(height, 32), width=(width, 32)
    )
    folder = Path(folder).absolute()

    def write_sequence(build: Path, sequence: int) -> None:
        images, masks = make_sequence(seed, sequence, frames, height, width)
        for number, (image, mask) in enumerate(zip(images, masks, strict=True), (sequence - 1) * frames + 1):
            _write(build / "images" / f"{number}.png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
            _write(build / "masks" / f"{number}.png", 255 * mask)

    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as temporary:
            build = Path(temporary) / "dataset"
            for name in ("images", "masks"):
                (build / name).mkdir(parents=True)
            numbers = range(1, sequences + 1)
            with ThreadPoolExecutor(2) as pool:  # OpenCV and NumPy let go of the interpreter's lock
                list(pool.map(write_sequence, [build] * sequences, numbers))
            rows = [f"{(s - 1) * frames + k},{s}" for s in numbers for k in range(1, frames + 1)]
            (build / "sequences.csv").write_text("\n".join(["frame,sequence", *rows]) + "\n")
            try:
                build.rename(folder)
            except OSError:
                if not folder.is_dir():  # else someone was faster, and theirs is as good
                    raise
    except OSError as error:
        raise DataError(f"{folder}: cannot be written ({error.strerror}); choose another folder") from None
    return folder
