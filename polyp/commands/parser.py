"""The parser of all commands, and the flags that several of them share."""

import argparse
import re
import sys
from typing import Any, NoReturn

from polyp.errors import UsageError, nearest


class Parser(argparse.ArgumentParser):
    """argparse, but an unknown flag or choice is answered with the nearest right one."""

    def __init__(self, *args, **kwargs):
        kwargs.setdefault("allow_abbrev", False)
        kwargs.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(*args, **kwargs)

    def parse_known_args(self, args=None, namespace=None):
        namespace, unknown = super().parse_known_args(args, namespace)
        if unknown:
            flags = [flag for flag in self._option_string_actions if flag.startswith("--")]
            self.error(f"unknown argument {unknown[0]!r}{_remedy(unknown[0].split('=')[0], flags)}")
        return namespace, unknown

    def error(self, message: str) -> NoReturn:
        found = re.search(r"invalid choice: '([^']*)' \(choose from (.*)\)", message)
        if found:
            message += _remedy(found[1], re.findall(r"[\w-]+", found[2]))
        if "argument --fold:" in message:
            message += "; expected a number (--cross-validate trains all folds)"
        sys.stderr.write(f"{self.prog}: {message}\ntry: {self.prog} --help\n")
        sys.exit(2)


def _remedy(name: str, choices: list[str]) -> str:
    near = nearest(name, choices)
    return f"; did you mean '{near}'?" if near else ""


def add_model_use(parser) -> None:
    parser.add_argument(
        "--threshold", type=float, metavar="P", help="polyp above this probability (default: the model's)"
    )
    parser.add_argument(
        "--min-peak",
        type=float,
        metavar="P",
        help="leave out regions whose highest probability is not above this (default: the model's)",
    )
    parser.add_argument(
        "--min-share",
        type=float,
        metavar="X",
        help="leave out regions below this share of the picture (default: the model's)",
    )
    parser.add_argument(
        "--second-look",
        action=argparse.BooleanOptionalAction,
        help="where a first look marks anything, judge it by three more, mirrored (default: the model's)",
    )
    parser.add_argument("--level", type=int, metavar="N", help="prune a UNet++ to this level")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="default: auto")
    parser.add_argument("--precision", choices=("auto", "fp32", "bf16"), default="auto", help="default: auto")


def given_point(args) -> dict[str, Any]:
    """What the flags say of the operating point; None where they say nothing."""
    for name in ("threshold", "min_peak", "min_share"):
        flag, value = "--" + name.replace("_", "-"), getattr(args, name)
        if value is not None and not 0 <= value <= 1:
            raise UsageError(f"{flag} is {value}; expected a number from 0 to 1")
    return {name: getattr(args, name) for name in ("threshold", "min_peak", "min_share", "second_look")}


def add_mask_values(parser, default: str | None = "auto") -> None:
    parser.add_argument(
        "--mask-values",
        default=default,
        metavar="X",
        help="which mask pixels mean polyp: auto, bright, dark, nonzero, alpha, 1+2, ff0000 ...",
    )
