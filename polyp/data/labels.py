"""Tables that say of each frame which video, hospital or patient it is from."""

import unicodedata
from collections.abc import Iterable
from pathlib import Path

from polyp.data.images import IMAGE_SUFFIXES
from polyp.errors import DataError, did_you_mean

Label = int | str  # the name of a video, a hospital or a patient


def frame_name(path: Path) -> str:
    """The name of the frame in a file: its stem."""
    return normal(path.stem)


def normal(name: str) -> str:
    """A name whose accents are one with their letters: systems differ in that, and it cannot be seen."""
    return unicodedata.normalize("NFC", name)


def read_labels(folder: Path, what: str) -> dict[str, Label] | None:
    """What `<what>s.csv` in `folder` says of each frame; None if there is no such file.

    Its header is `frame,<what>`, and each line holds a stem, and a number or a name. Labels that are all
    whole numbers are read as such.

    Raises:
        DataError: another header, a row that is not a frame and a label, or a frame listed twice.
    """
    path = folder / f"{what}s.csv"
    if not path.is_file():
        return None
    import pandas as pd  # predicting a folder needs none

    columns = ["frame", what, "more"]  # the third catches what should not be there
    try:
        lines = pd.read_csv(
            path, names=columns, dtype=str, na_filter=False, skip_blank_lines=False, encoding="utf-8-sig"
        )
    except ValueError as error:  # not UTF-8, or not a table
        reason = " ".join(str(error).split())
        raise DataError(f"{path}: cannot be read ({reason}); save it as CSV in UTF-8") from None
    if lines[:1].values.tolist() != [["frame", what, ""]]:
        raise DataError(
            f"{path}: the first line is not 'frame,{what}'; expected that header, then lines like 1,A"
        )
    lines.index += 1
    rows = lines[1:][(lines[1:] != "").any(axis=1)]  # without blank lines
    right = (rows["frame"] != "") & (rows[what].str.strip() != "") & (rows["more"] == "")
    for number, row in rows[~right].iterrows():
        text = ",".join(row).rstrip(",")
        raise DataError(f"{path}, line {number}: {text!r}; expected a frame and its {what}")
    for number, frame in rows["frame"][rows["frame"].duplicated()].items():
        raise DataError(f"{path}, line {number}: frame {frame!r} is listed twice; keep one line")
    return as_labels(dict(zip(map(normal, rows["frame"]), rows[what], strict=True)))


def read_column(path: Path, column: str) -> dict[str, Label]:
    """One column of a table of any width that has a column `frame`.

    Raises:
        DataError: no such file or column, a frame listed twice, or a cell without a label.
    """
    import pandas as pd

    try:
        with open(path, encoding="utf-8-sig") as file:
            delimiter = delimiter_of(file.readline())
        table = pd.read_csv(path, sep=delimiter, dtype=str, na_filter=False, encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        reason = "no such file" if isinstance(error, FileNotFoundError) else " ".join(str(error).split())
        raise DataError(f"{path}: cannot be read ({reason})") from None
    for name in ("frame", column):
        if name not in table:
            raise DataError(f"{path}: has no column {name!r}; {did_you_mean(name, table.columns)}")
    if (twice := table["frame"][table["frame"].duplicated()]).any():
        raise DataError(f"{path}: frame {twice.iloc[0]!r} is listed twice; keep one line")
    if (blank := table["frame"][table[column].str.strip() == ""]).any():
        raise DataError(f"{path}: frame {blank.iloc[0]!r} has no {column}; fill it in")
    return as_labels(dict(zip(map(normal, table["frame"]), table[column], strict=True)))


def delimiter_of(header: str) -> str:
    """What is between the cells of a table, by its first line: a comma, a semicolon or a tab."""
    return max(",;\t", key=header.count)


def as_labels(texts: dict[str, str]) -> dict[str, Label]:
    """Labels without spaces around them; whole numbers if all are."""
    labels = {frame: text.strip() for frame, text in texts.items()}
    if labels and all(text.isascii() and text.isdigit() and len(text) <= 18 for text in labels.values()):
        return {frame: int(text) for frame, text in labels.items()}
    return dict(labels)


def of_one_type(labels: dict[str, Label]) -> dict[str, Label]:
    """The same, all as texts unless all are numbers: a sort compares only what is alike."""
    if len({type(label) for label in labels.values()}) > 1:
        return {frame: str(label) for frame, label in labels.items()}
    return labels


def spelt_otherwise(frames: list[str], listed: Iterable[str]) -> str:
    """A remark where a table lists a frame that is missing there with a suffix, spaces, zeros or capitals."""

    def core(name: str) -> str:
        name = name.strip().casefold()
        return (Path(name).stem if name.endswith(IMAGE_SUFFIXES) else name).lstrip("0")

    known = {core(name): name for name in listed}
    for frame in frames:
        if (name := known.get(core(frame))) is not None:
            return f"; {name!r} is listed, where the file is called {frame!r}"
    return ""
