"""Loads the repository's scripted modules for a test, and forgets them afterwards."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from slicer_host.scripted_module_widget import load_scripted_module, open_module, unload_scripted_module

REPOSITORY = Path(__file__).resolve().parents[2]


class ModuleLoader:
    """Call it with a module's name to load every module of the repository, as Slicer does at start, and open that one's panel."""

    def __init__(self, folders: list[Path] | None = None) -> None:
        self._folders = folders if folders is not None else [REPOSITORY / "DRRSimulator", REPOSITORY / "XRayRegistration"]
        self._loaded: list[str] = []

    def __call__(self, name: str) -> Any:
        """Gives the module's Python widget, its panel entered."""
        self._load_all()
        return open_module(name)

    def module(self, name: str) -> ModuleType:
        """Gives the Python module, which holds the logic and the parameter node's class."""
        self._load_all()
        return sys.modules[name]

    def unload(self) -> None:
        """Closes the panels and forgets the modules."""
        for name in reversed(self._loaded):
            unload_scripted_module(name)
        self._loaded = []

    def _load_all(self) -> None:
        for folder in self._folders:
            path = folder / f"{folder.name}.py"
            if path.is_file() and folder.name not in self._loaded:
                self._loaded.append(folder.name)
                load_scripted_module(path)
