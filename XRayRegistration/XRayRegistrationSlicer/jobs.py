"""The X-rays of a batch: which files, and where the geometry of each is told."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from DRRSimulatorLib.errors import InputError
from slicer.i18n import tr as _


@dataclass(frozen=True)
class Job:
    """An X-ray to register.

    Attributes:
        xray: its file.
        camera: file of its camera: JSON, or calibration text; None where it has none.
        sourceToDetector: mm; None where the camera or the X-ray's DICOM header tells it.
        pixelSpacing: at the detector, mm; None as well.

    Raises:
        InputError: if the geometry is told twice, or in half.
    """

    xray: Path
    camera: Path | None = None
    sourceToDetector: float | None = None
    pixelSpacing: float | None = None

    def __post_init__(self) -> None:
        if (self.sourceToDetector is None) != (self.pixelSpacing is None):
            raise InputError(
                _("{name}: give both the source-to-detector distance and the pixel spacing, or neither.").format(name=self.xray.name)
            )
        if self.camera is not None and self.sourceToDetector is not None:
            raise InputError(
                _("{name}: give either a camera, or the source-to-detector distance and the pixel spacing.").format(name=self.xray.name)
            )


def jobsOfFiles(
    xrays: Sequence[Path], cameras: Sequence[Path], sourceToDetector: float | None = None, pixelSpacing: float | None = None
) -> list[Job]:
    """Jobs of X-rays that have a camera each, or one geometry in common.

    Raises:
        InputError: if the cameras are not as many as the X-rays, or the geometry is told twice or in half.
    """
    if cameras and len(cameras) != len(xrays):
        raise InputError(
            _("There are {xrays} X-rays but {cameras} cameras; give a camera for each X-ray, in the same order.").format(
                xrays=len(xrays), cameras=len(cameras)
            )
        )
    return [Job(xray, camera, sourceToDetector, pixelSpacing) for xray, camera in zip(xrays, cameras or [None] * len(xrays), strict=True)]


def jobsOfTable(path: Path) -> list[Job]:
    """Jobs of a CSV table with the column xray and, where they are needed, camera, or sdd and pixel_spacing in mm.

    Files are looked for from the table's folder.

    Raises:
        InputError: if it is no such table, or empty.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            jobs = [_jobOfRow(path.parent, row) for row in csv.DictReader(file)]
    except InputError:
        raise
    except (OSError, csv.Error, KeyError, TypeError, ValueError) as error:  # ValueError: no number, or no text
        raise InputError(
            _("The list {path} is no CSV table with the columns xray, camera, sdd and pixel_spacing ({error!r}).").format(
                path=path, error=error
            )
        ) from error
    if not jobs:
        raise InputError(_("The list {path} names no X-rays.").format(path=path))
    return jobs


def folderNames(jobs: Sequence[Job]) -> list[str]:
    """A name for the folder of each X-ray, from its file's; numbered where several files have the same, also but for capitals."""
    numbers: dict[str, int] = {}  # the last one by the file's name
    taken: set[str] = set()
    names: list[str] = []
    for job in jobs:
        stem = name = job.xray.stem
        while name.casefold() in taken:  # Windows and macOS do not tell capitals
            numbers[stem] = numbers.get(stem, 1) + 1
            name = f"{stem}_{numbers[stem]}"
        taken.add(name.casefold())
        names.append(name)
    return names


def _jobOfRow(folder: Path, row: dict[str, str]) -> Job:
    if not Path(row["xray"]).stem.strip("."):  # its results' folder would be this one or the one above, as for "...png"
        raise ValueError(f"no file: {row['xray']!r}")
    camera, sourceToDetector, pixelSpacing = (row.get(column) or None for column in ("camera", "sdd", "pixel_spacing"))
    return Job(
        folder / row["xray"],
        folder / camera if camera else None,
        float(sourceToDetector) if sourceToDetector else None,
        float(pixelSpacing) if pixelSpacing else None,
    )
