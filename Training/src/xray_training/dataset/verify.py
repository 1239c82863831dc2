"""Finding what is damaged in a data set: files by their checksums, and the chunks of all arrays by their own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from DRRSimulatorLib.errors import InputError
from DRRSimulatorLib.progress import Report, ignore_progress

from .layout import ARRAYS, VIEWS_PER_SHARD
from .records import CHECKSUMS, files_below, relative_name, sha256_of
from .stored import PATIENT_NAME, StoredPatient, XRayDataset

_LINE = re.compile(r"([0-9a-f]{64})  (\S.*)")
_SHARD = re.compile(rf"{re.escape(ARRAYS)}/([^/]+)/(image|depth|mask)/c/(\d+)/(\d+)/.*")


def verify(folder: Path, report: Report = ignore_progress) -> list[str]:
    """Check a finished data set.

    Args:
        folder: of the data set.
        report: is told of the progress.

    Returns:
        What is damaged, a sentence each: files that are missing, changed or not part of the data set, and chunks that cannot be read, with
        the patient, the array and the views. Empty if the data set is whole.

    Raises:
        InputError: if the folder has no checksums, or they cannot be read.
    """
    checksums = _read_checksums(folder / CHECKSUMS)
    damage = []
    for number, (name, checksum) in enumerate(checksums.items()):
        report(0.5 * number / len(checksums), f"checking {Path(name).name}")
        path = folder / name
        if not path.is_file():
            damage.append(f"{name} is missing{_what_it_holds(folder, name)}.")
        elif sha256_of(path) != checksum:
            damage.append(f"{name} is damaged{_what_it_holds(folder, name)}.")
    present = {relative_name(folder, path) for path in files_below(folder)}
    damage += [f"{name} is no part of the data set." for name in sorted(present - checksums.keys() - {CHECKSUMS})]
    report(0.5, "reading the arrays")
    return damage + list(_unreadable_arrays(folder, report))


def _read_checksums(path: Path) -> dict[str, str]:
    """SHA-256 by the names of the files in the folder."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path} cannot be read ({error}): the folder is no data set, or one that is not finished; run the command that makes it again."
        ) from error
    matches = [_LINE.fullmatch(line) for line in lines]
    checksums = {match[2]: match[1] for match in matches if match}
    if not matches or len(checksums) < len(lines) or any(Path(name).is_absolute() or ".." in Path(name).parts for name in checksums):
        raise InputError(f"{path} is damaged: each line must be a SHA-256 and the name of a file in the folder.")
    return checksums


def _what_it_holds(folder: Path, name: str) -> str:
    """Which patient, array and views a file of an array holds, for a sentence; empty for other files."""
    match = _SHARD.fullmatch(name)
    if match is None:
        return ""
    patient, array, shard, bone = match.groups()
    first, last = int(shard) * VIEWS_PER_SHARD, (int(shard) + 1) * VIEWS_PER_SHARD - 1
    bone_name = f"number {bone}"
    try:
        stored = XRayDataset(folder).patient(patient)
        last, bone_name = min(last, len(stored) - 1), list(stored.bones.values())[int(bone)]
    except (InputError, IndexError):
        pass  # the patient is damaged as well: the name of the file has to do
    return f": {array} of {patient}, views {first} to {last}" + (f", bone {bone_name}" if array == "depth" else "")


def _unreadable_arrays(folder: Path, report: Report) -> Iterator[str]:
    """What Zarr cannot read, down to the view; every chunk has a checksum of its own."""
    groups = sorted(path.parent for path in (folder / ARRAYS).glob("*/zarr.json"))
    for number, path in enumerate(groups):
        report(0.5 + 0.5 * number / len(groups), f"reading {path.name}")
        try:
            if not PATIENT_NAME.fullmatch(path.name):
                raise InputError(f"{path.name!r} is no name of a patient")
            patient = StoredPatient(path)
        except InputError as error:
            yield f"Patient {path.name}: {error}"
            continue
        for name, array in patient.arrays.items():
            parts = range(len(patient)) if array.shards else (...,)
            unreadable = [part for part in parts if not _is_readable(patient, name, part)]
            if unreadable:
                views = f", {'views' if len(unreadable) > 1 else 'view'} {', '.join(map(str, unreadable))}" if array.shards else ""
                yield f"{name} of {patient.name}{views}: a chunk cannot be read."


def _is_readable(patient: StoredPatient, name: str, part: object) -> bool:
    try:
        patient.read(name, part)
    except InputError:
        return False
    return True
