"""Open notebook 00 in JupyterLab with a real browser, run all cells, and fail on any error."""

import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

os.environ.setdefault("SE_OFFLINE", "true")  # the browser and its driver are there; look for no others
ROOT = Path(__file__).parent.parent
NOTEBOOK = "00_start_here.ipynb"
CHROMIUM = ["headless=new", "no-sandbox", "disable-gpu", "no-first-run", "disable-background-networking"]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start_lab(port: int) -> subprocess.Popen:
    flags = [f"--port={port}", "--no-browser", "--IdentityProvider.token=", "--allow-root"]
    server = subprocess.Popen(
        [sys.executable, "-m", "jupyter", "lab", *flags, f"--ServerApp.root_dir={ROOT / 'notebooks'}"],
        stderr=subprocess.DEVNULL,
    )
    for _ in range(120):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/api")
            return server
        except OSError:
            time.sleep(0.5)
    server.kill()
    raise SystemExit("JupyterLab did not start")


def numbered(browser: webdriver.Chrome) -> list[bool]:
    """For each code cell, whether it has run: its prompt is a number, not a star or nothing."""
    prompts = browser.find_elements(By.CSS_SELECTOR, ".jp-CodeCell .jp-InputPrompt")
    return [prompt.text.strip("[]: ").isdigit() for prompt in prompts]


def all_ran(browser: webdriver.Chrome) -> bool:
    cells = numbered(browser)
    return bool(cells) and all(cells)


def errors_in(browser: webdriver.Chrome) -> list:
    selector = ".jp-RenderedText[data-mime-type='application/vnd.jupyter.error']"
    return browser.find_elements(By.CSS_SELECTOR, selector)


def run_all(port: int, screenshot: Path) -> tuple[int, int]:
    """Run all cells; how many code cells ran, and how many outputs are errors."""
    options = webdriver.ChromeOptions()
    for flag in [*CHROMIUM, "window-size=1400,1000", f"user-data-dir={tempfile.mkdtemp()}"]:
        options.add_argument(f"--{flag}")
    with webdriver.Chrome(options=options) as browser:
        browser.get(f"http://127.0.0.1:{port}/lab/tree/{NOTEBOOK}?reset")
        WebDriverWait(browser, 60).until(lambda b: b.find_elements(By.CSS_SELECTOR, ".jp-CodeCell"))
        idle = "//*[contains(@class, 'jp-NotebookPanel')]//*[@data-status='idle']"
        WebDriverWait(browser, 60).until(lambda b: b.find_elements(By.XPATH, idle))
        browser.find_element(
            By.XPATH, "//div[contains(@class,'lm-MenuBar-itemLabel') and text()='Run']"
        ).click()
        label = "//div[contains(@class,'lm-Menu-itemLabel') and text()='Run All Cells']"
        WebDriverWait(browser, 10).until(lambda b: b.find_element(By.XPATH, label)).click()
        # "Idle" is also what the kernel is before it begins, so wait for the cells themselves: first for
        # the numbers that stand in the file to go, then for those of this run.
        WebDriverWait(browser, 30, poll_frequency=0.05).until(lambda b: not all_ran(b))
        WebDriverWait(browser, 110).until(lambda b: all_ran(b) or errors_in(b))
        browser.save_screenshot(str(screenshot))
        return sum(numbered(browser)), len(errors_in(browser))


if __name__ == "__main__":
    port = free_port()
    server = start_lab(port)
    try:
        ran, errors = run_all(port, Path(tempfile.gettempdir()) / "notebook_00.png")
    finally:
        server.terminate()
    print(f"{ran} cells ran, {errors} errors")
    sys.exit(0 if ran and not errors else 1)
