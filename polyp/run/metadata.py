"""What a checkpoint and an exported network say of themselves, and whether it can be true."""

from pathlib import Path
from typing import Any

from polyp.data.familiar import Familiar
from polyp.errors import DataError


def check_metadata(metadata: dict[str, Any], path: Path) -> None:
    """Refuse metadata of the wrong kind, before anything is made of it."""
    kinds = dict.fromkeys(("config", "scores", "data", "split", "familiar"), dict) | dict.fromkeys(
        ("history", "validation"), list
    )
    for name, kind in kinds.items():
        if not isinstance(metadata.get(name, kind()), kind):
            raise DataError(f"{path}: its {name} is no {kind.__name__}; the metadata was changed")
    if not all(isinstance(prints, str) for prints in metadata.get("split", {}).values()):
        raise DataError(f"{path}: its split holds no text; the metadata was changed")
    if "config" not in metadata:
        raise DataError(f"{path}: its metadata has no config; it was changed")
    for name in ("threshold", "min_peak", "min_share"):
        value = metadata.get(name, 0.5)  # versions up to 0.2 had the first alone
        if type(value) not in (int, float) or not 0 <= value <= 1:
            raise DataError(f"{path}: its {name} is {str(value)[:40]}; expected a number from 0 to 1")
    if type(metadata.get("second_look", False)) is not bool:
        raise DataError(
            f"{path}: its second_look is {str(metadata['second_look'])[:40]}; expected true or false"
        )
    _check_table(metadata.get("validation", []), path)
    if metadata.get("familiar"):
        try:
            Familiar.from_dict(metadata["familiar"])
        except ValueError as error:
            raise DataError(f"{path}: its familiar is {error}; the metadata was changed") from None


def _check_table(rows: list[Any], path: Path) -> None:
    """Refuse a table of levels, see `levels.level_table`, from which nothing could be chosen."""
    kinds = {"level": int, "precision": str, "dice": float, "multiply_adds": int, "frames": int}
    for row in rows:
        if not isinstance(row, dict) or any(type(row.get(name)) is not kind for name, kind in kinds.items()):
            raise DataError(f"{path}: its validation has the row {str(row)[:60]}; the metadata was changed")
        if row["level"] < 1 or row["multiply_adds"] < 1 or not 0 <= row["dice"] <= 1:
            raise DataError(f"{path}: its validation has the row {str(row)[:60]}, which cannot be true")
