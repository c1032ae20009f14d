"""The synthetic sequences: repeatable, varied, exact, and not solvable by colour."""

import csv
import hashlib
import subprocess
import sys

import cv2
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB

from polyp.data import synthetic
from polyp.data.images import list_images, read_image
from polyp.data.masks import read_mask
from polyp.data.pairs import find_pairs, read_sequences
from polyp.data.synthetic import HOSPITALS, make_sequence, write_dataset
from polyp.data.synthetic.geometry import rays_of
from polyp.data.synthetic.staging import make_window
from polyp.errors import DataError, UsageError

SEQUENCES, FRAMES = 12, 10


def digest(*arrays: np.ndarray) -> str:
    return hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()


def files_in(folder) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.png")}


@pytest.fixture(scope="module")
def default_set() -> tuple[np.ndarray, np.ndarray]:
    """The default set's 12 x 10 frames at a third of its size: (120, 96, 128, 3) and (120, 96, 128)."""
    pairs = [make_sequence(0, sequence, FRAMES, 96, 128) for sequence in range(1, SEQUENCES + 1)]
    return np.concatenate([images for images, _ in pairs]), np.concatenate([masks for _, masks in pairs])


def test_shapes_types_and_values():
    images, masks = make_sequence(3, 2, frames=2)
    assert images.shape == (2, 288, 384, 3)
    assert images.dtype == np.uint8
    assert masks.shape == (2, 288, 384)
    assert masks.dtype == np.uint8
    assert set(np.unique(masks)) == {0, 1}
    assert all(0.003 <= mask.mean() <= 0.5 for mask in masks)


@pytest.mark.parametrize(("height", "width"), [(32, 32), (97, 131), (40, 160), (160, 40)])
def test_any_size(height, width):
    for sequence in range(2):
        images, masks = make_sequence(1, sequence, 1, height, width)
        assert images.shape == (1, height, width, 3)
        assert 0.003 <= masks.mean() <= 0.5


def test_same_seed_same_bytes_in_another_process_and_with_another_thread_count():
    code = (
        "import cv2, hashlib; cv2.setNumThreads(1); from polyp.data.synthetic import make_sequence as make;"
        "print(hashlib.sha256(b''.join(a.tobytes() for a in make(5, 4, 2, 97, 131))).hexdigest())"
    )
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert other.stdout.strip() == digest(*make_sequence(5, 4, 2, 97, 131))


def test_other_seed_or_sequence_gives_other_frames():
    given = {digest(*make_sequence(seed, sequence, 1, 48, 64)) for seed in (0, 1) for sequence in (1, 2)}
    assert len(given) == 4


def test_sequences_do_not_depend_on_how_many_are_made(tmp_path):
    few = files_in(write_dataset(tmp_path / "few", 2, sequences=2, frames=2, height=48, width=64))
    many = files_in(write_dataset(tmp_path / "many", 2, sequences=4, frames=2, height=48, width=64))
    assert len(many) == 2 * len(few) == 16
    assert few.items() <= many.items()


def test_areas_spread_like_those_of_real_collections(default_set):
    share = default_set[1].mean((1, 2))
    assert share.min() >= 0.003
    assert share.max() <= 0.5
    assert share.min() < 0.02
    assert share.max() > 0.2
    assert 0.04 < np.median(share) < 0.11


@pytest.mark.parametrize("seed", [1, 2])
def test_every_seed_keeps_the_bounds(seed):
    share = np.stack([make_sequence(seed, s, 3, 48, 64)[1].mean((1, 2)) for s in range(1, 7)])
    assert share.min() >= 0.003
    assert share.max() <= 0.5


def test_frames_are_nearer_to_their_own_sequence_than_to_others(default_set):
    small = np.stack([cv2.resize(image, (32, 24), interpolation=cv2.INTER_AREA) for image in default_set[0]])
    flat = small.reshape(len(small), -1).astype(np.float32)
    distance = np.linalg.norm(flat[:, None] - flat[None], axis=2)
    own = np.arange(len(flat)) // FRAMES
    same = own[:, None] == own[None]
    neighbours = np.abs(np.subtract.outer(np.arange(len(flat)), np.arange(len(flat)))) == 1
    apart = np.where(same, np.inf, distance).min()
    assert distance[neighbours & same].max() < apart
    assert distance[same & (distance > 0)].min() > 0  # a video, not one picture repeated


def test_the_black_border_frames_every_image(default_set):
    images, masks = default_set
    for corner in (np.s_[:, :6, :6], np.s_[:, :6, -6:], np.s_[:, -6:, :6], np.s_[:, -6:, -6:]):
        assert images[corner].max() < 30
        assert masks[corner].max() == 0
    assert images[:, 40:56, 50:78].mean() > 40


