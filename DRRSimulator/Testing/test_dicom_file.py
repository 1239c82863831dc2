"""DICOM files whose lengths cannot be true: no memory is taken for them."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pydicom
import pytest
from DRRSimulatorLib.dicom_file import LARGEST_DEFLATED_BYTES, read_dicom_file
from DRRSimulatorLib.errors import InputError
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

PIXELS = b"\1\2\3\4" * 64


def write(path: Path, syntax: str = ExplicitVRLittleEndian) -> Path:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", "1.2.3"
    dataset.PatientName, dataset.Rows, dataset.Columns, dataset.BitsAllocated = "A^B", 16, 8, 16
    dataset.PixelData = PIXELS
    dataset["PixelData"].VR = "OW"
    dataset.save_as(path, enforce_file_format=True)
    return path


def test_a_whole_file_is_what_pydicom_reads(tmp_path: Path) -> None:
    for syntax in (ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian):
        path = write(tmp_path / "a.dcm", syntax)
        assert read_dicom_file(path) == pydicom.dcmread(path)
        assert "PixelData" not in read_dicom_file(path, stop_before_pixels=True)


@pytest.mark.parametrize("tag", [b"\xe0\x7f\x10\x00OW\0\0", b"\x02\x00\x01\x00OB\0\0"])
def test_a_length_of_gigabytes_takes_no_memory(tmp_path: Path, tag: bytes) -> None:
    path = write(tmp_path / "a.dcm")
    content = bytearray(path.read_bytes())
    at = content.index(tag) + len(tag)
    content[at : at + 4] = (0xFFFFFFF0).to_bytes(4, "little")
    path.write_bytes(content)
    tracemalloc.start()
    try:
        read_dicom_file(path)
    except Exception as error:
        assert not isinstance(error, MemoryError)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10_000_000


def test_a_large_deflated_file_is_refused_before_it_is_inflated(tmp_path: Path) -> None:
    path = write(tmp_path / "a.dcm", DeflatedExplicitVRLittleEndian)
    with path.open("ab") as file:
        file.write(bytes(LARGEST_DEFLATED_BYTES))
    with pytest.raises(InputError, match="larger than 1 MB"):
        read_dicom_file(path)
    with pytest.raises(InputError, match="can hide any size"):
        read_dicom_file(write(tmp_path / "b.dcm", DeflatedExplicitVRLittleEndian), largest_deflated=0)


def test_what_is_no_dicom_is_pydicoms_error(tmp_path: Path) -> None:
    for content in (b"", b"text" * 100):
        (tmp_path / "a.dcm").write_bytes(content)
        with pytest.raises(pydicom.errors.InvalidDicomError):
            read_dicom_file(tmp_path / "a.dcm")
