"""`polyp experiment`: repeat what the course's numbers come from."""

from pathlib import Path

from polyp.errors import look_up


def add(commands) -> None:
    experiment = commands.add_parser(
        "experiment",
        help="repeat an experiment of the course: train, score, write its JSON file",
        description="Repeat experiments behind the course's numbers, one after the other.",
    )
    experiment.add_argument("names", nargs="*", metavar="NAME", help="which (none: list them)")
    experiment.add_argument("--data-path", type=Path, metavar="DIR", help="where the data are")
    experiment.add_argument(
        "--out", type=Path, metavar="DIR", help="where to (default: polyp/course/results)"
    )
    experiment.set_defaults(run=run)


def run(args) -> int:
    from polyp.course.experiments import experiment, experiment_names

    known = experiment_names()
    if not args.names:
        print("\n".join(known))
    for name in args.names:  # a misspelt last name should not wait for the first to be trained
        look_up(dict.fromkeys(known), "experiment", name)
    for name in args.names:
        print(experiment(name, args.data_path, args.out))
    return 0
