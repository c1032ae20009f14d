"""How long the referee takes for 612 maps of 384 x 288, all rows: `python tests/run/bench_scoring.py`.

The goal is 60 s on one core. Not a test, for a busy machine would fail it.
"""

import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import cv2
import numpy as np

from polyp.data.images import write_png
from polyp.run.scoring import score

FRAMES, HEIGHT, WIDTH = 612, 288, 384


def write_frames(folder: Path) -> None:
    """Soft, noisy maps beside their masks: an ellipse each, every tenth frame clean."""
    rng = np.random.default_rng(0)
    for name in ("maps", "masks"):
        (folder / name).mkdir()
    for number in range(FRAMES):
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        if number % 10:
            centre, axes = rng.uniform((80, 60), (300, 230)), rng.uniform(15, 70, 2)
            cv2.ellipse(mask, (tuple(centre), tuple(2 * axes), float(rng.uniform(0, 180))), 255, -1)
        shift = np.float32([[1, 0, rng.normal(0, 8)], [0, 1, rng.normal(0, 8)]])
        soft = cv2.GaussianBlur(cv2.warpAffine(mask, shift, (WIDTH, HEIGHT)).astype(np.float32), (0, 0), 6)
        noisy = np.clip(soft + rng.normal(0, 4, soft.shape), 0, 255)
        write_png(folder / "masks" / f"{number}.png", mask)
        write_png(folder / "maps" / f"{number}.png", noisy.astype(np.uint8))


def main() -> None:
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_frames(folder)
        for kind, sequences in (("by frame", False), ("by sequence", [n // 21 for n in range(FRAMES)])):
            start, cpu = time.perf_counter(), time.process_time()
            score(folder / "maps", folder / "masks", sequences=sequences)
            wall, cpu = time.perf_counter() - start, time.process_time() - cpu
            print(f"{FRAMES} maps of {WIDTH} x {HEIGHT}, {kind}: {wall:.1f} s, {cpu:.1f} s of one core")


if __name__ == "__main__":
    main()
