"""Outlines and pictures, against the perspective of an ellipsoid worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from DRRSimulatorLib.camera import Camera, CArmView, FloatArray, invert_pose
from PIL import Image
from small_patient import CENTRE_RAS, ELLIPSOIDS, SPACING_MM, SmallPatient
from XRayRegistrationLib.exposed_field import Polarity
from XRayRegistrationLib.overlay import comparison_drr, drr_like_xray, outlines, write_overlay
from XRayRegistrationLib.register import Registration
from XRayRegistrationLib.view import View
from XRayRegistrationLib.xray import XRay

# Finer and coarser than the outlines are cast, neither square pixels nor a centred principal point.
CAMERAS = [Camera(1000.0, (0.25, 0.3), (1000, 1200), (640.0, 450.0)), Camera(1000.0, (1.6, 1.5), (200, 180), (85.0, 110.0))]


def distance_to_ellipsoid_outlines_mm(points_image: FloatArray, camera: Camera, ras_to_camera: FloatArray) -> FloatArray:
    """How far rays through image points pass from being tangent to the nearest ellipsoid, mm at the ellipsoid, about.

    In coordinates where the ellipsoid is the unit sphere, a ray is tangent where its distance from the origin is 1.
    """
    camera_to_ras = invert_pose(ras_to_camera)
    directions = camera.back_project(points_image, 1.0) @ camera_to_ras[:3, :3].T
    misses = []
    for middle, radii in ELLIPSOIDS:
        source = (camera_to_ras[:3, 3] - CENTRE_RAS - middle) / radii
        rays = directions / radii
        distance = np.linalg.norm(np.cross(rays, source), axis=1) / np.linalg.norm(rays, axis=1)
        misses.append(np.abs(distance - 1) * np.mean(radii))
    return np.min(misses, axis=0)


@pytest.mark.parametrize("camera", CAMERAS)
@pytest.mark.parametrize("angles", [(0.0, 0.0), (35.0, -20.0)])
def test_the_outline_is_where_rays_touch_the_bone(patient: SmallPatient, camera: Camera, angles: tuple[float, float]) -> None:
    pose = CArmView(*angles, source_to_point_mm=700).ras_to_camera(CENTRE_RAS)
    (contours,) = outlines(patient.projector, camera, pose)
    points = np.concatenate(contours)
    misses = distance_to_ellipsoid_outlines_mm(points, camera, pose)
    assert len(points) > 200
    assert np.median(misses) < 0.25 * SPACING_MM and misses.max() < SPACING_MM  # the phantom's voxels are coarse


def test_contours_are_closed_or_end_at_the_edge_of_the_image(patient: SmallPatient) -> None:
    camera = Camera(1000.0, (1.0, 1.0), (150, 170), (40.0, 75.0))  # cuts one of the ellipsoids
    pose = CArmView(source_to_point_mm=700).ras_to_camera(CENTRE_RAS)
    (contours,) = outlines(patient.projector, camera, pose)
    ends = [contour[[0, -1]] for contour in contours if not np.allclose(contour[0], contour[-1])]
    at_edge = [np.any((end <= 0) | (end >= np.array([169, 149])), axis=1).all() for end in ends]
    assert ends and all(at_edge) and len(contours) > len(ends)


def test_bone_out_of_view_has_no_outline(patient: SmallPatient) -> None:
    pose = CArmView(offset_mm=(2000.0, 0.0)).ras_to_camera(CENTRE_RAS)
    assert outlines(patient.projector, CAMERAS[1], pose) == [[]]


@pytest.mark.parametrize("polarity", ["intensity", "attenuation"])
def test_the_picture_shows_xray_and_drr_alike_and_with_the_polarity_of_the_xray(
    patient: SmallPatient, registration: Registration, tmp_path: Path, polarity: str
) -> None:
    view, pose = registration.views[1], registration.ras_to_camera(1)
    if polarity == "attenuation":
        view = replace(view, xray=XRay.from_pixels(-np.log(view.xray.pixels / 1000), "attenuation"))
    path = tmp_path / "overlay.png"
    write_overlay(path, view, patient.projector, pose, "caption")
    picture = np.asarray(Image.open(path).convert("RGB"), dtype=np.float64)
    middle = picture[30:-40].mean(axis=2)  # without title and caption
    half = middle.shape[1] // 2
    xray, drr = middle[:, :half], middle[:, half : 2 * half]
    assert np.corrcoef(xray.ravel(), drr.ravel())[0, 1] > 0.9
    centre, corner = drr[drr.shape[0] // 2, drr.shape[1] // 2], drr[8, 12]
    assert (centre < corner) == (polarity == "intensity")
    coloured = np.ptp(picture, axis=2) > 100
    assert coloured[:, : picture.shape[1] // 2].any() and not coloured[:, picture.shape[1] // 2 :].any()


def test_a_reference_adds_a_panel_with_its_outline_in_another_colour(
    patient: SmallPatient, registration: Registration, tmp_path: Path
) -> None:
    view, pose = registration.views[0], registration.ras_to_camera(0)
    write_overlay(tmp_path / "two.png", view, patient.projector, pose, "caption")
    write_overlay(tmp_path / "three.png", view, patient.projector, pose, "caption", reference=pose)
    two, three = (np.asarray(Image.open(tmp_path / name).convert("RGB"), dtype=np.int64) for name in ("two.png", "three.png"))
    assert three.shape[0] == two.shape[0] and abs(three.shape[1] - two.shape[1] * 1.5) <= 1
    found, _, reference = np.array_split(three, 3, axis=1)
    assert np.median((found[..., 0] - found[..., 2])[np.ptp(found, axis=2) > 100]) > 0  # yellow
    assert np.median((reference[..., 0] - reference[..., 2])[np.ptp(reference, axis=2) > 100]) < 0  # cyan


def test_a_failed_picture_leaves_no_file(patient: SmallPatient, registration: Registration, tmp_path: Path) -> None:
    view: View = registration.views[0]
    with pytest.raises(ValueError):
        write_overlay(tmp_path / "overlay.png", view, patient.projector, np.eye(3), "caption")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("polarity", ["intensity", "attenuation"])
def test_a_drr_at_the_true_pose_takes_the_values_of_the_xray(registration: Registration, patient: SmallPatient, polarity: Polarity) -> None:
    """The X-ray of twice the contrast and another exposure than the DRR still shows the same anatomy: it must come out the same."""
    view, pose = registration.views[0], CArmView(20, 10, 5, (8, -12), 700).ras_to_camera(CENTRE_RAS)
    drr = comparison_drr(patient.projector, view.camera, pose)
    pixels = 700 * np.exp(-2 * drr) if polarity == "intensity" else 40 + 2 * drr
    xray = XRay(pixels, np.ones(pixels.shape, dtype=bool), polarity)
    dark = pixels < 0.7 if polarity == "intensity" else np.zeros_like(xray.field)  # below a thousandth of the open beam there is noise only
    shown = drr_like_xray(drr, xray)
    assert np.allclose(shown[~dark], pixels[~dark], rtol=1e-3)
