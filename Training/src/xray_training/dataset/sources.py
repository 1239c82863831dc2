"""The CTs that a data set is made of, given one by one or in a list."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from DRRSimulatorLib.errors import InputError

from .stored import PATIENT_NAME

NOT_STATED = "not stated"
COLUMNS = ("ct", "labels", "series", "name", "source", "licence")


@dataclass(frozen=True)
class CTSource:
    """A CT to simulate X-rays of.

    Attributes:
        ct: a DICOM folder, or a file.
        labels: label map of its bones; None: they are segmented.
        series: UID of the series, where the folder holds several CTs.
        name: of the patient in the data set; empty: made of the CT's fingerprint.
        source: where the CT is from, for the data card.
        licence: of the CT, for the data card.
    """

    ct: Path
    labels: Path | None = None
    series: str | None = None
    name: str = ""
    source: str = NOT_STATED
    licence: str = NOT_STATED

    @property
    def key(self) -> str:
        """Tells this CT from others in what a stopped run leaves; it names no file."""
        values = [str(self.ct.resolve()), str(self.labels and self.labels.resolve()), self.series, self.name, self.source, self.licence]
        return hashlib.sha256(json.dumps(values).encode()).hexdigest()[:32]

    def patient_name(self, fingerprint: str) -> str:
        """Name of the patient: nothing of a file or a person gets into it unless it is asked for."""
        return self.name or f"patient-{fingerprint[:8]}"


def read_sources(arguments: Sequence[Path]) -> list[CTSource]:
    """CTs from paths; a path that ends in .csv is a list of CTs.

    Raises:
        InputError: if a list cannot be read, or a CT or a name occurs twice.
    """
    sources = [source for path in arguments for source in (_read_list(path) if path.suffix.lower() == ".csv" else [CTSource(path)])]
    for what, values in (("The CT", [str(source.ct.resolve()) + str(source.series or "") for source in sources]),
                         ("The name", [source.name for source in sources if source.name])):  # fmt: skip
        twice = next((value for value in values if values.count(value) > 1), None)
        if twice:
            raise InputError(f"{what} {twice} is given twice; give it once.")
    return sources


def _read_list(path: Path) -> list[CTSource]:
    """CTs of a list; its paths are relative to its folder."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, strict=True)
            columns, rows = reader.fieldnames or (), list(reader)
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(f"The list of CTs {path} cannot be read: {error}.") from error
    if "ct" not in columns or not set(columns) <= set(COLUMNS):
        raise InputError(f"The list of CTs {path} must have the column ct and may have {', '.join(COLUMNS[1:])}; it has {columns}.")
    sources = []
    for line, row in enumerate(rows, 2):
        cells = {column: (row[column] or "").strip() for column in columns}
        name = cells.get("name", "")
        if None in row or not cells["ct"] or "\0" in "".join(cells.values()):
            raise InputError(f"Line {line} of {path} names no CT, has more cells than there are columns, or a character that no file has.")
        if name and not PATIENT_NAME.fullmatch(name):
            raise InputError(f"The name {name!r} in line {line} of {path} may have letters, digits, '.', '_' and '-' only.")
        sources.append(
            CTSource(
                path.parent / cells["ct"],
                path.parent / cells["labels"] if cells.get("labels") else None,
                cells.get("series") or None,
                name,
                cells.get("source") or NOT_STATED,
                cells.get("licence") or NOT_STATED,
            )
        )
    if not sources:
        raise InputError(f"The list of CTs {path} is empty.")
    return sources
