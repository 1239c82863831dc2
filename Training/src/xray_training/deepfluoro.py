"""Reader of the DeepFluoro data set: X-rays of cadaveric pelvises with poses, in one HDF5 file (full resolution, with volumes).

R. B. Grupp et al., "Automatic annotation of hip anatomy in fluoroscopy for robust and efficient 2D/3D registration", International
Journal of Computer Assisted Radiology and Surgery 15, 2020; the layout is described beside the data's example code. The file is from
elsewhere, so nothing in it is believed before it is checked, and sizes are checked before anything is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk
from DRRSimulatorLib.bone import BoneLabels, resample_labels
from DRRSimulatorLib.camera import Camera, FloatArray, invert_pose, is_rigid
from DRRSimulatorLib.ct import CTVolume, ct_from_image
from DRRSimulatorLib.errors import InputError

from .hdf5_heap import check_heap
from .optional import optional_package

MOST_VOXELS = 1 << 29
MOST_PIXELS = 1 << 24
VOXEL_MM = 1e-3, 1e3  # far beyond all CTs; of smaller ones ITK makes singular matrices
MOST_DEFLATED = 1032  # bytes that one of a compressed data set can become, see `DRRSimulatorLib.volume_header`
BORDER_PIXELS = 50  # what the data's authors cut off on each side, where the collimator shows

# The pelvis moves as one; femurs and vertebrae have poses of their own.
PELVIS = ("hemipelvis", "sacrum")
ALL_BONE = "bone"  # of simulated X-rays: all bone of a CT as one, named as `segment_bone` does

_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
# In the file x and y run along columns and rows and z towards the source: the images are stored as seen from the detector. Seen from the
# source, as our cameras see, columns run the other way; turned by 180 degrees as well, rows do instead.
_FROM_SOURCE = np.diag([-1.0, 1.0, -1.0, 1.0])
_FROM_SOURCE_TURNED = np.diag([1.0, -1.0, -1.0, 1.0])


@dataclass(frozen=True)
class Projection:
    """One X-ray of a specimen.

    Attributes:
        pixels: intensities [row, column], the patient upright, seen from the source, without the border.
        camera: of the pixels.
        ras_to_camera: 4x4 true pose of the pelvis.
    """

    pixels: npt.NDArray[np.float32]
    camera: Camera
    ras_to_camera: FloatArray


class DeepFluoro:
    """An open file."""

    def __init__(self, file: Any, name: str) -> None:
        self._file = file
        self._name = name

    @property
    def specimens(self) -> list[str]:
        """Names of the specimens."""
        return [name for name in self._names(self._file, "/") if name != "proj-params"]

    def projections(self, specimen: str) -> list[str]:
        """Names of a specimen's X-rays.

        Raises:
            InputError: if there is no such specimen.
        """
        place = f"{self._specimen(specimen)}/projections"
        return self._names(self._group(place), place)

    def ct(self, specimen: str) -> CTVolume:
        """A specimen's CT.

        Raises:
            InputError: if it is missing or damaged.
        """
        return ct_from_image(self._volume(f"{self._specimen(specimen)}/vol"), f"The CT of {specimen} in {self._name}")

    def pelvis(self, specimen: str, ct: CTVolume) -> BoneLabels:
        """Hip bones and sacrum of a specimen, on the grid of its CT.

        Raises:
            InputError: if they are missing or damaged.
        """
        place = f"{self._specimen(specimen)}/vol-seg"
        labels = resample_labels(sitk.Cast(self._volume(f"{place}/image"), sitk.sitkUInt8), ct)
        present = {label: name for label, name in self._label_names(place).items() if (labels == label).any()}
        names = {label: name for label, name in present.items() if name == ALL_BONE or any(part in name for part in PELVIS)}
        if not names:
            raise InputError(f"The segmentation of {specimen} in {self._name} has no hip bone and no sacrum.")
        return BoneLabels(np.where(np.isin(labels, list(names)), labels, 0).astype(np.uint8), ct.ijk_to_ras, names)

    def projection(self, specimen: str, name: str) -> Projection:
        """An X-ray with its camera and the pelvis' true pose.

        The stored poses were found with DRRs that were half a voxel off along each axis of the CT; the authors' own software
        (rg2/xreg, sample_single_view_regi_2d_3d) takes that back when it reads them, and so does this.

        Raises:
            InputError: if it is missing or damaged.
        """
        place = f"{self._specimen(specimen)}/projections/{name}"
        shape = (self._count("proj-params/num-rows"), self._count("proj-params/num-cols"))
        pixels = self._array(f"{place}/image/pixels", shape).astype(np.float32)
        turned = bool(self._array(f"{place}/rot-180-for-up", ()))
        volume = f"{specimen}/vol"
        half_voxel = np.eye(4)
        half_voxel[:3, 3] = -self._array(f"{volume}/dir-mat", (3, 3)) @ self._vector(f"{volume}/spacing", 3) / 2
        world_to_volume = half_voxel @ self._pose(f"{place}/gt-poses/cam-to-pelvis-vol")
        from_source = _FROM_SOURCE_TURNED if turned else _FROM_SOURCE
        pose = from_source @ self._pose("proj-params/extrinsic") @ invert_pose(world_to_volume) @ _LPS_TO_RAS
        seen = pixels[::-1] if turned else pixels[:, ::-1]
        border, (rows, columns) = BORDER_PIXELS, shape
        camera = self._camera(shape, turned).cropped(border, border, (rows - 2 * border, columns - 2 * border))
        return Projection(np.ascontiguousarray(seen[border:-border, border:-border]), camera, pose)

    def _camera(self, shape: tuple[int, int], turned: bool) -> Camera:
        """Camera of the images seen from the source."""
        k = self._array("proj-params/intrinsic", (3, 3))
        x, y = (float(self._array(f"proj-params/pixel-{axis}-spacing", ())) for axis in ("col", "row"))
        expected = np.array([[k[0, 0], 0, k[0, 2]], [0, k[1, 1], k[1, 2]], [0, 0, 1]])
        if max(k[0, 0], k[1, 1]) >= 0 or not np.allclose(k, expected, rtol=0, atol=1e-3):
            raise InputError(f"proj-params/intrinsic in {self._name} is not a camera whose z axis points to the source: {k.tolist()}.")
        distance = -k[0, 0] * x
        if not np.isclose(distance, -k[1, 1] * y, rtol=1e-3):
            raise InputError(f"proj-params of {self._name} tells two source-to-detector distances: {distance:g} and {-k[1, 1] * y:g} mm.")
        rows, columns = shape
        point = (k[0, 2], rows - 1 - k[1, 2]) if turned else (columns - 1 - k[0, 2], k[1, 2])
        return Camera(float(distance), (x, y), shape, (float(point[0]), float(point[1])))

    def _volume(self, place: str) -> sitk.Image:
        """A volume with its place in LPS."""
        dataset = self._dataset(f"{place}/pixels")
        if dataset.ndim != 3 or dataset.size > MOST_VOXELS:
            raise InputError(f"{place}/pixels in {self._name} is not a volume of at most {MOST_VOXELS} voxels, but {dataset.shape}.")
        with self._readable(f"{place}/pixels"):
            if dataset.nbytes > MOST_DEFLATED * dataset.id.get_storage_size():
                raise InputError(f"{place}/pixels in {self._name} claims {dataset.nbytes} bytes, which are not in the file; it is damaged.")
        spacing, direction = self._vector(f"{place}/spacing", 3), self._array(f"{place}/dir-mat", (3, 3))
        sizes_are_usable = ((spacing >= VOXEL_MM[0]) & (spacing <= VOXEL_MM[1])).all()
        if not (sizes_are_usable and np.allclose(direction @ direction.T, np.eye(3), atol=1e-4)):
            raise InputError(f"{place} in {self._name} has no usable grid: spacing {spacing.tolist()}, axes {direction.tolist()}.")
        image = sitk.GetImageFromArray(self._read(dataset).astype(np.float32))
        image.SetSpacing(spacing.tolist())
        image.SetDirection(direction.ravel().tolist())
        image.SetOrigin(self._vector(f"{place}/origin", 3).tolist())
        return image

    def _label_names(self, segmentation: str) -> dict[int, str]:
        names = {}
        for key in self._names(self._group(f"{segmentation}/labels-def"), f"{segmentation}/labels-def"):
            dataset = self._dataset(f"{segmentation}/labels-def/{key}")
            value = self._read(dataset) if dataset.shape == () else None
            text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
            if not (key.isascii() and key.isdigit() and 0 < int(key) < 256 and isinstance(text, str)):
                raise InputError(f"{segmentation}/labels-def/{key} in {self._name} is not the name of a label from 1 to 255.")
            names[int(key)] = text
        return names

    def _pose(self, place: str) -> FloatArray:
        pose = self._array(place, (4, 4))
        if not is_rigid(pose):
            raise InputError(f"{place} in {self._name} is not a rigid 4x4 transform.")
        return pose

    def _count(self, place: str) -> int:
        count = int(self._array(place, ()))
        if not 2 * BORDER_PIXELS + 32 <= count <= MOST_PIXELS // 1000:
            raise InputError(f"{place} in {self._name} is {count}, which is no number of pixels along an X-ray.")
        return count

    def _vector(self, place: str, count: int) -> FloatArray:
        """A vector, which may be stored as a matrix of one column."""
        values = self._array(place, None if self._dataset(place).shape != (count,) else (count,))
        if values.shape not in ((count,), (count, 1)):
            raise InputError(f"{place} in {self._name} should hold {count} numbers, but has the shape {values.shape}.")
        return values.reshape(count)

    def _array(self, place: str, shape: tuple[int, ...] | None) -> FloatArray:
        """Finite numbers of a shape; None: any small shape."""
        dataset = self._dataset(place)
        if shape is None and dataset.size > 64:
            raise InputError(f"{place} in {self._name} holds far too many values: {dataset.size}.")
        if dataset.dtype.kind not in "fiub" or shape not in (None, dataset.shape):
            held = f"{dataset.dtype} {dataset.shape}"
            raise InputError(f"{place} in {self._name} should hold numbers of the shape {shape}, but holds {held}.")
        values = np.asarray(self._read(dataset), dtype=np.float64)
        if not np.isfinite(values).all():
            raise InputError(f"{place} in {self._name} holds values that are not finite.")
        return values

    def _names(self, group: Any, place: str) -> list[str]:
        """Names in a group, sorted."""
        with self._readable(place):
            return sorted(group)

    def _read(self, dataset: Any) -> Any:
        """All of a data set."""
        with self._readable(dataset.name):
            if dataset.dtype.kind == "O":  # text
                check_heap(dataset)
            return dataset[()]

    @contextmanager
    def _readable(self, place: str) -> Iterator[None]:
        """Say of whatever goes wrong that the file is damaged: HDF5's errors become exceptions of many kinds."""
        try:
            yield
        except InputError:
            raise
        except Exception as error:
            raise InputError(f"{place} in {self._name} cannot be read; the file is damaged ({error}).") from error

    def _dataset(self, place: str) -> Any:
        """A data set that lies in this file itself."""
        found = self._at(place)
        with self._readable(place):
            plain = hasattr(found, "dtype") and not found.external and not found.is_virtual
        if not plain:
            raise InputError(f"{place} in {self._name} is not a plain data set.")
        return found

    def _group(self, place: str) -> Any:
        found = self._at(place)
        if hasattr(found, "dtype"):
            raise InputError(f"{place} in {self._name} is not a group.")
        return found

    def _at(self, place: str) -> Any:
        try:
            found = self._file[place]
        except KeyError:  # not there, or a link to what is not there
            found = None
        except Exception as error:
            raise InputError(f"{place} in {self._name} cannot be read; the file is damaged ({error}).") from error
        if found is None or found.file.filename != self._file.filename:
            raise InputError(f"{self._name} has no {place}; give the full-resolution file of the DeepFluoro data set.")
        return found

    def _specimen(self, specimen: str) -> str:
        if specimen not in self.specimens:
            raise InputError(f"{self._name} has no specimen {specimen!r}; choose one of {', '.join(self.specimens)}.")
        return specimen


@contextmanager
def open_deepfluoro(path: Path) -> Iterator[DeepFluoro]:
    """Open a file of the data set.

    Raises:
        InputError: if it cannot be read as HDF5, or h5py is not installed.
    """
    h5py = optional_package("h5py", "h5py")
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise InputError(f"{path} cannot be read as an HDF5 file; give the full-resolution file of the DeepFluoro data set.") from error
    with file:
        yield DeepFluoro(file, path.name)
