"""`polyp data`: list, get, check, split and clean datasets."""

from itertools import combinations
from pathlib import Path

from polyp.commands.parser import add_mask_values
from polyp.errors import UsageError


def add(commands) -> None:
    data = commands.add_parser("data", help="list, get, check, split and clean datasets")
    actions = data.add_subparsers(dest="action", metavar="ACTION", required=True)
    names = actions.add_parser("list", help="list the known datasets")
    names.set_defaults(run=run_list)
    check = actions.add_parser("check", help="list what is in datasets, what is wrong, and what they share")
    check.add_argument(
        "paths",
        metavar="PATH",
        nargs="*",
        help="a dataset's folder, its name, a CSV of pairs, or COCO's JSON",
    )
    check.add_argument("--images", metavar="DIR", help="a folder of frames, if it is not found by itself")
    check.add_argument("--masks", metavar="DIR", help="and its masks, or polygons of YOLO")
    add_mask_values(check)
    check.set_defaults(run=run_check)
    get = actions.add_parser("get", help="download a dataset, or unpack its archive")
    get.add_argument("name", metavar="NAME", help="which; `polyp data list` names them")
    get.add_argument("--archive", type=Path, metavar="FILE", help="a zip or tar that you downloaded by hand")
    get.set_defaults(run=run_get)
    clean = actions.add_parser("clean", help="remove the decoded frames that training keeps on disk")
    clean.set_defaults(run=run_clean)
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
    add_mask_values(split)
    split.set_defaults(run=run_split)


def run_list(args) -> int:
    from polyp.data import DATASETS

    print("\n".join(DATASETS))
    return 0


def run_check(args) -> int:
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


def run_get(args) -> int:
    from polyp.data import get_dataset

    print(get_dataset(args.name, args.archive))
    return 0


def run_split(args) -> int:
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


def run_clean(args) -> int:
    from polyp.data import clean_cache

    print(f"{clean_cache() / 2**20:.0f} MiB freed")
    return 0
