"""Work that goes on while the user goes on: a Python function in a thread, or one of our commands in a process of its own.

Callbacks are called on the main thread only. What runs in a thread touches neither nodes nor widgets. Closing the scene stops every run.
"""

from __future__ import annotations

import codecs
import importlib.util
import logging
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

import qt
import slicer
from DRRSimulatorLib.errors import InputError, failure_in_words
from DRRSimulatorLib.progress import Cancelled, Report
from slicer.i18n import tr as _

Result = TypeVar("Result")

_LIBRARIES = ("DRRSimulatorLib", "XRayRegistrationLib", "xray_training")
_SECONDS_FOR_THREAD = 0.02  # longer ones make the application feel slow, shorter ones the work
_SECONDS_BETWEEN_PROGRESS = 0.1

_runs: list[_Run] = []


def errorText(error: BaseException) -> str:
    """What to tell the user of an error: the sentence of an InputError or of a full disk and the like, else that it is unexpected."""
    words = str(error) if isinstance(error, InputError) else failure_in_words(error)
    if words is not None:
        return words
    return _("An unexpected error stopped the work: {error}. Its details are in the error log.").format(
        error=str(error).strip().rstrip(".") or type(error).__name__
    )


class _Run:
    """Keeps a run in the list, and stops it when the scene closes, from its begin to its end."""

    def requestStop(self) -> None:
        raise NotImplementedError

    @property
    def running(self) -> bool:
        """Whether it was started and has not told its end yet."""
        return self in _runs

    def _begin(self) -> None:
        _runs.append(self)
        self._observed = slicer.mrmlScene
        self._observation = self._observed.AddObserver(slicer.vtkMRMLScene.StartCloseEvent, lambda *_unused: self.requestStop())

    def _end(self) -> None:
        self._observed.RemoveObserver(self._observation)
        _runs.remove(self)


class BackgroundTask(_Run, Generic[Result]):
    """A function that runs in a thread.

    In Slicer the main thread holds Python's lock (the GIL) while it waits for events, so threads stand still; a timer gives them time.
    """

    def __init__(
        self,
        function: Callable[[Report], Result],
        onProgress: Callable[[float, str], Any],
        onFinished: Callable[[Result], Any],
        onFailed: Callable[[Exception], Any],
        onCancelled: Callable[[], Any],
    ) -> None:
        """Prepare the task; exactly one of the last three callbacks will be called, once.

        Args:
            function: called in the thread with a `Report`, which raises Cancelled after `cancel`.
            onProgress: called with the newest report, ten times a second at most.
            onFinished: called with the result.
            onFailed: called with the exception; `errorText` tells what to show. Unexpected ones are in the log with their traceback.
            onCancelled: called when the task ended after `cancel`, even if it came to a result.
        """
        self._function = function
        self._onProgress, self._onFinished, self._onFailed, self._onCancelled = onProgress, onFinished, onFailed, onCancelled
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._cancelled = False
        self._progress: tuple[float, str] | None = None
        self._lastProgress = 0.0
        self._result: Result | None = None
        self._error: Exception | None = None
        self._timer: Any = None

    def start(self) -> None:
        """Start the thread."""
        self._begin()
        self._thread.start()
        self._timer = qt.QTimer(slicer.app)  # with a parent, Python does not delete it in the middle of its own signal
        self._timer.setInterval(0)
        self._timer.connect("timeout()", self._giveTime)
        self._timer.start()

    def cancel(self) -> None:
        """Ask the task to stop at its next report."""
        self._cancelled = True

    requestStop = cancel

    def _work(self) -> None:
        try:
            self._result = self._function(self._report)
        except Exception as error:  # whatever it is, it is told on the main thread
            self._error = error

    def _report(self, fraction: float, text: str) -> None:
        if self._cancelled:
            raise Cancelled
        self._progress = fraction, text

    def _giveTime(self) -> None:
        self._thread.join(_SECONDS_FOR_THREAD)
        if not self._thread.is_alive():
            self._finish()
        elif self._progress is not None and time.monotonic() - self._lastProgress > _SECONDS_BETWEEN_PROGRESS:
            self._lastProgress = time.monotonic()
            progress, self._progress = self._progress, None
            if not self._cancelled:
                self._onProgress(*progress)

    def _finish(self) -> None:
        if not self.running:
            return  # a callback let events be processed, and the timer's last one came again
        self._timer.stop()
        self._timer.disconnect("timeout()", self._giveTime)
        self._timer.deleteLater()
        self._end()
        if self._cancelled or isinstance(self._error, Cancelled):
            self._onCancelled()
        elif self._error is None:
            self._onFinished(self._result)  # type: ignore[arg-type]
        else:
            if not isinstance(self._error, InputError):
                logging.error("A background task failed.", exc_info=self._error)
            self._onFailed(self._error)


