"""The panel as a whole: its sections, and when they are brought up to date."""

from __future__ import annotations

from typing import Any

import qt
import slicer
import vtk
from DRRSimulatorSlicer.dependencies import Dependencies
from slicer.util import VTKObservationMixin

from .adjust_panel import AdjustPanel
from .compare_panel import ComparePanel
from .ct_panel import CTPanel
from .export_panel import ExportPanel
from .geometry_panel import GeometryPanel
from .model_panel import ModelPanel
from .register_panel import RegisterPanel
from .result_panel import ResultPanel
from .sample_panel import SamplePanel
from .training_panel import TrainingPanel
from .xray_panel import XRayPanel


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
        self.register = RegisterPanel(*common, problem=self.problem, dependencies=dependencies)
        self._sections = [
            SamplePanel(*common),
            XRayPanel(*common),
            GeometryPanel(*common),
            CTPanel(*common),
            ModelPanel(*common),
            TrainingPanel(*common, dependencies=dependencies),
            self.register,
            ResultPanel(*common),
            AdjustPanel(*common, register=self.register, dependencies=dependencies),
            ComparePanel(*common),
            ExportPanel(*common),
        ]
        self._parameterNode: Any = None
        self._inputs: list[Any] = []
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(0)
        self._timer.connect("timeout()", self.update)

    def setParameterNode(self, parameterNode: Any) -> None:
        """Show another parameter node; None while the scene closes."""
        self.removeObservers()
        self._inputs = []
        self._parameterNode = parameterNode
        for section in self._sections:
            section.setParameterNode(parameterNode)
        if parameterNode is not None:
            self.addObserver(parameterNode.parameterNode, vtk.vtkCommand.ModifiedEvent, self.updateSoon)
            self.addObserver(slicer.mrmlScene, slicer.vtkMRMLScene.NodeRemovedEvent, self.updateSoon)

    def updateSoon(self, caller: Any = None, event: Any = None) -> None:
        """Bring the panel up to date when the changes that are being made are done."""
        self._timer.start()

    def update(self) -> None:
        """Bring the panel up to date."""
        if self._parameterNode is None:
            return
        self._observeInputs()
        for section in self._sections:
            section.update()

    def problem(self) -> str:
        """What keeps the user from registering, in a sentence; empty if nothing does."""
        return next(filter(None, (section.problem() for section in self._sections)), "")

    def cleanup(self) -> None:
        """Stop observing and working: the panel is about to be destroyed."""
        self.removeObservers()
        self._timer.stop()
        for section in self._sections:
            section.cleanup()

    def _observeInputs(self) -> None:
        """Follow changes of the nodes chosen, such as another frame of a sequence."""
        parameters = self._parameterNode
        chosen = [parameters.xray, parameters.secondXRay, parameters.ct, parameters.segmentation]
        inputs = list(dict.fromkeys(node for node in chosen if node is not None))
        if inputs == self._inputs:
            return
        events = vtk.vtkCommand.ModifiedEvent, slicer.vtkMRMLVolumeNode.ImageDataModifiedEvent
        for event in events:
            for node in self._inputs:
                self.removeObserver(node, event, self.updateSoon)
            for node in inputs:
                self.addObserver(node, event, self.updateSoon)
        self._inputs = inputs
