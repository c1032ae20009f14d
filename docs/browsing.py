"""Chromium without a window, for the site's pictures and its tests."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from selenium import webdriver
from selenium.webdriver.chrome.service import Service

os.environ.setdefault("SE_OFFLINE", "true")  # the browser and its driver are there; look for no others
FLAGS = [
    *("headless=new", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-sync"),
    *("disable-background-networking", "disable-component-update", "window-size=1300,1000"),
    "force-prefers-reduced-motion",  # what fades in has too little contrast on its way
]
NO_BROWSER = "no chromium with its chromedriver is installed (Debian: chromium chromium-driver)"


def find_browser() -> tuple[str, str] | None:
    """The paths of a Chromium and of its driver; None if either is not there."""
    programs = map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))
    program, driver = next(filter(None, programs), None), shutil.which("chromedriver")
    return (program, driver) if program and driver else None


@contextmanager
def open_browser() -> Iterator[webdriver.Chrome]:
    """A browser with a fresh profile, which logs its console and every request.

    Raises:
        FileNotFoundError: there is none, see `find_browser`.
    """
    if not (found := find_browser()):
        raise FileNotFoundError(NO_BROWSER)
    options = webdriver.ChromeOptions()
    options.binary_location = found[0]
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        for flag in [*FLAGS, f"user-data-dir={profile}"]:
            options.add_argument(f"--{flag}")
        with webdriver.Chrome(options=options, service=Service(found[1])) as chrome:
            chrome.set_script_timeout(120)
            yield chrome
