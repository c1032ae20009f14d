"""The command line: `polyp data | train | validate | predict | info | export | score | ...`.

Exit codes: 0 done, 1 the data or a file cannot be used, 2 the command makes no sense, 130 Ctrl-C, 141 the
reader of a pipe has gone.
"""

import argparse
import contextlib
import io
import os
import re
import signal
import sys
import typing
from pathlib import Path
from typing import Any, Literal, NoReturn

import polyp
from polyp.config import PRESETS, Config, changed, configure, setting_fields
from polyp.errors import DataError, UsageError, look_up, name_some, nearest

# Modules that load torch are imported in the commands: `polyp --help` should not take seconds.


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
    _add_data(commands)
    _add_train(commands)
    _add_validate(commands)
    page = commands.add_parser("page", help="write a finished run's page, run.html, again")
    page.add_argument("folder", type=Path, metavar="RUN", help="a run folder")
    page.add_argument("--data-path", type=Path, metavar="DIR", help="where its data are")
    page.set_defaults(run=run_page)
    _add_predict(commands)
    info = commands.add_parser("info", help="say what is in a checkpoint or an exported network")
    info.add_argument("file", type=Path, nargs="?", help="default: the shipped model")
    info.add_argument("--json", action="store_true", help="all of its metadata, for programs")
    info.set_defaults(run=run_info)
    _add_sweep(commands)
    _add_export(commands)
    _add_score(commands)
    _add_experiment(commands)
    report = commands.add_parser(
        "report", help="renew docs/results.md, the README and the model card from the results"
    )
    report.set_defaults(run=run_report)
    bench = commands.add_parser("bench", help="measure the speed of loading, training and prediction here")
    bench.add_argument("--quick", action="store_true", help="a first impression in under a minute")
    bench.add_argument("--only", nargs="+", default=(), metavar="SECTION", help="see docs/usage.md")
    bench.add_argument("--out", type=Path, metavar="FILE", help="also write the figures as JSON")
    bench.set_defaults(run=run_bench)
    return parser


def _add_data(commands) -> None:
    data = commands.add_parser("data", help="list, get, check, split and clean datasets")
    actions = data.add_subparsers(dest="action", metavar="ACTION", required=True)
    names = actions.add_parser("list", help="list the known datasets")
    names.set_defaults(run=run_data_list)
    check = actions.add_parser("check", help="list what is in datasets, what is wrong, and what they share")
    check.add_argument(
        "paths",
        metavar="PATH",
        nargs="*",
        help="a dataset's folder, its name, a CSV of pairs, or COCO's JSON",
    )
    check.add_argument("--images", metavar="DIR", help="a folder of frames, if it is not found by itself")
    check.add_argument("--masks", metavar="DIR", help="and its masks, or polygons of YOLO")
    _add_mask_values(check)
    check.set_defaults(run=run_data_check)
    get = actions.add_parser("get", help="download a dataset, or unpack its archive")
    get.add_argument("name", metavar="NAME", help="which; `polyp data list` names them")
    get.add_argument("--archive", type=Path, metavar="FILE", help="a zip or tar that you downloaded by hand")
    get.set_defaults(run=run_data_get)
    clean = actions.add_parser("clean", help="remove the decoded frames that training keeps on disk")
    clean.set_defaults(run=run_data_clean)
    split = actions.add_parser("split", help="write a dataset's split tables")
    split.add_argument("name", metavar="NAME", help="a dataset's name or folder")
    split.add_argument("--data-path", type=Path, metavar="DIR", help="where it is")
    split.add_argument("--out", type=Path, default=Path(), metavar="DIR", help="where to (default: here)")
    split.add_argument(
        "--by",
        metavar="NAME",
        help="keep groups together: sequence, duplicates, or a column such as patient (of --table, of a CSV "
        "of pairs, or of patients.csv in the folder)",
    )
    split.add_argument("--table", type=Path, metavar="FILE", help="a CSV with the columns frame and NAME")
    _add_mask_values(split)
    split.set_defaults(run=run_data_split)


def _add_train(commands) -> None:
    train = commands.add_parser(
        "train",
        help="train a network into a run folder",
        description="Train a network. A flag overrules the preset; a preset overrules the defaults.",
    )
    train.add_argument(
        "--out", type=Path, metavar="DIR", help="run folder (default: runs/PRESET, or a free name)"
    )
    train.add_argument("--resume", type=Path, metavar="DIR", help="continue an interrupted run")
    train.add_argument(
        "--cross-validate",
        action="store_true",
        help="train every fold of the split, into DIR/fold_0 ..., and score each frame by the network that "
        "never saw it; DIR then is an ensemble for polyp predict",
    )
    _add_training(train)
    train.set_defaults(run=run_train)


