"""The C++ side of a scripted module: what ``slicer.modules.<name>`` and the module's panel are."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
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
        self.associatedNodeTypes: list[str] = []
        self.helpText = ""
        self.acknowledgementText = ""
        self.hidden = False
        self.index = -1
        self.icon: Any = None
        self._panel: qSlicerScriptedLoadableModuleWidget | None = None

    def logic(self) -> Any:
        return None

    def widgetRepresentation(self) -> Any:
        if self._panel is None:
            self._panel = self.createNewWidgetRepresentation()
        return self._panel

    def createNewWidgetRepresentation(self) -> Any:
        if not hasattr(sys.modules[self.name], f"{self.name}Widget"):
            return None
        panel = qSlicerScriptedLoadableModuleWidget()
        panel._moduleName = self.name
        panel.reload()
        panel.setMRMLScene(slicer.mrmlScene)  # after the module's setup, as in Slicer
        return panel


class qSlicerScriptedLoadableModuleWidget(qMRMLWidget):
    """The panel of a scripted module: an empty column that the module's Python class fills."""

    _moduleName = ""
    _python: Any = None
    _entered = False

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.setLayout(QtWidgets.QVBoxLayout())

    isEntered = qt_property(bool, lambda self: self._entered)

    def self(self) -> Any:
        return self._python

    def reload(self) -> None:
        """Makes a new Python widget from the module's code as it is now."""
        self._python = getattr(sys.modules[self._moduleName], f"{self._moduleName}Widget")(self)
        setattr(slicer.modules, f"{self._moduleName}Widget", self._python)
        self._python.setup()

    def enter(self) -> None:
        if not self._entered:
            self._entered = True
            getattr(self._python, "enter", lambda: None)()

    def exit(self) -> None:
        if self._entered:
            self._entered = False
            getattr(self._python, "exit", lambda: None)()


def load_scripted_modules(paths: list[Path]) -> None:
    """Loads modules' files as Slicer does at start: puts all their folders at the end of ``sys.path``, then runs one after the other."""
    for path in paths:
        if str(path.parent) not in sys.path:
            sys.path.append(str(path.parent))
    for path in paths:
        spec = importlib.util.spec_from_file_location(path.stem, path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[path.stem] = module
        spec.loader.exec_module(module)
        scripted = qSlicerScriptedLoadableModule(path)
        instance = getattr(module, path.stem)(scripted)
        slicer.app.moduleManager().add(scripted)
        setattr(slicer.modules, f"{path.stem}Instance", instance)


def unload_scripted_module(name: str) -> None:
    """Closes a module's panel and forgets the module."""
    panel = slicer.util.getModule(name)._panel
    if panel is not None:
        panel.exit()
    slicer.app.moduleManager().remove(name)  # the panel cleans up
    if panel is not None:
        panel.deleteLater()
    del sys.modules[name]
