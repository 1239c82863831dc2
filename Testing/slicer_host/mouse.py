"""Mouse events in slice and 3D views, delivered as Qt delivers them in Slicer.

Positions are in pixels from the lower left corner of the view, as in ``convertRASToXYZ``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

Position = tuple[float, float]
Modifiers = Sequence[str]  # of "Control" and "Shift"


def move(view: Any, position: Position, modifiers: Modifiers = ()) -> None:
    """Moves the mouse to a position in a view (``sliceView()`` or ``threeDView()``)."""
    _send(view, "MouseMoveEvent", position, modifiers)


def press(view: Any, position: Position, button: str = "Left", modifiers: Modifiers = ()) -> None:
    """Moves the mouse there, as a user has to, and presses a button: ``Left``, ``Middle`` or ``Right``."""
    view.forceRender()  # picking needs a picture
    move(view, position, modifiers)
    _send(view, f"{button}ButtonPressEvent", position, modifiers)


def release(view: Any, position: Position, button: str = "Left", modifiers: Modifiers = ()) -> None:
    _send(view, f"{button}ButtonReleaseEvent", position, modifiers)


def click(view: Any, position: Position, button: str = "Left", modifiers: Modifiers = ()) -> None:
    press(view, position, button, modifiers)
    release(view, position, button, modifiers)


def drag(view: Any, start: Position, end: Position, button: str = "Left", modifiers: Modifiers = (), steps: int = 10) -> None:
    """Moves the mouse from one position to another with a button held down, in several steps."""
    press(view, start, button, modifiers)
    for position in np.linspace(start, end, steps + 1)[1:]:
        move(view, tuple(position), modifiers)
    release(view, end, button, modifiers)


def wheel(view: Any, position: Position, clicks: int, modifiers: Modifiers = ()) -> None:
    """Turns the wheel, away from the user if the number of its clicks is positive."""
    move(view, position, modifiers)
    for _ in range(abs(clicks)):
        _send(view, "MouseWheelForwardEvent" if clicks > 0 else "MouseWheelBackwardEvent", position, modifiers)


def _send(view: Any, event: str, position: Position, modifiers: Modifiers) -> None:
    interactor = view.interactor()
    x, y = (round(coordinate) for coordinate in position)
    interactor.SetEventInformation(x, y, "Control" in modifiers, "Shift" in modifiers)
    interactor.InvokeEvent(event)
