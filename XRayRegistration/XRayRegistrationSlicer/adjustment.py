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

from .appearance import Appearance, appearances
from .drawing import drawAppearance
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
        >>> np.allclose(adjustment.motion, [2, 0, 0, 0, 0, 1.5])
        True
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
        self._views = result.registration.views if result.registration is not None else result.views()
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
        """Move the bone: cameras, outlines, DRRs and table follow, coarsely to be fast; see `finish`."""
        self.move(motion)
        self.draw(self.prepareDrawing(live=True)())

    def updateFromTransform(self) -> None:
        """Take over where the user dragged the X-ray's camera to, as `apply` does a motion.

        Raises:
            InputError: if the transform was made to scale or shear.
        """
        self.moveFromTransform()
        self.draw(self.prepareDrawing(live=True)())

    def finish(self) -> None:
        """End a drag: draw outlines and DRRs finely."""
        self.draw(self.prepareDrawing()())

    def reset(self) -> None:
        """Go back to the pose that was registered."""
        self._place(self._registered)
        self.finish()

    def move(self, motion: Sequence[float]) -> None:
        """Move the cameras alone, at once. To draw what they see without a pause, use `prepareDrawing` and `draw`."""
        translation, rotation = np.split(np.asarray(motion, dtype=np.float64), 2)
        pivot = transform_points(self._registered, self._centreRAS[None])[0]
        self._place(move_pose(self._registered, pivot, np.concatenate([np.radians(rotation), translation])))

    def moveFromTransform(self) -> None:
        """Move the other cameras of the rig to where the user dragged the X-ray's one.

        Raises:
            InputError: if the transform was made to scale or shear.
        """
        self._place(self.result.carms[self.view].pose())

    def prepareDrawing(self, live: bool = False) -> Callable[[], tuple[Appearance, ...]]:
        """Collect what is needed to compute what the cameras see where they are now.

        Args:
            live: coarsely, to be fast.

        Returns:
            A function that computes; it may run in another thread.
        """
        rasToRig, longerSide = self.result.rasToRig(), LIVE_SIDE if live else DISPLAY_SIDE
        return lambda: appearances(self._views, rasToRig, self._patient, longerSide)

    def draw(self, seen: Sequence[Appearance]) -> None:
        """Draw outlines and DRRs, and bring the table up to date."""
        for carm, name, appearance in zip(self.result.carms, self._names, seen, strict=True):
            drawAppearance(carm, name, appearance)
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

            refinement = Refiner(self._patient.projector, self._centreRAS, self._patient.ct).refine(views, rasToRig, report)
            numbers["ras_to_rig"] = refinement.ras_to_rig.tolist()
            numbers["refinement"] = {"similarity_before": refinement.similarity_before, "similarity": refinement.similarity}
            for view, shown in zip(views, numbers["views"], strict=True):
                shown["ras_to_camera"] = (view.rig_to_camera @ refinement.ras_to_rig).tolist()
            seen = appearances(views, refinement.ras_to_rig, self._patient)
            return Outcome(sources, tuple(views), refinement.ras_to_rig, self._patient, numbers, seen, None)

        return compute

    def refine(self, report: Report = ignore_progress) -> RegistrationResult:
        """Refine the pose from where it is now, and show it: `prepareRefinement` at once."""
        return showResult(self.prepareRefinement()(report))

    def _place(self, pose: FloatArray) -> None:
        """Place all cameras so that the one of the view has a pose (4x4 rasToCamera)."""
        rasToRig = invert_pose(self._views[self.view].rig_to_camera) @ pose
        for carm, view in zip(self.result.carms, self._views, strict=True):
            carm.setPose(view.rig_to_camera @ rasToRig)
