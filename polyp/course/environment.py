"""Can this machine run the course? Each answer is a row: what was found, its state, and what to do about it.

A broken installation is what this is for, so nothing here raises, and nothing that may be missing is
imported at the top. `python -m polyp.course.environment` prints it in a shell.
"""

import importlib
import os
import platform
import re
import shutil
import sys
import tempfile
import textwrap
import warnings
from collections.abc import Callable, Iterable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import polyp

OK, FIX, NOTE = "OK", "FIX", "NOTE"
GIB = 2**30
OPENCV = (
    "opencv-python-headless",
    "opencv-python",
    "opencv-contrib-python",
    "opencv-contrib-python-headless",
)


class Row(NamedTuple):
    """One line of the report."""

    what: str
    state: str  # OK; FIX: the course will not run as it should; NOTE: good to know
    remedy: str = ""


def check_environment() -> list[Row]:
    """Look at Python, the packages, the machine and the data.

    Returns:
        a row for each thing looked at. A check that fails itself becomes a NOTE: it says nothing about
        the course. Home and project folders are shortened, so that the rows can be shown to others.
    """
    rows: list[Row] = []
    _project()  # imports a module that sets a warning filter, which the context below would undo
    for check in CHECKS:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                rows.extend(check())
        except Exception as error:  # whatever a broken installation may raise
            name = check.__name__.lstrip("_").replace("_", " ")
            rows.append(Row(f"{name}: could not be checked", NOTE, _reason(error)))
    return [Row(_without_paths(row.what), row.state, _without_paths(row.remedy)) for row in rows]


def report(rows: Iterable[Row]) -> str:
    """The rows as text: OK, FIX or NOTE, what was found, and below it, after an arrow, what to do."""
    lines = []
    for row in rows:
        for text, first in ((row.what, f"{row.state:4}  "), (row.remedy, "      -> ")):
            indent = " " * len(first)
            lines += textwrap.wrap(
                text, 100, initial_indent=first, subsequent_indent=indent, break_on_hyphens=False
            )
    return "\n".join(lines)


def _row(what: str, fine: bool, otherwise: str, remedy: str) -> Row:
    return Row(what, OK) if fine else Row(what, otherwise, remedy)


def _machine() -> Iterator[Row]:
    where = "Colab" if "COLAB_RELEASE_TAG" in os.environ or "google.colab" in sys.modules else "local"
    yield Row(f"{platform.system()} {platform.machine()}, {where}", OK)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    slow = "everything works, but takes longer than the notebooks say"
    yield _row(f"CPU cores: {cores}", cores > 1, NOTE, slow)


def _memory() -> Iterator[Row]:
    try:
        import psutil  # comes with Jupyter

        total, free = psutil.virtual_memory().total, psutil.virtual_memory().available
    except ImportError:
        page = os.sysconf("SC_PAGE_SIZE")
        total, free = page * os.sysconf("SC_PHYS_PAGES"), page * os.sysconf("SC_AVPHYS_PAGES")
    limit = Path("/sys/fs/cgroup/memory.max")  # of a container, which may have less than its machine
    if limit.is_file() and limit.read_text().strip().isdigit():
        total = min(total, int(limit.read_text()))
    what = f"memory {total / GIB:.0f} GiB, {min(free, total) / GIB:.0f} GiB of it free"
    little = "close other programs and other notebooks' kernels; train with a smaller batch_size or size"
    yield _row(what, min(free, total) >= 2 * GIB, NOTE, little)


def _disk() -> Iterator[Row]:
    free = shutil.disk_usage(_project()).free
    remedy = "make room for data, caches and runs: 1 GiB at least"
    yield _row(f"disk {free / GIB:.0f} GiB free", free >= GIB, FIX, remedy)


def _data_folder() -> Iterator[Row]:
    place = _project() / "data"
    while not place.exists():  # it is made on first use
        place = place.parent
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        remedy = f"{place}: {error.strerror}; start Jupyter in a folder that is yours, or change its rights"
        yield Row("the data folder cannot be written to", FIX, remedy)
    else:
        yield Row("the data folder can be written to", OK)


def _python() -> Iterator[Row]:
    try:
        wanted = _requirements()[0]
    except ModuleNotFoundError:  # Python 3.10 has no tomllib, and is too old anyway
        wanted = ">=3.11"
    found = platform.python_version()
    remedy = f"the course needs Python {wanted}: make a new environment as README.md says"
    yield _row(f"Python {found}", _key(found) >= _key(wanted), FIX, remedy)


