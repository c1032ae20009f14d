"""The files around the package say one thing once."""

import re
import subprocess
import sys
import tomllib
from importlib.metadata import requires
from pathlib import Path

from packaging.requirements import Requirement

from polyp.config import PRESETS
from polyp.course.report import CHART, SPEED

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def pins():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


def test_every_dependency_is_pinned_within_its_bound():
    for requirement in map(Requirement, requires("polyp-course")):
        if requirement.name == "polyp-course":
            continue
        assert requirement.name in pins(), requirement.name
        assert requirement.specifier.contains(pins()[requirement.name]), requirement


def test_conda_lists_nothing_twice():
    lines = (ROOT / "environment.yml").read_text().splitlines()
    entries = [line.strip() for line in lines if line.strip().startswith("- ")]
    assert entries == [
        "- conda-forge",
        "- python=3.12",
        "- pip",
        "- pip:",
        "- -c constraints.txt",
        "- -e .[test]",
    ]


def test_readme_commands_are_one_line_in_one_block():
    readme = (ROOT / "README.md").read_text()
    commands = {"Run it": "papermill", "Test it": "pytest", "Read it as a site": "docs/build.py"}
    for heading, word in commands.items():
        block = re.search(rf"^## {heading}\n+```\w*\n(.*?)```", readme, re.MULTILINE | re.DOTALL)
        assert block, heading
        (line,) = block[1].strip().splitlines()
        assert line.startswith("python3 -m venv")
        assert word in line
    assert "awk" in (ROOT / ".ci" / "run").read_text()


def test_every_preset_is_described():
    usage = (ROOT / "docs" / "usage.md").read_text()
    assert all(f"`{preset}`" in usage for preset in PRESETS)


def test_only_augmentation_imports_albumentations():
    users = [p.name for p in (ROOT / "polyp").rglob("*.py") if "import albumentations" in p.read_text()]
    assert users == ["augmentation.py"]


def test_no_frame_is_committed():
    """Pictures are only in notebooks, which show synthetic data; but for two charts, the twelve
    credited frames of the data set `sample`, and what the laboratory shows of them."""
    files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    pictures = re.findall(
        r"^.*\.(?:png|jpe?g|tiff?|bmp|gif|webp|npy|npz)$", files, re.MULTILINE | re.IGNORECASE
    )
    sample = [picture for picture in pictures if picture.startswith("polyp/data/sample/")]
    assert len(sample) == 24  # each with its mask; tests/data/test_sample.py looks at them
    parts = re.findall(r'data-part="(\w+)"', (ROOT / "docs" / "lab.md").read_text())
    laboratory = ["docs/laboratory.gif", *(f"docs/lab/stills/{part}.jpg" for part in parts)]
    charts = [path.as_posix() for path in (CHART, SPEED)]
    assert sorted(set(pictures) - set(sample)) == sorted(charts + laboratory)


def test_types_are_checked():
    done = subprocess.run([sys.executable, "-m", "mypy"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_ruff_passes():
    for command in (["check"], ["format", "--check"]):
        done = subprocess.run([sys.executable, "-m", "ruff", *command, ROOT], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
