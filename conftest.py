"""Before any test imports torch: threads; and how the tests are shared out between two processes.

This file is at the top because `pytest notebooks/02_metrics.ipynb` does not read tests/conftest.py.
"""

import os

# Two processes share the cores. More threads in each would spin at every barrier for cores that the other
# one uses (`polyp bench --threads` measures it). Kernels and child processes inherit both.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import pytest


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items):
    """Keep the cells of a notebook together and in order: they share a kernel. Mark what runs notebooks."""
    for item in items:
        if item.path.suffix == ".ipynb":
            item.add_marker(pytest.mark.xdist_group(item.path.stem))
            item.add_marker(pytest.mark.notebook)
