"""Bones of a CT: which voxel belongs to which bone, and the smooth surface field of each."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from .camera import FloatArray
from .ct import CTVolume
from .errors import InputError
from .segmentation import bone_mask, bounding_box
from .volume_file import place_in_ras, read_volume_file

LARGEST_LABEL = 255
_SMOOTHING_REACH = 4  # voxels: four standard deviations
_LEVEL_MARGIN = 0.01  # how far a voxel centre stays on its side of the surface's level 0.5


@dataclass(frozen=True, eq=False)
class BoneLabels:
    """Bones on a CT's grid.

    Attributes:
        labels: number of the bone in each voxel, uint8 [k, j, i]; 0 = none.
        ijk_to_ras: 4x4 from voxel (i, j, k, 1) to RAS mm.
        names: name of each number that occurs in `labels`.
    """

    labels: npt.NDArray[np.uint8]
    ijk_to_ras: FloatArray
    names: dict[int, str]


def segment_bone(ct: CTVolume) -> BoneLabels:
    """All bone of a CT as one label, 1 "bone"; `bone_mask` says how it is found and what its limits are.

    Raises:
        InputError: if the CT has no bone.
    """
    i, j, k = ct.spacing
    mask = bone_mask(ct.hu, (k, j, i))
    if not mask.any():
        raise InputError("No bone was found in the CT; check that its values are Hounsfield units, or give a label map of the bones.")
    return BoneLabels(mask.astype(np.uint8), ct.ijk_to_ras, {1: "bone"})


def read_labels(path: Path, ct: CTVolume) -> BoneLabels:
    """Read a label map of bones onto a CT's grid; a map on another grid is resampled by nearest neighbour.

    Names come from a JSON file of the same stem beside it, {"1": "femur_left"}, and are "label 1" where there is none.

    Args:
        path: file .nii, .nii.gz, .nrrd, .nhdr, .mha or .mhd of whole numbers from 0 (no bone) to 255.

    Raises:
        InputError: if the file is no such label map, has no label inside the CT, or the file of names is not as above.
    """
    image = read_volume_file(path)
    values = sitk.GetArrayViewFromImage(image)
    # Written so that NaN fails as well.
    if not ((values >= 0) & (values <= LARGEST_LABEL) & (values == np.round(values))).all():
        raise InputError(f"{path} is not a label map: its values must be whole numbers from 0 (no bone) to {LARGEST_LABEL}.")
    if not values.any():
        raise InputError(f"{path} has no labels: all its voxels are 0.")
    labels = resample_labels(sitk.Cast(image, sitk.sitkUInt8), ct)
    present = (np.flatnonzero(np.bincount(labels.ravel(), minlength=2)[1:]) + 1).tolist()
    if not present:
        raise InputError(f"The labels of {path} lie outside the CT; give the label map of this CT.")
    names = _read_names(path)
    return BoneLabels(labels, ct.ijk_to_ras, {label: names.get(label, f"label {label}") for label in present})


def resample_labels(image: sitk.Image, ct: CTVolume) -> npt.NDArray[np.uint8]:
    """Label map of a uint8 image on a CT's grid [k, j, i], by nearest neighbour; 0 outside the image."""
    grid = sitk.Image(*ct.hu.shape[::-1], sitk.sitkUInt8)
    place_in_ras(grid, ct.ijk_to_ras)
    return np.asarray(sitk.GetArrayFromImage(sitk.Resample(image, grid, sitk.Transform(), sitk.sitkNearestNeighbor)))


def occupancy(bones: BoneLabels, label: int) -> npt.NDArray[np.float32]:
    """Antialiased field of one bone: its surface is the 0.5 level, to about a tenth of a voxel on smooth shapes.

    The binary mask is smoothed by a Gaussian of one voxel twice over ("twicing": J. W. Tukey, Exploratory Data Analysis, 1977),
    which cancels the leading order of the shrinking of curved surfaces. Voxels keep their side of the level, as in R. T. Whitaker,
    "Reducing aliasing artifacts in iso-surfaces of binary volumes" (2000), so that thin bones do not vanish.

    Returns:
        float32 [k, j, i] from 0 (outside) to 1 (inside).

    Raises:
        InputError: if the label does not occur.
    """
    from scipy import ndimage

    mask = bones.labels == label
    if label == 0 or not mask.any():
        raise InputError(f"There is no bone with label {label}; the labels are {', '.join(map(str, bones.names))}.")
    box = bounding_box(mask, [2 * _SMOOTHING_REACH] * 3)
    mask = mask[box]
    smooth = ndimage.gaussian_filter(mask.astype(np.float32), 1.0, radius=_SMOOTHING_REACH)
    smooth += ndimage.gaussian_filter(mask - smooth, 1.0, radius=_SMOOTHING_REACH)
    field = np.zeros(bones.labels.shape, dtype=np.float32)
    field[box] = np.where(mask, np.clip(smooth, 0.5 + _LEVEL_MARGIN, 1), np.clip(smooth, 0, 0.5 - _LEVEL_MARGIN))
    return field


def _read_names(labels_path: Path) -> dict[int, str]:
    """Names from the JSON file beside a label map; empty where there is none."""
    path = labels_path.with_name(Path(labels_path.name.removesuffix(".gz")).stem + ".json")
    if not path.is_file():
        return {}
    try:
        names = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(names, dict) or not all(isinstance(name, str) for name in names.values()):
            raise ValueError("not an object of texts")
        return {int(label): name for label, name in names.items()}
    except (OSError, ValueError, RecursionError) as error:  # ValueError: also wrong JSON or Unicode
        raise InputError(f'The file of names {path} does not read like {{"1": "femur_left"}}: {error}.') from error
