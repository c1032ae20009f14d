"""Frames from a film or a camera, by OpenCV."""

import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import cv2

from polyp.errors import DataError, UsageError
from polyp.run.prediction import Picture

os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # no lines of its own: what is wrong is said in ours
FILMS = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv", ".ogv")
CAMERA_FPS = 25.0  # where a camera does not say
CONVERT = "convert it, for example with: ffmpeg -i {} -c:v libx264 film.mp4"


def is_film(item: str | Path) -> bool:
    """Whether something to predict is a film, or the number of a camera."""
    return Path(item).suffix.lower() in FILMS or (str(item).isdigit() and not Path(item).exists())


class Film:
    """A film's frames, or a camera's, one after the other.

    Args:
        source: a file, or a camera's number.
        every: give every so many-th frame, the first included.

    Raises:
        DataError: no such file or camera, or one that OpenCV cannot decode.
    """

    def __init__(self, source: str | Path, every: int = 1):
        if every < 1:
            raise UsageError(f"--every is {every}; expected 1 or more")
        self.source, self.every = str(source), every
        self.is_camera = self.source.isdigit() and not Path(source).exists()
        self.name = f"camera_{self.source}" if self.is_camera else Path(source).stem
        if not self.is_camera and not Path(source).is_file():
            raise DataError(f"{source}: no such file")
        with _silent():
            self.capture = cv2.VideoCapture(int(self.source) if self.is_camera else self.source)
        if not self.capture.isOpened():
            what = "no such camera" if self.is_camera else "cannot be decoded"
            remedy = "cameras count from 0" if self.is_camera else CONVERT.format(self.source)
            raise DataError(f"{self._called()}: {what}; {remedy}")
        self.fps = self.capture.get(cv2.CAP_PROP_FPS) or CAMERA_FPS
        announced = int(self.capture.get(cv2.CAP_PROP_FRAME_COUNT))
        self.frames = announced if announced > 0 and not self.is_camera else None  # as the file announces
        self.read = 0  # frames so far, those between included

    def _called(self) -> str:
        return f"camera {self.source}" if self.is_camera else self.source

    @property
    def codec(self) -> str:
        """The codec's four letters, as the file has them."""
        number = int(self.capture.get(cv2.CAP_PROP_FOURCC))
        return "".join(chr((number >> 8 * byte) & 255) for byte in range(4)).strip("\0 ") or "unknown"

    def __iter__(self) -> Iterator[Picture]:
        """The frames, RGB; named by their number in the film, from 0."""
        for number in count():
            with _silent():
                there = self.capture.grab()
            if not there:
                break
            self.read = number + 1
            if number % self.every:
                continue
            there, frame = self.capture.retrieve()
            if not there or frame is None:
                raise DataError(
                    f"{self._called()}: frame {number} cannot be decoded (codec {self.codec}); "
                    + CONVERT.format(self.source)
                )
            label = f"{number:06d}"
            yield Picture(Path(self._called()) / label, f"{self.name}/{label}", frame[..., ::-1].copy())
        self.capture.release()
        if not self.read:
            raise DataError(
                f"{self._called()}: not one frame can be decoded (codec {self.codec}); "
                + CONVERT.format(self.source)
            )

    @property
    def ended_early(self) -> str:
        """What to say of a film that has fewer frames than it announces; else nothing."""
        if self.frames is None or self.read >= self.frames - max(2, self.frames // 100):
            return ""
        return f"{self._called()}: ends after {self.read} of {self.frames} frames; the file may be cut off"


class _silent:
    """Without OpenCV's own lines about devices and codecs; what is wrong is said in ours."""

    def __enter__(self) -> None:
        self.level = cv2.utils.logging.getLogLevel()
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

    def __exit__(self, *_: Any) -> None:
        cv2.utils.logging.setLogLevel(self.level)
