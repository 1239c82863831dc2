"""Qt properties as attributes, as PythonQt shows them: ``button.text`` is a string, ``button.text = "Apply"`` sets it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from PySide6 import QtCore

# Virtual in C++: Qt would take a descriptor of that name for an override. `pythonqt` shows their values in another way.
VIRTUAL = ("sizeHint", "minimumSizeHint")

_QT_NAMES = {str: "QString", int: "int", float: "double", bool: "bool", list: "QStringList"}


def to_qt(value: Any, type_name: str) -> Any:
    """Converts a value as PythonQt does: anything to a string or a truth value, whatever counts as a number to a number.

    Raises:
        AttributeError: PythonQt does not convert it either.
    """
    try:
        if type_name == "QString":
            return str(value)
        if type_name == "bool":
            return bool(value)
        if type_name in ("int", "uint"):
            return math.floor(value) if isinstance(value, float) else int(value.__index__())
        if type_name == "double":
            return float(value.__float__())
        if type_name == "QStringList" and not isinstance(value, str):
            return [str(item) for item in value]
    except (AttributeError, TypeError, ValueError):
        raise AttributeError(f"{value!r} cannot be converted to {type_name}") from None
    return value


def to_python(value: Any) -> Any:
    """Lists come to Python as tuples."""
    return tuple(value) if isinstance(value, list) else value


class PropertyAttribute:
    """A property on a PySide6 class; the class itself still shows the method of that name, such as ``QTimer.singleShot``."""

    def __init__(self, owner: type, meta: QtCore.QMetaProperty) -> None:
        self._name = meta.name()
        self._type_name = meta.typeName()
        self._writable = meta.isWritable()
        self._is_enum = meta.isEnumType()
        self._method = getattr(owner, self._name, None)
        capitalized = self._name[0].upper() + self._name[1:]
        self._getter = self._method
        if self._type_name == "bool":
            getters = (getattr(owner, f"{prefix}{capitalized}", self._method) for prefix in ("is", "has"))
            self._getter = next((getter for getter in getters if getter is not self._method), self._method)
        self._setter = getattr(owner, f"set{capitalized}", None)

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None:
            return self._method if self._method is not None else self
        if self._getter is not None:
            return to_python(self._getter(instance))
        return to_python(QtCore.QObject.property(instance, self._name))

    def __set__(self, instance: Any, value: Any) -> None:
        if not self._writable:
            raise AttributeError(f"Property '{self._name}' of {type(instance).__name__} object is not writable")
        value = to_qt(value, self._type_name)
        if self._is_enum and type(value) is int:
            value = type(self.__get__(instance))(value)
        if self._setter is not None:
            self._setter(instance, value)
        elif not QtCore.QObject.setProperty(instance, self._name, value):
            raise AttributeError(f"Property '{self._name}' of {type(instance).__name__} cannot be set to {value!r}")


def add_to(owner: type) -> None:
    """Turns the properties that a PySide6 class brings in into attributes, and lets their setters convert as PythonQt does."""
    meta_object = owner.staticMetaObject
    for index in range(meta_object.propertyOffset(), meta_object.propertyCount()):
        meta = meta_object.property(index)
        name = meta.name()
        if name in VIRTUAL:
            continue
        setattr(owner, name, PropertyAttribute(owner, meta))
        setter = f"set{name[0].upper()}{name[1:]}"
        if meta.typeName() in ("QString", "int", "double") and setter in vars(owner):
            setattr(owner, setter, _converting(getattr(owner, setter), meta.typeName()))


def _converting(setter: Callable[..., Any], type_name: str) -> Callable[..., Any]:
    def convert_and_set(self: Any, value: Any, *further: Any) -> Any:
        return setter(self, to_qt(value, type_name), *further)

    return convert_and_set


def qt_property(type_: type, getter: Callable[[Any], Any], setter: Callable[[Any, Any], None] | None = None) -> QtCore.Property:
    """A property of a stand-in, with the same conversions."""
    if setter is None:
        return QtCore.Property(type_, getter)
    type_name = _QT_NAMES.get(type_, type_.__name__)
    return QtCore.Property(type_, lambda self: to_python(getter(self)), lambda self, value: setter(self, to_qt(value, type_name)))


def stored_property(type_: type, name: str, default: Any) -> QtCore.Property:
    """A property of a stand-in that only remembers its value."""
    key = f"_{name}"
    return qt_property(type_, lambda self: vars(self).get(key, default), lambda self, value: vars(self).__setitem__(key, value))


def forwarded_property(type_: type, child: str, name: str) -> QtCore.Property:
    """A property of a stand-in that is a property of one of its children."""
    return qt_property(type_, lambda self: getattr(vars(self)[child], name), lambda self, value: setattr(vars(self)[child], name, value))
