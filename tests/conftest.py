"""What all tests share: a place of their own, and a small dataset made once."""

import pytest
import torch

from polyp.config import configure
from polyp.data.synthetic import write_dataset


@pytest.fixture(autouse=True)
def _own_place(tmp_path, monkeypatch):
    """No test reads or writes the checkout's data, or sees the user's."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("POLYP_DATA", raising=False)
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
