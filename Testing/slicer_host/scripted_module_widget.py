"""The C++ side of a scripted module: what ``slicer.modules.<name>`` and its panel are."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import slicer
from PySide6 import QtWidgets

from slicer_host.mrml_widgets import qMRMLWidget
from slicer_host.properties import qt_property


class qSlicerScriptedLoadableModule:
    """A scripted module: its metadata, which its Python class fills in, and its panel, made when first asked for."""

    def __init__(self, path: Path) -> None:
        self.name = path.stem
        self.path = str(path)
        self.title = self.name
        self.categories: list[str] = []
        self.dependencies: list[str] = []
        self.contributors: list[str] = []
        self.helpText = ""
        self.acknowledgementText = ""
        self.hidden = False
        self.icon: Any = None
        self.widgetRepresentationCreationEnabled = True
        self._panel: qSlicerScriptedLoadableModuleWidget | None = None

    def logic(self) -> Any:
        return None

    def widgetRepresentation(self) -> Any:
        if self._panel is None:
            self._panel = self.createNewWidgetRepresentation()
        return self._panel

    def createNewWidgetRepresentation(self) -> Any:
        module = sys.modules[self.name]
        if not hasattr(module, f"{self.name}Widget"):
            return None
        panel = qSlicerScriptedLoadableModuleWidget()
        panel._open(self.name)
        return panel


class qSlicerScriptedLoadableModuleWidget(qMRMLWidget):
    """The panel of a scripted module: an empty column that the module's Python class fills."""

    _python: Any = None
    _moduleName = ""
    _entered = False

    isEntered = qt_property(bool, lambda self: self._entered)

    def self(self) -> Any:
        return self._python

    def enter(self) -> None:
        self._entered = True
        self._call("enter")

    def exit(self) -> None:
        self._entered = False
        self._call("exit")

    def reload(self) -> None:
        self._makePython()

    def _open(self, moduleName: str) -> None:
        self._moduleName = moduleName
        self.setLayout(QtWidgets.QVBoxLayout())
        self.setMRMLScene(slicer.mrmlScene)
        self._makePython()

    def _makePython(self) -> None:
        self._python = getattr(sys.modules[self._moduleName], f"{self._moduleName}Widget")(self)
        setattr(slicer.modules, f"{self._moduleName}Widget", self._python)
        self._call("setup")

    def _call(self, method: str) -> None:
        if hasattr(self._python, method):
            getattr(self._python, method)()


def load_scripted_module(path: Path) -> ModuleType:
    """Loads a module's file as Slicer does at start: its folder is put on ``sys.path``, its class and panel are made.

    Returns:
        The Python module.
    """
    name = path.stem
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    scripted = qSlicerScriptedLoadableModule(path)
    instance = getattr(module, name)(scripted)
    slicer.app.moduleManager().add(scripted)
    setattr(slicer.modules, f"{name}Instance", instance)
    return module


def open_module(name: str) -> Any:
    """Shows a loaded module's panel.

    Returns:
        The module's Python widget.
    """
    panel = slicer.util.getModule(name).widgetRepresentation()
    panel.enter()
    return panel.self()


def unload_scripted_module(name: str) -> None:
    """Closes a module's panel and forgets the module and its Python code, its packages included."""
    panel = slicer.util.getModule(name)._panel
    if panel is not None:
        if panel._entered:
            panel.exit()
        panel._call("cleanup")
        panel.deleteLater()
    slicer.app.moduleManager().remove(name)
    sys.modules.pop(name, None)
