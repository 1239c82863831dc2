"""Slicer's Python modules for scripted modules: the installed Slicer's own, or equivalents."""

from __future__ import annotations

import importlib
import os
import sys

import slicer

from slicer_host.module_panel import qSlicerScriptedLoadableModule

# Slicer's name of each module, and the equivalent here. Packages are never installed, whatever Slicer's own module would do.
EQUIVALENTS = {
    "i18n": "i18n",
    "parameterNodeWrapper": "parameter_node",
    "ScriptedLoadableModule": "scripted_module",
}
ALWAYS_EQUIVALENT = {"packaging": "slicer_packaging"}


def install() -> None:
    """Makes ``slicer.ScriptedLoadableModule`` and its like importable.

    With ``SLICER_PYTHON_DIR`` set to the folder ``slicer`` of an installed Slicer's Python code, its own are used.
    """
    slicer.qSlicerScriptedLoadableModule = qSlicerScriptedLoadableModule
    equivalents = dict(ALWAYS_EQUIVALENT)
    real = os.environ.get("SLICER_PYTHON_DIR")
    if real:
        slicer.__path__.append(real)
    else:
        equivalents |= EQUIVALENTS
    for name, equivalent in equivalents.items():
        module = importlib.import_module(f"slicer_host.{equivalent}")
        sys.modules[f"slicer.{name}"] = module
        setattr(slicer, name, module)