class BackgroundProcess(_Run):
    """One of our commands in a Python process of its own, which goes on computing whatever the application does."""

    def __init__(self, module: str, arguments: Sequence[str], onLine: Callable[[str], Any], onFinished: Callable[[int], Any]) -> None:
        """Prepare the process.

        Args:
            module: run as ``python -m module``; must know the option ``--stop-file``.
            arguments: of the command, without the stop file.
            onLine: called with each line of its output and its error messages.
            onFinished: called with its exit code; -1 where it crashed, was killed or could not be started.
        """
        self._onLine, self._onFinished = onLine, onFinished
        self._folder = tempfile.mkdtemp(dir=slicer.app.temporaryPath)
        self._stopFile = Path(self._folder, "stop")
        self._arguments = ["-m", module, *map(str, arguments), "--stop-file", str(self._stopFile)]
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._rest = ""
        self._process = qt.QProcess(slicer.app)  # for the same reason as the timer above
        self._process.setProcessChannelMode(qt.QProcess.MergedChannels)
        self._process.setProcessEnvironment(_environment())

    def start(self) -> None:
        """Start the process."""
        self._begin()
        self._process.connect("readyReadStandardOutput()", self._read)
        self._process.connect("errorOccurred(QProcess::ProcessError)", self._onError)
        self._process.connect("finished(int,QProcess::ExitStatus)", self._onProcessFinished)
        self._process.start(sys.executable, self._arguments)

    def stop(self) -> None:
        """Ask the command to end cleanly; training, for example, writes a checkpoint first."""
        self._stopFile.touch()

    requestStop = stop

    def kill(self) -> None:
        """End the process at once, as the last resort.

        Slicer's Python is a launcher, and killing it leaves the process that it launched; that one ends by the stop file.
        """
        self.stop()
        self._process.kill()

    def _read(self) -> None:
        self._tell(self._decode(self._process.readAllStandardOutput().data()))

    def _tell(self, text: str) -> None:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._onLine(line.rstrip("\r"))

    def _onError(self, error: Any) -> None:
        if error == qt.QProcess.FailedToStart:  # then there is no other signal
            self._onLine(_("Python cannot be started: {reason}").format(reason=self._process.errorString()))
            self._finish(-1)

    def _onProcessFinished(self, exitCode: int, status: Any) -> None:
        self._read()
        self._tell(self._decode(b"", True) + ("\n" if self._rest else ""))
        if status == qt.QProcess.NormalExit:
            shutil.rmtree(self._folder, ignore_errors=True)
        self._finish(exitCode if status == qt.QProcess.NormalExit else -1)

    def _finish(self, exitCode: int) -> None:
        self._process.deleteLater()
        self._end()
        self._onFinished(exitCode)


def _environment() -> Any:
    """This process's environment, in which the command finds our libraries and writes UTF-8 at once."""
    environment = qt.QProcessEnvironment.systemEnvironment()
    folders = [*_libraryFolders(), environment.value("PYTHONPATH", "")]
    environment.insert("PYTHONPATH", os.pathsep.join(filter(None, folders)))
    environment.insert("PYTHONUNBUFFERED", "1")
    environment.insert("PYTHONUTF8", "1")
    return environment


def _libraryFolders() -> list[str]:
    """Where our libraries lie: an installed extension has all in one folder, the source three."""
    folders = []
    for library in _LIBRARIES:
        spec = importlib.util.find_spec(library)
        if spec is not None and spec.origin is not None:
            folders.append(str(Path(spec.origin).parents[1]))
    source = Path(__file__).resolve().parents[2]
    folders += [str(folder) for folder in (source / "XRayRegistration", source / "Training" / "src") if folder.is_dir()]
    return list(dict.fromkeys(folders))
