"""Pictures of panels, and of the whole application as its user sees it: the panel on the left, the views on the right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import slicer
from numpy.typing import NDArray
from PySide6 import QtCore, QtGui, QtWidgets

from slicer_host import layout
from slicer_host.arrangement import Rectangle
from slicer_host.rendered import pixels

PANEL_WIDTH = 480
SLICE_BAR_TEXT = "{label}   {orientation} {offset:.1f} mm"
THREE_D_BAR_COLOR = "#b2b3d1"


def grab(widget: Any, path: str | Path, size: tuple[int, int] | None = None) -> Path:
    """Writes the picture of a widget.

    Args:
        widget: Any widget, such as a module's panel; it is shown for that.
        path: PNG file to write; missing folders are made.
        size: Width and height in pixels; the widget's own if None.

    Returns:
        The path.
    """
    if size is not None:
        widget.resize(*size)
    widget.show()
    for _ in range(3):  # a layout may need another round after the first one told the sizes
        QtWidgets.QApplication.processEvents()
    return _save(widget.grab().toImage(), path)


def grab_application(widget: Any, path: str | Path, size: tuple[int, int] = (1600, 900)) -> Path:
    """Writes the picture of a module's panel beside the views of the current layout, rendered now.

    Args:
        widget: The panel; it scrolls if it is too high.
        path: PNG file to write; missing folders are made.
        size: Width and height of the picture in pixels.

    Returns:
        The path.

    Raises:
        RuntimeError: The application runs without views.
    """
    manager = slicer.app.layoutManager()
    if manager is None:
        raise RuntimeError("there are no views to show: use the fixture views")
    width, height = size
    manager.viewport().resize(width - PANEL_WIDTH, height)
    picture = QtGui.QImage(width, height, QtGui.QImage.Format.Format_RGB32)
    picture.fill(QtGui.QColor("#202020"))
    painter = QtGui.QPainter(picture)
    painter.drawImage(0, 0, _panel(widget, height))
    painter.translate(PANEL_WIDTH, 0)
    for view_widget, rectangle in layout.shown_views(manager):
        _draw_view(painter, view_widget, rectangle)
    painter.end()
    return _save(picture, path)


def _panel(widget: Any, height: int) -> QtGui.QImage:
    """The panel in a scroll area, as in Slicer; it is taken out again, for others hold it too."""
    area = QtWidgets.QScrollArea()
    area.setWidgetResizable(True)
    area.setHorizontalScrollBarPolicy(QtCore.Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    area.resize(PANEL_WIDTH, height)
    area.setWidget(widget)
    widget.show()
    area.show()
    for _ in range(3):
        QtWidgets.QApplication.processEvents()
    image = area.grab().toImage()
    widget.setParent(None)  # PySide would count what takeWidget gives back as a part of the area, and as gone with it
    area.deleteLater()
    return image


def _draw_view(painter: QtGui.QPainter, widget: Any, place: Rectangle) -> None:
    node = widget.mrmlAbstractViewNode()
    bar = QtCore.QRect(place.x, place.y, place.width - 1, layout.BAR_HEIGHT)
    inside = QtCore.QRect(place.x, place.y + layout.BAR_HEIGHT, place.width - 1, place.height - layout.BAR_HEIGHT - 1)
    text, color = node.GetLayoutLabel(), QtGui.QColor(THREE_D_BAR_COLOR)
    if node.IsA("vtkMRMLSliceNode"):
        text = SLICE_BAR_TEXT.format(label=text, orientation=node.GetOrientation(), offset=widget.sliceLogic().GetSliceOffset())
        color = QtGui.QColor.fromRgbF(*node.GetLayoutColor())
    painter.fillRect(bar, color)
    painter.setPen(QtGui.QColor("black"))
    painter.drawText(bar.adjusted(6, 0, 0, 0), QtCore.Qt.AlignmentFlag.AlignVCenter, text)
    painter.drawImage(inside.topLeft(), _view_image(widget), QtCore.QRect(QtCore.QPoint(0, 0), inside.size()))


def _view_image(widget: Any) -> QtGui.QImage:
    view = widget.viewWidget()
    return view.grab().toImage() if isinstance(view, QtWidgets.QTableWidget) else _image(pixels(view))


def _image(array: NDArray[np.uint8]) -> QtGui.QImage:
    height, width, _ = array.shape
    return QtGui.QImage(array.tobytes(), width, height, 3 * width, QtGui.QImage.Format.Format_RGB888).copy()


def _save(image: QtGui.QImage, path: str | Path) -> Path:
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if not image.save(str(path)):
        raise OSError(f"the picture could not be written: {path}")
    return path
