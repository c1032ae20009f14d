"""Colonoscopy-like video sequences with exact masks, for lessons and tests without patient data.

Each sequence is a small 3-D scene: a bent tube of mucosa with folds, polyps that grow on its wall, and a
camera with its lamp inside. Rays are marched from the camera to the first surface, so that a mask is the
polyp's visible surface by construction, with what a fold hides or the frame cuts off left out.
"""

import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from polyp.errors import DataError, UsageError

SMALLEST, LARGEST = 0.003, 0.5  # bounds of the polyp's share of a frame
FOCAL = 0.56  # focal length over the frame's height: a wide-angle lens, as colonoscopes have
FAR = 9.0  # in tube radii; the lamp does not reach farther
TEXTURE = 1024  # pixels once around the tube; textures repeat along it after the same length

# Mucosa colours (red, green, blue reflectance) between which a sequence's own colour is mixed.
MUCOSA = np.array([[0.85, 0.27, 0.18], [0.90, 0.38, 0.13], [0.70, 0.44, 0.24], [0.85, 0.38, 0.25]])
# Polyp shares of real data sets at these quantiles, so that the synthetic ones spread likewise.
SHARE_AT = ([0, 0.05, 0.25, 0.5, 0.75, 0.95, 1], [0.007, 0.013, 0.036, 0.068, 0.127, 0.234, 0.36])


@dataclass
class Polyp:
    base: np.ndarray  # (3,) where it grows on the wall
    axes: np.ndarray  # (3, 3) rows: along the circumference, along the tube, away from the wall
    radii: np.ndarray  # (3,) half-axes of the head
    head: np.ndarray  # (3,) centre of the head, in `axes` from `base`
    stalk: float  # its radius; 0 without a stalk
    fillet: float  # how softly its foot runs into the wall
    lumps: np.ndarray  # (7,) height, three frequencies, three phases


@dataclass
class Tube:
    relief: np.ndarray  # (T, T) radius of the wall at [along, around]
    vessels: np.ndarray  # (T, T) 0-1
    mottle: np.ndarray  # (T, T) about -1 to 1, blotches of colour
    grain: np.ndarray  # (T, T) fine unevenness of the wet surface
    stool: np.ndarray  # (T, T) 0-1
    bend: np.ndarray  # (2,) how fast the axis leaves the straight line


def _noise(rng, size: int, scale: float) -> np.ndarray:
    """Smooth random texture (size, size) that tiles; mean 0, deviation 1, details `scale` px wide."""
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None]).astype(np.float32)
    spectrum = np.fft.rfft2(rng.standard_normal((size, size), np.float32))
    field = np.fft.irfft2(spectrum * (1 + (frequency * scale) ** 2) ** -2, (size, size)).astype(np.float32)
    return (field - field.mean()) / field.std()


def _texture(rng, scale: float, size: int = 256) -> np.ndarray:
    return cv2.resize(_noise(rng, size, scale), (TEXTURE, TEXTURE), interpolation=cv2.INTER_CUBIC)


def _smoothstep(low: float, high: float, value: np.ndarray) -> np.ndarray:
    ramp = np.clip((value - low) / (high - low), 0, 1)
    return ramp * ramp * (3 - 2 * ramp)


def _vessels(rng) -> np.ndarray:
    """Trees of vessels: walkers that wander, thin out and branch."""
    canvas = np.zeros((TEXTURE, TEXTURE), np.uint8)
    place = rng.uniform(0, TEXTURE, (26, 2))
    heading = rng.uniform(0, 2 * np.pi, 26)
    width = rng.uniform(2.0, 5.0, 26)
    for _ in range(90):
        heading = heading + rng.normal(0, 0.22, len(heading))
        tip = place + 9 * np.stack([np.cos(heading), np.sin(heading)], 1)
        for start, end, thick in zip(place, tip, width, strict=True):
            first = start % TEXTURE
            last = first + end - start
            shade = int(70 + 35 * min(thick, 5))
            cv2.line(canvas, tuple(first.astype(int)), tuple(last.astype(int)), shade, max(1, round(thick)))
        forks = rng.random(len(tip)) < 0.05
        turn = rng.choice([-0.8, 0.8], forks.sum()) * rng.uniform(0.6, 1.2, forks.sum())
        place = np.concatenate([tip, tip[forks]])
        heading = np.concatenate([heading, heading[forks] + turn])
        width = np.concatenate([width, 0.75 * width[forks]]) * 0.985
        alive = width > 0.7
        place, heading, width = place[alive], heading[alive], width[alive]
    return cv2.GaussianBlur(canvas, (0, 0), 1.3).astype(np.float32) / 255


