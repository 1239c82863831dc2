"""Qt properties as attributes, as PythonQt shows them: ``button.text`` is a string, ``button.text = "Apply"`` sets it."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any

from PySide6 import QtCore

# Virtual in C++: a descriptor of that name on the class would be taken for an override. See `pythonqt`.
VIRTUAL = ("sizeHint", "minimumSizeHint")


def to_qt(value: Any, type_name: str) -> Any:
    """Converts what PythonQt converts.

    Raises:
        AttributeError: PythonQt does not convert such a value, for instance a numpy number.
    """
    if type_name == "QString":
        return str(value)
    if type_name == "QStringList" and not isinstance(value, str):
        return [str(item) for item in value]
    if type_name in ("int", "uint", "double", "bool"):
        if type(value) not in (bool, int, float) and not isinstance(value, enum.IntEnum):
            raise AttributeError(f"a property of type {type_name} cannot be set to {value!r} ({type(value).__name__})")
        return {"double": float, "bool": bool}.get(type_name, int)(value)
    return value


def to_python(value: Any) -> Any:
    """PythonQt gives lists of strings as tuples."""
    return tuple(value) if isinstance(value, list) else value


class PropertyAttribute:
    """A property on a PySide6 class; the class itself still shows the method of that name (``QTimer.singleShot``)."""

    def __init__(self, owner: type, property_: QtCore.QMetaProperty) -> None:
        self._name = property_.name()
        self._type_name = property_.typeName()
        self._writable = property_.isWritable()
        self._is_enum = property_.isEnumType()
        self._method = getattr(owner, self._name, None)
        capitalized = self._name[0].upper() + self._name[1:]
        self._getter = getattr(owner, f"is{capitalized}", None) or getattr(owner, f"has{capitalized}", None)
        if self._getter is None or (callable(self._method) and self._name not in ("singleShot",)):
            self._getter = self._method
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
    """Turns the properties that a PySide6 class brings in into attributes."""
    meta_object = owner.staticMetaObject
    for index in range(meta_object.propertyOffset(), meta_object.propertyCount()):
        name = meta_object.property(index).name()
        if name not in VIRTUAL:
            setattr(owner, name, PropertyAttribute(owner, meta_object.property(index)))


def qt_property(type_: type | str, getter: Callable[[Any], Any], setter: Callable[[Any, Any], None] | None = None) -> QtCore.Property:
    """A property of a stand-in, with the same conversions."""
    if setter is None:
        return QtCore.Property(type_, getter)
    type_name = {str: "QString", float: "double", list: "QStringList"}.get(type_, getattr(type_, "__name__", type_))
    return QtCore.Property(type_, lambda self: to_python(getter(self)), lambda self, value: setter(self, to_qt(value, type_name)))


def stored_property(type_: type, name: str, default: Any) -> QtCore.Property:
    """A property of a stand-in that only remembers its value."""
    key = f"_{name}"
    return qt_property(type_, lambda self: self.__dict__.get(key, default), lambda self, value: self.__dict__.__setitem__(key, value))
