"""Reads a scene bundle with 3D Slicer's own classes and tells, as JSON, where they place everything: scene file, then answer file."""

from __future__ import annotations

import json
import sys
from typing import Any

import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy


def matrix(values: Any) -> list[list[float]]:
    return [[values.GetElement(row, column) for column in range(4)] for row in range(4)]


def to_world(node: Any) -> list[list[float]]:
    """4x4 from a node's own coordinates to RAS."""
    world = vtk.vtkMatrix4x4()
    if node.GetParentTransformNode():
        node.GetParentTransformNode().GetMatrixTransformToWorld(world)
    return matrix(world)


def of_volume(node: Any) -> dict[str, Any]:
    ijk_to_ras, bounds = vtk.vtkMatrix4x4(), [0.0] * 6
    node.GetIJKToRASMatrix(ijk_to_ras)
    node.GetRASBounds(bounds)
    image, display = node.GetImageData(), node.GetDisplayNode()
    voxels = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(image.GetDimensions()[::-1])
    window = (display.GetWindow(), display.GetLevel(), display.GetAutoWindowLevel())
    return {"ijk_to_ras": matrix(ijk_to_ras), "bounds": bounds, "voxels": voxels.tolist(), "window": window}


def of_model(node: Any) -> dict[str, Any]:
    mesh, display, bounds = node.GetPolyData(), node.GetDisplayNode(), [0.0] * 6
    node.GetRASBounds(bounds)
    arrays = [mesh.GetPointData().GetArray(number) for number in range(mesh.GetPointData().GetNumberOfArrays())]
    cells = {"triangles": mesh.GetPolys(), "lines": mesh.GetLines(), "vertices": mesh.GetVerts()}
    return {
        "points": vtk_to_numpy(mesh.GetPoints().GetData()).tolist(),
        "arrays": {array.GetName(): vtk_to_numpy(array).tolist() for array in arrays},
        "cells": {name: of_kind.GetNumberOfCells() for name, of_kind in cells.items()},
        "bounds": bounds,
        "scalar": display.GetActiveScalarName() if display.GetScalarVisibility() else None,
        "opacity": display.GetOpacity(),
    }


def of_line(node: Any) -> dict[str, Any]:
    ends = [[0.0] * 3 for _ in range(node.GetNumberOfControlPoints())]
    for number, end in enumerate(ends):
        node.GetNthControlPointPositionWorld(number, end)
    return {"ends": ends, "locked": bool(node.GetLocked())}


def read(path: str) -> dict[str, Any]:
    scene, application = slicer.vtkMRMLScene(), slicer.vtkSlicerApplicationLogic()
    application.SetMRMLScene(scene)
    remote, data = slicer.vtkMRMLRemoteIOLogic(), slicer.vtkDataIOManagerLogic()  # logics are held weakly: keep them in variables
    application.SetMRMLSceneDataIO(scene, remote, data)
    application.GetColorLogic().SetMRMLScene(scene)
    application.GetColorLogic().AddDefaultColorNodes()
    markups = slicer.vtkSlicerMarkupsLogic()
    markups.SetMRMLApplicationLogic(application)
    markups.SetMRMLScene(scene)
    if not scene.ReadFromMRB(path):
        sys.exit(f"Slicer could not read {path}")
    nodes: dict[str, Any] = {}
    describers = {"ScalarVolume": of_volume, "Model": of_model, "MarkupsLine": of_line, "LinearTransform": lambda _: {}}
    for kind, describe in describers.items():
        for number in range(scene.GetNumberOfNodesByClass(f"vtkMRML{kind}Node")):
            node = scene.GetNthNodeByClass(number, f"vtkMRML{kind}Node")
            parent = node.GetParentTransformNode()
            common = {"kind": kind, "to_world": to_world(node), "under": parent.GetName() if parent else None}
            if not node.GetName().endswith("Volume Slice"):  # Slicer's own models of its slice views
                nodes[node.GetName()] = common | describe(node)
    views = {}
    for number in range(scene.GetNumberOfNodesByClass("vtkMRMLSliceNode")):
        node = scene.GetNthNodeByClass(number, "vtkMRMLSliceNode")
        composite = slicer.vtkMRMLSliceLogic.GetSliceCompositeNode(node)
        volume = scene.GetNodeByID(composite.GetBackgroundVolumeID())
        shown = {"volume": volume.GetName(), "in_3d": bool(node.GetSliceVisible()), "extent_mm": node.GetFieldOfView()[:2]}
        views[node.GetName()] = shown | {"slice_to_ras": matrix(node.GetSliceToRAS())}
    return {"nodes": nodes, "views": views}


if __name__ == "__main__":
    with open(sys.argv[2], "w", encoding="utf-8") as answer:
        json.dump(read(sys.argv[1]), answer)
