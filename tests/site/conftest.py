"""The site, built once; a browser; and a server that has the site under a sub-path, as GitHub Pages does."""

import functools
import http.server
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import NamedTuple

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "docs"))

os.environ.setdefault("SE_OFFLINE", "true")  # the browser and its driver are there; look for no others
CHROMIUM = [
    *("headless=new", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-sync"),
    *("disable-background-networking", "disable-component-update", "window-size=1300,1000"),
    "force-prefers-reduced-motion",  # what fades in has too little contrast on its way
]


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


class _Silent(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args) -> None:
        pass


@pytest.fixture(scope="session")
def address(site):
    """Where the site is served: http://127.0.0.1:PORT/some/path/"""
    handler = functools.partial(_Silent, directory=site.folder.parents[1])
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/some/path/"
        server.shutdown()


@pytest.fixture(scope="session")
def browser():
    """Chromium without a window, which logs every request."""
    programs = map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))
    program, driver = next(filter(None, programs), None), shutil.which("chromedriver")
    if not program or not driver:
        pytest.skip("no chromium with its chromedriver: no page is opened (Debian: chromium chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        for flag in [*CHROMIUM, f"user-data-dir={profile}"]:
            options.add_argument(f"--{flag}")
        with webdriver.Chrome(options=options, service=Service(driver)) as chrome:
            chrome.set_script_timeout(120)
            yield chrome
