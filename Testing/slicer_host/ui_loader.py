"""QUiLoader for the .ui files of Slicer's modules, with the stand-ins of CTK's and Slicer's widgets."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from typing import Any, NamedTuple

from PySide6 import QtCore, QtUiTools, QtWidgets

from slicer_host import pythonqt, signals


class UnknownWidget(RuntimeError):
    """A .ui file uses a widget for which the host has no stand-in."""


class UiConnection(NamedTuple):
    """A connection of a .ui file, by names and signatures."""

    sender: str
    signal: str
    receiver: str
    slot: str


class QUiLoader(QtUiTools.QUiLoader):
    """Loads .ui files; what Qt cannot do with the stand-ins is done here in Python: connections and lists of strings."""

    widget_classes: dict[str, type] = {}  # noqa: RUF012 - filled by `qt_modules.install`

    def createWidget(self, className: str, parent: QtWidgets.QWidget | None = None, name: str = "") -> QtWidgets.QWidget:
        if className in self.widget_classes:
            widget = self.widget_classes[className](parent)
            widget.objectName = name
            return widget
        if className.startswith(("ctk", "qMRML", "qSlicer")):
            raise UnknownWidget(f"the test host has no {className}, which the .ui file uses for '{name}'")
        return super().createWidget(className, parent, name)

    def load(self, file: QtCore.QIODevice, parent: QtWidgets.QWidget | None = None) -> QtWidgets.QWidget:
        root = ElementTree.fromstring(bytes(file.readAll().data()))
        connections = _take_connections(root)
        values = _take_special_properties(root)
        custom = root.find("customwidgets")
        if custom is not None:
            root.remove(custom)
        buffer = QtCore.QBuffer()
        buffer.setData(ElementTree.tostring(root))
        buffer.open(QtCore.QIODevice.OpenModeFlag.ReadOnly)
        with pythonqt.new_attributes_ignored():
            top = super().load(buffer, parent)
        if top is None:
            raise RuntimeError(f"Could not load the UI file: {self.errorString()}")
        named = {child.objectName: child for child in [top, *top.findChildren(QtCore.QObject)]}
        for widget, name, value in values:
            setattr(named[widget], name, _enum_value(named[widget], value) if isinstance(value, str) else value)
        for connection in connections:
            _connect(named, connection)
        return top


def _take_connections(root: ElementTree.Element) -> list[UiConnection]:
    element = root.find("connections")
    if element is None:
        return []
    root.remove(element)
    return [UiConnection(*(child.findtext(key, "") for key in UiConnection._fields)) for child in element]


def _take_special_properties(root: ElementTree.Element) -> list[tuple[str, str, Any]]:
    """Lists of strings and sets of flags of custom widgets, which Qt does not set on properties made in Python."""
    taken = []
    for widget in root.iter("widget"):
        if not widget.get("class", "").startswith(("ctk", "qMRML", "qSlicer")):
            continue
        for element in widget.findall("property"):
            strings, flags = element.find("stringlist"), element.findtext("set")
            if strings is not None:
                taken.append((widget.get("name"), element.get("name"), [item.text or "" for item in strings]))
            elif flags is not None:
                taken.append((widget.get("name"), element.get("name"), flags))
            else:
                continue
            widget.remove(element)
    return taken


def _enum_value(widget: QtWidgets.QWidget, flags: str) -> int:
    value = 0
    for flag in flags.split("|"):
        value |= getattr(type(widget), flag.rpartition("::")[2])
    return value


def _connect(named: dict[str, Any], connection: UiConnection) -> None:
    for name in (connection.sender, connection.receiver):
        if name not in named:
            raise RuntimeError(f"a connection of the .ui file names an object that does not exist: {name}")
    signals.connect(named[connection.sender], connection.signal, named[connection.receiver], connection.slot)
