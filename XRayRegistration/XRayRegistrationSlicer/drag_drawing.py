"""Drawing what the cameras see while they are dragged, without ever letting the user wait."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import qt

from .adjustment import Adjustment
from .appearance import Appearance
from .section import Lookup

REST_MS = 250  # after so long without a movement, what the cameras see is drawn finely


class DragDrawing:
    """Draws coarsely, as often as it can, while cameras move, and finely when they rest; the computing is done in another thread."""

    def __init__(self, adjustment: Adjustment, onRest: Callable[[], None], onFailed: Callable[[Exception], None]) -> None:
        """Take what is dragged.

        Args:
            adjustment: moves the cameras.
            onRest: called when all is drawn finely.
            onFailed: called with the error when something cannot be drawn.
        """
        self._adjustment, self._onRest, self._onFailed = adjustment, onRest, onFailed
        self._lookup = Lookup()
        self._isDrawing = False
        self._hasMoved = False  # since the drawing that goes on was started
        self._rest = singleShot(REST_MS, self._drawFinely)

    def moved(self) -> None:
        """To be called when the cameras have moved."""
        self._rest.start()
        self._hasMoved = True
        if not self._isDrawing:
            self._draw(live=True)

    def stop(self) -> None:
        """Leave the drawing as it is."""
        self._rest.stop()
        self._lookup.stop()
        self._isDrawing = self._hasMoved = False

    def _draw(self, live: bool) -> None:
        def show(seen: Sequence[Appearance]) -> None:
            self._isDrawing = False
            self._adjustment.draw(seen)
            if self._hasMoved:
                self._draw(live=True)
            elif not live:
                self._onRest()

        def fail(error: Exception) -> None:
            self.stop()
            self._onFailed(error)

        self._isDrawing, self._hasMoved = True, False
        self._lookup.start(self._adjustment.prepareDrawing(live), show, fail)

    def _drawFinely(self) -> None:
        if self._isDrawing:
            self._rest.start()
        else:
            self._draw(live=False)


def singleShot(milliseconds: int, function: Callable[[], None]) -> qt.QTimer:
    """A timer that calls a function once, so long after it was started last."""
    timer = qt.QTimer()
    timer.setSingleShot(True)
    timer.setInterval(milliseconds)
    timer.connect("timeout()", function)
    return timer
