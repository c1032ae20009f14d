import pandas as pd
import pytest

from polyp.config import changed
from polyp.data.dataset import open_data
from polyp.data.pairs import find_pairs, read_sequences
from polyp.data.split_tables import write_grouped_split
from polyp.errors import DataError, UsageError


@pytest.fixture
def patients(frames_folder, tmp_path):
    """A table of three patients, two videos each."""
    videos = read_sequences(frames_folder)
    lines = [f"{frame};{n};P{(video - 1) // 2}" for n, (frame, video) in enumerate(videos.items())]
    path = tmp_path / "clinic.csv"
    path.write_text("frame;age;patient\n" + "\n".join(lines))
    return path, {frame: f"P{(video - 1) // 2}" for frame, video in videos.items()}


def sides(path, config):
    """For each frame its part, by training on the table."""
    table = open_data(changed(config, split_file=str(path))).table
    return dict(zip(table["frame"], table["part"], strict=True))


def test_a_column_of_any_table(frames_folder, patients, tiny, tmp_path):
    table, patient = patients
    path, story = write_grouped_split(str(frames_folder), "patient", tmp_path / "out", table)
    assert path == tmp_path / "out" / "synthetic-patient.csv"
    assert story == "3 folds, 24 frames in 3 groups by patient"
    part = sides(path, tiny)
    assert {patient[frame] for frame in part} == {"P0", "P1", "P2"}
    for name in ("P0", "P1", "P2"):
        assert len({part[frame] for frame in part if patient[frame] == name}) == 1
    assert set(part.values()) == {"train", "val", "test"}


def test_sequences_duplicates_and_a_file_beside_the_frames(frames_folder, tiny, tmp_path):
    videos = read_sequences(frames_folder)
    path, _ = write_grouped_split(str(frames_folder), "sequence", tmp_path)
    assert pd.read_csv(path).groupby("sequence")["fold"].nunique().max() == 1
    assert set(pd.read_csv(path)["sequence"]) == set(videos.values())
    path, _ = write_grouped_split(str(frames_folder), "duplicates", tmp_path)
    assert path.name == "synthetic-duplicates.csv"
    assert len(sides(path, tiny)) == 24
    pairs = find_pairs(frames_folder)
    lines = "".join(f"{p.image},{p.mask},ward{n % 3}\n" for n, p in enumerate(pairs))
    (tmp_path / "pairs.csv").write_text("image,mask,ward\n" + lines)
    with pytest.raises(
        DataError, match="at least 3 sequences"
    ):  # the wards share near-duplicates: all are one
        write_grouped_split(str(tmp_path / "pairs.csv"), "ward", tmp_path)


def test_mistakes(frames_folder, patients, tmp_path):
    folder, (table, _) = str(frames_folder), patients
    with pytest.raises(UsageError, match=r"nothing says the patient of a frame; add patients.csv"):
        write_grouped_split(folder, "patient", tmp_path)
    with pytest.raises(DataError, match=r"has no column 'pateint'; did you mean 'patient'"):
        write_grouped_split(folder, "pateint", tmp_path, table)
    with pytest.raises(DataError, match=r"gone.csv: cannot be read \(no such file\)"):
        write_grouped_split(folder, "patient", tmp_path, tmp_path / "gone.csv")
    with pytest.raises(UsageError, match="takes no --table"):
        write_grouped_split(folder, "duplicates", tmp_path, table)
    with pytest.raises(UsageError, match="several datasets"):
        write_grouped_split(f"{folder}+sample", "sequence", tmp_path)
    for text, message in (
        ("frame,patient\nx,1\n", "lists none of the frames; expected names like '1'"),
        ("frame,patient\n1,1\n", "clinic.csv lacks 23 frames"),
        ("frame,patient\n1,1\n1,2\n", "frame '1' is listed twice"),
        ("frame,patient\n1,\n2,2\n", "frame '1' has no patient"),
    ):
        table.write_text(text)
        with pytest.raises(DataError, match=message):
            write_grouped_split(folder, "patient", tmp_path, table)
