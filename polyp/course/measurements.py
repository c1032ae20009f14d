"""What the lessons measured on real data beside trainings: one function and one row per measurement.

Each takes `data_path` (where the data are, if not in `$POLYP_DATA` or `data/`) and returns plain JSON values.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

MEASUREMENTS: dict[str, Callable[[str | Path | None], dict[str, Any]]] = {}
