"""Our projector as a worker."""

from __future__ import annotations

from importlib import metadata
from typing import Any

from .engine import DERIVATIVES, SCENE_COORDINATES, Engine, FloatImage, Patient, View, run_worker


class Ours(Engine):
    """`Projector` with soft tissue and bone apart, as `drr-simulate` uses it; the two are added only to be compared."""

    def version(self) -> str:
        """The package's."""
        return f"this project {metadata.version('xray-registration')}"

    def set_patient(self, patient: Patient) -> None:
        """Divide the attenuation by the bone's occupancy."""
        from DRRSimulatorLib.projector import Projector

        bone = patient.attenuation * patient.occupancy
        self.projector = Projector(patient.attenuation - bone, bone, [patient.occupancy], patient.ijk_to_ras)
        self.pivot_ras = patient.ijk_to_ras[:3, 3]  # no matter which: the work is the same

    def set_view(self, view: View) -> None:
        """Make the camera."""
        from DRRSimulatorLib.camera import Camera

        self.camera = Camera(view.source_to_detector_distance, view.pixel_spacing, view.image_size, view.principal_point)
        self.poses = view.ras_to_camera[None]

    def render(self, work: str) -> Any:
        """Both materials, and what else is asked for."""
        if work == DERIVATIVES:
            return self.projector.line_integrals_and_derivatives(self.camera, self.poses, self.pivot_ras)[:, :1]
        if work == SCENE_COORDINATES:
            self.projector.scene_coordinates(self.camera, self.poses)
        return self.projector.line_integrals(self.camera, self.poses)

    def image(self, result: Any) -> FloatImage:
        """The sum of the materials."""
        return result.numpy()[0].sum(axis=0)


if __name__ == "__main__":
    run_worker(Ours)
