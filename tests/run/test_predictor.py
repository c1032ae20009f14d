"""One line from whatever people have to masks."""

import threading
import tracemalloc

import numpy as np
import pytest
from PIL import Image

import polyp
from polyp.data.images import read_image
from polyp.errors import DataError, UsageError
from polyp.run import engines
from polyp.run.ahead import ahead
from polyp.run.predictor import Predictor


@pytest.fixture
def predictor(run):
    return polyp.load(run.best, precision="fp32")


@pytest.fixture
def frames(frames_folder):
    return sorted((frames_folder / "images").iterdir())[:3]


def test_every_kind_of_source_gives_the_same(predictor, frames, tmp_path):
    image = read_image(frames[0])
    expected = predictor.predict(frames[0]).mask
    assert expected.shape == image.shape[:2]
    assert expected.dtype == np.uint8
    for source in (str(frames[0]), image, Image.fromarray(image), [image], (part for part in [frames[0]])):
        np.testing.assert_array_equal(predictor.predict(source).mask, expected)
    pattern = str(frames[0].with_name(frames[0].stem[:1] + "*" + frames[0].suffix))
    np.testing.assert_array_equal(next(iter(predictor.predict(pattern))).mask, expected)
    whole = list(predictor.predict(frames[0].parent))
    assert len(whole) == 24
    mixed = list(predictor.predict([frames[0], image, Image.fromarray(image).convert("L")]))
    assert [found.name for found in mixed] == [frames[0].stem, "picture_1", "picture_2"]


def test_one_picture_has_all_at_hand(predictor, frames):
    found = predictor.predict(frames[0])
    assert found.probs.dtype == np.float32
    assert (found.probs > predictor.point.threshold).any() == bool(found.boxes)
    assert found.overlay().shape == found.image.shape
    assert found.table()["file"].tolist() == [str(frames[0])]
    assert len(list(found)) == 1  # still there


def test_save_writes_what_the_command_writes(predictor, run, frames_folder, tmp_path):
    from polyp.__main__ import main

    place = predictor.predict(frames_folder / "images").save("mine", overlays=True)
    assert (
        main(
            [
                "predict",
                str(frames_folder / "images"),
                "--checkpoint",
                str(run.best),
                "--precision",
                "fp32",
                "--overlay",
                "--out",
                "theirs",
            ]
        )
        == 0
    )
    names = [path.relative_to(tmp_path / "theirs") for path in (tmp_path / "theirs").rglob("*.*")]
    assert len(names) == 49
    assert all(
        (tmp_path / place / name).read_bytes() == (tmp_path / "theirs" / name).read_bytes() for name in names
    )


def test_a_bad_picture_is_kept_apart(predictor, frames, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"no picture")
    found = predictor.predict([frames[0], tmp_path / "bad.png", frames[1]])
    assert len(found.table()) == 2
    assert len(found.errors) == 1
    with pytest.raises(DataError, match=r"bad\.png: not a readable image"):
        predictor.predict(tmp_path / "bad.png").mask  # noqa: B018


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (5, "source is int; expected a path"),
        (np.zeros((4, 4)), r"picture_0 is float64 \(4, 4\); expected uint8 RGB"),
        ([b"x"], "picture_0 is bytes"),
    ],
)
def test_a_source_of_another_kind(predictor, source, message):
    with pytest.raises(UsageError, match=message):
        predictor.predict(source).mask  # noqa: B018


def test_options_overrule_the_model(run, frames):
    strict = polyp.load(run.best, threshold=0.999, precision="fp32")
    assert strict.point.threshold == 0.999
    assert strict.predict(frames[0]).mask.sum() == 0
    with pytest.raises(TypeError, match="treshold"):
        polyp.load(run.best, treshold=0.5)


class Lazy:
    """An engine that counts."""

    size, looks = (8, 8), 0

    def probs(self, image, mirror=False):
        self.looks += 1
        return np.zeros(image.shape[:2], np.float32)

    def confirm(self, image, probs):
        return probs


def test_nothing_is_computed_before_it_is_asked_for():
    engine = Lazy()
    asked = []

    def source():
        for number in range(100):
            asked.append(number)
            yield np.zeros((9, 9, 3), np.uint8)

    found = Predictor(engine, {}).predict(source())
    assert (engine.looks, asked) == (0, [])
    next(iter(found))
    assert engine.looks == 1
    assert len(asked) <= 3  # the next one is decoded meanwhile


def test_memory_does_not_grow_with_the_number():
    peaks = []
    for count in (20, 200):
        tracemalloc.start()
        for _ in Predictor(Lazy(), {}).predict(np.zeros((200, 300, 3), np.uint8) for _ in range(count)):
            pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 5 * 200 * 300 * 3  # of 180 pictures more; a thread may hold one


def test_ahead_keeps_the_order_and_stays_near():
    started, gate = [], threading.Semaphore(0)

    def slow(number):
        started.append(number)
        return number * 2

    found = ahead(slow, range(50), depth=3)
    assert next(found) == 0
    assert len(started) <= 4
    assert list(found) == [number * 2 for number in range(1, 50)]
    with pytest.raises(ZeroDivisionError):
        list(ahead(lambda number: 1 // number, [1, 0, 2]))
    gate.release()


def test_the_shipped_model_takes_the_faster_engine(monkeypatch):
    assert isinstance(engines.open_engine()[0], engines.OnnxEngine)
    assert isinstance(engines.open_engine(precision="bf16")[0], engines.TorchEngine)
    assert isinstance(engines.open_engine("clinicdb")[0], engines.TorchEngine)
