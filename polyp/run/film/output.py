"""A film predicted: an overlay film and two tables that grow, in constant memory."""

import csv
import json
import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from polyp.disk import make_folder
from polyp.errors import DataError, UsageError
from polyp.run.ahead import ahead
from polyp.run.film.source import Film
from polyp.run.film.tracking import Finding, Findings, Smoother
from polyp.run.output import write_picture
from polyp.run.prediction import Prediction
from polyp.run.predictor import Predictor

KEPT = ("area_share", "components", "mean_probability", "doubt")  # of a picture's row, for a frame's
CODEC = "mp4v"  # which every build of OpenCV can write


class FilmResult(NamedTuple):
    """What `predict_film` has written."""

    frames: int
    findings: int
    overlay: Path
    remark: str  # of a film that ends early


def predict_film(
    predictor: Predictor,
    film: Film,
    folder: str | Path,
    *,
    smooth: bool = True,
    masks: bool = False,
    progress: bool = False,
) -> FilmResult:
    """Predict a film: `NAME_overlay.mp4`, `NAME_frames.csv`, `NAME_findings.csv`, on request masks.

    The tables grow with the film, so that what is done stays whatever happens; the overlay film appears at
    its end. Regions are judged by the frames before, not by a second look.

    Args:
        predictor: see `predictor.load`.
        film: where the frames come from.
        folder: where to; created.
        smooth: show a region only once it was there in 3 of the last 5 frames, see `Smoother`.
        masks: write `masks/NAME/NUMBER.png`, 0 and 255.
        progress: show a bar.

    Raises:
        UsageError: one of these files is there already.
        DataError: a film that cannot be decoded; a folder that cannot be written to; a full disk.
    """
    from tqdm import tqdm

    folder = make_folder(folder)
    overlay, frames, findings = (folder / f"{film.name}{end}" for end in ENDINGS)
    for path in (overlay, frames, findings):
        if path.exists():
            raise UsageError(f"{path}: exists already; name another folder with --out")
    if masks:
        make_folder(folder / "masks" / film.name)
    fast = Predictor(predictor.engine, predictor.metadata, predictor.point._replace(second_look=False))
    smoother, following, done = Smoother() if smooth else None, Findings(film.fps), 0
    total = None if film.frames is None else -(-film.frames // film.every)
    stream = _frames_of(fast, film)
    bar = tqdm(stream, total=total, unit="frame", leave=False, disable=not progress)
    try:
        with (
            _Table(frames) as rows,
            _Table(findings) as ended,
            _Overlay(overlay, film.fps / film.every) as drawn,
        ):
            rows.head("frame", "second", "area_share", "components", "boxes", "mean_probability", "doubt")
            ended.head(*Finding(0, 0, 0, 0, 0.0, 0.0, np.zeros(0)).row(1.0))
            try:
                for found in bar:
                    number = int(found.file.name)
                    if smoother:
                        found = replace(found, mask=smoother(found.mask))
                    row = found.row()
                    kept = {
                        name: row[name] for name in ("area_share", "components", "mean_probability", "doubt")
                    }
                    second = round(number / film.fps, 3)
                    rows.add({"frame": number, "second": second, "boxes": json.dumps(row["boxes"])} | kept)
                    for one in following.add(number, found.mask, found.probs):
                        ended.add(one.row(film.fps))
                    drawn.add(found)
                    if masks:
                        write_picture(folder / "masks" / f"{found.name}.png", found.mask * 255)
                    done += 1
            finally:  # Ctrl-C is how a camera's film ends
                for one in following.end():
                    ended.add(one.row(film.fps))
    finally:
        if not done:  # a film of which nothing can be read leaves nothing that would block the next start
            for path in (frames, findings):
                path.unlink(missing_ok=True)
    return FilmResult(done, following.all, overlay, film.ended_early)


ENDINGS = ("_overlay.mp4", "_frames.csv", "_findings.csv")


def _frames_of(predictor: Predictor, film: Film) -> Iterator[Prediction]:
    """The predictions, while the next frames are decoded on a thread of their own."""
    frames = iter(film)
    decoded = ahead(lambda _: next(frames, None), count())
    pictures = iter(lambda: next(decoded), None)
    for found in predictor.stream_decoded(pictures):
        if isinstance(found, DataError):
            raise found
        yield found


class _Table:
    """A CSV file that grows line by line."""

    def __init__(self, path: Path):
        self.path = path

    def __enter__(self) -> "_Table":
        try:
            self.file = self.path.open("x", newline="", encoding="utf-8")
        except OSError as error:
            raise DataError(f"{self.path}: could not be written ({error.strerror})") from None
        return self

    def __exit__(self, *_: Any) -> None:
        self.file.close()

    def head(self, *names: str) -> None:
        self.csv = csv.DictWriter(self.file, names, lineterminator="\n")
        self.csv.writeheader()

    def add(self, row: dict[str, Any]) -> None:
        try:
            self.csv.writerow(row)
            self.file.flush()
        except OSError as error:
            raise DataError(
                f"{self.path}: could not be written ({error.strerror}); free some space"
            ) from None


class _Overlay:
    """The film with outlines, encoded on a thread of its own; it has its name when it is whole."""

    def __init__(self, path: Path, fps: float):
        self.path, self.fps = path, fps
        self.draft = path.with_name(f".{path.stem}.{os.getpid()}.tmp{path.suffix}")
        self.writer: cv2.VideoWriter | None = None
        self.size = (0, 0)
        self.pool = ThreadPoolExecutor(1)
        self.last: Future | None = None

    def __enter__(self) -> "_Overlay":
        return self

    def __exit__(self, *_: Any) -> None:
        self.pool.shutdown()
        if self.writer is not None:
            self.writer.release()
            if self.draft.exists():  # not where it could not even be begun
                os.replace(self.draft, self.path)

    def add(self, found: Prediction) -> None:
        if self.writer is None:
            height, width = found.mask.shape
            self.size = (width // 2 * 2, height // 2 * 2)  # encoders want even sides
            self.writer = cv2.VideoWriter(
                str(self.draft), cv2.VideoWriter.fourcc(*CODEC), self.fps, self.size
            )
            if not self.writer.isOpened():
                raise DataError(
                    f"{self.path}: OpenCV cannot write it (codec {CODEC}); is the folder writable?"
                )
        if self.last is not None:
            self.last.result()  # at most one frame waits
        self.last = self.pool.submit(self._write, found)

    def _write(self, found: Prediction) -> None:
        drawn = found.overlay()
        if drawn.shape[1::-1] != self.size:  # odd sides, or a film whose frames change their size
            drawn = cv2.resize(drawn, self.size, interpolation=cv2.INTER_AREA)
        assert self.writer is not None  # made before
        self.writer.write(np.ascontiguousarray(drawn[..., ::-1]))
