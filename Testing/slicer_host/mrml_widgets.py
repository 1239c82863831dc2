"""Stand-ins of Slicer's widgets that know the scene, and of the containers of a module's panel."""

from __future__ import annotations

from typing import Any, ClassVar

from PySide6 import QtCore, QtWidgets

from slicer_host.ctk_containers import ctkCollapsibleButton
from slicer_host.ctk_ranges import ctkRangeWidget
from slicer_host.ctk_sliders import ctkDoubleSpinBox, ctkSliderWidget
from slicer_host.properties import stored_property
from slicer_host.stand_in import StandIn, parent_of


class KnowsScene(StandIn):
    """Mixed into the stand-ins that hold the scene."""

    _scene: Any = None

    def setMRMLScene(self, scene: Any) -> None:
        self._scene = scene

    def mrmlScene(self) -> Any:
        return self._scene


class qMRMLWidget(KnowsScene, QtWidgets.QWidget):
    """A widget that passes the scene on to its children, by the connections in the .ui file."""

    mrmlSceneChanged = QtCore.Signal(object)
    cpp_signals: ClassVar = {"mrmlSceneChanged(vtkMRMLScene*)": None}

    def __init__(self, *arguments: Any) -> None:
        super().__init__(parent_of(arguments))

    def setMRMLScene(self, scene: Any) -> None:
        if scene is not self._scene:
            super().setMRMLScene(scene)
            self.mrmlSceneChanged.emit(scene)


class qSlicerWidget(qMRMLWidget):
    pass


class qMRMLCollapsibleButton(KnowsScene, ctkCollapsibleButton):
    pass


class qMRMLSliderWidget(KnowsScene, ctkSliderWidget):
    quantity = stored_property(str, "quantity", "")
    unitAwareProperties = stored_property(int, "unitAwareProperties", 0)


class qMRMLSpinBox(KnowsScene, ctkDoubleSpinBox):
    quantity = stored_property(str, "quantity", "")
    unitAwareProperties = stored_property(int, "unitAwareProperties", 0)


class qMRMLRangeWidget(KnowsScene, ctkRangeWidget):
    quantity = stored_property(str, "quantity", "")
