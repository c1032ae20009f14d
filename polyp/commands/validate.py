"""`polyp validate`: scores of a checkpoint on frames it was not trained on."""

import json
import sys
from pathlib import Path

from polyp.commands.parser import add_mask_values, add_model_use, given_point
from polyp.config import Config, changed
from polyp.errors import DataError, UsageError


def add(commands) -> None:
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
    add_model_use(validate)
    add_mask_values(validate, default=None)
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
    validate.set_defaults(run=run)


def run(args) -> int:
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


def _load(args):
    """The model on its device, its metadata, and the operating point to use."""
    from polyp.run import load_model, to_device
    from polyp.run.prediction import Point

    given = given_point(args)
    model, metadata = load_model(args.checkpoint)
    point = Point.of(metadata, **given)._asdict()
    del point["min_area"]
    return to_device(model, args.device), metadata, point


def scores_line(scores: dict) -> str:
    def show(name: str) -> str:
        value = scores[f"{name}_per_image"]
        return "undefined" if value is None or value != value else f"{value:.3f}"  # NaN

    line = f"{scores['images']} frames: mean per-image Dice {show('dice')}, IoU {show('iou')}"
    if not scores["clean"]:
        return line
    marked = round(scores["clean_marked"] * scores["clean"])
    return f"{line}; of {scores['clean']} without a polyp, which are left out there, {marked} marked"


def _print_validation(found, name: str, sweep: bool) -> None:
    print(f"{name}, {scores_line(found.scores)}")
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
