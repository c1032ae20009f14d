"""Notebooks as parameterised runs: what papermill may change, and what is refused at once."""

import ast
import os

import pytest
from papermill.translators import papermill_translators

from polyp.config import setting_fields
from polyp.errors import UsageError
from tests.notebooks import NOTEBOOKS, ROOT, code_cells, each_notebook, read, tags


def parameters_cell(path):
    return next(cell for cell in code_cells(read(path)) if "parameters" in tags(cell))


@each_notebook
def test_every_parameter_is_used(path):
    cells = code_cells(read(path))
    place = next(k for k, cell in enumerate(cells) if "parameters" in tags(cell))
    given = {node.id for node in names(cells[place].source) if isinstance(node.ctx, ast.Store)}
    rest = "\n".join(cell.source for cell in cells[place + 1 :])
    used = {node.id for node in names(rest) if isinstance(node.ctx, ast.Load)}
    if "configure_notebook" in used:  # reads the settings by name; the executed notebook 06 is compared
        used |= {"preset", *setting_fields()}
    assert given
    assert not given - used


@each_notebook
def test_no_import_hides_a_parameter(path):
    """`split = None` behind `from polyp import split` would lose the function."""
    imported = [
        (alias.asname or alias.name).split(".")[0]
        for cell in code_cells(read(path))
        for node in ast.walk(ast.parse(cell.source))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    ]
    given = {node.id for node in names(parameters_cell(path).source) if isinstance(node.ctx, ast.Store)}
    assert not given & set(imported)


def names(source):
    return [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)]


@each_notebook
def test_the_parameters_given_in_its_other_run_are_its_own(path):
    known = {node.id for node in names(parameters_cell(path).source)}
    assert read(path).metadata["polyp"]["other"].keys() <= known


def open_with(name, **parameters):
    """Execute a notebook's cells up to the first after the parameters, these replaced, in this process."""
    path = next(path for path in NOTEBOOKS if path.stem == name)
    cells = code_cells(read(path))
    place = next(k for k, cell in enumerate(cells) if "parameters" in tags(cell))
    before = os.environ.copy()
    injected = papermill_translators.find_translator("python3", "python").codify(parameters)
    sources = [cell.source for cell in cells[1 : place + 1]]  # the first one installs
    namespace: dict = {"__name__": "__main__", "In": [""]}
    try:
        for source in [*sources, injected, cells[place + 1].source]:
            namespace["In"].append(source)  # as a kernel does
            exec(compile(source, path.name, "exec"), namespace)
    finally:
        os.environ.clear()
        os.environ.update(before)


@pytest.mark.parametrize("name", ["03_unet_vs_unetpp", "05_building"])
@pytest.mark.parametrize("parameters", [{"widths": [4, 8]}, {"size": [60, 80]}])
def test_shapes_that_a_notebook_cannot_draw_are_refused_at_once(name, parameters):
    with pytest.raises(UsageError, match=r"widths \[.*\], size \[.*\]: .* sides"):
        open_with(name, **parameters)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"epohcs": 3}, r"unknown parameter 'epohcs'; did you mean 'epochs'\?"),
        ({"deep_supervision": "true"}, "expected bool, got str"),
        ({"preset": "qick"}, r"did you mean 'quick'\?"),
    ],
)
def test_a_wrong_parameter_is_an_error_not_a_warning(tmp_path, parameters, message):
    with pytest.raises(UsageError, match=message):
        open_with("06_training", **parameters)
    assert not (tmp_path / "runs").exists()
    assert not (ROOT / "runs" / "qick").exists()


@each_notebook
def test_a_misspelt_parameter_is_an_error_in_every_notebook(path):
    with pytest.raises(UsageError, match=r"unknown parameter 'sed'; did you mean 'seed'\?"):
        open_with(path.stem, sed=3)


def test_what_papermill_writes_is_known_by_its_first_line():
    assert papermill_translators.find_translator("python3", "python").codify({}).startswith("# Parameters")