def _course() -> Iterator[Row]:
    what = f"polyp {polyp.__version__}"
    checkout = _project() / "polyp" / "__init__.py"
    if checkout.is_file() and not checkout.samefile(polyp.__file__):
        remedy = "changes in this folder's polyp/ have no effect; to work on it: pip install -e ."
        yield Row(f"{what}, an installed copy", NOTE, remedy)
    else:
        yield Row(what, OK)


def _torch() -> Iterator[Row]:
    remedy = "pip install torch (no GPU: add --index-url https://download.pytorch.org/whl/cpu, far smaller)"
    yield _judge("torch", "torch", remedy)


def _albumentations() -> Iterator[Row]:
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # it asks the network for news otherwise
    yield _judge("albumentations", "albumentations")


def _opencv() -> Iterator[Row]:
    here = {name: found for name in OPENCV if (found := _version(name))}
    if not here:
        yield _judge(OPENCV[0])
        return
    sign, wanted = _bound(OPENCV[0])
    what = " and ".join(f"{name} {found}" for name, found in here.items())
    remedy = f'pip uninstall -y {" ".join(here)}; pip install "{OPENCV[0]}{sign}{wanted}"'
    if not all(_fits(found, sign, wanted) for found in here.values()):
        yield Row(f"{what}, but the course needs {wanted} or newer", FIX, remedy)
    elif failure := _import_failure("cv2"):
        yield Row(f"{what}: cv2 cannot be imported ({failure})", FIX, remedy)
    elif len(here) > 1:
        yield Row(what, NOTE, f"they share one folder, cv2/; should OpenCV ever fail: {remedy}")
    else:
        yield Row(what, OK)


def _packages() -> Iterator[Row]:
    _, core, notebooks = _requirements()
    apart = ("torch", "albumentations", OPENCV[0])
    rows = [_judge(name) for name in core if name not in apart]
    for name in notebooks:  # Colab has its own, older ones, and gets by
        row = _judge(name)
        rows.append(row if row.state == OK else Row(f"{row.what} (for notebooks)", NOTE, row.remedy))
    if fine := [row.what for row in rows if row.state == OK]:
        yield Row(", ".join(fine), OK)
    yield from (row for row in rows if row.state != OK)


def _gpu() -> Iterator[Row]:
    import torch

    from polyp.run.hardware import has_fast_bf16

    if torch.cuda.is_available():
        device = torch.device("cuda")
        about = torch.cuda.get_device_properties(device)
        bf16 = "fast bf16" if has_fast_bf16(device) else "no fast bf16, so it trains in fp32"
        what = f"GPU {about.name}, {about.total_memory / GIB:.0f} GiB, {bf16}"
        try:
            torch.ones(1, device=device).add(1).item()
        except Exception as error:  # a GPU that this build of torch has no code for, or a full one
            yield Row(what, FIX, f"it fails ({_reason(error)}); use device=cpu, or torch's newest build")
        else:
            yield Row(what, OK)
        return
    bf16 = "fast bf16" if has_fast_bf16(torch.device("cpu")) else "no fast bf16"
    remedy = "none is needed for the notebooks as they stand; in Colab: Runtime > Change runtime type"
    if shutil.which("nvidia-smi"):
        remedy = (
            "this machine seems to have one: install torch's CUDA build, see https://pytorch.org/get-started"
        )
    yield Row(f"no GPU that torch can use; the CPU has {bf16}", NOTE, remedy)


def _datasets() -> Iterator[Row]:
    from polyp.data.known import NAMES
    from polyp.data.pairs import layout

    value = os.environ.get("POLYP_DATA")
    if value and not Path(value).expanduser().is_dir():
        yield Row("POLYP_DATA names a folder that is not there", FIX, "correct the variable, or unset it")
        return
    for name in NAMES:
        if name == "synthetic" and not layout(_project() / "data" / name):
            yield Row("data synthetic: made on first use, which takes some seconds", OK)
        else:
            yield _find(name)


