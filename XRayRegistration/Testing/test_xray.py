"""Reading X-rays of all formats, what DICOM headers tell of them, and the normalisation."""

from __future__ import annotations

import itertools
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from dicom_files import write_dicom
from DRRSimulatorLib.camera import Camera
from DRRSimulatorLib.errors import InputError
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.uid import RLELossless
from scipy import ndimage
from XRayRegistrationLib.xray import XRay, normalised, read_xray

RNG = np.random.default_rng(0)
ROWS, COLUMNS = 40, 50
GREY = RNG.integers(0, 4096, (ROWS, COLUMNS)).astype(np.uint16)


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        *itertools.product(["a.png", "a.tif", "a.nrrd", "a.mha", "a.nii.gz"], [np.uint8, np.uint16]),
        *itertools.product(["a.tif", "a.nrrd", "a.mha", "a.nii.gz"], [np.float32]),
    ],
)
def test_pixels_are_read_as_stored(tmp_path: Path, name: str, dtype: type) -> None:
    stored = (GREY % 256 if dtype is np.uint8 else GREY).astype(dtype) + (dtype(0.25) if dtype is np.float32 else dtype(0))
    sitk.WriteImage(sitk.GetImageFromArray(stored), str(tmp_path / name))
    xray = read_xray(tmp_path / name, polarity="attenuation")
    assert xray.pixels.dtype == np.float32 and np.array_equal(xray.pixels, stored)
    assert xray.polarity == "attenuation" and xray.camera is None


def test_volume_of_one_slice_is_an_image_and_of_two_is_refused(tmp_path: Path) -> None:
    for slices in (1, 2):
        sitk.WriteImage(sitk.GetImageFromArray(np.repeat(GREY[None], slices, axis=0)), str(tmp_path / f"{slices}.nrrd"))
    assert np.array_equal(read_xray(tmp_path / "1.nrrd").pixels, GREY)
    with pytest.raises(InputError, match="volume"):
        read_xray(tmp_path / "2.nrrd")


@pytest.mark.parametrize("channels", [3, 4])
def test_colours_become_luminance_and_opacity_is_left_out(tmp_path: Path, channels: int) -> None:
    image = RNG.integers(0, 256, (ROWS, COLUMNS, channels)).astype(np.uint8)
    sitk.WriteImage(sitk.GetImageFromArray(image, isVector=True), str(tmp_path / "a.png"))
    expected = 0.299 * image[..., 0] + 0.587 * image[..., 1] + 0.114 * image[..., 2]
    assert read_xray(tmp_path / "a.png").pixels == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(
    ("pixels", "reason"),
    [
        (np.where(np.eye(ROWS, COLUMNS), np.nan, GREY), "not finite"),
        (np.where(np.eye(ROWS, COLUMNS), np.inf, GREY), "not finite"),
        (np.where(np.eye(ROWS, COLUMNS), 1e300, GREY), "not finite"),
        (np.full((ROWS, COLUMNS), 7.0), "empty"),
        (GREY[:31].astype(float), "32 x 32"),
        (GREY.astype(complex), "complex"),
    ],
)
def test_unusable_images_are_refused_with_the_reason(tmp_path: Path, pixels: np.ndarray, reason: str) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(pixels), str(tmp_path / "a.nrrd"))
    with pytest.raises(InputError, match=reason):
        read_xray(tmp_path / "a.nrrd")


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.dcm", "a", "a.nrrd"])
@pytest.mark.parametrize("content", [b"", b"nonsense", bytes(128) + b"DICM", bytes(128) + b"DICM" + bytes(range(200))])
def test_damaged_files_are_refused(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=r"again|convert"):
        read_xray(tmp_path / name)


def test_missing_file_and_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing.png"):
        with pytest.raises(InputError, match="does not exist"):
            read_xray(path)


