"""docs/results.md, the README's table and the model card's say what the committed results say."""

import re
from pathlib import Path

import pytest
from jinja2 import UndefinedError

from polyp.course import report
from polyp.course.experiments import read_result, result_names
from polyp.errors import DataError

ROOT = Path(__file__).parents[2]


def read(page):
    return (ROOT / page).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def facts():
    return report.numbers()


def test_the_results_page_is_up_to_date(facts):
    assert read(report.RESULTS) == report.render("results.md.j2", facts), "run `polyp report`"
    assert f"]({report.CHART.name})" in read(report.RESULTS)
    assert (ROOT / report.CHART).is_file()


@pytest.mark.parametrize("page", report.BLOCKS, ids=str)
def test_the_blocks_are_up_to_date(page, facts):
    block = read(page).split(report.BEGIN + "\n")[1].split(report.END)[0]
    assert block == report.render(report.BLOCKS[page], facts), "run `polyp report`"


def test_it_writes_between_the_marks_only(tmp_path, facts):
    for card in (path for path in report.BLOCKS if path.parent == report.CARDS):
        (tmp_path / report.CARDS).mkdir(parents=True, exist_ok=True)
        (tmp_path / card).write_text(report.BEGIN + report.END)
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    assert report.write_report(tmp_path) == tmp_path / report.RESULTS
    block = report.render("readme.md.j2", facts)
    assert readme.read_text(encoding="utf-8") == f"before\n{report.BEGIN}\n{block}{report.END}\nafter\n"
    assert (tmp_path / report.RESULTS).read_text(encoding="utf-8") == read(report.RESULTS)
    for picture in (report.CHART, report.SPEED):
        assert (tmp_path / picture).read_bytes().startswith(b"\x89PNG")
        assert (tmp_path / picture).stat().st_size < 150_000
    readme.write_text("no marks")
    with pytest.raises(DataError, match="expected one"):
        report.write_report(tmp_path)
    assert readme.read_text() == "no marks"


def test_a_section_needs_its_results(monkeypatch):
    """A checkout with fold 0 and one network only has neither a comparison nor an empty heading."""
    kept = [name for name in result_names() if name == "fold_0" or name.startswith("scratch_unet_")]
    monkeypatch.setattr(report, "result_names", lambda: kept)
    monkeypatch.setattr(report, "numbers_elsewhere", lambda sizes: {})
    monkeypatch.setattr(
        report, "read_seeds", lambda family: [read_result(n) for n in kept if n.rpartition("_")[0] == family]
    )
    facts = report.numbers()
    page = report.render("results.md.j2", facts)
    assert re.findall("^## (.*)$", page, re.MULTILINE) == [
        "Why the split matters",
        "Published scores",
        "Without a pretrained encoder",
        "Pruned to a level",
        "Speed",
    ]
    assert "| U-Net | 1.11 M |" in page
    assert "UNet++ with deep supervision |" not in page
    assert "mean of 5 folds" not in page
    assert report.render("readme.md.j2", facts) == ""


def test_a_template_cannot_quote_what_is_not_there():
    with pytest.raises(UndefinedError, match="'elsewhere' is undefined"):
        report.render("readme.md.j2", {})


def test_no_frame_is_predicted_by_a_network_that_saw_its_video():
    frames = report.frame_table()
    honest = frames[frames["split"] == "sequence"]
    assert not honest["frame"].duplicated().any()
    assert (honest.groupby("sequence")["fold"].nunique() == 1).all()
    folds = [read_result(name) for name in result_names() if name.startswith("fold_")]
    assert len(honest) == sum(result["test"]["images"] for result in folds)
    table = report.video_table()
    assert (table["dice"] * table["frames"]).sum() / table["frames"].sum() == pytest.approx(
        honest["dice"].mean()
    )
