"""Processes on the workers of a Dask cluster, this machine's or a laboratory's.

Each job is a process that its worker starts, so that a crash is that job's alone, memory is given back, and
threads are set before PyTorch is imported. What a worker imports for it is small.
"""

import contextlib
import logging
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

from distributed import Client, KilledWorker, LocalCluster, Status, WorkerPlugin, as_completed, get_worker
from distributed.utils import silence_logging_cmgr
from distributed.versions import VersionMismatchWarning

from polyp.errors import UsageError, name_some

PATIENCE = 10.0  # seconds, for a scheduler to answer
UNHEARD = "Kernel didn't respond"  # papermill says so after a minute
LOOK = 0.5  # seconds between two looks at a running process
ENDING = (Status.closing, Status.closed, Status.failed)
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(frozen=True)
class Task:
    """What a worker runs: `python -m` with a module and its arguments."""

    command: Sequence[str]
    log: Path  # for all that it prints
    folder: Path  # to run in
    threads: int | None = None  # None: as many as the worker's environment says
    scratch: Path | None = None  # removed before the start: what one that was killed has left


class Outcome(NamedTuple):
    """How it ended; `error` is empty where it went well."""

    error: str
    seconds: float = 0.0
    host: str = ""


@contextlib.contextmanager
def connected(scheduler: str | None, at_once: int, shared: Path) -> Iterator[Client]:
    """A client of the cluster at an address, or of one on this machine that ends with the block.

    Args:
        scheduler: its address, such as `tcp://head:8786`; None starts one here.
        at_once: jobs at a time, of a cluster that starts here.
        shared: a folder that all machines must see.

    Raises:
        UsageError: no scheduler answers; a worker lacks the folder, or this version of polyp.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(_interrupt_kept())
        # What Dask has to say, of workers that died above all, the jobs' rows say too; and jobs are processes
        # of their own, to which its own versions and those of what it sends do not matter.
        stack.enter_context(silence_logging_cmgr(logging.CRITICAL))
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore", VersionMismatchWarning)
        if scheduler is None:
            client = stack.enter_context(Client(stack.enter_context(_local_cluster(at_once))))
            client.register_plugin(_Uninterrupted())
        else:
            client = stack.enter_context(_client_of(scheduler))
            _check_workers(client, shared)
        try:
            yield client
        except KeyboardInterrupt:  # a second one would leave workers behind
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            raise


@contextlib.contextmanager
def _interrupt_kept() -> Iterator[None]:
    """What Ctrl-C does is afterwards as it was before."""
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGINT) != before:
            signal.signal(signal.SIGINT, before)


def _local_cluster(at_once: int) -> LocalCluster:
    return LocalCluster(
        n_workers=at_once, threads_per_worker=1, processes=True, memory_limit=0, dashboard_address=":0",
        silence_logs=logging.CRITICAL,
    )  # fmt: skip


def _client_of(scheduler: str) -> Client:
    try:
        return Client(scheduler, timeout=PATIENCE)
    except (OSError, ValueError):
        raise UsageError(
            f"{scheduler}: no Dask scheduler answers there within {PATIENCE:.0f} s; is it running, and "
            "is this the address that `dask scheduler` printed?"
        ) from None


class _Uninterrupted(WorkerPlugin):
    """Ctrl-C in a terminal reaches the workers too, but they end when the client says so."""

    def setup(self, worker: Any) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _check_workers(client: Client, shared: Path) -> None:
    """Ask each worker that is there by functions of Python alone, which need no polyp to be there."""
    own = metadata.version("polyp-course")
    versions = client.run(metadata.version, "polyp-course", on_error="return")
    if not versions:
        print("the scheduler has no worker yet; waiting for one", file=sys.stderr)
    if other := {place: found for place, found in versions.items() if found != own}:
        place, found = next(iter(other.items()))
        has = f"polyp {found}" if isinstance(found, str) else "no polyp"
        raise UsageError(
            f"{len(other)} of {len(versions)} workers, such as {place}, have {has}; expected {own}, as here: "
            "start them in an environment like this one"
        )
    if blind := [place for place, sees in client.run(os.path.isdir, str(shared)).items() if not sees]:
        raise UsageError(
            f"{shared}: is not on the machines of {len(blind)} workers ({name_some(blind)}); expected a "
            "folder that all machines share"
        )


def share_of_cores(at_once: int) -> int:
    """Threads for each of some jobs on this machine; fewer where `OMP_NUM_THREADS` says so."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores // at_once, int(os.environ.get("OMP_NUM_THREADS", cores))))


