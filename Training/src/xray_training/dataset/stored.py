"""Reading a data set: its patients, their CTs and views. Everything that is read is checked, because data sets are passed on."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from DRRSimulatorLib.bone import BoneLabels
from DRRSimulatorLib.camera import Camera, FloatArray, FloatImage, invert_pose, is_rigid
from DRRSimulatorLib.ct import CTVolume
from DRRSimulatorLib.errors import InputError

from ..optional import optional_package
from .layout import ARRAYS, CODECS, DEPTH_STEP_MM, FORMAT, GREY_VALUES_PER_UNIT, NAMES_OF, VERSION, array_layouts

if TYPE_CHECKING:
    import zarr

PATIENT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")

# More than any data set of ours has; what a damaged or malicious one claims shall not fill the memory.
_MOST_VIEWS, _LARGEST_SIDE, _MOST_VOXELS, _MOST_POINTS = 10_000_000, 8192, 2**32, 1_000_000


@dataclass(frozen=True, eq=False)
class StoredView:
    """A view as it is in a data set.

    Attributes:
        number: of the view, from 0.
        intensity: image, float32 (rows, columns), 1 = open field, bone dark.
        coordinates: scene coordinates, float32 (bones, 2, 3, rows, columns), RAS mm: where the pixel's ray enters (0) and leaves (1) each
            bone; NaN off bone.
        mask: bool (bones, rows, columns), where the ray meets the bone.
        camera: of the view.
        ras_to_camera: 4x4 pose.
        split: "train", "validation" or "test".
        stratum: what the view was drawn for, one of `layout.STRATA`.
        kilovolts: voltage of the tube.
        photons: mean number in a pixel of the open field.
    """

    number: int
    intensity: FloatImage
    coordinates: npt.NDArray[np.float32]
    mask: npt.NDArray[np.bool_]
    camera: Camera
    ras_to_camera: FloatArray
    split: str
    stratum: str
    kilovolts: float
    photons: float


class XRayDataset:
    """A data set on the disk, opened for reading."""

    def __init__(self, folder: Path) -> None:
        """Open a data set.

        Args:
            folder: of the data set: the one with data.zarr in it.

        Raises:
            InputError: if the folder is no data set, or one of a newer version; if zarr is not installed.
        """
        self.folder = Path(folder)
        self._root = _open_group(self.folder / ARRAYS)

    @cached_property
    def patients(self) -> list[str]:
        """Names of the patients, sorted."""
        folders = [path.parent.name for path in (self.folder / ARRAYS).glob("*/zarr.json")]
        return sorted(name for name in folders if PATIENT_NAME.fullmatch(name))

    def patient(self, name: str) -> StoredPatient:
        """A patient by name.

        Raises:
            InputError: if there is none of that name, or it is damaged.
        """
        if not PATIENT_NAME.fullmatch(name) or name not in self.patients:
            raise InputError(f"The data set {self.folder} has no patient {name!r}; it has {', '.join(self.patients) or 'none'}.")
        return StoredPatient(self.folder / ARRAYS / name)


class StoredPatient:
    """A patient of a data set: the CT, its bones, and its views; arrays are read when they are asked for.

    Attributes:
        name: of the patient.
        arrays: the Zarr arrays by name, for reading many views at once; `layout` describes them.
        camera: of every view.
        bones: name of each label, in the order of the bone axis.
        centre_ras: (3,) middle of the bones' surface, RAS mm: C-arm angles turn about it.
        ct_fingerprint: of the CT.
        attributes: all that the group says of itself.
    """

    def __init__(self, path: Path) -> None:
        """Open a patient's group; shapes, types and chunks of its arrays are checked.

        Raises:
            InputError: if something is missing or not as it should be.
        """
        self.path, self.name = path, path.name
        group = _open_group(path)
        _refuse_links(path)
        from zarr import config

        from .bounded_blosc import USE_IT

        with _readable(path), config.set(USE_IT):
            self.attributes: dict[str, Any] = dict(group.attrs)
            self.arrays: dict[str, zarr.Array[Any]] = dict(group.arrays())
            self.camera = Camera.from_dict(self.attributes["camera"])
            self.bones = {int(label): str(name) for label, name in self.attributes["bones"].items()}
            self.centre_ras: FloatArray = np.asarray(self.attributes["centre_ras"], dtype=np.float64)
            self.ct_fingerprint = str(self.attributes["ct_fingerprint"])
            self._check()
        self._values: dict[str, npt.NDArray[Any]] = {}

    def __len__(self) -> int:
        """Number of views."""
        return int(self.arrays["image"].shape[0])

    def _check(self) -> None:
        """Compare all that is said of the arrays with the layout, before anything of them is read."""
        if not self.bones or not all(1 <= label <= 255 for label in self.bones) or self.centre_ras.shape != (3,):
            raise InputError(f"{self.path} is no patient of a data set: its bones or their middle are not as they should be.")
        k, j, i = self.arrays["ct"].shape
        views, points = self.arrays["image"].shape[0], self.arrays["surface_points"].shape[0]
        sizes_are_possible = (
            1 <= views <= _MOST_VIEWS
            and 1 <= points <= _MOST_POINTS
            and max(self.camera.image_size) <= _LARGEST_SIDE
            and 1 <= k * j * i <= _MOST_VOXELS
        )
        if not sizes_are_possible:
            raise InputError(f"{self.path} claims to have arrays of impossible sizes; it is damaged, or no data set of this kind.")
        for name, layout in array_layouts(views, len(self.bones), self.camera.image_size, (k, j, i), points).items():
            array = self.arrays[name]
            found = (str(array.dtype), array.shape, array.chunks, array.shards)
            if found != (layout.dtype, layout.shape, layout.chunks, layout.shards):
                raise InputError(
                    f"The array {name} of {self.path} is not as a data set's should be (type, shape, chunks and shards are {found}); "
                    "it is damaged, or of another version."
                )
            if _codecs(array) != CODECS:  # others may unpack a file to any size
                raise InputError(f"The array {name} of {self.path} is compressed by {_codecs(array)} instead of {CODECS}; it is damaged.")

    @cached_property
    def ras_to_camera(self) -> FloatArray:
        """Poses (views, 4, 4).

        Raises:
            InputError: if one is no rigid transform.
        """
        poses: FloatArray = self.read("ras_to_camera")
        if not all(map(is_rigid, poses)):
            raise InputError(f"A pose of {self.path} is not a rigid 4x4 transform; the data set is damaged.")
        return poses

    def values(self, name: str) -> npt.NDArray[Any]:
        """One value a view, by the names of `layout.VIEW_VALUES`; text where the numbers stand for names, as those of the split do.

        Raises:
            InputError: if the array is damaged.
        """
        if name not in self._values:
            numbers = self.read(name)
            if name in NAMES_OF:
                if numbers.max() >= len(NAMES_OF[name]):
                    raise InputError(f"The array {name} of {self.path} has numbers without a name; the data set is damaged.")
                numbers = np.array(NAMES_OF[name])[numbers]
            self._values[name] = numbers
        return self._values[name]

    def ct(self) -> CTVolume:
        """The CT.

        Raises:
            InputError: if it is damaged.
        """
        return CTVolume(self.read("ct").astype(np.float32), self._ijk_to_ras("ct"))

    def bone_labels(self) -> BoneLabels:
        """The bones, on the CT's grid.

        Raises:
            InputError: if they are damaged.
        """
        return BoneLabels(self.read("labels"), self._ijk_to_ras("labels"), self.bones)

    def view(self, number: int) -> StoredView:
        """A view, from 0.

        Raises:
            IndexError: if there is none of that number.
            InputError: if it is damaged.
        """
        if not 0 <= number < len(self):
            raise IndexError(f"{self.name} has no view {number}, but 0 to {len(self) - 1}")
        pose = self.ras_to_camera[number]
        return StoredView(
            number=number,
            intensity=self.read("image", number).astype(np.float32) / np.float32(GREY_VALUES_PER_UNIT),
            coordinates=scene_coordinates(self.read("depth", number), self.camera, pose),
            mask=self.read("mask", number),
            camera=self.camera,
            ras_to_camera=pose,
            split=str(self.values("split")[number]),
            stratum=str(self.values("stratum")[number]),
            kilovolts=float(self.values("kilovolts")[number]),
            photons=float(self.values("photons")[number]),
        )

    def read(self, name: str, part: Any = ...) -> npt.NDArray[Any]:
        """Values of an array, or of a part of it, such as a view's number or a slice of numbers.

        Raises:
            InputError: if they are damaged.
        """
        with _readable(self.path / name):
            return np.asarray(self.arrays[name][part])

    def _ijk_to_ras(self, name: str) -> FloatArray:
        with _readable(self.path / name):
            matrix = np.array(self.arrays[name].attrs["ijk_to_ras"], dtype=np.float64)
            if matrix.shape != (4, 4) or not np.isfinite(matrix).all() or abs(np.linalg.det(matrix)) < 1e-9:
                raise InputError(f"The attribute ijk_to_ras of {self.path / name} is no 4x4 transform; the data set is damaged.")
            return matrix


def scene_coordinates(depth: npt.NDArray[np.uint16], camera: Camera, ras_to_camera: FloatArray) -> npt.NDArray[np.float32]:
    """Scene coordinates of depths (..., rows, columns): float32 (..., 3, rows, columns), RAS mm, NaN off bone."""
    rows, columns = np.indices(camera.image_size)
    to_ras = invert_pose(ras_to_camera)
    rays = camera.back_project(np.stack([columns, rows], axis=-1), 1.0) @ to_ras[:3, :3].T
    z = np.where(depth == 0, np.float32(np.nan), depth * np.float32(DEPTH_STEP_MM))
    directions = np.moveaxis(rays, -1, 0).astype(np.float32)
    points: npt.NDArray[np.float32] = z[..., None, :, :] * directions
    points += to_ras[:3, 3, None, None].astype(np.float32)
    return points


def _codecs(array: Any) -> list[str]:
    """Names of an array's codecs, of a sharded one those within its shards."""
    codecs: list[dict[str, Any]] = [codec.to_dict() for codec in array.metadata.codecs]
    if array.shards:
        (sharding,) = codecs
        codecs = list(sharding["configuration"]["codecs"])
    return [codec["name"] for codec in codecs]


