"""CT volumes in Hounsfield units and RAS millimetres."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from itertools import permutations
from pathlib import Path

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from .camera import FloatArray
from .ct_values import check_values
from .dicom_series import FEWEST_SLICES, read_series
from .errors import InputError
from .volume_file import ijk_to_ras, on_orthogonal_grid, read_volume_file
from .volume_limit import image_within_limit

AIR_HU = -1000.0
_LEAST_SPACING, _LARGEST_SPACING = 0.001, 1000.0  # of voxels, mm

# The energy that a CT's attenuation is taken at, and water's there, per mm: 0.1929 cm2/g (NIST XCOM; Berger, Hubbell et al.) at 1 g/cm3.
EFFECTIVE_KEV = 70.0
WATER_ATTENUATION_PER_MM = 0.01929
# The same of soft tissue and cortical bone (ICRU-44) at 1.06 and 1.92 g/cm3, as in data/xray_tables.json.
SOFT_TISSUE_ATTENUATION_PER_MM = 0.02031
CORTICAL_BONE_ATTENUATION_PER_MM = 0.04934

_LOWEST_BONE_HU = 100.0


@dataclass(frozen=True, eq=False)
class CTVolume:
    """A CT on a grid with orthogonal axes, of any orientation and handedness.

    Attributes:
        hu: Hounsfield units, float32 [k, j, i], at least -1000.
        ijk_to_ras: 4x4 from voxel (i, j, k, 1) to RAS mm.
    """

    hu: npt.NDArray[np.float32]
    ijk_to_ras: FloatArray

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Distance of voxel centres along i, j and k, mm."""
        i, j, k = np.linalg.norm(self.ijk_to_ras[:3, :3], axis=0).tolist()
        return i, j, k

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the voxels and their place in the patient, the same whatever file the CT came from.

        Before hashing, the axes are put into the order and sense nearest to RAS, because converters flip and swap them, and HU
        are rounded to int16. The RAS positions of the first voxel and of its neighbouring corners are rounded to 0.1 mm: NIfTI
        stores its transforms in float32, which moves the corners of a usual CT by up to 1e-4 mm, and with a rounding as fine as that
        two files of one CT would often differ. The shift by 0.03775 mm keeps the decimals and binary fractions that headers hold
        off the rounding edges.
        """
        hu, matrix = _nearest_to_ras(self.hu, self.ijk_to_ras)
        corners = (matrix @ np.diag([*np.array(hu.shape[::-1]) - 1.0, 1.0]))[:3]
        corners[:, :3] += corners[:, 3:]
        voxels = np.clip(np.rint(hu), -32768, 32767)
        digest = hashlib.sha256(np.array(hu.shape, dtype="<i4").tobytes())
        digest.update(np.rint((corners + 0.03775) / 0.1).astype("<i4").tobytes())
        digest.update(voxels.astype("<i2").tobytes())
        return digest.hexdigest()


def read_ct(path: Path, series_uid: str | None = None) -> CTVolume:
    """Read a CT from a DICOM folder or from a NIfTI, NRRD or MetaImage file.

    Values below -1000 HU (padding outside the round field of view, noise in air) become -1000 HU. A series with a tilted gantry
    is resampled onto an orthogonal grid with a warning, and a CT of more than `LARGEST_CT_VOXELS` to coarser voxels; every other grid
    is kept as it is.

    Args:
        path: folder of DICOM slices, or a file .nii, .nii.gz, .nrrd, .nhdr, .mha or .mhd.
        series_uid: SeriesInstanceUID of the series to read from a DICOM folder; needed where it holds several CT series;
            "UID:2" is the second of a series that holds several volumes, as 4D CT does.

    Raises:
        InputError: if nothing usable is found; see `read_series` and `read_volume_file`. Also if a voxel is not a finite number,
            or the volume cannot be a CT in HU (too few slices, nothing below water, nothing as dense as bone,
            and what `check_values` refuses).
    """
    return ct_from_image(read_series(path, series_uid, AIR_HU) if path.is_dir() else read_volume_file(path), str(path))


def ct_from_image(image: sitk.Image, name: str) -> CTVolume:
    """The CT in an image of three dimensions; values and grid are treated as `read_ct` says.

    Args:
        image: one value per voxel, HU.
        name: what messages call it.

    Raises:
        InputError: if a voxel is not a finite number, or the volume cannot be a CT in HU.
    """
    if min(image.GetSize()) < FEWEST_SLICES:
        raise InputError(f"{name} is not a CT volume: its size is only {image.GetSize()} voxels.")
    if not all(_LEAST_SPACING <= spacing <= _LARGEST_SPACING for spacing in image.GetSpacing()):
        raise InputError(f"{name} is not a CT of a patient: its voxels are {image.GetSpacing()} mm large; correct its spacing.")
    image = sitk.Cast(image_within_limit(image), sitk.sitkFloat32)
    if not np.isfinite(sitk.GetArrayViewFromImage(image)).all():
        raise InputError(f"{name} has voxels that are not finite numbers (NaN or infinity); export the CT again.")
    check_values(sitk.GetArrayViewFromImage(image), name)
    image = on_orthogonal_grid(sitk.Maximum(image, AIR_HU), AIR_HU)
    ct = CTVolume(sitk.GetArrayFromImage(image), ijk_to_ras(image))
    lowest, highest = float(ct.hu.min()), float(ct.hu.max())
    if highest < _LOWEST_BONE_HU:
        raise InputError(f"{name} is not a CT of bone in Hounsfield units: its highest value is {highest:g}, and bone lies above 100 HU.")
    if lowest >= 0:
        raise InputError(
            f"{name} is not a CT in Hounsfield units: its lowest value is {lowest:g}, where air is -1000 HU; "
            "export it with its rescale intercept applied."
        )
    return ct


def hu_to_attenuation(hu: npt.ArrayLike) -> npt.NDArray[np.float32]:
    """Linear attenuation per mm, float32 of the same shape, at least 0.

    HU are by definition linear in the attenuation at the CT's effective energy, mu = mu_water (1 + HU / 1000), with air at 0. That
    energy is about 70 keV for the usual 120 kVp, so taking water's value there needs no assumption about bone. What other energies
    make of it is the matter of `spectrum`.
    """
    above_air = np.asarray(hu, dtype=np.float32) - np.float32(AIR_HU)
    return np.maximum(above_air, np.float32(0)) * np.float32(WATER_ATTENUATION_PER_MM / 1000)


def cortical_part(attenuation: npt.ArrayLike) -> npt.NDArray[np.float32]:
    """The part of bone's attenuation that cortical bone has in it, where bone is taken for a mixture of that and soft tissue.

    Trabecular bone is mostly marrow: at 200 HU no more than a tenth of its volume is cortical bone. The two parts of its attenuation
    change differently with the energy.

    Args:
        attenuation: linear attenuation of bone, 1/mm, as `hu_to_attenuation` gives it.

    Returns:
        1/mm, float32 of the same shape: 0 up to soft tissue's attenuation, all of it from cortical bone's attenuation on.
    """
    attenuation = np.asarray(attenuation, dtype=np.float32)
    soft, cortical = np.float32(SOFT_TISSUE_ATTENUATION_PER_MM), np.float32(CORTICAL_BONE_ATTENUATION_PER_MM)
    return np.clip((attenuation - soft) * (cortical / (cortical - soft)), np.float32(0), attenuation)


def _nearest_to_ras(hu: npt.NDArray[np.float32], matrix: FloatArray) -> tuple[npt.NDArray[np.float32], FloatArray]:
    """The same voxels with axes swapped and flipped so that i runs right, j anterior and k superior as nearly as they can."""
    # Rounded, and ties broken by the turned axes themselves: the choice must not depend on a file's last digit or axis order.
    cosines = np.round(matrix[:3, :3] / np.linalg.norm(matrix[:3, :3], axis=0), 3)

    def turned(order: tuple[int, ...]) -> FloatArray:
        return cosines[:, order] * np.sign(cosines[range(3), order])

    order = max(permutations(range(3)), key=lambda order: (np.trace(turned(order)).round(2), *turned(order).ravel()))
    change = np.zeros((4, 4))  # new (i, j, k, 1) to old
    change[3, 3] = 1
    hu = hu.transpose([2 - old for old in order[::-1]])
    for new, old in enumerate(order):
        change[old, new] = 1
        if cosines[new, old] < 0:
            hu = np.flip(hu, 2 - new)
            change[old, new], change[old, 3] = -1, hu.shape[2 - new] - 1
    return hu, matrix @ change
