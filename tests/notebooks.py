"""The notebooks as tests see them."""

import html
import re
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def read(path):
    return nbformat.read(path, as_version=4)


def tags(cell):
    return cell.metadata.get("tags", [])


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def markdown(notebook):
    return [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]


def text_of(output):
    if output.output_type == "stream":
        return output.text
    return "".join(output.get("data", {}).get("text/plain", ""))


def description_of(output):
    """What a picture or a flipbook says to those who cannot see it; None for any other output."""
    for kind, content in output.get("data", {}).items():
        if kind in ("image/png", "image/jpeg"):
            return output.metadata.get(kind, {}).get("alt", "")
        if kind == "text/html" and (picture := re.search(r'<img [^>]*alt="([^"]*)"', content)):
            return html.unescape(picture[1])
    return None


def minutes_of(notebook):
    """Reading and solving by measure: 200 words and one figure in a minute, four minutes per exercise.

    All text counts, also what is folded.
    """
    words = sum(len(text.split()) for text in markdown(notebook))
    exercises = sum("exercise" in tags(cell) for cell in code_cells(notebook))
    figures = sum(description_of(o) is not None for cell in code_cells(notebook) for o in cell.outputs)
    return words / 200 + 4 * exercises + figures


def solution_of(markdown_cell):
    found = re.search(
        r"<details>\s*<summary>Solution.*?```python\n(.*?)```.*?</details>", markdown_cell, re.DOTALL
    )
    return found[1] if found else None
