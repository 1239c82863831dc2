"""The widgets of plot and table views."""

from __future__ import annotations

from typing import Any

import vtk
from PySide6 import QtWidgets

from slicer_host.stand_in import StandIn
from slicer_host.view_widgets import ControllerBar, ViewWidget


class qMRMLPlotView(StandIn, QtWidgets.QWidget):
    """The chart of the plot view node, drawn without a screen.

    Args:
        node: The plot view node.
    """

    def __init__(self, node: Any) -> None:
        super().__init__()
        self._node = node
        self._window = vtk.vtkRenderWindow()
        self._window.SetOffScreenRendering(True)
        self._view = vtk.vtkContextView()
        self._view.SetRenderWindow(self._window)
        self._chart = vtk.vtkChartXY()
        self._view.GetScene().AddItem(self._chart)

    def renderWindow(self) -> Any:
        self._draw()
        return self._window

    def chart(self) -> Any:
        return self._chart

    def resize(self, width: int, height: int) -> None:
        super().resize(width, height)
        self._window.SetSize(width, height)

    def fitToContent(self) -> None:
        self._chart.RecalculateBounds()

    def repaint(self) -> None:
        self.renderWindow().Render()

    def _draw(self) -> None:
        """Fills the chart anew from the nodes, so that it shows what they hold now."""
        self._chart.ClearPlots()
        chart_node = self._node.GetPlotChartNode()
        if chart_node is None:
            return
        self._chart.SetTitle((chart_node.GetTitleVisibility() and chart_node.GetTitle()) or "")
        self._chart.SetShowLegend(chart_node.GetLegendVisibility())
        self._chart.GetAxis(vtk.vtkAxis.BOTTOM).SetTitle(chart_node.GetXAxisTitle() or "")
        self._chart.GetAxis(vtk.vtkAxis.LEFT).SetTitle(chart_node.GetYAxisTitle() or "")
        for index in range(chart_node.GetNumberOfPlotSeriesNodes()):
            self._add_series(chart_node.GetNthPlotSeriesNode(index))
        self._chart.RecalculateBounds()

    def _add_series(self, series: Any) -> None:
        table = series.GetTableNode().GetTable() if series.GetTableNode() else None
        if table is None or table.GetNumberOfRows() == 0:
            return
        is_bar = series.GetPlotType() in (series.PlotTypeBar, series.PlotTypeScatterBar)
        needs_x = series.GetPlotType() in (series.PlotTypeScatter, series.PlotTypeScatterBar)
        plot = self._chart.AddPlot(vtk.vtkChart.BAR if is_bar else vtk.vtkChart.LINE)
        plot.SetInputData(table, series.GetXColumnName() if needs_x else series.GetYColumnName(), series.GetYColumnName())
        plot.SetUseIndexForXSeries(not needs_x)
        plot.SetLabel(series.GetName())
        plot.SetColorF(*series.GetColor())
        plot.SetOpacity(series.GetOpacity())
        plot.SetWidth(series.GetLineWidth())
        if not is_bar:  # the styles of lines and markers have the same numbers in MRML and in VTK
            plot.GetPen().SetLineType(series.GetLineStyle())
            plot.SetMarkerStyle(series.GetMarkerStyle())
            plot.SetMarkerSize(series.GetMarkerSize())


class qMRMLPlotWidget(ViewWidget):
    """A plot view with its bar.

    Args:
        node: The plot view node.
        application: The application.
    """

    def __init__(self, node: Any, application: Any) -> None:
        super().__init__(node, qMRMLPlotView(node))
        self._controller = ControllerBar()

    def plotView(self) -> qMRMLPlotView:
        return self._view

    def plotController(self) -> ControllerBar:
        return self._controller

    def controllerWidget(self) -> ControllerBar:
        return self._controller

    def mrmlPlotViewNode(self) -> Any:
        return self._node

    def pauseRender(self) -> None:
        """Plots are drawn only when a picture is taken."""

    def resumeRender(self) -> None:
        """Likewise."""

    def close(self) -> None:
        self._view._window.Finalize()
        self._view.deleteLater()


class qMRMLTableWidget(ViewWidget):
    """A table view with its bar; shows the texts of the table, for looking only.

    Args:
        node: The table view node.
        application: The application.
    """

    def __init__(self, node: Any, application: Any) -> None:
        super().__init__(node, QtWidgets.QTableWidget())
        self._controller = ControllerBar()

    def tableView(self) -> QtWidgets.QTableWidget:
        """The table as it is now."""
        table_node = self._node.GetTableNode()
        table = table_node.GetTable() if table_node else vtk.vtkTable()
        names = [table.GetColumnName(column) or "" for column in range(table.GetNumberOfColumns())]
        self._view.setColumnCount(len(names))
        self._view.setRowCount(table.GetNumberOfRows())
        self._view.setHorizontalHeaderLabels(names)
        for row in range(table.GetNumberOfRows()):
            for column in range(len(names)):
                item = QtWidgets.QTableWidgetItem(table.GetValue(row, column).ToString())
                self._view.setItem(row, column, item)
        self._view.resizeColumnsToContents()
        return self._view

    def viewWidget(self) -> QtWidgets.QTableWidget:
        return self.tableView()

    def tableController(self) -> ControllerBar:
        return self._controller

    def controllerWidget(self) -> ControllerBar:
        return self._controller

    def mrmlTableViewNode(self) -> Any:
        return self._node

    def pauseRender(self) -> None:
        """Tables are drawn only when a picture is taken."""

    def resumeRender(self) -> None:
        """Likewise."""

    def close(self) -> None:
        self._view.deleteLater()
