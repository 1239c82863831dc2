"""PySide6's classes made to behave as PythonQt's do in Slicer, for the whole process.

Properties are attributes, ``connect`` takes signatures, enums are ints, an attribute that Slicer's Python does not see raises.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import shiboken6
from PySide6 import QtCore, QtGui, QtNetwork, QtWidgets

from slicer_host import members, properties, signals

QT_MODULES = (QtCore, QtGui, QtWidgets, QtNetwork)

# Classes that are no QObjects but whose members were listed, and classes whose constructors start with a text.
LISTED_VALUE_CLASSES = (QtGui.QIcon, QtGui.QImage, QtGui.QPixmap, QtWidgets.QSizePolicy)
TEXT_CLASSES = ("QLabel", "QPushButton", "QCheckBox", "QRadioButton", "QGroupBox", "QLineEdit")

_lookups: dict[type, Callable[[Any, str], Any]] = {}  # PySide6's own way to find an attribute, of the classes that have one
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
    _change_qobject()
    for owner in classes:
        if "__getattribute__" in vars(owner):
            _lookups[owner] = owner.__getattribute__
            owner.__getattribute__ = _get
    for owner in classes:
        for base in owner.__mro__[:-1]:
            base.__setattr__ = _set
    for owner in LISTED_VALUE_CLASSES:
        owner.__getattribute__ = _get_of_value
    for name in TEXT_CLASSES:
        owner = getattr(QtWidgets, name)
        owner.__init__ = _taking_any_text(owner.__init__)


def _qobject_classes() -> set[type]:
    found = set()
    for module in QT_MODULES:
        for name in dir(module):  # not vars(): PySide6 makes a class when it is first asked for
            candidate = getattr(module, name)
            if isinstance(candidate, type) and issubclass(candidate, QtCore.QObject) and candidate.__module__.startswith("PySide6"):
                found.add(candidate)
    return found


def _change_qobject() -> None:
    qobject = QtCore.QObject
    children, find_children = qobject.children, qobject.findChildren
    qobject.children = lambda self: tuple(children(self))
    qobject.findChildren = lambda self, *arguments: tuple(find_children(self, *arguments))
    qobject.name = property(lambda self: self.objectName, lambda self, value: setattr(self, "objectName", value))
    qobject.className = lambda self: self.metaObject().className()
    qobject.delete = shiboken6.delete
    qobject.__getattr__ = _get_dynamic


def _taking_any_text(construct: Callable[..., None]) -> Callable[..., None]:
    def __init__(self: Any, *arguments: Any) -> None:
        if arguments and isinstance(arguments[0], (int, float)):
            arguments = (str(arguments[0]), *arguments[1:])
        construct(self, *arguments)

    return __init__


@cache
def _lookup(owner: type) -> Callable[[Any, str], Any]:
    return next(_lookups[base] for base in owner.__mro__ if base in _lookups)


def _get(self: QtCore.QObject, name: str) -> Any:
    look_up = _lookup(type(self))
    if name.startswith("_"):
        return look_up(self, name)
    if not _is_shown(self, name):
        raise AttributeError(f"Slicer's Python does not see '{name}' on {type(self).__name__}")
    if name in ("connect", "disconnect"):
        return _connector(self, name)
    value = look_up(self, name)
    if isinstance(value, QtCore.SignalInstance):
        return signals.BoundSignal(self, value, name)
    if name in properties.VIRTUAL:
        return value()
    return value


def _get_dynamic(self: QtCore.QObject, name: str) -> Any:
    """What is no member of the class: ``exec_`` for ``exec``, a property of this object alone, a child by its name."""
    if not name.startswith("_"):
        if name.endswith("_"):
            return getattr(self, name[:-1])
        if name in _dynamic_properties(self):
            return self.property(name)
        for child in self.children():
            if child.objectName == name:
                return child
    raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")


def _get_of_value(self: Any, name: str) -> Any:
    if not name.startswith("_") and name not in members.shown_members(_cpp_class(type(self)).__name__, is_widget=False):
        raise AttributeError(f"Slicer's Python does not see '{name}' on {type(self).__name__}")
    return object.__getattribute__(self, name)


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
    elif hasattr(attribute, "__set__") or _cpp_class(owner) is not owner:  # or a class of the module's own
        object.__setattr__(self, name, value)
    elif isinstance(self, QtCore.QObject) and name in _dynamic_properties(self):
        self.setProperty(name, value)
    elif not _new_attributes_ignored:
        raise AttributeError(f"'{name}' does not exist on {owner.__name__} and creating new attributes on C++ objects is not allowed")


def _is_shown(self: QtCore.QObject, name: str) -> bool:
    owner = type(self)
    cpp_class = _cpp_class(owner)
    shown = members.shown_members(cpp_class.__name__, issubclass(cpp_class, QtWidgets.QWidget))
    if shown is None or name in shown or name.removesuffix("_") in shown:
        return True
    return cpp_class is not owner and (name in vars(self) or (hasattr(owner, name) and not hasattr(cpp_class, name)))


@cache
def _cpp_class(owner: type) -> type:
    """The nearest class that is a C++ class in Slicer: PySide6's own or a stand-in."""
    return next(base for base in owner.__mro__ if base.__module__.startswith("PySide6") or "cpp_class" in vars(base))


def _dynamic_properties(self: QtCore.QObject) -> list[str]:
    return [bytes(name.data()).decode() for name in self.dynamicPropertyNames()]


def _connector(self: QtCore.QObject, name: str) -> Callable[..., Any]:
    def call(*arguments: Any) -> Any:
        if isinstance(arguments[0], QtCore.QObject):  # PySide6 itself connects this way
            return _lookup(type(self))(self, name)(*arguments)
        return getattr(signals, name)(self, *arguments)

    return call