def _relief(rng, size: int = 512) -> np.ndarray:
    """Radius of the wall: crescent-shaped haustral folds across the tube, and gentle unevenness."""
    along = np.linspace(0, 2 * np.pi, size, endpoint=False, dtype=np.float32)[:, None]
    around = along.T
    radius = 1 + 0.025 * _noise(rng, size, 60) + 0.006 * _noise(rng, size, 14)
    count = int(rng.integers(5, 10))
    for fold in range(count):
        wave = rng.normal(0, 0.12) * np.sin(around + rng.uniform(0, 6)) + rng.normal(0, 0.08) * np.sin(
            2 * around
        )
        offset = along - (fold + rng.uniform(0.2, 0.8)) * 2 * np.pi / count - wave
        offset = (offset + np.pi) % (2 * np.pi) - np.pi
        crescent = 0.35 + 0.65 * np.abs(np.cos(1.5 * around + rng.uniform(0, 6)))
        radius -= rng.uniform(0.08, 0.30) * crescent * np.exp(-((offset / rng.uniform(0.07, 0.14)) ** 2))
    return cv2.resize(radius.astype(np.float32), (TEXTURE, TEXTURE), interpolation=cv2.INTER_CUBIC)


def _tube(rng) -> Tube:
    stool = _smoothstep(rng.uniform(1.5, 3.5), 3.6, _texture(rng, 18) + 0.35 * _texture(rng, 4))
    return Tube(
        relief=_relief(rng),
        vessels=_vessels(rng),
        mottle=0.6 * _texture(rng, 30) + 0.4 * _texture(rng, 8),
        grain=_noise(rng, TEXTURE, 5),
        stool=stool,
        bend=rng.normal(0, 0.05, 2).astype(np.float32),
    )


def _sample(texture: np.ndarray, around: np.ndarray, along: np.ndarray) -> np.ndarray:
    scale = np.float32(TEXTURE / (2 * np.pi))
    return cv2.remap(texture, around * scale, along * scale, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)


def _wall_coordinates(tube: Tube, points: np.ndarray):
    x, y, z = points
    bend = z * z
    radius, around = cv2.cartToPolar(x - tube.bend[0] * bend, y - tube.bend[1] * bend)
    return radius, around, np.ascontiguousarray(z)


def _polyp_distance(polyp: Polyp, points: np.ndarray) -> np.ndarray:
    local = np.tensordot(polyp.axes, points - polyp.base[:, None, None], 1)
    q = local - polyp.head[:, None, None]
    radii = polyp.radii[:, None, None]
    inner = np.sqrt(np.square(q / radii).sum(0))
    slope = np.sqrt(np.square(q / radii**2).sum(0)) + np.float32(1e-6)
    waves = np.sin(q * polyp.lumps[1:4, None, None] + polyp.lumps[4:, None, None])
    distance = inner * (inner - 1) / slope - polyp.lumps[0] * waves.prod(0)
    if polyp.stalk:
        share = np.clip(np.tensordot(polyp.head, local, 1) / (polyp.head @ polyp.head), 0, 1)
        gap = local - polyp.head[:, None, None] * share
        stalk = np.sqrt(np.square(gap).sum(0)) - polyp.stalk
        distance = _blend(distance, stalk, polyp.stalk)
    return distance


def _blend(a: np.ndarray, b: np.ndarray, width: float) -> np.ndarray:
    """The smaller of two distances, with a fillet of `width` where they meet."""
    return np.minimum(a, b) - np.square(np.maximum(width - np.abs(a - b), 0)) * np.float32(0.25 / width)


def _distances(tube: Tube, polyps: list[Polyp], points: np.ndarray):
    """Distance to the wall and to the nearest polyp, each (H, W), for points (3, H, W)."""
    radius, around, along = _wall_coordinates(tube, points)
    wall = _sample(tube.relief, around, along) - radius
    polyp = _polyp_distance(polyps[0], points)
    for other in polyps[1:]:
        polyp = np.minimum(polyp, _polyp_distance(other, points))
    return wall, polyp


def _gap(tube: Tube, polyps: list[Polyp], points: np.ndarray) -> np.ndarray:
    return _blend(*_distances(tube, polyps, points), polyps[0].fillet)


