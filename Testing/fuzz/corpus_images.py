"""The fixed corpus of images: volumes, label maps, DICOM series and X-rays, each of some kilobytes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk
from DRRSimulatorLib.camera import Camera, CArmView
from DRRSimulatorLib.ct import CTVolume

CAMERA = Camera(1000.0, (1.6, 1.5), (40, 36), (17.5, 20.0))
POSE = CArmView(20, 10, 5, (8, -12), 700).ras_to_camera((10.0, -20.0, 30.0))
VOLUMES = ("ct.nii", "ct.nii.gz", "ct.nrrd", "ct-raw.nrrd", "ct.nhdr", "ct.mha", "ct-compressed.mha", "ct.mhd")
_CT_STORAGE, _ENHANCED_CT_STORAGE = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.2.1"
_XA_STORAGE, _ENHANCED_XA_STORAGE = "1.2.840.10008.5.1.4.1.1.12.1", "1.2.840.10008.5.1.4.1.1.12.1.1"
_COMPRESSED = {  # transfer syntaxes
    "rle": "1.2.840.10008.1.2.5",
    "jpeg-lossless": "1.2.840.10008.1.2.4.70",
    "jpeg-ls": "1.2.840.10008.1.2.4.80",
    "jpeg-2000": "1.2.840.10008.1.2.4.90",
}


def hounsfield() -> npt.NDArray[np.int16]:
    """A small body with bone in it, [k, j, i]."""
    k, j, i = np.indices((6, 7, 8))
    radius = np.hypot(j - 3, i - 3.5) + abs(k - 2.5) / 3
    return np.where(radius < 2, 700, np.where(radius < 3, 40, -1000)).astype(np.int16)


def small_ct() -> CTVolume:
    """It as a CT of 5 mm."""
    return CTVolume(hounsfield().astype(np.float32), np.diag([5.0, 5.0, 5.0, 1.0]))


def picture() -> npt.NDArray[np.uint16]:
    """Something like an X-ray, 12 bits [row, column]."""
    row, column = np.indices(CAMERA.image_size)
    return np.rint(3800 * np.exp(-2 * np.exp(-(((column - 17) / 7) ** 2) - ((row - 18) / 12) ** 2))).astype(np.uint16)


def write_volumes(folder: Path) -> None:
    """The CT in every format, one to a folder."""
    for name in VOLUMES:
        (folder / name).mkdir()
        _write_volume(folder / name / name, hounsfield(), compressed=name != "ct-raw.nrrd" and name != "ct.mha")


def write_label_maps(folder: Path) -> None:
    """A label map with the names of its labels."""
    (folder / "labels").mkdir()
    _write_volume(folder / "labels" / "bones.nrrd", (hounsfield() > 300).astype(np.uint8) * 3, compressed=True)
    names = {"3": "femur_left", "7": "sacrum"}
    (folder / "labels" / "bones.json").write_text(json.dumps(names, indent=1))


def write_ct_series(folder: Path) -> None:
    """The CT as DICOM: slices plain, of a tilted gantry with padding and rescale slope, compressed (RLE), and all frames in one file."""
    for name, more in (("plain", {}), ("tilted", {"PixelPaddingValue": -2000, "RescaleSlope": "2", "RescaleIntercept": "-24"})):
        (folder / name).mkdir()
        for k, hu in enumerate(hounsfield()):
            geometry = {
                "Modality": "CT",
                "SeriesInstanceUID": "1.2.3.4",
                "SeriesDescription": "bone",
                "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
                "PixelSpacing": [5, 5],
                "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
                "ImagePositionPatient": [-17.5, -15 + (k if more else 0), 5 * k],
                "RescaleIntercept": "0",
                "RescaleSlope": "1",
            }
            _write_dicom(folder / name / f"{k}.dcm", _CT_STORAGE, hu, **(geometry | more))

    for name in ("compressed", "enhanced"):
        (folder / name).mkdir()
    for k in range(len(hounsfield())):
        _compress(folder / "plain" / f"{k}.dcm", folder / "compressed" / f"{k}.dcm", _COMPRESSED["rle"])
    _write_enhanced_ct(folder / "enhanced" / "ct.dcm")


def _write_enhanced_ct(path: Path) -> None:
    """The CT as one file of many frames, each with a rescale of its own."""
    stored = np.stack([hu + k for k, hu in enumerate(hounsfield())])
    shared = _item(
        PixelMeasuresSequence=[_item(PixelSpacing=[5, 5])],
        PlaneOrientationSequence=[_item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])],
    )
    frames = [
        _item(
            PlanePositionSequence=[_item(ImagePositionPatient=[-17.5, -15, 5 * k])],
            PixelValueTransformationSequence=[_item(RescaleSlope=1, RescaleIntercept=-k)],
            FrameContentSequence=[_item(TemporalPositionIndex=1)],
        )
        for k in range(len(stored))
    ]
    _write_dicom(
        path,
        _ENHANCED_CT_STORAGE,
        stored.astype(np.int16),
        Modality="CT",
        SeriesInstanceUID="1.2.3.4",
        ImageType=["ORIGINAL", "PRIMARY", "VOLUME", "NONE"],
        NumberOfFrames=len(stored),
        SharedFunctionalGroupsSequence=[shared],
        PerFrameFunctionalGroupsSequence=frames,
    )


def _item(**attributes: Any) -> Any:
    """Of a sequence."""
    from pydicom import Dataset

    made = Dataset()
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    return made


def write_pictures(folder: Path) -> None:
    """X-rays in the formats of pictures, grey and coloured, and as a volume of one slice."""
    grey, bright = picture(), (picture() // 16).astype(np.uint8)
    colours = sitk.GetImageFromArray(np.stack([bright, bright, 255 - bright], axis=-1), isVector=True)
    images = dict.fromkeys(("16.png", "16.tif", "16.nrrd"), sitk.GetImageFromArray(grey))
    images |= dict.fromkeys(("8.jpg", "8.bmp"), sitk.GetImageFromArray(bright)) | dict.fromkeys(("colour.png", "colour.tif"), colours)
    images |= dict.fromkeys(("slice.nii", "slice.mha"), sitk.GetImageFromArray(grey[None]))
    images["real.tif"] = sitk.GetImageFromArray(grey / np.float32(3))
    for name, image in images.items():
        (folder / name).mkdir()
        sitk.WriteImage(image, str(folder / name / f"xray-{name}"))


def write_dicom_xrays(folder: Path) -> None:
    """X-rays in DICOM: compressed and not, several frames, grey bright or dark, with tables of values, and in colours."""
    geometry: dict[str, Any] = {"DistanceSourceToDetector": 1000, "ImagerPixelSpacing": [1.5, 1.6], "PixelIntensityRelationship": "LIN"}
    dark = geometry | {"PhotometricInterpretation": "MONOCHROME1", "PositionerPrimaryAngle": 30, "PositionerSecondaryAngle": -10}
    table = {"WindowCenter": 2000, "WindowWidth": 3000, "RescaleSlope": 1, "RescaleIntercept": 0, "PatientOrientation": ["L", "F"]}
    bright = (picture() // 16).astype(np.uint8)
    eight_bits = {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7}
    colours = {"SamplesPerPixel": 3, "PlanarConfiguration": 0, "PhotometricInterpretation": "RGB"}
    files = {
        "plain": (picture(), geometry),
        "dark": (picture(), dark | table),
        "frames": (np.stack([picture(), picture() // 2]), geometry | {"NumberOfFrames": 2}),
        "colour": (np.stack([bright] * 3, axis=-1), geometry | eight_bits | colours),
        "lookup": (picture() // 16, geometry | {"ModalityLUTSequence": [_lookup_table()]}),
    }
    for name, (pixels, attributes) in files.items():
        (folder / name).mkdir()
        _write_dicom(folder / name / "xray.dcm", _XA_STORAGE, pixels, **attributes)
    (folder / "enhanced").mkdir()
    _write_dicom(folder / "enhanced" / "xray.dcm", _ENHANCED_XA_STORAGE, np.stack([picture(), picture() // 2]), **_frames_of_xray())
    for name, syntax in _COMPRESSED.items():
        (folder / name).mkdir()
        _compress(folder / "plain" / "xray.dcm", folder / name / "xray.dcm", syntax)


def _frames_of_xray() -> dict[str, Any]:
    """Functional groups of an enhanced XA file: what its two frames have in common, and each its own angles."""
    shared = _item(
        XRayGeometrySequence=[_item(DistanceSourceToDetector=1000)],
        FramePixelDataPropertiesSequence=[_item(ImagerPixelSpacing=[1.5, 1.6], PixelIntensityRelationship="LIN")],
        PixelValueTransformationSequence=[_item(RescaleSlope=2, RescaleIntercept=0, RescaleType="US")],
    )
    angles = ((30, 5), (-60, 0))
    frames = [
        _item(PositionerPositionSequence=[_item(PositionerPrimaryAngle=primary, PositionerSecondaryAngle=secondary)])
        for primary, secondary in angles
    ]
    return {"NumberOfFrames": 2, "SharedFunctionalGroupsSequence": [shared], "PerFrameFunctionalGroupsSequence": frames}


def write_dicom_registrations(folder: Path) -> None:
    """A Spatial Registration object of ours, without the time and the UIDs of the moment."""
    from XRayRegistrationLib.dicom_registration import PlacedCamera, spatial_registration
    from XRayRegistrationLib.dicom_study import DicomSources
    from XRayRegistrationLib.orientation import Orientation

    placed = PlacedCamera(POSE, CAMERA, Orientation(90, True), "2.25.12345")
    made = spatial_registration(placed, DicomSources((), (None,)), None, "2.25.1", 1, "X-ray 1 to CT")
    fixed = {"DA": "20260101", "TM": "120000", "DT": "20260101120000"}
    for element in made.iterall():
        if element.VR in fixed and element.value:
            element.value = fixed[element.VR]
        elif element.VR == "UI" and str(element.value).startswith("2.25.") and len(str(element.value)) > 20:
            element.value = "2.25.6789"
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    (folder / "registration").mkdir()
    made.save_as(folder / "registration" / "registration.dcm", enforce_file_format=True)


def _write_volume(path: Path, voxels: npt.NDArray[Any], compressed: bool) -> None:
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing((5.0, 5.0, 5.0))
    image.SetOrigin((-17.5, -15.0, 0.0))
    sitk.WriteImage(image, str(path), useCompression=compressed)


def _lookup_table() -> Any:
    from pydicom.dataset import Dataset

    table = Dataset()
    table.LUTDescriptor = [256, 0, 16]
    table.ModalityLUTType = "US"
    table.LUTData = (np.arange(256, dtype="<u2") * 256).tobytes()
    return table


def _write_dicom(path: Path, sop_class: str, pixels: npt.NDArray[Any], **attributes: Any) -> None:
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian

    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class, "1.2.3.4.5"
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    signed = pixels.dtype.kind == "i"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = (16, 16, 15) if signed else (16, 12, 11)
    dataset.PixelRepresentation = int(signed)
    grey = attributes.get("SamplesPerPixel", 1) == 1
    dataset.Rows, dataset.Columns = pixels.shape[-2:] if grey else pixels.shape[:2]
    dataset.PixelData = pixels.tobytes()
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    dataset["PixelData"].VR = "OB" if dataset.BitsAllocated == 8 else "OW"
    dataset.save_as(path, enforce_file_format=True)


def _compress(plain: Path, path: Path, syntax: str) -> None:
    import gdcm

    reader, change, writer = gdcm.ImageReader(), gdcm.ImageChangeTransferSyntax(), gdcm.ImageWriter()
    reader.SetFileName(str(plain))
    reader.Read()
    change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(syntax)))
    change.SetInput(reader.GetImage())
    if not change.Change():
        raise RuntimeError(f"GDCM cannot write {syntax}")
    writer.SetFileName(str(path))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    writer.Write()
