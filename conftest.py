"""Before any test imports torch: threads; and how the tests are shared out between two processes.

This file is at the top because `pytest notebooks/02_metrics.ipynb` does not read tests/conftest.py.
"""

import os

# Two processes share the cores. More threads in each would spin at every barrier for cores that the other
# one uses (`polyp experiment threads` measures it). Kernels and child processes inherit both.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import pytest


def pytest_collection_modifyitems(items):
    """Mark what executes notebooks, and begin with it: the longest last would leave one process idle."""
    for item in items:
        if item.path.suffix == ".ipynb":
            item.add_marker(pytest.mark.notebook)
    items.sort(key=lambda item: item.get_closest_marker("notebook") is None)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Give a notebook's cells to one process, in order: they share a kernel. Likewise the tests of the site,
    which share its build. Other tests go one by one."""
    from xdist.scheduler import LoadScopeScheduling

    class WholeNotebooks(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            file = nodeid.partition("::")[0]
            if file.startswith("tests/site/"):
                return "tests/site"
            return file if file.endswith(".ipynb") else nodeid

    return WholeNotebooks(config, log)
