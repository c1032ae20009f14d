"""The environment check must tell the truth and never stop, whatever is broken."""

import importlib
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

import polyp
from polyp.course import environment
from polyp.course.environment import FIX, NOTE, OK, Row, as_text, check_environment
from polyp.data.images import write_png
from polyp.data.known import DATASETS
from polyp.data.synthetic import make_sequence


def found(check) -> list[Row]:
    return list(check())


def only(check) -> Row:
    (row,) = check()
    return row


@pytest.fixture
def versions(monkeypatch):
    """Installed versions to pretend: `versions["torch"] = "1.0"`, or None for a missing package."""
    pretended: dict[str, str | None] = {}
    real = metadata.version

    def version(name: str) -> str:
        if name in pretended and pretended[name] is None:
            raise metadata.PackageNotFoundError(name)
        return pretended.get(name) or real(name)

    monkeypatch.setattr(environment.metadata, "version", version)
    return pretended


def break_import(monkeypatch, broken: str, error: Exception):
    real = importlib.import_module

    def import_module(name):
        if name == broken:
            raise error
        return real(name)

    monkeypatch.setattr(environment.importlib, "import_module", import_module)


def test_this_environment_has_nothing_to_fix():
    rows = check_environment()
    assert {row.state for row in rows} <= {OK, FIX, NOTE}
    assert [row for row in rows if row.state == FIX] == []
    assert [row for row in rows if "could not be checked" in row.what] == []
    assert all(row.remedy for row in rows if row.state != OK)
    assert len(as_text(rows).splitlines()) <= 25
    assert max(map(len, as_text(rows).splitlines())) <= 100


@pytest.mark.parametrize("name", ["scikit-learn", "matplotlib", "pandas", "pillow", "scipy"])
def test_a_package_that_is_there_but_broken_is_named(name, monkeypatch):
    break_import(monkeypatch, environment.MODULES[name], ImportError("libGL.so.1: no such file"))
    (row,) = [row for row in check_environment() if row.state == FIX]
    assert row.what.startswith(f"{name} ")
    assert "cannot be imported (ImportError: libGL.so.1: no such file)" in row.what
    assert f"--force-reinstall --no-deps {name}==" in row.remedy


def test_every_required_package_is_looked_at():
    python, core, notebooks = environment._requirements()
    text = as_text(check_environment()).replace("\n      ", " ")
    assert python.startswith(">=3.11")
    assert core["albumentations"] == "==2.0.8"
    assert {"torch", "numpy", "opencv-python-headless"} <= core.keys()
    assert "jupyterlab" in notebooks
    assert [name for name in (*core, *notebooks) if name not in text] == []


def test_without_a_checkout_the_bounds_come_from_what_pip_recorded(tmp_path, monkeypatch):
    here = environment._requirements()
    monkeypatch.setattr(environment.polyp, "__file__", str(tmp_path / "site-packages" / "polyp" / "x.py"))
    try:
        assert environment._requirements() == here
    except metadata.PackageNotFoundError:
        pytest.skip("polyp-course is not installed, only importable")


def test_another_projects_settings_are_not_taken_for_ours(tmp_path, monkeypatch):
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "other"\nrequires-python = ">=9"\n')
    monkeypatch.setattr(environment.polyp, "__file__", str(tmp_path / "polyp" / "__init__.py"))
    monkeypatch.setattr(environment.metadata, "requires", lambda name: ['x>=1; extra == "test"', "y>=2"])
    monkeypatch.setattr(environment.metadata, "metadata", lambda name: {"Requires-Python": ">=3.11"})
    assert environment._requirements() == (">=3.11", {"y": ">=2"}, {})


@pytest.mark.parametrize(
    ("installed", "wanted", "fits"),
    [
        ("2.13.0+cpu", ">=2.6", True),
        ("2.6", ">=2.6.0", True),
        ("2.5.9", ">=2.6", False),
        ("10.0", ">=9.5", True),
        ("5.0.0.93", ">=4.10", True),
        ("2.0.8", "==2.0.8", True),
        ("2.0.8+local", "==2.0.8", True),
        ("2.0.9", "==2.0.8", False),
        ("2.12.0a0+git1", ">=2.6", True),  # what NVIDIA's containers call theirs
        ("3.0", ">=2.6,<3", False),
        ("3.14.0rc1+", ">=3.11", True),  # Python built from a checkout: no version like the others
    ],
)
def test_versions_compare_as_numbers(installed, wanted, fits):
    assert environment._fits(installed, wanted) is fits


