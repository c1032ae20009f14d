"""The one line: `polyp.load().predict("frames/").save("masks/")`."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from polyp.errors import DataError, UsageError
from polyp.run.ahead import ahead
from polyp.run.choice import choose_level
from polyp.run.engines import Engine, open_engine
from polyp.run.ensemble import familiar_of, find_members, open_ensemble
from polyp.run.inputs import as_pictures
from polyp.run.output import Writer
from polyp.run.prediction import Picture, Point, Prediction, predict_pictures


class Predictor:
    """A network that is ready for pictures.

    Args:
        engine: what computes, see `engines.open_engine`.
        metadata: of the checkpoint: its operating point, and what is familiar to the network.
        point: which answers are shown.
        choice: why this level computes, if it was chosen here.
    """

    def __init__(
        self, engine: Engine, metadata: dict[str, Any], point: Point | None = None, choice: str = ""
    ):
        self.engine, self.metadata, self.choice = engine, metadata, choice
        self.point = point or Point.of(metadata)
        self.familiar = familiar_of(metadata)

    def predict(self, source: Any, mirror: bool = False) -> "Predictions":
        """Masks for whatever people have.

        Args:
            source: a path, a folder with all below it, a glob, pixels uint8 RGB (H, W, 3), a PIL image, or an
                iterable of these.
            mirror: average over four mirrorings (four times the work).

        Returns:
            the results, computed as they are asked for.

        Raises:
            UsageError: a source of another kind.
            DataError: on the way: there is nothing, or a single picture cannot be read.
        """
        return Predictions(self.stream(as_pictures(source), mirror))

    def stream(
        self, pictures: Iterable[Picture | DataError], mirror: bool = False
    ) -> Iterator[Prediction | DataError]:
        """`predict_pictures`, while the next pictures are decoded beside it."""
        return self.stream_decoded(ahead(_decoded, pictures), mirror)

    def stream_decoded(
        self, pictures: Iterable[Picture | DataError], mirror: bool = False
    ) -> Iterator[Prediction | DataError]:
        """The same of pictures that have their pixels, such as a film's."""
        return predict_pictures(self.engine, pictures, self.point, self.familiar, mirror)


class Predictions:
    """Results in the order of the pictures, each computed when it is asked for, and once: `for found in ...`.

    Pictures that cannot be read are left out, and listed in `errors` afterwards. For a single picture,
    `mask`, `probs`, `boxes` and `overlay()` are at hand.
    """

    def __init__(self, stream: Iterator[Prediction | DataError]):
        self._stream = stream
        self._one: Prediction | None = None
        self.errors: list[DataError] = []

    def __iter__(self) -> Iterator[Prediction]:
        if self._one is not None:
            yield self._one
        for item in self._stream:
            if isinstance(item, DataError):
                self.errors.append(item)
            else:
                yield item

    def __getattr__(self, name: str) -> Any:
        if name in ("mask", "probs", "boxes", "overlay", "image", "doubt"):
            return getattr(self.one(), name)
        raise AttributeError(name)

    def one(self) -> Prediction:
        """The first result, for a source that is one picture.

        Raises:
            DataError: the picture cannot be read.
        """
        if self._one is None:
            self._one = next(iter(self), None)
        if self._one is None:
            raise self.errors[0] if self.errors else DataError("no picture was given")
        return self._one

    def table(self) -> Any:
        """A pandas table with one row per picture, see `prediction.table_row`."""
        import pandas as pd

        return pd.DataFrame([found.row() for found in self])

    def save(self, folder: str | Path, **options: Any) -> Path:
        """Write masks and the table into `folder`; see `output.Writer` for what else can be written.

        Raises:
            DataError: the folder cannot be written to, or holds files that this package did not make.
        """
        with Writer(folder, **options) as writer:
            for found in self:
                writer.write(found)
        return writer.folder


def load(path: str | Path | Sequence[str | Path] | None = None, **options: Any) -> Predictor:
    """A network, or several as one, ready to predict.

    Args:
        path: a checkpoint, an exported `.onnx` file, or a name of weights that ship; a run's folder, for its
            best; a folder of folds, or a list of several, for the mean of their probabilities, see
            `ensemble.open_ensemble`; by default the model that comes with the package.
        options: engine, level, device, precision, see `engines.open_engine`; threshold, min_peak, min_share,
            second_look instead of the model's own, see `Point`; max_dice_drop in place of level, for the
            cheapest level whose validation Dice is at most so far below the best, see `choice.choose_level`.

    Raises:
        UsageError, DataError: an unknown option; a file that cannot be read.
    """
    given = {name: options.pop(name) for name in Point._fields if name in options}
    drop, choice = options.pop("max_dice_drop", None), ""
    if drop is not None and options.get("level") is not None:
        raise UsageError("--max-dice-drop chooses the level, and --level names it; give one of them")
    if path is None:
        members: list[str | Path] = []
    else:
        paths = [path] if isinstance(path, str | Path) else path
        members = [member for one in paths for member in find_members(one)]
        if not members:
            raise UsageError("the list of checkpoints is empty; name one, or None for the model that ships")
    if len(members) > 1:
        if drop is not None:
            raise UsageError("--max-dice-drop chooses the level of one network; an ensemble takes --level")
        engine, metadata = open_ensemble(members, **options)
    else:
        one = members[0] if members else None
        engine, metadata = open_engine(one, **options)
        if drop is not None:
            level, choice = choose_level(metadata, drop, one)
            engine, metadata = open_engine(one, **options | {"level": level})
    return Predictor(engine, metadata, Point.of(metadata, **given), choice)


def _decoded(picture: Picture | DataError) -> Picture | DataError:
    try:
        return picture if isinstance(picture, DataError) else picture._replace(image=picture.read())
    except DataError as error:
        return error
