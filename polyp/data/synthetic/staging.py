"""The staging of a scene: polyps of the wanted size, and a camera path that keeps them in view."""

import cv2
import numpy as np

from polyp.data.synthetic.geometry import FAR, distances, march, nearest_polyp, rays_of, sample, turned, unit
from polyp.data.synthetic.hospitals import Hospital
from polyp.data.synthetic.scene import ROUND, Polyp, Scene, float32


def make_window(rng, height: int, width: int, at: Hospital) -> np.ndarray:
    """The octagon, or circle, that the endoscope's optics leave of the frame: bool (H, W)."""
    y, x = np.mgrid[:height, :width]
    if at.round_picture:
        middle, radius = width * rng.uniform(0.52, 0.56), min(height, width) * rng.uniform(0.46, 0.49)
        return (x - middle) ** 2 + (y - height * rng.uniform(0.49, 0.51)) ** 2 < radius**2
    beside = np.minimum(x - width * rng.uniform(0.06, 0.12), width * rng.uniform(0.90, 0.95) - x)
    above = np.minimum(y - height * rng.uniform(0.03, 0.07), height * rng.uniform(0.95, 0.98) - y)
    return (beside > 0) & (above > 0) & (beside + above > height * rng.uniform(0.12, 0.19))


def _grow(rng, scene: Scene, form: float, size: float, around: float, along: float) -> Polyp:
    """A polyp of about the radius `size`: flat, then domed, then on a stalk as `form` goes from 0 to 1."""
    cos, sin = np.cos(around), np.sin(around)
    radius = sample(scene.relief, float32([[around]]), float32([[along]]))[0, 0]
    height, stalked = np.interp(form, [0, 0.3, 0.7, 1], [0.3, 0.6, 0.85, 0.95]), form > 0.72
    lift = rng.uniform([-0.8, -0.8, 1.3], [0.8, 0.8, 2]) if stalked else np.array([0, 0, 0.3 * height])
    return Polyp(
        base=float32([*(radius * np.array([cos, sin]) + scene.bend * along**2), along]),
        axes=float32([[-sin, cos, 0], [0, 0, 1], [-cos, -sin, 0]]),
        head=float32(size * lift),
        radii=float32(size * np.array([*rng.uniform(0.75, 1.4, 2), height])),
        stalk=float(size * rng.uniform(0.35, 0.5)) if stalked else 0.0,
        fillet=float(size * np.interp(form, [0, 0.6, 1], [0.5, 0.25, 0.15])),
        lumps=float32(
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
        forward, angle = unit(aim - eye), roll + 0.05 * swing[0]
        right = unit(np.cross(np.cos(angle) * side + np.sin(angle) * along, forward))
        pan = off * np.array([np.cos(bearing), np.sin(bearing)]) + 0.06 * swing[1:]
        forward = unit(forward - pan[0] * right - pan[1] * np.cross(forward, right))
        right = unit(right - forward * (right @ forward))
        turn = np.stack([right, np.cross(forward, right), forward], 1)
        path.append(((eye + 0.07 * distance * sway).astype(np.float32), turn.astype(np.float32)))
    return path


def _twin_hides(scene: Scene, cameras, rays: np.ndarray, views) -> bool:
    """Whether in some frame little shows of the second polyp: a lobe that the eye takes for wall."""
    for (eye, turn), (depth, hit) in zip(cameras, views, strict=True):
        whose = nearest_polyp(scene, eye[:, None, None] + turned(turn, rays) * depth)
        if (hit & (whose == 1)).sum() < 0.15 * (hit & (whose == 0)).sum():
            return True
    return False


def stage(rng, scene: Scene, window: np.ndarray, share: float, frames: int, at: Hospital):
    """Give the scene polyps, and find a camera path on which they cover about `share` of every frame.

    Returns the cameras and, for each, a coarse depth from which the full-size march can start.
    """
    height, width = window.shape
    rays = rays_of(max(32, height // 4), max(32, height // 4) * width // height, at.focal)
    seen = cv2.resize(window.astype(np.uint8), rays.shape[:0:-1], interpolation=cv2.INTER_NEAREST) > 0
    while True:
        form, around, along = rng.random(), rng.uniform(0, ROUND), rng.uniform(0.2, 2)
        twin, draw = rng.random() < 0.25, int(rng.integers(2**32))
        distance = np.interp(share, [0.005, 0.07, 0.3], [1.3, 1.0, 0.75]) * rng.uniform(0.85, 1.15)
        size = distance * np.sqrt(share * width / height / np.pi) / at.focal
        for _ in range(4):  # the same polyp, larger or smaller
            again = np.random.default_rng(draw)
            scene.polyps = [_grow(again, scene, form, size, around, along)]
            cameras = _cameras(again, scene.polyps[0], distance, frames)
            if twin:
                where = np.array([around, along]) + 2.4 * size * again.choice([-1, 1], 2)
                scene.polyps.append(_grow(again, scene, 0.5 * form, 0.55 * size, *where))
            eyes = np.stack([eye for eye, _ in cameras], 1)[:, None]
            if distances(scene, eyes)[2].min() < 0.12:
                break  # the camera would touch something
            views = [march(scene, camera, rays, np.zeros_like(rays[0]), 40) for camera in cameras]
            shares = np.array([(hit & seen).mean() for _, hit in views])
            if shares.min() > max(0.006, 0.6 * share) and shares.max() < min(0.45, 1.7 * share):
                if twin and _twin_hides(scene, cameras, rays, views):
                    scene.polyps.pop()
                    views = [march(scene, camera, rays, np.zeros_like(rays[0]), 40) for camera in cameras]
                return cameras, [depth for depth, _ in views]
            if shares.min() == 0:
                break  # hidden behind a fold or out of the frame
            size *= np.clip(np.sqrt(share / shares.mean()), 0.6, 1.5)


def remove_polyps(scene: Scene, cameras, height: int, width: int, at: Hospital) -> list[np.ndarray]:
    """Take the polyps out of a scene that was staged with them; returns the coarse depths without them.

    The cameras still look at the place, as they do after a polyp was removed or where none ever was.
    """
    for polyp in scene.polyps:
        polyp.base = polyp.base + np.float32(10 * FAR)
    rays = rays_of(max(32, height // 4), max(32, height // 4) * width // height, at.focal)
    return [march(scene, camera, rays, np.zeros_like(rays[0]), 40)[0] for camera in cameras]