def _add_training(train) -> None:
    """What is trained, and on which data."""
    train.add_argument("--preset", choices=PRESETS, help="quick (default), cpu, transfer, or gpu")
    train.add_argument(
        "--config", type=Path, metavar="FILE", help="settings of another run, its config.json, not a preset's"
    )
    train.add_argument(
        "--data-path", type=Path, metavar="DIR", help="where the data are (else $POLYP_DATA, data/)"
    )
    train.add_argument(
        "--cache",
        type=Path,
        metavar="DIR",
        help="where decoded frames are kept (else $POLYP_CACHE, data/cache)",
    )
    train.add_argument(
        "--test", action="store_true", help="score the best epoch on the test frames too (once all is chosen)"
    )
    settings = train.add_argument_group("settings")
    for name, setting in setting_fields().items():
        flag = "--" + name.replace("_", "-")
        meaning = f"{setting.metadata['help']} ({_defaults(name)})".replace("%", "%%")
        flags = (flag, "--images") if name == "data" else (flag,)  # with --masks, it is a folder of frames
        settings.add_argument(*flags, help=meaning, **_argument(setting.type))


def _defaults(name: str) -> str:
    """What a setting is without its flag, in the presets that differ from the first, `quick`."""
    values = {preset: getattr(configure(preset), name) for preset in PRESETS}
    texts = {
        preset: " ".join(map(str, value)) if isinstance(value, tuple) else str(value) or "none"
        for preset, value in values.items()
    }
    first, *others = texts
    differing = [f"{preset} {texts[preset]}" for preset in others if texts[preset] != texts[first]]
    return "; ".join([f"default {texts[first]}", *differing])


def _argument(hint: Any) -> dict[str, Any]:
    """How argparse should read a setting of this type."""
    if typing.get_origin(hint) is Literal:
        return {"choices": typing.get_args(hint)}
    if typing.get_origin(hint) is tuple:
        count = len(typing.get_args(hint))
        return {"nargs": "+" if Ellipsis in typing.get_args(hint) else count, "type": int, "metavar": "N"}
    if hint is bool:
        return {"action": argparse.BooleanOptionalAction}
    return {"type": hint, "metavar": {int: "N", float: "X", str: "NAME"}[hint]}


def _add_validate(commands) -> None:
    validate = commands.add_parser("validate", help="score a checkpoint on frames it was not trained on")
    validate.add_argument(
        "checkpoint", type=Path, nargs="?", help="a .safetensors file (default: the shipped model)"
    )
    validate.add_argument("--data", "--images", metavar="NAME", help="other data than it was trained on")
    validate.add_argument(
        "--masks", metavar="DIR", default="", help="their masks, if not found by themselves"
    )
    validate.add_argument("--data-path", type=Path, metavar="DIR", help="where the data are")
    validate.add_argument(
        "--part",
        choices=("train", "val", "test", "all"),
        help="which frames (default: test; of other data, those that were not learnt from)",
    )
    _add_model_use(validate)
    _add_mask_values(validate, default=None)
    validate.add_argument("--out", type=Path, metavar="FILE", help="write the per-image table as CSV")
    validate.add_argument(
        "--sweep", action="store_true", help="also print the scores at thresholds from 0.05 to 0.95"
    )
    validate.add_argument(
        "--json", action="store_true", help="print JSON instead: scores, sweep, each polyp and each frame"
    )
    validate.add_argument(
        "--levels", action="store_true", help="score every level of a UNet++ on the validation frames instead"
    )
    validate.add_argument(
        "--save",
        action="store_true",
        help="with --levels: keep their scores in the checkpoint, for predict --max-dice-drop",
    )
    validate.set_defaults(run=run_validate)


def _add_predict(commands) -> None:
    predict = commands.add_parser(
        "predict",
        help="write masks for pictures and films of any size",
        description="Write a mask for each picture, and one table of what was found.\n"
        "Pictures: PNG, JPEG, TIFF, BMP, WebP, GIF. Films: what OpenCV can decode.",
        epilog="columns of predictions.csv: file, height, width, area_share (of the picture), components\n"
        "(regions), boxes ([x, y, width, height] of each), mean_probability, doubt.\n\n"
        "examples:\n"
        "  polyp predict frame.png --overlay\n"
        "  polyp predict day1/ day2/ --out masks --suffix _mask\n"
        "  polyp predict day1/ day2/ --out masks --suffix _mask --skip-existing     after a stop\n"
        "  polyp predict day1/ --checkpoint runs/folds               the mean of all its folds\n"
        "  polyp predict film.mp4 --every 2\n"
        "  cat frame.jpg | polyp predict -\n",
    )
    predict.add_argument(
        "inputs",
        nargs="*",
        metavar="PICTURE",
        help="pictures, folders with all below them, films, a camera's number, or - for stdin",
    )
    predict.add_argument(
        "--out", type=Path, metavar="DIR", help="default: predictions, or the next free predictions-2 ..."
    )
    predict.add_argument(
        "--overwrite", action="store_true", help="replace the predictions that DIR holds already"
    )
    predict.add_argument(
        "--skip-existing", action="store_true", help="keep them, and predict only what is missing: go on"
    )
    predict.add_argument(
        "--every", type=int, default=1, metavar="N", help="of a film, only every N-th frame (default 1)"
    )
    predict.add_argument("--masks", action="store_true", help="of a film, write the masks of its frames too")
    predict.add_argument(
        "--smooth",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="of a film, show what was there in 3 of the last 5 frames (default)",
    )
    _add_predicting(predict)
    predict.set_defaults(run=run_predict)