def _find(name: str) -> Row:
    from polyp.data.known import PAIRS, find_dataset
    from polyp.data.pairs import find_pairs
    from polyp.errors import DataError

    try:
        count = len(find_pairs(find_dataset(name)))
    except DataError as error:
        if f"{name}: not found" in str(error):
            remedy = f"only needed for real frames: polyp data get {name}, or see data/README.md"
            return Row(f"data {str(error).split('; ')[0]}", NOTE, remedy)
        return Row(f"data {name}: cannot be used", FIX, str(error))
    if count != PAIRS.get(name, count):
        remedy = f"{PAIRS[name]} expected; see what is missing: polyp data check {name}"
        return Row(f"data {name}: {count} frames", FIX, remedy)
    return Row(f"data {name}: {count} frames", OK)


CHECKS: tuple[Callable[[], Iterable[Row]], ...] = (
    _machine, _memory, _disk, _python, _course, _torch, _albumentations, _opencv, _packages, _gpu,
    _data_folder, _datasets,
)  # fmt: skip


Bounds = dict[str, tuple[str, str]]  # package -> (">=" or "==", version)


def _requirements() -> tuple[str, Bounds, Bounds]:
    """The Python version, packages, and packages for notebooks that pyproject.toml asks for.

    Without a checkout they are read from what pip recorded of it.
    """
    file = Path(polyp.__file__).parents[1] / "pyproject.toml"
    if file.is_file():
        import tomllib

        project: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8")).get("project", {})
        if project.get("name") == "polyp-course":
            extras = project["optional-dependencies"]["notebooks"]
            return project["requires-python"], _bounds(project["dependencies"]), _bounds(extras)
    lines = metadata.requires("polyp-course") or []
    extras = [line for line in lines if re.search(r"""extra == ['"]notebooks""", line)]
    core = [line for line in lines if "extra ==" not in line]
    return metadata.metadata("polyp-course")["Requires-Python"], _bounds(core), _bounds(extras)


def _bounds(lines: Iterable[str]) -> Bounds:
    found = (re.match(r"([\w.-]+)\s*(>=|==)\s*([\w.]+)", line) for line in lines)
    return {match[1]: (match[2], match[3]) for match in found if match}


def _bound(name: str) -> tuple[str, str]:
    _, core, notebooks = _requirements()
    return (core | notebooks)[name]


def _key(version: str) -> list[int]:
    """The first three numbers of a version, comparable; what follows a plus (2.13.0+cpu) is left out."""
    numbers = [int(number) for number in re.findall(r"\d+", version.split("+")[0])[:3]]
    return numbers + [0] * (3 - len(numbers))


def _fits(found: str, sign: str, wanted: str) -> bool:
    return _key(found) == _key(wanted) if sign == "==" else _key(found) >= _key(wanted)


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except Exception:  # not there, or half uninstalled: the same remedy
        return None


def _import_failure(module: str) -> str:
    """Why `import module` fails; empty where it does not."""
    try:
        importlib.import_module(module)
    except Exception as error:  # missing libraries, wrong builds
        return _reason(error)
    return ""


def _judge(name: str, module: str = "", remedy: str = "") -> Row:
    """The row of a package: is it there, new enough, and (with `module`) can it be imported?"""
    sign, wanted = _bound(name)
    found, remedy = _version(name), remedy or f'pip install "{name}{sign}{wanted}"'
    if found is None:
        return Row(f"{name} is missing", FIX, remedy)
    if not _fits(found, sign, wanted):
        need = wanted if sign == "==" else f"{wanted} or newer"
        return Row(f"{name} {found}, but the course needs {need}", FIX, f"{remedy}; then restart the kernel")
    if module and (failure := _import_failure(module)):
        again = f"install it anew: pip install --force-reinstall --no-deps {name}=={found.split('+')[0]}"
        return Row(f"{name} {found} cannot be imported ({failure})", FIX, again)
    return Row(f"{name} {found}", OK)


def _reason(error: Exception) -> str:
    """An error in one short line."""
    return textwrap.shorten(f"{type(error).__name__}: {error}", 160, placeholder=" ...")


def _project() -> Path:
    try:
        from polyp.disk import project_root

        return project_root()
    except Exception:  # numpy or Pillow are missing
        return Path.cwd()


def _without_paths(text: str) -> str:
    """A report is shown to others, and a path may hold a name."""
    places = [(os.environ.get("POLYP_DATA", ""), "$POLYP_DATA"), (str(_project()), ".")]
    places.append((os.path.expanduser("~"), "~"))
    for place, short in places:
        if len(place) > 1 and os.path.isabs(place):
            text = text.replace(place, short)
    return text


if __name__ == "__main__":
    found = check_environment()
    print(report(found))
    sys.exit(any(row.state == FIX for row in found))
