"""Maps and masks, from folders or arrays: which belong together, and whether all of them can be scored."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from polyp.data.drawn import DrawnMask
from polyp.data.images import IMAGE_SUFFIXES, list_images, natural_sort, read_image
from polyp.data.known import DATASETS, find_dataset
from polyp.data.layouts.folders import layout, subfolders
from polyp.data.masks import AUTO, check_values, read_mask
from polyp.data.pairs import find_pairs
from polyp.errors import DataError, UsageError, look_up, name_some, nearest
from polyp.run.scoring.maps import VALUES, Map, Span, has_greys, plane, read_map, settle_values

MAP_SUFFIXES = (*IMAGE_SUFFIXES, ".npy")

Given = str | Path | Mapping[str, np.ndarray] | Sequence[np.ndarray] | np.ndarray


@dataclass
class Inputs:
    """Predictions and truth of the same frames, checked; iterating reads them one by one.

    `values` is the key of `VALUES` by which the maps are read; `in_between`, how many masks hold grey values
    that are neither black nor white; `folder`, the truth's, or None for arrays.
    """

    predictions: dict[str, Map]
    truth: dict[str, Map | DrawnMask | None]
    values: str = "auto"
    in_between: int = 0
    folder: Path | None = None
    blank: dict[str, Path] = field(default_factory=dict)  # frames without a mask, for their size
    mask_values: str = AUTO  # which pixels of a mask file mean polyp, see `masks.read_mask`

    def __iter__(self) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
        """Yields name, probabilities float64 (H, W), mask bool (H, W)."""
        to_probs = VALUES[self.values]
        for name, given in self.predictions.items():
            yield name, to_probs(read_map(given, name)), self.read_truth(name)

    def read_truth(self, name: str) -> np.ndarray:
        """The mask of a frame, bool (H, W)."""
        given = self.truth[name]
        if given is None:
            return np.zeros(read_image(self.blank[name]).shape[:2], bool)
        if isinstance(given, Path | DrawnMask):
            return read_mask(given, self.mask_values) > 0
        return given > 0


def open_inputs(
    predictions: Given,
    truth: Given,
    *,
    values: str = "auto",
    subset: bool = False,
    mask_values: str = AUTO,
) -> Inputs:
    """Pair predictions and truth by name, read all of both once, and refuse what cannot be scored.

    Args, Raises: see `score`.
    """
    look_up(VALUES, "kind of values", values)
    check_values(mask_values)
    inputs = _open_truth(truth)
    inputs.mask_values = mask_values
    inputs.predictions = _open_maps(predictions)
    _check_names(inputs, _place(predictions, "predictions"), _place(truth, "truth"), subset)
    inputs.truth = {name: inputs.truth[name] for name in inputs.predictions}
    _check_content(inputs, values, _place(predictions, "predictions"))
    return inputs


def _place(given: Given, role: str) -> str:
    return str(given) if isinstance(given, str | Path) else role


def _open_maps(given: Given) -> dict[str, Map]:
    if not isinstance(given, str | Path):
        return _named(given)
    folder = _existing(Path(given).expanduser())
    files = natural_sort(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in MAP_SUFFIXES and not path.name.startswith(".") and path.is_file()
    )
    if not files:
        raise DataError(f"{folder}: holds no maps ({', '.join(MAP_SUFFIXES)}){_did_you_mean_inside(folder)}")
    return dict(_by_stem(files))


def _open_truth(given: Given) -> Inputs:
    if not isinstance(given, str | Path):
        return Inputs({}, {**_named(given)})
    path = Path(given).expanduser()
    named = str(given) in DATASETS and not path.is_dir()
    folder = find_dataset(str(given)) if named else path if path.is_file() else _existing(path, DATASETS)
    if folder.is_file() or layout(folder):
        pairs = find_pairs(folder)
        blank = {pair.frame: pair.image for pair in pairs if pair.mask is None}
        return Inputs({}, {pair.frame: pair.mask for pair in pairs}, folder=folder, blank=blank)
    files = list_images(folder)
    if not files:
        raise DataError(f"{folder}: holds no masks{_did_you_mean_inside(folder)}")
    return Inputs({}, dict(_by_stem(files)), folder=folder)


def _named(given: Mapping[str, np.ndarray] | Sequence[np.ndarray] | np.ndarray) -> dict[str, Map]:
    items = given.items() if isinstance(given, Mapping) else enumerate(given)
    arrays: dict[str, Map] = {str(name): plane(np.asarray(array)) for name, array in items}
    if not arrays:
        raise DataError("no frames were given; expected arrays (H, W), or a folder")
    return arrays


def _existing(folder: Path, names: Iterable[str] = ()) -> Path:
    if folder.is_dir():
        return folder
    beside = [path.name for path in folder.parent.iterdir()] if folder.parent.is_dir() else []
    near = nearest(folder.name, [*beside, *names]) or folder.name
    place = near if near in names else folder.parent / near
    remedy = f"; did you mean '{place}'?" if near != folder.name else ""
    raise DataError(f"{folder}: {'is not a folder' if folder.exists() else 'no such folder'}{remedy}")


def _did_you_mean_inside(folder: Path) -> str:
    inside = [path for path in subfolders(folder).values() if any(path.glob("*.*"))]
    return f"; did you mean {' or '.join(map(str, inside[:3]))}?" if inside else ""


def _by_stem(files: list[Path]) -> dict[str, Path]:
    stems: dict[str, Path] = {}
    for path in files:
        if path.stem in stems:
            raise DataError(
                f"{path.parent}: {stems[path.stem].name} and {path.name} share a stem; "
                "keep one file per frame"
            )
        stems[path.stem] = path
    return stems


def _check_names(inputs: Inputs, predicted: str, true: str, subset: bool) -> None:
    surplus = [name for name in inputs.predictions if name not in inputs.truth]
    missing = [name for name in inputs.truth if name not in inputs.predictions]
    if len(surplus) == len(inputs.predictions):
        raise DataError(
            f"{predicted}: no prediction has the name of a mask in {true} ({name_some(surplus)}, but "
            f"{name_some(missing)}); a map and its mask share their name up to the suffix"
        )
    if surplus:
        raise DataError(
            f"{predicted}: {len(surplus)} of {len(inputs.predictions)} predictions have no truth in {true} "
            f"({name_some(surplus, 10)}); move them away, or add their masks"
        )
    if missing and not subset:
        raise DataError(
            f"{predicted}: {len(missing)} of {len(inputs.truth)} frames have no prediction "
            f"({name_some(missing, 10)}); add them, or score the others alone with --subset"
        )


def _check_content(inputs: Inputs, values: str, place: str) -> None:
    found, wrong = Span(), []
    for name, given in inputs.predictions.items():
        prediction = read_map(given, name)
        true = inputs.truth[name]
        if inputs.mask_values == AUTO and not isinstance(true, DrawnMask):
            inputs.in_between += has_greys(true, name)
        mask = inputs.read_truth(name)
        if prediction.shape != mask.shape:
            sizes = (f"{array.shape[1]} x {array.shape[0]}" for array in (prediction, mask))
            wrong.append(f"{name}: {', truth '.join(sizes)} px")
        found.add(prediction, name)
    if wrong:
        raise DataError(
            f"{place}: {len(wrong)} of {len(inputs.predictions)} predictions are not of their truth's size "
            f"({name_some(wrong)}); resize each to its truth before scoring"
        )
    inputs.values = settle_values(found, values, place)


def check_different(predictions: Given, truth: Given) -> None:
    """Refuse a folder scored against itself.

    Raises:
        UsageError: both are the same folder.
    """
    if isinstance(predictions, str | Path) and isinstance(truth, str | Path):
        paths = [Path(given).expanduser() for given in (predictions, truth)]
        if all(path.is_dir() for path in paths) and paths[0].samefile(paths[1]):
            raise UsageError(
                f"{predictions} and {truth} are one folder; give the predictions, then the truth"
            )
