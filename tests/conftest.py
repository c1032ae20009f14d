"""What all tests share: a place of their own, and a small dataset made once."""

import shutil

import pytest
import torch

from polyp.config import configure
from polyp.data.synthetic import write_dataset
from polyp.run.fitting import fit
from polyp.run.folder import RunFolder


@pytest.fixture(autouse=True)
def _own_place(tmp_path, monkeypatch):
    """No test reads or writes the checkout's data, or sees the user's."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("POLYP_DATA", raising=False)
    monkeypatch.setenv("POLYP_CACHE", str(tmp_path / "data" / "cache"))
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def frames_folder(tmp_path_factory):
    """Six short synthetic videos of 48 x 64."""
    folder = tmp_path_factory.mktemp("frames") / "synthetic"
    return write_dataset(folder, seed=3, sequences=6, frames=4, height=48, width=64)


@pytest.fixture
def tiny(frames_folder):
    """A configuration that trains in a second."""
    return configure(
        data=str(frames_folder), size=(32, 32), widths=(4, 8, 16), epochs=3, batch_size=4, precision="fp32"
    )


@pytest.fixture(scope="session")
def _finished(frames_folder, tmp_path_factory):
    """One finished run, trained once for all tests that only read it."""
    place = tmp_path_factory.mktemp("finished")
    settings = {"size": (32, 32), "widths": (4, 8, 16), "epochs": 3, "batch_size": 4, "precision": "fp32"}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setenv("POLYP_CACHE", str(place / "cache"))
        return fit(configure(data=str(frames_folder), **settings), place / "run", progress=False)


@pytest.fixture
def run(_finished, tmp_path):
    """A copy of it: three epochs of `tiny`."""
    return RunFolder(shutil.copytree(_finished.path, tmp_path / "run"))
