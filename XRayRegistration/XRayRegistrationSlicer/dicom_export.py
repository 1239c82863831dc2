"""A result as DICOM objects. Like the other files of a result they are made from the scene as it is now."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from DRRSimulatorSlicer.dependencies import Dependencies, DependencyError, isMet
from slicer.i18n import tr as _

from .dicom_sources import dicomSources
from .result import RegistrationResult

if TYPE_CHECKING:
    from DRRSimulatorLib.patient import Patient
    from DRRSimulatorLib.progress import Report
    from XRayRegistrationLib.dicom_study import DicomSources

# Slicer 5.12 and newer bundle it with pydicom 3, which it needs. It is never installed: that would replace an older Slicer's pydicom.
HIGHDICOM = "highdicom>=0.27"


def canExportDICOM() -> bool:
    """Whether this Slicer has what it takes."""
    return isMet(HIGHDICOM)


def needsNewerSlicer() -> str:
    """What to tell the user where it has not."""
    return _("DICOM export needs 3D Slicer 5.12 or newer.")


def requireDICOM() -> None:
    """Refuse where this Slicer has not what it takes.

    Raises:
        DependencyError: then.
    """
    if not canExportDICOM():
        raise DependencyError(needsNewerSlicer())


def prepareDICOM(
    result: RegistrationResult, folder: Path, makePatient: Callable[[Report], Patient], sources: DicomSources | None = None
) -> Callable[[Report], list[Path]]:
    """Collect what DICOM objects of a result need from the scene; see `XRayRegistrationLogic.exportDICOM`.

    Args:
        result: of a registration.
        folder: made where it is missing.
        makePatient: of `XRayRegistrationLogic.preparePatient`.
        sources: the DICOM files that the CT and the X-rays came from; None: those in Slicer's database.

    Returns:
        A function that writes the files and returns them; it may run in another thread.

    Raises:
        InputError: as `exportDICOM` says; what is returned may raise it as well.
    """
    requireDICOM()
    Dependencies().ensure("registration")
    from XRayRegistrationLib.dicom_export import PosedXRay, export_dicom

    from .export import requireNoFile

    requireNoFile(folder)
    of = dicomSources(result) if sources is None else sources
    words, byEye = _("Verdict: {level}.").format(level=result.verdict.level), result.movedByHand()
    poses = [carm.pose() for carm in result.carms]
    xrays = [PosedXRay(view, pose, words, by_eye=byEye) for view, pose in zip(result.views(), poses, strict=True)]
    found = result.segmentationNode is None

    def write(report: Report) -> list[Path]:
        patient = makePatient(report)
        report(1.0, _("Writing DICOM"))
        return export_dicom(folder, xrays, patient.ct, patient.bones, patient.projector, of, found)

    return write
