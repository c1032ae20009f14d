"""The built site: all pages, their words, their links, and nothing from elsewhere."""

import json
import re
from html import unescape
from html.parser import HTMLParser
from typing import NamedTuple
from urllib.parse import parse_qs, unquote, urldefrag, urlsplit

import pytest
from pages import COLAB, GITHUB, NOTEBOOKS, PAGES, ROOT, BrokenLink, as_page, with_links

LOADS = {
    ("script", "src"),
    ("img", "src"),
    ("iframe", "src"),
    ("source", "src"),
    ("video", "src"),
    ("object", "data"),
}
FOREIGN = re.compile(r"(?:https?:)?//")


class Page(HTMLParser):
    """What a page says of itself: the ids, links, pictures and whatever it loads."""

    def __init__(self, text: str):
        super().__init__()
        self.ids, self.links, self.loads, self.alts, self.folded = set(), [], [], [], 0
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        said = dict(attrs)
        self.ids.add(said.get("id"))
        if tag == "a" and "href" in said:
            self.links.append(said["href"])
        if tag == "link" and said.get("rel") not in ("canonical", "next", "prev"):
            self.loads.append(said["href"])
        self.loads += [said[name] for kind, name in LOADS if kind == tag and said.get(name)]
        if tag == "img":
            self.alts.append(said.get("alt") or "")
        self.folded += tag == "details" and "above-input" in said.get("class", "")


class Pages(NamedTuple):
    by_name: dict[str, Page]
    texts: dict[str, str]


@pytest.fixture(scope="session")
def pages(site) -> Pages:
    files = {
        path.relative_to(site.folder).as_posix(): path.read_text(encoding="utf-8")
        for path in site.folder.rglob("*.html")
        if "_static" not in path.parts
    }
    return Pages({name: Page(text) for name, text in files.items()}, files)


def html_of(file: str) -> str:
    return PAGES[file].rpartition(".")[0] + ".html"


def test_it_is_built_without_a_warning(site):
    assert site.printed.strip() == str(site.folder / "index.html")
    assert sorted(path.name for path in site.folder.parent.iterdir()) == ["path"]  # nothing is left beside it


def test_every_page_is_there(site, pages):
    assert len(NOTEBOOKS) >= 13
    assert {html_of(file) for file in PAGES} <= set(pages.texts)
    assert "Amdahl" in pages.texts["notebooks/glossary.html"]
    assert "amdahl" in (site.folder / "searchindex.js").read_text(encoding="utf-8")
    assert "polyp.run.load" in pages.by_name["api/run.html"].ids


@pytest.mark.parametrize("file", NOTEBOOKS)
def test_a_notebook_keeps_its_words_folds_and_sliders(pages, file):
    cells = json.loads((ROOT / file).read_text(encoding="utf-8"))["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    words = [about["alt"] for output in outputs for about in output.get("metadata", {}).values()]
    text, page = pages.texts[html_of(file)], pages.by_name[html_of(file)]
    assert words
    assert set(words) <= set(page.alts)
    assert page.folded == sum("hide-input" in cell["metadata"].get("tags", ()) for cell in cells)
    shown = "".join("".join(output.get("data", {}).get("text/html", "")) for output in outputs)
    assert set(re.findall('id="(flipbook-.+?)"', shown)) <= page.ids
    assert f"{COLAB}/{file}" in page.links
    assert text.count("$$") == 0  # formulas are drawn
    assert text.count("<summary>Solution</summary>") == len(re.findall("<summary>Solution<", str(cells)))


def test_every_picture_has_words(pages):
    silent = {name: page.alts.count("") for name, page in pages.by_name.items() if "" in page.alts}
    assert silent == {}


def test_every_page_takes_reports(pages):
    for name, page in pages.by_name.items():
        (report,) = [link for link in page.links if link.startswith(f"{GITHUB}/issues/new?")]
        asked = parse_qs(urlsplit(report).query)
        heading = re.search("<title>(.*?)(?: &#8212;| - |</title>)", pages.texts[name].replace("\n", " "))[1]
        assert unescape(heading).strip().casefold() in asked["title"][0].casefold(), name
        assert f"({name.removesuffix('.html')})" in asked["where"][0], name


def test_links_lead_somewhere(site, pages):
    broken = []
    for name, page in pages.by_name.items():
        for link in {*page.links, *page.loads}:
            if re.match("[a-z]+:|//", link):
                continue
            path, anchor = urldefrag(link)
            path = unquote(path.partition("?")[0])
            file = (site.folder / name).parent / path if path else site.folder / name
            file = file / "index.html" if file.is_dir() else file
            if not file.is_file():
                broken.append((name, link))
            elif anchor and file.suffix == ".html":
                there = pages.by_name[file.resolve().relative_to(site.folder.resolve()).as_posix()]
                if unquote(anchor) not in there.ids:
                    broken.append((name, link))
    assert broken == []


def test_nothing_is_loaded_from_elsewhere(site, pages):
    foreign = [
        (name, link) for name, page in pages.by_name.items() for link in page.loads if FOREIGN.match(link)
    ]
    for sheet in (site.folder / "_static").rglob("*.css"):
        text = sheet.read_text(encoding="utf-8")
        foreign += [
            (sheet.name, link) for link in re.findall(r"(?:url\(|@import )['\"]?(https?:[^'\")]+)", text)
        ]
    assert foreign == []


def test_a_link_goes_to_a_page_to_github_or_nowhere(tmp_path):
    text = (
        "[a](../docs/usage.md#films) [b](refresh.py) ![c](../docs/speed.png) [d](#here)\n```\n[e](f)\n```\n"
    )
    found = with_links(text, "notebooks/GLOSSARY.md", tmp_path)
    assert found == (
        f"[a](../usage.md#films) [b]({GITHUB}/blob/main/notebooks/refresh.py) ![c](../pictures/speed.png) "
        "[d](#here)\n```\n[e](f)\n```\n"
    )
    assert (tmp_path / "pictures" / "speed.png").exists()
    with pytest.raises(BrokenLink, match=r"GLOSSARY.md: \(gone.md\)"):
        with_links("[x](gone.md)", "notebooks/GLOSSARY.md", tmp_path)


def test_the_book_has_no_scripts(tmp_path):
    file = "notebooks/00_start_here.ipynb"
    notebook = as_page(json.loads((ROOT / file).read_text(encoding="utf-8")), file, tmp_path, for_epub=True)
    shown = [
        o["data"].get("text/html", "") for c in notebook["cells"] for o in c.get("outputs", []) if "data" in o
    ]
    assert any("flipbook-" in html for html in shown)
    assert not any("<script" in html or "<br>" in html for html in shown)


def test_formulas_are_drawn_and_said(pages):
    formulas = re.findall(r'class="formula.*?</math>', pages.texts["notebooks/02_metrics.html"], re.DOTALL)
    assert len(formulas) > 20
    assert all('<svg aria-hidden="true"' in formula and "<math" in formula for formula in formulas)


def test_a_folder_of_something_else_is_not_emptied(tmp_path):
    from build import build

    (tmp_path / "diary.txt").write_text("dear diary")
    with pytest.raises(SystemExit, match="name a new folder"):
        build(tmp_path)
    assert (tmp_path / "diary.txt").exists()


def test_without_npm_one_sentence_says_what_to_install(monkeypatch):
    from build import npm

    monkeypatch.setenv("PATH", "")
    with pytest.raises(SystemExit, match=r"npm.*Node\.js"):
        npm("ci")