def test_without_packaging_it_says_so_and_still_finds_what_is_missing(monkeypatch, versions):
    for name in ("packaging", "packaging.specifiers"):
        monkeypatch.setitem(sys.modules, name, None)
    row = only(environment._versions)
    assert row.state == NOTE
    assert row.what.startswith("versions were not compared (ModuleNotFoundError")
    assert row.remedy == "pip install packaging"
    versions.update({"torch": "1.0", "numpy": None})
    assert only(environment._torch).state == OK
    assert [row.what for row in found(environment._packages) if row.state == FIX] == ["numpy is missing"]
    assert [row for row in check_environment() if "could not be checked" in row.what] == []


def test_with_packaging_there_is_nothing_to_say():
    assert found(environment._versions) == []


def test_an_old_python_is_to_be_replaced(monkeypatch):
    monkeypatch.setattr(environment.platform, "python_version", lambda: "3.10.12")
    assert only(environment._python).state == FIX
    monkeypatch.setitem(sys.modules, "tomllib", None)  # which an old Python does not have
    assert ">=3.11" in only(environment._python).remedy


def test_old_and_missing_packages(versions):
    versions.update({"torch": "2.5.1", "albumentations": None, "numpy": "1.2", "papermill": None})
    assert only(environment._torch).state == FIX
    assert only(environment._torch).what == "torch 2.5.1, but the course needs >=2.6"
    assert only(environment._albumentations) == Row(
        "albumentations is missing", FIX, 'pip install "albumentations==2.0.8"'
    )
    states = {row.what.split()[0]: row.state for row in found(environment._packages)[1:]}
    assert states == {"numpy": FIX, "papermill": NOTE}  # the course works without papermill


def test_a_package_that_cannot_be_imported(monkeypatch):
    break_import(monkeypatch, "torch", OSError("libcudart.so: cannot open\nshared object"))
    row = only(environment._torch)
    assert row.state == FIX
    assert "OSError: libcudart.so: cannot open shared object" in row.what
    assert "--force-reinstall" in row.remedy


def test_opencv_wheels(versions, monkeypatch):
    for name in environment.OPENCV:
        versions[name] = None
    assert only(environment._opencv).what == "opencv-python-headless is missing"
    versions["opencv-python"] = "4.11.0.86"
    assert only(environment._opencv) == Row("opencv-python 4.11.0.86", OK)
    versions["opencv-python-headless"] = "4.11.0.86"
    assert only(environment._opencv).state == NOTE
    versions["opencv-python"] = "4.5.1"
    assert only(environment._opencv).state == FIX
    versions["opencv-python"] = "4.11.0.86"
    break_import(monkeypatch, "cv2", ImportError("libGL.so.1"))
    assert only(environment._opencv).state == FIX
    assert "pip uninstall -y opencv-python-headless opencv-python;" in only(environment._opencv).remedy


def test_little_of_everything(monkeypatch):
    class Usage:
        free = 2**29

    monkeypatch.setattr(environment.shutil, "disk_usage", lambda path: Usage)
    assert only(environment._disk).state == FIX
    monkeypatch.setattr(environment.os, "sched_getaffinity", lambda pid: {0}, raising=False)
    assert found(environment._machine)[1].state == NOTE
    psutil = pytest.importorskip("psutil")
    monkeypatch.setattr(psutil, "virtual_memory", lambda: type("M", (), {"total": 2**31, "available": 2**29}))
    assert only(environment._memory).state == NOTE


@pytest.mark.skipif(not hasattr(sys, "platlibdir") or sys.platform == "win32", reason="POSIX only")
def test_memory_without_psutil(monkeypatch):
    monkeypatch.setitem(sys.modules, "psutil", None)
    assert only(environment._memory).what.startswith("memory")


def test_the_data_folder_is_probed_and_left_alone(tmp_path):
    assert only(environment._data_folder).state == OK
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "data").write_text("a file where the folder should be")
    assert only(environment._data_folder).state == FIX


def test_a_gpu_that_works_and_one_that_does_not(monkeypatch):
    import torch

    about = type("About", (), {"name": "T4", "total_memory": 16 * 2**30})
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: about)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
    real = torch.ones
    monkeypatch.setattr(torch, "ones", lambda size, device: real(size))
    assert only(environment._gpu) == Row("GPU T4, 16 GiB, no fast bf16, so it trains in fp32", OK)

    def broken(size, device):
        raise RuntimeError("no kernel image is available for execution on the device")

    monkeypatch.setattr(torch, "ones", broken)
    assert only(environment._gpu).state == FIX
    assert "no kernel image" in only(environment._gpu).remedy


