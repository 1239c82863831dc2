"""The lines below the sections: what is being done, how far it is, and how the last work ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from DRRSimulatorLib.errors import InputError
from DRRSimulatorLib.progress import Report
from slicer.i18n import tr as _

from .background import BackgroundTask, errorText
from .dependencies import Dependencies
from .section import Section

PROGRESS_STEPS = 1000


class WorkPanel(Section):
    """Runs one piece of work at a time in the background, with progress and Cancel."""

    def __init__(self, *args: Any, dependencies: Dependencies) -> None:
        """Connect the controls.

        Args:
            args: as for `Section`.
            dependencies: asked for the packages that simulations need.
        """
        super().__init__(*args)
        self.message = ""  # how the last work ended
        self._dependencies = dependencies
        self._task: BackgroundTask[Any] | None = None
        self.ui.taskProgressBar.maximum = PROGRESS_STEPS
        self.ui.cancelTaskButton.connect("clicked()", self._cancel)

    @property
    def problem(self) -> str:
        """Why no other work can be started now; empty if it can."""
        return _("Wait until the work that goes on is done, or cancel it.") if self._task is not None else ""

    @property
    def running(self) -> bool:
        """Whether work goes on."""
        return self._task is not None

    def run(
        self, prepare: Callable[[], Callable[[Report], Any]], onFinished: Callable[[Any], None], onFailed: Callable[[], None] | None = None
    ) -> None:
        """Compute something in the background.

        Args:
            prepare: collects the input and returns what computes the result, in a thread.
            onFinished: shows the result.
            onFailed: called where there is no result: the user cancelled, or it failed, which is told here.
        """

        startedWith = self.parameterNode

        def end(message: str) -> None:
            self._task = None
            self.ui.taskProgressBar.value = 0
            self.ui.cancelTaskButton.enabled = True
            self.tell(message if self.parameterNode is startedWith else "")  # of a scene that was closed there is nothing to tell

        def fail(message: str) -> None:
            end(message)
            if onFailed is not None:
                onFailed()

        def finish(result: Any) -> None:
            end("")
            try:
                onFinished(result)
            except InputError as error:
                fail(str(error))

        if not self.requirePackages():
            fail(self.message)
            return
        try:
            compute = prepare()
        except InputError as error:
            fail(str(error))
            return
        self._task = BackgroundTask(compute, self._onProgress, finish, lambda error: fail(errorText(error)), lambda: fail(_("Canceled.")))
        self._task.start()
        self.tell(_("Starting"))

    def requirePackages(self) -> bool:
        """Ask for the packages that simulations need; whether they are there, else it is told."""
        try:
            self._dependencies.ensure("simulation")
        except InputError as error:
            self.tell(str(error))
            return False
        return True

    def tell(self, message: str) -> None:
        """Tell the user something."""
        self.message = message
        self.changed()

    def forgetMessage(self) -> None:
        """What was told is over: the user has gone on."""
        if not self.running:
            self.message = ""

    def update(self) -> None:
        """Show the progress while work goes on."""
        for widget in (self.ui.taskProgressBar, self.ui.cancelTaskButton):
            widget.setVisible(self.running)

    def setParameterNode(self, parameterNode: Any) -> None:
        """Follow the scene."""
        super().setParameterNode(parameterNode)
        self.message = ""

    def cleanup(self) -> None:
        """Stop the work."""
        super().cleanup()
        if self._task is not None:
            self._task.cancel()

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self.ui.cancelTaskButton.enabled = False
            self.tell(_("Canceling..."))

    def _onProgress(self, fraction: float, text: str) -> None:
        self.ui.taskProgressBar.value = round(PROGRESS_STEPS * fraction)
        self.tell(text)
