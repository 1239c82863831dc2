"""Suite wrist-real: radiographs of a living wrist in two calibrated views, with reference poses of its bones.

The folder is that of Autoscoper's sample data (Brown University; B. Akhbari et al., Journal of Biomechanics 92, 2019) with the file
`reference_poses.json` added: radiographs, calibrations, and a volume of each bone cut out of the CT. Its licence does not allow to ship it.
Each bone moves alone, so each has a CT, a model and an evaluation of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from DRRSimulatorLib.bone import BoneLabels
from DRRSimulatorLib.calibration import read_calibration
from DRRSimulatorLib.ct import CTVolume, ct_from_image
from DRRSimulatorLib.errors import InputError
from XRayRegistrationLib.view import View
from XRayRegistrationLib.xray import read_xray

from .reference_poses import ReferencePoses, read_reference_poses
from .suites import Case, Patient, Suite

BONES = {"radius": "rad_dcm_cropped", "ulna": "uln_dcm_cropped"}
FRAMES = ("0099", "0158")
CAMERAS = (("cam01",), ("cam02",), ("cam01", "cam02"))

# Bone coordinates are voxel indices from the volume's middle, in mm. Turned half around their second axis they read as RAS with the
# hand towards the head, which puts both cameras at LAO/RAO angles within 90 degrees.
RAS_TO_BONE = np.diag([-1.0, 1.0, -1.0, 1.0])
_BONE_TO_LPS = np.diag([1.0, -1.0, -1.0])


@dataclass(frozen=True)
class WristSuite(Suite):
    """Two moments of a motion, each by either camera alone and by both together.

    Attributes:
        folder: the data.
        bone: "radius" or "ulna".
    """

    folder: Path
    bone: str

    @classmethod
    def of_model(cls, folder: Path, ct_fingerprint: str) -> WristSuite:
        """The suite of the bone that a model was trained for.

        Raises:
            InputError: if the folder lacks something, or the model is of no bone in it.
        """
        for bone in BONES:
            if bone_ct(folder, bone).fingerprint == ct_fingerprint:
                return cls("wrist-real", len(FRAMES) * len(CAMERAS), folder, bone)
        raise InputError(
            f"The model is for neither {' nor '.join(BONES)} of {folder}; train one on the CT of a bone that scr-prepare writes."
        )

    @property
    def description(self) -> str:
        """Real radiographs."""
        return (
            f"Real radiographs of a {self.bone}. The reference poses are a bronze standard: they were fitted to the same images, in both "
            "views together, and their standard deviations stand in each case's notes."
        )

    def patient(self, device: str = "cpu") -> Patient:
        """The bone, cut out of its CT."""
        ct = bone_ct(self.folder, self.bone)
        return Patient.of(ct, bone_labels(ct, self.bone), device)

    def case(self, number: int, patient: Patient) -> Case:
        """Read the radiographs of case `number`, from 1."""
        frame, cameras = FRAMES[(number - 1) // len(CAMERAS)], CAMERAS[(number - 1) % len(CAMERAS)]
        views = tuple(_view(self.folder, frame, camera) for camera in cameras)
        reference = _references(self.folder).of(BONES[self.bone], frame)
        notes = {"bone": self.bone, "frame": frame, "cameras": list(cameras), "reference_sigma": reference.sigma}
        return Case(number, views, reference.bone_to_world @ RAS_TO_BONE, notes)


def bone_ct(folder: Path, bone: str) -> CTVolume:
    """The volume of a bone as a CT in HU; around the bone there is air.

    Args:
        folder: the data.
        bone: "radius" or "ulna".

    Raises:
        InputError: if the folder lacks the volume or the reference poses, which tell its voxel size.
    """
    return ct_from_image(_bone_image(folder, bone), f"The {bone} of {folder}")


def bone_labels(ct: CTVolume, bone: str) -> BoneLabels:
    """All of the bone's volume that is not air, by the bone's name."""
    return BoneLabels((ct.hu > -1000).astype(np.uint8), ct.ijk_to_ras, {1: bone})


def _bone_image(folder: Path, bone: str) -> sitk.Image:
    """HU of a bone with its place in LPS; -1000 HU around it, as nowhere within."""
    file = folder / "models" / f"{BONES[bone]}.tif"
    if not file.is_file():
        raise InputError(f"The folder {folder} has no models/{file.name}; give the folder of the wrist data with --data.")
    values = sitk.GetArrayFromImage(sitk.ReadImage(str(file))).astype(np.int16)
    # The scanner's 12 bits are HU + 1024; the cut-out's background is 0.
    image = sitk.GetImageFromArray(np.where(values > 0, np.maximum(values - 1024, -999), -1000).astype(np.int16))
    spacing = _references(folder).voxel_mm
    image.SetSpacing(spacing.tolist())
    image.SetDirection(_BONE_TO_LPS.ravel().tolist())
    image.SetOrigin((-_BONE_TO_LPS @ ((np.array(values.shape[::-1]) - 1) / 2 * spacing)).tolist())
    return image


def _view(folder: Path, frame: str, camera: str) -> View:
    """A radiograph with its place in the calibration's world."""
    xray = read_xray(folder / "radiographs" / f"xr_rad_uln_{camera}_UND.{frame}.tif", "intensity")
    geometry, world_to_camera = read_calibration(folder / "calibration" / f"xr_calib_wrist_{camera}.txt", xray.image_size)
    if world_to_camera is None:
        raise InputError(f"The calibration of {camera} in {folder} tells no pose.")
    return View(xray, geometry, world_to_camera)


def _references(folder: Path) -> ReferencePoses:
    return read_reference_poses(folder / "reference_poses.json")
