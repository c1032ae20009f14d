"""A whole run: training into a run folder that listens, and the scores of the best epoch."""

import contextlib
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from polyp.config import Config
from polyp.data.dataset import Splits, open_data
from polyp.data.familiar import learn_familiar
from polyp.disk import shell_path
from polyp.errors import DataError, UsageError
from polyp.model.losses import LOSSES
from polyp.model.network import SegmentationNetwork, build_model
from polyp.run import checkpoint, distributed, listeners
from polyp.run.folder import ADJUSTABLE, RunFolder
from polyp.run.hardware import choose_device, to_device, to_training_device
from polyp.run.levels import level_table
from polyp.run.progress import Progress
from polyp.run.training import Epoch, Row, make_optimizer, new_model, train
from polyp.run.validation import validate


def fit(
    config: Config,
    run: str | Path,
    *,
    data_path: str | Path | None = None,
    resume: bool = False,
    progress: bool = True,
    test: bool = False,
    pictures: bool = True,
) -> RunFolder:
    """Train as `config` says, into a run folder, and score the best epoch on the validation frames.

    In a process that `torchrun` started, it joins the others: all train, and the first one writes, shows and
    scores. The folder that the others return may not be there on their machines.

    With `refit`, there are no validation frames to name a best epoch, and the last one counts.

    After each epoch: `log.csv`, `curves.png`, `samples/`, `last.safetensors` (to resume from) and, when the
    validation Dice is the best so far, `best.safetensors`. At the end: `metrics.json`, `val.csv`, `run.html`.

    Args:
        config: what to do.
        run: the run folder: a new one, or with `resume` an interrupted run.
        data_path: where the data are, if not in `$POLYP_DATA` or `data/`.
        resume: continue after the last whole epoch.
        progress: show a bar (in a terminal or notebook) and one line per epoch.
        test: score the best epoch on the test frames too, into `metrics.json` and `test.csv`. Once, when
            all is chosen: a test set that is looked at after every run is a second validation set.
        pictures: draw the curves and the samples after each epoch (about a second), and write `run.html`.

    Raises:
        UsageError: the folder already holds a run, or holds another configuration's.
        DataError: the data or the folder cannot be used.
        Diverged: NaN or infinite loss; the last whole epoch is kept.
    """
    with distributed.joined():
        folder, data = _train(config, run, data_path, resume, progress, test, pictures)
        leads = distributed.rank() == 0
    if leads:  # the others have left, and there is nothing to wait for
        score_best(folder, config, data, test=test)
        if pictures:
            _write_page(folder, data, data_path)
    return folder


def _train(
    config: Config,
    run: str | Path,
    data_path: str | Path | None,
    resume: bool,
    progress: bool,
    test: bool,
    pictures: bool,
) -> tuple[RunFolder, Splits]:
    """Train into a run folder, all but its last scores."""
    leads = distributed.rank() == 0
    try:
        # A GPU that is not there is said before anything is written.
        distributed.ensure_own_device(choose_device(config.device))
        data = open_data(config, data_path)
        if test and data.test is None:
            raise UsageError(
                f"{config.split_file or config.data}: has no test frames to score; leave out --test"
            )
        # Weights that cannot be found are said before there is a folder that blocks the next start.
        fresh = None if resume else _start(config)
    except BaseException:
        if leads:
            with contextlib.suppress(OSError):
                Path(run).rmdir()  # what `new_run_path` made, as long as it is empty
        raise
    folder = RunFolder(run)
    if leads:
        folder = RunFolder.resume(run, config) if resume else RunFolder.create(run, config)
        folder.write_split(data)
    model, optimizer, history = fresh or _restore(folder, config, data)
    writing = _listeners(folder, config, data, len(history), pictures) if leads else []
    with Progress(config, len(data.train), len(history), progress and leads) as bar:

        def on_epoch(epoch: Epoch) -> None:
            for listen in writing:
                listen(epoch)
            bar.epoch_done(epoch.history[-1], epoch.is_best)

        try:
            train(
                model, data, config,
                on_epoch=on_epoch, on_progress=bar.update, optimizer=optimizer, history=history,
            )  # fmt: skip
        except KeyboardInterrupt:
            saved = "1 whole epoch is" if bar.epoch == 1 else f"{bar.epoch} whole epochs are"
            bar.say(f"\nStopped; {saved} saved. Resume with:\n  {folder.how_to_resume}")
            raise
        except Exception:
            if leads:
                folder.drop_if_begun()
            raise
    return folder, data


