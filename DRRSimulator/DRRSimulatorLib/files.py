"""Writing files so that a reader never meets half of one, nor of a set that belongs together, whatever happens to the writer."""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from .errors import InputError

_UNFINISHED = re.compile(r"\.[0-9a-f]{16}-.+")
_SECONDS_OF_A_LEFTOVER = 3600  # no file takes as long to write
_LONGEST_NAME = 50  # characters of the name that the temporary one ends with: four bytes each stay far below the 255 of a file's name
_LOCK = "being-written"

_tidied: set[Path] = set()


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a temporary path in the folder of ``path`` to write to, and move it to ``path`` when the block ends well.

    The temporary name ends like ``path`` (all its suffixes), so writers that choose a format by suffix choose the same one. When
    the block fails, the temporary file is removed and ``path`` stays as it was. A kill leaves a hidden file, which a later process
    that writes to the folder removes.

    Raises:
        InputError: if the folder does not exist, or ``path`` is a folder.
        OSError: if the file cannot be written; it names ``path``.
    """
    if not path.parent.is_dir():
        raise InputError(f"The folder {path.parent} does not exist; create it or choose another place for {path.name}.")
    if path.is_dir():
        raise InputError(f"{path} is a folder; choose a file name to write to.")
    temporary = _unfinished(path)
    try:
        temporary.touch()  # here, as many writers do not tell why they cannot
        _tidy(temporary)
        temporary.unlink()
        yield temporary
        _flush(temporary)
        os.replace(temporary, path)
    except OSError as error:
        raise _renamed(error, temporary, path) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextmanager
def atomic_files(folder: Path, last: str) -> Iterator[Path]:
    """Give a temporary folder in ``folder`` to write files to that belong together, and move all when the block ends well.

    A kill leaves the files as they were before; in the instant in which they are moved, without the last one: never parts of two sets.

    Args:
        folder: existing folder.
        last: name of the file to move last: where it is, all are.

    Raises:
        OSError: if a file cannot be written; it names its place in ``folder``.
    """
    temporary = _unfinished(folder / "unfinished")
    try:
        temporary.mkdir()
        yield temporary
        (folder / last).unlink(missing_ok=True)
        for file in sorted(temporary.iterdir(), key=lambda file: (file.name == last, file.name)):
            os.replace(file, folder / file.name)
    except OSError as error:
        raise _renamed(error, temporary, folder) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def only_writer(output: Path) -> Iterator[None]:
    """Within this block no other run writes to a file or a folder, where all ask here. A killed process is out of its block.

    Args:
        output: existing folder, or a file in one.

    Raises:
        InputError: if another run is in such a block.
    """
    path = output / f".{_LOCK}" if output.is_dir() else output.with_name(f".{output.name}.{_LOCK}")
    while True:
        try:
            file = path.open("a", encoding="utf-8")
        except OSError as error:
            raise _renamed(error, path, output) from error
        if not _lock(file):
            file.close()
            raise InputError(f"Another run is writing to {output}; wait for its end, or choose another place for this one.")
        with suppress(OSError):  # it was removed meanwhile
            if os.path.samestat(path.stat(), os.fstat(file.fileno())):
                break
        file.close()
    try:
        yield
    finally:
        # While it is locked where that is possible: nobody else can be about to lock what is removed.
        with suppress(OSError):
            path.unlink()
        file.close()
        with suppress(OSError):
            if os.name == "nt":
                path.unlink()


def _lock(file: IO[str]) -> bool:
    """Lock a file until it is closed; False where another process has locked it."""
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined, unused-ignore]
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        return True  # a file system without locks
    return True


def _unfinished(path: Path) -> Path:
    return path.with_name(f".{secrets.token_hex(8)}-{path.name[-_LONGEST_NAME:]}")


def _renamed(error: OSError, temporary: Path, known: Path) -> OSError:
    """The same error with the name that the user knows."""
    if error.errno is None:
        return OSError(str(error).replace(str(temporary), str(known)))
    name = str(known) if error.filename is None else str(error.filename).replace(str(temporary), str(known))
    return OSError(error.errno, error.strerror, name)


def _flush(path: Path) -> None:
    """Wait until a file is on the disk, or the server: only then do some tell that there was no room for it."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _tidy(temporary: Path) -> None:
    """Remove what killed processes have left in the folder of a new temporary file; each process looks once."""
    if temporary.parent in _tidied:
        return
    _tidied.add(temporary.parent)
    with suppress(OSError):
        oldest = temporary.stat().st_mtime - _SECONDS_OF_A_LEFTOVER  # by the clock of the file system, not ours
        for path in temporary.parent.iterdir():
            if _UNFINISHED.fullmatch(path.name) and path.stat().st_mtime < oldest:
                shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink()
