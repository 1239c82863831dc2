"""Deformed copies of a CT and its bones: other patients, made up, where few CTs are at hand.

A copy is taller or broader, leans and bends a little, and its bones are more or less dense. Nothing is torn or folded, and every bone
is there again. What the deformation says of anatomy is only that it varies smoothly: copies add variety, they replace no patients.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk
from DRRSimulatorLib.bone import BoneLabels
from DRRSimulatorLib.camera import FloatArray
from DRRSimulatorLib.ct import AIR_HU, CTVolume
from DRRSimulatorLib.volume_file import ijk_to_ras, place_in_ras

SOFT_TISSUE_HU = 50.0  # muscle; what a bone has above it is what its density changes
CONTROL_POINTS_MM = 80.0  # distance of the points that are displaced, at most; small CTs have three along each axis
LEAST_VOLUME = 0.3  # no part of a copy may be magnified or shrunk by the displacement by more than this factor
_SAMPLES_PER_CELL = 8  # along each axis between two control points, where volumes are checked


@dataclass(frozen=True)
class Variety:
    """How far copies differ from the CT; every value is drawn evenly from both sides of "as it is".

    Attributes:
        scale: largest change of each axis' length, as a share.
        shear: largest shift of an axis along another one, mm a mm.
        rotation_deg: largest rotation about each axis, degrees.
        displacement: largest displacement of a control point along each axis, as a share of the control points' distance. Up to 0.4
            nothing folds: Y. Choi and S. Lee, "Injectivity conditions of 2D and 3D uniform cubic B-spline functions", Graphical Models
            62 (2000).
        density: largest change of what the bones' HU have above soft tissue, as a share.
    """

    scale: float = 0.12
    shear: float = 0.05
    rotation_deg: float = 5.0
    displacement: float = 0.3
    density: float = 0.2


def deformed(ct: CTVolume, bones: BoneLabels, rng: np.random.Generator, variety: Variety = Variety()) -> tuple[CTVolume, BoneLabels]:
    """A deformed copy of a CT and of its bones, with all of the CT's box in it and air around that.

    Its middle is the CT's, its grid is turned and scaled with the patient, and its axes are those nearest to RAS: so it does not depend
    on the order and sense of the CT's axes, and faces of the volume that cut through the patient stay flat.

    Args:
        ct: the CT.
        bones: its bones on its grid.
        rng: draws the deformation; same state, same copy.
        variety: how far the copy may differ.

    Returns:
        The copy and its bones, with the labels and names of `bones`.
    """
    from scipy.spatial.transform import Rotation

    scale = 1 + variety.scale * rng.uniform(-1, 1, 3)
    rotation = Rotation.from_euler("xyz", variety.rotation_deg * rng.uniform(-1, 1, 3), degrees=True).as_matrix()
    # Along the axes before each alone: faces across the last one, where scans begin and end, stay faces of the volume.
    shear = np.eye(3) + np.triu(variety.shear * rng.uniform(-1, 1, (3, 3)), 1)
    density = 1 + variety.density * rng.uniform(-1, 1)

    image, labels = (_near_ras(values, ct.ijk_to_ras) for values in (_with_density(ct.hu, bones.labels, density), bones.labels))
    place = ijk_to_ras(image)
    size, spacing = np.array(image.GetSize()), np.array(image.GetSpacing())
    margin = np.ceil((np.abs(shear) - np.eye(3)) @ (size * spacing) / 2 / spacing - 1e-6).astype(int)
    grid_size = size + 2 * margin
    for volume in (image, labels):
        _put_in_the_middle(volume)
    grid = sitk.Image(grid_size.tolist(), sitk.sitkUInt8)
    grid.SetSpacing(spacing.tolist())
    _put_in_the_middle(grid)
    to_unsheared = sitk.AffineTransform(np.linalg.inv(shear).ravel().tolist(), [0.0] * 3)
    copy_to_ct = sitk.CompositeTransform([smooth_displacement(size * spacing, variety.displacement, rng), to_unsheared])

    copy_place = np.eye(4)
    copy_place[:3, :3] = place[:3, :3] / spacing @ rotation * (scale * spacing)
    copy_place[:3, 3] = place[:3, :3] @ ((size - 1) / 2) + place[:3, 3] - copy_place[:3, :3] @ ((grid_size - 1) / 2)
    hu = sitk.GetArrayFromImage(sitk.Resample(image, grid, copy_to_ct, sitk.sitkLinear, AIR_HU))
    return CTVolume(hu, copy_place), BoneLabels(_resampled_labels(labels, grid, copy_to_ct), copy_place, dict(bones.names))


def smooth_displacement(size_mm: FloatArray, displacement: float, rng: np.random.Generator) -> sitk.BSplineTransform:
    """A random smooth one-to-one map of a box onto itself: a cubic B-spline of displaced control points.

    Faces stay flat: across a face nothing is displaced, along it everything may be. Where the volume would change too much
    (`LEAST_VOLUME`), all displacements are made smaller.

    Args:
        size_mm: lengths (3,) of the box, whose middle is the origin.
        displacement: largest displacement of a control point along each axis, as a share of the control points' distance.
        rng: draws the displacements.
    """
    cells = np.maximum(2, np.ceil(size_mm / CONTROL_POINTS_MM)).astype(int)
    spline = sitk.BSplineTransform(3, 3)
    spline.SetTransformDomainOrigin((-size_mm / 2).tolist())
    spline.SetTransformDomainPhysicalDimensions(size_mm.tolist())
    spline.SetTransformDomainMeshSize(cells.tolist())
    points = np.empty((3, *(cells[::-1] + 3)))  # mm, [axis, k, j, i]: one more point than cells, and one around them on every side
    for axis, values in enumerate(points):
        values[:] = rng.uniform(-1, 1, values.shape) * displacement * size_mm[axis] / cells[axis]
        # Odd about the faces' points: (values[0] + 4 values[1] + values[2]) / 6, the displacement at the face, is 0.
        across = np.moveaxis(values, 2 - axis, 0)
        across[1] = across[-2] = 0
        across[0], across[-1] = -across[2], -across[-3]
    while True:
        spline.SetParameters(points.ravel().tolist())
        volumes = _volume_factors(spline, size_mm, cells)
        if volumes.min() >= LEAST_VOLUME and volumes.max() <= 1 / LEAST_VOLUME:
            return spline
        points *= 0.9


def _volume_factors(spline: sitk.Transform, size_mm: FloatArray, cells: npt.NDArray[Any]) -> FloatArray:
    """Determinants of the map's Jacobian all over the box, by finite differences."""
    counts = cells * _SAMPLES_PER_CELL + 1
    steps = size_mm / (counts - 1) * (1 - 1e-6)  # at the very face the spline counts as outside
    field = sitk.TransformToDisplacementField(
        spline, sitk.sitkVectorFloat64, counts.tolist(), (-steps * (counts - 1) / 2).tolist(), steps.tolist()
    )
    gradients = np.gradient(sitk.GetArrayViewFromImage(field), *steps[::-1], axis=(0, 1, 2))
    return np.asarray(np.linalg.det(np.stack(gradients[::-1], axis=-1) + np.eye(3)))


