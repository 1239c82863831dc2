"""QUiLoader for the .ui files of Slicer's modules, with the stand-ins of CTK's and Slicer's widgets.

It is stricter than Slicer, which overlooks much: a property, a signal, a slot or an object that does not exist raises.
"""

from __future__ import annotations

from typing import Any, NamedTuple
from xml.etree import ElementTree

import qt
from PySide6 import QtCore, QtUiTools, QtWidgets

from slicer_host import pythonqt, signals
from slicer_host.members import shown_members

CUSTOM_WIDGETS = ("ctk", "qMRML", "qSlicer")


class UiFileError(RuntimeError):
    """A .ui file asks for something that does not exist, in Slicer or in the test host."""


class UiConnection(NamedTuple):
    """A connection of a .ui file, by names and signatures."""

    sender: str
    signal: str
    receiver: str
    slot: str


class UiProperty(NamedTuple):
    """A property which Qt cannot set on a stand-in: a list of strings, or flags and enums as text."""

    widget: str
    name: str
    value: list[str] | str


class QUiLoader(QtUiTools.QUiLoader):
    """Loads .ui files; what Qt cannot do with the stand-ins is done here in Python."""

    widget_classes: dict[str, type] = {}  # noqa: RUF012 - `qt_modules.install` fills it
    _error: Exception | None = None

    def createWidget(self, className: str, parent: QtWidgets.QWidget | None = None, name: str = "") -> QtWidgets.QWidget:
        if not className.startswith(CUSTOM_WIDGETS):
            return super().createWidget(className, parent, name)
        try:
            widget = self.widget_classes[className](parent)
        except Exception as error:  # Qt calls this method and would lose the error
            self._error = error
            return super().createWidget("QWidget", parent, name)
        widget.objectName = name
        return widget

    def load(self, file: QtCore.QIODevice, parent: QtWidgets.QWidget | None = None) -> QtWidgets.QWidget:
        root = ElementTree.fromstring(bytes(file.readAll().data()))
        self._check_widgets(root)
        elements = [element for element in root.iter("widget") if element.get("name")]
        properties = {element.get("name", ""): _checked_properties(element) for element in elements}
        connections, special = _take_connections(root), _take_special_properties(elements)
        top = self._load_rest(root, parent)
        named = {child.objectName: child for child in [top, *top.findChildren(QtCore.QObject)]}
        for widget, names in properties.items():
            _check_properties(named[widget], names)
        for widget, name, value in special:
            setattr(named[widget], name, value if isinstance(value, list) else _enum_value(named[widget], value))
        for connection in connections:
            _connect(named, connection)
        return top

    def _check_widgets(self, root: ElementTree.Element) -> None:
        for element in root.iter("widget"):
            class_name = element.get("class", "")
            if class_name.startswith(CUSTOM_WIDGETS) and class_name not in self.widget_classes:
                raise UiFileError(f"the test host has no {class_name}, which the .ui file uses for '{element.get('name')}'")

    def _load_rest(self, root: ElementTree.Element, parent: QtWidgets.QWidget | None) -> QtWidgets.QWidget:
        custom = root.find("customwidgets")
        if custom is not None:
            root.remove(custom)
        buffer = QtCore.QBuffer()
        buffer.setData(ElementTree.tostring(root))
        buffer.open(QtCore.QIODevice.OpenModeFlag.ReadOnly)
        self._error = None
        with pythonqt.new_attributes_ignored():
            top = super().load(buffer, parent)
        if self._error is not None:
            raise self._error
        if top is None:
            raise UiFileError(f"Could not load the UI file: {self.errorString()}")
        return top


def _checked_properties(element: ElementTree.Element) -> list[str]:
    """The properties that a widget must have; others the .ui file marks as its own, such as SlicerParameterName."""
    return [child.get("name", "") for child in element.findall("property") if child.get("stdset") != "0"]


def _check_properties(widget: QtWidgets.QWidget, names: list[str]) -> None:
    class_name = type(widget).__name__
    shown = shown_members(class_name, is_widget=True) or frozenset()
    for name in names:
        if name not in shown and widget.metaObject().indexOfProperty(name) < 0:
            raise UiFileError(f"{class_name} '{widget.objectName}' has no property '{name}', which the .ui file sets")


def _take_connections(root: ElementTree.Element) -> list[UiConnection]:
    element = root.find("connections")
    if element is None:
        return []
    root.remove(element)
    return [UiConnection(*(child.findtext(key, "") for key in UiConnection._fields)) for child in element]


def _take_special_properties(widgets: list[ElementTree.Element]) -> list[UiProperty]:
    taken = []
    for widget in widgets:
        stand_in = QUiLoader.widget_classes.get(widget.get("class", ""))
        for element in widget.findall("property"):
            name = element.get("name", "")
            if not isinstance(getattr(stand_in, name, None), QtCore.Property):
                continue
            strings = element.find("stringlist")
            flags = element.findtext("set") or element.findtext("enum")
            if strings is not None:
                taken.append(UiProperty(widget.get("name", ""), name, [item.text or "" for item in strings]))
            elif flags is not None:
                taken.append(UiProperty(widget.get("name", ""), name, flags))
            else:
                continue
            widget.remove(element)
    return taken


def _enum_value(widget: QtWidgets.QWidget, flags: str) -> int:
    value = 0
    for flag in flags.split("|"):
        scope, _, name = flag.rpartition("::")
        owners = (type(widget), getattr(qt, scope.partition("::")[0], None))
        found = next((getattr(owner, name) for owner in owners if hasattr(owner, name)), None)
        if found is None:
            raise UiFileError(f"'{flag}', which the .ui file gives '{widget.objectName}', does not exist")
        value |= int(found)
    return value


def _connect(named: dict[str, Any], connection: UiConnection) -> None:
    for name in (connection.sender, connection.receiver):
        if name not in named:
            raise UiFileError(f"a connection of the .ui file names an object that does not exist: {name}")
    signals.connect(named[connection.sender], connection.signal, named[connection.receiver], connection.slot)
