"""The command line: `polyp data | train | validate | predict | info | export | score | ...`.

Exit codes: 0 done, 1 the data or a file cannot be used, 2 the command makes no sense, 130 Ctrl-C, 141 the
reader of a pipe has gone.
"""

import contextlib
import io
import os
import signal
import sys

import polyp
from polyp.commands import (
    bench,
    data,
    experiment,
    export,
    info,
    page,
    predict,
    progress,
    report,
    score,
    sweep,
    train,
    validate,
)
from polyp.commands.parser import Parser
from polyp.errors import DataError, UsageError

# As `polyp --help` lists them. What loads torch they import in `run`: help should not take seconds.
COMMANDS = (
    *(data, train, validate, page, predict, info, sweep, export, score),
    *(progress, experiment, report, bench),
)

# Packages that the extras of pyproject.toml bring, and the extra that a command needs if not `train`.
OPTIONAL = {
    "pandas",
    "scipy",
    "sklearn",
    "platformdirs",
    "torch",
    "albumentations",
    "safetensors",
    "matplotlib",
    "packaging",
    "pooch",
    "distributed",
    "papermill",
    "jinja2",
}
# What is left to say where one of several processes was killed.
LOST = "stopped with the other processes of this training; --resume goes on after the last whole epoch"
LIGHT = {"score": "score", "data": "score", "export": "export", "sweep": "sweep"}


def build_parser() -> Parser:
    """All commands and flags."""
    parser = Parser(
        prog="polyp",
        description="Find polyps in colonoscopy frames: data, training, scores and masks.\n"
        "For education and research; not a medical device.",
        epilog="start here:\n"
        "  polyp train --preset quick                          a first model in a minute, no download\n"
        "  polyp predict frame.png                             masks, with the bundled model\n"
        "  polyp predict frame.png --checkpoint runs/quick/best.safetensors\n",
    )
    parser.add_argument("--version", action="version", version=f"polyp {polyp.__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add(commands)
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run one command; the return value is the exit code."""
    # Before torch is imported: its idle threads should sleep, not burn the cores of a shared machine.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    for stream in (sys.stdout, sys.stderr):  # a console that cannot show a name shows its escapes
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    with _quiet_unless_first():
        args = build_parser().parse_args(arguments)
    try:
        code = args.run(args)
        sys.stdout.flush()
        return code
    except UsageError as error:
        _complain(args.command, error)
        return 2
    except (DataError, ArithmeticError) as error:
        _complain(args.command, error)
        return 1
    except ModuleNotFoundError as error:
        if error.name not in OPTIONAL:
            raise
        extra = "notebooks" if error.name == "papermill" else LIGHT.get(args.command, "train")
        remedy = f"pip install 'polyp-course[{extra}]'"
        _complain(args.command, f"needs {error.name}, which is not installed: {remedy}")
        return 2
    except (RuntimeError, MemoryError) as error:
        if not (remedy := _machine_remedy(str(error))):
            raise
        _complain(args.command, remedy)
        return 1
    except BrokenPipeError:  # the reader, such as `| head`, has seen enough; no traceback at exit either
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except KeyboardInterrupt:
        return 130


def _quiet_unless_first():
    """Of several processes that `torchrun` started, only the first says what all of them would say."""
    if int(os.environ.get("RANK", 0)):
        return contextlib.redirect_stderr(io.StringIO())
    return contextlib.nullcontext()


def _complain(command: str, what: object) -> None:
    if int(os.environ.get("WORLD_SIZE", 1)) > 1:
        from polyp.run.distributed import first_to_fail

        if not first_to_fail():
            return
    print(f"polyp {command}: {what}", file=sys.stderr, flush=True)


def command_line() -> int:
    """`main`, for a process that ends then: a second Ctrl-C, while Python cleans up, changes nothing."""
    code = main()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return code


def _machine_remedy(message: str) -> str:
    """What to do where the machine is too small; empty for any other error, which is ours."""
    signs = {
        "shared memory": "too little shared memory (/dev/shm) for loader processes; use --workers 0",
        "terminated": LOST,
        "Connection closed by peer": LOST,
        "Connection reset by peer": LOST,
        "Broken pipe": LOST,
        "NCCL": LOST,
        "DataLoader worker": "a loader process was killed, perhaps for want of memory; use --workers 0",
        "allocate memory": "too little memory; use a smaller --size, --batch-size or --widths",
        "out of memory": "too little memory; use a smaller --size, --batch-size or --widths",
    }
    return next((remedy for sign, remedy in signs.items() if sign in message), "")


if __name__ == "__main__":
    sys.exit(command_line())
