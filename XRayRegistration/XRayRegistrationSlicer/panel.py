"""The panel as a whole."""

from __future__ import annotations

from typing import Any

import slicer
import vtk
from DRRSimulatorSlicer.dependencies import Dependencies
from DRRSimulatorSlicer.sectioned_panel import SectionedPanel

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


class Panel(SectionedPanel):
    """The sections in the order of the work."""

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
        self.sections = [
            SamplePanel(*common, register=self.register),
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
        self._inputs: list[Any] = []

    def setParameterNode(self, parameterNode: Any) -> None:
        """Show another parameter node; None while the scene closes."""
        self._inputs = []  # observed no more
        super().setParameterNode(parameterNode)

    def onParametersChanged(self, caller: Any, event: Any) -> None:
        """The user has chosen something, so how the last work ended is of no more interest."""
        self.register.forgetMessage()
        super().onParametersChanged(caller, event)

    def update(self) -> None:
        """Bring the panel up to date."""
        if self.parameterNode is not None:
            self._observeInputs()
        super().update()

    def problem(self) -> str:
        """What keeps the user from registering, in a sentence; empty if nothing does."""
        return next(filter(None, (section.problem() for section in self.sections)), "")

    def _observeInputs(self) -> None:
        """Follow changes of the nodes chosen, such as another frame of a sequence."""
        parameters = self.parameterNode
        chosen = [parameters.xray, parameters.secondXRay, parameters.ct, parameters.segmentation]
        inputs = list(dict.fromkeys(node for node in chosen if node is not None))
        if inputs == self._inputs:
            return
        for event in (vtk.vtkCommand.ModifiedEvent, slicer.vtkMRMLVolumeNode.ImageDataModifiedEvent):
            for node in self._inputs:
                self.removeObserver(node, event, self.updateSoon)
            for node in inputs:
                self.addObserver(node, event, self.updateSoon)
        self._inputs = inputs
