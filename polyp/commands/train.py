"""`polyp train`: a run folder, or one for each fold."""

import argparse
import contextlib
import os
import signal
import typing
from pathlib import Path
from typing import Any, Literal, NoReturn

from polyp.commands.validate import scores_line
from polyp.config import PRESETS, Config, changed, configure, setting_fields
from polyp.errors import UsageError


def add(commands) -> None:
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
    add_training(train)
    train.set_defaults(run=run)


def add_training(train) -> None:
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


def run(args) -> int:
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

    given, cross_validated = given_settings(args), args.cross_validate
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
        config = asked(args.preset, args.config, given)
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
    scored = [f"{part}, {scores_line(metrics[part])}" for part in ("val", "test") if metrics[part]]
    print(f"{which} epoch {metrics['epoch']}; " + "; ".join(scored or ["no frames were left to score it on"]))
    _print_groups(metrics["data"])
    print(f"run folder: {run.path}")
    if run.page.is_file():
        print(f"curves, scores and worst frames: {run.page}")
    if not args.test and run.has_test:
        print(f"once all is chosen, score the test frames: polyp validate '{run.best}'")
    return 0


def given_settings(args) -> dict[str, Any]:
    return {name: getattr(args, name) for name in setting_fields() if getattr(args, name) is not None}


def asked(preset: str | None, file: Path | None, given: dict[str, Any]) -> Config:
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


def _print_groups(data: dict[str, Any]) -> None:
    if (groups := data.get("groups", "video")) != "video":
        print(f"which frames are of one video is not known: only {groups} kept apart, so scores may flatter")
