"""What the stand-ins of C++ widgets have in common."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any, ClassVar

from PySide6 import QtWidgets

from slicer_host.signals import listen


class StandIn:
    """Mixed into a stand-in, which looks from outside like the C++ class of its name.

    Private names (``_text``) are the stand-in's own; public names must be those of the C++ class, else they are not seen. Signals
    whose C++ type PySide6 does not know, such as ``vtkMRMLNode*``, stand in `cpp_signals` with the conversion of their argument.
    """

    cpp_class = True
    cpp_signals: ClassVar[dict[str, Callable[[Any], Any] | None]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.__module__.startswith("slicer_host."):
            cls.cpp_class = True


def parent_of(arguments: tuple[Any, ...]) -> QtWidgets.QWidget | None:
    """The parent among the arguments of a constructor, where it always stands last."""
    return arguments[-1] if arguments and isinstance(arguments[-1], QtWidgets.QWidget) else None


def row_layout(widget: QtWidgets.QWidget, *children: QtWidgets.QWidget) -> None:
    """Lays children out in a row without margins; the first takes the room that is left."""
    layout = QtWidgets.QHBoxLayout(widget)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(4)
    for index, child in enumerate(children):
        layout.addWidget(child, 1 if index == 0 else 0)


class Observations:
    """The VTK observers of a stand-in. They end with it and do not keep it alive."""

    def __init__(self, owner: QtWidgets.QWidget) -> None:
        self._observers: list[tuple[Any, int]] = []
        listen(owner, "destroyed", self.clear)

    def add(self, subject: Any, event: Any, method: Callable[[Any, str], None]) -> None:
        reference = weakref.WeakMethod(method)

        def call(caller: Any, event: str) -> None:
            living = reference()
            if living is not None:
                living(caller, event)

        self._observers.append((subject, subject.AddObserver(event, call)))

    def remove(self, subject: Any) -> None:
        for observed, tag in self._observers:
            if observed is subject:
                observed.RemoveObserver(tag)
        self._observers = [observer for observer in self._observers if observer[0] is not subject]

    def clear(self) -> None:
        for subject, tag in self._observers:
            subject.RemoveObserver(tag)
        self._observers = []
