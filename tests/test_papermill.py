"""Notebooks as parameterised runs."""

import pandas as pd
import papermill
import pytest
from papermill.exceptions import PapermillExecutionError

from polyp.runs import RunFolder
from tests.test_notebooks import ROOT


def execute(name, folder, **parameters):
    papermill.execute_notebook(
        ROOT / "notebooks" / f"{name}.ipynb",
        folder / "executed.ipynb",
        parameters=parameters,
        cwd=folder,
        progress_bar=False,
        kernel_name="python3",
    )


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
    assert (config.size, config.epochs, config.model.architecture, config.seed) == ((32, 48), 2, "unet", 3)
    assert len(run.log()) == 2
    assert run.metrics()["test"]["images"] == (pd.read_csv(run.path / "split.csv")["part"] == "test").sum()


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
