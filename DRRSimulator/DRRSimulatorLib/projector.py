"""THE ray caster: line integrals of soft tissue and bone, their derivatives by the pose, and the scene coordinates of every bone.

Everything works on batches of X-ray cameras. Line integrals are dimensionless (linear attenuation in 1/mm times length in mm). Scene
coordinates are the RAS positions (mm) of the first and the last bone surface that a pixel's ray meets. Results are Warp arrays:
``.numpy()`` and ``warp.to_torch()`` give views of them without a copy on the device they were made on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .blocks import occupied_blocks
from .bone import BoneLabels, occupancy
from .camera import Camera, FloatArray, invert_pose
from .ct import CTVolume, cortical_part, hu_to_attenuation
from .launch import launch_in_parts, start_warp
from .segmentation import bounding_box
from .slabs import PackedAttenuation, main_axis_order, steepest_slope, thicknesses_for

if TYPE_CHECKING:
    import warp as wp

# A ray moves up to one voxel sideways a slice: over half a block of slices 3.5 voxels, and one more for the interpolation.
_BLOCK_MARGIN = 5
_SURFACE_LEVEL = 128  # of 255: voxels from here on lie inside


class Projector:
    """Casts rays through one CT. Volumes are uploaded once; every call renders a batch of views."""

    def __init__(
        self,
        soft_attenuation: npt.NDArray[np.float32],
        bone_attenuation: npt.NDArray[np.float32],
        occupancies: Sequence[npt.NDArray[np.float32]],
        ijk_to_ras: npt.ArrayLike,
        device: str = "cpu",
    ) -> None:
        """Prepare the volumes.

        Args:
            soft_attenuation: linear attenuation of what attenuates as soft tissue does, 1/mm, [k, j, i].
            bone_attenuation: linear attenuation of what attenuates as cortical bone does, 1/mm, [k, j, i].
            occupancies: one field [k, j, i] per label, 0 outside to 1 inside, whose 0.5 level is the bone's surface.
            ijk_to_ras: 4x4 from voxel index (i, j, k) to RAS mm.
            device: "cpu", "cuda" or "cuda:1".
        """
        start_warp()
        self.device = device
        self.ijk_to_ras = np.asarray(ijk_to_ras, dtype=np.float64)
        self._attenuation = PackedAttenuation(soft_attenuation, bone_attenuation)
        self._slabs: dict[tuple[int, int], Any] = {}
        self._making_slabs = Lock()
        self._surfaces = [self._surface(field) for field in occupancies]

    @classmethod
    def from_ct(cls, ct: CTVolume, bones: BoneLabels, device: str = "cpu") -> Projector:
        """Projector of a CT, whose attenuation is divided into that of soft tissue and of cortical bone by its density.

        What is dense but no labelled bone, such as the shaft beyond a label's end, attenuates as bone all the same.
        """
        attenuation = hu_to_attenuation(ct.hu)
        bone = cortical_part(attenuation)
        fields = [occupancy(bones, label) for label in bones.names]
        return cls(attenuation - bone, bone, fields, ct.ijk_to_ras, device)

    @property
    def label_count(self) -> int:
        """Number of bones with scene coordinates of their own."""
        return len(self._surfaces)

    def line_integrals(self, camera: Camera | Sequence[Camera], ras_to_camera: npt.ArrayLike) -> wp.array[Any]:
        """Line integrals of soft tissue and bone.

        Args:
            camera: one camera for all views or one per view, all of the same image size.
            ras_to_camera: poses (views, 4, 4).

        Returns:
            float32 array (views, 2, rows, columns), dimensionless: [:, 0] soft tissue, with the marrow in bones; [:, 1] cortical bone,
            with its share of trabecular bone.
        """
        import warp as wp

        from . import integral_kernels

        views = _Views(camera, ras_to_camera)
        image = wp.empty((views.count, 2, *views.image_size), dtype=wp.float32, device=self.device)
        self._cast_by_main_axis(integral_kernels.line_integrals, views, lambda camera_to_voxel: [], image)
        return image

    def line_integrals_and_derivatives(
        self, camera: Camera | Sequence[Camera], ras_to_camera: npt.ArrayLike, pivot_ras: npt.ArrayLike
    ) -> wp.array[Any]:
        """Line integrals of both materials together, and how they change when the patient moves a little.

        Args:
            camera: as in `line_integrals`.
            ras_to_camera: poses (views, 4, 4).
            pivot_ras: point (3,), RAS mm, that rotations leave in place.

        Returns:
            float32 array (views, 7, rows, columns): [:, 0] the line integrals; [:, 1:4] their derivatives by a rotation vector in the
            camera's frame, per radian; [:, 4:7] by a translation in it, per mm. The motion is that of `camera.move_pose`.
        """
        import warp as wp

        from . import integral_kernels

        views = _Views(camera, ras_to_camera)
        pivots = views.ras_to_camera[:, :3, :3] @ np.asarray(pivot_ras, dtype=np.float64) + views.ras_to_camera[:, :3, 3]
        result = wp.empty((views.count, 7, *views.image_size), dtype=wp.float32, device=self.device)

        def motions(camera_to_voxel: FloatArray) -> list[Any]:
            motions = integral_kernels.Motions()
            motions.camera_to_voxel = self._matrices(camera_to_voxel[:, :3, :3])
            motions.pixel_to_ray = self._matrices(views.inverse_matrices)
            motions.pivots = self._vectors(pivots)
            return [motions]

        self._cast_by_main_axis(integral_kernels.derivatives, views, motions, result)
        return result

    def scene_coordinates(
        self, camera: Camera | Sequence[Camera], ras_to_camera: npt.ArrayLike, labels: Sequence[int] | None = None
    ) -> wp.array[Any]:
        """First and last bone surface hit of every pixel's ray, for each label.

        Args:
            camera: as in `line_integrals`.
            ras_to_camera: poses (views, 4, 4).
            labels: which labels, by their places from 0 in the order they were given in; None for all.

        Returns:
            float32 array (views, 6 * labels, rows, columns), RAS mm: for each label entry x, y, z, then exit x, y, z; NaN off bone.
        """
        import warp as wp

        from . import surface_kernels

        views = _Views(camera, ras_to_camera)
        surfaces = self._surfaces if labels is None else [self._surfaces[label] for label in labels]
        hits = wp.empty((views.count, 6 * len(surfaces), *views.image_size), dtype=wp.float32, device=self.device)
        for place, (surface, ijk_to_ras) in enumerate(surfaces):
            inputs = [surface, self._rays(views, views.camera_to(ijk_to_ras), range(views.count)), place]
            launch_in_parts(surface_kernels.surface_hits, views.pixel_count, inputs, hits, self.device)
        return hits

    def _cast_by_main_axis(self, kernel: Any, views: _Views, more_inputs: Callable[[FloatArray], list[Any]], output: wp.array[Any]) -> None:
        """Launch a kernel for the rays of each main axis that occurs in the views.

        `more_inputs` makes further inputs of the transforms (views, 4, 4) from camera coordinates to voxel indices, which are in the
        order main axis, w, u.
        """
        import warp as wp

        camera_to_ijk = views.camera_to(self.ijk_to_ras)
        possible = [possible_main_axes(linear, views.image_size) for linear in camera_to_ijk[:, :3, :3] @ views.inverse_matrices]
        for main in sorted(set().union(*possible)):
            chosen = [view for view, axes in enumerate(possible) if main in axes]
            order = list(main_axis_order(main))
            thin, thick = thicknesses_for(float(np.linalg.norm(self.ijk_to_ras[:3, main])))
            camera_to_voxel = camera_to_ijk[:, [*order, 3]]
            inputs = [
                self._slabs_along(main, thin),
                self._slabs_along(main, thick),
                steepest_slope(thick),
                wp.vec3i(*order),
                wp.mat33(*self.ijk_to_ras[:3, order].astype(np.float32).ravel().tolist()),
                self._rays(views, camera_to_voxel, chosen),
                *more_inputs(camera_to_voxel),
            ]
            rows, columns = views.image_size
            launch_in_parts(kernel, len(chosen) * rows * columns, inputs, output, self.device)

    def _slabs_along(self, main: int, thickness: int) -> Any:
        """Slabs on the device, made when they are first needed: few views need all axes."""
        with self._making_slabs:
            if (main, thickness) not in self._slabs:
                self._slabs[main, thickness] = self._attenuation.slabs(main, thickness).on(self.device)
            return self._slabs[main, thickness]

    def _surface(self, field: npt.NDArray[np.float32]) -> tuple[Any, FloatArray]:
        """A label's `surface_kernels.Surface` within its bounding box and an empty voxel all round, and the box's 4x4 ijk_to_ras."""
        import warp as wp

        from .surface_kernels import Surface

        # A bone of no voxels keeps one empty voxel: its maps are empty.
        box = bounding_box(field > 0, [0, 0, 0]) if field.any() else (slice(0, 1),) * 3
        levels = np.pad(np.rint(255 * field[box]).astype(np.uint8), 1)
        ijk_to_ras = self.ijk_to_ras.copy()
        ijk_to_ras[:3, 3] += ijk_to_ras[:3, :3] @ (np.array([axis.start for axis in reversed(box)]) - 1.0)
        surface = Surface()
        surface.levels = wp.array(levels.ravel(), dtype=wp.uint8, device=self.device)
        occupied = occupied_blocks(levels >= _SURFACE_LEVEL, [_BLOCK_MARGIN] * 3)
        surface.occupied = wp.array(occupied.ravel(), dtype=wp.uint8, device=self.device)
        surface.size = wp.vec3i(*levels.shape[::-1])
        surface.ijk_to_ras = wp.mat44(*ijk_to_ras.astype(np.float32).ravel().tolist())
        return surface, ijk_to_ras

    def _rays(self, views: _Views, camera_to_voxel: FloatArray, chosen: Sequence[int]) -> Any:
        """The `ray_kernels.Rays` of views, from the transforms (views, 4, 4) of camera coordinates to voxel indices."""
        import warp as wp

        from .ray_kernels import Rays

        rays = Rays()
        rays.sources = self._vectors(camera_to_voxel[:, :3, 3])
        rays.pixel_to_direction = self._matrices(camera_to_voxel[:, :3, :3] @ views.inverse_matrices)
        rays.views = wp.array(list(chosen), dtype=wp.int32, device=self.device)
        rays.rows, rays.columns = views.image_size
        return rays

    def _vectors(self, values: FloatArray) -> wp.array[Any]:
        import warp as wp

        return wp.array(values.astype(np.float32), dtype=wp.vec3, device=self.device)

    def _matrices(self, values: FloatArray) -> wp.array[Any]:
        import warp as wp

        return wp.array(values.astype(np.float32), dtype=wp.mat33, device=self.device)


class _Views:
    """A batch of cameras and poses, checked once."""

    def __init__(self, camera: Camera | Sequence[Camera], ras_to_camera: npt.ArrayLike) -> None:
        self.ras_to_camera = np.asarray(ras_to_camera, dtype=np.float64)
        if self.ras_to_camera.ndim != 3 or self.ras_to_camera.shape[1:] != (4, 4):
            raise ValueError(f"ras_to_camera must have shape (views, 4, 4), not {self.ras_to_camera.shape}")
        self.count = len(self.ras_to_camera)
        cameras = list(camera) if isinstance(camera, Sequence) else [camera] * self.count
        if len(cameras) != self.count or len({c.image_size for c in cameras}) > 1:
            raise ValueError(f"{self.count} views need one camera, or as many cameras of one image size; got {len(cameras)}")
        self.image_size = cameras[0].image_size if cameras else (0, 0)
        matrices = np.stack([c.matrix for c in cameras]) if cameras else np.empty((0, 3, 3))
        self.inverse_matrices = np.asarray(np.linalg.inv(matrices), dtype=np.float64)

    @property
    def pixel_count(self) -> int:
        """Pixels of all views."""
        return self.count * self.image_size[0] * self.image_size[1]

    def camera_to(self, ijk_to_ras: FloatArray) -> FloatArray:
        """Transforms (views, 4, 4) from camera coordinates to the voxel indices of a grid."""
        transforms: FloatArray = np.linalg.inv(ijk_to_ras) @ invert_pose(self.ras_to_camera)
        return transforms


def possible_main_axes(pixel_to_direction: FloatArray, image_size: tuple[int, int]) -> list[int]:
    """Axes that may be the main axis of a ray of an image: those that no other axis surpasses all over the image.

    Directions are linear in the pixel, so their components lie between those of the image's corners.

    Args:
        pixel_to_direction: 3x3, of a pixel (column, row, 1).
        image_size: (rows, columns).
    """
    rows, columns = image_size
    corners = np.array([[column, row, 1.0] for column in (0, columns - 1) for row in (0, rows - 1)]) @ pixel_to_direction.T
    most = np.abs(corners).max(axis=0)
    least = np.where(corners.min(axis=0) * corners.max(axis=0) > 0, np.abs(corners).min(axis=0), 0.0)
    rounding = 1e-4  # the kernels compare in single precision
    return np.flatnonzero(most * (1 + rounding) >= least.max()).tolist()
