"""What every notebook keeps to, and that its exercises can be solved. nbval runs them as they stand."""

import json
import re
import tomllib
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
ADDRESS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]["Repository"]
# How many outputs nbval at least compares; a notebook stripped of its outputs would pass it in silence.
COMPARED = {
    "00_start_here": 4,
    "01_dataset": 8,
    "02_metrics": 10,
    "03_unet_vs_unetpp": 8,
    "04_augmentation": 6,
    "05_building": 8,
    "06_training": 8,
    "07_prediction": 6,
    "08_honest_evaluation": 12,
    "09_transfer_learning": 15,
    "10_what_goes_wrong": 20,
}
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


def solution_of(markdown_cell):
    found = re.search(
        r"<details>\s*<summary>Solution.*?```python\n(.*?)```.*?</details>", markdown_cell, re.DOTALL
    )
    return found[1] if found else None


@each_notebook
def test_it_opens_as_they_all_do(path):
    notebook = read(path)
    first = notebook.cells[0]
    assert first.cell_type == "markdown"
    assert first.source.startswith(f"# {path.stem[:2]} ")
    for phrase in ("**You will be able to**", "**You need**", "**Time:**"):
        assert phrase in first.source, phrase
    setup, imports = code_cells(notebook)[:2]
    assert "find_spec" in setup.source
    assert f"git+{ADDRESS}" in setup.source
    assert "torch" not in setup.source.replace("never touches an installed torch", "")
    assert re.search(r"^from polyp|^import polyp", imports.source, re.MULTILINE)
    assert sum("parameters" in tags(cell) for cell in code_cells(notebook)) == 1
    assert all("polyp" not in cell.source or cell is setup for cell in code_cells(notebook)[:1])


@each_notebook
def test_it_closes_as_they_all_do(path):
    headings = re.findall(r"^## (.*)$", "\n".join(markdown(read(path))), re.MULTILINE)
    assert headings[-4:] == ["What goes wrong", "Take-aways", "Quiz", "References"]
    text = "\n".join(markdown(read(path)))
    quiz = text[text.index("## Quiz") : text.index("## References")]
    assert quiz.count("<details>") == quiz.count("</details>") >= 4


@each_notebook
def test_it_is_fit_to_be_committed(path):
    notebook, content = read(path), path.read_text()
    assert len(content) < 1_000_000
    assert notebook.metadata.kernelspec.name == "python3"
    assert "widgets" not in notebook.metadata
    assert not re.search(r"/(home|root|tmp|work|Users|content)/\w", content)
    for number, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", []):
            assert output.output_type != "error", number
            assert len(text_of(output).splitlines()) <= 40, number
            if "image/png" in output.get("data", {}):
                alt = output.metadata.get("image/png", {}).get("alt", "")
                assert len(alt) > 20, f"cell {number}: the picture has no description"
        if cell.cell_type == "markdown":
            assert not re.search(r"!\[\s*\]", cell.source), number


@each_notebook
def test_its_links_lead_somewhere(path):
    for text in markdown(read(path)):
        prose = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
        for target in re.findall(r"\]\(([^)#\s]+)", prose):
            if not target.startswith(("http://", "https://", "mailto:")):
                assert (path.parent / target).exists(), target
            elif "github.com" in target and "polyp-course" in target:
                assert target.startswith(ADDRESS)


@each_notebook
def test_enough_outputs_are_compared(path):
    compared = [
        cell
        for cell in code_cells(read(path))
        if "nbval-ignore-output" not in tags(cell)
        and any(text_of(o) for o in cell.outputs if "image/png" not in o.get("data", {}))
    ]
    assert len(compared) >= COMPARED[path.stem]


@each_notebook
def test_stubs_are_answered_not_yet(path):
    exercises = [cell for cell in code_cells(read(path)) if "exercise" in tags(cell)]
    assert len(exercises) >= 3
    for cell in exercises:
        assert text_of(cell.outputs[-1]).startswith("Not yet: "), cell.source


@each_notebook
def test_solutions_are_accepted(path):
    """The notebook with every stub replaced by its solution runs, and every checker says so."""
    notebook = read(path)
    exercises = []
    for cell, following in zip(notebook.cells, [*notebook.cells[1:], None], strict=True):
        if "exercise" in tags(cell):
            solution = solution_of(following.source)
            assert solution, f"no solution below: {cell.source}"
            call = cell.source.strip().splitlines()[-1]
            assert re.fullmatch(r"check_\w+\(.*\)", call), call
            cell.source = f"{solution}\n{call}"
            exercises.append(cell)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": path.parent}}).execute()
    for cell in exercises:
        assert text_of(cell.outputs[-1]).startswith("Correct: "), cell.source


def test_every_notebook_is_listed():
    assert {path.stem for path in NOTEBOOKS} == COMPARED.keys()


def test_cell_ids_are_unique():
    for path in NOTEBOOKS:
        ids = [cell["id"] for cell in json.loads(path.read_text())["cells"]]
        assert len(ids) == len(set(ids)), path
