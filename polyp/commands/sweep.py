"""`polyp sweep`: many jobs, here or on a cluster."""

from pathlib import Path

from polyp.commands.parser import Parser
from polyp.commands.predict import add_predicting
from polyp.commands.train import add_training, asked, given_settings
from polyp.config import setting_fields
from polyp.errors import UsageError, look_up


def add(commands) -> None:
    sweep = commands.add_parser(
        "sweep",
        help="train over a grid of settings, or predict many folders, on one machine or several",
        description="Many jobs, by Dask: here, or on a laboratory's cluster (--scheduler). The same command\n"
        "again does what is missing; DIR/sweep.csv has one row per job.",
        epilog="examples:\n"
        "  polyp sweep train --preset quick --grid lr=2e-3,5e-3 seed=0,1,2 --out runs/lr --jobs 2\n"
        "  polyp sweep notebook notebooks/06_training.ipynb --grid epochs=2,4 --out runs/epochs\n"
        "  polyp sweep predict ward1/ ward2/ --out masks --scheduler tcp://head:8786\n",
    )
    kinds = sweep.add_subparsers(dest="kind", metavar="KIND", required=True)
    train = kinds.add_parser("train", help="one run for each point of a grid of settings")
    _add_sweeping(train, "one run folder for each point", grid=True)
    add_training(train)
    train.set_defaults(run=run, jobs_of=_train_jobs)
    notebook = kinds.add_parser(
        "notebook", help="execute a notebook for each point of a grid of its parameters"
    )
    notebook.add_argument("notebook", type=Path, metavar="NOTEBOOK", help="an .ipynb with a parameters cell")
    _add_sweeping(notebook, "one folder for each point", grid=True)
    notebook.add_argument(
        "-p", dest="parameters", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"),
        help="a parameter that does not vary",
    )  # fmt: skip
    notebook.set_defaults(run=run, jobs_of=_notebook_jobs)
    predict = kinds.add_parser("predict", help="write masks for the pictures in many folders")
    predict.add_argument("folders", type=Path, nargs="+", metavar="FOLDER", help="one job each")
    _add_sweeping(predict, "one folder of predictions for each", grid=False)
    add_predicting(predict)
    predict.set_defaults(run=run, jobs_of=_predict_jobs)


def _add_sweeping(kind, holds: str, grid: bool) -> None:
    """What is swept, and where."""
    if grid:
        kind.add_argument(
            "--grid", nargs="+", required=True, metavar="NAME=VALUE,VALUE",
            help="all combinations of these; numbers of one value with spaces: 'size=64 64,96 96'",
        )  # fmt: skip
    kind.add_argument("--out", type=Path, required=True, metavar="DIR", help=f"{holds}, and sweep.csv")
    kind.add_argument("--jobs", type=int, metavar="N", help="at a time, on this machine (default 1)")
    kind.add_argument(
        "--threads", type=int, metavar="N", help="of each job (default: a fair share of the cores)"
    )
    kind.add_argument("--scheduler", metavar="ADDRESS", help="of a Dask cluster, such as tcp://head:8786")
    kind.add_argument("--list", action="store_true", help="list the jobs, and run none")


def run(args) -> int:
    from polyp.run.sweeping.sweep import TABLE, sweep

    jobs = args.jobs_of(args)
    if args.list:
        for job in jobs:
            state = "done" if job.is_done() else "begun" if job.folder.exists() else "new"
            print(f"{job.name}: {state}")
        return 0
    if args.jobs is not None and args.scheduler:
        raise UsageError("--jobs is for this machine; a cluster takes as many as its workers have threads")
    at_once = 1 if args.jobs is None else args.jobs
    try:
        table = sweep(jobs, args.out, at_once=at_once, threads=args.threads, scheduler=args.scheduler)
    except KeyboardInterrupt:
        print("\nStopped. The same command goes on with what is missing.", flush=True)
        raise
    failed = bool((table["state"] == "failed").any())
    shown = table.drop(columns=["host", "folder"] + ["error"] * (not failed))
    print(f"\n{shown.to_string(index=False, na_rep='', float_format='{:.4g}'.format, max_colwidth=60)}\n")
    print(f"table: {args.out / TABLE}")
    return int(failed)


def _train_jobs(args) -> list:
    from polyp.run.sweeping.grid import name_of, read_grid
    from polyp.run.sweeping.jobs import TrainJob

    given, out = given_settings(args), args.out.resolve()
    points = read_grid(args.grid, ["preset", *setting_fields()])
    if both := (given | ({"preset": 0} if args.preset else {})).keys() & points[0].keys():
        raise UsageError(f"{min(both)} is a flag and in the grid; give one of the two")
    flags = _flags(args, add_training, ("data_path", "cache", "test"))
    jobs = []
    for point in points:
        settings = given | point
        config = asked(settings.pop("preset", args.preset), args.config, settings)
        jobs.append(TrainJob(name_of(point), point, out / name_of(point), config, flags))
    return jobs


def _notebook_jobs(args) -> list:
    from polyp.run.sweeping.grid import name_of, read_grid, read_value
    from polyp.run.sweeping.jobs import NotebookJob, notebook_parameters

    known = notebook_parameters(args.notebook)
    points = read_grid(args.grid, known)
    fixed = {
        name: read_value(look_up(dict.fromkeys(known, name), "parameter", name), text)
        for name, text in args.parameters
    }
    if both := fixed.keys() & points[0].keys():
        raise UsageError(f"{min(both)} is given with -p and in the grid; give one of the two")
    out, notebook = args.out.resolve(), args.notebook.resolve()
    has_out = "out" in known and "out" not in fixed | points[0]
    return [
        NotebookJob(name_of(point), point, out / name_of(point), notebook, fixed | point, has_out)
        for point in points
    ]


def _predict_jobs(args) -> list:
    from polyp.run.sweeping.jobs import PredictJob, name_folders

    names, flags = name_folders(args.folders), _flags(args, add_predicting)
    return [
        PredictJob(name, {"source": str(folder)}, args.out.resolve() / name, folder.resolve(), flags)
        for name, folder in zip(names, args.folders, strict=True)
    ]


def _flags(args, add, only: tuple[str, ...] = ()) -> list[str]:
    """The flags of a group that were given, as they would be typed again for each job."""
    group, flags = Parser(add_help=False), []
    add(group)
    for action in group._actions:
        value = getattr(args, action.dest)
        if value == action.default or (only and action.dest not in only):
            continue
        flag = action.option_strings[value is False]  # the second one is --no-...
        if isinstance(value, list):
            flags += [flag, *map(str, value)]
        else:
            flags.append(flag if isinstance(value, bool) else f"{flag}={value}")
    return flags