def _with_density(hu: npt.NDArray[np.float32], labels: npt.NDArray[np.uint8], factor: float) -> npt.NDArray[np.float32]:
    """HU in which what bone has above soft tissue is multiplied by a factor."""
    excess = np.maximum(hu - np.float32(SOFT_TISSUE_HU), 0)
    return np.where(labels > 0, hu + np.float32(factor - 1) * excess, hu)


def _near_ras(values: npt.NDArray[Any], place: FloatArray) -> sitk.Image:
    """An image whose axes i, j, k run left, posterior and superior as nearly as they can."""
    image = sitk.GetImageFromArray(values)
    place_in_ras(image, place)
    return sitk.DICOMOrient(image, "LPS")


def _put_in_the_middle(image: sitk.Image) -> None:
    """Lay an image's middle into the origin and its axes along those of space."""
    image.SetDirection(np.eye(3).ravel().tolist())
    image.SetOrigin((-(np.array(image.GetSize()) - 1) / 2 * image.GetSpacing()).tolist())


def _resampled_labels(labels: sitk.Image, grid: sitk.Image, copy_to_ct: sitk.Transform) -> npt.NDArray[np.uint8]:
    """Labels [k, j, i] by nearest neighbour; a bone so small that it falls between the voxels is widened until it does not."""

    def resampled(image: sitk.Image) -> npt.NDArray[np.uint8]:
        return np.asarray(sitk.GetArrayFromImage(sitk.Resample(image, grid, copy_to_ct, sitk.sitkNearestNeighbor)))

    result = resampled(labels)
    for lost in set(np.unique(sitk.GetArrayViewFromImage(labels))) - set(np.unique(result)):
        bone = labels == int(lost)
        while not (found := resampled(bone) > 0).any():
            bone = sitk.BinaryDilate(bone, [1, 1, 1])
        result[found] = lost
    return result
