"""`polyp info`: what is in a checkpoint."""

import json
from pathlib import Path


def add(commands) -> None:
    info = commands.add_parser("info", help="say what is in a checkpoint or an exported network")
    info.add_argument("file", type=Path, nargs="?", help="default: the shipped model")
    info.add_argument("--json", action="store_true", help="all of its metadata, for programs")
    info.set_defaults(run=run)


def run(args) -> int:
    from polyp.run.ensemble import find_members
    from polyp.run.info import describe, describe_several, metadata_in

    if args.file is not None and len(files := find_members(args.file)) > 1:
        members = {str(file): metadata_in(Path(file)) for file in files}
        print(json.dumps(members, indent=2) if args.json else describe_several(members))
        return 0
    metadata = metadata_in(args.file)
    print(json.dumps(metadata, indent=2) if args.json else describe(metadata))
    return 0
