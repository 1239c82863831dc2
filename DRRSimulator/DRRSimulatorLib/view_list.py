"""Lists of C-arm views in JSON and CSV files."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from .camera import CArmView
from .errors import InputError

# Names in the files, and what holds where a view does not give them.
DEFAULTS = {
    "primary_deg": 0.0,
    "secondary_deg": 0.0,
    "roll_deg": 0.0,
    "offset_x_mm": 0.0,
    "offset_y_mm": 0.0,
    "source_to_bone_mm": 700.0,
}


def read_views(path: Path) -> list[CArmView]:
    """C-arm views from a file: a CSV table with a header, or a JSON list of objects, with the names in `DEFAULTS`.

    Raises:
        InputError: if the file is missing, of another kind, empty, or has an unknown name or a value that is no number.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")  # spreadsheets begin a CSV file with a byte order mark
        is_json = path.suffix.lower() == ".json"
        rows = json.loads(text) if is_json else list(csv.DictReader(text.splitlines(), skipinitialspace=True))
    except (OSError, ValueError, RecursionError, csv.Error) as error:
        raise InputError(f"The list of views {path} cannot be read: {error}.") from error
    if not isinstance(rows, list) or not rows:
        raise InputError(f"{path} holds no list of views: give a CSV table with a header, or a JSON list of objects.")
    return [_view(row, f"View {number} in {path}") for number, row in enumerate(rows, 1)]


def _view(row: Any, name: str) -> CArmView:
    if not isinstance(row, dict) or not set(row) <= set(DEFAULTS):
        raise InputError(f"{name} has something else than {', '.join(DEFAULTS)}: {row}.")
    try:
        values = DEFAULTS | {key: float(value) for key, value in row.items() if value not in (None, "")}
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{name} has a value that is no number: {row}.") from error
    primary, secondary, roll, x, y, depth = values.values()
    return CArmView(primary, secondary, roll, (x, y), depth)
