"""Run notebooks and store their outputs: `python notebooks/refresh.py [notebooks/02_metrics.ipynb ...]`."""

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

WIDGET = "application/vnd.jupyter.widget-view+json"


def refresh(path: Path) -> None:
    """Run a notebook from top to bottom in its own folder and write it back with its outputs."""
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(
        notebook,
        timeout=1200,
        resources={"metadata": {"path": path.parent}},
        record_timing=False,
        coalesce_streams=True,
    ).execute()
    for cell in notebook.cells:  # no progress bars of downloads and the like, no sliders that need a kernel
        if cell.cell_type == "code":
            cell.outputs = [
                o for o in cell.outputs if o.get("name") != "stderr" and WIDGET not in o.get("data", {})
            ]
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
        "polyp": notebook.metadata["polyp"],  # what the tests know of it, see CONTRIBUTING.md
    }
    nbformat.write(notebook, path)


if __name__ == "__main__":
    here = Path(__file__).parent
    for path in map(Path, sys.argv[1:] or sorted(here.glob("*.ipynb"))):
        print(path, flush=True)
        refresh(path)
