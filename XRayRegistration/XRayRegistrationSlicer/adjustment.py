"""Moving the bone by hand: from the pose that was registered, as it is seen in one of the X-rays, and refining where it was left."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict

import numpy as np
from DRRSimulatorLib.camera import FloatArray, invert_pose, move_pose, transform_points
from DRRSimulatorLib.patient import Patient
from DRRSimulatorLib.progress import Report, ignore_progress
from slicer.i18n import tr as _
from XRayRegistrationLib.overlay import DISPLAY_SIDE
from XRayRegistrationLib.trust import Verdict

from .drawing import drawAtPose
from .registration import Outcome
from .result import RegistrationResult
from .results import showResult
from .table import fillTable

LIVE_SIDE = 256  # pixels of DRRs and outlines while the bone is being dragged


class Adjustment:
    """Moves the bone of a result.

    A motion is six numbers, relative to the pose that was registered: right, down and towards the detector, mm, as the X-ray shows it;
    then a rotation vector about the same axes through the bone's centre, degrees. The X-rays of a result move together.

    Example:
        >>> adjustment = logic.adjustment(result)
        >>> adjustment.apply([2, 0, 0, 0, 0, 1.5])  # 2 mm to the right in the X-ray, 1.5 degrees about the beam
        >>> adjustment.motion.round(3).tolist()
        [2.0, 0.0, 0.0, 0.0, 0.0, 1.5]
        >>> adjustment.reset()
    """

    def __init__(self, result: RegistrationResult, patient: Patient, view: int = 0) -> None:
        """Take a result.

        Args:
            result: of a registration.
            patient: the CT and its bones.
            view: the X-ray, numbered from 0, in which motions are seen.
        """
        self.result = result
        self.view = view
        self._patient = patient
        self._views = result.views()
        numbers = result.numbers
        self._names = [view["xray"] for view in numbers["views"]]
        self._registered = np.array(numbers["views"][view]["ras_to_camera"])
        self._centreRAS = np.array(numbers["bone_centre_ras"])

    @property
    def motion(self) -> FloatArray:
        """The motion (6,) from the registered pose to where the camera is now."""
        from scipy.spatial.transform import Rotation

        pose = self.result.carms[self.view].pose()
        before, after = (transform_points(matrix, self._centreRAS[None])[0] for matrix in (self._registered, pose))
        rotation = Rotation.from_matrix(pose[:3, :3] @ self._registered[:3, :3].T)
        return np.concatenate([after - before, rotation.as_rotvec(degrees=True)])

    def apply(self, motion: Sequence[float]) -> None:
        """Move the bone: cameras, outlines and DRRs follow, coarsely to be fast; see `finish`."""
        translation, rotation = np.split(np.asarray(motion, dtype=np.float64), 2)
        pivot = transform_points(self._registered, self._centreRAS[None])[0]
        self._moveTo(move_pose(self._registered, pivot, np.concatenate([np.radians(rotation), translation])), LIVE_SIDE)

    def updateFromTransform(self) -> None:
        """Take over where the user dragged the X-ray's camera to: the other cameras, outlines and DRRs follow, as in `apply`.

        Raises:
            InputError: if the transform was made to scale or shear.
        """
        self._moveTo(self.result.carms[self.view].pose(), LIVE_SIDE)

    def finish(self) -> None:
        """End a drag: draw outlines and DRRs finely, and bring the table up to date."""
        self._moveTo(self.result.carms[self.view].pose(), DISPLAY_SIDE)
        fillTable(self.result)

    def reset(self) -> None:
        """Go back to the pose that was registered."""
        self._moveTo(self._registered, DISPLAY_SIDE)
        fillTable(self.result)

    def prepareRefinement(self) -> Callable[[Report], Outcome]:
        """Collect what refining the pose from where it is now needs; `XRayRegistrationLogic.show` shows the outcome.

        Returns:
            A function that computes; it may run in another thread.

        Raises:
            InputError: if the CT or an X-ray was removed from the scene.
        """
        sources = self.result.sources()
        rasToRig, views, numbers = self.result.rasToRig(), self._views, self.result.numbers
        numbers["verdict"] = asdict(
            Verdict("check", None, _("The pose was refined from where the bone was moved by hand; compare the outline with the X-ray."))
        )

        def compute(report: Report) -> Outcome:
            from XRayRegistrationLib.refine import Refiner

            refinement = Refiner(self._patient.projector, self._centreRAS).refine(views, rasToRig, report)
            numbers["ras_to_rig"] = refinement.ras_to_rig.tolist()
            numbers["refinement"] = {"similarity_before": refinement.similarity_before, "similarity": refinement.similarity}
            for view, shown in zip(views, numbers["views"], strict=True):
                shown["ras_to_camera"] = (view.rig_to_camera @ refinement.ras_to_rig).tolist()
            return Outcome(sources, tuple(views), refinement.ras_to_rig, self._patient, numbers, None)

        return compute

    def refine(self, report: Report = ignore_progress) -> RegistrationResult:
        """Refine the pose from where it is now, and show it: `prepareRefinement` at once."""
        return showResult(self.prepareRefinement()(report))

    def _moveTo(self, pose: FloatArray, longerSide: int) -> None:
        """Place all cameras so that the one of the view has a pose (4x4 rasToCamera), and draw what they see."""
        rasToRig = invert_pose(self._views[self.view].rig_to_camera) @ pose
        for carm, view, name in zip(self.result.carms, self._views, self._names, strict=True):
            carm.setPose(view.rig_to_camera @ rasToRig)
            drawAtPose(carm, name, view, self._patient, longerSide)
