"""Where the views of a layout stand: Slicer's layout descriptions, in XML, turned into rectangles."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Rectangle:
    """Part of the area of the views, in pixels from its top left corner."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True)
class Place:
    """A view in the layout.

    Attributes:
        class_name: Class of the view node, such as ``vtkMRMLSliceNode``.
        singleton_tag: Its singleton tag, such as ``Red``.
        rectangle: Where the view stands.
    """

    class_name: str
    singleton_tag: str
    rectangle: Rectangle


def arrange(description: str, width: int, height: int) -> list[Place]:
    """Gives every view of a layout its place.

    Args:
        description: The layout's XML.
        width: Of the area of the views, in pixels.
        height: Likewise.

    Raises:
        ValueError: The description is not one that Slicer could lay out.
    """
    return list(_places(ElementTree.fromstring(description), Rectangle(0, 0, width, height)))


def _places(element: ElementTree.Element, area: Rectangle) -> Iterator[Place]:
    if element.tag == "view":
        yield Place(element.attrib["class"], element.attrib["singletontag"], area)
        return
    if element.tag != "layout":
        raise ValueError(f"a layout consists of layouts and views, not of <{element.tag}>")
    items = list(element)
    for item in items:
        if item.tag != "item" or len(item) != 1:
            raise ValueError("a <layout> holds <item>s, and each of them one <layout> or one <view>")
    for item, part in zip(items, _parts(element, items, area), strict=True):
        yield from _places(item[0], part)


def _parts(layout: ElementTree.Element, items: Sequence[ElementTree.Element], area: Rectangle) -> list[Rectangle]:
    """The areas of a layout's items; of tabs only the first one is seen and has an area."""
    kind = layout.get("type", "horizontal")
    sizes = [int(item.get("splitSize", 0)) for item in items]
    shares = sizes if layout.get("split") == "true" and any(sizes) else [1] * len(items)
    if kind == "horizontal":
        return [Rectangle(x, area.y, width, area.height) for x, width in _split(area.x, area.width, shares)]
    if kind == "vertical":
        return [Rectangle(area.x, y, area.width, height) for y, height in _split(area.y, area.height, shares)]
    if kind == "tab":
        return [area, *(Rectangle(area.x, area.y, 0, 0) for _ in items[1:])]
    if kind == "grid":
        return _grid(items, area)
    raise ValueError(f"there is no layout of the type {kind}")


def _grid(items: Sequence[ElementTree.Element], area: Rectangle) -> list[Rectangle]:
    cells = [[int(item.get(name, default)) for name, default in CELL.items()] for item in items]
    rows = _split(area.y, area.height, [1] * max(row + span for row, _, span, _ in cells))
    columns = _split(area.x, area.width, [1] * max(column + span for _, column, _, span in cells))
    parts = []
    for row, column, row_span, column_span in cells:
        (x, _), (last_x, last_width) = columns[column], columns[column + column_span - 1]
        (y, _), (last_y, last_height) = rows[row], rows[row + row_span - 1]
        parts.append(Rectangle(x, y, last_x + last_width - x, last_y + last_height - y))
    return parts


CELL = {"row": 0, "column": 0, "rowspan": 1, "colspan": 1}


def _split(start: int, length: int, shares: Sequence[int]) -> list[tuple[int, int]]:
    """Divides a length by shares: the start and the length of every part, without gaps."""
    edges = [start + round(length * sum(shares[:index]) / sum(shares)) for index in range(len(shares) + 1)]
    return [(edges[index], edges[index + 1] - edges[index]) for index in range(len(shares))]