def _write_page(folder: RunFolder, data: Splits, data_path: str | Path | None) -> None:
    """Write the run's page; weights and scores are there already, so a run never fails for it."""
    try:
        from polyp.run.page.writing import write_page  # matplotlib takes a second to import

        write_page(folder, data, data_path)
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        warnings.warn(
            f"no {folder.page} ({reason}); try again: polyp page {shell_path(folder.path)}", stacklevel=3
        )


def _listeners(
    folder: RunFolder, config: Config, data: Splits, done_epochs: int, pictures: bool
) -> list[Callable[[Epoch], None]]:
    """What writes into the run folder after each epoch, in this order."""
    watched = data.train if data.val is None else data.val
    describe = partial(
        checkpoint.metadata_of,
        config,
        data=data.about,
        split=data.prints,
        familiar=learn_familiar(data.train),
    )
    drawing = [
        partial(listeners.draw_curves, folder),
        partial(listeners.draw_samples, folder, watched, config.precision),
    ]
    return [
        partial(listeners.save_best, folder, describe),
        partial(listeners.write_log, folder),
        *(drawing if pictures else []),
        listeners.tensorboard(folder, done_epochs),
        # Last of all: a run that is killed before it does the whole epoch again.
        partial(listeners.save_last, folder, describe),
    ]


State = tuple[SegmentationNetwork, torch.optim.AdamW, list[Row]]  # model, optimiser and history of a run


def _start(config: Config) -> State:
    model = new_model(config)
    return model, make_optimizer(model, config), []


def _restore(folder: RunFolder, config: Config, data: Splits) -> State:
    """Where an interrupted run stopped, which may be before its first whole epoch."""
    if not folder.last.is_file():
        return _start(config)
    tensors, metadata = checkpoint.read_checkpoint(folder.last)
    _check_state(folder, config, metadata)
    # versions up to 0.2 kept no prints
    if metadata["data"] != data.about or metadata.get("split", data.prints) != data.prints:
        raise UsageError(f"{folder.path}: the data has changed since this run began; start a new run")
    model = to_training_device(build_model(config), config.device, config.precision)
    optimizer = make_optimizer(model, config)
    checkpoint.restore_model(model, tensors, folder.last)
    checkpoint.restore_optimizer(optimizer, model, tensors)
    return model, optimizer, metadata["history"]


def _check_state(folder: RunFolder, config: Config, metadata: dict[str, Any]) -> None:
    """Refuse what a run cannot go on from: it would fail at its end, or go another way and say nothing."""
    history = metadata.get("history")
    if not history or not all(isinstance(row, dict) and "val_dice" in row for row in history):
        raise DataError(
            f"{folder.last}: holds no state of a training; was it copied from another checkpoint?"
        )
    if not folder.best.is_file():
        raise DataError(
            f"{folder.best}: is missing; a run cannot end without its best epoch; start a new one"
        )
    before = Config.from_dict(metadata["config"]).to_dict()
    other = [name for name, value in config.to_dict().items() if value != before[name]]
    if other := sorted(set(other) - ADJUSTABLE):
        raise UsageError(
            f"{folder.config_file}: says another {other[0]} than the run was trained with; put "
            f"{before[other[0]]!r} back, or start a new run"
        )


def score_best(folder: RunFolder, config: Config, data: Splits, *, test: bool = False) -> None:
    """Score the best epoch on the validation frames and, with `test`, on the test frames at original size."""
    model, metadata = checkpoint.load_model(folder.best)
    model = to_device(model, config.device)
    options: dict[str, Any] = {"precision": config.precision, "workers": config.workers}
    val, tested = (
        None if part is None else validate(model, part, LOSSES[config.loss], **options)
        for part in (data.val, data.test if test else None)
    )
    levels = [] if data.val is None else level_table(model, data.val, config.size, **options)
    if levels:
        checkpoint.annotate(folder.best, validation=levels)
    folder.write_results(metadata["scores"]["epoch"], val, tested, data.about, levels)
