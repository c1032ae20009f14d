"""Open a notebook (00, or the named one) in JupyterLab with a real browser, run all cells, move every slider.

It fails on any error, and on a slider that does not turn the page.
"""

import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import nbformat
from selenium import webdriver
from selenium.common.exceptions import TimeoutException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

os.environ.setdefault("SE_OFFLINE", "true")  # the browser and its driver are there; look for no others
ROOT = Path(__file__).parent.parent
NOTEBOOK = sys.argv[1] if len(sys.argv) > 1 else "00_start_here.ipynb"
CHROMIUM = ["headless=new", "no-sandbox", "disable-gpu", "no-first-run", "disable-background-networking"]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def without_numbers(folder: str) -> None:
    """Put a copy of the notebook into a folder, as if it had never run: every number is then this run's."""
    notebook = nbformat.read(ROOT / "notebooks" / NOTEBOOK, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.execution_count, cell.outputs = None, []
            cell.metadata.pop("jupyter", None)  # a folded cell shows no number
    nbformat.write(notebook, Path(folder) / NOTEBOOK)


def start_lab(port: int, folder: str) -> subprocess.Popen:
    flags = [f"--port={port}", "--no-browser", "--IdentityProvider.token=", "--allow-root"]
    server = subprocess.Popen(
        [sys.executable, "-m", "jupyter", "lab", *flags, f"--ServerApp.root_dir={folder}"],
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


def errors_in(browser: webdriver.Chrome) -> list:
    """Outputs that are tracebacks or went to stderr: JupyterLab marks both alike."""
    return browser.find_elements(By.CSS_SELECTOR, "[data-mime-type='application/vnd.jupyter.stderr']")


def press_run_all(browser: webdriver.Chrome) -> None:
    menu = "//div[contains(@class,'lm-MenuBar-itemLabel') and text()='Run']"
    browser.find_element(By.XPATH, menu).click()
    label = "//div[contains(@class,'lm-Menu-itemLabel') and text()='Run All Cells']"
    WebDriverWait(browser, 10).until(lambda b: b.find_element(By.XPATH, label)).click()


def happens(browser: webdriver.Chrome, seconds: float, what: Callable) -> bool:
    try:
        return bool(WebDriverWait(browser, seconds).until(what))
    except TimeoutException:
        return False


def stuck_sliders(browser: webdriver.Chrome) -> tuple[int, int]:
    """How many sliders there are, and how many of them change no picture when a key is pressed."""
    knobs, stuck = 0, 0
    for book in browser.find_elements(By.CSS_SELECTOR, "figure[id^=flipbook]"):
        picture = book.find_element(By.TAG_NAME, "img")
        for knob in book.find_elements(By.CSS_SELECTOR, "input[type=range]"):
            browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", knob)
            before = picture.get_attribute("src")
            knob.send_keys(Keys.END)
            if picture.get_attribute("src") == before:
                knob.send_keys(Keys.HOME)  # it stood at the end
            knobs, stuck = knobs + 1, stuck + (picture.get_attribute("src") == before)
    return knobs, stuck


def run_all(port: int, screenshot: Path) -> tuple[int, int, int, int, int]:
    """Run all cells: how many ran, of how many, with how many errors; how many sliders, how many stuck."""
    options = webdriver.ChromeOptions()
    for flag in [*CHROMIUM, "window-size=1400,1000", f"user-data-dir={tempfile.mkdtemp()}"]:
        options.add_argument(f"--{flag}")
    with webdriver.Chrome(options=options) as browser:
        browser.get(f"http://127.0.0.1:{port}/lab/tree/{NOTEBOOK}?reset")
        WebDriverWait(browser, 60).until(lambda b: b.find_elements(By.CSS_SELECTOR, ".jp-CodeCell"))
        idle = "//*[contains(@class, 'jp-NotebookPanel')]//*[@data-status='idle']"
        WebDriverWait(browser, 60).until(lambda b: b.find_elements(By.XPATH, idle))
        for _ in range(3):  # JupyterLab drops the request if it has only just met the kernel: press again
            press_run_all(browser)
            if happens(browser, 15, lambda b: any(numbered(b)) or errors_in(b)):
                break
        happens(browser, 240, lambda b: all(numbered(b)) or errors_in(b))
        browser.save_screenshot(str(screenshot))
        cells = numbered(browser)
        return sum(cells), len(cells), len(errors_in(browser)), *stuck_sliders(browser)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        without_numbers(folder)
        port = free_port()
        server = start_lab(port, folder)
        try:
            picture = Path(tempfile.gettempdir()) / f"{NOTEBOOK[:-6]}.png"
            ran, cells, errors, sliders, stuck = run_all(port, picture)
        finally:
            server.terminate()
    print(f"{ran} of {cells} cells ran, {errors} errors; {sliders} sliders, {stuck} of them stuck")
    sys.exit(0 if ran == cells > 0 and not errors and not stuck else 1)
