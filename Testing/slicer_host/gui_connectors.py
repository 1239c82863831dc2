"""What connects a widget to a parameter, and which kinds of connectors there are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from slicer_host.parameter_annotations import splitAnnotations


class GuiConnector:
    """A widget that shows a parameter; derived classes say how."""

    signal = ""

    @staticmethod
    def canRepresent(widget: Any, datatype: Any) -> bool:
        raise NotImplementedError

    @classmethod
    def create(cls, widget: Any, datatype: Any) -> GuiConnector:
        return cls(widget, datatype)

    def __init__(self, widget: Any, datatype: Any) -> None:
        self._widget = widget
        self._type, self._annotations = splitAnnotations(datatype)
        self._callback: Callable[[], None] | None = None

    def widget(self) -> Any:
        return self._widget

    def read(self) -> Any:
        raise NotImplementedError

    def write(self, value: Any) -> None:
        raise NotImplementedError

    def changed(self) -> None:
        if self._callback is not None:
            self._callback()

    def onChanged(self, callback: Callable[[], None] | None) -> None:
        """Calls `callback` when the user changes the widget; None ends it."""
        self._callback = callback
        if not self.signal:
            return
        signal = getattr(self._widget, self.signal)
        (signal.disconnect if callback is None else signal.connect)(self.changed)


_connectors: list[type[GuiConnector]] = []


def parameterNodeGuiConnector(classtype: type[GuiConnector]) -> type[GuiConnector]:
    """Class decorator that makes a kind of connector known."""
    _connectors.append(classtype)
    return classtype


def createGuiConnector(widget: Any, datatype: Any) -> GuiConnector:
    """Connects a widget to a parameter of a type.

    Raises:
        RuntimeError: The widget cannot show such a parameter.
    """
    for connector in _connectors:
        if connector.canRepresent(widget, datatype):
            return connector.create(widget, datatype)
    raise RuntimeError(f"Unable to create GUI connector from datatype '{datatype}' to widget type '{type(widget)}'.")
