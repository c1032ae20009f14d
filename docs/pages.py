"""Which files of the repository are pages of the site, and how their links are made to lead there.

Every file stays where its readers on GitHub look for it. The build copies it to its place on the site; a link
to another page then leads to that page, one to a picture takes the picture along, one to any other file leads
to GitHub, and one that leads nowhere stops the build.
"""

import json
import os
import re
import shutil
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parent.parent
REPOSITORY = "polyp-course/polyp-course"
GITHUB = f"https://github.com/{REPOSITORY}"
SITE = "https://polyp-course.github.io/polyp-course"
COLAB = f"https://colab.research.google.com/github/{REPOSITORY}/blob/main"
PICTURES = {".png", ".gif", ".jpg", ".svg", ".webp"}

NOTEBOOKS = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "notebooks").glob("[0-9]*.ipynb"))
# The chapters of the sidebar: a file of the repository, and its place on the site.
CHAPTERS = {
    "": {"docs/index.md": "index.md", "docs/lab.md": "lab.md"},
    "Learn": {path: path for path in NOTEBOOKS}
    | {
        "notebooks/GLOSSARY.md": "notebooks/glossary.md",
        "notebooks/TEACHING.md": "notebooks/teaching.md",
    },
    "Use": {
        "docs/usage.md": "usage.md",
        "docs/results.md": "results.md",
        "polyp/run/weights/MODEL_CARD.md": "model-card.md",
        "polyp/run/weights/MODEL_CARD_clinicdb.md": "model-card-clinicdb.md",
    },
    "Data": {"data/README.md": "data/index.md"}
    | {
        path.relative_to(ROOT).as_posix(): f"data/{path.name}"
        for path in sorted((ROOT / "data").glob("*.md"))
        if path.name != "README.md"
    }
    | {"polyp/data/sample/CREDITS.md": "data/credits.md"},
    "In Python": {
        f"docs/api/{room}.rst": f"api/{room}.rst" for room in ("polyp", "data", "model", "run", "course")
    },
    "The project": {"CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"},
}
PAGES = {file: page for chapter in CHAPTERS.values() for file, page in chapter.items()}

_FENCE = re.compile(r"^(```+|~~~+).*?^\1`*[ \t]*$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")


class BrokenLink(Exception):
    """A link that leads to nothing in the repository."""


def assemble(sources: Path, for_epub: bool = False) -> None:
    """Fill a folder with everything that Sphinx reads; what was there goes."""
    shutil.rmtree(sources, ignore_errors=True)
    for file, page in PAGES.items():
        text = (ROOT / file).read_text(encoding="utf-8")
        if for_epub and page == "lab.md":
            text = f"# Laboratory\n\nIt needs a browser: <{SITE}/lab.html>\n"
        if file.endswith(".ipynb"):
            text = json.dumps(as_page(json.loads(text), file, sources, for_epub), ensure_ascii=False)
        else:
            text = with_links(text, file, sources)
        if page == "index.md":
            text += contents()
        target = sources / page
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")


def contents() -> str:
    """The sidebar, as Sphinx wants it at the end of the first page."""
    trees = []
    for chapter, pages in CHAPTERS.items():
        names = [str(PurePosixPath(page).with_suffix("")) for page in pages.values() if page != "index.md"]
        caption = [f":caption: {chapter}"] if chapter else []
        trees.append("\n".join(["```{toctree}", ":hidden:", *caption, "", *names, "```"]))
    return "\n\n" + "\n\n".join(trees) + "\n"


def with_links(text: str, file: str, sources: Path) -> str:
    """A page's Markdown with every relative link rewritten, but for what stands in blocks of code."""
    done, parts = 0, []
    for fence in [*_FENCE.finditer(text), None]:
        end = fence.start() if fence else len(text)
        parts.append(_LINK.sub(lambda link: f"]({_new_target(link[1], file, sources)})", text[done:end]))
        if fence:
            parts.append(fence[0])
            done = fence.end()
    return "".join(parts)


def _new_target(target: str, file: str, sources: Path) -> str:
    if re.match(r"[a-z]+:|#", target):
        return target
    path, hash_sign, anchor = target.partition("#")
    found = os.path.relpath((ROOT / file).parent / path, ROOT).replace(os.sep, "/")
    here = PurePosixPath(PAGES[file]).parent
    if found in PAGES:
        return os.path.relpath(PAGES[found], here).replace(os.sep, "/") + hash_sign + anchor
    if not (ROOT / found).exists():
        raise BrokenLink(f"{file}: ({target}) leads to nothing")
    if PurePosixPath(found).suffix in PICTURES:
        copy = sources / "pictures" / PurePosixPath(found).name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / found, copy)
        return os.path.relpath(f"pictures/{copy.name}", here).replace(os.sep, "/")
    kind = "tree" if (ROOT / found).is_dir() else "blob"
    return f"{GITHUB}/{kind}/main/{found}{hash_sign}{anchor}"


def as_page(notebook: dict, file: str, sources: Path, for_epub: bool) -> dict:
    """A notebook with what a page needs: its links, its way to Colab, and the words for its pictures."""
    for cell in notebook["cells"]:
        text = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            cell["source"] = with_links(text, file, sources)
        else:
            cell["metadata"]["mystnb"] = _options(cell, text)
            for output in cell["outputs"] if for_epub else []:
                if html := output.get("data", {}).get("text/html"):
                    output["data"]["text/html"] = _still("".join(html))
    title, _, rest = notebook["cells"][0]["source"].partition("\n")
    ways = f"[Open in Colab]({COLAB}/{file}){{.colab}} [On GitHub]({GITHUB}/blob/main/{file}){{.github}}"
    notebook["cells"][0]["source"] = f"{title}\n\n{ways}\n{rest}"
    return notebook


def _options(cell: dict, text: str) -> dict:
    """A picture's words and width are in its output's metadata, where MyST-NB does not look for them."""
    options: dict = {}
    if title := re.match(r"# @title (.+)", text):
        options["code_prompt_show"] = f"Show the code: {title[1]}"
        options["code_prompt_hide"] = f"Hide the code: {title[1]}"
    pictures = [
        about
        for output in cell["outputs"]
        for kind, about in output.get("metadata", {}).items()
        if kind.startswith("image/")
    ]
    if len(pictures) > 1:
        raise ValueError(f"cell {cell['id']} shows {len(pictures)} pictures; each needs a cell of its own")
    for about in pictures:
        options["image"] = {"alt": about["alt"], "width": f"{about['width']}px"}
    return options


def _still(html: str) -> str:
    """An output for a book: well-formed, without scripts; a flipbook stays at its first page."""
    from bs4 import BeautifulSoup  # the theme brings it

    soup = BeautifulSoup(html, "html.parser")
    for script in soup.find_all(["script", "style"]):
        script.decompose()
    return str(soup)
