"""What the referee reads, tells apart and refuses; and the command as a newcomer meets it."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.special import logit

from polyp.__main__ import main
from polyp.data.images import write_png
from polyp.errors import DataError, UsageError
from polyp.run.scoring import VALUES, Settings, score

RNG = np.random.default_rng(5)
MASK = np.zeros((24, 32), bool)
MASK[5:15, 8:20] = True
PROBS = np.clip(MASK * 0.7 + RNG.uniform(0, 0.25, MASK.shape), 0, 1)


def polyp(*arguments):
    try:
        return main([str(a) for a in arguments])
    except SystemExit as stop:
        return stop.code


def write(folder, arrays):
    """name -> array; uint8 as PNG, anything else as NumPy's file."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in arrays.items():
        if array.dtype == np.uint8:
            write_png(folder / f"{name}.png", array)
        else:
            np.save(folder / f"{name}.npy", array)
    return folder


def grey(mask):
    return (mask * 255).astype(np.uint8)


@pytest.fixture
def truth(tmp_path):
    """masks/ with three masks and, above it, sequences.csv; no frames."""
    folder = write(tmp_path / "set" / "masks", {str(n): grey(np.roll(MASK, n, axis=1)) for n in (1, 2, 10)})
    (tmp_path / "set" / "sequences.csv").write_text("frame,sequence\n1,a\n2,a\n10,b\n")
    return folder


@pytest.fixture
def maps(tmp_path):
    return write(tmp_path / "maps", {str(n): grey(np.roll(PROBS, n, axis=1)) for n in (1, 2, 10)})


# --- Values --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stored", "values"),
    [
        (lambda p: p, "0-1"),
        (lambda p: p.astype(np.float32), "0-1"),
        (lambda p: logit(np.clip(p, 1e-6, 1 - 1e-6)), "logits"),
        (lambda p: np.rint(p * 255), "0-255"),
        (lambda p: np.rint(p * 255).astype(np.int64), "0-255"),
        (lambda p: np.rint(p * 255).astype(np.uint8), "0-255"),
        (lambda p: p[None], "0-1"),  # (1, H, W), as networks answer
        (lambda p: p[..., None], "0-1"),
    ],
)
def test_values_are_told_apart(stored, values):
    """However a map is stored, its scores are those of its probabilities."""
    found = score([stored(PROBS)], [MASK], resamples=2)
    expected = score([PROBS], [MASK], resamples=2)
    assert found.about["values"] == values
    np.testing.assert_allclose(found.table["value"], expected.table["value"], atol=0.01)


@pytest.mark.parametrize("kind", [bool, np.uint8, int, float])
def test_masks_of_zero_and_one_are_masks(kind):
    found = score([MASK.astype(kind)], [MASK], resamples=2)
    assert found.about["values"] == "0-1"
    assert found.value("image_mean", "dice") == 1


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (PROBS * 2 - 1, PROBS, "as logits or a tanh may; say what they are with --values"),
        (PROBS * 7, PROBS, "as logits or grey values may"),
        ((MASK * 2).astype(np.uint8), MASK.astype(np.uint8), "as class numbers or dark maps may"),
        ((PROBS * 60000).astype(np.uint16), grey(PROBS), "expected at most 255"),
        (PROBS, grey(PROBS), "0 holds fractions, 1 holds whole numbers; write all maps in one way"),
        (np.where(MASK, np.nan, 0), PROBS, "prediction 0: holds NaN or infinity"),
        (PROBS[None, None, None], PROBS, "expected numbers of shape"),
        (PROBS.astype(complex), PROBS, "expected numbers of shape"),
    ],
)
def test_values_that_could_be_two_things_are_refused(first, second, message):
    with pytest.raises(DataError, match=message):
        score([first, second], [MASK, MASK])


def test_what_the_user_says_of_the_values_is_checked():
    half = PROBS * 2 - 1
    assert score([half], [MASK], values="logits", resamples=2).about["values"] == "logits"
    with pytest.raises(DataError, match="not within 0-1"):
        score([half], [MASK], values="0-1")
    with pytest.raises(UsageError, match="did you mean 'logits'"):
        score([half], [MASK], values="logit")


