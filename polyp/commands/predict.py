"""`polyp predict`: masks of pictures and films."""

import argparse
import sys
from pathlib import Path

from polyp.commands.parser import add_model_use, given_point
from polyp.errors import DataError, UsageError, name_some


def add(commands) -> None:
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
    add_predicting(predict)
    predict.set_defaults(run=run)


def add_predicting(predict) -> None:
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
    add_model_use(predict)
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


def run(args) -> int:
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

    given = given_point(args)
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
