"""The button Register, and what is told below it: why it is disabled, what is being done, and what went wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from DRRSimulatorLib.errors import InputError
from DRRSimulatorLib.progress import Report
from DRRSimulatorSlicer.background import BackgroundTask, errorText
from DRRSimulatorSlicer.dependencies import Dependencies
from slicer.i18n import tr as _

from .model_panel import selectedModel
from .section import Section
from .xray_panel import selectedXRays

PROGRESS_STEPS = 1000


class RegisterPanel(Section):
    """Runs registrations in the background; the button becomes Cancel meanwhile."""

    def __init__(self, *args: Any, problem: Callable[[], str], dependencies: Dependencies) -> None:
        """Connect the controls.

        Args:
            args: as for `Section`.
            problem: what keeps the user from registering, of all sections.
            dependencies: asked for the packages that registering needs.
        """
        super().__init__(*args)
        self._findProblem = problem
        self._dependencies = dependencies
        self._task: BackgroundTask[Any] | None = None
        self._message = ""  # how the last run ended
        self.ui.registerButton.connect("clicked()", self._onClicked)
        self._showIdle("")

    @property
    def running(self) -> bool:
        """Whether a registration or a refinement goes on."""
        return self._task is not None

    def update(self) -> None:
        """Allow to register, or tell what is missing."""
        if not self.running:
            self._showIdle(self._findProblem())

    def setParameterNode(self, parameterNode: Any) -> None:
        """Show another scene."""
        super().setParameterNode(parameterNode)
        self._message = ""

    def forgetMessage(self) -> None:
        """Tell no more how the last work ended."""
        self._message = ""

    def tell(self, message: str) -> None:
        """Tell the user something."""
        self._message = message
        self.changed()

    def register(self) -> None:
        """Register the X-rays chosen."""
        chosen = self.parameterNode
        self.run(
            lambda: self.logic.prepare(
                selectedXRays(chosen),
                chosen.ct,
                selectedModel(chosen),
                chosen.segmentation,
                chosen.brightness.polarity,
                chosen.refine,
                chosen.forceCPU,
                chosen.modelSource.start,
            ),
            _("Registered."),
        )

    def run(self, prepare: Callable[[], Callable[[Report], Any]], success: str) -> None:
        """Compute an outcome in the background and show it.

        Args:
            prepare: collects the input and returns what computes the outcome.
            success: told when it is shown.
        """
        try:
            self._dependencies.ensure("registration")
            compute = prepare()
        except InputError as error:
            self._end(str(error))
            return

        def show(outcome: Any) -> None:
            try:
                self.logic.show(outcome, inViews=True)
            except InputError as error:
                self._end(str(error))
            else:
                self._end(success)

        self._task = BackgroundTask(compute, self._onProgress, show, lambda error: self._end(errorText(error)), self._onCancelled)
        self._task.start()
        self._onProgress(0.0, _("Starting"))
        self.ui.registerButton.text = _("Cancel")
        self.ui.registerButton.toolTip = _("Stop the work; results that were there before stay.")
        self.ui.registerButton.enabled = True
        self.ui.progressBar.setVisible(True)
        self.changed()

    def cleanup(self) -> None:
        """Stop the work."""
        super().cleanup()
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def _onClicked(self) -> None:
        if not self.running:
            self.register()
            return
        self._task.cancel()
        self.ui.registerButton.enabled = False
        self.ui.statusLabel.text = _("Canceling...")

    def _onProgress(self, fraction: float, text: str) -> None:
        self.ui.progressBar.value = round(PROGRESS_STEPS * fraction)
        self.ui.statusLabel.text = text

    def _onCancelled(self) -> None:
        if self.running:  # else the panel is gone
            self._end(_("Canceled."))

    def _end(self, message: str) -> None:
        self._task = None
        self.tell(message)

    def _showIdle(self, problem: str) -> None:
        ui = self.ui
        ui.progressBar.setVisible(False)
        ui.registerButton.text = _("Register")
        ui.registerButton.enabled = not problem
        ui.registerButton.toolTip = problem or _("Find the pose of the CT in the X-ray.")
        ui.statusLabel.text = "\n".join(filter(None, [self._message, problem]))
