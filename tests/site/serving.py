"""The site's server, and helpers of the tests that drive a browser."""

import functools
import http.server
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


class Server:
    """A folder on a port of this machine; names in `missing` are answered with 404."""

    def __init__(self, folder: Path):
        self.missing: set[str] = set()
        self.asked: list[str] = []
        server = self

        class Handler(http.server.SimpleHTTPRequestHandler):
            def log_message(self, *args) -> None:
                pass

            def end_headers(self) -> None:
                self.send_header("Cache-Control", "no-store")  # or `missing` would come from the browser
                super().end_headers()

            def do_GET(self) -> None:
                name = self.path.rpartition("/")[2].partition("?")[0]
                server.asked.append(self.path)
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


def open_lab(browser, address: str, state: str = "ready") -> None:
    """Open the laboratory and wait until its network is `ready`, or has `failed` to load."""
    browser.get(address)
    wait_for(browser, "return document.documentElement.dataset.lab")
    assert browser.execute_script("return document.documentElement.dataset.lab") == state
    failures(browser)


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
