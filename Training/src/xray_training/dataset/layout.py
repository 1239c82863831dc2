"""How a data set lies on the disk: names, types, chunks and codecs of its arrays, and the making of a patient's group.

Documentation/dataset.md describes it for those who read it without this package.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
from DRRSimulatorLib.bone import BoneLabels
from DRRSimulatorLib.camera import Camera, FloatArray
from DRRSimulatorLib.ct import CTVolume

from ..optional import optional_package

if TYPE_CHECKING:
    import zarr

FORMAT, VERSION = "xray-scene-coordinates", 1
ARRAYS = "data.zarr"  # folder of the arrays in that of the data set

CODECS = ["bytes", "blosc", "crc32c"]  # of a chunk; the last one's checksum tells damage
VIEWS_PER_SHARD = 32  # views in one file; a shard is written whole, by one task
GREY_VALUES_PER_UNIT = 50000  # of an image: the open field, 1, is 50000
DEPTH_STEP_MM = 0.05  # of the depths; the largest that 16 bits hold is 3.27 m
DEEPEST_MM = 65535 * DEPTH_STEP_MM

STRATA = ("uniform", "clinical", "extreme_angles", "truncation", "tools", "low_dose")
SPLITS = ("train", "validation", "test")
OPENINGS = ("none", "round", "rectangular")

# One value a view; the names of the numbers are an attribute of their array.
NAMES_OF = {"stratum": STRATA, "split": SPLITS, "collimation": OPENINGS}
VIEW_VALUES: dict[str, str] = {
    "stratum": "uint8",
    "split": "uint8",
    "primary_deg": "float64",
    "secondary_deg": "float64",
    "roll_deg": "float64",
    "offset_x_mm": "float64",
    "offset_y_mm": "float64",
    "source_to_bone_mm": "float64",
    "kilovolts": "uint16",
    "photons": "float64",
    "vignetting": "float64",
    "collimation": "uint8",
    "collimation_width_mm": "float64",
    "collimation_height_mm": "float64",
    "collimation_x_mm": "float64",
    "collimation_y_mm": "float64",
    "collimation_deg": "float64",
    "tools": "uint8",
    "soft_tissue_mm": "float64",
    "bone_on_detector": "float64",
}

CONVENTIONS = [
    "World: RAS, millimetres (x to the patient's right, y anterior, z superior).",
    "Camera: origin at the X-ray source, x along columns, y along rows (down), z towards the detector; x_camera = ras_to_camera @ x_ras.",
    "Pixel (0, 0) is the centre of the top-left pixel; (column, row, 1) ~ camera_matrix @ x_camera.",
    f"image: intensity = value / {GREY_VALUES_PER_UNIT}; 1 is the open field, bone is dark.",
    f"depth: z_camera in mm = value * {DEPTH_STEP_MM}; surface 0 is where the ray enters the bone, 1 where it leaves it; 0 = off bone.",
    "Scene coordinates: x_camera = inv(camera_matrix) @ (column, row, 1) * z_camera; x_ras = inv(ras_to_camera) @ x_camera.",
]


@dataclass(frozen=True)
class ArrayLayout:
    """What an array of a patient looks like.

    Attributes:
        dtype: of its values.
        shape: of the whole.
        chunks: of what is compressed at once.
        shards: of what is in one file; None where every chunk is a file.
        dimensions: names of the axes.
        shuffle: of Blosc, for the values' bytes or bits.
    """

    dtype: str
    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    shards: tuple[int, ...] | None
    dimensions: tuple[str, ...]
    shuffle: Literal["shuffle", "bitshuffle"] = "shuffle"


def array_layouts(
    views: int, bones: int, image_size: tuple[int, int], ct_shape: tuple[int, int, int], points: int
) -> dict[str, ArrayLayout]:
    """The arrays of a patient, by name.

    Args:
        views: how many.
        bones: how many.
        image_size: (rows, columns).
        ct_shape: voxels [k, j, i].
        points: of the bones' surface.
    """
    slab = (min(VIEWS_PER_SHARD, ct_shape[0]), *ct_shape[1:])
    pixel = ("row", "column")
    every_view = {name: ArrayLayout(dtype, (views,), (views,), None, ("view",)) for name, dtype in VIEW_VALUES.items()}
    return {
        "image": _by_view("uint16", views, (), (), image_size, pixel, "bitshuffle"),
        # A bone's shards hold that bone only: who wants one bone reads one bone, and 24 bones need not be in memory at once.
        "depth": _by_view("uint16", views, (bones, 2), (1, 2), image_size, ("bone", "surface", *pixel), "shuffle"),
        "mask": _by_view("bool", views, (bones,), (bones,), image_size, ("bone", *pixel), "bitshuffle"),
        "camera_matrix": ArrayLayout("float64", (views, 3, 3), (views, 3, 3), None, ("view", "matrix_row", "matrix_column")),
        "ras_to_camera": ArrayLayout("float64", (views, 4, 4), (views, 4, 4), None, ("view", "matrix_row", "matrix_column")),
        **every_view,
        "surface_points": ArrayLayout("float64", (points, 3), (points, 3), None, ("point", "ras")),
        "ct": ArrayLayout("int16", ct_shape, slab, None, ("k", "j", "i")),
        "labels": ArrayLayout("uint8", ct_shape, slab, None, ("k", "j", "i")),
    }


def _by_view(
    dtype: str,
    views: int,
    middle: tuple[int, ...],
    middle_of_chunk: tuple[int, ...],
    image_size: tuple[int, int],
    dimensions: tuple[str, ...],
    shuffle: Literal["shuffle", "bitshuffle"],
) -> ArrayLayout:
    """Layout of an array whose chunks hold one view, and whose shards hold many."""
    part = (*middle_of_chunk, *image_size)
    shape = (views, *middle, *image_size)
    return ArrayLayout(dtype, shape, (1, *part), (VIEWS_PER_SHARD, *part), ("view", *dimensions), shuffle)


def create_root(folder: Path) -> None:
    """Make the group that holds all patients, in the folder of a data set."""
    zarr = optional_package("zarr", "zarr", "datasets")
    zarr.create_group(folder / ARRAYS, zarr_format=3, attributes={"format": FORMAT, "version": VERSION})


def create_patient(
    path: Path,
    ct: CTVolume,
    bones: BoneLabels,
    surface_points: FloatArray,
    camera: Camera,
    ras_to_camera: FloatArray,
    values: Mapping[str, npt.NDArray[Any]],
    attributes: Mapping[str, Any],
) -> zarr.Group:
    """Make a patient's group and write all of it but the images, depths and masks.

    Args:
        path: folder of the group.
        ct: the CT; its HU are stored as int16.
        bones: its bones on the CT's grid.
        surface_points: points (N, 3) of the bones' surface, RAS mm; their mean is the bones' middle.
        camera: of every view.
        ras_to_camera: poses (views, 4, 4).
        values: one value a view by the names of `VIEW_VALUES`.
        attributes: of the group, besides those of the format: plain values for JSON.
    """
    zarr = optional_package("zarr", "zarr", "datasets")
    layouts = array_layouts(len(ras_to_camera), len(bones.names), camera.image_size, _three(ct.hu.shape), len(surface_points))
    described = {
        "format": FORMAT,
        "version": VERSION,
        "ct_fingerprint": ct.fingerprint,
        "bones": {str(label): name for label, name in bones.names.items()},
        "centre_ras": surface_points.mean(axis=0).tolist(),
        "camera": camera.to_dict(),
        "conventions": CONVENTIONS,
        **attributes,
    }
    group = zarr.create_group(path, zarr_format=3, attributes=described)
    grid = {"ijk_to_ras": ct.ijk_to_ras.tolist()}
    voxels = {"ct": np.clip(np.rint(ct.hu), -32768, 32767), "labels": bones.labels}
    content: dict[str, npt.NDArray[Any]] = {
        "camera_matrix": np.broadcast_to(camera.matrix, (len(ras_to_camera), 3, 3)),
        "ras_to_camera": ras_to_camera,
        "surface_points": surface_points,
        **values,
        **voxels,
    }
    for name, layout in layouts.items():
        about: dict[str, Any] = grid if name in voxels else {"names": list(NAMES_OF[name])} if name in NAMES_OF else {}
        array = _create_array(group, name, layout, about)
        if name in content:
            array[...] = content[name].astype(layout.dtype)
    return group


def _create_array(group: zarr.Group, name: str, layout: ArrayLayout, attributes: dict[str, Any]) -> Any:
    from zarr.codecs import BloscCodec, Crc32cCodec

    blosc = BloscCodec(typesize=np.dtype(layout.dtype).itemsize, cname="zstd", clevel=3, shuffle=layout.shuffle)
    return group.create_array(
        name,
        shape=layout.shape,
        dtype=layout.dtype,
        chunks=layout.chunks,
        shards=layout.shards,
        compressors=(blosc, Crc32cCodec()),
        fill_value=False if layout.dtype == "bool" else 0,
        attributes=attributes,
        dimension_names=layout.dimensions,
        # Where a bone is beside the detector, a view has no chunk for it.
        config={"write_empty_chunks": False},
    )


def _three(shape: tuple[int, ...]) -> tuple[int, int, int]:
    k, j, i = shape
    return k, j, i
