"""Bone surfaces against analytic bodies and VTK's own checks."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from DRRSimulatorLib.bone import BoneLabels, segment_bone
from DRRSimulatorLib.camera import transform_points
from DRRSimulatorLib.ct import read_ct
from DRRSimulatorLib.errors import InputError
from DRRSimulatorLib.surface import Surface, bone_surface, surface_to_polydata
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation
from scipy.stats import kstest

SEMI_AXES = np.array([28.0, 22.0, 18.0])  # mm, along x, y, z
CENTRE = np.array([-40.0, 110.0, 630.0])
SPACING = np.array([0.8, 0.8, 1.25])


def ellipsoid() -> BoneLabels:
    """A voxelised ellipsoid on an oblique grid."""
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", [20, -35, 50], degrees=True).as_matrix() * SPACING
    shape = (52, 80, 80)
    matrix[:3, 3] = CENTRE - matrix[:3, :3] @ np.array([40.3, 39.2, 25.6])
    k, j, i = np.indices(shape)
    points = transform_points(matrix, np.stack([i, j, k], axis=-1).reshape(-1, 3))
    inside = np.linalg.norm((points - CENTRE) / SEMI_AXES, axis=1) <= 1
    return BoneLabels(inside.reshape(shape).astype(np.uint8), matrix, {1: "bone"})


def flipped(bones: BoneLabels, axes_kji: list[int]) -> BoneLabels:
    """The same bones with array axes running the other way."""
    change = np.eye(4)
    for axis in axes_kji:
        change[2 - axis, 2 - axis] = -1
        change[2 - axis, 3] = bones.labels.shape[axis] - 1
    return BoneLabels(np.flip(bones.labels, axes_kji), bones.ijk_to_ras @ change, bones.names)


def signed_volume(surface: Surface) -> float:
    """Volume by the divergence theorem, mm^3; negative where the triangles look inward."""
    a, b, c = np.moveaxis(surface.points[surface.triangles].astype(np.float64) - surface.points.mean(axis=0), 1, 0)
    return float((a * np.cross(b, c)).sum() / 6)


def is_closed_and_oriented(surface: Surface) -> bool:
    """Whether every edge occurs exactly once in each direction."""
    t = surface.triangles.astype(np.int64)
    edges = np.concatenate([t[:, [0, 1]], t[:, [1, 2]], t[:, [2, 0]]])
    forward, backward = edges @ [len(surface.points), 1], edges @ [1, len(surface.points)]
    return len(np.unique(forward)) == len(forward) and np.array_equal(np.sort(forward), np.sort(backward))


def test_the_surface_of_an_ellipsoid_is_closed_with_its_volume_and_outward_triangles() -> None:
    surface = bone_surface(ellipsoid(), 1)
    assert surface.points.dtype == np.float32 and surface.triangles.dtype == np.int32
    assert is_closed_and_oriented(surface)
    assert signed_volume(surface) == pytest.approx(4 / 3 * np.pi * SEMI_AXES.prod(), rel=0.01)
    a, b, c = np.moveaxis(surface.points[surface.triangles].astype(np.float64), 1, 0)
    normals, outward = np.cross(b - a, c - a), (a - CENTRE) / SEMI_AXES**2
    assert ((normals * outward).sum(axis=1) > 0).all()


@pytest.mark.parametrize("axes", [[0], [2], [0, 1], [0, 1, 2]])
def test_a_flipped_ct_gives_the_same_surface(axes: list[int]) -> None:
    bones = ellipsoid()
    surface, other = bone_surface(bones), bone_surface(flipped(bones, axes))
    assert len(surface.points) == len(other.points)
    distance, nearest = cKDTree(surface.points).query(other.points)
    assert distance.max() < 1e-3
    assert len(np.unique(nearest)) == len(nearest)
    assert is_closed_and_oriented(other)
    assert signed_volume(other) == pytest.approx(signed_volume(surface), rel=1e-4)


@pytest.mark.parametrize("density", [0.1, 0.5, 0.9])
def test_any_mask_gives_a_closed_surface(density: float) -> None:
    labels = (np.random.default_rng(0).random((15, 16, 17)) < density).astype(np.uint8)
    assert is_closed_and_oriented(bone_surface(BoneLabels(labels, np.eye(4), {1: "bone"})))


def test_a_shaft_cut_by_the_edge_of_the_ct_is_closed_there() -> None:
    j, i = np.mgrid[:60, :60]
    disc = (i - 29.6) ** 2 + (j - 30.1) ** 2 <= 20**2
    labels = np.broadcast_to(disc, (30, 60, 60)).astype(np.uint8)
    surface = bone_surface(BoneLabels(labels, np.diag([0.5, 0.5, 2.0, 1.0]), {1: "shaft"}))
    assert is_closed_and_oriented(surface)
    assert surface.points[:, 2].min() == pytest.approx(-1.0, abs=0.05)
    assert surface.points[:, 2].max() == pytest.approx(59.0, abs=0.05)
    assert signed_volume(surface) == pytest.approx(np.pi * 10**2 * 60, rel=0.01)


def test_a_real_pelvis_has_a_closed_surface(shared_data: Path) -> None:
    assert is_closed_and_oriented(bone_surface(segment_bone(read_ct(shared_data / "pelvis_ct" / "ct.nii.gz"))))


def test_one_bone_or_all_bones_as_one() -> None:
    labels = np.zeros((30, 30, 60), dtype=np.uint8)
    labels[5:25, 5:25, 5:30] = 1
    labels[5:25, 5:25, 30:55] = 2
    bones = BoneLabels(labels, np.eye(4), {1: "radius", 2: "ulna"})
    first, both = bone_surface(bones, 1), bone_surface(bones)
    assert first.points[:, 0].max() == pytest.approx(29.5, abs=0.1)
    assert both.points[:, 0].max() == pytest.approx(54.5, abs=0.1)
    middle = both.points[np.abs(both.points[:, 0] - 29.5) < 3]
    assert np.all((np.abs(middle[:, 1] - 14.5) > 9) | (np.abs(middle[:, 2] - 14.5) > 9))  # no wall between them
    with pytest.raises(InputError):
        bone_surface(bones, 3)


def test_samples_lie_on_the_surface_uniformly_by_area() -> None:
    """Heights on a sphere are uniform (Archimedes), whatever the triangles' sizes."""
    angles = np.pi * np.array(list(product((np.arange(41) / 40) ** 2, np.arange(80) / 40)))
    polar, azimuth = angles.T
    points = 50 * np.stack([np.sin(polar) * np.cos(azimuth), np.sin(polar) * np.sin(azimuth), np.cos(polar)], axis=1)
    row, column = (n.ravel() for n in np.mgrid[:40, :80])
    a, b, c, d = row * 80 + column, row * 80 + (column + 1) % 80, (row + 1) * 80 + column, (row + 1) * 80 + (column + 1) % 80
    triangles = np.concatenate([np.stack([a, c, b], axis=1), np.stack([b, c, d], axis=1)])
    sphere = Surface(points.astype(np.float32), triangles.astype(np.int32))
    samples = sphere.sample(20000, np.random.default_rng(0))
    assert samples.shape == (20000, 3)
    np.testing.assert_allclose(np.linalg.norm(samples, axis=1), 50, atol=0.25)
    assert kstest(samples[:, 2], "uniform", args=(-50, 100)).statistic < 0.02
    assert kstest(np.arctan2(samples[:, 1], samples[:, 0]), "uniform", args=(-np.pi, 2 * np.pi)).statistic < 0.02


def test_vtk_sees_the_same_closed_body() -> None:
    from vtkmodules.util.numpy_support import vtk_to_numpy
    from vtkmodules.vtkFiltersCore import vtkFeatureEdges, vtkMassProperties

    surface = bone_surface(ellipsoid())
    polydata = surface_to_polydata(surface)
    np.testing.assert_array_equal(vtk_to_numpy(polydata.GetPoints().GetData()), surface.points)
    edges = vtkFeatureEdges()
    edges.SetInputData(polydata)
    edges.FeatureEdgesOff()
    edges.Update()
    assert edges.GetOutput().GetNumberOfCells() == 0  # neither open nor shared by more than two
    mass = vtkMassProperties()
    mass.SetInputData(polydata)
    assert mass.GetVolume() == pytest.approx(signed_volume(surface), rel=1e-3)
