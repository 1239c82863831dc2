"""Whether a volume's values can be Hounsfield units, or what has become of them on the way: a lost rescale, numbers that wrapped round."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import InputError

Values = npt.NDArray[Any]

_HIGHEST_HU = 32767.0  # extended scales, for metal, end at 30710 HU
_BELOW_AIR_HU = -1100.0  # air that was clamped or made up is -1000 or -1024
_FAR_BELOW_AIR_HU = -1500.0  # noise and artifacts in air end above
_DENSE_HU = 500.0
_METAL_HU = 2500.0
_MUCH = 0.1  # of the voxels: of air there is more beside every patient
_FEW_VALUES = 8  # padding has one or two
_FEW_VOXELS = 10
_SAMPLED = 2**22  # voxels that shares are taken of


def check_values(values: Values, name: str) -> None:
    """Refuse values that cannot be a CT's in HU, and warn of those too high for their bits, which begin again at the lowest.

    Signed 12 bits end at 1023 HU, amidst cortical bone: no CT falls from bone to far below air from one voxel to the next. Unsigned ones
    end at 3071 HU: voxels below 0 in a ring of metal.

    Args:
        values: [k, j, i], as the file has them, finite.
        name: what messages call the CT.

    Raises:
        InputError: if the rescale intercept was lost or applied twice, or negative values were stored as unsigned numbers.
    """
    lowest, highest = float(values.min()), float(values.max())
    if highest > _HIGHEST_HU:
        raise InputError(
            f"{name} is not a CT in Hounsfield units: its highest value is {highest:g}, more than any scanner measures; "
            "values below 0 may have been stored as unsigned numbers: export it again."
        )
    sample = values.reshape(-1)[:: max(1, values.size // _SAMPLED)]
    measured = sample[sample > lowest]
    if lowest < _BELOW_AIR_HU and len(measured) > sample.size / 2 and measured.min() >= 0:
        raise InputError(
            f"{name} is not a CT in Hounsfield units: but for its padding of {lowest:g} no value is below 0, where air is -1000 HU; "
            "export it with its rescale intercept applied."
        )
    far_below = sample[sample < _FAR_BELOW_AIR_HU]
    share, is_padding = len(far_below) / sample.size, len(np.unique(far_below)) <= _FEW_VALUES
    if share > _MUCH and not is_padding:
        raise InputError(
            f"{name} is not a CT in Hounsfield units: {100 * share:.0f} % of its values lie far below air (-1000 HU); "
            "its rescale intercept may have been applied twice: export it again."
        )
    if not is_padding and sum(_falls_from_bone(plane) for plane in values) > _FEW_VOXELS:
        warnings.warn(
            f"{name} has voxels far below air (-1000 HU) right beside bone: dense bone may have been stored in too few bits and wrapped "
            "round; export the CT again.",
            stacklevel=3,
        )
    elif highest > _METAL_HU and sum(_holes_in_metal(plane) for plane in values) > _FEW_VOXELS:
        warnings.warn(
            f"{name} has voxels below 0 HU enclosed in metal: the densest metal may have been stored in too few bits and wrapped round; "
            "it is simulated as holes.",
            stacklevel=3,
        )


def _falls_from_bone(plane: Values) -> int:
    """How many neighbours in a slice are dense and far below air."""
    low, dense = plane < _FAR_BELOW_AIR_HU, plane > _DENSE_HU
    pairs = [(low[1:], dense[:-1]), (low[:-1], dense[1:]), (low[:, 1:], dense[:, :-1]), (low[:, :-1], dense[:, 1:])]
    return sum(int((one & other).sum()) for one, other in pairs)


def _holes_in_metal(plane: Values) -> int:
    """How many voxels of a slice are below 0 and enclosed in metal."""
    from scipy import ndimage

    metal = plane > _METAL_HU
    return int((ndimage.binary_fill_holes(metal) & (plane < 0)).sum()) if metal.any() else 0
