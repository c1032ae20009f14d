"""The site's server, and helpers of the tests that drive a browser."""

import base64
import functools
import http.server
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

TO_BASE64 = """const toBase64 = (array) => {
  const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
  let text = "";
  for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode(...bytes.subarray(i, i + 8192));
  return btoa(text);
};"""


class Server:
    """A folder on a port of this machine; names in `missing` are answered with 404."""

    def __init__(self, folder: Path):
        self.missing: set[str] = set()
        server = self

        class Handler(http.server.SimpleHTTPRequestHandler):
            def log_message(self, *args) -> None:
                pass

            def end_headers(self) -> None:
                self.send_header("Cache-Control", "no-store")  # or `missing` would come from the browser
                super().end_headers()

            def do_GET(self) -> None:
                name = self.path.rpartition("/")[2].partition("?")[0]
                if name in server.missing:
                    self.send_error(404)
                else:
                    super().do_GET()

        self._server = http.server.ThreadingHTTPServer(
            ("127.0.0.1", 0), functools.partial(Handler, directory=folder)
        )
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.address = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def open_lab(browser, address: str) -> None:
    """Open the laboratory and wait until its network is there."""
    browser.get(address)
    assert wait_for(browser, "return document.documentElement.dataset.lab") == "ready"
    failures(browser)


@contextmanager
def injected(browser, script: str) -> Iterator[None]:
    """Run a piece of JavaScript before any of a page's own, on every page that is opened meanwhile."""
    added = browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": script})
    try:
        yield
    finally:
        browser.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", added)


def array(browser, expression: str, dtype=np.uint8, part: Any = None) -> np.ndarray:
    """The flat values of a typed array, which a JavaScript expression gives; it may speak of a `part`."""
    script = f"{TO_BASE64} const [part] = arguments; return toBase64({expression})"
    return np.frombuffer(base64.b64decode(browser.execute_script(script, part)), dtype)


def until(condition: Callable[[], Any], seconds: float = 60) -> Any:
    """Wait until something returns what is true, and give it back."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, f"after {seconds} s still not so"
        time.sleep(0.02)
    return found


def wait_for(browser, script: str) -> Any:
    """Wait until a piece of JavaScript returns something true, and give it back."""
    return until(lambda: browser.execute_script(script))


def failures(browser) -> list[str]:
    """The errors in the browser's console since the last call."""
    return [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
