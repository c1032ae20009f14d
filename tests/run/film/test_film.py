"""Films: what is read, what is shown, and what is written."""

import json
import tracemalloc
from types import SimpleNamespace

import cv2
import numpy as np
import pandas as pd
import pytest

from polyp.__main__ import main
from polyp.errors import DataError, UsageError
from polyp.run.film.output import predict_film
from polyp.run.film.source import Film, is_film
from polyp.run.film.tracking import Findings, Smoother
from polyp.run.predictor import Predictor

HEIGHT, WIDTH, FPS = 96, 128, 10


class Bright:
    """An engine for which white is polyp."""

    size = (HEIGHT, WIDTH)

    def probs(self, image, mirror=False):
        return np.clip(image.mean(axis=2) / 255, 0, 1).astype(np.float32)

    def confirm(self, image, probs):
        raise AssertionError("a film needs no second look")


PREDICTOR = Predictor(Bright(), {"second_look": True})


def frame(*squares, side=20):
    """A dark frame with white squares at these (y, x)."""
    image = np.full((HEIGHT, WIDTH, 3), 40, np.uint8)
    for y, x in squares:
        image[y : y + side, x : x + side] = 230
    return image


def write_film(path, frames, codec="MJPG"):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), FPS, (WIDTH, HEIGHT))
    for image in frames:
        writer.write(np.ascontiguousarray(image[..., ::-1]))
    writer.release()
    return path


def moving(count=30):
    """A polyp in frames 5 to 14 that moves, one flash in frame 20, another polyp from frame 24 on."""
    shown = []
    for number in range(count):
        if 5 <= number < 15:
            shown.append(frame((20, 10 + 3 * number)))
        elif number == 20:
            shown.append(frame((60, 90)))
        else:
            shown.append(frame((60, 20)) if number >= 24 else frame())
    return shown


@pytest.fixture
def film(tmp_path):
    return write_film(tmp_path / "clip.avi", moving())


def tables(folder, name="clip"):
    frames = pd.read_csv(folder / f"{name}_frames.csv", converters={"boxes": json.loads})
    return frames, pd.read_csv(folder / f"{name}_findings.csv")


def test_what_is_written(film, tmp_path):
    result = predict_film(PREDICTOR, Film(film), tmp_path / "out", masks=True)
    frames, findings = tables(tmp_path / "out")
    assert (result.frames, result.findings, result.remark) == (30, 2, "")
    assert frames["frame"].tolist() == list(range(30))
    assert frames["second"].tolist() == [number / FPS for number in range(30)]
    shown = frames["frame"][frames["components"] > 0].tolist()
    assert shown == [*range(7, 15), *range(26, 30)]  # the third time it is there; and no flash
    assert findings[["first_frame", "last_frame", "frames"]].values.tolist() == [[7, 14, 8], [26, 29, 4]]
    assert findings["seconds"].tolist() == [0.8, 0.4]
    x, y, width, height = frames["boxes"][10][0]
    assert abs(x - 40) <= 1 and abs(y - 20) <= 1 and abs(width - 20) <= 2 and abs(height - 20) <= 2  # noqa: PT018
    masks = sorted((tmp_path / "out" / "masks" / "clip").iterdir())
    assert [path.name for path in masks] == [f"{number:06d}.png" for number in range(30)]
    drawn = Film(result.overlay)
    assert (drawn.fps, len(list(drawn))) == (FPS, 30)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        *("clip_findings.csv", "clip_frames.csv", "clip_overlay.mp4", "masks")
    ]


def test_without_smoothing_each_frame_is_on_its_own(film, tmp_path):
    predict_film(PREDICTOR, Film(film), tmp_path / "out", smooth=False)
    frames, findings = tables(tmp_path / "out")
    assert frames["frame"][frames["components"] > 0].tolist() == [*range(5, 15), 20, *range(24, 30)]
    assert len(findings) == 3


def test_it_never_looks_ahead(tmp_path):
    """The first frames of a cut film are answered as those of the whole one."""
    for name, count in (("whole", 30), ("cut", 12)):
        path = write_film(tmp_path / f"{name}.avi", moving(count))
        predict_film(PREDICTOR, Film(path), tmp_path / "out", masks=True)
    whole, cut = (tables(tmp_path / "out", name)[0] for name in ("whole", "cut"))
    pd.testing.assert_frame_equal(whole[:12], cut)
    for number in range(12):
        one, other = (tmp_path / "out" / "masks" / name / f"{number:06d}.png" for name in ("whole", "cut"))
        assert one.read_bytes() == other.read_bytes()


def test_every_nth_frame(film, tmp_path):
    result = predict_film(PREDICTOR, Film(film, every=4), tmp_path / "out")
    assert tables(tmp_path / "out")[0]["frame"].tolist() == [0, 4, 8, 12, 16, 20, 24, 28]
    assert Film(result.overlay).fps == pytest.approx(FPS / 4, rel=0.01)
    with pytest.raises(UsageError, match="--every is 0"):
        Film(film, every=0)


def test_colours_are_red_green_blue(tmp_path):
    red = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    red[..., 0] = 250
    first = next(iter(Film(write_film(tmp_path / "red.avi", [red]))))
    assert first.image[0, 0, 0] > 200 > 50 > first.image[0, 0, 2]


