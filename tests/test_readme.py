"""The pages around the package: short, linked, and true."""

import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

import polyp
from polyp.data.synthetic import make_sequence, write_dataset
from polyp.disk import make_folder

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
SITE = "https://polyp-course.github.io/polyp-course"
COLAB = "https://colab.research.google.com/github/polyp-course/polyp-course/blob/main/notebooks/"
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "data" / "README.md"]


def test_it_is_short():
    assert len(README.splitlines()) <= 110


def test_every_notebook_has_its_row_and_badge():
    rows = [line for line in README.splitlines() if line.startswith("| [")]
    assert len(rows) == len(NOTEBOOKS)
    for path, row in zip(NOTEBOOKS, rows, strict=True):
        assert row.startswith(f"| [{path.stem}](notebooks/{path.name}) |")
        assert f"]({COLAB}{path.name}) |" in row


def test_the_modules_that_a_notebook_rebuilds_exist():
    rows = [line.split("|")[3] for line in README.splitlines() if line.startswith("| [")]
    modules = re.findall("`([a-z.]+)`", " ".join(rows))
    assert len(modules) >= 8
    for module in modules:
        assert (ROOT / "polyp" / module.replace(".", "/")).with_suffix(".py").is_file(), module


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if not target.startswith("http"):
            path, _, anchor = target.partition("#")
            file = page.parent / path if path else page
            assert file.exists(), target
            headings = (
                re.findall("^#+ (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE) if anchor else []
            )
            assert not anchor or anchor in [heading.lower().replace(" ", "-") for heading in headings], target


def test_the_lines_of_use_run(tmp_path):
    image = make_sequence(0, 0, 1, 96, 128)[0][0]
    cv2.imwrite(str(tmp_path / "frame.png"), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    shutil.copy(tmp_path / "frame.png", make_folder(tmp_path / "frames") / "1.png")
    write_dataset(tmp_path / "data" / "synthetic", sequences=5, frames=4, height=64, width=80)
    (block,) = re.findall("^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    names = {}
    exec(block, names)
    assert names["mask"].shape == (96, 128)
    assert names["mask"].dtype == np.uint8
    assert names["table"]["file"].tolist() == [str(Path("frames/1.png"))]
    for written in ("masks/1.png", "overlays/1.png", "predictions.csv"):
        assert (tmp_path / "masks" / written).is_file()
    assert [row["epoch"] for row in names["history"]] == [1, 2]


def test_the_front_door_moves_and_leads_on():
    """A moving picture of the laboratory, with words for a screen reader; one click to each of three ways."""
    alt, path, target = re.search(r"^\[!\[(.+)\]\((.+)\)\]\((.+)\)$", README, re.MULTILINE).groups()
    assert len(alt) > 40
    assert target == f"{SITE}/lab.html"
    assert (ROOT / path).stat().st_size < 250_000
    with Image.open(ROOT / path) as picture:
        assert picture.n_frames > 5
    ways = re.findall(rf"\*\*\[.+?\]\({re.escape(SITE)}/(.+?)\.html\)\*\*", README)
    assert ways == ["lab", "notebooks/00_start_here", "usage"]
    assert (ROOT / "docs" / "lab.md").is_file()
    assert (ROOT / "docs" / "usage.md").is_file()


def test_the_version_has_one_place():
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    released = re.findall(r"^## \[(\d+\.\d+\.\d+)\]", changelog, re.MULTILINE)
    assert released[0] == polyp.__version__
    for version in released:
        assert re.search(rf"^\[{re.escape(version)}\]: https://", changelog, re.MULTILINE)
    assert "version:" not in (ROOT / "CITATION.cff").read_text().replace("cff-version:", "")


def test_pre_commit_runs_the_ruff_of_the_tests():
    (rev,) = re.findall(r"rev: v(\S+)", (ROOT / ".pre-commit-config.yaml").read_text())
    assert f"ruff=={rev}" in (ROOT / "constraints.txt").read_text().splitlines()
