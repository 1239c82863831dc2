"""Our commands in processes that faults befall: killed, or without room or memory.

The processes are forked from one that has imported everything, so that each starts at once. For systems with fork alone.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import resource
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

COMMANDS = {
    "drr-simulate": "DRRSimulatorLib.cli",
    "xray-register": "XRayRegistrationLib.cli",
    "scr-train": "xray_training.cli_train",
    "scr-evaluate": "xray_training.cli_evaluate",
}
PATIENCE_SECONDS = 300

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(
    [
        *("torch", "monai.networks.nets", "warp", "poselib", "scipy.ndimage", "scipy.optimize", "skimage.measure", "SimpleITK"),
        *("matplotlib.figure", "vtkmodules.vtkIOXML", "rich.progress", "xray_training.train", "xray_training.logs"),
        *("XRayRegistrationLib.result_files", "XRayRegistrationLib.network", *COMMANDS.values()),
    ]
)


@dataclass(frozen=True)
class Faults:
    """What befalls a process.

    Attributes:
        killed_at_move: it is killed when it is about to move so many-th finished file into its place.
        file_bytes: no file may become longer.
        memory_bytes: so much more memory may it have than it starts with.
    """

    killed_at_move: int | None = None
    file_bytes: int | None = None
    memory_bytes: int | None = None


@dataclass(frozen=True)
class Ended:
    """How a process ended: its exit code, or minus the signal that ended it, and what it said."""

    code: int
    text: str

    @property
    def sentence(self) -> str:
        """What it said at the end, where that is one line of an error."""
        line = self.text.strip().splitlines()[-1] if self.text.strip() else ""
        assert line.startswith("Error: ") and "Traceback" not in self.text, self.text
        return line.removeprefix("Error: ")


class CommandProcess:
    """A command that runs in a process of its own."""

    def __init__(self, command: str, arguments: list[str], log: Path, faults: Faults = Faults()) -> None:
        """Start it; its output goes to a file."""
        self._log = log
        log.write_text("", encoding="utf-8")
        self._process = _context.Process(target=_run, args=(command, arguments, str(log), faults))
        self._process.start()

    @property
    def running(self) -> bool:
        return self._process.is_alive()

    def kill(self) -> None:
        self._process.kill()

    def wait(self) -> Ended:
        self._process.join(PATIENCE_SECONDS)
        assert not self._process.is_alive(), self._log.read_text(encoding="utf-8", errors="replace")
        return Ended(int(self._process.exitcode or 0), self._log.read_text(encoding="utf-8", errors="replace"))


def run(command: str, arguments: list[str], log: Path, faults: Faults = Faults()) -> Ended:
    """Run a command to its end."""
    return CommandProcess(command, arguments, log, faults).wait()


def _run(command: str, arguments: list[str], log: str, faults: Faults) -> None:
    output = os.open(log, os.O_WRONLY | os.O_APPEND)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(output, stream.fileno())
    main = importlib.import_module(COMMANDS[command]).main
    _befall(faults)
    sys.argv = [command, *arguments]
    main()


def _befall(faults: Faults) -> None:
    if faults.file_bytes is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (faults.file_bytes, faults.file_bytes))
    if faults.memory_bytes is not None:
        used = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + faults.memory_bytes, used + faults.memory_bytes))
    if faults.killed_at_move is not None:
        _kill_at_move(faults.killed_at_move)


def _kill_at_move(number: int) -> None:
    move, moved = os.replace, 0

    def replace(source: Any, target: Any) -> None:
        nonlocal moved
        moved += 1
        if moved == number:
            os.kill(os.getpid(), signal.SIGKILL)
        move(source, target)

    os.replace = replace  # type: ignore[assignment]