def test_a_region_is_shown_once_it_was_there_in_three_of_five():
    smoother, history = Smoother(), [1, 0, 1, 1, 0, 1, 1, 1, 0, 0, 0, 0, 1, 0, 0, 1, 1]
    shown = []
    for there in history:
        mask = (frame(*[(20, 20)] * there).mean(axis=2) > 128).astype(np.uint8)
        shown.append(int(smoother(mask).any()))
    expected = [int(there and sum(history[max(0, i - 4) : i + 1]) >= 3) for i, there in enumerate(history)]
    assert shown == expected


def test_two_regions_are_two_findings_that_may_pause():
    findings, ended = Findings(gap=3), []
    here, there = (frame(place).mean(axis=2) for place in ((10, 10), (60, 90)))
    for number, image in enumerate([here, here + there - 40, there, there, there, here, here * 0, here * 0]):
        mask = (image > 128).astype(np.uint8)
        ended += findings.add(number, mask, mask.astype(np.float32))
    assert ended == []
    rows = [one.row(10) for one in findings.end()]
    assert [(row["finding"], row["first_frame"], row["last_frame"], row["frames"]) for row in rows] == [
        *((1, 0, 5, 3), (2, 1, 4, 4))
    ]


def test_memory_does_not_grow_with_the_film(tmp_path):
    peaks = []
    for count in (30, 150):
        path = write_film(tmp_path / f"{count}.avi", moving(count))
        tracemalloc.start()
        predict_film(PREDICTOR, Film(path), tmp_path / "out")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 10 * HEIGHT * WIDTH * 3  # of 120 frames more; a thread may hold one or two


def test_ctrl_c_keeps_what_is_done(film, tmp_path):
    class Stops(Bright):
        looks = 0

        def probs(self, image, mirror=False):
            self.looks += 1
            if self.looks == 13:
                raise KeyboardInterrupt
            return super().probs(image)

    with pytest.raises(KeyboardInterrupt):
        predict_film(Predictor(Stops(), {}), Film(film), tmp_path / "out")
    frames, findings = tables(tmp_path / "out")
    assert len(frames) == len(list(Film(tmp_path / "out" / "clip_overlay.mp4"))) == 12
    assert findings["last_frame"].tolist() == [11]


def test_nothing_is_replaced(film, tmp_path):
    predict_film(PREDICTOR, Film(film), tmp_path / "out")
    before = {path: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    with pytest.raises(UsageError, match=r"clip_overlay.mp4: exists already"):
        predict_film(PREDICTOR, Film(film), tmp_path / "out")
    assert {path: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


def test_a_film_that_is_cut_off_is_said_to_be(film, tmp_path):
    """An AVI can be read without the index at its end, and announces its frames in front."""
    content = film.read_bytes()
    (tmp_path / "cut.avi").write_bytes(content[: len(content) * 6 // 10])
    result = predict_film(PREDICTOR, Film(tmp_path / "cut.avi"), tmp_path / "out")
    assert 10 < result.frames < 25
    assert f"cut.avi: ends after {result.frames} of 30 frames; the file may be cut off" in result.remark


def test_a_film_of_which_nothing_can_be_read_leaves_nothing(film, tmp_path):
    opened = Film(film)
    opened.capture = SimpleNamespace(grab=lambda: False, release=lambda: None, get=lambda _: 0)
    with pytest.raises(DataError, match=r"clip.avi: not one frame can be decoded"):
        predict_film(PREDICTOR, opened, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_where_no_film_can_be_written_it_is_said(film, tmp_path, monkeypatch):
    monkeypatch.setattr("polyp.run.film.output.CODEC", "none")
    with pytest.raises(DataError, match=r"clip_overlay.mp4: OpenCV cannot write it \(codec none\)"):
        predict_film(PREDICTOR, Film(film), tmp_path / "out")


def test_what_is_no_film(tmp_path):
    with pytest.raises(DataError, match=r"gone.mp4: no such file"):
        Film(tmp_path / "gone.mp4")
    (tmp_path / "text.mp4").write_text("no film")
    with pytest.raises(DataError, match=r"text.mp4: cannot be decoded; convert it, .* ffmpeg -i .*text.mp4"):
        Film(tmp_path / "text.mp4")
    with pytest.raises(DataError, match="camera 97: no such camera"):
        Film("97")
    assert is_film("a.MP4")
    assert not is_film("a.png")
    (tmp_path / "5").mkdir()
    assert not is_film(tmp_path / "5")


def test_the_command(run, film, tmp_path, capsys):
    options = ["--checkpoint", str(run.best), "--out", "out"]
    assert main(["predict", str(film), *options, "--every", "10"]) == 0
    said = capsys.readouterr()
    assert "clip: 10 frames a second" in said.out
    assert "in 3 frames: out/clip_overlay.mp4" in said.out
    assert len(tables(tmp_path / "out")[0]) == 3
    assert main(["predict", str(film), "a.png", *options]) == 2
    assert "a.png: no film; predict films and pictures apart" in capsys.readouterr().err
    assert main(["predict", str(film), *options, "--overwrite"]) == 2
    assert "--overwrite is for pictures" in capsys.readouterr().err
    (tmp_path / "text.mp4").write_text("no film")
    assert main(["predict", "text.mp4", "--out", "none"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("polyp predict: text.mp4: cannot be decoded")
    assert said.count("\n") == 1
    assert not (tmp_path / "none").exists()


def test_in_python_a_film_is_a_source_like_any(film):
    found = Predictor(Bright(), {}).predict(str(film))
    names = [one.name for one in found]
    assert names == [f"clip/{number:06d}" for number in range(30)]