def _add_predicting(predict) -> None:
    """What predicts pictures, and what is written of each."""
    predict.add_argument(
        "--checkpoint",
        nargs="+",
        metavar="FILE",
        help="a .safetensors or .onnx file, or a run's folder (default: the shipped model); several, or the "
        "folder of --cross-validate: the mean of their probabilities",
    )
    predict.add_argument(
        "--engine",
        choices=("auto", "torch", "onnx"),
        default="auto",
        help="what computes (default: auto, for the shipped model the faster one that is there)",
    )
    predict.add_argument(
        "--suffix", default="", metavar="TEXT", help="after each result's name: _mask gives 1_mask.png"
    )
    predict.add_argument(
        "--min-area", type=int, default=0, metavar="N", help="leave out regions of fewer pixels"
    )
    _add_model_use(predict)
    predict.add_argument(
        "--max-dice-drop",
        type=float,
        metavar="X",
        help="the cheapest level whose validation Dice is at most X below the best, such as 0.01",
    )
    predict.add_argument(
        "--mirror",
        "--flips",
        dest="mirror",
        action="store_true",
        help="average over four mirrorings (4 x the time)",
    )
    predict.add_argument("--overlay", action="store_true", help="also draw the outline on each picture")
    predict.add_argument("--probabilities", action="store_true", help="also write the probability maps")
    predict.add_argument("--table", choices=("csv", "json"), default="csv", help="default: csv")


def _add_sweep(commands) -> None:
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
    _add_training(train)
    train.set_defaults(run=run_sweep, jobs_of=_train_jobs)
    notebook = kinds.add_parser(
        "notebook", help="execute a notebook for each point of a grid of its parameters"
    )
    notebook.add_argument("notebook", type=Path, metavar="NOTEBOOK", help="an .ipynb with a parameters cell")
    _add_sweeping(notebook, "one folder for each point", grid=True)
    notebook.add_argument(
        "-p", dest="parameters", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"),
        help="a parameter that does not vary",
    )  # fmt: skip
    notebook.set_defaults(run=run_sweep, jobs_of=_notebook_jobs)
    predict = kinds.add_parser("predict", help="write masks for the pictures in many folders")
    predict.add_argument("folders", type=Path, nargs="+", metavar="FOLDER", help="one job each")
    _add_sweeping(predict, "one folder of predictions for each", grid=False)
    _add_predicting(predict)
    predict.set_defaults(run=run_sweep, jobs_of=_predict_jobs)


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


def _add_export(commands) -> None:
    export = commands.add_parser(
        "export",
        help="write a checkpoint for programs without PyTorch (ONNX)",
        description="Write a network as ONNX, checked against PyTorch, for ONNX Runtime, C++ or a browser:\n"
        "uint8 RGB (N, 3, H, W) in, H and W multiples of its stride; the logits of every level out.",
    )
    export.add_argument(
        "checkpoint", type=Path, nargs="?", help="a .safetensors file (default: the shipped model)"
    )
    export.add_argument(
        "--out", type=Path, metavar="FILE", help="default: the checkpoint's name, .onnx, in this folder"
    )
    export.add_argument(
        "--format", choices=("onnx", "pt2"), default="onnx", help="pt2 is torch.export's (default: onnx)"
    )
    export.add_argument("--level", type=int, metavar="N", help="prune a UNet++ to this level")
    export.add_argument(
        "--int8",
        action="store_true",
        help="in 8-bit integers, calibrated on training frames and checked on validation frames (ONNX only)",
    )
    export.add_argument("--data", metavar="NAME", help="with --int8: other data than the checkpoint's own")
    export.add_argument("--data-path", type=Path, metavar="DIR", help="with --int8: where the data are")
    export.add_argument(
        "--frames", type=int, metavar="N", help="with --int8: how many to calibrate on (default 32)"
    )
    export.add_argument("--half", action="store_true", help="store the weights in half precision (ONNX only)")
    export.set_defaults(run=run_export)


