"""The exact mask, the light that comes back to the camera, and what the video processor makes of it."""

import cv2
import numpy as np

from polyp.data.synthetic.geometry import (
    distances,
    dot,
    march,
    nearest_polyp,
    on_wall,
    sample,
    turned,
    unit,
)
from polyp.data.synthetic.hospitals import Hospital
from polyp.data.synthetic.scene import Scene, float32, ramp

THIN = 0.45  # of the square root of a polyp's area: what is narrower belongs to its stalk or foot


def sharpen(scene: Scene, camera, rays: np.ndarray, coarse: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Full-size depth and polyp mask: a few more steps from just before the coarse surface."""
    start = cv2.resize(cv2.erode(coarse, np.ones((3, 3), np.uint8)), rays.shape[:0:-1])
    depth, hit = march(scene, camera, rays, 0.96 * start, 11)
    return depth, cv2.medianBlur(hit.astype(np.uint8), 5) > 0  # a rim without single stray pixels


def outline(scene: Scene, camera, rays: np.ndarray, depth: np.ndarray, hit: np.ndarray) -> np.ndarray:
    """The mask, uint8 (H, W): of each polyp the surface in view, in one piece and without its thin parts.

    A stalk that shows beside its head, or a sliver of a foot, is polyp by construction; in the picture it
    cannot be told from the wall, and nobody would outline it.
    """
    eye, turn = camera
    whose = nearest_polyp(scene, eye[:, None, None] + turned(turn, rays) * depth)
    mask = np.zeros(hit.shape, np.uint8)
    for polyp in range(len(scene.polyps)):
        seen = (hit & (whose == polyp)).astype(np.uint8)
        across = int(THIN * np.sqrt(seen.sum())) | 1
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (across, across))
        seen = cv2.morphologyEx(seen, cv2.MORPH_OPEN, disc)
        _, pieces, boxes, _ = cv2.connectedComponentsWithStats(seen)
        mask |= (pieces == 1 + np.argmax(boxes[1:, cv2.CC_STAT_AREA])) & seen if len(boxes) > 1 else 0
    return mask


def _normals(scene: Scene, points: np.ndarray) -> np.ndarray:
    """Unit normals: the direction in which the distance to everything grows."""
    here = distances(scene, points)[2]
    steps = 0.015 * np.eye(3, dtype=np.float32)[:, :, None, None]
    return unit(np.stack([distances(scene, points + step)[2] - here for step in steps]) + np.float32(1e-7))


def shade(scene: Scene, camera, rays: np.ndarray, depth: np.ndarray, hit: np.ndarray) -> np.ndarray:
    """The light (H, W, 3) that comes back along the rays from a lamp next to the lens."""
    eye, turn = camera
    rays = turned(turn, rays)
    points = eye[:, None, None] + rays * depth
    normal = _normals(scene, points)
    facing = np.clip(-dot(normal, rays), 0, 1)
    hollow = 1 - np.clip(distances(scene, points + np.float32(0.14) * normal)[2] / 0.13, 0, 1)
    _, around, along = on_wall(scene, points)
    polyp = cv2.GaussianBlur(hit.astype(np.float32), (0, 0), 0.8)[..., None]

    # Vessels, stool and foam belong to the wall; a polyp has fine pits that follow its own axes.
    own = turned(scene.polyps[0].axes, points - scene.polyps[0].base[:, None, None])
    u, v = np.where(hit, own[:2] + 0.6 * own[2], np.stack([around, along])).astype(np.float32)
    pits = sample(scene.grain, 1.7 * u, 1.7 * v)[..., None]
    mottle, vessels, stool, foam = (
        sample(texture, around, along)[..., None]
        for texture in (scene.mottle, scene.vessels, scene.stool, scene.foam)
    )
    albedo = scene.mucosa * (1 + mottle * float32([0.05, 0.12, 0.11]))
    albedo *= 1 + polyp * (scene.tint + pits * float32([0.03, 0.06, 0.06]))
    albedo *= 1 - (1 - 0.9 * polyp) * vessels * scene.vessel_tint
    albedo += (1 - polyp) * stool * (scene.stool_colour * (1 + 0.15 * pits) - albedo)
    albedo += (1 - polyp) * foam * np.float32(0.35)
    albedo *= 1 - hollow[..., None] * float32([0.1, 0.3, 0.3])  # light that creeps into a groove is red
    light = (0.2 + 0.8 * facing) * (1 - 0.55 * hollow) / (0.12 + depth**2)

    # The wet film is uneven, so its highlights break up into blobs, and only where it is wet.
    tilt = np.stack([sample(scene.grain, u + shift, v) for shift in (0, 2, 4)])
    glance = -dot(unit(normal + np.float32(scene.film) * tilt), rays)
    glint = ramp(0.985, 0.996, glance) * ramp(-0.2, 1.5, mottle[..., 0]) / (0.3 + depth)
    return albedo * light[..., None] + glint[..., None] * float32([4, 3.9, 3.6])


def develop(rng, light: np.ndarray, window: np.ndarray, focus: float, at: Hospital) -> np.ndarray:
    """What the video processor makes of the light (H, W, 3): exposure, blur, noise and the black border."""
    scale = window.shape[0] / 288
    light = light * float32(at.light)
    light = light + 0.1 * cv2.GaussianBlur(np.maximum(light - 1, 0), (0, 0), 4 * scale + 0.1)
    picture: np.ndarray = (1 - np.exp(-1.6 * light)) ** np.float32(0.7)
    focus *= at.blur * (rng.uniform(2, 3.5) if rng.random() < 0.12 else 1)
    picture = cv2.GaussianBlur(picture, (0, 0), focus * scale)
    if rng.random() < 0.2:  # a fast movement
        drift = np.zeros((15, 15), np.float32)
        reach = rng.uniform(-5, 5, 2) * min(scale, 1)
        cv2.line(drift, tuple((7 - reach).astype(int).tolist()), tuple((7 + reach).astype(int).tolist()), 1)
        picture = cv2.filter2D(picture, -1, drift / drift.sum())
    edge = cv2.GaussianBlur(window.astype(np.float32), (0, 0), 0.7)[..., None]
    noise = rng.standard_normal(picture.shape, np.float32) * np.float32(at.noise)
    return np.clip(255 * picture * edge + 8 * (1 - edge) + noise + 0.5, 0, 255).astype(np.uint8)
