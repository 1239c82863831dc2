"""Loads the repository's scripted modules for a test, and forgets them afterwards."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import slicer

REPOSITORY = Path(__file__).resolve().parents[2]
MODULES = ("DRRSimulator", "XRayRegistration")


class ModuleLoader:
    """Call it with a module's name to load all modules, as Slicer does at start, and to open the panel of this one.

    Args:
        paths: The modules' files; by default those of the repository.
    """

    def __init__(self, paths: list[Path] | None = None) -> None:
        self._paths = paths if paths is not None else [REPOSITORY / name / f"{name}.py" for name in MODULES]
        self._loaded = False
        self._opened: list[Any] = []  # panels

    def __call__(self, name: str) -> Any:
        """Gives the module's Python widget, its panel entered."""
        self._load()
        panel = slicer.util.getModule(name).widgetRepresentation()
        panel.show()  # which nobody does in a Slicer without a main window
        panel.enter()
        self._opened.append(panel)
        return panel.self()

    def module(self, name: str) -> ModuleType:
        """Gives the Python module, which holds the logic and the parameter node's class."""
        self._load()
        return sys.modules[name]

    def unload(self) -> None:
        """Closes the panels and forgets the modules."""
        if not self._loaded:  # those of a real Slicer stay, for the next test to open again
            for panel in self._opened:
                panel.exit()
                panel.hide()
            return
        from slicer_host.module_panel import unload_scripted_module

        for path in reversed(self._paths):
            unload_scripted_module(path.stem)
        self._loaded = False

    def _load(self) -> None:
        if self._loaded or hasattr(slicer.modules, self._paths[0].stem.lower()):  # a real Slicer has loaded them at start
            return
        from slicer_host.module_panel import load_scripted_modules

        load_scripted_modules(self._paths)
        self._loaded = True