def _march(tube, polyps, camera, rays, depth, steps):
    """Follow each ray for `steps` steps; returns depth (H, W) and whether a polyp is what it met."""
    eye, turn = camera
    world = np.tensordot(turn, rays, 1)
    for _ in range(steps):
        wall, polyp = _distances(tube, polyps, eye[:, None, None] + world * depth)
        gap = _blend(wall, polyp, polyps[0].fillet)
        depth = np.minimum(depth + np.float32(0.75) * gap, np.float32(FAR))
    return depth, polyp < wall


def _rays(height: int, width: int) -> np.ndarray:
    """Unit directions (3, H, W) through the pixels, in the camera's own axes (right, down, forward)."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    f = FOCAL * height
    rays = np.stack([(x - (width - 1) / 2) / f, (y - (height - 1) / 2) / f, np.ones_like(x)])
    return rays / np.sqrt(np.square(rays).sum(0))


def _window(rng, height: int, width: int) -> np.ndarray:
    """The octagon that the endoscope's optics leave of the frame: uint8 (H, W), 0 in the black border."""
    left, right = width * rng.uniform(0.06, 0.12), width * rng.uniform(0.90, 0.95)
    top, bottom = height * rng.uniform(0.03, 0.07), height * rng.uniform(0.95, 0.98)
    cut = height * rng.uniform(0.12, 0.19)
    y, x = np.mgrid[:height, :width]
    inside = np.minimum(np.minimum(x - left, right - x), np.minimum(y - top, bottom - y))
    return ((inside > 0) & (np.minimum(x - left, right - x) + np.minimum(y - top, bottom - y) > cut)).astype(
        np.uint8
    )


def _grow(rng, tube: Tube, form: float, size: float, around: float, along: float) -> Polyp:
    """A polyp about `size` in radius on the wall: flat, sessile, or with a stalk as `form` goes 0 to 1."""
    cos, sin = np.cos(around), np.sin(around)
    where = np.array([[around]], np.float32), np.array([[along]], np.float32)
    radius = _sample(tube.relief, *where)[0, 0]
    base = np.array([radius * cos, radius * sin, along])
    base[:2] += tube.bend * along**2
    height = np.interp(form, [0, 0.3, 0.7, 1], [0.3, 0.6, 0.85, 0.95])
    lift = 0.3 * height
    sideways = np.zeros(2)
    stalk = 0.0
    if form > 0.72:
        lift, stalk = rng.uniform(1.3, 2.0), rng.uniform(0.35, 0.5)
        sideways = rng.uniform(-0.8, 0.8, 2)
    shape = [rng.uniform(0.75, 1.4), rng.uniform(0.75, 1.4), height]
    lumps = [rng.uniform(0.05, 0.25) * size, *(rng.uniform(1.5, 3.5, 3) / size), *rng.uniform(0, 6, 3)]
    f32 = np.float32
    return Polyp(
        base.astype(f32),
        np.array([[-sin, cos, 0], [0, 0, 1], [-cos, -sin, 0]], f32),
        (np.array(shape) * size).astype(f32),
        (np.array([*sideways, lift]) * size).astype(f32),
        float(stalk * size),
        float(size * np.interp(form, [0, 0.6, 1], [0.5, 0.25, 0.15])),
        np.array(lumps, f32),
    )


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.sqrt(np.square(vector).sum(0))


def _cameras(rng, polyp: Polyp, distance: float, frames: int) -> list:
    """A smooth hand-held path, one (eye, turn) a frame, that keeps the polyp in view."""
    oblique = np.radians(rng.uniform(15, 78))
    side, along, up = polyp.axes
    aim = polyp.base + polyp.head @ polyp.axes
    eye = aim + distance * (np.cos(oblique) * up - np.sin(oblique) * along + rng.uniform(-0.3, 0.3) * side)
    roll, bearing = rng.uniform(0, 2 * np.pi, 2)
    off = rng.uniform(0, 0.5) if rng.random() < 0.75 else rng.uniform(0.6, 0.85)
    phase, speed = rng.uniform(0, 2 * np.pi, (2, 3)), rng.uniform(0.15, 0.4, (2, 3))
    path = []
    for frame in range(frames):
        sway, swing = np.sin(phase + speed * frame)
        place = eye + 0.07 * distance * sway
        forward = _unit(aim - eye)
        right = _unit(
            np.cross(np.cos(roll + 0.05 * swing[0]) * side + np.sin(roll + 0.05 * swing[0]) * along, forward)
        )
        down = np.cross(forward, right)
        pan = off * np.array([np.cos(bearing), np.sin(bearing)]) + 0.06 * swing[1:]
        forward = _unit(forward - pan[0] * right - pan[1] * down)
        right = _unit(right - forward * (right @ forward))
        turn = np.stack([right, np.cross(forward, right), forward], 1)
        path.append((place.astype(np.float32), turn.astype(np.float32)))
    return path


