"""THE ray caster: line integrals of soft tissue and bone, and the scene coordinates of every bone, for batches of X-ray cameras.

Line integrals are dimensionless (linear attenuation in 1/mm times length in mm). Scene coordinates are the RAS positions (mm) of
the first and the last bone surface that a pixel's ray meets. Results are Warp arrays: ``.numpy()`` and ``warp.to_torch()`` give
views of them without a copy on the device they were made on.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .bone import BoneLabels, occupancy
from .camera import Camera, FloatArray, invert_pose
from .ct import CTVolume, hu_to_attenuation
from .segmentation import bounding_box

if TYPE_CHECKING:
    import warp as wp


@dataclass(frozen=True)
class _GridVolume:
    """A volume on the device with an empty voxel all round, and the transform of that grid to RAS."""

    values: Any
    size: tuple[int, int, int]
    ijk_to_ras: FloatArray


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
            soft_attenuation: linear attenuation of everything but bone, 1/mm, [k, j, i].
            bone_attenuation: linear attenuation of bone, 1/mm, [k, j, i].
            occupancies: one field [k, j, i] per label, 0 outside to 1 inside, whose 0.5 level is the bone's surface.
            ijk_to_ras: 4x4 from voxel index (i, j, k) to RAS mm.
            device: "cpu", "cuda" or "cuda:1".
        """
        import warp as wp

        wp.config.log_level = wp.LOG_WARNING
        self.device = device
        self.ijk_to_ras = np.asarray(ijk_to_ras, dtype=np.float64)
        materials = np.stack([soft_attenuation, bone_attenuation], axis=-1)
        self._materials = self._upload(materials, wp.vec2)
        self._labels = []
        for field in occupancies:
            # A bone of no voxels keeps one empty voxel: its maps are empty.
            box = bounding_box(field > 0, [0, 0, 0]) if field.any() else (slice(0, 1),) * 3
            levels = np.rint(255 * field[box]).astype(np.uint8)
            self._labels.append(self._upload(levels, wp.uint8, [axis.start for axis in reversed(box)]))

    @classmethod
    def from_ct(cls, ct: CTVolume, bones: BoneLabels, device: str = "cpu") -> Projector:
        """Projector of a CT whose attenuation is divided into bone and the rest by the bones' occupancy."""
        fields = [occupancy(bones, label) for label in bones.names]
        bone_share = np.clip(np.sum(fields, axis=0), 0, 1)
        attenuation = hu_to_attenuation(ct.hu)
        bone = attenuation * bone_share
        return cls(attenuation - bone, bone, fields, ct.ijk_to_ras, device)

    @property
    def label_count(self) -> int:
        """Number of bones with scene coordinates of their own."""
        return len(self._labels)

    def line_integrals(self, camera: Camera | Sequence[Camera], ras_to_camera: npt.ArrayLike) -> wp.array[Any]:
        """Line integrals of soft tissue and bone.

        Args:
            camera: one camera for all views or one per view, all of the same image size.
            ras_to_camera: poses (views, 4, 4).

        Returns:
            float32 array (views, 2, rows, columns): [:, 0] soft tissue, [:, 1] bone; dimensionless.
        """
        import warp as wp

        from . import kernels

        views = _Views(camera, ras_to_camera)
        image = wp.empty((views.count, 2, *views.image_size), dtype=wp.float32, device=self.device)
        volume = self._materials
        self._launch(kernels.line_integrals, views, [volume.values, _grid(volume), *self._rays(views, volume)], [], image)
        return image

    def scene_coordinates(self, camera: Camera | Sequence[Camera], ras_to_camera: npt.ArrayLike) -> wp.array[Any]:
        """First and last bone surface hit of every pixel's ray, for each label.

        Args:
            camera: as in `line_integrals`.
            ras_to_camera: poses (views, 4, 4).

        Returns:
            float32 array (views, 6 * labels, rows, columns), RAS mm: for each label entry x, y, z, then exit x, y, z; NaN off bone.
        """
        import warp as wp

        from . import kernels

        views = _Views(camera, ras_to_camera)
        hits = wp.empty((views.count, 6 * self.label_count, *views.image_size), dtype=wp.float32, device=self.device)
        for label, volume in enumerate(self._labels):
            transform = wp.mat44(*volume.ijk_to_ras.astype(np.float32).ravel().tolist())
            inputs = [volume.values, _grid(volume), transform, *self._rays(views, volume)]
            self._launch(kernels.surface_hits, views, inputs, [label], hits)
        return hits

    def _upload(self, volume: npt.NDArray[Any], dtype: Any, first_voxel: Sequence[int] = (0, 0, 0)) -> _GridVolume:
        import warp as wp

        padded = np.pad(volume, [(1, 1)] * 3 + [(0, 0)] * (volume.ndim - 3))
        to_ras = self.ijk_to_ras.copy()
        to_ras[:3, 3] += to_ras[:3, :3] @ (np.asarray(first_voxel) - 1.0)
        k, j, i = padded.shape[:3]
        flat = padded.reshape(k * j * i, *padded.shape[3:])
        return _GridVolume(wp.array(flat, dtype=dtype, device=self.device), (i, j, k), to_ras)

    def _rays(self, views: _Views, volume: _GridVolume) -> list[wp.array[Any]]:
        """Source and pixel-to-direction matrix of each view in the volume's voxel indices."""
        import warp as wp

        ras_to_ijk = np.linalg.inv(volume.ijk_to_ras)
        camera_to_ijk = ras_to_ijk @ invert_pose(views.ras_to_camera)
        directions = camera_to_ijk[:, :3, :3] @ views.inverse_matrices
        return [
            wp.array(camera_to_ijk[:, :3, 3].astype(np.float32), dtype=wp.vec3, device=self.device),
            wp.array(directions.astype(np.float32), dtype=wp.mat33, device=self.device),
        ]

    def _launch(self, kernel: Any, views: _Views, inputs: list[Any], extra: list[Any], output: wp.array[Any]) -> None:
        """Run a kernel over all pixels: at once on CUDA, in equal parts on a thread pool on the CPU (a launch releases the GIL)."""
        import warp as wp

        rows, columns = views.image_size
        total = views.count * rows * columns

        def part(first: int, last: int) -> None:
            wp.launch(kernel, dim=last - first, inputs=[*inputs, first, *extra], outputs=[output], device=self.device)

        threads = os.cpu_count() or 1
        if wp.get_device(self.device).is_cuda or threads == 1 or total < 1024:
            part(0, total)
            return
        wp.load_module(kernel.module.name, device=self.device)
        bounds = np.linspace(0, total, 4 * threads + 1).astype(int).tolist()
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(part, bounds[:-1], bounds[1:]))


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
        self.inverse_matrices = np.linalg.inv(np.stack([c.matrix for c in cameras])) if cameras else np.empty((0, 3, 3))


def _grid(volume: _GridVolume) -> Any:
    import warp as wp

    from .kernels import Grid

    grid = Grid()
    grid.size = wp.vec3i(*volume.size)
    grid.ijk_to_mm = wp.mat33(*volume.ijk_to_ras[:3, :3].astype(np.float32).ravel().tolist())
    return grid