def _add_score(commands) -> None:
    score = commands.add_parser(
        "score",
        help="score anyone's masks or probability maps by every convention in use",
        description="Score masks or probability maps, from any framework, against the true masks:\n"
        "one table, one row per convention, named after who uses it, with intervals.",
        epilog="examples:\n"
        "  polyp score predictions/probabilities data/kvasir-seg\n"
        "  polyp score mine/ masks/ --paired theirs/ --sequences sequences.csv --out frames.csv\n",
    )
    score.add_argument("predictions", metavar="PREDICTIONS", help="a folder of maps: 8-bit grey, or .npy")
    score.add_argument("truth", metavar="TRUTH", help="a folder of masks, or a dataset's folder or name")
    score.add_argument("--paired", metavar="OTHER", help="compare with another method's maps of these frames")
    score.add_argument(
        "--sequences",
        type=Path,
        metavar="FILE",
        help="a table frame,sequence (default: sequences.csv or centres.csv beside TRUTH)",
    )
    score.add_argument("--by-frame", action="store_true", help="draw single frames for the intervals")
    score.add_argument("--subset", action="store_true", help="score only the frames that are predicted")
    score.add_argument(
        "--values",
        choices=("auto", "0-1", "0-255", "logits"),
        default="auto",
        help="what the maps hold (default: auto, told from all of them together)",
    )
    _add_mask_values(score)
    score.add_argument(
        "--threshold", type=float, default=0.5, metavar="P", help="polyp above this probability (default 0.5)"
    )
    score.add_argument(
        "--min-area", type=int, default=10, metavar="N", help="pixels of the least region (default 10)"
    )
    score.add_argument(
        "--overlap", type=float, default=0.5, metavar="X", help="IoU that finds a polyp (default 0.5)"
    )
    score.add_argument(
        "--tolerance", type=float, default=2.0, metavar="X", help="pixels, of the NSD (default 2)"
    )
    score.add_argument("--json", action="store_true", help="print JSON instead of the table")
    score.add_argument("--out", type=Path, metavar="FILE", help="write the table of all frames as CSV")
    score.set_defaults(run=run_score)


def _add_model_use(parser) -> None:
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


def _add_mask_values(parser, default: str | None = "auto") -> None:
    parser.add_argument(
        "--mask-values",
        default=default,
        metavar="X",
        help="which mask pixels mean polyp: auto, bright, dark, nonzero, alpha, 1+2, ff0000 ...",
    )


def _add_experiment(commands) -> None:
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
    experiment.set_defaults(run=run_experiment)


def run_data_check(args) -> int:
    from itertools import combinations

    from polyp.data import find_dataset, find_overlap, survey
    from polyp.data.masks import check_values

    check_values(args.mask_values)
    if bool(args.images) != bool(args.masks) or not (args.paths or args.images):
        raise UsageError("expected a dataset, or --images DIR with --masks DIR")
    found = {path: survey(find_dataset(path), args.mask_values) for path in args.paths}
    if args.images:
        found[args.images] = survey(args.images, args.mask_values, args.masks)
    print("\n\n".join(map(str, found.values())))
    for (first, a), (second, b) in combinations(found.items(), 2):
        print(f"\n{find_overlap(first, a.prints, second, b.prints)}")
    return 0 if all(survey.ok for survey in found.values()) else 1


def run_data_list(args) -> int:
    from polyp.data import DATASETS

    print("\n".join(DATASETS))
    return 0


def run_data_get(args) -> int:
    from polyp.data import get_dataset

    print(get_dataset(args.name, args.archive))
    return 0


def run_data_clean(args) -> int:
    from polyp.data import clean_cache

    print(f"{clean_cache() / 2**20:.0f} MiB freed")
    return 0


def run_data_split(args) -> int:
    from polyp.data.split_tables import write_grouped_split, write_splits

    if args.table and not args.by:
        raise UsageError("--table needs --by NAME, which says the column")
    if args.by:
        path, story = write_grouped_split(
            args.name, args.by, args.out, args.table, args.data_path, args.mask_values
        )
        print(f"{path}: {story}; use it with: polyp train --split-file '{path}'")
        return 0
    for path in write_splits(args.name, args.out, args.data_path, args.mask_values):
        print(path)
    return 0


def run_train(args) -> int:
    from polyp.run import distributed, fold_folders

    with distributed.joined():
        if distributed.world() > 1:
            if args.cross_validate or (args.resume and fold_folders(args.resume)):
                raise UsageError("several processes train one fold at a time: give each its --fold and --out")
            # torchrun ends the others where one has died
            signal.signal(signal.SIGTERM, _raise_terminated)
        if distributed.rank() == 0:
            return _train(args, leads=True)
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
            return _train(args, leads=False)


def _raise_terminated(*_) -> NoReturn:
    raise RuntimeError("terminated")


