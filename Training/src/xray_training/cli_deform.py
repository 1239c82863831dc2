"""scr-deform: deformed copies of a CT, for variety where few CTs are at hand."""

from __future__ import annotations

import csv
import hashlib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from DRRSimulatorLib.commands import SERIES_HELP, run_command
from DRRSimulatorLib.errors import InputError
from DRRSimulatorLib.files import atomic_path
from DRRSimulatorLib.progress import print_progress

if TYPE_CHECKING:
    from DRRSimulatorLib.bone import BoneLabels
    from DRRSimulatorLib.ct import CTVolume

COLUMNS = ("ct", "labels", "name", "source", "licence")
SUFFIX = ".nii.gz"


def deform(
    ct: Annotated[Path, typer.Argument(help="CT: a DICOM folder, NIfTI, NRRD or MHA file.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the copies; made where it is missing.")],
    count: Annotated[int, typer.Option(min=1, help="Number of copies.")] = 10,
    labels: Annotated[Path | None, typer.Option(help="Label map of the bones; default: segmented automatically.")] = None,
    series: Annotated[str | None, typer.Option(help=SERIES_HELP)] = None,
    source: Annotated[str, typer.Option(help="Where the CT is from, for the list of copies.")] = "a CT of unknown source",
    licence: Annotated[str, typer.Option(help="The CT's licence, for the list of copies.")] = "not stated",
    seed: Annotated[int, typer.Option(min=0, help="Seed; copy n depends on the seed and n only.")] = 0,
) -> None:
    """Write deformed copies of a CT and of its bones: other sizes, proportions, postures and bone densities.

    They are <CT>_deformed_1.nii.gz, <CT>_deformed_1_labels.nii.gz and so on; patients.csv lists all copies of the folder. Interrupt it at
    any moment: the same command keeps the copies that are there and makes the others.
    """
    import numpy as np
    from DRRSimulatorLib.bone import read_labels, segment_bone
    from DRRSimulatorLib.ct import read_ct

    from .bone_files import read_note, write_bone_files
    from .deform import deformed

    volume = read_ct(ct, series)
    bones = read_labels(labels, volume) if labels else segment_bone(volume)
    output.mkdir(parents=True, exist_ok=True)
    list_file = output / "patients.csv"
    rows = read_list(list_file)
    stem = re.sub(r"[^\w.-]", "_", _stem(ct), flags=re.ASCII)
    original = _digest(volume, bones)
    with print_progress("deforming", count) as show:
        for number in range(1, count + 1):
            name = f"{stem}_deformed_{number}"
            ct_file, labels_file = output / f"{name}{SUFFIX}", output / f"{name}_labels{SUFFIX}"
            note = f"deformed copy {number} with seed {seed} of {original}"
            if not (read_note(ct_file) == note and labels_file.is_file()):
                write_bone_files(output, name, *deformed(volume, bones, np.random.default_rng([seed, number])), SUFFIX, note)
            rows[name] = dict(
                zip(COLUMNS, (ct_file.name, labels_file.name, name, f"deformed copy {number} of {source}", licence), strict=True)
            )
            show(number, "")
    _write_list(list_file, rows)
    typer.echo(f"Copies written to {output}: {count}; {list_file} lists them.")


def _stem(ct: Path) -> str:
    """Name of a CT's file without its suffixes, or of its folder."""
    return ct.resolve().name if ct.is_dir() else Path(ct.name.removesuffix(".gz")).stem


def _digest(ct: CTVolume, bones: BoneLabels) -> str:
    """Tells CTs and labels apart: 16 hexadecimal digits."""
    names = json.dumps(bones.names, sort_keys=True)
    return hashlib.sha256(ct.fingerprint.encode() + bones.labels.tobytes() + names.encode()).hexdigest()[:16]


def read_list(file: Path) -> dict[str, dict[str, str]]:
    """Rows of the list by their names, each with all `COLUMNS`; none where there is no list yet.

    Raises:
        InputError: if the file is another one, or damaged.
    """
    if not file.exists():
        return {}
    try:
        with file.open(encoding="utf-8", newline="") as lines:
            reader = csv.DictReader(lines, strict=True)
            columns, rows = tuple(reader.fieldnames or ()), list(reader)
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(f"{file} cannot be read ({error}); delete it, or choose another folder.") from error
    if columns != COLUMNS:
        raise InputError(f"{file} is no list of this command, whose columns are {', '.join(COLUMNS)}; choose another folder.")
    if any(None in row or None in row.values() for row in rows):
        raise InputError(f"{file} has lines of more or fewer than {len(COLUMNS)} columns; correct or delete it.")
    return {row["name"]: row for row in rows}


def _write_list(file: Path, rows: dict[str, dict[str, str]]) -> None:
    with atomic_path(file) as temporary, temporary.open("w", encoding="utf-8", newline="") as lines:
        writer = csv.DictWriter(lines, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows.values())


def main() -> None:
    """Entry point of scr-deform."""
    run_command(deform)