def test_one_dark_map_is_read_like_its_set():
    """The scale is told from all maps: a map that hardly reaches 2 of 255 is unsure, not a class number."""
    found = score([(MASK * 2).astype(np.uint8), grey(PROBS)], [MASK, MASK], resamples=2)
    assert found.frames["dice"].tolist() == [0, 1]


def test_float_pictures_are_read(tmp_path, truth):
    for n in (1, 2, 10):
        (tmp_path / "tif").mkdir(exist_ok=True)
        Image.fromarray(np.roll(PROBS, n, axis=1).astype(np.float32)).save(tmp_path / "tif" / f"{n}.tif")
    assert score(tmp_path / "tif", truth).value("image_mean", "dice") == 1


# --- Truth ---------------------------------------------------------------------------------------


def test_greys_in_a_mask_are_counted_and_halved(tmp_path):
    """A JPEG's noise is nothing; a soft outline or a dark background is told, and cut above 127."""
    noisy, soft = grey(MASK), grey(MASK)
    noisy[::3] ^= 7  # 0-7, 248-255
    soft[4, 8:12], soft[0, :] = 100, 11
    found = score([MASK, MASK], write(tmp_path / "t", {"0": noisy, "1": soft}), resamples=2)
    assert found.frames["dice"].tolist() == [1, 1]
    assert "1 masks hold greys" in str(found)


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        ((PROBS * 200).astype(np.uint8), "middle grey; expected two values"),
        (grey(MASK) // 2 + grey(np.roll(MASK, 14, axis=0)), "middle grey"),  # classes 0, 127, 255
        (MASK.astype(np.uint8), "no value above 1"),
        (np.stack([grey(MASK), 0 * grey(MASK), 0 * grey(MASK)], axis=2), "a colour picture"),
    ],
)
def test_masks_of_more_than_two_values_are_refused(tmp_path, mask, message):
    with pytest.raises(DataError, match=message):
        score([MASK], write(tmp_path / "t", {"0": mask}))


def test_masks_as_arrays_are_of_two_values_too():
    assert score([MASK], [grey(MASK)], resamples=2).value("image_mean", "dice") == 1
    with pytest.raises(DataError, match="truth 0: holds 0, 1, 2; expected a mask of 0 and 1"):
        score([MASK], [MASK + 1 * np.roll(MASK, 3)])


def test_a_dataset_with_its_clean_frames(tmp_path):
    """Frames in negatives/ have no mask; their predictions are judged like the others."""
    photo = RNG.integers(0, 255, (24, 32, 3)).astype(np.uint8)
    folder = tmp_path / "data"
    write(folder / "images", {"1": photo})
    write(folder / "masks", {"1": grey(MASK)})
    write(folder / "negatives", {"vid__1": photo, "vid__2": photo})
    preds = write(tmp_path / "p", {"1": grey(MASK), "vid__1": grey(MASK), "vid__2": grey(0 * MASK)})
    found = score(preds, folder)
    assert (found.about["with_polyp"], found.about["clean"], found.about["groups"]) == (1, 2, 2)
    assert found.value("clean_marked") == 0.5
    write(preds, {"vid__2": grey(MASK)[:20]})
    with pytest.raises(DataError, match="vid__2: 32 x 20, truth 32 x 24 px"):
        score(preds, folder)


def test_a_dataset_by_name(tmp_path, monkeypatch, frames_folder):
    monkeypatch.setenv("POLYP_DATA", str(tmp_path / "all"))
    shutil.copytree(frames_folder, tmp_path / "all" / "synthetic")
    masks = shutil.copytree(frames_folder / "masks", tmp_path / "copied")
    found = score(masks, "synthetic", resamples=9)
    assert found.value("pooled", "iou") == 1
    assert (found.about["unit"], found.about["groups"]) == ("sequence", 6)


# --- Names and sizes -----------------------------------------------------------------------------


def test_sizes_that_differ_are_named(maps, truth):
    write(maps, {"2": grey(MASK).repeat(2, axis=0)})
    with pytest.raises(DataError, match=r"1 of 3 predictions .*\(2: 32 x 48, truth 32 x 24 px\); resize"):
        score(maps, truth)


