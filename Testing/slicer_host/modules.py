"""The modules of the application: ``slicer.modules.<name>``, ``slicer.moduleNames`` and the module manager."""

from __future__ import annotations

import sys
import types
from typing import Any

import slicer
from PySide6 import QtCore

# The logic class of every module that slicer-core brings along, in the order in which Slicer loads them.
LOGIC_CLASSES = {
    "Colors": "vtkSlicerColorLogic",
    "Units": "vtkSlicerUnitsLogic",
    "Terminologies": "vtkSlicerTerminologiesModuleLogic",
    "SubjectHierarchy": "vtkSlicerSubjectHierarchyModuleLogic",
    "Cameras": "vtkSlicerCamerasModuleLogic",
    "Volumes": "vtkSlicerVolumesLogic",
    "Models": "vtkSlicerModelsLogic",
    "Transforms": "vtkSlicerTransformLogic",
    "Annotations": "vtkSlicerAnnotationModuleLogic",
    "Markups": "vtkSlicerMarkupsLogic",
    "Segmentations": "vtkSlicerSegmentationsModuleLogic",
    "Tables": "vtkSlicerTablesLogic",
    "Texts": "vtkSlicerTextsLogic",
    "Plots": "vtkSlicerPlotsLogic",
    "Sequences": "vtkSlicerSequencesLogic",
    "CropVolume": "vtkSlicerCropVolumeLogic",
    "VolumeRendering": "vtkSlicerVolumeRenderingLogic",
    "SceneViews": "vtkSlicerSceneViewsModuleLogic",
    "Data": "vtkSlicerDataModuleLogic",
    "Reformat": "vtkSlicerReformatLogic",
    "ViewControllers": "vtkSlicerViewControllersLogic",
}


class Module:
    """A module without a panel, as ``slicer.modules.<name>`` gives it.

    Args:
        name: The module's name, such as ``Volumes``.
        logic: Its logic; None if it has none.
    """

    def __init__(self, name: str, logic: Any = None) -> None:
        self.name = name
        self.title = name
        self.path = ""
        self.categories: list[str] = []
        self.dependencies: list[str] = []
        self.hidden = False
        self._logic = logic

    def logic(self) -> Any:
        return self._logic

    def widgetRepresentation(self) -> Any:
        return None

    def createNewWidgetRepresentation(self) -> Any:
        return None


class ModuleManager(QtCore.QObject):
    """qSlicerModuleManager, and its factory manager as well: all modules by name.

    A module needs at least ``name``, ``path``, ``logic()`` and ``widgetRepresentation()``.
    """

    moduleLoaded = QtCore.Signal(str)
    moduleAboutToBeUnloaded = QtCore.Signal(str)
    moduleUnloaded = QtCore.Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self._modules: dict[str, Any] = {}
        self._namespace = _new_namespace("modules")
        self._names = _new_namespace("moduleNames")

    def add(self, module: Any) -> None:
        """Makes a module known: by its name here, in lower case in ``slicer.modules``."""
        self._modules[module.name] = module
        setattr(self._namespace, module.name.lower(), module)
        setattr(self._names, module.name, module.name)
        self.moduleLoaded.emit(module.name)

    def remove(self, name: str) -> None:
        """Forgets a module and all that ``slicer.modules`` keeps of it, such as ``<name>Widget``."""
        self.moduleAboutToBeUnloaded.emit(name)
        del self._modules[name]
        for attribute in (name.lower(), f"{name}Instance", f"{name}Widget"):
            vars(self._namespace).pop(attribute, None)
        delattr(self._names, name)
        self.moduleUnloaded.emit(name)

    def module(self, name: str) -> Any:
        return self._modules.get(name)

    def modulesNames(self) -> tuple[str, ...]:
        return tuple(self._modules)

    def factoryManager(self) -> ModuleManager:
        return self

    def loadedModuleNames(self) -> tuple[str, ...]:
        return tuple(self._modules)

    def registeredModuleNames(self) -> tuple[str, ...]:
        return tuple(self._modules)

    def isLoaded(self, name: str) -> bool:
        return name in self._modules

    def isRegistered(self, name: str) -> bool:
        return name in self._modules


def make_logics(application_logic: Any, scene: Any) -> dict[str, Any]:
    """Makes the logic of every module in slicer-core; the caller keeps them, for the application logic holds them weakly."""
    logics = {}
    for name, class_name in LOGIC_CLASSES.items():
        logic = getattr(slicer, class_name)()
        logic.SetMRMLApplicationLogic(application_logic)
        logic.SetMRMLScene(scene)
        application_logic.SetModuleLogic(name, logic)
        logics[name] = logic
    return logics


def _new_namespace(name: str) -> types.ModuleType:
    namespace = types.ModuleType(f"slicer.{name}")
    setattr(slicer, name, namespace)
    sys.modules[namespace.__name__] = namespace
    return namespace
