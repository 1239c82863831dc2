"""What a generation leaves behind while it runs, so that the same command can go on after any stop.

A record is written when its files are complete, and says what they are; files without a record are made again.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from DRRSimulatorLib.errors import InputError
from DRRSimulatorLib.files import atomic_path

from .layout import ARRAYS
from .stored import PATIENT_NAME

CHECKSUMS, DESCRIPTION = "checksums.txt", "dataset.json"
_PROGRESS, _DONE = ".progress", ".progress-done"
_UNFINISHED_FILE = re.compile(r"\.[0-9a-f]{16}-.+|.+\.partial")  # of `atomic_path` and of Zarr


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()


def relative_name(folder: Path, path: Path) -> str:
    """Name of a file in a folder, with slashes on every system."""
    return path.relative_to(folder).as_posix()


def files_below(folder: Path) -> Iterator[Path]:
    """All files in a folder and its folders, but those of a generation that is not finished."""
    for place, folders, files in os.walk(folder):
        if Path(place) == folder and _PROGRESS in folders:
            folders.remove(_PROGRESS)
        yield from (Path(place, name) for name in files)


class Records:
    """The records of a data set that is being made, in its folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.path = folder, folder / _PROGRESS

    @property
    def finished(self) -> bool:
        """Whether the data set is complete."""
        return (self.folder / CHECKSUMS).is_file() and not self.path.exists()

    def begin(self, settings: dict[str, Any]) -> None:
        """Make the folder ready: a new one, or one where a generation was stopped, from which what is incomplete is removed.

        Raises:
            InputError: if the folder holds something else, or a data set of other settings.
        """
        # The removal of finished records may have been stopped.
        shutil.rmtree(self.folder / _DONE, ignore_errors=True)
        if self.finished:
            self._compare(settings, _read(self.folder / DESCRIPTION).get("settings"))
            return
        settings_file = self.path / "settings.json"
        if settings_file.is_file():
            self._compare(settings, _read(settings_file))
            self._remove_unfinished()
            return
        if self.folder.is_dir() and {path.name for path in self.folder.iterdir()} - {_PROGRESS}:
            raise InputError(f"The folder {self.folder} holds other files; choose a new or an empty one for the data set.")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"The folder {self.folder} cannot be made: {error.strerror}.") from error
        _write(settings_file, settings)

    def end(self) -> None:
        """Remove the records of a data set that is complete; a stop leaves all of them or none that count."""
        self.path.replace(self.folder / _DONE)
        shutil.rmtree(self.folder / _DONE)

    def preparing(self, key: str) -> Path:
        """Where a CT's group is made, before it gets its place."""
        return self.path / f"preparing-{key}"

    def write_patient(self, key: str, record: dict[str, Any], files: Iterable[Path]) -> dict[str, Any]:
        """Record that a CT is prepared, and with which files; gives the record."""
        return _write(self._patient_file(key), record | {"files": self._described(files)})

    def write_shard(self, patient: str, shard: int, files: Iterable[Path]) -> None:
        """Record that a shard is simulated, and with which files."""
        file = self._shard_file(patient, shard)
        file.parent.mkdir(exist_ok=True)
        _write(file, {"files": self._described(files)})

    def patient(self, key: str) -> dict[str, Any] | None:
        """The record of a prepared CT; None where there is none, or not all of its files."""
        return self._complete(self._patient_file(key))

    def has_shard(self, patient: str, shard: int) -> bool:
        """Whether a shard is simulated and all of its files are there."""
        return self._complete(self._shard_file(patient, shard)) is not None

    def checksums(self) -> dict[str, str]:
        """SHA-256 of all recorded files, by their names in the data set's folder."""
        files = [*self.path.glob("*.json"), *self.path.glob("*/[0-9]*.json")]
        records = [_read_record(file) for file in files if file.name != "settings.json"]
        return {name: checksum for record in records for name, (checksum, _) in record["files"].items()}

    def _compare(self, wanted: dict[str, Any], found: Any) -> None:
        if found == wanted:
            return
        other = [name for name in wanted if not isinstance(found, dict) or found.get(name) != wanted[name]]
        raise InputError(
            f"The folder {self.folder} holds a data set of other settings ({', '.join(other)}); choose another folder, or the same "
            "settings. CTs and views cannot be added later: make another data set of the same seed, whose first views are the same."
        )

    def _remove_unfinished(self) -> None:
        """Remove what no record speaks of, so that it is made again."""
        for path in self.path.glob("preparing-*"):
            shutil.rmtree(path)
        for place, _, files in os.walk(self.folder):
            for name in filter(_UNFINISHED_FILE.fullmatch, files):
                Path(place, name).unlink(missing_ok=True)
        records = [self._complete(file) for file in self.path.glob("*.json") if file.name != "settings.json"]
        prepared = {record["patient"] for record in records if record is not None}
        for path in (self.folder / ARRAYS).glob("*/"):
            if path.is_dir() and path.name not in prepared:
                shutil.rmtree(path)
                shutil.rmtree(self.path / path.name, ignore_errors=True)

    def _described(self, files: Iterable[Path]) -> dict[str, list[Any]]:
        return {relative_name(self.folder, file): [sha256_of(file), file.stat().st_size] for file in sorted(files)}

    def _complete(self, record_file: Path) -> dict[str, Any] | None:
        if not record_file.is_file():
            return None
        record = _read_record(record_file)
        if all(_has_size(self.folder / name, size) for name, (_, size) in record["files"].items()):
            return record
        return None

    def _patient_file(self, key: str) -> Path:
        return self.path / f"{key}.json"

    def _shard_file(self, patient: str, shard: int) -> Path:
        return self.path / patient / f"{shard:06d}.json"


def _has_size(path: Path, size: int) -> bool:
    try:
        return path.stat().st_size == size
    except (OSError, ValueError):  # not there, or no name of a file
        return False


def _read(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(values, dict):
            raise ValueError("it is no JSON object")
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} cannot be read ({error}); delete it, or make the data set anew in another folder.") from error
    return values


def _read_record(path: Path) -> dict[str, Any]:
    """A record whose files lie in the data set, each with SHA-256 and size; that of a CT also names the patient."""
    record = _read(path)
    files, patient, fingerprint = record.get("files"), record.get("patient"), record.get("ct_fingerprint")
    holds = isinstance(files, dict) and all(_is_inside(name) and _is_described(described) for name, described in files.items())
    if path.parent.name == _PROGRESS:
        holds = holds and isinstance(patient, str) and PATIENT_NAME.fullmatch(patient) is not None and isinstance(fingerprint, str)
    if not holds:
        raise InputError(f"{path} is no record of a data set; delete it, or make the data set anew in another folder.")
    return record


def _is_inside(name: str) -> bool:
    return not Path(name).is_absolute() and ".." not in Path(name).parts


def _is_described(value: Any) -> bool:
    return isinstance(value, list) and [type(part) for part in value] == [str, int] and re.fullmatch("[0-9a-f]{64}", value[0]) is not None


def _write(path: Path, values: dict[str, Any]) -> dict[str, Any]:
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(values, indent=1), encoding="utf-8")
    return values