def test_missing_and_surplus_files_are_listed(maps, truth):
    (maps / "2.png").rename(maps / "two.png")
    with pytest.raises(DataError, match=r"1 of 3 predictions have no truth in .*\(two\)"):
        score(maps, truth)
    (maps / "two.png").unlink()
    with pytest.raises(DataError, match=r"1 of 3 frames have no prediction \(2\); .*--subset"):
        score(maps, truth)
    assert score(maps, truth, subset=True, resamples=9).frames["frame"].tolist() == ["1", "10"]


def test_names_that_never_meet(tmp_path, maps, truth):
    for path in list(maps.iterdir()):
        path.rename(maps / f"{path.stem}_pred.png")
    with pytest.raises(DataError, match=r"no prediction has the name of a mask in .*1_pred, .* but 1, 2, 10"):
        score(maps, truth)


def test_two_files_of_one_name(maps, truth):
    np.save(maps / "1.npy", PROBS)
    with pytest.raises(DataError, match=r"1.npy and 1.png share a stem"):
        score(maps, truth)


def test_wrong_folders(tmp_path, maps, truth):
    (tmp_path / "empty").mkdir()
    shutil.copytree(maps, tmp_path / "predictions" / "masks")
    for predictions, true, message in [
        (tmp_path / "empty", truth, "empty: holds no maps"),
        (maps, tmp_path / "empty", "empty: holds no masks"),
        (tmp_path / "predictions", truth, r"holds no maps .*did you mean .*predictions/masks\?"),
        (maps, truth.parent, r"holds no masks; did you mean .*set/masks\?"),
        (tmp_path / "map", truth, r"no such folder; did you mean '.*maps'"),
        (maps / "1.png", truth, "is not a folder"),
        (maps, "cvc-clincdb", "did you mean 'cvc-clinicdb'"),
        ([], [], "no frames were given"),
    ]:
        with pytest.raises(DataError, match=message):
            score(predictions, true)
    with pytest.raises(UsageError, match="are one folder"):
        score(truth, truth.parent / "masks")


@pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n broken"])
@pytest.mark.parametrize("suffix", ["png", "tif", "npy"])
def test_a_broken_map_is_named(maps, truth, content, suffix):
    (maps / "2.png").unlink()
    (maps / f"2.{suffix}").write_bytes(content)
    with pytest.raises(DataError, match=rf"2\.{suffix}: "):
        score(maps, truth)


