"""`polyp score`: anyone's masks, by every convention in use."""

import json
import sys
from pathlib import Path

from polyp.commands.parser import add_mask_values
from polyp.errors import UsageError


def add(commands) -> None:
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
    add_mask_values(score)
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
    score.set_defaults(run=run)


def run(args) -> int:
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