def mean_iou(predicted: np.ndarray, masks: np.ndarray) -> float:
    both, either = (predicted & masks).sum((1, 2)), (predicted | masks).sum((1, 2))
    return float((both / np.maximum(either, 1)).mean())


def channels(images: np.ndarray) -> np.ndarray:
    """R, G, B, H, S, V, L, a and b of each pixel: (N, H, W, 9)."""
    spaces = [
        np.concatenate(
            [image, *(cv2.cvtColor(image, to) for to in (cv2.COLOR_RGB2HSV, cv2.COLOR_RGB2LAB))], 2
        )
        for image in images
    ]
    return np.stack(spaces)


def test_no_threshold_on_one_channel_finds_the_polyps(default_set):
    images, masks = default_set
    masks = masks.astype(bool)
    for channel in np.moveaxis(channels(images), -1, 0):
        for threshold in np.unique(np.percentile(channel, range(2, 100, 4))):
            assert mean_iou(channel > threshold, masks) < 0.5
            assert mean_iou(channel <= threshold, masks) < 0.5


@pytest.mark.parametrize(
    "model",
    [GaussianNB(), LogisticRegression(class_weight="balanced", max_iter=300)],
    ids=["bayes", "logistic"],
)
def test_no_colour_classifier_finds_the_polyps(default_set, model):
    """Trained on the odd sequences, tested on the even, with the probability cut at its best in hindsight."""
    images, masks = default_set
    colours = channels(images).astype(np.float32) / 255
    odd = np.arange(len(images)) // FRAMES % 2 == 0
    model.fit(colours[odd].reshape(-1, 9)[::37], masks[odd].reshape(-1)[::37])
    likely = model.predict_proba(colours[~odd].reshape(-1, 9))[:, 1].reshape(masks[~odd].shape)
    best = max(mean_iou(likely > cut, masks[~odd].astype(bool)) for cut in np.linspace(0.05, 0.95, 19))
    assert best < 0.5


def test_the_first_hospital_is_the_default_and_the_second_looks_otherwise():
    """The same patient: B's light is colder, its picture softer and round, its view narrower."""
    (a, a_masks), (b, b_masks) = (make_sequence(6, 2, 2, 96, 128, hospital) for hospital in "AB")
    assert digest(a, a_masks) == digest(*make_sequence(6, 2, 2, 96, 128))
    tint = [images[:, 24:72, 40:90].reshape(-1, 3).mean(0) for images in (a, b)]
    assert tint[0][0] / tint[0][2] > 1.5 * tint[1][0] / tint[1][2]  # red to blue
    windows = [make_window(np.random.default_rng(0), 96, 128, at) for at in HOSPITALS.values()]
    tall, wide = ([window.any(axis).sum() for window in windows] for axis in (1, 0))
    assert wide[0] > tall[0] + 10  # an octagon
    assert abs(wide[1] - tall[1]) <= 1  # a circle
    assert b[:, :, :14].max() < 60
    assert b_masks[:, :, :14].max() == 0
    assert all(0.003 <= mask.mean() <= 0.5 for mask in b_masks)
    assert HOSPITALS["B"].focal > HOSPITALS["A"].focal
    assert rays_of(96, 128, HOSPITALS["B"].focal)[0].max() < rays_of(96, 128)[0].max()


def test_without_polyps_the_same_wall_is_seen():
    images, masks = make_sequence(3, 5, 1, 96, 128)
    clean, none = make_sequence(3, 5, 1, 96, 128, clean=True)
    assert none.shape == masks.shape
    assert none.max() == 0
    gone = np.abs(images.astype(int) - clean)[masks > 0].mean()
    assert gone > 10  # where the polyp was, something else is seen
    assert clean.std() > 10


