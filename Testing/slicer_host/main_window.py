"""The main window: it brings the views, and lets the user go from module to module."""

from __future__ import annotations

from typing import Any

import slicer
from PySide6 import QtCore, QtWidgets

from slicer_host import layout
from slicer_host.properties import qt_property
from slicer_host.stand_in import StandIn


class qSlicerMainWindow(StandIn, QtWidgets.QMainWindow):
    """The main window; it is never shown, `pictures.grab_application` draws what it would show."""

    def __init__(self) -> None:
        super().__init__()
        self.objectName = "qSlicerMainWindow"
        self._selector = qSlicerModuleSelectorToolBar()

    def moduleSelector(self) -> qSlicerModuleSelectorToolBar:
        return self._selector


class qSlicerModuleSelectorToolBar(StandIn, QtWidgets.QToolBar):
    """The list of modules: leaves the panel of one module and enters that of the next."""

    moduleSelected = QtCore.Signal(str)
    _selected = ""

    selectedModule = qt_property(str, lambda self: self._selected)

    def selectModule(self, name: str) -> None:
        """Goes to a module; like Slicer, stays where it is if there is none of that name."""
        module = slicer.app.moduleManager().module(name)
        if module is None or name == self._selected:
            return
        if panel := _panel(self._selected):
            panel.exit()
        self._selected = name
        if panel := _panel(name):
            panel.enter()
        self.moduleSelected.emit(name)


def _panel(name: str) -> Any:
    module = slicer.app.moduleManager().module(name)
    return module.widgetRepresentation() if module else None


def open_main_window(application: Any, width: int, height: int) -> layout.qSlicerLayoutManager:
    """Gives the application its main window and views.

    Args:
        application: The application.
        width: Of the area of all views, in pixels.
        height: Likewise.

    Returns:
        The layout manager, ``slicer.app.layoutManager()`` from now on.
    """
    application._main_window = qSlicerMainWindow()
    application._layout_manager = layout.qSlicerLayoutManager(application, width, height)
    application.commandOptions().noMainWindow = False
    return application.layoutManager()


def close_main_window(application: Any) -> None:
    """Takes the main window and the views away again, with their nodes."""
    manager, application._layout_manager = application._layout_manager, None
    layout.close(manager)
    application._main_window.deleteLater()
    application._main_window = None
    application.commandOptions().noMainWindow = True
    QtCore.QCoreApplication.sendPostedEvents(None, QtCore.QEvent.Type.DeferredDelete)
