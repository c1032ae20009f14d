"""The pages in data/: one for each real dataset, which says what a user must know before using it."""

import re
from pathlib import Path

import pytest

from polyp.data.known import DATASETS

FOLDER = Path(__file__).parents[2] / "data"
CARDS = {name: FOLDER / f"{name}.md" for name in DATASETS if name != "synthetic"}
card = pytest.mark.parametrize("path", CARDS.values(), ids=CARDS)


def test_every_dataset_has_its_page_and_its_row():
    rows = re.findall(
        r"^\| \[`(.+?)`\]\((.+?)\) \|", (FOLDER / "README.md").read_text(encoding="utf-8"), re.M
    )
    assert dict(rows) == {"synthetic": "#synthetic"} | {name: path.name for name, path in CARDS.items()}


@card
def test_a_page_tells_what_one_must_know(path):
    text = path.read_text(encoding="utf-8")
    assert re.findall(r"^\| (\w+) \|", text, re.M) == ["for", "frames", "groups", "terms"]
    parts = re.findall(r"^\*\*([\w ]+)\.?\*\*", text, re.M)
    assert parts == ["Get it", "Layout", "Defects", "Cite"]
    assert "https://doi.org/10." in text.split("**Cite**")[1]
    assert str(DATASETS[path.stem].pairs) in re.search(r"^\| frames \|(.*)", text, re.M)[1]


@card
def test_its_links_within_the_project_lead_somewhere(path):
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8")):
        assert target.startswith("http") or (path.parent / target).is_file(), target
