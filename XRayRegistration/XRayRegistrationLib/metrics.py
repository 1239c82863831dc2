"""Error measures of 2D/3D registration, their statistics, and the record of what a measurement ran on.

The measures follow van de Kraats et al., "Standardized evaluation methodology for 2-D-3-D registration", IEEE TMI 24(9), 2005.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from DRRSimulatorLib.camera import Camera, FloatArray, transform_points
from DRRSimulatorLib.errors import InputError

GROSS_FAILURE_MM = 10.0  # mTRE


@dataclass(frozen=True)
class PoseError:
    """How far an estimated pose is from the reference.

    Attributes:
        rotation_deg: geodesic angle of the rotation between both poses.
        translation_mm: distance between the bone's centroid placed by both poses, in the camera's frame.
        in_plane_mm: its part parallel to the detector.
        depth_mm: its part along the central ray, without sign.
        mtre_mm: mTRE, the mean distance between the bone's surface points placed by both poses.
        projection_mm: mean distance between the surface points' projections, on the detector; infinite if the estimated pose puts a
            point behind the source.
        reprojection_mm: mean distance between a surface point where it truly is and the ray through its estimated projection;
            infinite if the estimated pose puts a point behind the source.
    """

    rotation_deg: float
    translation_mm: float
    in_plane_mm: float
    depth_mm: float
    mtre_mm: float
    projection_mm: float
    reprojection_mm: float


def pose_error(
    estimated: FloatArray, reference: FloatArray, camera: Camera, surface_points: npt.ArrayLike, centroid: npt.ArrayLike
) -> PoseError:
    """Error of an estimated pose.

    Args:
        estimated: (4, 4) ras_to_camera.
        reference: (4, 4) ras_to_camera with the bone in front of the source.
        camera: the X-ray's camera.
        surface_points: (N, 3) points of the bone's surface, RAS mm.
        centroid: (3,) of the bone, RAS mm.
    """
    from scipy.spatial.transform import Rotation

    rotation = Rotation.from_matrix(estimated[:3, :3] @ reference[:3, :3].T)
    middle = np.asarray(centroid, dtype=np.float64)[None]
    shift = (transform_points(estimated, middle) - transform_points(reference, middle))[0]
    placed, true = transform_points(estimated, surface_points), transform_points(reference, surface_points)
    projection, reprojection = np.inf, np.inf
    if (placed[:, 2] > 0).all():
        on_detector = (camera.project(placed) - camera.project(true)) * camera.pixel_spacing
        projection = _mean_length(on_detector)
        rays = placed / np.linalg.norm(placed, axis=1, keepdims=True)
        reprojection = _mean_length(np.cross(rays, true))
    return PoseError(
        rotation_deg=float(np.degrees(rotation.magnitude())),
        translation_mm=float(np.linalg.norm(shift)),
        in_plane_mm=float(np.linalg.norm(shift[:2])),
        depth_mm=float(abs(shift[2])),
        mtre_mm=_mean_length(placed - true),
        projection_mm=projection,
        reprojection_mm=reprojection,
    )


def _mean_length(vectors: FloatArray) -> float:
    return float(np.linalg.norm(vectors, axis=1).mean())


def summarise(errors: Sequence[PoseError | None], seconds_per_image: Sequence[float]) -> dict[str, Any]:
    """Statistics of many registrations; values for JSON.

    A registration that found no pose (None) is counted, never dropped: in `n`, `n_failed` and as a gross failure, and in
    the percentiles as an infinite error. Only `mean` and `std` (of the population), which could not take it, are over the poses
    that were found. A value that is infinite, or without any data, is None.

    Returns:
        `n` and `n_failed`; for each field of `PoseError` and for `seconds_per_image` the `mean`, `std`, `median`, `p90` and `p95`;
        `gross_failure_rate`, the share of all with no pose or an mTRE over 10 mm; and `success_rate`, the shares of all with an
        mTRE up to 1, 2, 5 and 10 mm and with a rotation error up to 1 degree.

    Raises:
        InputError: if there is no registration.
    """
    if not errors:
        raise InputError("There are no registrations to summarise; give at least one.")
    found = [error for error in errors if error is not None]
    n, n_failed = len(errors), len(errors) - len(found)
    summary: dict[str, Any] = {"n": n, "n_failed": n_failed}
    for measure in fields(PoseError):
        summary[measure.name] = _statistics([getattr(error, measure.name) for error in found], n_failed)
    summary["gross_failure_rate"] = (n_failed + sum(error.mtre_mm > GROSS_FAILURE_MM for error in found)) / n
    success = {f"{limit} mm": sum(error.mtre_mm <= limit for error in found) / n for limit in (1, 2, 5, 10)}
    summary["success_rate"] = success | {"1 deg": sum(error.rotation_deg <= 1 for error in found) / n}
    summary["seconds_per_image"] = _statistics(seconds_per_image, 0)
    return summary


def _statistics(values: Sequence[float], n_failed: int) -> dict[str, float | None]:
    found = np.asarray(values, dtype=np.float64)
    every = np.sort(np.append(found, np.full(n_failed, np.inf)))
    statistics = {name: np.nan for name in ("mean", "std", "median", "p90", "p95")}
    if np.isfinite(found).all() and len(found):
        statistics |= {"mean": found.mean(), "std": found.std()}
    if len(every):
        # Linear interpolation as numpy.percentile does it, which makes NaN of a finite value beside an infinite one.
        ranks = {"median": 0.5, "p90": 0.9, "p95": 0.95}
        statistics |= {name: np.interp(rank * (len(every) - 1), np.arange(len(every)), every) for name, rank in ranks.items()}
    return {name: float(value) if np.isfinite(value) else None for name, value in statistics.items()}


def environment(seed: int) -> dict[str, Any]:
    """What a measurement ran on, values for JSON: versions, platform, processor, cores, seed and UTC date.

    Names neither the computer nor its user. The version of a package that is not installed is None.
    """
    packages = {"warp": "warp-lang", "project": "xray-registration"}
    names = ("numpy", "torch", "warp", "monai", "poselib", "project")
    return {
        "versions": {"python": platform.python_version()} | {name: _version(packages.get(name, name)) for name in names},
        "platform": f"{platform.system()} {platform.machine()}",
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "seed": seed,
        "date_utc": datetime.now(timezone.utc).date().isoformat(),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _cpu_name() -> str:
    """The processor's name; on Linux, where Python does not tell it, from the kernel."""
    information = Path("/proc/cpuinfo")
    if information.is_file():
        for line in information.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