def _train(args, leads: bool) -> int:
    """Train; of several processes that `torchrun` started, the one that `leads` writes."""
    from polyp.data.pairs import found_in
    from polyp.run import fit, fold_folders, folds_config, new_run_path

    given, cross_validated = _given_settings(args), args.cross_validate
    if cross_validated and args.fold is not None:
        raise UsageError("--cross-validate trains every fold; give it no --fold")
    if args.resume:
        if args.preset or args.out or args.config:
            raise UsageError(
                "--resume continues a run as it began and where it is; it takes no --preset, --config, --out"
            )
        path, cross_validated = args.resume, args.cross_validate or bool(fold_folders(args.resume))
        config = folds_config(path) if cross_validated else _resumed(path, given, leads)
        if cross_validated and given:
            raise UsageError(f"{path}: its folds go on as they began; --resume takes no settings there")
    else:
        config = _asked(args.preset, args.config, given)
        path = args.out or (new_run_path(args.preset or "quick") if leads else "")
    if args.cache:
        os.environ["POLYP_CACHE"] = str(args.cache)
    for name in (config.data, config.add):
        for place in [name] if Path(name).exists() else name.split("+"):
            masks = config.masks if place == config.data else ""
            if Path(place).is_absolute() and (found := found_in(place, masks)):  # see `_absolute`
                print(f"{place}: {found}")
    if cross_validated:
        return _train_folds(config, path, args.data_path)
    run = fit(config, path, data_path=args.data_path, resume=bool(args.resume), test=args.test)
    if not leads:
        return 0
    metrics = run.metrics()
    which = "last" if config.refit else "best"
    scored = [f"{part}, {_scores_line(metrics[part])}" for part in ("val", "test") if metrics[part]]
    print(f"{which} epoch {metrics['epoch']}; " + "; ".join(scored or ["no frames were left to score it on"]))
    _print_groups(metrics["data"])
    print(f"run folder: {run.path}")
    if run.page.is_file():
        print(f"curves, scores and worst frames: {run.page}")
    if not args.test and run.has_test:
        print(f"once all is chosen, score the test frames: polyp validate '{run.best}'")
    return 0


def _given_settings(args) -> dict[str, Any]:
    return {name: getattr(args, name) for name in setting_fields() if getattr(args, name) is not None}


def _asked(preset: str | None, file: Path | None, given: dict[str, Any]) -> Config:
    """A new run's configuration: of a preset or of another run's file, and what is given beside it."""
    given = dict(given)
    for name in ("data", "add", "masks"):  # a run knows its data from any working folder
        if name in given:
            given[name] = _absolute(given[name])
    if given.get("split_file"):
        given["split_file"] = str(Path(given["split_file"]).resolve())
    if file and preset:
        raise UsageError("--config takes the place of --preset; give one of the two")
    return changed(_read_config(file), **given) if file else configure(preset or "quick", **given)


def run_page(args) -> int:
    from polyp.run import write_page

    print(write_page(args.folder, data_path=args.data_path))
    return 0


def _print_groups(data: dict[str, Any]) -> None:
    if (groups := data.get("groups", "video")) != "video":
        print(f"which frames are of one video is not known: only {groups} kept apart, so scores may flatter")


def _resumed(path: Path, given: dict[str, Any], leads: bool) -> Config:
    from polyp.run import RunFolder

    folder = RunFolder.resume(path) if leads else RunFolder(path)
    return folder.adjust(**given) if given else folder.config()


def _train_folds(config: Config, path: Path, data_path: Path | None) -> int:
    from polyp.run import RunFolder, cross_validate

    try:
        found = cross_validate(config, path, data_path=data_path)
    except KeyboardInterrupt:
        if path.is_dir():
            print(f"All folds go on with:\n  {RunFolder(path).how_to_resume}")
        raise
    print(found)
    _print_groups(found.summary["data"])
    print(f"one row per frame: {path / 'cross_validation.csv'}; all scores: {path / 'cross_validation.json'}")
    print(f"use the networks together: polyp predict PICTURES --checkpoint '{path}'")
    return 0


def _read_config(file: Path) -> Config:
    """The settings of another run."""
    from polyp.run import RunFolder

    folder = file if file.is_dir() else file.parent
    if not file.is_dir() and file.name != "config.json":
        raise UsageError(f"{file}: expected the config.json of a run, or its folder")
    return RunFolder(folder).config()


def _absolute(data: str) -> str:
    """The same datasets, folders by their absolute paths."""
    from polyp.data import DATASETS

    def one(name: str) -> str:
        return str(Path(name).resolve()) if name not in DATASETS and Path(name).exists() else name

    return one(data) if Path(data).exists() else "+".join(map(one, data.split("+")))


