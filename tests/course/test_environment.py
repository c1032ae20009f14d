"""The environment check must tell the truth and never stop, whatever is broken."""

import importlib
import sys
from importlib import metadata
from pathlib import Path

import pytest

from polyp.course import environment
from polyp.course.environment import FIX, NOTE, OK, Row, check_environment, report
from polyp.data.images import write_png
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
    assert len(report(rows).splitlines()) <= 25
    assert max(map(len, report(rows).splitlines())) <= 100


def test_every_required_package_is_looked_at():
    python, core, notebooks = environment._requirements()
    text = report(check_environment()).replace("\n      ", " ")
    assert python == ">=3.11"
    assert core["albumentations"] == ("==", "2.0.8")
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
    assert environment._requirements() == (">=3.11", {"y": (">=", "2")}, {})


@pytest.mark.parametrize(
    ("installed", "sign", "wanted", "fits"),
    [
        ("2.13.0+cpu", ">=", "2.6", True),
        ("2.6", ">=", "2.6.0", True),
        ("2.5.9", ">=", "2.6", False),
        ("10.0", ">=", "9.5", True),
        ("5.0.0.93", ">=", "4.10", True),
        ("2.0.8", "==", "2.0.8", True),
        ("2.0.9", "==", "2.0.8", False),
    ],
)
def test_versions_compare_as_numbers(installed, sign, wanted, fits):
    assert environment._fits(installed, sign, wanted) is fits


def test_an_old_python_is_to_be_replaced(monkeypatch):
    monkeypatch.setattr(environment.platform, "python_version", lambda: "3.10.12")
    assert only(environment._python).state == FIX
    monkeypatch.setitem(sys.modules, "tomllib", None)  # which an old Python does not have
    assert ">=3.11" in only(environment._python).remedy


def test_old_and_missing_packages(versions):
    versions.update({"torch": "2.5.1", "albumentations": None, "numpy": "1.2", "papermill": None})
    assert only(environment._torch).state == FIX
    assert "2.6 or newer" in only(environment._torch).what
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


def test_datasets_that_are_not_here_are_no_fault(tmp_path):
    synthetic, clinicdb, kvasir = environment._datasets()
    assert synthetic.state == OK
    assert "made on first use" in synthetic.what
    assert clinicdb.state == kvasir.state == NOTE
    assert "polyp data get cvc-clinicdb" in clinicdb.remedy
    assert list(tmp_path.iterdir()) == []  # looking makes nothing


def write_pairs(folder: Path, count: int) -> Path:
    images, masks = make_sequence(0, 0, frames=1, height=32, width=32)
    for name, picture in (("images", images[0]), ("masks", masks[0] * 255)):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            write_png(folder / name / f"{number}.png", picture)
    return folder


def test_datasets_that_are_here(tmp_path, monkeypatch):
    for name in ("synthetic", "cvc-clinicdb", "kvasir-seg"):
        write_pairs(tmp_path / "data" / name, 3)
    (tmp_path / "data" / "kvasir-seg" / "masks" / "1.png").unlink()
    monkeypatch.setitem(sys.modules["polyp.data.known"].PAIRS, "cvc-clinicdb", 3)
    synthetic, clinicdb, kvasir = environment._datasets()
    assert synthetic == Row("data synthetic: 3 frames", OK)
    assert clinicdb == Row("data cvc-clinicdb: 3 frames", OK)
    assert kvasir.state == FIX
    monkeypatch.setitem(sys.modules["polyp.data.known"].PAIRS, "cvc-clinicdb", 4)
    assert found(environment._datasets)[1].state == FIX


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
        "polyp.disk",
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
    monkeypatch.setattr(environment, "CHECKS", (lambda: rows,))
    shown = check_environment()
    assert shown[0].what.replace("\\", "/") == "$POLYP_DATA/a.png"
    assert str(tmp_path) not in report(shown)


def test_the_report_puts_the_remedy_below():
    text = report([Row("a " * 60, OK), Row("b", FIX, "do that")])
    assert text.splitlines()[0].startswith("OK    a a")
    assert text.splitlines()[1].startswith("      a")
    assert text.splitlines()[-2:] == ["FIX   b", "      -> do that"]
