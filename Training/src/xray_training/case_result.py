"""What became of one case of an evaluation, as a value and as a row of JSON."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from DRRSimulatorLib.camera import CArmView, FloatArray
from XRayRegistrationLib.metrics import PoseError
from XRayRegistrationLib.register import Registration
from XRayRegistrationLib.trust import judge


@dataclass(frozen=True)
class Evidence:
    """What a registration says of itself, for judging how well that tells good poses from bad ones.

    Attributes:
        verdict: its level: "reliable", "check" or "rejected".
        expected_error_mm: mTRE that it expects; None where it does not say.
        similarity: of X-ray and DRR at the refined pose; None without refinement.
        similarity_before: the same at the network's pose.
        certainty: least of the views': extent of the recognised points in their standard deviations.
        inlier_share: least of the views': share of the recognised points that agree with the network's pose.
        residual_pixels: root mean square distance of the inliers' projections from their image points, pixels of the network; None
            where its points gave no pose.
        precision_mm: of the refinement, see `refine.Refinement`; None without one.
        last_step_mm: the same.
    """

    verdict: str
    expected_error_mm: float | None
    similarity: float | None
    similarity_before: float | None
    certainty: float
    inlier_share: float
    residual_pixels: float | None
    precision_mm: float | None
    last_step_mm: float | None

    @classmethod
    def of(cls, registration: Registration) -> Evidence:
        """Gather it."""
        verdict, refinement, estimate = judge(registration), registration.refinement, registration.estimate
        return cls(
            verdict.level,
            verdict.expected_error_mm,
            refinement.similarity if refinement else None,
            refinement.similarity_before if refinement else None,
            min(view.certainty for view in registration.correspondences),
            min(float(inliers.mean()) for inliers in estimate.inliers) if estimate else 0.0,
            estimate.rms_residual_pixels if estimate else None,
            refinement.precision_mm if refinement else None,
            refinement.last_step_mm if refinement else None,
        )


@dataclass(frozen=True)
class CaseResult:
    """What became of one case.

    Attributes:
        number: place in the suite, from 1.
        view: how the first X-ray looks at the bone.
        reference: 4x4 true ras_to_camera of the first X-ray.
        pose: 4x4 ras_to_camera found, of the same; None where there is none.
        error: of the pose; None where there is none.
        error_before_refinement: of the pose from the network alone; equal to `error` without refinement.
        evidence: what the registration says of itself; None where there is no pose.
        seconds: duration of the registration.
        seconds_before_refinement: its part before the refinement.
        seconds_of_steps: its steps, by name; empty where there is no pose.
        failure: why no pose was found; empty where one was.
        notes: of the case.
    """

    number: int
    view: CArmView
    reference: FloatArray
    pose: FloatArray | None
    error: PoseError | None
    error_before_refinement: PoseError | None
    evidence: Evidence | None
    seconds: float
    seconds_before_refinement: float
    seconds_of_steps: dict[str, float]
    failure: str
    notes: dict[str, Any] = field(default_factory=dict)

    def to_row(self) -> dict[str, Any]:
        """Values for JSON: how the X-ray was taken, and how far off the pose is (None where it was not found, or infinite)."""
        row: dict[str, Any] = {
            "number": self.number,
            "primary_deg": self.view.primary_deg,
            "secondary_deg": self.view.secondary_deg,
            "roll_deg": self.view.roll_deg,
            "offset_mm": list(self.view.offset_mm),
            "source_to_bone_mm": self.view.source_to_point_mm,
            "seconds": self.seconds,
            "seconds_before_refinement": self.seconds_before_refinement,
            "seconds_of_steps": self.seconds_of_steps,
            "failure": self.failure or None,
            "reference": self.reference.tolist(),
            "ras_to_camera": None if self.pose is None else self.pose.tolist(),
        }
        row |= _finite(self.error) | {"before_refinement": _finite(self.error_before_refinement)}
        row |= dict.fromkeys(Evidence.__dataclass_fields__) if self.evidence is None else asdict(self.evidence)
        return row | {"notes": self.notes}

    @classmethod
    def from_row(cls, row: dict[str, Any]) -> CaseResult:
        """Read a row back.

        Raises:
            KeyError, TypeError, ValueError, OverflowError: if it is none.
        """
        x, y = row["offset_mm"]
        return cls(
            number=row["number"],
            view=CArmView(row["primary_deg"], row["secondary_deg"], row["roll_deg"], (x, y), row["source_to_bone_mm"]),
            reference=np.array(row["reference"], dtype=np.float64),
            pose=None if row["ras_to_camera"] is None else np.array(row["ras_to_camera"], dtype=np.float64),
            error=_error(row),
            error_before_refinement=_error(row["before_refinement"]),
            evidence=None if row["verdict"] is None else Evidence(**{name: row[name] for name in Evidence.__dataclass_fields__}),
            seconds=row["seconds"],
            seconds_before_refinement=row["seconds_before_refinement"],
            seconds_of_steps=row["seconds_of_steps"],
            failure=row["failure"] or "",
            notes=row["notes"],
        )


def _finite(error: PoseError | None) -> dict[str, float | None]:
    if error is None:
        return dict.fromkeys(PoseError.__dataclass_fields__)
    return {name: value if math.isfinite(value) else None for name, value in asdict(error).items()}


def _error(values: dict[str, Any]) -> PoseError | None:
    """The inverse of `_finite`: the rotation is finite wherever there is a pose."""
    if values["rotation_deg"] is None:
        return None
    return PoseError(**{name: math.inf if values[name] is None else values[name] for name in PoseError.__dataclass_fields__})
