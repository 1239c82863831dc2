"""The modules ``qt`` and ``ctk`` and the widgets of the module ``slicer``, as Slicer's Python has them."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
import types

import slicer

from slicer_host import dialogs, pythonqt

STAND_INS = (
    *("ctk_sliders", "ctk_ranges", "ctk_containers", "ctk_buttons", "ctk_paths"),
    *("mrml_widgets", "node_combo_box", "checkable_node_combo_box", "segment_widgets", "table_view", "module_panel"),
)


def install() -> None:
    """Makes ``import qt, ctk``, ``slicer.qMRML...`` and Slicer's Python modules for scripted modules work in this process."""
    if "qt" in sys.modules:
        return
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    pythonqt.install()
    dialogs.install()
    qt, ctk = types.ModuleType("qt"), types.ModuleType("ctk")
    for module in pythonqt.QT_MODULES:
        for name in dir(module):
            if name.startswith("Q"):
                setattr(qt, name, getattr(module, name))
    sys.modules["qt"], sys.modules["ctk"] = qt, ctk
    _make_stand_ins(qt, ctk)
    importlib.import_module("slicer_host.slicer_modules").install()


def _make_stand_ins(qt: types.ModuleType, ctk: types.ModuleType) -> None:
    """Imports the stand-ins, which need the module ``qt`` themselves, and puts each where Slicer has it."""
    from slicer_host.stand_in import StandIn
    from slicer_host.ui_loader import QUiLoader

    qt.QUiLoader = QUiLoader
    for module_name in STAND_INS:
        for name, value in vars(importlib.import_module(f"slicer_host.{module_name}")).items():
            if inspect.isclass(value) and issubclass(value, StandIn) and name.startswith(("ctk", "qMRML", "qSlicer")):
                setattr(ctk if name.startswith("ctk") else slicer, name, value)
                QUiLoader.widget_classes[name] = value
