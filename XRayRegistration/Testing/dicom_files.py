"""DICOM X-rays made for tests, in any transfer syntax that GDCM writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid

XRAY_ANGIOGRAPHY = "1.2.840.10008.5.1.4.1.1.12.1"


def write_dicom(path: Path, pixels: np.ndarray, syntax: UID = ExplicitVRLittleEndian, **attributes: Any) -> Path:
    """A 12-bit DICOM image [frame, row, column] or [row, column], uncompressed; attributes by keyword."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = syntax
    meta.MediaStorageSOPClassUID = XRAY_ANGIOGRAPHY
    meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset = Dataset()
    dataset.file_meta = meta
    dataset.SOPClassUID, dataset.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    dataset.Modality, dataset.PhotometricInterpretation, dataset.SamplesPerPixel = "XA", "MONOCHROME2", 1
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    dataset.Rows, dataset.Columns = pixels.shape[-2:]
    if pixels.ndim == 3:
        dataset.NumberOfFrames = len(pixels)
    dataset.PixelData = pixels.astype(pixels.dtype.newbyteorder("<" if syntax.is_little_endian else ">")).tobytes()
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    dataset["PixelData"].VR = "OB" if dataset.BitsAllocated == 8 else "OW"
    dataset.save_as(path, enforce_file_format=True)
    return path


def compress(path: Path, syntax: UID) -> Path:
    """The file in another transfer syntax, written beside it by GDCM."""
    import gdcm

    reader = gdcm.ImageReader()
    reader.SetFileName(str(path))
    assert reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(str(syntax))))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer = gdcm.ImageWriter()
    compressed = path.with_name(f"{path.stem}-{syntax}.dcm")
    writer.SetFileName(str(compressed))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()
    return compressed
