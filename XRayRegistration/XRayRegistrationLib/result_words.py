"""What a registration found, in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from DRRSimulatorLib.camera import CArmView, FloatArray

from .register import Registration
from .result_files import agreement
from .trust import judge

POORLY_KNOWN = 0.01  # of the source-to-detector distance, as a standard deviation


def xray_in_words(view: int, found: Mapping[str, Registration], centres: Mapping[str, FloatArray], sdd_unknown: bool) -> Iterator[str]:
    """Lines about one of the X-rays: the poses, how well they agree with it, and what its header says.

    Args:
        view: number of the X-ray.
        found: registrations by the names of the bones; "" is the name of all of them as one.
        centres: their middles, RAS mm (3,).
        sdd_unknown: tell the source-to-detector distance, which was found as well.
    """
    for name, registration in found.items():
        yield f"{name}{': ' if name else ''}{pose_in_words(registration, view, centres[name])} {agreement(registration, view)}"
    first = next(iter(found.values()))
    if angles := first.views[view].xray.positioner_angles:
        yield f"The header says {angles_in_words(*angles)} of the C-arm."
    if sdd_unknown:
        yield distance_in_words(first, view)


def pose_in_words(registration: Registration, view: int, centre_ras: FloatArray) -> str:
    """How the C-arm looks at the middle of the bone (3,), RAS mm."""
    seen = CArmView.from_pose(registration.ras_to_camera(view), centre_ras)
    angles, distance = angles_in_words(seen.primary_deg, seen.secondary_deg), seen.source_to_point_mm
    return f"{angles}, rotated by {seen.roll_deg:.1f} degrees; the bone's centre is {distance:.1f} mm from the source."


def angles_in_words(primary_deg: float, secondary_deg: float) -> str:
    """Positioner angles, as "LAO 20.0, CAUD 8.0"."""
    primary = f"{'LAO' if primary_deg >= 0 else 'RAO'} {abs(primary_deg):.1f}"
    return f"{primary}, {'CRAN' if secondary_deg >= 0 else 'CAUD'} {abs(secondary_deg):.1f}"


def distance_in_words(registration: Registration, view: int) -> str:
    """The source-to-detector distance that was found, and how well it is known."""
    distance = registration.views[view].camera.source_to_detector_distance
    words = f"Source-to-detector distance {distance:.0f} mm, with a standard deviation of {registration.sdd_deviation * distance:.0f} mm."
    if registration.sdd_deviation > POORLY_KNOWN:
        words += (
            " The X-ray hardly tells it, and the bone's distance from the source is as uncertain: from farther away with a farther "
            "detector it looks nearly the same. An X-ray from another direction tells both."
        )
    return words


def verdicts_in_words(found: Mapping[str, Registration]) -> Iterator[str]:
    """Lines about how far the registrations can be trusted; `found` as for `xray_in_words`."""
    estimate = found[""].estimate if "" in found else None
    if estimate:
        yield f"The points agree to {estimate.rms_residual_pixels:.2f} pixels of the network's image (root mean square)."
    for name, registration in found.items():
        verdict = judge(registration)
        yield f"Verdict{' on ' if name else ''}{name}: {verdict.level}. {verdict.reason}"
