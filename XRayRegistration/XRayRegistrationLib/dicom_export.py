"""A registration as DICOM objects: Spatial Registrations, a Segmentation of the bones, and Secondary Captures of the overlays."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from DRRSimulatorLib.bone import BoneLabels
from DRRSimulatorLib.ct import CTVolume
from DRRSimulatorLib.files import atomic_files

from .body import CastsRays
from .dicom_overlay import secondary_capture
from .dicom_registration import PlacedCamera, spatial_registration
from .dicom_segmentation import segmentation
from .dicom_study import DicomSources, frame_of_reference, new_uid
from .register import Registration
from .result_files import RESEARCH_USE, agreement

if TYPE_CHECKING:
    from highdicom import SOPClass


def export_dicom(
    folder: Path,
    registration: Registration,
    ct: CTVolume,
    bones: BoneLabels,
    projector: CastsRays,
    sources: DicomSources,
    of_bones: Mapping[str, Registration] | None = None,
    found: bool = True,
) -> list[Path]:
    """Write registration_<n>.dcm and overlay_<n>.dcm for X-ray n from 1, and bones.dcm: all of them or none.

    They carry the patient of the DICOM files that the registration was made from, name included.

    Args:
        folder: made where it is missing.
        registration: what was found.
        ct: the patient's CT.
        bones: its bones.
        projector: of the CT; as for `write_results`.
        sources: of the CT and the X-rays, from `read_sources`.
        of_bones: the registrations of bones that were registered each by itself, by their names: each has a file of its own for each
            X-ray, registration_<n>_bone_<label>.dcm.
        found: whether the bones were found in the CT, or given.

    Returns:
        The files written.

    Raises:
        OSError: if a file cannot be written; all that were there stay as they were.
    """
    frame, series_uid = frame_of_reference(sources, ct), new_uid()
    objects: dict[str, SOPClass] = {"bones.dcm": segmentation(bones, sources, frame, found)}
    registrations = 0
    for number, (view, xray) in enumerate(zip(registration.views, sources.xrays, strict=True), 1):
        for label, name in bones.names.items() if of_bones else [(0, "")]:
            found_pose = of_bones[name] if of_bones else registration
            placed = PlacedCamera(found_pose.ras_to_camera(number - 1), found_pose.views[number - 1].camera, sources.stored, frame)
            file, of_what = (f"registration_{number}_bone_{label}.dcm", name) if of_bones else (f"registration_{number}.dcm", "CT")
            registrations += 1
            description = f"X-ray {number} to {of_what}; research use only"
            objects[file] = spatial_registration(placed, sources, xray, series_uid, registrations, description)
        caption = f"{agreement(registration, number - 1)} {RESEARCH_USE}"
        pose = registration.ras_to_camera(number - 1)
        objects[f"overlay_{number}.dcm"] = secondary_capture(view, projector, pose, caption, sources, xray, number)
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_files(folder, last="bones.dcm") as written:
        for name, made in objects.items():
            made.save_as(written / name, enforce_file_format=True)
    return [folder / name for name in objects]
