"""Pixels of DICOM X-rays in every transfer syntax, bit depth and colour model: the values that were stored, as other decoders see them."""

from __future__ import annotations

import io
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from dicom_files import compress, write_dicom
from DRRSimulatorLib.errors import InputError
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)
from scipy import ndimage
from XRayRegistrationLib import dicom_pixels
from XRayRegistrationLib.dicom_xray import read_dicom
from XRayRegistrationLib.xray import read_xray

FRAMES, ROWS, COLUMNS = 2, 64, 48
PLAIN = [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]
COMPRESSED = [RLELossless, JPEGLossless, JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless]
DEPTHS = [(bits, signed) for bits in (8, 10, 12, 14, 16) for signed in (False, True)]
RGB = {"SamplesPerPixel": 3, "BitsAllocated": 8, "BitsStored": 8, "HighBit": 7}


def smooth(seed: int = 0, shape: tuple[int, ...] = (FRAMES, ROWS, COLUMNS)) -> np.ndarray:
    """Frames as smooth as X-rays, from 0 to 1."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), (0, 4, 4, 0)[: len(shape)])
    return (noise - noise.min()) / np.ptp(noise)


def of_depth(bits: int, signed: bool) -> tuple[np.ndarray, dict[str, Any]]:
    """Values that use all bits, and the attributes that say so."""
    values = np.rint(smooth() * (2**bits - 1)).astype(np.int64) - (2 ** (bits - 1) if signed else 0)
    allocated = 8 if bits == 8 else 16
    attributes = {"BitsAllocated": allocated, "BitsStored": bits, "HighBit": bits - 1, "PixelRepresentation": int(signed)}
    return values.astype(f"{'i' if signed else 'u'}{allocated // 8}"), attributes


def written(folder: Path, values: np.ndarray, syntax: UID, attributes: dict[str, Any]) -> Path:
    if syntax in PLAIN:
        return write_dicom(folder / "a.dcm", values, syntax, **attributes)
    return compress(write_dicom(folder / "a.dcm", values, **attributes), syntax)


@pytest.mark.parametrize(("bits", "signed"), DEPTHS)
@pytest.mark.parametrize("syntax", [*PLAIN, *COMPRESSED], ids=lambda syntax: syntax.keyword)
def test_every_lossless_file_gives_the_values_that_were_stored(tmp_path: Path, syntax: UID, bits: int, signed: bool) -> None:
    values, attributes = of_depth(bits, signed)
    path = written(tmp_path, values, syntax, attributes)
    assert pydicom.dcmread(path).file_meta.TransferSyntaxUID == syntax
    by_slicers_reader = sitk.GetArrayFromImage(sitk.ReadImage(str(path), imageIO="GDCMImageIO"))
    for frame in range(FRAMES):
        pixels = read_dicom(path, frame).pixels
        assert np.array_equal(pixels, values[frame]) and np.array_equal(pixels, by_slicers_reader[frame])


@pytest.mark.parametrize(("bits", "signed"), DEPTHS)
@pytest.mark.parametrize("syntax", COMPRESSED, ids=lambda syntax: syntax.keyword)
def test_without_a_plug_in_of_pydicom_simpleitk_decodes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, syntax: UID, bits: int, signed: bool
) -> None:
    """As inside 3D Slicer, whose pydicom has none."""

    values, attributes = of_depth(bits, signed)
    path = written(tmp_path, values, syntax, attributes | {"RescaleSlope": 2, "RescaleIntercept": -5, "PatientName": "Doe^Jane"})
    monkeypatch.setattr(dicom_pixels, "_pydicom_decodes", lambda syntax: False)
    for frame in range(FRAMES):
        assert np.array_equal(read_dicom(path, frame).pixels, 2.0 * values[frame] - 5)


@pytest.mark.parametrize(
    ("syntax", "bits"), [(JPEGBaseline8Bit, 8), (JPEGExtended12Bit, 8), (JPEGExtended12Bit, 10), (JPEGExtended12Bit, 12)]
)
def test_lossy_jpeg_gives_nearly_the_values_that_were_stored(tmp_path: Path, syntax: UID, bits: int) -> None:
    values, attributes = of_depth(bits, False)
    pixels = read_dicom(written(tmp_path, values, syntax, attributes), 1).pixels
    assert abs(pixels.astype(int) - values[1]).max() <= 2


def test_colour_jpeg_is_decoded_as_pillow_does(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    colours = np.rint(255 * smooth(1, (1, ROWS, COLUMNS, 3))[0]).astype(np.uint8)
    jpeg = io.BytesIO()
    image.fromarray(colours).save(jpeg, "JPEG", quality=90, subsampling="4:2:2")
    attributes = RGB | {"PhotometricInterpretation": "YBR_FULL_422", "PlanarConfiguration": 0}
    path = write_dicom(tmp_path / "a.dcm", colours[..., 0], JPEGBaseline8Bit, **attributes, PixelData=encapsulate([jpeg.getvalue()]))
    by_pillow = np.asarray(image.open(jpeg).convert("RGB"))
    assert abs(read_xray(path).pixels - by_pillow @ [0.299, 0.587, 0.114]).max() < 3


@pytest.mark.parametrize("model", ["RGB", "RGB planar", "RGB JPEG 2000", "YBR_FULL", "PALETTE COLOR"])
def test_colour_screenshots_become_their_luminance(tmp_path: Path, model: str) -> None:
    colours = np.random.default_rng(2).integers(0, 256, (ROWS, COLUMNS, 3)).astype(np.uint8)
    luminance = colours @ [0.299, 0.587, 0.114]
    stored, attributes = colours, RGB | {"PhotometricInterpretation": model.split()[0], "PlanarConfiguration": 0}
    tolerance = 1e-3
    if model == "RGB planar":
        stored, attributes["PlanarConfiguration"] = colours.transpose(2, 0, 1), 1
    elif model == "YBR_FULL":  # ITU-R BT.601 over the full range: the first sample is the luminance itself
        blue, red = 0.564 * (colours[..., 2] - luminance) + 128, 0.713 * (colours[..., 0] - luminance) + 128
        stored, tolerance = np.stack([luminance, blue, red], axis=-1).round().clip(0, 255).astype(np.uint8), 2
    elif model == "PALETTE COLOR":
        stored = np.random.default_rng(3).integers(0, 256, (ROWS, COLUMNS)).astype(np.uint8)
        table = np.random.default_rng(4).integers(0, 65536, (256, 3)).astype(np.uint16)
        attributes = RGB | {"SamplesPerPixel": 1, "PhotometricInterpretation": "PALETTE COLOR"}
        for name, column in zip(("Red", "Green", "Blue"), table.T, strict=True):
            attributes[f"{name}PaletteColorLookupTableDescriptor"] = [256, 0, 16]
            attributes[f"{name}PaletteColorLookupTableData"] = column.tobytes()
        luminance, tolerance = (table @ [0.299, 0.587, 0.114])[stored], 0.01
    path = write_dicom(tmp_path / "a.dcm", colours[..., 0], PixelData=stored.tobytes(), **attributes)
    if model == "RGB JPEG 2000":
        path = compress(path, JPEG2000Lossless)
    assert read_xray(path).pixels == pytest.approx(luminance, abs=tolerance)


@pytest.mark.parametrize("signed", [False, True])
def test_bits_above_the_stored_ones_are_left_out(tmp_path: Path, signed: bool) -> None:
    """Overlays were once kept there."""
    values, attributes = of_depth(12, signed)
    overlay = np.random.default_rng(5).integers(0, 2, values.shape).astype(np.uint16) << 13
    path = write_dicom(tmp_path / "a.dcm", (values.view(np.uint16) & 0x0FFF) | overlay, **attributes)
    assert np.array_equal(read_dicom(path).pixels, values[0])
    by_slicers_reader = sitk.GetArrayFromImage(sitk.ReadImage(str(path), imageIO="GDCMImageIO"))
    assert np.array_equal(by_slicers_reader[0], values[0])


def test_values_at_the_top_of_their_words_are_moved_down(tmp_path: Path) -> None:
    values, attributes = of_depth(12, False)
    path = write_dicom(tmp_path / "a.dcm", values << 4, **attributes | {"HighBit": 15})
    assert np.array_equal(read_dicom(path).pixels, values[0])


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, RLELossless], ids=lambda syntax: syntax.keyword)
def test_one_frame_of_a_long_run_is_decoded_without_the_others(tmp_path: Path, syntax: UID) -> None:
    run = np.repeat(np.rint(4095 * smooth(6, (1, 256, 256))).astype(np.uint16), 60, axis=0)
    path = written(tmp_path, run, syntax, {})
    dataset = pydicom.dcmread(path)
    assert len(dataset.PixelData) > 0
    tracemalloc.start()
    frame = dicom_pixels.stored_frame(dataset, 59)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert np.array_equal(frame[..., 0], run[59]) and peak < 10 * frame.nbytes


def test_a_header_of_more_pixels_than_any_detector_has_is_refused_before_memory_is_taken(tmp_path: Path) -> None:
    values, _ = of_depth(12, False)
    for syntax in (ExplicitVRLittleEndian, JPEGLosslessSV1):
        path = written(tmp_path, values, syntax, {})
        dataset = pydicom.dcmread(path)
        dataset.Rows = dataset.Columns = 65535
        dataset.save_as(path)
        with pytest.raises(InputError, match="more than any X-ray detector"):
            read_dicom(path)


@pytest.mark.parametrize("syntax", COMPRESSED, ids=lambda syntax: syntax.keyword)
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9])
def test_compressed_files_that_end_early_are_refused(tmp_path: Path, syntax: UID, share: float) -> None:
    values, attributes = of_depth(12, False)
    path = written(tmp_path, values[0], syntax, attributes)
    content = path.read_bytes()
    begin = content.index(b"\xe0\x7f\x10\x00OB")  # PixelData
    path.write_bytes(content[: begin + int(share * (len(content) - begin))])
    with pytest.raises(InputError, match="again"):
        read_dicom(path)


@pytest.mark.parametrize("syntax", COMPRESSED, ids=lambda syntax: syntax.keyword)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_a_compressed_frame_that_ends_early_is_not_read_as_half_an_image(tmp_path: Path, syntax: UID, share: float) -> None:
    values, attributes = of_depth(12, False)
    dataset = pydicom.dcmread(written(tmp_path, values[0], syntax, attributes))
    frame = next(generate_frames(dataset.PixelData, number_of_frames=1))
    dataset.PixelData = encapsulate([frame[: int(share * len(frame))]])
    dataset.save_as(tmp_path / "b.dcm")
    with pytest.raises(InputError, match="cannot be decoded"):
        read_dicom(tmp_path / "b.dcm")


def test_a_transfer_syntax_that_no_decoder_knows_is_named(tmp_path: Path) -> None:
    values, attributes = of_depth(12, False)
    dataset = pydicom.dcmread(written(tmp_path, values[0], JPEG2000Lossless, attributes))
    dataset.file_meta.TransferSyntaxUID = HTJ2KLossless
    dataset.save_as(tmp_path / "b.dcm")
    try:
        read_dicom(tmp_path / "b.dcm")  # where a decoder knows it, it may read ordinary JPEG 2000 as well
    except InputError as error:
        assert "High-Throughput JPEG 2000" in str(error)
