"""What the sections of the panel have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from DRRSimulatorSlicer import section
from DRRSimulatorSlicer.background import BackgroundTask

Result = TypeVar("Result")


class Section(section.Section):
    """Controls of one step of the work, which may say what is still missing for a registration."""

    def problem(self) -> str:
        """What keeps the user from registering, in a sentence; empty if nothing does."""
        return ""


class Lookup:
    """Something small that is found out in the background; what is asked for later supersedes it."""

    def __init__(self) -> None:
        self._task: BackgroundTask[Any] | None = None

    def start(self, function: Callable[[], Result], onFinished: Callable[[Result], Any], onFailed: Callable[[Exception], Any]) -> None:
        """Run a function in another thread; callbacks come on the main thread, unless something else is asked for before."""
        self.stop()
        self._task = BackgroundTask(lambda report: function(), lambda fraction, text: None, onFinished, onFailed, lambda: None)
        self._task.start()

    def stop(self) -> None:
        """Forget what was asked for."""
        if self._task is not None:
            self._task.cancel()
            self._task = None


def showAll(visible: bool, *widgets: Any) -> None:
    """Show or hide widgets together."""
    for widget in widgets:
        widget.setVisible(visible)