def _refuse_links(path: Path) -> None:
    """Refuse links in a patient's folder, whose values might come from anywhere.

    Raises:
        InputError: if there is one.
    """
    link = path if path.is_symlink() else next(_links(path), None)
    if link is not None:
        raise InputError(f"{link} is a link to another place, which a data set does not have; put the files themselves there.")


def _links(folder: Path | str) -> Iterator[str]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_symlink():
                yield entry.path
            elif entry.is_dir():
                yield from _links(entry.path)


def _open_group(path: Path) -> zarr.Group:
    zarr = optional_package("zarr", "zarr", "datasets")
    if not (path / "zarr.json").is_file():
        raise InputError(f"{path.parent} is not a folder of a data set: {path.name} is missing in it, or its zarr.json is.")
    from .bounded_store import BoundedStore

    with _readable(path):
        group = zarr.open_group(BoundedStore(path, read_only=True), mode="r", zarr_format=3)
        if group.attrs.get("format") != FORMAT:
            raise InputError(f"{path} is Zarr, but no data set of scr-generate.")
        if group.attrs.get("version") != VERSION:
            raise InputError(f"{path} is of version {group.attrs.get('version')} of the data set; this program reads version {VERSION}.")
        return group


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Say of whatever goes wrong in reading that the file is damaged: zarr and its codecs raise exceptions of many kinds."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            f"{path} cannot be read, so the data set is damaged or was not finished; scr-generate --verify names every damaged file. "
            f"The reason: {type(error).__name__}: {error}"
        ) from error
