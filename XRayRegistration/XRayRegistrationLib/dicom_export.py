"""A registration as DICOM objects: Spatial Registrations, a Segmentation of the bones, and Secondary Captures of the overlays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from DRRSimulatorLib.bone import BoneLabels
from DRRSimulatorLib.camera import FloatArray
from DRRSimulatorLib.ct import CTVolume
from DRRSimulatorLib.files import atomic_files

from .body import CastsRays
from .dicom_overlay import secondary_capture
from .dicom_registration import PlacedCamera, spatial_registration
from .dicom_segmentation import segmentation
from .dicom_study import DicomSources, frame_of_reference, new_uid
from .register import Registration
from .result_files import RESEARCH_USE, agreement
from .view import View

if TYPE_CHECKING:
    from highdicom import SOPClass


@dataclass(frozen=True, eq=False)
class PosedXRay:
    """An X-ray and the pose that it is exported with.

    Attributes:
        view: the X-ray with its geometry.
        ras_to_camera: 4x4 pose of the CT.
        words: how far the pose may be trusted, for the overlay; they must name nobody.
        of_bones: poses of the bones that were registered each by itself, by their names; empty where all were registered as one.
        by_eye: whether a user set the pose; else it follows from the images.
    """

    view: View
    ras_to_camera: FloatArray
    words: str
    of_bones: Mapping[str, FloatArray] = field(default_factory=dict)
    by_eye: bool = False


def posed_xrays(registration: Registration, of_bones: Mapping[str, Registration] | None = None) -> list[PosedXRay]:
    """The X-rays of a registration with the poses found; of_bones as for `write_results`."""
    return [
        PosedXRay(
            view,
            registration.ras_to_camera(number),
            agreement(registration, number),
            {name: bone.ras_to_camera(number) for name, bone in (of_bones or {}).items()},
        )
        for number, view in enumerate(registration.views)
    ]


def export_dicom(
    folder: Path,
    xrays: Sequence[PosedXRay],
    ct: CTVolume,
    bones: BoneLabels,
    projector: CastsRays,
    sources: DicomSources,
    found: bool = True,
) -> list[Path]:
    """Write registration_<n>.dcm and overlay_<n>.dcm for X-ray n from 1, and bones.dcm: all of them or none.

    Each bone that was registered by itself has a file of its own for each X-ray, registration_<n>_bone_<label>.dcm. The files carry the
    patient of the DICOM files that the registration was made from, name included.

    Args:
        folder: made where it is missing.
        xrays: what was registered, in the order of the sources.
        ct: the patient's CT.
        bones: its bones.
        projector: of the CT; as for `write_results`.
        sources: of the CT and the X-rays.
        found: whether the bones were found in the CT, or given.

    Returns:
        The files written.

    Raises:
        OSError: if a file cannot be written; all that were there stay as they were.
    """
    frame, series_uid = frame_of_reference(sources, ct), new_uid()
    objects: dict[str, SOPClass] = {"bones.dcm": segmentation(bones, sources, frame, found)}
    registrations = 0
    for number, (xray, source) in enumerate(zip(xrays, sources.xrays, strict=True), 1):
        for file, (of_what, pose) in _poses(xray, bones, f"registration_{number}").items():
            placed = PlacedCamera(pose, xray.view.camera, sources.stored, frame)
            registrations += 1
            description = f"X-ray {number} to {of_what}; research use only"
            objects[f"{file}.dcm"] = spatial_registration(placed, sources, source, series_uid, registrations, description, xray.by_eye)
        caption = f"{xray.words} {RESEARCH_USE}"
        objects[f"overlay_{number}.dcm"] = secondary_capture(xray.view, projector, xray.ras_to_camera, caption, sources, source, number)
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_files(folder, last="bones.dcm") as written:
        for name, made in objects.items():
            made.save_as(written / name, enforce_file_format=True)
    return [folder / name for name in objects]


def _poses(xray: PosedXRay, bones: BoneLabels, file: str) -> dict[str, tuple[str, FloatArray]]:
    """What the pose of a file is of, and the pose, by the file's name."""
    if not xray.of_bones:
        return {file: ("CT", xray.ras_to_camera)}
    return {f"{file}_bone_{label}": (name, xray.of_bones[name]) for label, name in bones.names.items()}
