"""Where a ray from the camera ends: distances to the wall and the polyps, and the march along them."""

import cv2
import numpy as np

from polyp.data.synthetic.hospitals import FOCAL
from polyp.data.synthetic.scene import ROUND, TEXTURE, Polyp, Scene

FAR = 9.0  # the lamp does not reach farther


def turned(axes: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """`axes` (3, 3) times vectors (3, H, W); not by BLAS, whose rounding may depend on its threads."""
    return sum(axes[:, i, None, None] * vectors[i] for i in range(3))


def dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.einsum("i...,i...->...", a, b)


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.sqrt(dot(vectors, vectors))


def sample(texture: np.ndarray, around: np.ndarray, along: np.ndarray) -> np.ndarray:
    scale = TEXTURE / ROUND
    return cv2.remap(texture, around * scale, along * scale, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)


def on_wall(scene: Scene, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distance from the tube's axis, angle around it, and length along it, each (H, W)."""
    x, y, along = points
    radius, around = cv2.cartToPolar(x - scene.bend[0] * along**2, y - scene.bend[1] * along**2)
    return radius, around, along


def _blend(a: np.ndarray, b: np.ndarray, fillet: float) -> np.ndarray:
    """The smaller of two distances, rounded off where they meet."""
    return np.minimum(a, b) - np.square(np.maximum(fillet - np.abs(a - b), 0)) * np.float32(0.25 / fillet)


def _to_polyp(polyp: Polyp, points: np.ndarray) -> np.ndarray:
    """About the distance to the polyp's surface: a lumpy ellipsoid, joined to a capsule as its stalk."""
    local = turned(polyp.axes, points - polyp.base[:, None, None])
    head, radii = polyp.head[:, None, None], polyp.radii[:, None, None]
    offset = local - head
    waves = np.sin(offset * polyp.lumps[1:4, None, None] + polyp.lumps[4:, None, None])
    offset /= radii
    inner = np.sqrt(dot(offset, offset))
    offset /= radii
    slope = np.sqrt(dot(offset, offset)) + np.float32(1e-6)
    distance = inner * (inner - 1) / slope - polyp.lumps[0] * waves[0] * waves[1] * waves[2]
    if polyp.stalk == 0:
        return distance
    share = np.clip(dot(head, local) / dot(polyp.head, polyp.head), 0, 1)
    gap = local - head * share
    stalk = np.sqrt(dot(gap, gap)) - np.float32(polyp.stalk)
    return _blend(distance, stalk, polyp.stalk)


def nearest_polyp(scene: Scene, points: np.ndarray) -> np.ndarray:
    """Which polyp of the scene is nearest, int (H, W)."""
    return np.argmin([_to_polyp(polyp, points) for polyp in scene.polyps], axis=0)


def distances(scene: Scene, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """About the distance, each (H, W), to the wall, to the nearest polyp, and to both with their fillet."""
    radius, around, along = on_wall(scene, points)
    wall = sample(scene.relief, around, along) - radius
    polyp = np.minimum.reduce([_to_polyp(polyp, points) for polyp in scene.polyps])
    return wall, polyp, _blend(wall, polyp, scene.polyps[0].fillet)


def march(scene: Scene, camera, rays: np.ndarray, depth, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Follow each ray from `depth` on; returns the depth (H, W) reached and whether it met a polyp."""
    eye, turn = camera
    rays = turned(turn, rays)
    for _ in range(steps):
        wall, polyp, gap = distances(scene, eye[:, None, None] + rays * depth)
        depth = np.minimum(depth + np.float32(0.75) * gap, np.float32(FAR))
    # A ray that grazes the polyp's rim is still passing it: it has not met the polyp.
    return depth, (polyp < wall) & (gap < 0.015 * depth)


def rays_of(height: int, width: int, focal: float = FOCAL) -> np.ndarray:
    """Unit directions through the pixels, in the camera's own axes (right, down, forward)."""
    y, x = (np.mgrid[:height, :width] - np.array([height - 1, width - 1])[:, None, None] / 2) / (
        focal * height
    )
    return unit(np.stack([x, y, np.ones_like(x)]).astype(np.float32))