@pytest.mark.parametrize("hospital", HOSPITALS)
def test_frames_without_a_polyp_lie_in_negatives(tmp_path, hospital):
    folder = write_dataset(tmp_path / "set", 4, 2, 2, 48, 64, hospital=hospital, clean=3)
    pairs = find_pairs(folder)
    assert [pair.frame for pair in pairs] == [str(n) for n in range(1, 11)]
    assert [pair.mask is None for pair in pairs] == [False] * 4 + [True] * 6
    assert read_sequences(folder) == {str(n): (n + 1) // 2 for n in range(1, 11)}
    clean, _ = make_sequence(4, 4, 2, 48, 64, hospital, clean=True)
    np.testing.assert_array_equal(read_image(folder / "negatives" / "7.png"), clean[0])
    few = write_dataset(tmp_path / "few", 4, 2, 2, 48, 64, hospital=hospital)
    assert not (few / "negatives").exists()
    assert files_in(few).items() <= files_in(folder).items()


def test_no_such_hospital(tmp_path):
    for make in (
        lambda: make_sequence(0, 1, 1, 48, 64, "C"),
        lambda: write_dataset(tmp_path / "set", hospital="C"),
    ):
        with pytest.raises(UsageError, match="unknown hospital 'C'"):
            make()
    assert list(tmp_path.iterdir()) == []


def test_dataset_on_disk(tmp_path):
    folder = write_dataset(tmp_path / "new" / "set", 4, sequences=3, frames=2, height=48, width=64)
    assert folder == tmp_path / "new" / "set"
    assert [path.name for path in list_images(folder / "images")] == [f"{n}.png" for n in range(1, 7)]
    assert [path.name for path in list_images(folder / "masks")] == [f"{n}.png" for n in range(1, 7)]
    with open(folder / "sequences.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["frame"], row["sequence"]) for row in rows] == [
        (str(n + 1), str(n // 2 + 1)) for n in range(6)
    ]
    images, masks = make_sequence(4, 2, 2, 48, 64)
    np.testing.assert_array_equal(read_image(folder / "images" / "3.png"), images[0])
    np.testing.assert_array_equal(read_mask(folder / "masks" / "4.png"), masks[1])
    assert set(np.unique(cv2.imread(str(folder / "masks" / "4.png"), cv2.IMREAD_UNCHANGED))) == {0, 255}
    assert [path.name for path in folder.parent.iterdir()] == ["set"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_interrupted_call_leaves_nothing(tmp_path, monkeypatch, error):
    real = synthetic.dataset._write

    def fail_on_the_fourth(path, pixels):
        if path.name == "4.png":
            raise error("stop")
        real(path, pixels)

    monkeypatch.setattr(synthetic.dataset, "_write", fail_on_the_fourth)
    with pytest.raises(error):
        write_dataset(tmp_path / "set", sequences=3, frames=2, height=48, width=64)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_dataset_is_kept_and_nothing_is_rendered(tmp_path, monkeypatch):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "theirs").touch()
    monkeypatch.setattr(synthetic.dataset, "make_sequence", None)
    assert write_dataset(tmp_path / "set") == tmp_path / "set"
    assert [path.name for path in (tmp_path / "set").iterdir()] == ["theirs"]


def test_of_two_calls_at_once_the_first_dataset_is_kept(tmp_path, monkeypatch):
    real = synthetic.dataset._write

    def someone_is_faster(path, pixels):
        (tmp_path / "set").mkdir(exist_ok=True)
        (tmp_path / "set" / "theirs").touch()
        real(path, pixels)

    monkeypatch.setattr(synthetic.dataset, "_write", someone_is_faster)
    folder = write_dataset(tmp_path / "set", sequences=1, frames=1, height=48, width=64)
    assert [path.name for path in folder.iterdir()] == ["theirs"]
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_a_file_in_the_way_is_reported(tmp_path):
    (tmp_path / "set").write_text("mine")
    with pytest.raises(DataError, match=r"set: could not be written \(Not a directory\)"):
        write_dataset(tmp_path / "set", sequences=1, frames=1, height=48, width=64)
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"sequences": 0}, r"sequences=0: expected a whole number, 1 or more"),
        ({"frames": 0}, r"frames=0: expected a whole number, 1 or more"),
        ({"height": 31}, r"height=31: expected a whole number, 32 or more"),
        ({"width": 0}, r"width=0: expected a whole number, 32 or more"),
        ({"seed": -1}, r"seed=-1: expected a whole number, 0 or more"),
        ({"frames": 2.5}, r"frames=2.5: expected a whole number, 1 or more"),
        ({"clean": -1}, r"clean=-1: expected a whole number, 0 or more"),
    ],
)
def test_values_out_of_range_are_usage_errors(tmp_path, wrong, message):
    with pytest.raises(UsageError, match=message):
        write_dataset(tmp_path / "set", **wrong)
    if not {"sequences", "clean"} & set(wrong):
        with pytest.raises(UsageError, match=message):
            make_sequence(**{"seed": 0, "sequence": 1, **wrong})
    assert list(tmp_path.iterdir()) == []


def test_a_mask_is_what_an_observer_would_outline():
    """Of every polyp one piece; without thin parts, or a second polyp of which little shows."""
    for sequence in range(1, 13):
        for mask in make_sequence(0, sequence, 2, 144, 192)[1]:
            count, _, boxes, _ = cv2.connectedComponentsWithStats(mask)
            areas = np.sort(boxes[1:, cv2.CC_STAT_AREA])
            assert 1 <= count - 1 <= 2
            assert areas[0] >= 0.1 * areas[-1]
            thin = int(0.3 * np.sqrt(areas[0])) | 1
            disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (thin, thin))
            assert cv2.morphologyEx(mask, cv2.MORPH_OPEN, disc).sum() > 0.97 * mask.sum()
