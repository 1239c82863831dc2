"""PySide6's classes made to behave as PythonQt's do in Slicer, for the whole process.

Properties are attributes, ``connect`` takes signatures, enums are ints, an attribute that Slicer's Python does not see raises.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterator
from typing import Any

import shiboken6
from PySide6 import QtCore, QtGui, QtNetwork, QtWidgets

from slicer_host import members, properties, signals

QT_MODULES = (QtCore, QtGui, QtWidgets, QtNetwork)

_getattribute = QtCore.QObject.__getattribute__
_new_attributes_ignored = False


@contextlib.contextmanager
def new_attributes_ignored() -> Iterator[None]:
    """While a .ui file is loaded: PySide6 makes the children attributes of the top widget, PythonQt does not."""
    global _new_attributes_ignored
    _new_attributes_ignored = True
    try:
        yield
    finally:
        _new_attributes_ignored = False


def install() -> None:
    """Changes PySide6's classes; to be called once."""
    classes = sorted(_qobject_classes(), key=lambda owner: len(owner.__mro__))
    for owner in classes:
        properties.add_to(owner)
    QtCore.QObject.__getattribute__ = _get
    QtCore.QObject.__getattr__ = _get_dynamic_property
    QtCore.QObject.name = property(lambda self: self.objectName, lambda self, value: setattr(self, "objectName", value))
    QtCore.QObject.className = lambda self: self.metaObject().className()
    QtCore.QObject.delete = shiboken6.delete
    for owner in classes:
        for base in owner.__mro__[:-1]:
            base.__setattr__ = _set
        if hasattr(owner, "exec"):
            owner.exec_ = owner.exec


def _qobject_classes() -> set[type]:
    found = set()
    for module in QT_MODULES:
        for name in dir(module):  # not vars(): PySide6 makes a class when it is first asked for
            candidate = getattr(module, name)
            if isinstance(candidate, type) and issubclass(candidate, QtCore.QObject) and candidate.__module__.startswith("PySide6"):
                found.add(candidate)
    return found


def _get(self: QtCore.QObject, name: str) -> Any:
    if name.startswith("_"):
        return _getattribute(self, name)
    if not _is_shown(self, name):
        raise AttributeError(f"Slicer's Python does not see '{name}' on {type(self).__name__}")
    if name in ("connect", "disconnect"):
        return _connector(self, name)
    value = _getattribute(self, name)
    if isinstance(value, QtCore.SignalInstance):
        return signals.BoundSignal(self, value, name)
    if name in properties.VIRTUAL:
        return value()
    return value


def _get_dynamic_property(self: QtCore.QObject, name: str) -> Any:
    if not name.startswith("_") and name in _dynamic_properties(self):
        return self.property(name)
    raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")


def _set(self: Any, name: str, value: Any) -> None:
    owner = type(self)
    if name.startswith("_") or isinstance(value, QtCore.SignalInstance):  # PySide6 keeps a signal it has bound on the object
        object.__setattr__(self, name, value)
        return
    attribute = inspect.getattr_static(owner, name, None)
    if isinstance(attribute, QtCore.Property):
        if attribute.fset is None:
            raise AttributeError(f"Property '{name}' of {owner.__name__} object is not writable")
        attribute.fset(self, value)
    elif (attribute is not None and hasattr(attribute, "__set__")) or _cpp_class(owner) is not owner:
        object.__setattr__(self, name, value)
    elif isinstance(self, QtCore.QObject) and name in _dynamic_properties(self):
        self.setProperty(name, value)
    elif attribute is not None:
        raise AttributeError(f"'{name}' of {owner.__name__} can not be overwritten")
    elif not _new_attributes_ignored:
        raise AttributeError(f"'{name}' does not exist on {owner.__name__} and creating new attributes on C++ objects is not allowed")


def _is_shown(self: QtCore.QObject, name: str) -> bool:
    owner = type(self)
    cpp_class = _cpp_class(owner)
    shown = members.shown_members(cpp_class.__name__, issubclass(cpp_class, QtWidgets.QWidget))
    if shown is None or name in shown:
        return True
    return cpp_class is not owner and (name in self.__dict__ or (hasattr(owner, name) and not hasattr(cpp_class, name)))


def _cpp_class(owner: type) -> type:
    """The nearest class that is a C++ class in Slicer: PySide6's own or a stand-in."""
    return next(base for base in owner.__mro__ if base.__module__.startswith("PySide6") or "cpp_class" in base.__dict__)


def _dynamic_properties(self: QtCore.QObject) -> list[str]:
    return [bytes(name).decode() for name in self.dynamicPropertyNames()]


def _connector(self: QtCore.QObject, name: str) -> Any:
    def call(*arguments: Any) -> Any:
        if isinstance(arguments[0], QtCore.QObject):  # PySide6 itself connects this way
            return _getattribute(self, name)(*arguments)
        return getattr(signals, name)(self, *arguments)

    return call
