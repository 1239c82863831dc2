"""The memory that a CT takes stays bounded: large CTs are read as means over blocks, and headers are checked before they are believed."""

from __future__ import annotations

import gzip
import math
import re
import struct
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from ct_files import LPS_TO_RAS, ORIGIN, SPACING, as_image, phantom, write_series
from DRRSimulatorLib import volume_limit
from DRRSimulatorLib.camera import transform_points
from DRRSimulatorLib.ct import read_ct
from DRRSimulatorLib.errors import InputError
from DRRSimulatorLib.volume_file import read_volume_file
from DRRSimulatorLib.volume_limit import LARGEST_CT_VOXELS, block_size


@pytest.mark.parametrize(
    ("size", "spacing", "block"),
    [
        ((512, 512, 1024), (0.7, 0.7, 1.0), (1, 1, 1)),
        ((512, 512, 1025), (0.7, 0.7, 0.5), (1, 1, 2)),
        ((1024, 1024, 1500), (0.35, 0.35, 0.5), (2, 2, 2)),
        ((1024, 1024, 300), (0.2, 0.2, 1.0), (2, 1, 1)),
        ((4096, 4096, 6), (0.1, 0.1, 0.01), (1, 1, 1)),
        ((100_000, 100_000, 5), (0.1, 0.1, 0.01), (14, 14, 1)),
    ],
)
def test_the_finest_axes_of_a_large_ct_become_coarser_until_it_is_within_the_limit(
    size: tuple[int, int, int], spacing: tuple[float, float, float], block: tuple[int, int, int]
) -> None:
    assert block_size(size, spacing) == block
    assert math.prod(n // b for n, b in zip(size, block, strict=True)) <= LARGEST_CT_VOXELS


@pytest.fixture
def small_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit above which a small CT lies: its voxels of 0.7x0.9x2.5 mm are then taken together as 3x2x1."""
    monkeypatch.setattr(volume_limit, "LARGEST_CT_VOXELS", 800)


@pytest.mark.usefixtures("small_limit")
@pytest.mark.parametrize("source", ["ct.nrrd", "ct.nii.gz", "ct.mha", "dicom"])
def test_a_ct_above_the_limit_is_read_as_means_over_blocks_in_place(tmp_path: Path, source: str) -> None:
    hu = phantom((8, 23, 26))
    if source == "dicom":
        write_series(tmp_path / source, hu, np.eye(3))
    else:
        sitk.WriteImage(as_image(hu, np.eye(3)), tmp_path / source)
    with pytest.warns(UserWarning, match=r"26x23x8 voxels.* means of 3x2x1 voxels each .* 2\.10x1\.80x2\.50 mm"):
        ct = read_ct(tmp_path / source)
    expected = hu[:, :22, :24].reshape(8, 11, 2, 8, 3).mean(axis=(2, 4))
    np.testing.assert_allclose(ct.hu, np.maximum(expected, -1000), atol=1e-3)
    np.testing.assert_allclose(ct.spacing, SPACING * [3, 2, 1], rtol=1e-6)
    middle_of_the_first_block = LPS_TO_RAS * (ORIGIN + SPACING * [1, 0.5, 0])
    np.testing.assert_allclose(transform_points(ct.ijk_to_ras, [[0, 0, 0]])[0], middle_of_the_first_block, atol=1e-3)


@pytest.mark.usefixtures("small_limit")
@pytest.mark.filterwarnings("ignore:The CT has")
def test_a_ct_above_the_limit_has_one_fingerprint_however_it_is_stored(tmp_path: Path) -> None:
    hu = phantom((8, 23, 26))
    image = as_image(hu, np.eye(3))
    write_series(tmp_path / "dicom", hu, np.eye(3))
    sitk.WriteImage(image, tmp_path / "a.nrrd")
    for number, flips in enumerate([(True, False, False), (False, True, True), (True, True, True)]):
        sitk.WriteImage(sitk.Flip(image, flips), tmp_path / f"flipped{number}.mha")
    sitk.WriteImage(sitk.PermuteAxes(image, [2, 0, 1]), tmp_path / "turned.nrrd")
    assert len({read_ct(path).fingerprint for path in tmp_path.iterdir()}) == 1


def test_slices_of_a_large_series_are_asked_for_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    size = (500, 500, 100)  # 100 MB of 32-bit HU

    slices = (np.full(size[1::-1], k, dtype=np.int16) for k in range(size[2]))
    monkeypatch.setattr(volume_limit, "LARGEST_CT_VOXELS", 10**6)
    tracemalloc.start()
    try:
        with pytest.warns(UserWarning, match="million"):
            image = volume_limit.volume_within_limit(slices, size, (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), np.eye(3))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert math.prod(image.GetSize()) <= 10**6
    assert peak < 20e6


def nifti_claiming(dimensions: tuple[int, int, int], content: bytes) -> bytes:
    header = bytearray(content)
    struct.pack_into("<3h", header, 42, *dimensions)
    return bytes(header)


@pytest.mark.parametrize("name", ["ct.nii", "ct.nii.gz", "ct.nrrd", "ct.mha", "ct.mhd", "ct.nhdr"])
@pytest.mark.parametrize(("count", "sentence"), [(2000, "shorter than its header says"), (30000, r"claims [\d,]+ GB of voxels")])
def test_a_header_that_claims_more_voxels_than_there_are_is_refused_before_they_have_room(
    tmp_path: Path, name: str, count: int, sentence: str
) -> None:
    path = tmp_path / name
    sitk.WriteImage(as_image(phantom()), tmp_path / ("plain.nii" if ".nii" in name else name))
    if ".nii" in name:
        content = nifti_claiming((count, count, count if count > 2000 else 500), (tmp_path / "plain.nii").read_bytes())
        path.write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    else:
        content = path.read_bytes()
        claimed = f"{count} {count} {count if count > 2000 else 500}".encode()
        path.write_bytes(re.sub(rb"(sizes: |DimSize = )12 10 8", rb"\g<1>" + claimed, content))
        assert path.read_bytes() != content
    with pytest.raises(InputError, match=sentence):
        read_ct(path)


def test_a_nifti_that_unpacks_to_far_more_than_it_claims_is_refused_before_its_end(tmp_path: Path) -> None:
    sitk.WriteImage(as_image(phantom()), tmp_path / "plain.nii")
    path = tmp_path / "ct.nii.gz"
    path.write_bytes(gzip.compress((tmp_path / "plain.nii").read_bytes() + bytes(2**26), 1))
    with pytest.raises(InputError, match="unpacks to far more than its header says"):
        read_ct(path)


@pytest.mark.parametrize("name", ["ct.mha", "ct.mhd"])
def test_compressed_voxels_that_ask_for_a_dictionary_are_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    sitk.WriteImage(as_image(phantom()), str(path), useCompression=True)
    voxels = path if name == "ct.mha" else tmp_path / "ct.zraw"
    content = voxels.read_bytes()
    (start,) = (match.start() for match in re.finditer(rb"(?:LOCAL\n|\A)(?=\x78[\x01\x5e\x9c\xda])", content))
    start += len(b"LOCAL\n") if name == "ct.mha" else 0
    voxels.write_bytes(content[:start] + b"\x78\xf9" + content[start + 2 :])
    with pytest.raises(zlib.error, match="Error 2"):  # Z_NEED_DICT
        zlib.decompress(voxels.read_bytes()[start:])
    with pytest.raises(InputError, match="not compressed as such files' are"):
        read_ct(path)


@pytest.mark.parametrize(
    ("whole", "damaged", "sentence"),
    [
        (b"NDims = 3", b"NDims\0\0\0\0", "its header is damaged"),  # ended the process
        (b"CompressedDataSize = ", b"CompressedDataSize ", "its header is damaged"),  # asked for gigabytes
        (b"= LOCAL", b"= %s%n", "cannot be meant"),  # ended the process: a name with a per cent sign is a format for numbers there
    ],
)
def test_headers_that_the_library_of_metaimage_stumbles_over_are_refused(
    tmp_path: Path, whole: bytes, damaged: bytes, sentence: str
) -> None:
    path = tmp_path / "ct.mha"
    sitk.WriteImage(as_image(phantom()), str(path), useCompression=True)
    assert path.read_bytes().count(whole) == 1
    path.write_bytes(path.read_bytes().replace(whole, damaged))
    with pytest.raises(InputError, match=sentence):
        read_ct(path)


def nifti(order: str, spacing: float = 2.0, quaternion: float = 0.0, offset: float = 5.0) -> bytes:
    """A file of a small volume by the offsets of nifti1.h."""
    header = bytearray(352)
    struct.pack_into(f"{order}i", header, 0, 348)
    struct.pack_into(f"{order}8h", header, 40, 3, 6, 6, 6, 1, 1, 1, 1)
    struct.pack_into(f"{order}2h", header, 70, 4, 16)
    struct.pack_into(f"{order}4f", header, 76, 1, spacing, spacing, spacing)
    struct.pack_into(f"{order}f", header, 108, 352)
    struct.pack_into(f"{order}2h6f", header, 252, 1, 0, quaternion, 0, 0, offset, 6, 7)
    header[344:348] = b"n+1\0"
    return bytes(header) + np.full(216, -1000, dtype=f"{order}i2").tobytes()


@pytest.mark.parametrize("order", "<>")
def test_a_nifti_in_either_order_of_bytes_is_read(tmp_path: Path, order: str) -> None:
    path = tmp_path / "ct.nii"
    path.write_bytes(nifti(order))
    image = read_volume_file(path)
    assert image.GetSize() == (6, 6, 6) and image.GetSpacing() == (2, 2, 2) and image.GetOrigin() == (-5, -6, 7)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("name", ["spacing", "quaternion", "offset"])
@pytest.mark.parametrize("number", [float("nan"), -float("inf"), 1e30])
def test_a_nifti_that_lies_beyond_any_room_is_refused(tmp_path: Path, order: str, name: str, number: float) -> None:
    path = tmp_path / "ct.nii"
    path.write_bytes(nifti(order, **{name: number}))
    with pytest.raises(InputError, match="beyond any room"):
        read_ct(path)


@pytest.mark.parametrize("order", "<>")
def test_a_nifti_of_version_2_is_refused_by_name(tmp_path: Path, order: str) -> None:
    path = tmp_path / "ct.nii"
    path.write_bytes(struct.pack(f"{order}i", 540) + b"n+2\0\r\n\032\n" + bytes(1000))
    with pytest.raises(InputError, match="NIfTI-1"):
        read_ct(path)


@pytest.mark.parametrize("size", ["99999999999999", "99999999999999999999999999", "-5"])
def test_a_compressed_size_that_cannot_be_is_refused(tmp_path: Path, size: str) -> None:
    path = tmp_path / "ct.mha"
    sitk.WriteImage(as_image(phantom()), str(path), useCompression=True)
    path.write_bytes(re.sub(rb"CompressedDataSize = \d+", f"CompressedDataSize = {size}".encode(), path.read_bytes()))
    with pytest.raises(InputError, match="shorter than its header says"):
        read_ct(path)


ESCAPES = {
    "ct.mhd": [
        "  ElementDataFile = ../ct.raw",
        "\tElementDataFile\t=\t../ct.raw",
        "ElementDataFile : ../ct.raw",
        "Comment = " + "x" * 70000 + "\nElementDataFile = ../ct.raw",
        "Comment = ElementDataFile = LOCAL\nElementDataFile = ../ct.raw",
        "ElementDataFile = /etc/passwd",
        "ElementDataFile = inner.raw",
    ],
    "ct.nhdr": [
        "data file: ../ct.raw",
        "DATA FILE: ../ct.raw",
        "\rdata file: ../ct.raw",
        "# " + "x" * 70000 + "\ndata file: ../ct.raw",
        "data file: /etc/passwd",
        "data file: inner.raw",
        "data file: -",
    ],
}


@pytest.mark.parametrize(("name", "line"), [(name, line) for name, lines in ESCAPES.items() for line in lines])
def test_voxels_from_outside_a_headers_folder_are_refused_however_they_are_named(tmp_path: Path, name: str, line: str) -> None:
    sitk.WriteImage(as_image(phantom()), tmp_path / name)
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "inner.raw").symlink_to(tmp_path / "ct.raw")
    header = re.sub(r"(?:ElementDataFile = |data file: )ct\.raw", lambda _: line, (tmp_path / name).read_text())
    (inner / name).write_bytes(header.encode())
    with pytest.raises(InputError, match="outside its own folder"):
        read_ct(inner / name)


@pytest.mark.parametrize(
    ("name", "line", "sentence"),
    [
        ("ct.mhd", "ElementDataFile = LIST\nct.raw", "in a list of files"),
        ("ct.nhdr", "data file: LIST\nct.raw", "in a list of files"),
        ("ct.mhd", "ElementDataFile = %s%d 1 2 1", "cannot be meant"),
        ("ct.nhdr", "data file: %s%d.raw 1 2 1", "cannot be meant"),
    ],
)
def test_lists_of_files_and_patterns_for_their_names_are_refused(tmp_path: Path, name: str, line: str, sentence: str) -> None:
    sitk.WriteImage(as_image(phantom()), tmp_path / name)
    header = re.sub(r"(?:ElementDataFile = |data file: )ct\.raw", line, (tmp_path / name).read_text())
    (tmp_path / name).write_text(header)
    with pytest.raises(InputError, match=sentence):
        read_ct(tmp_path / name)


def test_a_shear_that_needs_far_more_voxels_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ct.mha"
    sitk.WriteImage(as_image(phantom(), np.eye(3)), path)
    header = path.read_bytes()
    changed = header.replace(b"TransformMatrix = 1 0 0 0 1 0 0 0 1", b"TransformMatrix = 1 0 0 0 1 0 0 0.5 0.8660254")
    changed = re.sub(rb"ElementSpacing = [^\n]*", b"ElementSpacing = 0.7 0.9 900", changed)
    assert changed != header
    path.write_bytes(changed)
    with pytest.raises(InputError, match="more than any gantry tilts"):
        read_ct(path)