def run_validate(args) -> int:
    import json

    from polyp.disk import place_for, write_atomic
    from polyp.run import open_unseen, validate

    if args.levels or args.save:
        return _validate_levels(args)
    if args.out:
        place_for(args.out)
    model, metadata, point = _load(args)
    config = Config.from_dict(metadata["config"])
    if args.mask_values:
        config = changed(config, mask_values=args.mask_values)
    dataset, name, notes = open_unseen(metadata, config, args.data, args.part, args.data_path, args.masks)
    aside = sys.stderr if args.json else sys.stdout
    for note in notes:
        print(note, file=aside)
    found = validate(model, dataset, **point, level=args.level, precision=args.precision, detailed=True)
    if args.json:
        about = {"checkpoint": args.checkpoint and str(args.checkpoint), "frames_of": name, "notes": notes}
        about |= {"point": point, "level": args.level}
        print(json.dumps(about | found.to_dict(), indent=2, allow_nan=False))
    else:
        _print_validation(found, name, args.sweep)
    if args.out:
        print(write_atomic(args.out, found.table.to_csv(index=False)), file=aside)
    return 0


def _print_validation(found, name: str, sweep: bool) -> None:
    print(f"{name}, {_scores_line(found.scores)}")
    print(f"pooled over pixels: Dice {found.scores['dice_pooled']:.3f}, IoU {found.scores['iou_pooled']:.3f}")
    half = found.details.detection().iloc[-1]
    print(
        f"polyps found (IoU {half.overlap:g} or more): {half.found:.0f} of {half.polyps:.0f}; "
        f"false regions per frame: {half.false_per_frame:.2f}"
    )
    if sweep:
        scores = (
            "dice_per_image",
            "iou_per_image",
            "precision_per_image",
            "recall_per_image",
            "clean_marked",
        )
        table = found.details.sweep()[["threshold", *scores]]
        table.columns = ["threshold", "Dice", "IoU", "precision", "recall", "clean marked"]
        if not found.scores["clean"]:
            table = table.drop(columns="clean marked")
        print("\nall pixels above a threshold, whatever their region; means of the frames with a polyp")
        print(table.to_string(index=False, na_rep="-", float_format="{:.3f}".format))


def _validate_levels(args) -> int:
    from polyp.run import open_unseen
    from polyp.run.checkpoint import SHIPPED, annotate, find_checkpoint
    from polyp.run.info import table_lines
    from polyp.run.levels import level_table

    if args.save and not args.levels:
        raise UsageError("--save keeps what --levels finds; give both")
    if args.part not in (None, "val") or args.level or args.out:
        raise UsageError(
            "--levels scores all levels on the validation frames; give no --part, --level, --out"
        )
    if args.save and args.data:
        raise UsageError("--save keeps the scores on the checkpoint's own validation frames; give no --data")
    model, metadata, _ = _load(args)
    config = Config.from_dict(metadata["config"])
    dataset, name, _ = open_unseen(metadata, config, args.data, "val", args.data_path)
    rows = level_table(model, dataset, config.size, args.precision, progress=sys.stderr.isatty())
    if not rows:
        raise DataError(f"{name}: none of its {len(dataset)} frames shows a polyp, so no Dice is defined")
    print(f"{name}, {len(dataset)} frames: mean per-image Dice, multiply-adds of one frame")
    print("\n".join(table_lines(rows)))
    if args.save:
        path = find_checkpoint(args.checkpoint or SHIPPED)
        print(f"kept in {annotate(path, validation=rows)}")
    return 0


def run_predict(args) -> int:
    from polyp.run import inputs
    from polyp.run.film.source import is_film
    from polyp.run.output import Writer, output_folder

    _sort_inputs(args)
    if any(is_film(item) for item in args.inputs):
        return _predict_films(args)
    if args.suffix and Path(args.suffix).name != args.suffix:
        raise UsageError(f"--suffix is {args.suffix!r}; expected a part of a file's name, such as _mask")
    piped = inputs.STDIN in args.inputs
    places = [item for item in args.inputs if item != inputs.STDIN]
    pictures = inputs.list_pictures(places) + ([inputs.read_stdin()] if piped else [])
    if others := inputs.left_out(places):
        names = name_some(path.name for path in others)
        print(f"polyp predict: left out, no pictures that it reads: {len(others)} ({names})", file=sys.stderr)
    predictor = _predictor(args)
    files = [picture.file for picture in pictures]
    # last, since it removes what --overwrite replaces
    out = output_folder(args.out, args.overwrite, files, args.skip_existing)
    writer = Writer(
        out, overlays=args.overlay, probabilities=args.probabilities, table=args.table, suffix=args.suffix,
        go_on=args.skip_existing,
    )  # fmt: skip
    waiting = writer.waiting(pictures)
    if len(waiting) < len(pictures):
        print(f"{len(pictures) - len(waiting)} of {len(pictures)} pictures are done already")
    errors = _predict_all(predictor, waiting, writer, args.mirror)
    for error in errors:
        print(f"polyp predict: {error}", file=sys.stderr)
    if writer.rows:
        print(f"{len(writer.rows)} masks in {out / 'masks'}, table in {writer.table}")
    return 1 if errors else 0


