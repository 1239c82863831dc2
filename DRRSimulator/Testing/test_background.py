"""Work in the background: results and errors on the main thread, cancelling, and our commands in processes of their own."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from DRRSimulatorLib.errors import InputError
from DRRSimulatorLib.progress import Report

COMMAND = """
import sys, time
from pathlib import Path

sys.stdout.buffer.write("grün ".encode())
sys.stdout.flush()
time.sleep(0.1)
print("1 µm", file=sys.stderr)
sys.stdout.buffer.write("two\\r\\nthree".encode())
sys.stdout.flush()
stop = Path(sys.argv[sys.argv.index("--stop-file") + 1])
deadline = time.monotonic() + (20 if "wait" in sys.argv else 0)
while time.monotonic() < deadline and not stop.exists():
    time.sleep(0.01)
sys.exit(3)
"""


@pytest.fixture
def background(scene: Any) -> Any:
    from DRRSimulatorSlicer import background

    yield background
    for run in list(background._runs):
        run.requestStop()


@pytest.fixture
def wait_until(background: Any) -> Callable[..., None]:
    events = pytest.importorskip("slicer_host.events")
    return events.wait_until


class Callbacks:
    """What a task told, and in which thread."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Any]] = []
        self.progress: list[tuple[float, str]] = []
        self.threads: set[threading.Thread] = set()

    def tell(self, what: str) -> Callable[..., None]:
        def callback(*values: Any) -> None:
            self.threads.add(threading.current_thread())
            if what == "progress":
                self.progress.append(values)
            else:
                self.told.append((what, *values))

        return callback

    def start(self, background: Any, function: Callable[[Report], Any]) -> Any:
        ends = [self.tell(what) for what in ("finished", "failed", "cancelled")]
        task = background.BackgroundTask(function, self.tell("progress"), *ends)
        task.start()
        return task


def test_a_result_and_the_way_to_it_are_told_on_the_main_thread(background: Any, wait_until: Any) -> None:
    callbacks = Callbacks()

    def work(report: Report) -> threading.Thread:
        for step in range(200):
            report(step / 200, f"step {step}")
            time.sleep(0.002)
        return threading.current_thread()

    start = time.monotonic()
    task = callbacks.start(background, work)
    assert task.running
    wait_until(lambda: bool(callbacks.told))
    assert not task.running
    [(what, worker)] = callbacks.told
    assert what == "finished" and worker is not threading.main_thread()
    assert callbacks.threads == {threading.main_thread()}
    fractions = [fraction for fraction, _ in callbacks.progress]
    assert fractions == sorted(set(fractions))
    assert 1 <= len(fractions) <= 1 + (time.monotonic() - start) / 0.1


def test_input_that_cannot_be_used_is_told_in_its_own_words(background: Any, wait_until: Any, caplog: pytest.LogCaptureFixture) -> None:
    callbacks = Callbacks()

    def work(report: Report) -> None:
        raise InputError("The X-ray is empty; choose another.")

    callbacks.start(background, work)
    wait_until(lambda: bool(callbacks.told))
    [(what, error)] = callbacks.told
    assert (what, background.errorText(error)) == ("failed", "The X-ray is empty; choose another.")
    assert not caplog.records


def test_defects_are_told_as_unexpected_and_logged_with_their_place(
    background: Any, wait_until: Any, caplog: pytest.LogCaptureFixture
) -> None:
    callbacks = Callbacks()

    def broken_step(report: Report) -> None:
        raise ZeroDivisionError

    with caplog.at_level(logging.ERROR):
        callbacks.start(background, broken_step)
        wait_until(lambda: bool(callbacks.told))
    [(what, error)] = callbacks.told
    assert what == "failed"
    assert "unexpected" in background.errorText(error) and "ZeroDivisionError" in background.errorText(error)
    assert "broken_step" in caplog.text


@pytest.mark.parametrize("looks", [True, False])
def test_a_cancelled_task_ends_as_cancelled_whether_it_looks_or_not(background: Any, wait_until: Any, looks: bool) -> None:
    callbacks, steps, goes_on = Callbacks(), [], threading.Event()

    def work(report: Report) -> str:
        for step in range(3):
            if looks:
                report(step / 3, "working")
            steps.append(step)
            goes_on.wait(10)
        return "a result"

    task = callbacks.start(background, work)
    wait_until(lambda: bool(steps))
    task.cancel()
    goes_on.set()
    wait_until(lambda: bool(callbacks.told))
    assert callbacks.told == [("cancelled",)]
    assert steps == ([0] if looks else [0, 1, 2])


