"""`polyp bench`: how fast this machine is."""

from pathlib import Path

from polyp.errors import look_up


def add(commands) -> None:
    bench = commands.add_parser("bench", help="measure the speed of loading, training and prediction here")
    bench.add_argument("--quick", action="store_true", help="a first impression in under a minute")
    bench.add_argument("--only", nargs="+", default=(), metavar="SECTION", help="see docs/usage.md")
    bench.add_argument("--out", type=Path, metavar="FILE", help="also write the figures as JSON")
    bench.set_defaults(run=run)


def run(args) -> int:
    from polyp.course.bench import SECTIONS, bench
    from polyp.disk import place_for

    for name in args.only:
        look_up(SECTIONS, "section", name)
    if args.out:
        place_for(args.out)
    bench(args.quick, args.out, args.only)
    return 0
