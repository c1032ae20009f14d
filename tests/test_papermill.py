"""Notebooks as parameterised runs."""

import ast

import nbformat
import pandas as pd
import papermill
import pytest
from papermill.exceptions import PapermillExecutionError

from polyp.config import setting_fields
from polyp.data.synthetic import write_dataset
from polyp.run.folder import RunFolder
from tests.test_notebooks import ROOT, each_notebook, tags

# Other values for every notebook's parameters; all of them also get another folder of data and another seed.
OTHER = {
    "00_start_here": {},
    "01_dataset": {},
    "02_metrics": {"split": "random", "size": [48, 64], "draws": 200},
    "03_unet_vs_unetpp": {"size": [32, 48], "widths": [4, 6, 8, 10, 12], "epochs": 1},
    "04_augmentation": {"train_frames": 8, "epochs": 2, "repeats": 1},
    "05_building": {"size": [32, 48], "widths": [4, 8, 12], "steps": 30},
    "06_training": {"size": [32, 48], "widths": [4, 8], "epochs": 3, "loss": "bce"},
    "07_prediction": {"epochs": 2},
    "08_honest_evaluation": {"draws": 500},
    "09_transfer_learning": {"epochs": 1},
    "10_what_goes_wrong": {"epochs": 1},
}


def execute(name, folder, **parameters):
    papermill.execute_notebook(
        ROOT / "notebooks" / f"{name}.ipynb",
        folder / "executed.ipynb",
        parameters=parameters,
        cwd=folder,
        progress_bar=False,
        kernel_name="python3",
    )


@pytest.fixture(scope="module")
def other_folder(tmp_path_factory):
    """Other frames than the default's, of another size and number."""
    folder = tmp_path_factory.mktemp("other") / "videos"
    return write_dataset(folder, seed=7, sequences=8, frames=5, height=96, width=144)


@each_notebook
def test_it_runs_with_other_parameters(path, other_folder, tmp_path):
    assert path.stem in OTHER, "give this notebook other parameters in OTHER"
    parameters = {"data": str(other_folder), "seed": 11, **OTHER[path.stem]}
    known = next(c.source for c in nbformat.read(path, 4).cells if "parameters" in tags(c))
    assert all(f"{name} = " in known for name in parameters)
    execute(path.stem, tmp_path, **parameters)
    cells = nbformat.read(tmp_path / "executed.ipynb", 4).cells
    injected = next(cell for cell in cells if "injected-parameters" in tags(cell))
    assert all(f"{name} = " in injected.source for name in parameters)
    assert all(cell.execution_count for cell in cells if cell.cell_type == "code" and cell.source)


@each_notebook
def test_every_parameter_is_used(path):
    cells = [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]
    place = next(k for k, cell in enumerate(cells) if "parameters" in tags(cell))
    given = {node.id for node in names(cells[place].source) if isinstance(node.ctx, ast.Store)}
    rest = "\n".join(cell.source for cell in cells[place + 1 :])
    used = {node.id for node in names(rest) if isinstance(node.ctx, ast.Load)}
    if "configure_notebook" in used:  # reads the settings by name, see test_training_takes_other_parameters
        used |= {"preset", *setting_fields()}
    assert given
    assert not given - used


def names(source):
    return [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)]


def test_training_takes_other_parameters(frames_folder, tmp_path):
    execute(
        "06_training",
        tmp_path,
        data=str(frames_folder),
        size=[32, 48],
        epochs=2,
        batch_size=4,
        architecture="unet",
        seed=3,
        out=str(tmp_path / "run"),
    )
    run = RunFolder(tmp_path / "run")
    config = run.config()
    assert (config.size, config.epochs, config.architecture, config.seed) == ((32, 48), 2, "unet", 3)
    assert len(run.log()) == 2
    assert run.metrics()["test"]["images"] == (pd.read_csv(run.path / "split.csv")["part"] == "test").sum()


@pytest.mark.parametrize("name", ["03_unet_vs_unetpp", "05_building"])
@pytest.mark.parametrize("parameters", [{"widths": [4, 8]}, {"size": [60, 80]}])
def test_shapes_that_a_notebook_cannot_draw_are_refused_at_once(name, parameters, tmp_path):
    with pytest.raises(PapermillExecutionError, match=r"UsageError: widths \[.*\], size \[.*\]: .* sides"):
        execute(name, tmp_path, **parameters)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"epohcs": 3}, "unknown parameter 'epohcs'; did you mean 'epochs'?"),
        ({"deep_supervision": "true"}, "expected bool, got str"),
        ({"preset": "qick"}, "did you mean 'quick'?"),
    ],
)
def test_a_wrong_parameter_is_an_error_not_a_warning(tmp_path, parameters, message):
    with pytest.raises(PapermillExecutionError) as error:
        execute("06_training", tmp_path, **parameters)
    assert message in str(error.value)
    assert not (tmp_path / "runs").exists()
