"""Can this machine run the course? Each answer is a row: what was found, its state, and what to do about it.

It is made for broken installations, so nothing here raises, and nothing that may be missing is
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
from polyp.disk import project_root

OK, FIX, NOTE = "OK", "FIX", "NOTE"
LEARNERS = ("score", "train")  # the extras without which there is no course
GIB = 2**30
OPENCV = (
    "opencv-python-headless",
    "opencv-python",
    "opencv-contrib-python",
    "opencv-contrib-python-headless",
)


MODULES = {  # what to import of a package: a version alone does not say that it works
    "scikit-learn": "sklearn",
    "matplotlib": "matplotlib.pyplot",
    "pandas": "pandas",
    "scipy": "scipy.ndimage",
    "pillow": "PIL.Image",
}


class Row(NamedTuple):
    """One line of the report."""

    what: str
    state: str  # OK; FIX: the course will not run as it should; NOTE: good to know
    remedy: str = ""


def check_environment() -> list[Row]:
    """Look at Python, the packages, the machine and the data.

    Returns:
        one row per thing looked at. A check that fails itself becomes a NOTE: it says nothing about
        the course. Home and project folders are shortened, so that the rows can be shown to others.
    """
    rows: list[Row] = []
    for check in CHECKS:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                rows.extend(check())
        except Exception as error:  # whatever a broken installation may raise
            name = check.__name__.lstrip("_").replace("_", " ")
            rows.append(Row(f"{name}: could not be checked", NOTE, _reason(error)))
    return [Row(_without_paths(row.what), row.state, _without_paths(row.remedy)) for row in rows]


def as_text(rows: Iterable[Row]) -> str:
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
    free = shutil.disk_usage(project_root()).free
    remedy = "make room for data, caches and runs: 1 GiB at least"
    yield _row(f"disk {free / GIB:.0f} GiB free", free >= GIB, FIX, remedy)


def _data_folder() -> Iterator[Row]:
    place = project_root() / "data"
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
    found = platform.python_version()
    try:
        wanted = _requirements()[0]
        fine = _fits(found, wanted)
    except ModuleNotFoundError:  # Python 3.10 has no tomllib, and is too old anyway
        wanted, fine = ">=3.11.4", False
    remedy = f"the course needs Python {wanted}: make a new environment as README.md says"
    yield _row(f"Python {found}", fine, FIX, remedy)


def _course() -> Iterator[Row]:
    what = f"polyp {polyp.__version__}"
    checkout = project_root() / "polyp" / "__init__.py"
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
    wanted = _specifier(OPENCV[0])
    what = " and ".join(f"{name} {found}" for name, found in here.items())
    remedy = f'pip uninstall -y {" ".join(here)}; pip install "{OPENCV[0]}{wanted}"'
    if not all(_fits(found, wanted) for found in here.values()):
        yield Row(f"{what}, but the course needs {wanted}", FIX, remedy)
    elif failure := _import_failure("cv2"):
        yield Row(f"{what}: cv2 cannot be imported ({failure})", FIX, remedy)
    elif len(here) > 1:
        yield Row(what, NOTE, f"they share one folder, cv2/; should OpenCV ever fail: {remedy}")
    else:
        yield Row(what, OK)


def _packages() -> Iterator[Row]:
    _, core, notebooks = _requirements()
    apart = ("torch", "albumentations", OPENCV[0])
    rows = [_judge(name, MODULES.get(name, "")) for name in core if name not in apart]
    for name in notebooks:  # Colab has its own, older ones, which will do
        row = _judge(name)
        rows.append(row if row.state == OK else Row(f"{row.what} (for notebooks)", NOTE, row.remedy))
    if fine := [row.what for row in rows if row.state == OK]:
        yield Row(", ".join(fine), OK)
    yield from (row for row in rows if row.state != OK)


def _versions() -> Iterator[Row]:
    if failure := _import_failure("packaging.specifiers"):
        yield Row(f"versions were not compared ({failure})", NOTE, "pip install packaging")


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
    remedy = "none is needed for the notebooks as they are; in Colab: Runtime > Change runtime type"
    if shutil.which("nvidia-smi"):
        remedy = (
            "this machine seems to have one: install torch's CUDA build, see https://pytorch.org/get-started"
        )
    yield Row(f"no GPU that torch can use; the CPU has {bf16}", NOTE, remedy)


def _datasets() -> Iterator[Row]:
    from polyp.data.known import DATASETS
    from polyp.data.layouts.folders import layout

    value = os.environ.get("POLYP_DATA")
    if value and not Path(value).expanduser().is_dir():
        yield Row("POLYP_DATA names a folder that does not exist", FIX, "correct the variable, or unset it")
        return
    for name, known in DATASETS.items():
        if not (known.fetch or known.packaged):
            continue  # no lesson needs what a person has to ask for
        if known.pairs is None and not layout(project_root() / "data" / name):
            yield Row(f"data {name}: made on first use, which takes some seconds", OK)
        else:
            yield _find(name, known.pairs)


def _find(name: str, expected: int | None) -> Row:
    from polyp.data.known import find_dataset
    from polyp.data.pairs import find_pairs
    from polyp.errors import DataError

    try:
        count = len(find_pairs(find_dataset(name)))
    except DataError as error:
        if f"{name}: not found" in str(error):
            remedy = f"only needed for real frames: polyp data get {name}, or see data/README.md"
            return Row(f"data {str(error).split('; ')[0]}", NOTE, remedy)
        return Row(f"data {name}: cannot be used", FIX, str(error))
    if expected not in (None, count):
        remedy = f"{expected} expected; see what is missing: polyp data check {name}"
        return Row(f"data {name}: {count} frames", FIX, remedy)
    return Row(f"data {name}: {count} frames", OK)


CHECKS: tuple[Callable[[], Iterable[Row]], ...] = (
    _machine, _memory, _disk, _python, _course, _torch, _albumentations, _opencv, _packages, _versions,
    _gpu, _data_folder, _datasets,
)  # fmt: skip


Specifiers = dict[str, str]  # package -> which versions will do, such as ">=2.6"


def _requirements() -> tuple[str, Specifiers, Specifiers]:
    """What pyproject.toml asks of Python, of the packages of a course, and of those for notebooks.

    Without a checkout this is read from what pip recorded of it.
    """
    file = Path(polyp.__file__).parents[1] / "pyproject.toml"
    if file.is_file():
        import tomllib

        project: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8")).get("project", {})
        if project.get("name") == "polyp-course":
            extras = project["optional-dependencies"]
            core = project["dependencies"] + [line for extra in LEARNERS for line in extras[extra]]
            return project["requires-python"], *_apart(core, extras["notebooks"])
    lines = metadata.requires("polyp-course") or []
    extra_of = {line: re.search(r"""extra == ['"](\w+)""", line) for line in lines}
    core = [line for line, extra in extra_of.items() if extra is None or extra[1] in LEARNERS]
    notebooks = [line for line, extra in extra_of.items() if extra and extra[1] == "notebooks"]
    return metadata.metadata("polyp-course")["Requires-Python"], *_apart(core, notebooks)


def _apart(core: Iterable[str], notebooks: Iterable[str]) -> tuple[Specifiers, Specifiers]:
    """The bounds of both, without what they share: pip records an extra with all that it includes."""
    first, second = _specifiers(core), _specifiers(notebooks)
    return first, {name: bound for name, bound in second.items() if name not in first}


def _specifiers(lines: Iterable[str]) -> Specifiers:
    """Names apart from versions; by hand, since a missing `packaging` must not hide what else is missing."""
    found = (re.match(r"([\w.-]+)\s*([^;]*)", line) for line in lines)
    return {match[1]: match[2].strip() for match in found if match and match[1] != "polyp-course"}


def _specifier(name: str) -> str:
    _, core, notebooks = _requirements()
    return (core | notebooks)[name]


def _fits(found: str, wanted: str) -> bool:
    """Whether a version will do, a local build (2.13.0+cpu) or a pre-release of it too."""
    try:
        from packaging.specifiers import SpecifierSet
        from packaging.version import Version

        return SpecifierSet(wanted).contains(Version(found), prereleases=True)
    except (ImportError, ValueError):  # no `packaging`, which `_versions` says, or a version like no other
        return True


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except Exception:  # missing, or half uninstalled: the same remedy
        return None


def _import_failure(module: str) -> str:
    """Why `import module` fails; empty if it does not."""
    try:
        importlib.import_module(module)
    except Exception as error:  # missing libraries, wrong builds
        return _reason(error)
    return ""


def _judge(name: str, module: str = "", remedy: str = "") -> Row:
    """The row of a package: is it installed, new enough, and (with `module`) can it be imported?"""
    wanted = _specifier(name)
    found, remedy = _version(name), remedy or f'pip install "{name}{wanted}"'
    if found is None:
        return Row(f"{name} is missing", FIX, remedy)
    if not _fits(found, wanted):
        return Row(
            f"{name} {found}, but the course needs {wanted}", FIX, f"{remedy}; then restart the kernel"
        )
    if module and (failure := _import_failure(module)):
        again = f"install it anew: pip install --force-reinstall --no-deps {name}=={found.split('+')[0]}"
        return Row(f"{name} {found} cannot be imported ({failure})", FIX, again)
    return Row(f"{name} {found}", OK)


def _reason(error: Exception) -> str:
    """An error in one short line."""
    return textwrap.shorten(f"{type(error).__name__}: {error}", 160, placeholder=" ...")


def _without_paths(text: str) -> str:
    """A report is shown to others, and a path may hold a name."""
    data = os.environ.get("POLYP_DATA", "")
    text = text.replace(f"POLYP_DATA={data}", "POLYP_DATA") if data else text
    places = [(data, "$POLYP_DATA"), (str(project_root()), ".")]
    places.append((os.path.expanduser("~"), "~"))
    for place, short in places:
        if len(place) > 1 and os.path.isabs(place):
            text = text.replace(place, short)
    return text


if __name__ == "__main__":
    found = check_environment()
    print(as_text(found))
    sys.exit(any(row.state == FIX for row in found))
