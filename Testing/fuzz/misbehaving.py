"""Readers that do each of the things that the fuzzer is there to find, to test the fuzzer with."""

from __future__ import annotations

import ctypes
import os
import pickle
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
from DRRSimulatorLib.errors import InputError


def write_corpus(folder: Path) -> None:
    """One file of text."""
    (folder / "text").mkdir()
    (folder / "text" / "a.txt").write_text("1 2 3\n4 5 6\n")


def _is_whole(folder: Path) -> bool:
    return (folder / "a.txt").exists() and (folder / "a.txt").read_bytes() == b"1 2 3\n4 5 6\n"


def _raises(folder: Path) -> None:
    raise KeyError("a")


def _crashes(folder: Path) -> None:
    ctypes.string_at(0)


def _hangs(folder: Path) -> None:
    sum(range(10**12))  # within C, where Python handles no signals


def _fills_the_memory(folder: Path) -> None:
    try:
        np.zeros(1 << 32)
    except MemoryError as error:
        raise InputError("This is refused, but only because it did not fit.") from error


def _writes_elsewhere(folder: Path) -> None:
    (folder.parent / "elsewhere.txt").write_text("a")


def _reads_elsewhere(folder: Path) -> None:
    with suppress(OSError):
        (folder.parent / "elsewhere.txt").read_text()


def _leaves_a_file(folder: Path) -> None:
    (folder / "left.txt").write_text("a")


def _unpickles(folder: Path) -> None:
    pickle.loads(pickle.dumps(Path))


def _evaluates(folder: Path) -> None:
    eval("1 + 1")


def _runs_a_program(folder: Path) -> None:
    subprocess.run([sys.executable, "-c", ""], check=False)


def _connects(folder: Path) -> None:
    with suppress(OSError), socket.socket() as connection:
        connection.settimeout(0.01)
        connection.connect(("127.0.0.1", 9))


def _ends_the_process(folder: Path) -> None:
    os.abort()


def _on_damage(act: Callable[[Path], None]) -> Callable[[Path], object]:
    return lambda folder: None if _is_whole(folder) else act(folder)


READERS: dict[str, Callable[[Path], object]] = {
    act.__name__.strip("_").replace("_", "-"): _on_damage(act)
    for act in (
        *(_raises, _crashes, _hangs, _fills_the_memory, _writes_elsewhere, _reads_elsewhere, _leaves_a_file, _unpickles, _evaluates),
        *(_runs_a_program, _connects, _ends_the_process),
    )
}