def test_a_pickle_is_not_opened(maps, truth):
    (maps / "2.png").unlink()
    np.save(maps / "2.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match=r"2\.npy: cannot be read"):
        score(maps, truth)


@pytest.mark.parametrize(
    "wrong",
    [{"threshold": 2}, {"min_area": 0}, {"overlap": 0}, {"tolerance": -1}, {"tolerance": float("nan")}],
)
def test_settings_out_of_range(wrong):
    with pytest.raises(UsageError, match=next(iter(wrong))):
        Settings(**wrong)


# --- Groups --------------------------------------------------------------------------------------


def test_groups_are_found_beside_the_masks(maps, truth):
    found = score(maps, truth)
    assert found.frames["group"].tolist() == ["a", "a", "b"]
    assert found.about["unit"] == "sequence"
    assert score(maps, truth, sequences=False).about["unit"] == "frame"
    (truth.parent / "sequences.csv").rename(truth / "sequences.csv")
    assert score(maps, truth).about["groups"] == 2


def test_hospitals_where_no_video_is_known(maps, truth):
    """And a frame of which neither is known stands alone."""
    (truth.parent / "sequences.csv").write_text("frame,sequence\n1,a\n")
    (truth.parent / "centres.csv").write_text("frame,centre\n1,C1\n2,C2\n")
    found = score(maps, truth)
    assert found.frames["group"].tolist() == ["sequence a", "hospital C2", "frame 10"]
    (truth.parent / "sequences.csv").unlink()
    (truth.parent / "centres.csv").write_text("frame,centre\n1,C1\n2,C2\n10,C2\n")
    assert score(maps, truth).about["unit"] == "hospital"


def test_groups_of_ones_own(tmp_path, maps, truth):
    table = tmp_path / "mine.csv"
    table.write_text("frame,patient\n1,7\n2,8\n10,8\n")
    assert score(maps, truth, sequences=table).frames["group"].tolist() == ["7", "8", "8"]
    assert score(maps, truth, sequences={"1": 1, "2": 1, "10": 1}).about["groups"] == 1
    for text, message in [
        ("frame,patient\n1,7\n", r"2 of 3 frames are not in it \(2, 10\)"),
        ("frame,patient\n1,7\n1,8\n", "'1' is listed twice"),
        ("name,patient\n1,7\n", "columns are name, patient; expected frame,sequence"),
        ("", "cannot be read"),
    ]:
        table.write_text(text)
        with pytest.raises(DataError, match=message):
            score(maps, truth, sequences=table)
    with pytest.raises(UsageError, match="2 sequences for 3 frames"):
        score(maps, truth, sequences=[1, 2])


# --- The command ---------------------------------------------------------------------------------


def test_the_page_fits_100_columns(maps, truth, capsys):
    other = shutil.copytree(maps, maps.parent / "other")
    assert polyp("score", maps, truth, "--paired", other, "--out", "frames.csv") == 0
    said = capsys.readouterr().out
    assert max(map(len, said.splitlines())) <= 100
    for words in ("PraNet toolbox", "DUCK-Net", "of which there are 2", "PAIRED"):
        assert words in said
    assert pd.read_csv("frames.csv")["frame"].tolist() == [1, 2, 10]


def test_the_page_fits_100_columns_whatever_is_in_it(maps, truth):
    """Clean frames, masks with greys, a hospital with a long name, marks too small or too many."""
    (truth.parent / "sequences.csv").unlink()
    (truth.parent / "centres.csv").write_text(f"frame,centre\n1,{'x' * 90}\n2,C2\n10,C2\n")
    write(truth, {"2": grey(0 * MASK)})
    page = str(
        score(
            maps, truth, paired=shutil.copytree(maps, maps.parent / "other"), tolerance=12.75, overlap=0.125
        )
    )
    assert max(map(len, page.splitlines())) <= 100
    assert "mean of the hospitals' means" in page
    assert "1 of 1 clean frames marked" in page
    assert "as there, clean frames have Dice 0" in page


def test_json_is_the_table(maps, truth, capsys):
    assert polyp("score", maps, truth, "--json", "--tolerance", "1") == 0
    found = json.loads(capsys.readouterr().out)
    expected = score(maps, truth, tolerance=1)
    assert [row["value"] for row in found["rows"]] == [row["value"] for row in expected.to_dict()["rows"]]
    assert found["about"]["tolerance"] == 1


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ("score", 2, "required: PREDICTIONS, TRUTH"),
        ("score maps set/masks --treshold 0.4", 2, "did you mean '--threshold'?"),
        ("score maps set/masks --threshold 4", 2, "expected a probability"),
        ("score maps set/masks --values log", 2, "did you mean 'logits'?"),
        ("score maps set/masks --by-frame --sequences s.csv", 2, "give one of them"),
        ("score maps set/masks --sequences s.csv", 1, "s.csv: no such file"),
        ("score maps set/mask", 1, "did you mean 'set/masks'?"),
        ("score maps set/masks --paired gone", 1, "gone: no such folder"),
        ("scor maps set/masks", 2, "did you mean 'score'?"),
    ],
)
def test_mistakes_on_the_command_line(maps, truth, capsys, arguments, code, message):
    assert polyp(*arguments.split()) == code
    said = capsys.readouterr()
    assert message in said.err
    assert "Traceback" not in said.err
    assert said.out == ""


def test_the_other_method_must_predict_the_same_frames(maps, truth, capsys):
    other = shutil.copytree(maps, maps.parent / "other")
    (other / "2.png").unlink()
    assert polyp("score", maps, truth, "--paired", other) == 1
    assert "--paired: 1 of 3 frames have no prediction there (2)" in capsys.readouterr().err


def test_the_choices_of_the_flag_are_the_table(capsys):
    assert polyp("score", "--help") == 0
    assert "{" + ",".join(VALUES) + "}" in capsys.readouterr().out


def test_no_torch_is_loaded(maps, truth):
    """A referee for any framework should not need one; nor wait for it."""
    code = f"from polyp.__main__ import main; main(['score', {str(maps)!r}, {str(truth)!r}])"
    code += "; import sys; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("\nFalse\n")