def test_truncated_dicom_pixels_are_refused(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm", GREY, PixelData=GREY.tobytes()[:1000])
    with pytest.raises(InputError, match="cannot be decoded"):
        read_xray(path)


def test_frame_of_a_dicom_run_is_chosen(tmp_path: Path) -> None:
    run = RNG.integers(0, 4096, (3, ROWS, COLUMNS)).astype(np.uint16)
    path = write_dicom(tmp_path / "a.dcm", run)
    dataset = pydicom.dcmread(path)
    dataset.compress(RLELossless)
    dataset.save_as(tmp_path / "compressed.dcm")
    for frame in range(3):
        assert np.array_equal(read_xray(path, frame=frame).pixels, run[frame])
        assert np.array_equal(read_xray(tmp_path / "compressed.dcm", frame=frame).pixels, run[frame])
    for frame in (-1, 3):
        with pytest.raises(InputError, match="frames 0 to 2"):
            read_xray(path, frame=frame)


def test_colour_dicom_becomes_luminance(tmp_path: Path) -> None:
    colours = RNG.integers(0, 256, (ROWS, COLUMNS, 3)).astype(np.uint8)
    attributes = {"SamplesPerPixel": 3, "PlanarConfiguration": 0, "BitsAllocated": 8, "BitsStored": 8, "HighBit": 7}
    path = write_dicom(tmp_path / "a.dcm", GREY, PhotometricInterpretation="RGB", PixelData=colours.tobytes(), **attributes)
    assert read_xray(path).pixels == pytest.approx(colours @ [0.299, 0.587, 0.114], abs=1e-3)


def test_rescale_slope_and_intercept_are_applied(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm", GREY, RescaleSlope=-0.5, RescaleIntercept=7, PixelIntensityRelationshipSign=1)
    xray = read_xray(path)
    assert np.array_equal(xray.pixels, 7 - 0.5 * GREY)
    assert xray.polarity == "attenuation"  # the stored values rise with the intensity, so the rescaled ones fall


@pytest.mark.parametrize(
    ("attributes", "polarity"),
    [
        ({"Modality": "DX", "PixelIntensityRelationshipSign": 1, "PhotometricInterpretation": "MONOCHROME2"}, "intensity"),
        ({"Modality": "DX", "PixelIntensityRelationshipSign": -1, "PhotometricInterpretation": "MONOCHROME1"}, "attenuation"),
        ({"Modality": "XA", "PixelIntensityRelationship": "LIN"}, "intensity"),
        ({"Modality": "RF", "PixelIntensityRelationship": "LOG"}, "attenuation"),
        ({"Modality": "CR", "PhotometricInterpretation": "MONOCHROME1"}, "attenuation"),
        ({"Modality": "CR", "PhotometricInterpretation": "MONOCHROME2"}, "attenuation"),
        ({"Modality": "DX", "PhotometricInterpretation": "MONOCHROME2"}, "attenuation"),
    ],
)
def test_polarity_follows_the_header_unless_the_caller_overrules_it(tmp_path: Path, attributes: dict[str, Any], polarity: str) -> None:
    path = write_dicom(tmp_path / "a.dcm", GREY, **attributes)
    assert read_xray(path).polarity == polarity
    for wanted in ("intensity", "attenuation"):
        assert read_xray(path, polarity=wanted).polarity == wanted


@pytest.mark.parametrize("relationship", ["DISP", None])
@pytest.mark.parametrize("bone", ["dark", "bright"])
def test_polarity_is_seen_in_the_image_where_the_header_is_silent(tmp_path: Path, relationship: str | None, bone: str) -> None:
    from_middle = np.hypot(*np.mgrid[-1 : 1 : ROWS * 1j, -1 : 1 : COLUMNS * 1j])
    ball = 3000 * np.sqrt(np.clip(1 - (from_middle / 0.8) ** 2, 0, None))
    image = (500 + (3000 - ball if bone == "dark" else ball)).astype(np.uint16) + GREY % 100
    path = write_dicom(tmp_path / "a.dcm", image, **({"PixelIntensityRelationship": relationship} if relationship else {}))
    assert read_xray(path).polarity == ("intensity" if bone == "dark" else "attenuation")


def test_camera_comes_from_the_detector_geometry(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm", GREY, DistanceSourceToDetector=1100, ImagerPixelSpacing=[0.2, 0.3])
    # DICOM gives the spacing of rows (along y) first, the camera x first.
    assert read_xray(path).camera == Camera(1100, (0.3, 0.2), (ROWS, COLUMNS), ((COLUMNS - 1) / 2, (ROWS - 1) / 2))


@pytest.mark.parametrize(
    "attributes",
    [
        {"DistanceSourceToDetector": 1100},
        {"ImagerPixelSpacing": [0.2, 0.2]},
        {"DistanceSourceToDetector": 1100, "PixelSpacing": [0.2, 0.2]},
        {"DistanceSourceToDetector": 0, "ImagerPixelSpacing": [0.2, 0.2]},
        {"DistanceSourceToDetector": -1100, "ImagerPixelSpacing": [0.2, 0.2]},
        {"DistanceSourceToDetector": 1100, "ImagerPixelSpacing": [0.2, 0]},
        {"DistanceSourceToDetector": 1100, "ImagerPixelSpacing": [0.2]},
        {"DistanceSourceToDetector": None, "ImagerPixelSpacing": None},
    ],
)
def test_incomplete_geometry_gives_no_camera(tmp_path: Path, attributes: dict[str, Any]) -> None:
    assert read_xray(write_dicom(tmp_path / "a.dcm", GREY, **attributes)).camera is None


@pytest.mark.parametrize(
    ("compressed", "plain", "polarity"),
    [
        ("RG2_RLE", "RG2_UNC.dcm", "attenuation"),
        ("RG3_J2KR", "RG3_UNC.dcm", "attenuation"),
        ("XA1_JPLL", "XA1_UNC.dcm", "intensity"),
    ],
)
def test_real_compressed_files_equal_the_stored_bytes_of_the_plain_ones(
    shared_data: Path, compressed: str, plain: str, polarity: str
) -> None:
    dataset = pydicom.dcmread(shared_data / "xray_import" / plain)
    stored = np.frombuffer(dataset.PixelData, np.uint16).reshape(dataset.Rows, dataset.Columns)
    shown = 1023 - stored if dataset.PhotometricInterpretation == "MONOCHROME1" else stored
    xray = read_xray(shared_data / "xray_import" / compressed)
    assert np.array_equal(xray.pixels, shown)
    assert xray.polarity == polarity


@pytest.mark.parametrize(
    "name", ["IM-0001-0020.dcm", "IM-0001-0041.dcm", "RG2_RLE", "RG2_UNC.dcm", "RG3_J2KR", "RG3_UNC.dcm", "XA1_JPLL", "XA1_UNC.dcm"]
)
def test_real_files_read_to_the_picture_that_slicers_import_shows(shared_data: Path, name: str) -> None:
    """Slicer reads single images by GDCM, as SimpleITK does: the same values, the same way round, MONOCHROME1 inverted."""
    path = shared_data / "xray_import" / name
    shown = sitk.GetArrayFromImage(sitk.ReadImage(str(path), imageIO="GDCMImageIO"))[0]
    xray = read_xray(path)
    assert np.array_equal(xray.pixels, shown)
    inside = xray.field & xray.unclipped
    bone_bright = np.corrcoef(normalised(xray)[inside], shown[inside])[0, 1] > 0.5
    assert bone_bright == (xray.polarity == "attenuation")


@pytest.mark.parametrize("name", ["IM-0001-0020.dcm", "IM-0001-0041.dcm"])
def test_bone_is_dark_in_intraoperative_fluoroscopy_and_its_geometry_incomplete(shared_data: Path, name: str) -> None:
    xray = read_xray(shared_data / "xray_import" / name)
    assert xray.polarity == "intensity" and xray.camera is None


def scene(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Attenuation and exposed field of a random smooth image."""
    rng = np.random.default_rng(seed)
    attenuation = ndimage.gaussian_filter(rng.normal(size=(ROWS, COLUMNS)), 3)
    row, column = np.mgrid[:ROWS, :COLUMNS]
    return 4 * (attenuation - attenuation.min()) / np.ptp(attenuation), np.hypot(row - 20, column - 25) < rng.uniform(10, 40)


seeds = st.integers(0, 2**32 - 1)


@settings(max_examples=25, deadline=None)
@given(seed=seeds, exposure=st.floats(0.1, 60000), scale=st.floats(0.1, 1000), offset=st.floats(-1000, 1000))
def test_inverted_pixels_of_inverted_polarity_are_the_same_image(seed: int, exposure: float, scale: float, offset: float) -> None:
    attenuation, field = scene(seed)
    intensity = XRay((exposure * np.exp(-attenuation)).astype(np.float32), field, "intensity")
    rescaled = XRay((scale * attenuation + offset).astype(np.float32), field, "attenuation")
    assert normalised(intensity) == pytest.approx(normalised(rescaled), abs=0.01)  # float32 beside an offset of 1000


@settings(max_examples=25, deadline=None)
@given(seed=seeds, border=st.integers(1, 20), value=st.floats(0, 1e6))
def test_what_lies_outside_the_field_does_not_matter(seed: int, border: int, value: float) -> None:
    attenuation, field = scene(seed)
    intensity = (1000 * np.exp(-attenuation)).astype(np.float32)
    padded = XRay(np.pad(intensity, border, constant_values=value), np.pad(field, border), "intensity")
    image = normalised(padded)
    assert np.array_equal(image[border:-border, border:-border], normalised(XRay(intensity, field, "intensity")))
    assert not image[~padded.field].any()


def test_black_border_changes_the_mask_only(shared_data: Path) -> None:
    pixels = read_xray(shared_data / "xray_import" / "XA1_UNC.dcm").pixels[200:800, 200:800]
    plain = XRay.from_pixels(pixels, "intensity")
    padded = XRay.from_pixels(np.pad(pixels, 100), "intensity")
    inner = padded.field[100:-100, 100:-100]
    assert plain.field.all() and padded.field.sum() == inner.sum() and inner[20:-20, 20:-20].all()
    difference = normalised(padded)[100:-100, 100:-100] - normalised(plain)
    assert abs(difference[inner]).max() < 0.1  # the percentiles are of a field that is cut back by a few pixels


@settings(max_examples=25, deadline=None)
@given(seed=seeds)
def test_normalised_field_has_its_percentiles_at_zero_and_one_and_bone_bright(seed: int) -> None:
    attenuation, field = scene(seed)
    image = normalised(XRay((1000 * np.exp(-attenuation)).astype(np.float32), field, "intensity"))
    assert image.dtype == np.float32 and image.min() >= -0.5 and image.max() <= 1.5
    inside = image[field]
    assert np.percentile(inside, [2, 98]) == pytest.approx([0, 1], abs=1e-5)
    order = np.argsort(attenuation[field])
    assert (np.diff(inside[order]) >= -1e-5).all()


def test_zeros_and_saturation_give_finite_images() -> None:
    pixels = np.zeros((ROWS, COLUMNS), np.float32)
    pixels[:, 20:] = 255
    everywhere = np.ones(pixels.shape, bool)
    for polarity in ("intensity", "attenuation"):
        assert np.isfinite(normalised(XRay(pixels, everywhere, polarity))).all()
    saturated = normalised(XRay(pixels, pixels > 0, "intensity"))
    assert not saturated.any()


def test_intensities_that_are_not_positive_are_refused() -> None:
    xray = XRay(-GREY.astype(np.float32), np.ones(GREY.shape, bool), "intensity")
    with pytest.raises(InputError, match="positive"):
        normalised(xray)


def test_xray_refuses_what_does_not_fit_it() -> None:
    pixels, field = GREY.astype(np.float32), np.ones(GREY.shape, bool)
    with pytest.raises(InputError, match="mask"):
        XRay(pixels, field[1:], "intensity")
    with pytest.raises(InputError, match="mask"):
        XRay(pixels, ~field, "intensity")
    with pytest.raises(InputError, match="polarity"):
        XRay(pixels, field, "positive")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="camera"):
        XRay(pixels, field, "intensity", Camera.centred(1000, 0.3, (COLUMNS, ROWS)))


def test_what_windows_and_detectors_cut_off_is_told_from_what_they_show() -> None:
    pixels = np.random.default_rng(0).uniform(100, 900, (64, 64)).astype(np.float32)
    shown = XRay(pixels, np.ones(pixels.shape, bool), "intensity").unclipped
    assert shown.all()  # its darkest and its brightest pixel are one each
    clipped = np.clip(pixels, 250, 800)
    xray = XRay(clipped, np.ones(pixels.shape, bool), "intensity")
    assert (xray.unclipped == ((pixels > 250) & (pixels < 800))).mean() > 0.99


def test_an_image_of_two_values_shows_all_it_has() -> None:
    pixels = np.zeros((64, 64), np.float32)
    pixels[:, 32:] = 1
    assert XRay(pixels, np.ones(pixels.shape, bool), "attenuation").unclipped.all()


def test_a_picture_whose_pixels_lie_in_another_folder_is_refused(tmp_path: Path) -> None:
    """Its header could show any file of the machine as an image."""
    inner = tmp_path / "inner"
    inner.mkdir()
    (tmp_path / "secret.raw").write_bytes(GREY.tobytes())
    for name, header in {
        "a.mhd": f"NDims = 2\nDimSize = {GREY.shape[1]} {GREY.shape[0]}\nElementType = MET_USHORT\nElementDataFile = ../secret.raw\n",
        "a.nhdr": f"NRRD0004\ntype: ushort\ndimension: 2\nsizes: {GREY.shape[1]} {GREY.shape[0]}\nendian: little\nencoding: raw\n"
        "data file: ../secret.raw\n",
    }.items():
        (inner / name).write_text(header)
        with pytest.raises(InputError, match="outside its own folder"):
            read_xray(inner / name)
        (tmp_path / name).write_text(header.replace("../", ""))
        np.testing.assert_array_equal(read_xray(tmp_path / name).pixels, GREY)


def test_a_picture_that_claims_more_pixels_than_any_detector_has_is_refused_before_they_are_read(tmp_path: Path) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(GREY), str(tmp_path / "a.png"))
    data = bytearray((tmp_path / "a.png").read_bytes())
    data[16:24] = (60_000).to_bytes(4, "big") * 2
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(InputError, match="more than any X-ray has"):
        read_xray(tmp_path / "a.png")


def test_a_bmp_that_ends_before_its_pixels_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.bmp"
    sitk.WriteImage(sitk.GetImageFromArray((GREY // 256).astype(np.uint8)), str(path))
    data = bytearray(path.read_bytes())
    data[22:26] = (1_000_000).to_bytes(4, "little")  # rows; the reader gives them all, of what is in memory
    path.write_bytes(data)
    with pytest.raises(InputError, match="shorter than its header says"):
        read_xray(path)


@pytest.mark.parametrize("suffix", [".vtk", ".hdf5", ".gipl", ".mrc", ""])
def test_formats_that_nobody_means_are_not_tried(tmp_path: Path, suffix: str) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(GREY), str(tmp_path / "a.vtk"))
    (tmp_path / "a.vtk").rename(tmp_path / f"a{suffix}")
    with pytest.raises(InputError, match="convert it to PNG"):
        read_xray(tmp_path / f"a{suffix}")
