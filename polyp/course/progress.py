"""Which exercises of the course are solved, as the saved notebooks say."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

from polyp.errors import DataError


@dataclass(frozen=True)
class Progress:
    """A notebook's exercises, in their order: the heading of each, and whether its last answer was right."""

    notebook: str
    exercises: dict[str, bool]

    @property
    def solved(self) -> int:
        """How many of them are right."""
        return sum(self.exercises.values())


def read_progress(folder: str | Path) -> list[Progress]:
    """The progress in a folder's notebooks, one entry per lesson.

    A lesson is known by its number. Of several copies, such as JupyterLab's `02_metrics-Copy1.ipynb`, the one
    with most exercises solved counts.

    Raises:
        DataError: no folder, no numbered notebook in it, or one that cannot be read.
    """
    folder = Path(folder)
    files = sorted(folder.glob("[0-9][0-9]_*.ipynb"))
    if not files:
        raise DataError(
            f"{folder}: no notebook of the course here; expected files such as 00_start_here.ipynb"
        )
    best: dict[str, Progress] = {}
    for file in files:
        found = _read(file)
        if (known := best.get(file.name[:2])) is None or found.solved > known.solved:
            best[file.name[:2]] = found
    return list(best.values())


def _read(file: Path) -> Progress:
    heading, exercises = "", {}
    try:
        for cell in json.loads(file.read_text(encoding="utf-8"))["cells"]:
            if titles := re.findall(r"^### (Exercise \d+.*)$", "".join(cell["source"]), re.MULTILINE):
                heading = titles[-1]
            if "exercise" in cell["metadata"].get("tags", []):
                exercises[heading] = any(map(_is_correct, cell["outputs"]))
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        raise DataError(f"{file}: not a notebook that can be read ({error})") from error
    return Progress(file.stem, exercises)


def _is_correct(output: dict) -> bool:
    text = output.get("text") or output.get("data", {}).get("text/plain", "")
    return "".join(text).startswith("Correct: ")


def as_lines(course: list[Progress]) -> list[str]:
    """A line per notebook, a sum, and the next exercise that is not solved."""
    width = max(len(lesson.notebook) for lesson in course)
    lines: list[str] = []
    for lesson in course:
        bar = "#" * lesson.solved + "." * (len(lesson.exercises) - lesson.solved)
        lines.append(f"{lesson.notebook:{width}}  {lesson.solved} of {len(lesson.exercises)}  {bar}")
    solved, of = sum(lesson.solved for lesson in course), sum(len(lesson.exercises) for lesson in course)
    lines.append(f"{'all':{width}}  {solved} of {of}")
    left = [(lesson.notebook, name) for lesson in course for name, ok in lesson.exercises.items() if not ok]
    lines.append(f"next: {left[0][0]}, {left[0][1]}" if left else "every exercise is solved")
    return lines
