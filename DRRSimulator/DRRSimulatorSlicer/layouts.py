"""Arrangements of views for X-rays, as Slicer's layout descriptions in XML."""

from __future__ import annotations

from collections.abc import Sequence

import slicer

ONE_XRAY, TWO_XRAYS, WITH_PLOT = 23111, 23112, 23113  # numbers that no other extension is known to use

_SLICE, _THREE_D, _PLOT = "vtkMRMLSliceNode", "vtkMRMLViewNode", "vtkMRMLPlotViewNode"
# By singleton tag: class, then the properties of a view that is made new.
_VIEWS = {
    "XRay1": (_SLICE, {"orientation": "Axial", "viewlabel": "X1", "viewcolor": "#F6A93B"}),
    "XRay2": (_SLICE, {"orientation": "Axial", "viewlabel": "X2", "viewcolor": "#C77CFF"}),
    "XRaySource": (_THREE_D, {"viewlabel": "S"}),
    "1": (_THREE_D, {"viewlabel": "1"}),
    "Red": (_SLICE, {"orientation": "Axial", "viewlabel": "R", "viewcolor": "#F34A33"}),
    "Green": (_SLICE, {"orientation": "Coronal", "viewlabel": "G", "viewcolor": "#6EB04B"}),
    "Yellow": (_SLICE, {"orientation": "Sagittal", "viewlabel": "Y", "viewcolor": "#EDD54C"}),
    "PlotView1": (_PLOT, {"viewlabel": "P1"}),
    "PlotView2": (_PLOT, {"viewlabel": "P2"}),
}
_CT_SLICES = ("Red", "Yellow", "Green")
_LAYOUTS = {
    ONE_XRAY: (("XRay1", "XRaySource", "1"), _CT_SLICES),
    TWO_XRAYS: (("XRay1", "XRay2", "XRaySource"), ("1", *_CT_SLICES)),
    WITH_PLOT: (("XRay1", "XRaySource", "PlotView1", "PlotView2"), ("1", *_CT_SLICES)),
}


def registerLayouts(layoutNode: slicer.vtkMRMLLayoutNode) -> None:
    """Make the layouts known to the application; it forgets them when it ends."""
    for number, (above, below) in _LAYOUTS.items():
        if not layoutNode.IsLayoutDescription(number):
            layoutNode.AddLayoutDescription(number, _description(above, below))


def _description(above: Sequence[str], below: Sequence[str]) -> str:
    """Two rows of views that the user can resize; the upper one is larger."""
    rows = ((above, 600), (below, 400))
    items = "".join(f'<item splitSize="{size}">{_row(tags)}</item>' for tags, size in rows)
    return f'<layout type="vertical" split="true">{items}</layout>'


def _row(tags: Sequence[str]) -> str:
    items = "".join(f'<item splitSize="500">{_view(tag)}</item>' for tag in tags)
    return f'<layout type="horizontal" split="true">{items}</layout>'


def _view(tag: str) -> str:
    className, properties = _VIEWS[tag]
    values = "".join(f'<property name="{name}" action="default">{value}</property>' for name, value in properties.items())
    return f'<view class="{className}" singletontag="{tag}">{values}</view>'