def _stage(rng, tube, window, share, frames):
    """Draw polyps and a camera path until the polyp's share is right in every frame.

    Works on a coarse picture; its depths (h, w) per frame are returned, to start the fine march from.
    """
    height, width = window.shape
    small = (max(32, round(height / 4)), max(32, round(max(32, round(height / 4)) * width / height)))
    rays = _rays(*small)
    seen = cv2.resize(window, small[::-1], interpolation=cv2.INTER_AREA) > 0
    while True:
        form, around, along = rng.random(), rng.uniform(0, 2 * np.pi), rng.uniform(0.2, 2)
        distance = np.interp(share, [0.005, 0.07, 0.3], [1.3, 1.0, 0.75]) * rng.uniform(0.85, 1.15)
        size = distance * np.sqrt(share * width / height / np.pi) / FOCAL / 1.1
        twin = rng.random() < 0.25
        fork, path = rng.spawn(2)
        states = fork.bit_generator.state, path.bit_generator.state
        for _ in range(4):
            fork.bit_generator.state, path.bit_generator.state = states
            polyps = [_grow(fork, tube, form, size, around, along)]
            if twin:
                step = 2.4 * size * fork.choice([-1, 1], 2)
                polyps.append(_grow(fork, tube, 0.5 * form, 0.55 * size, around + step[0], along + step[1]))
            cameras = _cameras(path, polyps[0], distance, frames)
            eyes = np.stack([eye for eye, _ in cameras], 1)[:, None]
            if min(field.min() for field in _distances(tube, polyps, eyes)) < 0.12:
                break  # the camera would touch something
            views = [_march(tube, polyps, camera, rays, np.float32(0) * rays[0], 48) for camera in cameras]
            shares = np.array([(hit & seen).mean() for _, hit in views])
            if shares.min() > max(0.006, 0.6 * share) and shares.max() < min(0.45, 1.7 * share):
                return polyps, cameras, [depth for depth, _ in views]
            if shares.min() < 0.001:
                break
            size *= np.clip(np.sqrt(share / shares.mean()), 0.6, 1.5)


def _render(tube, polyps, camera, rays, depth):
    """Full-size depth and polyp mask from a coarse depth: a few more steps from just before the surface."""
    start = cv2.erode(depth, np.ones((3, 3), np.uint8))
    start = 0.96 * cv2.resize(start, rays.shape[:0:-1], interpolation=cv2.INTER_LINEAR)
    return _march(tube, polyps, camera, rays, start, 12)


def _normals(tube: Tube, polyps: list[Polyp], points: np.ndarray) -> np.ndarray:
    """Unit surface normals (3, H, W): the direction in which the distance to everything grows."""
    step = np.float32(0.015)
    here = _gap(tube, polyps, points)
    shifted = [points + step * axis[:, None, None] for axis in np.eye(3, dtype=np.float32)]
    return _unit(np.stack([_gap(tube, polyps, there) - here for there in shifted]) + np.float32(1e-7))


