"""What every notebook keeps to, and that its exercises can be solved. nbval runs them as they stand."""

import importlib.util
import json
import math
import re
import subprocess
import sys
import tomllib
from itertools import pairwise

import pandas as pd
import pytest
from nbclient import NotebookClient
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook

from polyp.data.synthetic import write_dataset
from polyp.run.folder import RunFolder
from tests.notebooks import (
    NOTEBOOKS,
    ROOT,
    code_cells,
    description_of,
    each_notebook,
    markdown,
    minutes_of,
    read,
    solution_of,
    tags,
    text_of,
)

ADDRESS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]["Repository"]


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


@pytest.mark.parametrize("place", ["notebooks", "top", "elsewhere"])
def test_the_setup_cell_installs_the_checkout_at_hand_or_says_why_not(place, tmp_path, monkeypatch):
    """A kernel of another environment, started in the notebooks' folder or, as papermill does, above it."""
    (tmp_path / "polyp").mkdir()
    (tmp_path / "notebooks" / "elsewhere").mkdir(parents=True)
    monkeypatch.chdir({"top": tmp_path}.get(place, tmp_path / "notebooks" / place.replace("notebooks", "")))
    setup, asked = code_cells(read(NOTEBOOKS[0]))[0].source, []
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)

    def pip(command, **options):
        asked.append(command[-1])
        return subprocess.CompletedProcess(command, 1, "", "no matching distribution")

    monkeypatch.setattr(subprocess, "run", pip)
    with pytest.raises(RuntimeError, match=f"(?s){re.escape(sys.executable)}.*no matching distribution"):
        exec(setup, {})
    wanted = "[train,transfer]"
    assert asked[0] == {"notebooks": f"..{wanted}", "top": f".{wanted}"}.get(
        place, f"polyp-course{wanted} @ git+{ADDRESS}"
    )


@each_notebook
def test_the_setup_cell_is_the_same(path):
    setup, first = (code_cells(read(one))[0] for one in (path, NOTEBOOKS[0]))
    assert (setup.source, setup.metadata) == (first.source, first.metadata)
    assert "hide-input" in tags(setup)


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
    assert len(content) < 2_500_000
    assert notebook.metadata.kernelspec.name == "python3"
    assert "widgets" not in notebook.metadata
    assert not re.search(r"/(home|root|tmp|work|Users|content)/\w", content)
    for number, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", []):
            assert output.output_type != "error", number
            assert len(text_of(output).splitlines()) <= 40, number
            assert "application/vnd.jupyter.widget-view+json" not in output.get("data", {}), number
            if (alt := description_of(output)) is not None:
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
    """A notebook stripped of its outputs would pass nbval in silence; its metadata says how many it has."""
    notebook = read(path)
    compared = [
        cell
        for cell in code_cells(notebook)
        if "nbval-ignore-output" not in tags(cell)
        and any(text_of(o) for o in cell.outputs if description_of(o) is None)
    ]
    assert len(compared) >= notebook.metadata["polyp"]["compared"] >= 4


@each_notebook
def test_it_imports_from_the_face(path):
    """At most four lines of `polyp`, besides the exercises' checkers; and no room's inside."""
    lines = [
        line
        for cell in code_cells(read(path))
        for line in re.findall(r"^(?:from polyp|import polyp).*$", cell.source, re.MULTILINE)
        if "polyp.course.exercises" not in line
    ]
    assert 1 <= len(lines) <= 4
    face = r"from polyp(\.(data|model|run|course|config))? import .*"
    assert all(re.fullmatch(face, line) for line in lines), lines


@each_notebook
def test_stubs_are_answered_not_yet(path):
    exercises = [cell for cell in code_cells(read(path)) if "exercise" in tags(cell)]
    assert len(exercises) >= 3
    for cell in exercises:
        assert text_of(cell.outputs[-1]).startswith("Not yet: "), cell.source


@each_notebook
def test_every_exercise_has_a_checker_and_two_hints(path):
    """The verdicts count the checkers of the module: "2 of 4 in this notebook"."""
    notebook = read(path)
    module = importlib.import_module(f"polyp.course.exercises.notebook_{path.stem[:2]}")
    calls = [
        re.search(r"^(check_\w+)\(", cell.source, re.MULTILINE)[1]
        for cell in code_cells(notebook)
        if "exercise" in tags(cell)
    ]
    assert sorted(calls) == sorted(name for name in vars(module) if name.startswith("check_"))
    for cell, following in pairwise(notebook.cells):
        if "exercise" in tags(cell):
            folded = re.findall(r"<summary>(.*?)</summary>", following.source)
            assert folded[:3] == ["Hint 1", "Hint 2", "Solution"], cell.source


@each_notebook
def test_folded_code_is_folded_everywhere(path):
    """In JupyterLab, in Colab, whose form shows the title, and in pages made from the notebook."""
    for number, cell in enumerate(read(path).cells):
        places = {
            "JupyterLab": cell.metadata.get("jupyter", {}).get("source_hidden", False),
            "Colab": cell.metadata.get("cellView") == "form",
            "pages": "hide-input" in tags(cell),
            "title": cell.source.startswith("# @title "),
        }
        assert len(set(places.values())) == 1, f"cell {number}: {places}"


