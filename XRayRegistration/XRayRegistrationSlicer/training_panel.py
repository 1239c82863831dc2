"""Section "Model", the training of a new one in the background."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from DRRSimulatorLib.errors import InputError
from DRRSimulatorLib.progress import ProgressLine
from DRRSimulatorSlicer.dependencies import Dependencies
from slicer.i18n import tr as _

from .choices import ModelSource
from .section import Section, showAll

if TYPE_CHECKING:
    from .training import TrainingJob

SUFFIX = ".safetensors"


class TrainingPanel(Section):
    """Trains a model for the CT chosen, and chooses it when it is ready; the button becomes Stop meanwhile."""

    def __init__(self, *args: Any, dependencies: Dependencies) -> None:
        """Connect the controls.

        Args:
            args: as for `Section`.
            dependencies: asked for the packages that training needs.
        """
        super().__init__(*args)
        self._dependencies = dependencies
        self._job: TrainingJob | None = None
        self._message = ""
        self.ui.trainButton.connect("clicked()", self._onClicked)
        self.ui.trainingPathLineEdit.connect("currentPathChanged(QString)", lambda path: self.changed())

    @property
    def running(self) -> bool:
        """Whether a model is being trained."""
        return self._job is not None

    def update(self) -> None:
        """Offer to start or to stop."""
        ui = self.ui
        problem = self._problem()
        showAll(self.running, ui.trainingProgressBar)
        ui.trainButton.text = _("Stop training") if self.running else _("Train")
        ui.trainButton.enabled = self.running or not problem
        ui.trainButton.toolTip = (
            _("Stop; choose the same file again to go on later.")
            if self.running
            else problem or _("Train in the background. It takes about an hour without a graphics card; Slicer can be used meanwhile.")
        )
        ui.trainingLabel.text = self._message or problem

    def cleanup(self) -> None:
        """Stop the training; it can go on later."""
        super().cleanup()
        if self._job is not None:
            self._job.stop()
            self._job = None

    def _problem(self) -> str:
        """Why no training can be started."""
        if self.parameterNode.ct is None:
            return _("Choose the patient's CT.")
        if not self.ui.trainingPathLineEdit.currentPath:
            return _("Choose a file for the new model.")
        return ""

    def _onClicked(self) -> None:
        if self._job is not None:
            self._job.stop()
            self._tell(_("Stopping..."))
            return
        try:
            self._dependencies.ensure("registration")
            self._start()
        except InputError as error:
            self._tell(str(error))

    def _start(self) -> None:
        parameters = self.parameterNode
        path = Path(self.ui.trainingPathLineEdit.currentPath)
        self.ui.trainingProgressBar.value = 0
        self._job = self.logic.train(
            parameters.ct,
            path if path.suffix == SUFFIX else path.with_name(path.name + SUFFIX),
            parameters.segmentation,
            steps=self.ui.trainingStepsSpinBox.value or None,
            forceCPU=parameters.forceCPU,
            onProgress=self._onProgress,
            onFinished=self._onFinished,
            onFailed=self._end,
            onStopped=lambda: self._end(_("Stopped. Press Train to go on.")),
        )
        self._tell(_("Preparing the training"))

    def _onProgress(self, line: ProgressLine) -> None:
        if not self.running:
            return  # the panel is gone
        self.ui.trainingProgressBar.maximum = line.total
        self.ui.trainingProgressBar.value = line.done
        self._tell(str(line))

    def _onFinished(self, path: Path) -> None:
        self._end(_("The model is ready and chosen."))
        if self.parameterNode is not None:
            self.parameterNode.modelPath = str(path)
            self.parameterNode.modelSource = ModelSource.FILE

    def _end(self, message: str) -> None:
        if self.running:  # else the panel is gone
            self._job = None
            self._tell(message)

    def _tell(self, message: str) -> None:
        self._message = message
        self.changed()
