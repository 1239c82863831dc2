"""Section "Save and generate"."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import slicer
from DRRSimulatorLib.errors import InputError
from DRRSimulatorLib.progress import ProgressLine
from slicer.i18n import tr as _

from .carm import BEAM_ROLE, DETECTOR_ROLE, CArm
from .ct_panel import CTPanel
from .generate import Generation
from .parameters import cameraOf, viewOf
from .section import Section, allow
from .simulation import SimulatedXRay
from .work_panel import WorkPanel


class OutputPanel(Section):
    """Saves the view as a volume, and generates sets of views on disk."""

    def __init__(self, *args: Any, work: WorkPanel, ct: CTPanel) -> None:
        """Connect the controls.

        Args:
            args: as for `Section`.
            work: simulates the view.
            ct: tells whether there is a CT.
        """
        super().__init__(*args)
        self._work, self._ct = work, ct
        self._generation: Generation | None = None
        self.ui.saveButton.connect("clicked()", self.save)
        self.ui.folderSelector.connect("currentPathChanged(QString)", lambda _path: self.changed())
        self.ui.generateButton.connect("clicked()", self.generate)
        self.ui.cancelGenerateButton.connect("clicked()", self._cancel)

    @property
    def generating(self) -> bool:
        """Whether views are being generated."""
        return self._generation is not None

    def update(self) -> None:
        """Allow what is possible now."""
        ui = self.ui
        allow(ui.saveButton, self._ct.problem or self._work.problem)
        folder = "" if ui.folderSelector.currentPath else _("Choose the folder that the images go to.")
        allow(ui.generateButton, self._ct.problem or folder or (_("Views are being generated.") if self.generating else ""))
        for widget in (ui.generateProgressBar, ui.cancelGenerateButton):
            widget.setVisible(self.generating)

    def save(self) -> None:
        """Simulate the view in full size and add it to the scene."""
        parameters = self.parameterNode
        ctNode = parameters.ct

        def show(xray: SimulatedXRay) -> None:
            if ctNode.GetScene() is not None:
                drrNode = self.logic.show(xray, ctNode)
                hideParts(drrNode)
                self._work.tell(_("Saved as {name}.").format(name=drrNode.GetName()))

        self._work.run(
            lambda: self.logic.prepareSimulation(
                ctNode,
                cameraOf(parameters),
                viewOf(parameters),
                parameters.segmentation,
                parameters.polarity.value,
                parameters.noise,
                parameters.seed,
                parameters.tube.value,
            ),
            show,
        )

    def generate(self) -> None:
        """Generate random views in another process."""
        parameters = self.parameterNode
        folder = Path(self.ui.folderSelector.currentPath)
        question = _("{folder} already holds simulated X-rays. Replace those of the same names?").format(folder=folder)
        if any(folder.glob("view_*.json")) and not slicer.util.confirmOkCancelDisplay(question):
            return
        if not self._work.requirePackages():
            return
        try:
            self._generation = self.logic.generate(
                parameters.ct,
                folder,
                parameters.viewCount,
                cameraOf(parameters),
                parameters.segmentation,
                parameters.polarity.value,
                parameters.noise,
                parameters.seed,
                self._onProgress,
                lambda _exitCode, message: self._onFinished(message if self.parameterNode is parameters else ""),
                parameters.tube.value,
            )
        except InputError as error:
            self._work.tell(str(error))
            return
        self.ui.folderSelector.addCurrentPathToHistory()
        self.ui.generateProgressBar.setRange(0, 0)  # busy, until the first view is there
        self.ui.cancelGenerateButton.enabled = True
        self.changed()

    def setParameterNode(self, parameterNode: Any) -> None:
        """Follow the scene; a set that is being generated ends with its scene."""
        super().setParameterNode(parameterNode)
        if parameterNode is None:
            self._cancel()

    def cleanup(self) -> None:
        """Stop generating."""
        super().cleanup()
        self._cancel()

    def _cancel(self) -> None:
        if self._generation is not None:
            self._generation.stop()
            self.ui.cancelGenerateButton.enabled = False

    def _onProgress(self, progress: ProgressLine) -> None:
        bar = self.ui.generateProgressBar
        bar.setRange(0, progress.total)
        bar.value = progress.done
        bar.format = _("%v of %m, {remaining} left").format(remaining=progress.remaining) if progress.remaining else _("%v of %m")

    def _onFinished(self, message: str) -> None:
        self._generation = None
        self.ui.generateProgressBar.reset()
        self._work.tell(message)


def hideParts(drrNode: slicer.vtkMRMLScalarVolumeNode) -> None:
    """Hide the beam and the detector of a saved X-ray: those of the preview are seen already, and many would fill the 3D view."""
    carm = CArm.find(drrNode.GetParentTransformNode())
    for role in (BEAM_ROLE, DETECTOR_ROLE):
        carm.node(role).GetDisplayNode().SetVisibility(False)
