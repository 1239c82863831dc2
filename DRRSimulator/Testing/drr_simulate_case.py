"""The command drr-simulate as a function, and a small CT for it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import numpy.typing as npt
import pytest
import SimpleITK as sitk
from DRRSimulatorLib.camera import FloatArray
from DRRSimulatorLib.cli import main

LPS_TO_RAS = np.array([-1.0, -1.0, 1.0])
SPACING = np.array([2.5, 2.5, 3.0])
SIZE = np.array([44, 40, 36])
MIDDLE = (SIZE - 1) * SPACING / 2  # the patient's middle, LPS, as the first voxel is at the origin
BONE = LPS_TO_RAS * (MIDDLE + np.array([3.0, -2.0, 5.0]))  # middle of the bone of label 3, RAS
MARKER = LPS_TO_RAS * (MIDDLE + np.array([-21.3, 12.7, -17.9]))
SMALL_DETECTOR = ["--size", "90", "100", "--pixel-spacing", "2.4"]


def write_volume(path: Path, values: npt.NDArray[Any]) -> Path:
    image = sitk.GetImageFromArray(values)
    image.SetSpacing(SPACING.tolist())
    sitk.WriteImage(image, str(path))
    return path


def write_phantom(folder: Path) -> dict[str, Path]:
    """A CT of water with a bone in it, the same with a dense marker, and the labels: 3 is the bone, 1 a small bone beside it."""
    k, j, i = np.indices(SIZE[::-1])
    ras = LPS_TO_RAS * np.stack([i, j, k], axis=-1) * SPACING

    def distance(point: FloatArray) -> FloatArray:
        return np.linalg.norm(ras - point, axis=-1)

    hu = np.where(distance(LPS_TO_RAS * MIDDLE) < 48, 40.0, -1000.0)
    labels = np.zeros(hu.shape, dtype=np.uint8)
    labels[distance(BONE) < 16] = 3
    labels[distance(BONE + np.array([0, 0, 28])) < 8] = 1
    hu[labels > 0] = 700
    marked = hu + 2000 * np.exp(-0.5 * (distance(MARKER) / 3.5) ** 2)  # a Gaussian keeps its middle in any voxels
    return {
        "ct": write_volume(folder / "ct.nii.gz", hu.astype(np.float32)),
        "marked": write_volume(folder / "marked.nii.gz", marked.astype(np.float32)),
        "labels": write_volume(folder / "labels.nrrd", labels),
    }


def simulate(*arguments: str | Path) -> int:
    """Exit code of drr-simulate."""
    with mock.patch.object(sys, "argv", ["drr-simulate", *map(str, arguments)]), pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0)


def pixels(path: Path) -> npt.NDArray[Any]:
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path))).squeeze()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())
