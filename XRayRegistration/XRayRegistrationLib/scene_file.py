"""A registration as a scene that 3D Slicer opens: CT, bones, X-rays on their detectors, beams, outlines and point cloud."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from DRRSimulatorLib.camera import Camera, FloatArray, invert_pose
from DRRSimulatorLib.ct import CTVolume
from DRRSimulatorLib.surface import Surface, surface_to_polydata

from .body import CastsRays
from .mrml import SceneBundle
from .overlay import comparison_drr, display_camera, display_range, outlines
from .point_cloud import point_cloud
from .register import Registration

BONE_COLOUR = "0.95 0.84 0.57"
OUTLINE_COLOUR = "1 0.84 0.04"
POINTS, POLYGONS = 0, 2  # representations of a vtkMRMLDisplayNode
CT_DISPLAY_RANGE = (-200.0, 1000.0)  # HU
SLICE_VIEWS = ("Red", "Yellow", "Green")

# Columns: right, up and towards the viewer of a slice view, in RAS.
_SAGITTAL = np.array([[0.0, 0.0, -1.0], [-1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
_CORONAL = np.array([[-1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 1.0, 0.0]])


def write_scene(
    path: Path, registration: Registration, names: Sequence[str], ct: CTVolume, surfaces: Mapping[str, Surface], projector: CastsRays
) -> None:
    """Write a scene bundle (.mrb).

    For every X-ray it holds a transform `<name> camera` from camera to RAS at the pose found, and under it, in camera coordinates, the
    X-ray and a DRR on the detector, the beam from the source to the principal point, and the bones' outline. The slice views
    show up to three X-rays, which the 3D view shows as well, and then the CT.

    Args:
        path: file to write, *.mrb.
        registration: what was found.
        names: a name for each X-ray.
        ct: the patient's CT.
        surfaces: the bones' surfaces, by their names.
        projector: of the patient's CT.
    """
    with TemporaryDirectory() as folder:
        scene = SceneBundle(Path(folder))
        ct_node = scene.add_volume("CT", np.rint(ct.hu).clip(-32768, 32767).astype(np.int16), ct.ijk_to_ras, CT_DISPLAY_RANGE)
        for name, surface in surfaces.items():
            scene.add_model(name, surface_to_polydata(surface), color=BONE_COLOUR, opacity=0.6, visibility2D="true")
        if registration.estimate:
            _add_point_cloud(scene, registration)
        shown = [_add_view(scene, registration, number, name, projector) for number, name in enumerate(names)]
        _show_in_slice_views(scene, registration, shown, ct, ct_node)
        scene.write(path)


def _add_point_cloud(scene: SceneBundle, registration: Registration) -> None:
    cloud = point_cloud(registration)
    scene.add_model(
        "point cloud",
        cloud,
        representation=POINTS,
        pointSize=4,
        lighting="false",
        scalarVisibility="true",
        activeScalarName="sigma_mm",
        colorNodeID="vtkMRMLColorTableNodeFileViridis.txt",
        scalarRangeFlag="UseData",
    )


def _add_view(scene: SceneBundle, registration: Registration, number: int, name: str, projector: CastsRays) -> str:
    """Add one X-ray with all that belongs to it; return the id of its volume."""
    view, pose = registration.views[number], registration.ras_to_camera(number)
    camera, distance = view.camera, view.camera.source_to_detector_distance
    transform = scene.add_transform(f"{name} camera", invert_pose(pose))
    pixels, drr = view.xray.pixels, comparison_drr(projector, camera, pose)
    intensity = view.xray.polarity == "intensity"
    values = display_range(pixels[view.xray.field], intensity)
    volume = scene.add_volume(name, pixels[None], _image_to_camera(camera), values, transform)
    # Line integrals rise where intensities fall: inverted, both show bone dark.
    values = display_range(drr, intensity=False)
    scene.add_volume(f"{name} DRR", drr[None], _image_to_camera(display_camera(camera)), values, transform, inverted=intensity)
    scene.add_line(f"{name} beam", [(0.0, 0.0, 0.0), (0.0, 0.0, distance)], transform)
    contours = [camera.back_project(line, distance) for bone in outlines(projector, camera, pose) for line in bone]
    if contours:
        shown_in = ["vtkMRMLViewNode1", *(f"vtkMRMLSliceNode{view}" for view in SLICE_VIEWS[number : number + 1])]
        scene.add_model(
            f"{name} outline",
            _polylines(contours),
            transform,
            color=OUTLINE_COLOUR,
            lineWidth=2,
            lighting="false",
            visibility2D="true",
            sliceDisplayMode="projection",  # a slice in the lines' own plane has no intersection with them
            viewNodeRef=" ".join(shown_in),
        )
    return volume


def _image_to_camera(camera: Camera) -> FloatArray:
    """4x4 from (column, row, slice, 1) to the detector in camera coordinates."""
    return camera.detector_to_ras(np.eye(4))


def _polylines(lines: Sequence[FloatArray]) -> Any:
    """vtkPolyData of polylines, each (N, 3)."""
    from vtkmodules.util.numpy_support import numpy_to_vtk, numpy_to_vtkIdTypeArray
    from vtkmodules.vtkCommonCore import vtkPoints
    from vtkmodules.vtkCommonDataModel import vtkCellArray, vtkPolyData

    positions = np.concatenate(lines)
    offsets = np.cumsum([0, *map(len, lines)], dtype=np.int64)
    points, cells, polydata = vtkPoints(), vtkCellArray(), vtkPolyData()
    points.SetData(numpy_to_vtk(positions, deep=True))
    indices = np.arange(len(positions), dtype=np.int64)
    cells.SetData(numpy_to_vtkIdTypeArray(offsets, deep=True), numpy_to_vtkIdTypeArray(indices, deep=True))
    polydata.SetPoints(points)
    polydata.SetLines(cells)
    return polydata


def _show_in_slice_views(scene: SceneBundle, registration: Registration, xrays: Sequence[str], ct: CTVolume, ct_node: str) -> None:
    """X-rays upright in the first slice views, sagittal and coronal slices of the CT in those that are left."""
    slices: list[tuple[str, FloatArray, float, bool]] = []
    for number, xray in enumerate(xrays):
        camera = registration.views[number].camera
        to_ras, (rows, columns) = camera.detector_to_ras(registration.ras_to_camera(number)), camera.image_size
        middle = to_ras @ ((columns - 1) / 2, (rows - 1) / 2, 0, 1)
        right, down, away = (to_ras[:3, axis] / np.linalg.norm(to_ras[:3, axis]) for axis in range(3))
        extent = max(columns * camera.pixel_spacing[0], rows * camera.pixel_spacing[1])
        slices.append((xray, _slice_to_ras(np.stack([right, -down, -away], axis=1), middle), extent, True))
    size = np.array(ct.hu.shape[::-1])
    middle, extent = ct.ijk_to_ras @ (*((size - 1) / 2), 1), float((size * ct.spacing).max())
    slices += [(ct_node, _slice_to_ras(axes, middle), extent, False) for axes in (_SAGITTAL, _CORONAL)]
    for view, shown in zip(SLICE_VIEWS, slices, strict=False):
        scene.set_slice_view(view, *shown)


def _slice_to_ras(axes: FloatArray, middle: FloatArray) -> FloatArray:
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = axes, middle[:3]
    return matrix
