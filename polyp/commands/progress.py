"""`polyp progress`: which exercises are solved."""

from pathlib import Path


def add(commands) -> None:
    progress = commands.add_parser("progress", help="count the exercises that you have solved")
    progress.add_argument(
        "folder", type=Path, nargs="?", help="of saved notebooks; default: notebooks/, or where you are"
    )
    progress.set_defaults(run=run)


def run(args) -> int:
    from polyp.course.progress import as_lines, read_progress

    here = Path("notebooks") if Path("notebooks").is_dir() else Path()
    print("\n".join(as_lines(read_progress(args.folder or here))))
    print("(as the notebooks were saved: save yours first)")
    return 0
