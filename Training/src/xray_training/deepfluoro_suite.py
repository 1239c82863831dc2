"""Suite deepfluoro: the X-rays of one specimen of the DeepFluoro data set."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from XRayRegistrationLib.view import View
from XRayRegistrationLib.xray import XRay

from .deepfluoro import open_deepfluoro
from .suites import Case, Patient, Suite


@dataclass(frozen=True)
class DeepFluoroSuite(Suite):
    """Every X-ray of a specimen, registered alone.

    Attributes:
        file: the full-resolution HDF5 file.
        specimen: its name, such as 17-1882.
    """

    file: Path
    specimen: str

    @classmethod
    def of_specimen(cls, file: Path, specimen: str) -> DeepFluoroSuite:
        """The suite of a specimen.

        Raises:
            InputError: if the file cannot be used or has no such specimen.
        """
        with open_deepfluoro(file) as data:
            return cls("deepfluoro", len(data.projections(specimen)), file, specimen)

    @property
    def description(self) -> str:
        """Real X-rays."""
        return (
            f"Real X-rays of the cadaver {self.specimen} (DeepFluoro, Grupp et al. 2020). The reference poses were registered by the "
            "data's authors with the help of landmarks; the bone is the pelvis without femurs and vertebrae."
        )

    def patient(self, device: str = "cpu") -> Patient:
        """The specimen's CT with its hip bones and sacrum."""
        with open_deepfluoro(self.file) as data:
            ct = data.ct(self.specimen)
            return Patient.of(ct, data.pelvis(self.specimen, ct), device)

    def case(self, number: int, patient: Patient) -> Case:
        """Read X-ray `number`, from 1."""
        with open_deepfluoro(self.file) as data:
            name = data.projections(self.specimen)[number - 1]
            projection = data.projection(self.specimen, name)
        view = View(XRay.from_pixels(projection.pixels, "intensity", projection.camera), projection.camera)
        return Case(number, (view,), projection.ras_to_camera, {"specimen": self.specimen, "projection": name})