@each_notebook
def test_it_takes_an_hour_at_most_and_says_how_long(path):
    minutes = minutes_of(read(path))
    assert minutes <= 60
    said = f"{5 * math.ceil(minutes / 5)} min"
    row = next(line for line in (ROOT / "README.md").read_text().splitlines() if f"[{path.stem}]" in line)
    assert f"| {said} |" in row
    assert f"**Time:** about {said}utes to read and solve" in read(path).cells[0].source


@each_notebook
def test_it_shows_numbers_rather_than_true(path):
    lines = [
        line
        for cell in code_cells(read(path))
        for output in cell.outputs
        if description_of(output) is None
        for line in text_of(output).splitlines()
    ]
    verdicts = [line for line in lines if re.search(r"\b(True|False)\W*$", line)]
    assert len(verdicts) <= 2, verdicts


@pytest.fixture(scope="session")
def other_folder(tmp_path_factory):
    """Other frames than the default's, of another size and number."""
    folder = tmp_path_factory.mktemp("other") / "videos"
    return write_dataset(folder, seed=7, sequences=8, frames=5, height=96, width=144)


@pytest.mark.notebook
@each_notebook
def test_solved_and_with_other_parameters(path, other_folder, tmp_path):
    """With every stub replaced by its solution, on other data, it runs, and every checker says Correct."""
    notebook = load_notebook_node(str(path))
    exercises = []
    for cell, following in zip(notebook.cells, [*notebook.cells[1:], None], strict=True):
        if "exercise" in tags(cell):
            solution = solution_of(following.source)
            assert solution, f"no solution below: {cell.source}"
            call = cell.source.strip().splitlines()[-1]
            assert re.fullmatch(r"check_\w+\(.*\)", call), call
            cell.source = f"{solution}\n{call}"
            exercises.append(cell.id)
    parameters = {"data": str(other_folder), "seed": 11, **notebook.metadata["polyp"]["other"]}
    if path.stem == "06_training":
        parameters["out"] = str(tmp_path / "run")
    known = next(cell.source for cell in code_cells(notebook) if "parameters" in tags(cell))
    assert all(f"{name} = " in known for name in parameters)
    notebook = parameterize_notebook(notebook, parameters)
    # The limit is for hangs, not for load.
    NotebookClient(notebook, timeout=1200, resources={"metadata": {"path": tmp_path}}).execute()
    injected = next(cell for cell in notebook.cells if "injected-parameters" in tags(cell))
    assert all(f"{name} = " in injected.source for name in parameters)
    assert all(cell.execution_count for cell in code_cells(notebook) if cell.source)
    for cell in notebook.cells:
        if cell.id in exercises:
            assert text_of(cell.outputs[-1]).startswith("Correct: "), cell.source
    if path.stem == "06_training":
        took_its_parameters(RunFolder(tmp_path / "run"), parameters)


@pytest.mark.notebook
@each_notebook
def test_it_runs_twice_in_one_kernel(path, other_folder, tmp_path):
    """From top to bottom twice, then every cell once more from the last to the first: always the same."""
    notebook = load_notebook_node(str(path))
    parameters = {"data": str(other_folder), "seed": 11, **notebook.metadata["polyp"]["other"]}
    if path.stem == "06_training":
        parameters["out"] = str(tmp_path / "run")
    notebook = parameterize_notebook(notebook, parameters)
    cells = [number for number, cell in enumerate(notebook.cells) if cell.cell_type == "code" and cell.source]
    client = NotebookClient(notebook, timeout=1200, resources={"metadata": {"path": tmp_path}})
    seen = {}
    with client.setup_kernel():
        for again, number in [*enumerate(cells), *enumerate(cells, 1000), *enumerate(cells[::-1], 2000)]:
            cell = notebook.cells[number]
            client.execute_cell(cell, number)
            if "nbval-ignore-output" not in tags(cell):
                texts = (text_of(output) for output in cell.outputs if output.get("name") != "stderr")
                said = "".join(texts)  # one print may arrive in several pieces
                assert seen.setdefault(number, said) == said, f"cell {number}, time {1 + again // 1000}"


def took_its_parameters(run, parameters):
    config = run.config().to_dict()
    assert {name: config[name] for name in parameters.keys() & config.keys()} == {
        name: value for name, value in parameters.items() if name in config
    }
    assert len(run.log()) == parameters["epochs"]
    parts = pd.read_csv(run.path / "split.csv")["part"]
    assert run.metrics()["val"]["images"] == (parts == "val").sum()


def test_cell_ids_are_unique():
    for path in NOTEBOOKS:
        ids = [cell["id"] for cell in json.loads(path.read_text())["cells"]]
        assert len(ids) == len(set(ids)), path
