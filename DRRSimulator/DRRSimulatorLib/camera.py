"""X-ray cameras, their poses relative to the patient, and the views that a C-arm can take.

Conventions (all arrays float64 unless said otherwise):

- Camera coordinates follow OpenCV: origin at the X-ray source, x along image columns, y along image rows (down), z towards the
  detector; millimetres. Pixel (0, 0) is the CENTRE of the top-left pixel; image points are (column, row).
- A pose is a 4x4 ``ras_to_camera``: ``x_camera = ras_to_camera @ x_ras``. RAS: x to the patient's right, y anterior, z superior.
- C-arm angles are DICOM's positioner angles in degrees (PS3.3 C.8.7.5): primary LAO +/RAO -, secondary CRAN +/CAUD -. At 0/0 the
  detector is in front of the supine patient and the source behind, so the camera looks from posterior to anterior and, as seen
  from the source, image columns run to the patient's right. Clinical displays mirror this picture.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import InputError

FloatArray = npt.NDArray[np.float64]
FloatImage = npt.NDArray[np.float32]

# Columns are the camera's axes in RAS at positioner angles 0/0: x = patient right, y = inferior, z = anterior.
_CAMERA_AXES_AT_ZERO = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])


@dataclass(frozen=True)
class Camera:
    """Intrinsic geometry of an X-ray image: a pinhole at the source, a flat detector at a distance.

    Attributes:
        source_to_detector_distance: SDD, mm.
        pixel_spacing: distance of pixel centres on the detector, mm, as (along a row: x, along a column: y).
        image_size: (rows, columns).
        principal_point: pixel (column, row) where the perpendicular from the source meets the detector.

    Raises:
        InputError: if a distance or size is not positive and finite.
    """

    source_to_detector_distance: float
    pixel_spacing: tuple[float, float]
    image_size: tuple[int, int]
    principal_point: tuple[float, float]

    def __post_init__(self) -> None:
        lengths = {"source-to-detector distance": (self.source_to_detector_distance,), "pixel spacing": self.pixel_spacing}
        for name, values in lengths.items():
            if not all(math.isfinite(v) and v > 0 for v in values):
                raise InputError(f"The {name} must be positive millimetres, but is {values}.")
        if not all(n >= 1 for n in self.image_size):
            raise InputError(f"The image size must be at least 1 x 1 pixels, but is {self.image_size}.")
        if not all(math.isfinite(v) for v in self.principal_point):
            raise InputError(f"The principal point must be a finite pixel position, but is {self.principal_point}.")
        if not all(math.isfinite(v) and v > 0 for v in self.focal_lengths):
            raise InputError(f"The distance in pixels, {self.focal_lengths}, is beyond all numbers; give distance and spacing in mm.")

    @classmethod
    def centred(cls, source_to_detector_distance: float, pixel_spacing: float, image_size: tuple[int, int]) -> Camera:
        """Camera with square pixels whose principal point is the middle of the image."""
        rows, columns = image_size
        return cls(source_to_detector_distance, (pixel_spacing, pixel_spacing), image_size, ((columns - 1) / 2, (rows - 1) / 2))

    @classmethod
    def from_matrix(cls, matrix: npt.ArrayLike, image_size: tuple[int, int], source_to_detector_distance: float = 1000.0) -> Camera:
        """Camera of a 3x3 matrix K in pixels.

        K alone does not tell the detector's size, only the ratio of focal length to pixel; the distance chosen here fixes
        where the detector is drawn and does not change any projection.

        Raises:
            InputError: if K is not an upper triangular camera matrix without skew.
        """
        k = np.asarray(matrix, dtype=np.float64)
        if k.shape != (3, 3) or not np.isfinite(k).all() or np.diag(k).min() <= 0:
            raise InputError(f"A camera matrix has shape 3x3 and a positive diagonal, but this was given: {k.tolist()}.")
        k = k / k[2, 2]
        if abs(k[0, 1]) > 1e-3 * k[0, 0] or np.abs(k[[1, 2, 2], [0, 0, 1]]).max() > 1e-9:
            raise InputError(f"Only camera matrices without skew are supported, but this was given: {k.tolist()}.")
        distance = source_to_detector_distance
        return cls(distance, (distance / k[0, 0], distance / k[1, 1]), image_size, (float(k[0, 2]), float(k[1, 2])))

    @property
    def focal_lengths(self) -> tuple[float, float]:
        """Source-to-detector distance in pixels, (x, y)."""
        return (
            self.source_to_detector_distance / self.pixel_spacing[0],
            self.source_to_detector_distance / self.pixel_spacing[1],
        )

    @property
    def matrix(self) -> FloatArray:
        """K, 3x3: (column, row, 1) ~ K @ x_camera."""
        (fx, fy), (cx, cy) = self.focal_lengths, self.principal_point
        return np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]])

    def resized(self, image_size: tuple[int, int]) -> Camera:
        """The same detector area divided into another number of pixels (rows, columns)."""
        scale_y, scale_x = image_size[0] / self.image_size[0], image_size[1] / self.image_size[1]
        return Camera(
            self.source_to_detector_distance,
            (self.pixel_spacing[0] / scale_x, self.pixel_spacing[1] / scale_y),
            image_size,
            ((self.principal_point[0] + 0.5) * scale_x - 0.5, (self.principal_point[1] + 0.5) * scale_y - 0.5),
        )

    def cropped(self, first_row: int, first_column: int, image_size: tuple[int, int]) -> Camera:
        """The part of the detector that starts at a pixel; negative starts and larger sizes pad it."""
        principal_point = (self.principal_point[0] - first_column, self.principal_point[1] - first_row)
        return Camera(self.source_to_detector_distance, self.pixel_spacing, image_size, principal_point)

    def project(self, points_camera: npt.ArrayLike) -> FloatArray:
        """Image points (..., 2) as (column, row) of camera points (..., 3) in mm; NaN for points not in front of the source."""
        points = np.asarray(points_camera, dtype=np.float64)
        depth = np.where(points[..., 2:] > 0, points[..., 2:], np.nan)
        return points[..., :2] / depth * np.asarray(self.focal_lengths) + np.asarray(self.principal_point)

    def back_project(self, points_image: npt.ArrayLike, depth: npt.ArrayLike) -> FloatArray:
        """Camera points (..., 3) in mm of image points (..., 2) at depths (...) along z in mm."""
        points = np.asarray(points_image, dtype=np.float64)
        z = np.broadcast_to(np.asarray(depth, dtype=np.float64), points.shape[:-1])[..., None]
        xy = (points - np.asarray(self.principal_point)) / np.asarray(self.focal_lengths) * z
        return np.concatenate([xy, z], axis=-1)

    def contains(self, points_image: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Which image points (..., 2) lie on the detector; False for NaN."""
        points = np.asarray(points_image, dtype=np.float64)
        upper = np.array([self.image_size[1], self.image_size[0]]) - 0.5
        inside: npt.NDArray[np.bool_] = np.all((points >= -0.5) & (points <= upper), axis=-1)
        return inside

    def detector_to_ras(self, ras_to_camera: npt.ArrayLike) -> FloatArray:
        """4x4 from (column, row, slice, 1) of the image to RAS on the detector plane: the IJK-to-RAS of the X-ray as a volume.

        The slice axis points from source to detector and is one row spacing long.
        """
        (sx, sy), (cx, cy) = self.pixel_spacing, self.principal_point
        image_to_camera = np.array([[sx, 0, 0, -cx * sx], [0, sy, 0, -cy * sy], [0, 0, sy, self.source_to_detector_distance], [0, 0, 0, 1]])
        return invert_pose(ras_to_camera) @ image_to_camera

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `from_dict` reads them back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Camera:
        """Camera from the plain values of `to_dict`.

        Raises:
            InputError: if a value is missing or not a number.
        """
        try:
            spacing, size, point = values["pixel_spacing"], values["image_size"], values["principal_point"]
            return cls(
                float(values["source_to_detector_distance"]),
                (float(spacing[0]), float(spacing[1])),
                (int(size[0]), int(size[1])),
                (float(point[0]), float(point[1])),
            )
        except (KeyError, TypeError, ValueError, IndexError, OverflowError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(
                "A camera needs source_to_detector_distance, pixel_spacing [x, y], image_size [rows, columns] and "
                f"principal_point [column, row]; reading them failed with: {error!r}."
            ) from error


def invert_pose(pose: npt.ArrayLike) -> FloatArray:
    """Inverse of rigid 4x4 transforms, shape (..., 4, 4)."""
    pose = np.asarray(pose, dtype=np.float64)
    inverse = np.zeros_like(pose)
    rotation = np.swapaxes(pose[..., :3, :3], -1, -2)
    inverse[..., :3, :3] = rotation
    inverse[..., :3, 3:] = -rotation @ pose[..., :3, 3:]
    inverse[..., 3, 3] = 1
    return inverse


def transform_points(pose: npt.ArrayLike, points: npt.ArrayLike) -> FloatArray:
    """Points (N, 3) moved by a 4x4 transform."""
    pose = np.asarray(pose, dtype=np.float64)
    return np.asarray(points, dtype=np.float64) @ pose[:3, :3].T + pose[:3, 3]


def move_pose(pose: npt.ArrayLike, pivot: npt.ArrayLike, motion: npt.ArrayLike) -> FloatArray:
    """A 4x4 pose followed by a small motion in its target frame.

    Args:
        pose: 4x4 transform.
        pivot: (3,) point in the target frame that the rotation leaves in place, mm.
        motion: (6,) rotation vector (rad), then translation (mm).
    """
    from scipy.spatial.transform import Rotation

    moved = np.array(pose, dtype=np.float64)
    centre, change = np.asarray(pivot, dtype=np.float64), np.asarray(motion, dtype=np.float64)
    rotation = Rotation.from_rotvec(change[:3]).as_matrix()
    moved[:3, :3] = rotation @ moved[:3, :3]
    moved[:3, 3] = rotation @ (moved[:3, 3] - centre) + centre + change[3:]
    return moved


def _rotation(axis: int, degrees: float) -> FloatArray:
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    i, j = (axis + 1) % 3, (axis + 2) % 3
    matrix = np.eye(3)
    matrix[i, i], matrix[i, j], matrix[j, i], matrix[j, j] = c, -s, s, c
    return matrix


@dataclass(frozen=True)
class CArmView:
    """How a C-arm looks at a point of the patient.

    Attributes:
        primary_deg: positioner primary angle, LAO + / RAO -.
        secondary_deg: positioner secondary angle, CRAN + / CAUD -.
        roll_deg: rotation of the detector about the beam; positive turns the patient counter-clockwise in the image.
        offset_mm: where the point lies beside the central ray, (along columns, along rows), mm at the point's depth.
        source_to_point_mm: depth of the point from the source along the central ray.

    Raises:
        InputError: if a number is not finite.
    """

    primary_deg: float = 0.0
    secondary_deg: float = 0.0
    roll_deg: float = 0.0
    offset_mm: tuple[float, float] = (0.0, 0.0)
    source_to_point_mm: float = 700.0

    def __post_init__(self) -> None:
        if not all(map(math.isfinite, (self.primary_deg, self.secondary_deg, self.roll_deg, *self.offset_mm, self.source_to_point_mm))):
            raise InputError(f"The numbers of a C-arm view must be finite, but this was given: {self}.")

    def ras_to_camera(self, point_ras: npt.ArrayLike) -> FloatArray:
        """4x4 pose of the camera that sees the point (3,), RAS mm, this way."""
        axes = _rotation(2, self.primary_deg) @ _rotation(0, self.secondary_deg) @ _CAMERA_AXES_AT_ZERO
        rotation = (axes @ _rotation(2, self.roll_deg)).T
        pose = np.eye(4)
        pose[:3, :3] = rotation
        target = np.array([*self.offset_mm, self.source_to_point_mm])
        pose[:3, 3] = target - rotation @ np.asarray(point_ras, dtype=np.float64)
        return pose

    @classmethod
    def from_pose(cls, ras_to_camera: npt.ArrayLike, point_ras: npt.ArrayLike) -> CArmView:
        """The view of a pose; inverse of `ras_to_camera` for secondary angles within +-90 degrees."""
        pose = np.asarray(ras_to_camera, dtype=np.float64)
        beam = pose[2, :3]
        primary = math.degrees(math.atan2(-beam[0], beam[1]))
        secondary = math.degrees(math.asin(float(np.clip(beam[2], -1, 1))))
        axes = _rotation(2, primary) @ _rotation(0, secondary) @ _CAMERA_AXES_AT_ZERO
        roll = axes.T @ pose[:3, :3].T
        x, y, depth = transform_points(pose, np.asarray(point_ras, dtype=np.float64)[None])[0]
        return cls(primary, secondary, math.degrees(math.atan2(roll[1, 0], roll[0, 0])), (float(x), float(y)), float(depth))


@dataclass(frozen=True)
class ViewRange:
    """Ranges from which views are drawn uniformly; angles and in-plane offset are +- the value, degrees and mm."""

    primary_deg: float = 45.0
    secondary_deg: float = 25.0
    roll_deg: float = 15.0
    in_plane_mm: float = 50.0
    source_to_bone_mm: tuple[float, float] = (600.0, 850.0)

    def sample(self, rng: np.random.Generator) -> CArmView:
        """One view, uniform in every parameter."""
        primary, secondary, roll = rng.uniform(-1, 1, 3) * (self.primary_deg, self.secondary_deg, self.roll_deg)
        x, y = rng.uniform(-self.in_plane_mm, self.in_plane_mm, 2)
        return CArmView(primary, secondary, roll, (x, y), rng.uniform(*self.source_to_bone_mm))


def sample_poses(
    count: int,
    camera: Camera,
    bone_points_ras: npt.ArrayLike,
    view_range: ViewRange,
    rng: np.random.Generator,
    minimum_visible: float = 0.1,
) -> FloatArray:
    """Random poses (count, 4, 4) ``ras_to_camera`` with the bone in view.

    Args:
        bone_points_ras: points (N, 3) of the bone, RAS mm; the views are centred on their mean.
        minimum_visible: least share of the points that must fall on the detector.

    Raises:
        InputError: if views with the bone on the detector are too rare in the range (under 1 in 100).
    """
    points = np.asarray(bone_points_ras, dtype=np.float64)
    centre = points.mean(axis=0)
    poses: list[FloatArray] = []
    for _ in range(100 * count):
        if len(poses) == count:
            break
        pose = view_range.sample(rng).ras_to_camera(centre)
        if camera.contains(camera.project(transform_points(pose, points))).mean() >= minimum_visible:
            poses.append(pose)
    if len(poses) < count:
        raise InputError(f"The bone is hardly ever on the detector for views in {view_range}; use a larger detector or a smaller range.")
    return np.stack(poses) if poses else np.empty((0, 4, 4))


def save_view(path: Path, camera: Camera, ras_to_camera: FloatArray | None = None) -> None:
    """Write a camera, and its pose where known, as JSON; `load_view` reads it."""
    values: dict[str, Any] = {"camera": camera.to_dict()}
    if ras_to_camera is not None:
        values["ras_to_camera"] = np.asarray(ras_to_camera).tolist()
    path.write_text(json.dumps(values, indent=1), encoding="utf-8")


def load_view(path: Path) -> tuple[Camera, FloatArray | None]:
    """Camera and pose of a JSON file written by `save_view`; the pose is None where the file has none.

    Raises:
        InputError: if the file is missing, not JSON, or not a camera.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:  # ValueError: no JSON, or no text
        raise InputError(f"The camera file {path} cannot be read as JSON: {error}.") from error
    if not isinstance(values, dict) or not isinstance(values.get("camera", values), dict):
        raise InputError(f"The camera file {path} does not hold a camera.")
    camera = Camera.from_dict(values.get("camera", values))
    if "ras_to_camera" not in values:
        return camera, None
    try:
        pose = np.asarray(values["ras_to_camera"], dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"The pose in {path} is not a 4x4 matrix of numbers.") from error
    if not is_rigid(pose):
        raise InputError(f"The pose in {path} is not a rigid 4x4 transform (rotation and translation).")
    return camera, pose


def is_rigid(pose: FloatArray, tolerance: float = 1e-4) -> bool:
    """Whether a matrix is a 4x4 rotation and translation, without reflection or scale."""
    if pose.shape != (4, 4) or not np.isfinite(pose).all():
        return False
    rotation = pose[:3, :3]
    orthonormal = np.allclose(rotation @ rotation.T, np.eye(3), atol=tolerance) and np.linalg.det(rotation) > 0
    return bool(orthonormal and np.allclose(pose[3], (0, 0, 0, 1)))
