"""Signals as PythonQt shows them: ``button.connect('clicked(bool)', slot)`` and ``button.clicked.connect(slot)``."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import shiboken6
from PySide6 import QtCore

from slicer_host import strictness


class Connection(NamedTuple):
    """A slot connected to a signal: what the caller passed, and what Qt calls."""

    signal: str
    slot: Callable[..., Any]
    call: Callable[..., None]
    bound: Any


_connections: dict[int, list[Connection]] = {}  # by the address of the sender


class UnknownSignal(ValueError):
    """A signal that the sender does not have. Slicer only prints an error and goes on, so it is always a bug."""


class BoundSignal:
    """A signal of an object: connect, disconnect and emit it, or call it to emit it."""

    def __init__(self, sender: QtCore.QObject, bound: Any, name: str) -> None:
        self._sender = sender
        self._bound = bound
        self._name = name

    def connect(self, slot: Callable[..., Any]) -> bool:
        return _add(self._sender, self._name, self._bound, slot)

    def disconnect(self, slot: Callable[..., Any] | None = None) -> bool:
        return _remove(self._sender, self._name, slot)

    def emit(self, *arguments: Any) -> None:
        self._bound.emit(*arguments)

    __call__ = emit


def connect(sender: QtCore.QObject, signature: str, *receiver: Any) -> bool:
    """Connects a signal given as in C++ to a callable, or to an object and the signature of its slot.

    Raises:
        UnknownSignal: The sender has no such signal.
    """
    name, bound, arguments = _find(sender, signature)
    return _add(sender, name, bound, _slot(receiver), arguments)


def disconnect(sender: QtCore.QObject, signature: str, *receiver: Any) -> bool:
    """Undoes one `connect`; without a receiver all connections of the signal."""
    name, _, _ = _find(sender, signature)
    return _remove(sender, name, _slot(receiver) if receiver else None)


def listen(sender: QtCore.QObject, name: str, slot: Callable[..., Any]) -> None:
    """Connects a method of a stand-in to a signal of its child; unlike `connect` it does not keep the stand-in alive."""
    _pyside_signal(sender, name).connect(slot)


def argument_count(slot: Callable[..., Any]) -> int | None:
    """How many arguments PythonQt passes to a slot at most; None is all of them."""
    function = slot.__func__ if inspect.ismethod(slot) else slot
    code = getattr(function, "__code__", None)
    if code is None or code.co_flags & inspect.CO_VARARGS:
        return None
    return code.co_argcount - (1 if inspect.ismethod(slot) else 0)


def _slot(receiver: tuple[Any, ...]) -> Callable[..., Any]:
    if len(receiver) == 1:
        return receiver[0]
    target, signature = receiver
    return getattr(target, signature.partition("(")[0])


def _find(sender: QtCore.QObject, signature: str) -> tuple[str, Any, Callable[[Any], Any] | None]:
    """The name of a signal, PySide6's object for it, and how its argument is converted."""
    normalized = bytes(QtCore.QMetaObject.normalizedSignature(signature)).decode()
    name, _, types = normalized.partition("(")
    stand_in = getattr(type(sender), "cpp_signals", {})
    if normalized in stand_in:
        return name, _pyside_signal(sender, name), stand_in[normalized]
    has_own_types = any(own.startswith(f"{name}(") for own in stand_in)
    if has_own_types or sender.metaObject().indexOfSignal(normalized) < 0:
        message = f"{type(sender).__name__} has no signal {signature}"
        strictness.errors.append(message)  # fails the test even if somebody catches the exception
        raise UnknownSignal(message)
    bound = _pyside_signal(sender, name)
    types = types.rstrip(")")
    return name, bound[types] if types else bound, None


def _pyside_signal(sender: QtCore.QObject, name: str) -> Any:
    return object.__getattribute__(sender, name)


def _add(sender: QtCore.QObject, name: str, bound: Any, slot: Callable[..., Any], convert: Callable[[Any], Any] | None = None) -> bool:
    if not callable(slot):
        raise TypeError(f"the slot for {name} is not callable: {slot!r}")
    count = argument_count(slot)

    def call(*arguments: Any) -> None:
        if convert is not None:
            arguments = tuple(convert(argument) for argument in arguments)
        try:
            slot(*(arguments if count is None else arguments[:count]))
        except Exception as error:
            strictness.remember_exception(type(error), error, error.__traceback__)

    bound.connect(call)
    _connections_of(sender).append(Connection(name, slot, call, bound))
    return True


def _remove(sender: QtCore.QObject, name: str, slot: Callable[..., Any] | None) -> bool:
    connections = _connections_of(sender)
    removed = [c for c in connections if c.signal == name and (slot is None or c.slot == slot)]
    if slot is not None:
        removed = removed[:1]
    for connection in removed:
        connection.bound.disconnect(connection.call)
        connections.remove(connection)
    return bool(removed)


def _connections_of(sender: QtCore.QObject) -> list[Connection]:
    address = shiboken6.getCppPointer(sender)[0]
    if address not in _connections:
        _connections[address] = []
        _pyside_signal(sender, "destroyed").connect(lambda *_: _connections.pop(address, None))
    return _connections[address]
