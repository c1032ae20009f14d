"""The site, built once; a browser; and a server that has the site under a sub-path, as GitHub Pages does."""

import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "docs"))

from browsing import NO_BROWSER, find_browser, open_browser
from lab.frames import Frame
from lab.frames import frames as all_frames
from torch import nn

import polyp
from tests.site.serving import Server, open_lab


class Site(NamedTuple):
    folder: Path
    printed: str
    seconds: float


@pytest.fixture(scope="session")
def site(tmp_path_factory) -> Site:
    """The built site, in a folder whose last two names are some/path."""
    if not shutil.which("npm"):
        pytest.skip("no npm: the site is not built; install Node.js 20 or newer")
    out = tmp_path_factory.mktemp("www") / "some" / "path"
    out.parent.mkdir()
    start = time.perf_counter()
    command = [sys.executable, "-W", "ignore", str(ROOT / "docs" / "build.py"), "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8")
    built = Site(out, done.stdout + done.stderr, time.perf_counter() - start)
    print(f"the site was built in {built.seconds:.0f} s")  # seen with `-n 0 -s`; always in --durations
    assert done.returncode == 0, built.printed
    return built


@pytest.fixture(scope="session")
def server(site):
    """What serves the folder two levels above the site; see `Server`."""
    server = Server(site.folder.parents[1])
    yield server
    server.close()


@pytest.fixture(scope="session")
def address(server) -> str:
    """Where the site is served: http://127.0.0.1:PORT/some/path/"""
    return f"{server.address}/some/path/"


@pytest.fixture(scope="session")
def browser():
    """Chromium without a window, which logs every request."""
    if not find_browser():
        pytest.skip(f"no page is opened: {NO_BROWSER}")
    with open_browser() as chrome:
        yield chrome


@pytest.fixture(scope="session")
def frames() -> dict[str, Frame]:
    """The pictures of the laboratory by name."""
    return {frame.name: frame for frame in all_frames()}


@pytest.fixture(scope="session")
def model() -> nn.Module:
    """The network in PyTorch. Every test shares it: take off the hooks that you put on."""
    return polyp.load_model()[0]


@pytest.fixture(scope="session")
def lab_address(address) -> str:
    """The laboratory's page."""
    return f"{address}lab.html"


@pytest.fixture
def lab(browser, lab_address):
    """The laboratory's page in a browser, its network loaded, its console empty."""
    open_lab(browser, lab_address)
    return browser
