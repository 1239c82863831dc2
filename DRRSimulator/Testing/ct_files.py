"""Small CTs in files: images as SimpleITK writes them, and DICOM series as scanners write them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
import SimpleITK as sitk
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid
from scipy.spatial.transform import Rotation

LPS_TO_RAS = np.array([-1.0, -1.0, 1.0])
SPACING = np.array([0.7, 0.9, 2.5])
ORIGIN = np.array([-120.35, 43.2, -700.125])
OBLIQUE = Rotation.from_euler("xyz", [12, -20, 33], degrees=True).as_matrix()


def phantom(shape: tuple[int, int, int] = (8, 10, 12)) -> npt.NDArray[np.int16]:
    """Noise over the range of CT, so that no flip or shift of it looks the same."""
    return np.random.default_rng(0).integers(-1000, 2000, shape).astype(np.int16)


def as_image(hu: npt.NDArray[Any], direction: npt.NDArray[np.float64] = OBLIQUE) -> sitk.Image:
    image = sitk.GetImageFromArray(hu)
    image.SetSpacing(SPACING.tolist())
    image.SetOrigin(ORIGIN.tolist())
    image.SetDirection(direction.ravel().tolist())
    return image


def write_series(
    folder: Path,
    hu: npt.NDArray[np.int16],
    direction: npt.NDArray[np.float64] = OBLIQUE,
    positions: npt.NDArray[np.float64] | None = None,
    **tags: Any,
) -> str:
    """Write slices as a scanner does (12 bits, intercept -1024) in a shuffled order of names; returns the series UID."""
    folder.mkdir(parents=True, exist_ok=True)
    series_uid, frame_uid = generate_uid(), generate_uid()
    if positions is None:
        positions = ORIGIN + np.arange(len(hu))[:, None] * SPACING[2] * direction[:, 2]
    names = np.random.default_rng(1).permutation(len(hu))
    for k, (pixels, position) in enumerate(zip(hu, positions, strict=True)):
        slice_ = pydicom.Dataset()
        slice_.SOPClassUID, slice_.SOPInstanceUID = CTImageStorage, generate_uid()
        slice_.SeriesInstanceUID, slice_.FrameOfReferenceUID, slice_.StudyInstanceUID = series_uid, frame_uid, frame_uid
        slice_.Modality, slice_.ImageType, slice_.SeriesDescription = "CT", ["ORIGINAL", "PRIMARY", "AXIAL"], "Bone 0.6"
        slice_.Rows, slice_.Columns = pixels.shape
        slice_.PixelSpacing = [SPACING[1], SPACING[0]]
        slice_.ImageOrientationPatient = [f"{v:.12f}" for v in direction[:, :2].T.ravel()]
        slice_.ImagePositionPatient = [f"{v:.6f}" for v in position]
        slice_.SamplesPerPixel, slice_.PhotometricInterpretation = 1, "MONOCHROME2"
        slice_.BitsAllocated, slice_.BitsStored, slice_.HighBit, slice_.PixelRepresentation = 16, 16, 15, 1
        slice_.RescaleIntercept, slice_.RescaleSlope = -1024, 1
        slice_.PixelData = (pixels + 1024).astype("<i2").tobytes()
        slice_.file_meta = pydicom.dataset.FileMetaDataset()
        slice_.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        for name, value in tags.items():
            setattr(slice_, name, value)
        slice_.save_as(folder / f"{names[k]:03d}.dcm", enforce_file_format=True)
    return series_uid
