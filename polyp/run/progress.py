"""A run's progress: one moving bar for people, one plain line per epoch for everybody and every log."""

import sys

from tqdm import tqdm

from polyp.config import Config


class Progress:
    """A bar over all frames of a run, with images/s and the time left, and a line for each epoch.

    The bar shows in a terminal and in a notebook; in a log file it would be a thousand lines, so there
    are only the epochs' lines.
    """

    def __init__(self, config: Config, frames: int, done_epochs: int = 0, show: bool = True):
        """
        Args:
            config: epochs and batch size count here.
            frames: of the training set.
            done_epochs: before a resume.
            show: False is silent.
        """
        self.epochs, self.epoch, self.show = config.epochs, done_epochs, show
        self.frames = frames // config.batch_size * config.batch_size  # the last, smaller batch is dropped
        notebook = "ipykernel" in sys.modules
        self.bar = tqdm(
            total=config.epochs * self.frames,
            initial=done_epochs * self.frames,
            unit="img",
            disable=not (show and (notebook or sys.stderr.isatty())),
            # A notebook can only overwrite a line within one stream, the one the epochs' lines go to.
            file=sys.stdout if notebook else sys.stderr,
            dynamic_ncols=True,
            leave=False,
            bar_format="{desc} {percentage:3.0f}% |{bar}| {rate_fmt}, {remaining} left{postfix}",
        )

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *exc_info) -> None:
        self.bar.close()

    def update(self, frames: int, loss: float, iou: float) -> None:
        """Show that `frames` of this epoch are done, with the means so far."""
        self.bar.set_description_str(f"epoch {self.epoch + 1}/{self.epochs}", refresh=False)
        self.bar.set_postfix_str(f"loss {loss:.3f}, IoU {iou:.3f}", refresh=False)
        self.bar.update(self.epoch * self.frames + frames - self.bar.n)

    def epoch_done(self, row: dict, is_best: bool) -> None:
        """Print one line for a finished epoch."""
        self.epoch += 1
        dice = "undefined" if row["val_dice"] is None else f"{row['val_dice']:.3f}"
        parts = [f"epoch {row['epoch']:>3}/{self.epochs}  loss {row['loss']:.3f}  IoU {row['iou'] or 0:.3f}"]
        if row["val_loss"] is not None:
            parts.append(f"val loss {row['val_loss']:.3f}  Dice {dice}{'*' if is_best else ' '}")
        self.say("  |  ".join([*parts, f"{row['seconds']:.1f} s"]))

    def say(self, line: str) -> None:
        """Print a line above the bar, at once."""
        if self.show:
            tqdm.write(line, file=sys.stdout)
            sys.stdout.flush()