def test_closing_the_scene_stops_tasks_and_processes(background: Any, wait_until: Any, scene: Any, command: Any) -> None:
    callbacks, ends = Callbacks(), []

    def work(report: Report) -> None:
        while True:
            report(0.5, "working")
            time.sleep(0.01)

    callbacks.start(background, work)
    command("wait", onFinished=ends.append)
    scene.Clear(False)
    wait_until(lambda: bool(callbacks.told and ends))
    assert callbacks.told == [("cancelled",)]
    assert ends == [3]


def test_a_task_gets_the_time_while_the_event_loop_holds_pythons_lock(background: Any) -> None:
    """As in Slicer, where nothing gives the lock away but Python code itself."""
    process_events = process_events_with_the_lock()
    callbacks = Callbacks()

    def work(report: Report) -> float:
        """Computes in Python, and returns the time that this thread was computing."""
        start = time.thread_time()
        sum(number * number for number in range(2_000_000))
        return time.thread_time() - start

    callbacks.start(background, work)
    start, deadline = time.thread_time(), time.monotonic() + 60
    while not callbacks.told and time.monotonic() < deadline:
        process_events()
    waited = time.thread_time() - start
    [(what, worked)] = callbacks.told
    assert what == "finished"
    assert worked > 5 * waited


def process_events_with_the_lock() -> Callable[[], None]:
    """Qt's event processing called as C code that keeps Python's lock; it waits for the next event."""
    import ctypes

    from PySide6 import QtCore

    libraries = list((Path(QtCore.__file__).parent / "Qt" / "lib").glob("libQt6Core.so*"))
    if not libraries:
        pytest.skip("Qt's library is not beside PySide6")
    function = ctypes.PyDLL(str(libraries[0]))._ZN16QCoreApplication13processEventsE6QFlagsIN10QEventLoop17ProcessEventsFlagEE
    function.argtypes, function.restype = [ctypes.c_int], None
    wait_for_more_events = 4
    return lambda: function(wait_for_more_events)


@pytest.fixture
def command(background: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Starts a process of a command that says something, may wait to be stopped, and ends with 3."""
    (tmp_path / "talking_command.py").write_text(COMMAND, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def start(*arguments: str, onLine: Any = lambda line: None, onFinished: Any = lambda code: None) -> Any:  # noqa: N803  Slicer's
        process = background.BackgroundProcess("talking_command", arguments, onLine, onFinished)
        process.start()
        return process

    return start


def test_a_process_tells_its_lines_and_how_it_ended(wait_until: Any, command: Any) -> None:
    told: list[Any] = []
    process = command(onLine=told.append, onFinished=told.append)
    assert process.running
    wait_until(lambda: 3 in told)
    assert told == ["grün 1 µm", "two", "three", 3]
    assert not process.running


def test_a_process_is_stopped_by_its_stop_file(wait_until: Any, command: Any) -> None:
    told: list[Any] = []
    process = command("wait", onLine=told.append, onFinished=told.append)
    wait_until(lambda: "two" in told)
    assert process.running
    process.stop()
    wait_until(lambda: not process.running)
    assert told[-1] == 3


def test_a_process_that_is_killed_or_cannot_start_ends_with_minus_one(
    wait_until: Any, command: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Any] = []
    process = command("wait", onLine=told.append, onFinished=told.append)
    wait_until(lambda: "two" in told)
    process.kill()
    wait_until(lambda: not process.running)
    assert told[-1] == -1

    told.clear()
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    process = command(onLine=told.append, onFinished=told.append)
    wait_until(lambda: not process.running)
    assert "cannot be started" in told[0] and told[1:] == [-1]


def test_a_process_finds_our_three_libraries(background: Any, wait_until: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "importing.py").write_text("import DRRSimulatorLib, XRayRegistrationLib, xray_training\nprint('found')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    told: list[Any] = []
    background.BackgroundProcess("importing", [], told.append, told.append).start()
    wait_until(lambda: bool(told) and isinstance(told[-1], int), 60)
    assert told == ["found", 0]


def test_our_command_takes_the_stop_file(background: Any, wait_until: Any) -> None:
    told: list[Any] = []
    background.BackgroundProcess("DRRSimulatorLib.cli", ["--help"], told.append, told.append).start()
    wait_until(lambda: bool(told) and isinstance(told[-1], int), 60)
    assert told[-1] == 0 and any("--stop-file" in line for line in told[:-1])
