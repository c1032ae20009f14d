"""`polyp page`: a finished run's page, again."""

from pathlib import Path


def add(commands) -> None:
    page = commands.add_parser("page", help="write a finished run's page, run.html, again")
    page.add_argument("folder", type=Path, metavar="RUN", help="a run folder")
    page.add_argument("--data-path", type=Path, metavar="DIR", help="where its data are")
    page.set_defaults(run=run)


def run(args) -> int:
    from polyp.run import write_page

    print(write_page(args.folder, data_path=args.data_path))
    return 0