def test_no_gpu_and_one_that_torch_does_not_see(monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(environment.shutil, "which", lambda name: None)
    assert only(environment._gpu).state == NOTE
    assert "none is needed" in only(environment._gpu).remedy
    monkeypatch.setattr(environment.shutil, "which", lambda name: "/usr/bin/nvidia-smi")
    assert "CUDA build" in only(environment._gpu).remedy


# The others, which a person has to ask for, no lesson needs.
SPOKEN_OF = {name: dataset for name, dataset in DATASETS.items() if dataset.fetch or dataset.packaged}


def test_datasets_that_are_not_here_are_no_fault(tmp_path):
    rows = dict(zip(SPOKEN_OF, environment._datasets(), strict=True))
    for name, dataset in SPOKEN_OF.items():
        if dataset.packaged:
            assert rows[name] == Row(f"data {name}: {dataset.pairs} frames", OK)
        elif dataset.pairs is None:
            assert rows[name] == Row(f"data {name}: made on first use, which takes some seconds", OK)
        else:
            assert rows[name].state == NOTE
            assert f"polyp data get {name}" in rows[name].remedy
    assert list(tmp_path.iterdir()) == []  # looking makes nothing


def write_pairs(folder: Path, count: int) -> Path:
    images, masks = make_sequence(0, 0, frames=1, height=32, width=32)
    for name, picture in (("images", images[0]), ("masks", masks[0] * 255)):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            write_png(folder / name / f"{number}.png", picture)
    return folder


def test_datasets_that_are_here(tmp_path, monkeypatch):
    def row_of(name: str) -> Row:
        return dict(zip(SPOKEN_OF, environment._datasets(), strict=True))[name]

    mine = {name: dataset for name, dataset in SPOKEN_OF.items() if not dataset.packaged}
    for name, dataset in mine.items():
        write_pairs(tmp_path / "data" / name, 3)
        if dataset.pairs is not None:
            monkeypatch.setitem(DATASETS, name, dataset._replace(pairs=3))
    for name in mine:
        assert row_of(name) == Row(f"data {name}: 3 frames", OK)
    (tmp_path / "data" / "kvasir-seg" / "masks" / "1.png").unlink()
    assert row_of("kvasir-seg").state == FIX
    assert "cannot be used" in row_of("kvasir-seg").what
    monkeypatch.setitem(DATASETS, "cvc-clinicdb", DATASETS["cvc-clinicdb"]._replace(pairs=4))
    assert row_of("cvc-clinicdb") == Row(
        "data cvc-clinicdb: 3 frames", FIX, "4 expected; see what is missing: polyp data check cvc-clinicdb"
    )


def test_a_variable_that_points_nowhere(tmp_path, monkeypatch):
    monkeypatch.setenv("POLYP_DATA", str(tmp_path / "gone"))
    assert only(environment._datasets).state == FIX


def test_a_check_that_fails_itself_becomes_a_note(monkeypatch):
    def _odd_check():
        yield Row("seen before it failed", OK)
        raise RuntimeError("surprise")

    monkeypatch.setattr(environment, "CHECKS", (_odd_check,))
    assert check_environment() == [
        Row("seen before it failed", OK),
        Row("odd check: could not be checked", NOTE, "RuntimeError: surprise"),
    ]


def test_nothing_raises_when_nothing_can_be_imported(monkeypatch):
    for name in (
        "numpy",
        "torch",
        "pandas",
        "psutil",
        "PIL",
        "packaging",
        "packaging.specifiers",
        "polyp.data.known",
        "polyp.data.pairs",
    ):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setattr(environment.polyp, "__file__", None)
    assert len(check_environment()) >= len(environment.CHECKS)


def test_no_path_is_shown(tmp_path, monkeypatch):
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    monkeypatch.setenv("POLYP_DATA", str(tmp_path / "secret"))
    rows = [Row(str(tmp_path / "secret" / "a.png"), OK), Row("", FIX, str(tmp_path / "home" / "b"))]
    rows.append(Row(f"not found (POLYP_DATA={tmp_path / 'secret'} is cvc-clinicdb)", NOTE))
    monkeypatch.setattr(environment, "CHECKS", (lambda: rows,))
    shown = check_environment()
    assert shown[0].what.replace("\\", "/") == "$POLYP_DATA/a.png"
    assert shown[2].what == "not found (POLYP_DATA is cvc-clinicdb)"
    assert str(tmp_path) not in as_text(shown)


def test_the_text_puts_the_remedy_below():
    text = as_text([Row("a " * 60, OK), Row("b", FIX, "do that")])
    assert text.splitlines()[0].startswith("OK    a a")
    assert text.splitlines()[1].startswith("      a")
    assert text.splitlines()[-2:] == ["FIX   b", "      -> do that"]


def test_a_machine_with_nothing_installed_is_told_what_is_missing():
    """`-S` leaves Python without site-packages; the faces' own loader is missing then, too."""
    root = Path(polyp.__file__).parents[1]
    command = [sys.executable, "-S", "-m", "polyp.course.environment"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "FIX   torch is missing" in done.stdout
    assert "lazy-loader is missing" in done.stdout
