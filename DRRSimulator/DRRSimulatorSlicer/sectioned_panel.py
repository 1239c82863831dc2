"""A module's panel as a whole: its sections, and when they are brought up to date."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import qt
import slicer
import vtk
from slicer.util import VTKObservationMixin

from .section import Section


class SectionedPanel(VTKObservationMixin):
    """Keeps all sections showing what the parameter node and the scene say.

    Many changes at once, as when a scene is opened, lead to one update.
    """

    sections: Sequence[Section] = ()

    def __init__(self) -> None:
        super().__init__()
        self.parameterNode: Any = None
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(0)
        self._timer.connect("timeout()", self.update)

    def setParameterNode(self, parameterNode: Any) -> None:
        """Show another parameter node; None while the scene closes."""
        self.removeObservers()
        self.parameterNode = parameterNode
        for section in self.sections:
            section.setParameterNode(parameterNode)
        if parameterNode is not None:
            self.addObserver(parameterNode.parameterNode, vtk.vtkCommand.ModifiedEvent, self.onParametersChanged)
            self.addObserver(slicer.mrmlScene, slicer.vtkMRMLScene.NodeRemovedEvent, self.updateSoon)
            self.update()

    def onParametersChanged(self, caller: Any, event: Any) -> None:
        """The user has changed something."""
        self.updateSoon()

    def updateSoon(self, caller: Any = None, event: Any = None) -> None:
        """Bring the panel up to date when the changes that are being made are done."""
        self._timer.start()

    def update(self) -> None:
        """Bring the panel up to date."""
        if self.parameterNode is not None:
            for section in self.sections:
                section.update()

    def cleanup(self) -> None:
        """Stop observing and working: the panel is about to be destroyed."""
        self.removeObservers()
        self._timer.stop()
        for section in self.sections:
            section.cleanup()
