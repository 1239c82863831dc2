"""The picture of the outlines over an X-ray as a DICOM Secondary Capture image (PS3.3 A.8.1), in colours."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
import SimpleITK as sitk
from DRRSimulatorLib.camera import FloatArray

from .body import CastsRays
from .dicom_study import UTF_8, DicomSources, XRaySource, equipment, frame_reference, new_uid, patient_and_study
from .overlay import write_overlay
from .view import View

if TYPE_CHECKING:
    from highdicom.sc import SCImage

SERIES_NUMBER = 9003


def secondary_capture(
    view: View,
    projector: CastsRays,
    ras_to_camera: FloatArray,
    caption: str,
    sources: DicomSources,
    xray: XRaySource | None,
    number: int,
) -> SCImage:
    """The Secondary Capture image of an X-ray with the bone's outline at a pose, and the DRR at it.

    The caption must name nobody. What an X-ray has burned into its pixels is in the picture as well; the header tells of that what the
    X-ray's tells, and nothing where that tells nothing: then there may be some or none (PS3.3 C.7.6.1).

    Args:
        view: the X-ray.
        projector: of the patient's CT.
        ras_to_camera: 4x4 pose.
        caption: text below the picture.
        sources: the DICOM files that the registration was made from.
        xray: the file of the X-ray, if it is one of them; the picture joins its study.
        number: of the X-ray, from 1.
    """
    from highdicom.sc import SCImage
    from highdicom.spatial import get_closest_patient_orientation

    with TemporaryDirectory() as folder:
        write_overlay(picture := Path(folder, "overlay.png"), view, projector, ras_to_camera, caption)
        pixels = sitk.GetArrayFromImage(sitk.ReadImage(str(picture)))[..., :3]
    axes_lps = (np.diag([-1.0, -1.0, 1.0]) @ ras_to_camera[:3, :3].T)[:, :2]  # columns: where the image's columns and rows run to
    columns, rows, _ = get_closest_patient_orientation(np.column_stack([axes_lps, np.cross(*axes_lps.T)]))
    made = SCImage.from_ref_dataset(
        patient_and_study(sources, xray),
        pixel_array=np.ascontiguousarray(pixels),
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        patient_orientation=(columns, rows),
        series_instance_uid=new_uid(),
        series_number=SERIES_NUMBER + number - 1,
        sop_instance_uid=new_uid(),
        instance_number=1,
        series_description="X-ray with outlines of bone (research use only)",
        **equipment(),
    )
    made.SpecificCharacterSet = UTF_8  # highdicom 0.27 copies texts without what they are encoded in
    made.ConversionType, made.Laterality = "WSD", ""  # made on a workstation; of which side of the body is not known
    made.DerivationDescription = "Outline of the CT's bone at the pose found, and the DRR there"
    if xray is not None:
        made.SourceImageSequence = [frame_reference(xray)]
        for keyword in ("BurnedInAnnotation", "LossyImageCompression"):
            if str(xray.header.get(keyword) or "") in ("YES", "NO", "00", "01"):
                setattr(made, keyword, xray.header.get(keyword))
    return made
