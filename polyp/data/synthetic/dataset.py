"""Whole sequences, and folders of them that look like any other dataset."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np

from polyp.data.synthetic.geometry import rays_of
from polyp.data.synthetic.hospitals import HOSPITALS
from polyp.data.synthetic.rendering import develop, outline, shade, sharpen
from polyp.data.synthetic.scene import make_scene
from polyp.data.synthetic.staging import make_window, remove_polyps, stage
from polyp.disk import is_empty, new_folder
from polyp.errors import UsageError, look_up

# The polyp's share of the frame at these quantiles of the sequences, near that of real collections.
SHARES = ([0, 0.05, 0.25, 0.5, 0.75, 0.95, 1], [0.009, 0.0135, 0.036, 0.068, 0.127, 0.234, 0.36])


def _spread(seed: int, sequence: int, step: float) -> float:
    """A number in 0-1; as `sequence` counts up, they fill the range evenly, and none depends on another."""
    return float((np.random.default_rng([seed, int(step * 1e6)]).random() + sequence * step) % 1)


def _check(**counts: tuple[int, int]) -> None:
    for name, (given, least) in counts.items():
        if not isinstance(given, int | np.integer) or isinstance(given, bool) or given < least:
            raise UsageError(f"{name}={given!r}: expected a whole number, {least} or more")


def make_sequence(
    seed: int,
    sequence: int,
    frames: int = 10,
    height: int = 288,
    width: int = 384,
    hospital: str = "A",
    clean: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Render one video sequence: the same patient and polyps, seen by a slowly moving camera.

    Returns images, uint8 RGB (frames, H, W, 3) with values 0-255, and masks, uint8 (frames, H, W) with
    values 0 and 1. Polyps cover 0.3-50 % of every frame. The same arguments give the same bytes.

    Args:
        seed, sequence: which patient.
        frames, height, width: how many frames, and their size in pixels.
        hospital: a key of `HOSPITALS`: by whose endoscope the patient is seen.
        clean: the same patient without polyps; all masks are empty.

    Raises:
        UsageError: seed or sequence below 0, frames below 1, height or width below 32; no such hospital.
    """
    at = look_up(HOSPITALS, "hospital", hospital)
    _check(seed=(seed, 0), sequence=(sequence, 0), frames=(frames, 1), height=(height, 32), width=(width, 32))
    rng = np.random.default_rng([seed, sequence])
    scene = make_scene(rng, hue=_spread(seed, sequence, 0.754878))
    window = make_window(rng, height, width, at)
    share = float(np.interp(_spread(seed, sequence, 0.618034), *SHARES))
    cameras, depths = stage(rng, scene, window, share, frames, at)
    if clean:
        depths = remove_polyps(scene, cameras, height, width, at)
    near = np.percentile(np.stack(depths), 15)  # the processor sets the exposure by what is near
    exposure = np.float32(scene.exposure * (0.12 + near**2))
    rays = rays_of(height, width, at.focal)
    images, masks = [], []
    for camera, coarse in zip(cameras, depths, strict=True):
        depth, hit = sharpen(scene, camera, rays, coarse)
        light = exposure * shade(scene, camera, rays, depth, hit)
        images.append(develop(rng, light, window, scene.focus, at))
        masks.append(outline(scene, camera, rays, depth, hit & window))
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
    hospital: str = "A",
    clean: int = 0,
) -> Path:
    """Write `sequences` video sequences as a dataset and return its folder.

    `images/N.png` (RGB) and `masks/N.png` (0 and 255) are numbered from 1 through all sequences;
    `sequences.csv` (`frame,sequence`) tells which sequence, numbered from 1, frame N belongs to.
    The folder appears complete or not at all; an existing one is kept as it is.

    Args:
        seed, frames, height, width: see `make_sequence`.
        hospital: a key of `HOSPITALS`.
        clean: so many sequences more, of patients without a polyp; their frames, numbered on, lie in
            `negatives/`.

    Raises:
        UsageError: sequences or frames below 1, clean below 0, height or width below 32; no such hospital.
        DataError: the folder cannot be written.
    """
    _check(seed=(seed, 0), sequences=(sequences, 1), frames=(frames, 1), clean=(clean, 0))
    _check(height=(height, 32), width=(width, 32))
    look_up(HOSPITALS, "hospital", hospital)
    folder = Path(folder).absolute()
    if folder.is_dir() and not is_empty(folder):
        return folder

    def write_sequence(build: Path, sequence: int) -> None:
        negative = sequence > sequences
        images, masks = make_sequence(seed, sequence, frames, height, width, hospital, negative)
        for number, (image, mask) in enumerate(zip(images, masks, strict=True), (sequence - 1) * frames + 1):
            place = build / ("negatives" if negative else "images")
            _write(place / f"{number}.png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
            if not negative:
                _write(build / "masks" / f"{number}.png", 255 * mask)

    with new_folder(folder, or_existing=True) as build:
        for name in ("images", "masks", *(["negatives"] if clean else [])):
            (build / name).mkdir()
        numbers = range(1, sequences + clean + 1)
        with ThreadPoolExecutor(2) as pool:  # OpenCV and NumPy let go of the interpreter's lock
            list(pool.map(write_sequence, [build] * len(numbers), numbers))
        rows = [f"{(s - 1) * frames + k},{s}" for s in numbers for k in range(1, frames + 1)]
        (build / "sequences.csv").write_text("\n".join(["frame,sequence", *rows]) + "\n")
    return folder
