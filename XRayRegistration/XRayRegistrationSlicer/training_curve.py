"""The curves of a training: how the loss and the error of a point fall, as charts that grow while it runs."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import slicer
from DRRSimulatorSlicer.views import showLayout
from slicer.i18n import tr as _

from .references import referenced

TRAINING_ATTRIBUTE = "XRayRegistration.Training"  # of the table node: the name of the model
SERIES_ROLE, CHART_ROLE = "series", "chart"
STEP_COLUMN = "step"
PLOT_VIEW_TAGS = ("PlotView1", "PlotView2")

# Columns of losses.csv, and colors of their curves.
CURVES = {"coordinate_error_mm": (0.0, 0.45, 0.70), "loss": (0.84, 0.37, 0.0)}


class TrainingCurve:
    """A table, and a chart for each column of it; a training that goes on uses the nodes that it had."""

    def __init__(self, modelName: str) -> None:
        """Find the nodes of a model's training in the scene, or make them.

        Args:
            modelName: name of the model file, without its folder.
        """
        self.tableNode = _find(modelName) or _make(modelName)
        self._read: tuple[int, int] | None = None

    @property
    def chartNodes(self) -> list[slicer.vtkMRMLPlotChartNode]:
        """The charts: error of a point, then loss."""
        return referenced(self.tableNode, CHART_ROLE)

    def update(self, path: Path) -> None:
        """Show what the `losses.csv` of a training says by now; without that file, or once the table was removed, nothing changes."""
        if not path.is_file() or self.tableNode.GetScene() is None:
            return
        state = (path.stat().st_mtime_ns, path.stat().st_size)
        if state == self._read:
            return
        self._read = state
        with path.open(encoding="utf-8", newline="") as file:
            rows = [row for row in csv.DictReader(file) if all(row.values())]  # the last one may be half written
        if rows:
            names = [STEP_COLUMN, *CURVES]
            slicer.util.updateTableFromArray(self.tableNode, np.array([[float(row[name]) for name in names] for row in rows]), names)

    def show(self) -> None:
        """Show the charts in the views; without views, as in batch processing, nothing happens."""
        showLayout(plot=True)
        if slicer.app.layoutManager() is None:
            return
        for tag, chartNode in zip(PLOT_VIEW_TAGS, self.chartNodes, strict=True):
            slicer.mrmlScene.GetSingletonNode(tag, "vtkMRMLPlotViewNode").SetPlotChartNodeID(chartNode.GetID())

    def remove(self) -> None:
        """Remove the nodes from the scene."""
        for node in (*self.chartNodes, *referenced(self.tableNode, SERIES_ROLE), self.tableNode):
            slicer.mrmlScene.RemoveNode(node)


def _find(modelName: str) -> Any:
    tables = slicer.util.getNodesByClass("vtkMRMLTableNode")
    return next((node for node in tables if node.GetAttribute(TRAINING_ATTRIBUTE) == modelName), None)


def _make(modelName: str) -> Any:
    scene = slicer.mrmlScene
    tableNode = scene.AddNewNodeByClass("vtkMRMLTableNode", _("{model} training").format(model=modelName))
    tableNode.SetAttribute(TRAINING_ATTRIBUTE, modelName)
    slicer.util.updateTableFromArray(tableNode, np.empty((0, 1 + len(CURVES))), [STEP_COLUMN, *CURVES])
    titles = {"coordinate_error_mm": _("error of a point, mm"), "loss": _("loss")}
    for column, color in CURVES.items():
        seriesNode = scene.AddNewNodeByClass("vtkMRMLPlotSeriesNode", _("{model}: {curve}").format(model=modelName, curve=titles[column]))
        seriesNode.SetPlotType(slicer.vtkMRMLPlotSeriesNode.PlotTypeScatter)
        seriesNode.SetMarkerStyle(slicer.vtkMRMLPlotSeriesNode.MarkerStyleNone)
        seriesNode.SetAndObserveTableNodeID(tableNode.GetID())
        seriesNode.SetXColumnName(STEP_COLUMN)
        seriesNode.SetYColumnName(column)
        seriesNode.SetColor(*color)
        chartNode = scene.AddNewNodeByClass("vtkMRMLPlotChartNode", seriesNode.GetName())
        chartNode.AddAndObservePlotSeriesNodeID(seriesNode.GetID())
        chartNode.SetTitle(tableNode.GetName())
        chartNode.SetXAxisTitle(_("training step"))
        chartNode.SetYAxisTitle(titles[column])
        chartNode.SetLegendVisibility(False)
        tableNode.AddNodeReferenceID(SERIES_ROLE, seriesNode.GetID())
        tableNode.AddNodeReferenceID(CHART_ROLE, chartNode.GetID())
    return tableNode
