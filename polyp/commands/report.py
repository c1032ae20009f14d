"""`polyp report`: the results as text."""


def add(commands) -> None:
    report = commands.add_parser(
        "report", help="renew docs/results.md, the README and the model card from the results"
    )
    report.set_defaults(run=run)


def run(args) -> int:
    from polyp.course.report import write_report

    print(write_report())
    return 0
