"""Running what is missing of many jobs, with one table that grows."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from polyp.disk import make_folder, write_atomic
from polyp.errors import DataError, UsageError
from polyp.run.sweeping.jobs import Job, Row

TABLE = "sweep.csv"


def sweep(
    jobs: Sequence[Job],
    out: str | Path,
    *,
    at_once: int = 1,
    threads: int | None = None,
    scheduler: str | None = None,
    progress: bool = True,
) -> pd.DataFrame:
    """Run the jobs that are not done yet; those that fail are rows, and the others go on.

    After a stop, a crash, or with more jobs in it, the same call does what is missing.

    Args:
        jobs: their folders are in `out`.
        out: for `sweep.csv`, which gets each job's row when it ends, and `NAME.log`, what each job said.
        at_once: how many jobs at a time, on this machine.
        threads: of each job; by default a fair share of the cores, or with `scheduler` what its workers have.
        scheduler: address of a Dask cluster, `tcp://head:8786`, whose workers have a thread for each job that
            they may run at a time; all its machines share `out` and have this version of polyp.
        progress: print a line for each job that ends.

    Returns:
        one row per job: what varies, state (done, failed), the results of its kind (see `Job.result`),
        host, folder, error.

    Raises:
        UsageError: no scheduler answers, or its workers lack something; a job's folder holds another one.
        DataError: `out` cannot be written to.
    """
    from polyp.run.sweeping import cluster  # Dask takes a second to import

    if at_once < 1 or (threads is not None and threads < 1):
        raise UsageError(f"{min(at_once, threads or at_once)} jobs or threads; expected 1 or more")
    table = _Table(jobs, make_folder(out).resolve() / TABLE)
    waiting = [job for job in jobs if not job.is_done()]
    for job in jobs:
        if job not in waiting:
            table.add(job)
    if progress:
        print(
            f"{len(jobs) - len(waiting)} of {len(jobs)} jobs are done already; logs: {out}/*.log", flush=True
        )
    if not waiting:
        return table.frame()
    if scheduler is None:
        threads = threads or cluster.share_of_cores(at_once)
    with cluster.connected(scheduler, min(at_once, len(waiting)), table.file.parent) as client:
        tasks = [
            cluster.Task(job.prepare(), _log(table.file.parent, job), Path.cwd(), threads, job.scratch)
            for job in waiting
        ]
        for number, outcome in cluster.run_tasks(client, tasks):
            line = table.add(waiting[number], outcome.error, outcome.seconds, outcome.host)
            if progress:
                print(line, flush=True)
    return table.frame()


def _log(out: Path, job: Job) -> Path:
    log = out / f"{job.name}.log"
    make_folder(log.parent)
    return log


class _Table:
    """`sweep.csv`: the rows of the jobs that have ended, in the order of the jobs."""

    def __init__(self, jobs: Sequence[Job], file: Path):
        self.jobs, self.file = jobs, file
        self.rows: dict[str, Row] = {}

    def add(self, job: Job, error: str = "", seconds: float = 0.0, host: str = "") -> str:
        """Add a job that has ended, and return a line about it."""
        found: Row = {"seconds": seconds}
        if not error:
            try:
                found |= job.result()
            except DataError as fault:
                error = str(fault)
        state = "failed" if error else "done"
        point = {name: _typed(value) for name, value in job.point.items()}
        where = {"host": host, "folder": str(job.folder), "error": error}
        self.rows[job.name] = {**point, "state": state, **found, **where}
        write_atomic(self.file, self.frame().to_csv(index=False))
        results = ", ".join(f"{name} {value:.4g}" for name, value in found.items() if value is not None)
        return f"{len(self.rows)}/{len(self.jobs)} {job.name}: {state}, {error or results}"

    def frame(self) -> pd.DataFrame:
        rows = pd.DataFrame([self.rows[job.name] for job in self.jobs if job.name in self.rows])
        rows = rows.convert_dtypes()  # whole numbers stay so where a job that failed has none
        last = [name for name in ("host", "folder", "error") if name in rows]
        return rows[[name for name in rows if name not in last] + last]


def _typed(value: Any) -> Any:
    """A value as it is typed: several numbers with spaces between them."""
    return " ".join(map(str, value)) if isinstance(value, tuple) else value