def _shade(rng, tube, polyps, camera, rays, depth, hit, look):
    """Linear colours (H, W, 3) of what the rays met, lit by the lamp beside the lens."""
    eye, turn = camera
    local = rays * depth
    points = eye[:, None, None] + np.tensordot(turn, local, 1)
    _, around, along = _wall_coordinates(tube, points)
    soft = cv2.GaussianBlur(hit.astype(np.float32), (0, 0), 0.8)
    view = np.tensordot(turn, rays, 1)
    normal = _normals(tube, polyps, points)
    facing = np.clip(-(normal * view).sum(0), 0, 1)
    open_ = np.clip(_gap(tube, polyps, points + np.float32(0.14) * normal) / 0.13, 0.0, 1)

    # On a polyp the pattern comes from its own axes: fine pits instead of vessels.
    own = np.tensordot(polyps[0].axes, points - polyps[0].base[:, None, None], 1)
    u, v = own[0] + 0.6 * own[2], own[1] + 0.6 * own[2]
    pits = _sample(tube.grain, 1.7 * u, 1.7 * v)
    u, v = np.where(hit, u, around), np.where(hit, v, along)
    blotch = _sample(tube.mottle, around, along)
    stool = _sample(tube.stool, around, along) * (1 - soft)
    vessel = _sample(tube.vessels, around, along) * (1 - 0.9 * soft)

    albedo = look["mucosa"] * (1 + blotch[..., None] * np.float32([0.05, 0.10, 0.09]))
    albedo *= 1 + soft[..., None] * (look["tint"] + pits[..., None] * np.float32([0.03, 0.06, 0.06]))
    albedo *= 1 - vessel[..., None] * look["vessel"]
    albedo += stool[..., None] * (look["stool"] - albedo)

    albedo *= 1 - (1 - open_)[..., None] * np.float32([0.1, 0.3, 0.3])  # light that creeps under is red
    light = (0.12 + 0.88 * facing) * (0.4 + 0.6 * open_) * look["power"] / (0.12 + depth**2)
    colour = albedo * light[..., None]

    # The wet film is uneven: highlights break up into blobs where the surface looks at the lamp.
    tilt = [_sample(tube.grain, u + shift, v) for shift in (0, 2, 4)]
    wet = _unit(normal + look["film"] * np.stack(tilt))
    glint = _smoothstep(0.985, 0.996, -(wet * view).sum(0)) * _smoothstep(-0.3, 1.5, blotch) / (0.3 + depth)
    return colour + look["shine"] * glint[..., None] * np.float32([1, 0.97, 0.9])


def _develop(rng, colour, window, look, drift):
    """What the video processor makes of it: bloom, exposure, blur of motion or focus, noise, border."""
    colour = colour + 0.12 * cv2.GaussianBlur(np.maximum(colour - 1, 0), (0, 0), 4)
    picture = (1 - np.exp(-1.6 * colour)) ** look["gamma"]
    picture = cv2.GaussianBlur(picture, (0, 0), look["focus"] * window.shape[0] / 288)
    if drift is not None:
        picture = cv2.filter2D(picture, -1, drift)
    edge = cv2.GaussianBlur(window.astype(np.float32), (0, 0), 0.7)[..., None]
    picture = 255 * picture * edge + 8 * (1 - edge)
    picture += rng.standard_normal(picture.shape, np.float32) * np.float32(1.8)
    return np.clip(picture + 0.5, 0, 255).astype(np.uint8)


def _spread(seed: int, sequence: int, dimension: int) -> float:
    """A number in 0-1 that fills the range evenly as `sequence` counts up, without knowing the others."""
    start = np.random.default_rng([seed, 7, dimension]).random()
    return float((start + sequence * (0.6180339887, 0.7548776662, 0.5698402910)[dimension]) % 1)


def _look(rng, seed, sequence) -> dict:
    hue = _spread(seed, sequence, 1) * len(MUCOSA)
    one, other = MUCOSA[int(hue)], MUCOSA[(int(hue) + 1) % len(MUCOSA)]
    f32 = np.float32
    return {
        "mucosa": (one + (hue % 1) * (other - one)).astype(f32),
        "tint": rng.uniform([-0.05, -0.22, -0.18], [0.06, 0.12, 0.14]).astype(f32),
        "vessel": np.float32([0.25, 0.5, 0.45]) * f32(rng.uniform(0.5, 1.4)),
        "stool": rng.uniform([0.6, 0.45, 0.1], [0.85, 0.65, 0.3]).astype(f32),
        "power": rng.uniform(0.5, 0.9),
        "film": f32(rng.uniform(0.10, 0.22)),
        "shine": rng.uniform(2, 5),
        "gamma": rng.uniform(0.6, 0.8),
        "focus": rng.uniform(0.6, 1.2),
    }


def make_sequence(seed: int, sequence: int, frames: int = 10, height: int = 288, width: int = 384):
    rng = np.random.default_rng([seed, sequence])
    window = _window(rng, height, width)
    tube = _tube(rng)
    look = _look(rng, seed, sequence)
    share = float(np.interp(_spread(seed, sequence, 0), *SHARE_AT))
    polyps, cameras, depths = _stage(rng, tube, window, share, frames)
    rays = _rays(height, width)
    images, masks = [], []
    for camera, coarse in zip(cameras, depths, strict=True):
        depth, hit = _render(tube, polyps, camera, rays, coarse)
        colour = _shade(rng, tube, polyps, camera, rays, depth, hit, look)
        images.append(_develop(rng, colour, window, look, None))
        masks.append(hit * window)
    return np.stack(images), np.stack(masks).astype(np.uint8)
