"""The README says what the committed results say."""

from pathlib import Path

import pytest

from polyp.course import report
from polyp.course.experiments import read_result, result_names
from polyp.errors import DataError

ROOT = Path(__file__).parents[2]


def test_the_readme_is_up_to_date():
    text = (ROOT / "README.md").read_text()
    block = text.split(report.BEGIN + "\n")[1].split(report.END)[0]
    assert block == report.markdown(), "run `polyp report`"
    assert str(report.PICTURE) in text
    assert (ROOT / report.PICTURE).is_file()
    card = (ROOT / report.MODEL_CARD).read_text()
    assert card.split(report.BEGIN + "\n")[1].split(report.END)[0] == report.card(), "run `polyp report`"


def test_it_writes_between_the_marks_only(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / report.MODEL_CARD).parent.mkdir(parents=True)
    (tmp_path / report.MODEL_CARD).write_text(report.BEGIN + report.END)
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    report.write_report(tmp_path)
    assert readme.read_text() == f"before\n{report.BEGIN}\n{report.markdown()}{report.END}\nafter\n"
    readme.write_text("no marks")
    with pytest.raises(DataError, match="expected one"):
        report.write_report(tmp_path)
    assert readme.read_text() == "no marks"


def test_no_frame_is_predicted_by_a_network_that_saw_its_video():
    frames = report.frame_table()
    honest = frames[frames["split"] == "sequence"]
    assert not honest["frame"].duplicated().any()
    assert (honest.groupby("sequence")["fold"].nunique() == 1).all()
    folds = [read_result(name) for name in result_names() if name.startswith("fold_")]
    assert len(honest) == sum(result["test"]["images"] for result in folds)
    table = report.sequence_table()
    assert (table["dice"] * table["frames"]).sum() / table["frames"].sum() == pytest.approx(
        honest["dice"].mean()
    )
