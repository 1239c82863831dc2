"""CTs that are too large: means over blocks of voxels are read instead, a slice at a time, so that the memory stays bounded.

The limit is a number, not a share of a machine's memory: a CT must be the same, and have the same fingerprint, on every machine.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from .camera import FloatArray

LARGEST_CT_VOXELS = 2**28
"""As many as 512x512x1024: 1 GiB of HU, and several times that while bone is found."""

_FEWEST_VOXELS = 5  # that are left along an axis

Triple = tuple[int, int, int]


def block_size(size: Sequence[int], spacing: Sequence[float]) -> Triple:
    """Voxels to take the mean of along i, j and k: (1, 1, 1) for a CT within the limit; the finest axis becomes coarser first.

    Args:
        size: voxels along i, j, k.
        spacing: mm along them.
    """
    block = [1, 1, 1]
    while math.prod(n // b for n, b in zip(size, block, strict=True)) > LARGEST_CT_VOXELS:
        axes = [axis for axis in range(3) if size[axis] // (block[axis] + 1) >= _FEWEST_VOXELS]
        block[min(axes, key=lambda axis: block[axis] * spacing[axis])] += 1
    return block[0], block[1], block[2]


def volume_within_limit(
    slices: Iterable[npt.NDArray[np.generic]], size: Sequence[int], spacing: Sequence[float], origin: Sequence[float], direction: FloatArray
) -> sitk.Image:
    """A float32 image of a volume's slices, or with a warning of means over blocks of its voxels where it is above the limit.

    Args:
        slices: [j, i] of k = 0, 1, ...; each is asked for when it is needed.
        size: voxels along i, j, k.
        spacing: mm along i, j, k.
        origin: LPS mm of the first voxel's centre.
        direction: 3x3, unit vectors of i, j, k in its columns, LPS.
    """
    block = block_size(size, spacing)
    reduced = [n // b for n, b in zip(size, block, strict=True)]
    # Voxels that fill no block are left out where the axis has its right, anterior or inferior end: in whichever sense it is stored.
    first = [n % b if _is_backward(direction[:, axis]) else 0 for axis, (n, b) in enumerate(zip(size, block, strict=True))]
    hu = np.zeros(reduced[::-1], dtype=np.float32)
    for number, pixels in enumerate(slices):
        k = (number - first[2]) // block[2]
        if 0 <= k < reduced[2]:
            hu[k] += _plane_sums(pixels, first[:2], block[:2])
    if block != (1, 1, 1):
        hu /= np.float32(math.prod(block))  # once: sums of whole HU are exact in whatever order
    image = sitk.GetImageFromArray(hu)
    coarse = np.multiply(spacing, block)
    image.SetSpacing(coarse.tolist())
    image.SetDirection(np.ravel(direction).tolist())
    image.SetOrigin((np.asarray(origin) + direction @ (np.add(first, (np.array(block) - 1) / 2) * spacing)).tolist())
    if block != (1, 1, 1):
        warnings.warn(
            f"The CT has {_times(size)} voxels, more than the {LARGEST_CT_VOXELS / 1e6:.0f} million that are worked with; the means of "
            f"{_times(block)} voxels each are used instead, which are {_times([f'{s:.2f}' for s in coarse])} mm large.",
            stacklevel=3,
        )
    return image


def image_within_limit(image: sitk.Image) -> sitk.Image:
    """The image itself, or with a warning means over blocks of its voxels where it is above the limit."""
    if math.prod(image.GetSize()) <= LARGEST_CT_VOXELS:
        return image
    direction = np.reshape(image.GetDirection(), (3, 3))
    return volume_within_limit(sitk.GetArrayViewFromImage(image), image.GetSize(), image.GetSpacing(), image.GetOrigin(), direction)


def _plane_sums(pixels: npt.NDArray[np.generic], first: Sequence[int], block: Sequence[int]) -> npt.NDArray[np.float32]:
    if tuple(block) == (1, 1):
        return pixels.astype(np.float32)
    (i, j), (di, dj) = first, block
    rows, columns = (pixels.shape[0] - j) // dj, (pixels.shape[1] - i) // di
    blocks = pixels[j : j + rows * dj, i : i + columns * di].reshape(rows, dj, columns, di)
    return np.asarray(blocks.sum(axis=(1, 3), dtype=np.float64).astype(np.float32))


def _is_backward(axis: FloatArray) -> bool:
    return bool(axis[np.abs(axis).argmax()] < 0)


def _times(numbers: Iterable[object]) -> str:
    return "x".join(map(str, numbers))
