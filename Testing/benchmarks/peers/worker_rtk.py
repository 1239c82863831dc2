"""RTK's Joseph projector as a worker."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib import metadata
from typing import Any

import numpy as np

from .engine import DRR, RAS_TO_LPS, Engine, FloatImage, NotOfferedError, Patient, View, run_worker


class RTKJoseph(Engine):
    """``JosephForwardProjectionImageFilter``, on the CPU; RTK works in LPS."""

    def __init__(self, arguments: Sequence[str] = ()) -> None:
        import itk

        self.itk = itk
        itk.MultiThreaderBase.SetGlobalMaximumNumberOfThreads(len(os.sched_getaffinity(0)))

    def version(self) -> str:
        """Of RTK and of ITK."""
        return f"itk-rtk {metadata.version('itk-rtk')} on ITK {metadata.version('itk')}"

    def set_patient(self, patient: Patient) -> None:
        """Hand the volume over."""
        to_lps = RAS_TO_LPS @ patient.ijk_to_ras
        spacing = np.linalg.norm(to_lps[:3, :3], axis=0)
        volume = self.itk.image_from_array(np.asarray(patient.attenuation))
        volume.SetSpacing(spacing.tolist())
        volume.SetOrigin(to_lps[:3, 3].tolist())
        volume.SetDirection(self.itk.matrix_from_array(to_lps[:3, :3] / spacing))
        self.volume = volume

    def set_view(self, view: View) -> None:
        """Make the filter, an empty projection and its geometry: source, place of the first pixel, directions of rows and columns."""
        itk = self.itk
        camera_to_lps = RAS_TO_LPS @ view.camera_to_ras
        distance, (x, y) = view.source_to_detector_distance, view.pixel_spacing
        column, row = view.principal_point
        first_pixel = (camera_to_lps @ [-column * x, -row * y, distance, 1])[:3]
        points = [itk.Point[itk.D, 3](point.tolist()) for point in (camera_to_lps[:3, 3], first_pixel)]
        axes = [itk.Vector[itk.D, 3](camera_to_lps[:3, axis].tolist()) for axis in (0, 1)]
        geometry = itk.RTK.ThreeDCircularProjectionGeometry.New()
        if not geometry.AddProjection(*points, *axes):
            raise ValueError("RTK refuses the geometry")
        projection: Any = itk.image_from_array(np.zeros((1, *view.image_size), dtype=np.float32))
        projection.SetSpacing([x, y, 1.0])
        image_type = itk.Image[itk.F, 3]
        self.projector = itk.RTK.JosephForwardProjectionImageFilter[image_type, image_type].New()
        self.projector.InPlaceOff()  # in place, it would use up its input at the first run
        self.projector.SetInput(0, projection)
        self.projector.SetInput(1, self.volume)
        self.projector.SetGeometry(geometry)

    def render(self, work: str) -> Any:
        """Run the filter again."""
        if work != DRR:
            raise NotOfferedError(f"RTK has no {work}")
        self.projector.Modified()
        self.projector.Update()
        return self.projector.GetOutput()

    def image(self, result: Any) -> FloatImage:
        """The only projection of the stack."""
        return self.itk.array_from_image(result)[0]


if __name__ == "__main__":
    run_worker(RTKJoseph)
