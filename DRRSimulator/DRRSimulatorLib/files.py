"""Writing files so that a reader never meets half of one."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import InputError


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a temporary path in the folder of ``path`` to write to, and move it to ``path`` when the block ends well.

    The temporary name ends like ``path`` (all its suffixes), so writers that choose a format by suffix choose the same one. When
    the block fails, the temporary file is removed and ``path`` stays as it was.

    Raises:
        InputError: if the folder does not exist, or ``path`` is a folder.
    """
    if not path.parent.is_dir():
        raise InputError(f"The folder {path.parent} does not exist; create it or choose another place for {path.name}.")
    if path.is_dir():
        raise InputError(f"{path} is a folder; choose a file name to write to.")
    temporary = path.with_name(f".{secrets.token_hex(8)}-{path.name}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
