"""X-rays of one patient, registered from files to files."""

from __future__ import annotations

import csv
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

import slicer
from DRRSimulatorLib.camera import Camera, FloatArray
from DRRSimulatorLib.errors import InputError
from DRRSimulatorLib.files import atomic_path
from DRRSimulatorSlicer.dependencies import Dependencies
from DRRSimulatorSlicer.nodes import readCT
from slicer.i18n import tr as _
from XRayRegistrationLib.dicom_study import DicomSources, ct_headers, xray_sources
from XRayRegistrationLib.exposed_field import Polarity
from XRayRegistrationLib.model import read_description
from XRayRegistrationLib.plausibility import questions
from XRayRegistrationLib.view_files import read_rig

from .dicom_export import requireDICOM
from .jobs import Job, folderNames
from .loading import LoadedXRay, loadCT, loadLabels, loadSegmentation, loadXRay
from .logic import XRayRegistrationLogic
from .result import RegistrationResult

FAILED, TOGETHER = "failed", "together"
COLUMNS = ("xray", "verdict", "reason", "similarity", "folder")

Row = dict[str, str]  # of the summary, by column


class Batch:
    """One CT and its model, to register X-rays with."""

    def __init__(
        self,
        ct: Path,
        model: Path,
        output: Path,
        segmentation: Path | None = None,
        labels: Path | None = None,
        polarity: Polarity | None = None,
        refine: bool = True,
        forceCPU: bool = False,
        dicom: Path | None = None,
    ) -> None:
        """Load what all X-rays share.

        Args:
            ct: a file, or a folder of DICOM slices.
            model: trained on this CT.
            output: folder for the results; made where it is missing.
            segmentation: the bones, as Slicer saves them.
            labels: the bones, as a label map; not both.
            polarity: of all X-rays; None: as their DICOM headers tell, or guessed.
            refine: sharpen the poses.
            forceCPU: do not use a GPU.
            dicom: folder for the results as DICOM as well, which carry the patient's name; made where it is missing.

        Raises:
            InputError: if any of this cannot be used, or a Python package is missing.
        """
        Dependencies().ensure("registration")
        if dicom is not None:
            requireDICOM()
        for folder in filter(None, (output, dicom)):
            if folder.exists() and not folder.is_dir():
                raise InputError(_("{path} is a file; give a folder for the results.").format(path=folder))
        self._output, self._model, self._dicom = output, model, dicom
        self._polarity, self._refine, self._forceCPU = polarity, refine, forceCPU
        self._description = read_description(model)
        say(_("Reading the CT {name}").format(name=ct.name))
        self._ctNode = loadCT(ct)
        volume = readCT(self._ctNode)()
        self._description.check_ct(volume)
        self._segmentationNode = None
        if segmentation is not None:
            self._segmentationNode = loadSegmentation(segmentation)
        elif labels is not None:
            self._segmentationNode = loadLabels(labels, volume, self._ctNode)
        self._slices = ct_headers(ct) if dicom is not None else ()
        self._logic = XRayRegistrationLogic()
        output.mkdir(parents=True, exist_ok=True)

    def run(self, jobs: Sequence[Job], together: bool = False) -> list[Row]:
        """Register X-rays, each by itself or all as one, and write their results and a summary.

        An X-ray that cannot be registered does not stop the others.

        Returns:
            The lines of the summary; their verdict is that of the result, or "failed" with the reason.
        """
        groups = {TOGETHER: list(jobs)} if together else {name: [job] for name, job in zip(folderNames(jobs), jobs, strict=True)}
        rows = []
        for name, group in groups.items():
            rows.append(self._runGroup(name, group))
            say(f"{name}: {rows[-1]['verdict']}. {rows[-1]['reason']}")
            self._writeSummary(rows)
        return rows

    def _runGroup(self, name: str, jobs: Sequence[Job]) -> Row:
        """Register X-rays as one and write the result to a folder; no error leaves this."""
        row = dict.fromkeys(COLUMNS, "") | {"xray": " + ".join(job.xray.name for job in jobs), "verdict": FAILED}
        xrays: list[LoadedXRay] = []
        try:
            for job in jobs:
                xrays.append(loadXRay(job.xray))
            sources = DicomSources(self._slices, xray_sources([job.xray for job in jobs])) if self._dicom is not None else None
            result = self._register(name, jobs, xrays)
            self._logic.exportResult(result, self._output / name)
            if self._dicom is not None:
                self._logic.exportDICOM(result, self._dicom / name, sources)
            similarity = result.numbers["refinement"]["similarity"] if self._refine else ""
            row |= {"verdict": result.verdict.level, "reason": result.verdict.reason, "similarity": str(similarity), "folder": name}
        except InputError as error:
            row["reason"] = str(error)
        except Exception as error:  # such as a full disk: the other X-rays are still worth trying
            traceback.print_exc()
            row["reason"] = _("Unexpected error: {error!r}").format(error=error)
        finally:
            for xray in xrays:
                self._logic.removeResult(xray.node)
                slicer.mrmlScene.RemoveNode(xray.node)
        return row

    def _register(self, name: str, jobs: Sequence[Job], xrays: Sequence[LoadedXRay]) -> RegistrationResult:
        for xray, (camera, rigToCamera) in zip(xrays, _geometries(jobs, xrays), strict=True):
            for question in questions(camera, self._description):
                say(f"{name}: {question}")
            self._logic.setGeometry(xray.node, camera, rigToCamera)
        told = {xray.polarity for xray in xrays}
        return self._logic.registerXRay(
            [xray.node for xray in xrays],
            self._ctNode,
            self._model,
            self._segmentationNode,
            self._polarity or (told.pop() if len(told) == 1 else None),
            self._refine,
            self._forceCPU,
            Progress(name),
        )

    def _writeSummary(self, rows: Sequence[Row]) -> None:
        with atomic_path(self._output / "summary.csv") as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(rows)


class Progress:
    """A report that prints what is being done of an X-ray, once a second at most: Slicer's output is no terminal."""

    def __init__(self, name: str) -> None:
        """Take the X-ray's name."""
        self._name, self._text, self._time = name, "", 0.0

    def __call__(self, fraction: float, text: str) -> None:
        """Print the fraction done and the text, if it is new or a second old."""
        if text != self._text or time.monotonic() > self._time + 1:
            self._text, self._time = text, time.monotonic()
            say(f"{self._name}: {text} ({fraction:.0%})")


def say(text: str) -> None:
    """Print a line at once."""
    print(text, flush=True)


def _geometries(jobs: Sequence[Job], xrays: Sequence[LoadedXRay]) -> list[tuple[Camera, FloatArray | None]]:
    """Camera and 4x4 rigToCamera of each X-ray."""
    columnsAndRows = [xray.node.GetImageData().GetDimensions()[:2] for xray in xrays]
    sizes = [(rows, columns) for columns, rows in columnsAndRows]
    files = [job.camera for job in jobs if job.camera is not None]
    if len(files) == len(jobs):
        return list(read_rig(files, sizes)[0])
    if len(jobs) > 1:
        raise InputError(_("X-rays that are registered together need a camera file each, which tells where the cameras are to each other."))
    job, camera = jobs[0], xrays[0].camera
    if job.sourceToDetector is not None and job.pixelSpacing is not None:
        camera = Camera.centred(job.sourceToDetector, job.pixelSpacing, sizes[0])
    if camera is None:
        raise InputError(
            _("{name} does not tell its geometry; give its camera, or its source-to-detector distance and pixel spacing.").format(
                name=job.xray.name
            )
        )
    return [(camera, None)]
