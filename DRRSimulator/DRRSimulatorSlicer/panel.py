"""The panel as a whole: its sections, and when they are brought up to date."""

from __future__ import annotations

from typing import Any

import qt
import slicer
import vtk
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

from .carm_panel import CArmPanel
from .ct_panel import CTPanel
from .dependencies import Dependencies
from .output_panel import OutputPanel
from .parameters import viewOf
from .simulation import describeView
from .view_panel import ViewPanel
from .work_panel import WorkPanel


class Panel(VTKObservationMixin):
    """Keeps all sections showing what the parameter node and the scene say.

    Many changes at once, as when a scene is opened, lead to one update.
    """

    def __init__(self, ui: Any, logic: Any, dependencies: Dependencies) -> None:
        """Make the sections.

        Args:
            ui: the widgets of the panel, by their names.
            logic: of the module.
            dependencies: asked for Python packages when they are needed.
        """
        super().__init__()
        common = ui, logic, self.updateSoon
        self._ui = ui
        self.work = WorkPanel(*common, dependencies=dependencies)
        self.ct = CTPanel(*common, work=self.work)
        self.carm = CArmPanel(*common, work=self.work)
        self.view = ViewPanel(*common, work=self.work, ct=self.ct)
        self.output = OutputPanel(*common, work=self.work, ct=self.ct)
        self._sections = [self.work, self.ct, self.carm, self.view, self.output]
        self._parameterNode: Any = None
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(0)
        self._timer.connect("timeout()", self.update)

    def setParameterNode(self, parameterNode: Any) -> None:
        """Show another parameter node; None while the scene closes."""
        self.removeObservers()
        self._parameterNode = parameterNode
        for section in self._sections:
            section.setParameterNode(parameterNode)
        if parameterNode is not None:
            self.addObserver(parameterNode.parameterNode, vtk.vtkCommand.ModifiedEvent, self._onParametersChanged)
            self.addObserver(slicer.mrmlScene, slicer.vtkMRMLScene.NodeRemovedEvent, self.updateSoon)
            self.update()

    def _onParametersChanged(self, caller: Any, event: Any) -> None:
        self.work.forgetMessage()
        self.updateSoon()

    def updateSoon(self, caller: Any = None, event: Any = None) -> None:
        """Bring the panel up to date when the changes that are being made are done."""
        self._timer.start()

    def update(self) -> None:
        """Bring the panel up to date."""
        if self._parameterNode is None:
            return
        for section in self._sections:
            section.update()
        self._ui.statusLabel.text = self.work.message or self._hint()

    def cleanup(self) -> None:
        """Stop observing and working: the panel is about to be destroyed."""
        self.removeObservers()
        self._timer.stop()
        for section in self._sections:
            section.cleanup()

    def _hint(self) -> str:
        """What to do next, or what is seen."""
        if self.ct.problem or self.view.problem:
            return self.ct.problem or self.view.problem
        if not self.view.preview.running:
            return _("Press Live preview to see the simulated X-ray.")
        return _("Live preview: {view}.").format(view=describeView(viewOf(self._parameterNode)))
