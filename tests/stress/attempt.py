"""Run a command of `polyp` where it can do no harm: in a child with a time limit, its memory measured."""

import os
import signal
import sys
import time
from pathlib import Path
from typing import NamedTuple

from polyp.__main__ import main

SECONDS = 60


class Attempt(NamedTuple):
    """How a command ended: its exit code (minus a signal's number), what it said, and the memory it took.

    That is at its highest, beyond what the tests' process had loaded before the fork.
    """

    code: int
    out: str
    err: str
    seconds: float
    mebibytes: float

    @property
    def verdict(self) -> str:
        """`right`, `refused` in one line a fault, or what a user must never meet."""
        if self.code == -signal.SIGALRM:
            return "hang"
        if self.code < 0:
            return "crash"
        if "Traceback (most recent call last)" in self.err + self.out or self.code not in (0, 1, 2):
            return "traceback"
        return "right" if self.code == 0 else "refused"


def attempt(arguments: list[str], place: Path, seconds: int = SECONDS) -> Attempt:
    """Run `polyp` with `arguments` in the folder `place`, as from a shell, but forked, which is quicker."""
    out, err = place / ".out", place / ".err"
    start, loaded = time.monotonic(), _resident()
    child = os.fork()
    if child == 0:
        code = 99
        try:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(seconds)
            os.chdir(place)
            for stream, file in ((1, out), (2, err)):
                os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream)
            sys.stdout, sys.stderr = (os.fdopen(stream, "w", closefd=False) for stream in (1, 2))
            code = _run(arguments)
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code)
    _, status, usage = os.wait4(child, 0)
    return Attempt(
        os.waitstatus_to_exitcode(status),
        out.read_text(errors="replace"),
        err.read_text(errors="replace"),
        time.monotonic() - start,
        usage.ru_maxrss / 1024 - loaded,
    )


def _resident() -> float:
    """The memory of this process now, in MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def _run(arguments: list[str]) -> int:
    import traceback
    import warnings

    warnings.simplefilter("ignore")  # as a user's Python does for most of them
    try:
        return main(arguments)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 1
    except BaseException:
        traceback.print_exc()
        return 1