def _sort_inputs(args) -> None:
    """`--checkpoint FILE PICTURE`: of several values, those after the last network are pictures."""
    from polyp.run.ensemble import is_network

    if not args.inputs and args.checkpoint:
        count = next((k for k, item in enumerate(args.checkpoint) if k and not is_network(item)), None)
        if count:
            args.checkpoint, args.inputs = args.checkpoint[:count], args.checkpoint[count:]
    if not args.inputs:
        raise UsageError("the following arguments are required: PICTURE")


def _predictor(args):
    from polyp.run.predictor import load

    given = _given_point(args)
    predictor = load(
        args.checkpoint, engine=args.engine, level=args.level, device=args.device, precision=args.precision,
        **given, min_area=args.min_area, max_dice_drop=args.max_dice_drop,
    )  # fmt: skip
    if predictor.choice:
        print(predictor.choice)
    if members := predictor.metadata.get("members"):
        print(f"the mean of {len(members)} networks: {', '.join(members)}")
        if differing := [name for name in predictor.metadata["differing"] if given.get(name) is None]:
            used = ", ".join(f"{name} {getattr(predictor.point, name)}" for name in differing)
            print(f"polyp predict: the networks' operating points differ; used: {used}", file=sys.stderr)
    return predictor


def _predict_films(args) -> int:
    from polyp.run.film.output import predict_film
    from polyp.run.film.source import Film, is_film
    from polyp.run.output import output_folder

    if others := [item for item in args.inputs if not is_film(item)]:
        raise UsageError(f"{others[0]}: no film; predict films and pictures apart")
    for flag in ("overwrite", "skip_existing", "probabilities", "mirror", "suffix"):
        if getattr(args, flag):
            raise UsageError(f"--{flag.replace('_', '-')} is for pictures, not for films")
    films = [Film(item, args.every) for item in args.inputs]
    predictor, out = _predictor(args), args.out or output_folder()
    for film in films:
        stopped = " (stop it with Ctrl-C)" if film.is_camera else ""
        print(f"{film.name}: {film.fps:.0f} frames a second{stopped}")
        result = predict_film(
            predictor, film, out, smooth=args.smooth, masks=args.masks, progress=sys.stderr.isatty()
        )
        print(f"{result.findings} findings in {result.frames} frames: {result.overlay}, and two tables")
        if result.remark:
            print(f"polyp predict: {result.remark}", file=sys.stderr)
    return 0


def _predict_all(predictor, pictures, writer, mirror: bool) -> list[DataError]:
    """Predict and write picture after picture, with a bar in a terminal; the errors of those that fail."""
    from tqdm import tqdm

    errors = []
    found = predictor.stream(pictures, mirror)
    bar = tqdm(found, total=len(pictures), unit="frame", leave=False, disable=not sys.stderr.isatty())
    with writer, bar:
        try:
            for item in bar:
                if isinstance(item, DataError):
                    errors.append(item)
                    continue
                row = writer.write(item)
                if row["doubt"]:
                    remark = f"polyp predict: {row['file']}: {row['doubt']}; its mask may mean nothing"
                    tqdm.write(remark, file=sys.stderr)
        except KeyboardInterrupt:
            done = f"{len(writer.rows)} masks are in {writer.folder / 'masks'}"
            print(f"\nStopped; {done}. Go on with the same command and --out {writer.folder} --skip-existing")
            raise
    return errors


def run_sweep(args) -> int:
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

    given, out = _given_settings(args), args.out.resolve()
    points = read_grid(args.grid, ["preset", *setting_fields()])
    if both := (given | ({"preset": 0} if args.preset else {})).keys() & points[0].keys():
        raise UsageError(f"{min(both)} is a flag and in the grid; give one of the two")
    flags = _flags(args, _add_training, ("data_path", "cache", "test"))
    jobs = []
    for point in points:
        settings = given | point
        config = _asked(settings.pop("preset", args.preset), args.config, settings)
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

    names, flags = name_folders(args.folders), _flags(args, _add_predicting)
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


def run_info(args) -> int:
    import json

    from polyp.run.ensemble import find_members
    from polyp.run.info import describe, describe_several, metadata_in

    if args.file is not None and len(files := find_members(args.file)) > 1:
        members = {str(file): metadata_in(Path(file)) for file in files}
        print(json.dumps(members, indent=2) if args.json else describe_several(members))
        return 0
    metadata = metadata_in(args.file)
    print(json.dumps(metadata, indent=2) if args.json else describe(metadata))
    return 0


