"""What a reader may not do with a case, and how that is found out.

Passed is a case that is read, or refused with an `InputError`. A finding is everything else: another exception, an allocation beyond the
limit of memory (also one that failed and was then reported as an `InputError`), processor time beyond the limit, the end of the process,
a file written or opened beyond the case's folder, a connection, another process, or code from a string or a pickle.
"""

from __future__ import annotations

import os
import re
import resource
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from DRRSimulatorLib.errors import InputError

MEMORY_BYTES = 1 << 30  # beyond what the process has when it begins, for files of some kilobytes
PROCESSOR_SECONDS = 5
_ALLOCATION_FAILED = ("to allocate", "t allocate", "bad_alloc", "out of memory", "not enough memory")
_NEVER = ("os.system", "os.exec", "os.posix_spawn", "os.fork", "subprocess.Popen", "pickle.find_class", "socket.connect")
_CHANGES_FILES = ("os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate", "os.chmod", "shutil.rmtree")
_NUMBERS = re.compile(r"(0x)?[0-9a-f]*\d[0-9a-f.]*")  # left out, so that findings of one kind count as one
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


class Watch:
    """Listens to Python's audit events while a case runs. A hook cannot be taken away, so there is one to a process."""

    def __init__(self) -> None:
        self._on = False
        self._writable: tuple[str, ...] = ()
        self._readable: tuple[str, ...] = ()
        self.seen: list[str] = []
        sys.addaudithook(self._event)

    @contextmanager
    def over(self, writable: tuple[str, ...], readable: tuple[str, ...]) -> Iterator[None]:
        """Collect in `seen` what a reader may not do; of files it may write and read what begins with some names, and only read others."""
        self.seen, self._writable, self._readable = [], writable, writable + readable
        self._on = True
        try:
            yield
        finally:
            self._on = False

    def _event(self, event: str, arguments: tuple[object, ...]) -> None:
        if not self._on:
            return
        if event in _NEVER:
            self.seen.append(f"{event} {arguments!r}"[:200])
        elif event == "open" and isinstance(arguments[0], (str, bytes)):
            path = os.path.abspath(os.fsdecode(arguments[0]))
            writes = isinstance(arguments[2], int) and bool(arguments[2] & _WRITES)
            if not path.startswith(self._writable if writes else self._readable):
                self.seen.append(f"{'written' if writes else 'opened'}: {path}"[:200])
        elif event in _CHANGES_FILES and not _path(arguments).startswith(self._writable):
            self.seen.append(f"{event} {arguments!r}"[:200])
        elif event == "compile" and arguments[1] == "<string>" and not _compiled_by_a_library():
            self.seen.append(f"compiled: {arguments[0]!r}"[:200])


def _path(arguments: tuple[object, ...]) -> str:
    """The file that an event is about; its name may be relative to a folder that is open, as the last argument says."""
    folder = arguments[-1]
    base = os.readlink(f"/proc/self/fd/{folder}") if isinstance(folder, int) and 0 <= folder < 1 << 16 else "."
    return os.path.abspath(os.path.join(base, os.fsdecode(arguments[0])))


def _compiled_by_a_library() -> bool:
    """Whether a decorator such as dataclass makes code, as when a module is imported late."""
    frame = sys._getframe(2)
    while frame is not None:
        if frame.f_globals.get("__name__") in ("dataclasses", "collections", "importlib._bootstrap"):
            return True
        frame = frame.f_back
    return False


def limit_memory() -> None:
    """Let the process have no more memory than it has now and `MEMORY_BYTES`; calling it again begins anew."""
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    has = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (has + MEMORY_BYTES, most))


def unlimited_memory() -> None:
    """Lift the limit."""
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def outcome(read: Callable[[Path], object], folder: Path) -> str:
    """What becomes of a case: "read", "refused", or what went wrong.

    The process ends by SIGPROF where the case takes too long, even within a library that does not listen to Python's signals.
    """
    signal.setitimer(signal.ITIMER_PROF, PROCESSOR_SECONDS)
    try:
        read(folder)
        return "read"
    except InputError as error:
        return next((_described(cause) for cause in _causes(error) if _is_of_memory(cause)), "refused")
    except Exception as error:
        return _described(error)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def check(holds: object) -> None:
    """Make a finding of what a reader accepted, unless it holds."""
    if not holds:
        raise AssertionError("nonsense was accepted")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _is_of_memory(error: BaseException) -> bool:
    return isinstance(error, MemoryError) or any(words in str(error).lower() for words in _ALLOCATION_FAILED)


def _described(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "site-packages" not in frame.filename and "fuzz" not in Path(frame.filename).parent.name] or frames
    place = f"{Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else "?"
    return f"{type(error).__name__} at {place}: {_NUMBERS.sub('N', str(error).rsplit(os.sep, 1)[-1])[:100]}"