def run_tasks(client: Client, tasks: Sequence[Task]) -> Iterator[tuple[int, Outcome]]:
    """Run all tasks; the number of each with its outcome, in the order in which they end.

    A task whose worker dies is started again on another worker. Those that have not ended when the caller
    stops asking are stopped.
    """
    futures = client.map(execute, tasks, key="polyp-sweep", pure=False)
    numbers = {future.key: number for number, future in enumerate(futures)}
    ended = as_completed(futures)
    try:
        # Asked again and again, so that the main thread is in Python's own sleep when Ctrl-C comes: in the
        # middle of a library's work the interruption may be lost.
        while not ended.is_empty():
            for future in ended.next_batch(block=False):
                yield numbers[future.key], _outcome(future)
            time.sleep(LOOK)
    finally:
        with contextlib.suppress(Exception):  # nobody is there to be asked
            client.cancel(futures)


def _outcome(future: Any) -> Outcome:
    if future.cancelled():
        return Outcome("the scheduler has stopped; the same sweep again goes on")
    error = future.exception()
    if error is None:
        return future.result()
    if isinstance(error, KilledWorker):
        return Outcome("every worker that took it died, perhaps for want of memory")
    return Outcome(f"its worker failed: {one_line(error)}")


def execute(task: Task) -> Outcome:
    """Run one task, in a worker; the process ends with the worker, or when nobody waits for it any more."""
    outcome = _attempt(task)
    # Two kernels that start at the same moment may choose the same ports, and then one is never heard.
    return _attempt(task) if UNHEARD in outcome.error else outcome


def _attempt(task: Task) -> Outcome:
    host, start = socket.gethostname(), time.monotonic()
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}  # else the log's last line may not be its error
    environment |= dict.fromkeys(THREADS if task.threads else (), str(task.threads))
    environment.pop("MALLOC_TRIM_THRESHOLD_", None)  # Dask sets it for its workers; it slows training
    command = [sys.executable, "-P", "-m", "polyp.run.sweeping.attached", *task.command]
    if task.scratch:
        shutil.rmtree(task.scratch, ignore_errors=True)
    try:
        with task.log.open("wb") as log:
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=log, stderr=log, cwd=task.folder, env=environment,
                start_new_session=True,
            )  # fmt: skip
        with process:
            code = _wait(process)
    except OSError as error:
        return Outcome(f"{host}: {error.strerror}: {error.filename}", host=host)
    return Outcome(_error(code, task.log), round(time.monotonic() - start, 1), host)


def _wait(process: subprocess.Popen) -> int:
    """The exit code."""
    worker = get_worker()
    key = worker.get_current_task()
    while True:
        try:
            return process.wait(LOOK)
        except subprocess.TimeoutExpired:
            # Dask does not stop a task that its client has given up, or whose scheduler is gone.
            state = worker.state.tasks.get(key)
            if state is None or state.state != "executing" or worker.status in ENDING:
                process.kill()


def _error(code: int, log: Path) -> str:
    """What a process that did not end well said last."""
    if code == 0:
        return ""
    if code < 0:
        return f"killed by signal {-code}, perhaps for want of memory"
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines()]
    said = [line for line in lines if line]
    ours = [line for line in said if re.match(r"polyp \w+: ", line)]
    last = (ours or said or [f"exit code {code}"])[-1]
    return one_line(re.sub(r"^polyp \w+: ", "", last))


def one_line(error: object) -> str:
    """The first line of an error, not too long."""
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:300]