def run_export(args) -> int:
    from polyp.run.checkpoint import find_checkpoint, load_model, shipped_model
    from polyp.run.export import export_onnx, export_torch

    if args.half and args.format != "onnx":
        raise UsageError("--half stores ONNX weights; it has no meaning with --format pt2")
    if args.int8 and (args.half or args.format != "onnx"):
        raise UsageError("--int8 stores ONNX weights in integers; give no --half, no --format pt2 beside it")
    for flag in ("data", "data_path", "frames"):
        if getattr(args, flag) is not None and not args.int8:
            raise UsageError(f"--{flag.replace('_', '-')} says what to calibrate on; it needs --int8")
    source = shipped_model() if args.checkpoint is None else find_checkpoint(args.checkpoint)
    model, metadata = load_model(source)
    out = args.out or Path(f"{source.stem}{'-int8' if args.int8 else ''}.{args.format}")
    if out.exists():
        raise UsageError(f"{out}: exists already; name another file with --out")
    if args.int8:
        return _export_int8(args, model, metadata, out)
    if args.format == "onnx":
        print(export_onnx(model, metadata, out, args.level, args.half))
    else:
        print(export_torch(model, out, args.level))
    return 0


def _export_int8(args, model, metadata: dict[str, Any], out: Path) -> int:
    from polyp.run.info import table_lines
    from polyp.run.int8 import FRAMES, export_int8

    frames = FRAMES if args.frames is None else args.frames
    found = export_int8(
        model, metadata, out, data=args.data, data_path=args.data_path, frames=frames, level=args.level,
        progress=sys.stderr.isatty(),
    )  # fmt: skip
    print(f"calibrated on {found.calibrated}; checked on {found.checked}")
    print(f"its masks against those in fp32: mean Dice {found.agreement:.4f}")
    print("\n".join(table_lines(found.rows) or ["no validation frames with a polyp are there: no Dice"]))
    print(found.path)
    return 0


def run_score(args) -> int:
    import json

    from polyp.disk import place_for, write_atomic
    from polyp.run import score

    if args.out:
        place_for(args.out)
    if args.by_frame and args.sequences:
        raise UsageError("--by-frame and --sequences contradict each other; give one of them")
    found = score(
        args.predictions,
        args.truth,
        sequences=False if args.by_frame else args.sequences,
        paired=args.paired,
        values=args.values,
        mask_values=args.mask_values,
        subset=args.subset,
        threshold=args.threshold,
        min_area=args.min_area,
        overlap=args.overlap,
        tolerance=args.tolerance,
        progress=True,
    )
    print(json.dumps(found.to_dict(), indent=2) if args.json else found)
    if args.out:
        path = write_atomic(args.out, found.frames.to_csv(index=False))
        print(f"one row per frame: {path}", file=sys.stderr if args.json else sys.stdout)
    return 0


def run_experiment(args) -> int:
    from polyp.course.experiments import experiment, experiment_names

    known = experiment_names()
    if not args.names:
        print("\n".join(known))
    for name in args.names:  # a misspelt last name should not wait for the first to be trained
        look_up(dict.fromkeys(known), "experiment", name)
    for name in args.names:
        print(experiment(name, args.data_path, args.out))
    return 0


def run_report(args) -> int:
    from polyp.course.report import write_report

    print(write_report())
    return 0


def run_bench(args) -> int:
    from polyp.course.bench import SECTIONS, bench
    from polyp.disk import place_for

    for name in args.only:
        look_up(SECTIONS, "section", name)
    if args.out:
        place_for(args.out)
    bench(args.quick, args.out, args.only)
    return 0


def _given_point(args) -> dict[str, Any]:
    """What the flags say of the operating point; None where they say nothing."""
    for name in ("threshold", "min_peak", "min_share"):
        flag, value = "--" + name.replace("_", "-"), getattr(args, name)
        if value is not None and not 0 <= value <= 1:
            raise UsageError(f"{flag} is {value}; expected a number from 0 to 1")
    return {name: getattr(args, name) for name in ("threshold", "min_peak", "min_share", "second_look")}


def _load(args):
    """The model on its device, its metadata, and the operating point to use."""
    from polyp.run import load_model, to_device
    from polyp.run.prediction import Point

    given = _given_point(args)
    model, metadata = load_model(args.checkpoint)
    point = Point.of(metadata, **given)._asdict()
    del point["min_area"]
    return to_device(model, args.device), metadata, point


def _scores_line(scores: dict) -> str:
    def show(name: str) -> str:
        value = scores[f"{name}_per_image"]
        return "undefined" if value is None or value != value else f"{value:.3f}"  # NaN

    line = f"{scores['images']} frames: mean per-image Dice {show('dice')}, IoU {show('iou')}"
    if not scores["clean"]:
        return line
    marked = round(scores["clean_marked"] * scores["clean"])
    return f"{line}; of {scores['clean']} without a polyp, which are left out there, {marked} marked"


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
