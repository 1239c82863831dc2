"""The part of an X-ray around a bone: it holds the bone and a margin, and a bone that fills the image leaves it whole."""

from __future__ import annotations

import numpy as np
import pytest
from DRRSimulatorLib.camera import Camera, CArmView, transform_points
from small_patient import CENTRE_RAS, SmallPatient
from XRayRegistrationLib.body import Body, Placement
from XRayRegistrationLib.region import around_bones

# A camera that sees half a metre: the bone of the small patient fills little of it.
WIDE = Camera.centred(1000.0, 1.0, (700, 800))


@pytest.mark.parametrize("offset_mm", [(0.0, 0.0), (120.0, -90.0), (-160.0, 60.0)])
def test_a_small_bone_is_cut_out_with_a_margin_and_the_same_rays(patient: SmallPatient, offset_mm: tuple[float, float]) -> None:
    pose = CArmView(10, 5, 0, offset_mm, 800).ras_to_camera(CENTRE_RAS)
    view = patient.view(pose, WIDE, np.eye(4))
    part = around_bones(view, [Body(patient.projector, CENTRE_RAS)], Placement(pose[None]))
    assert part.camera.image_size[0] < 500 and part.camera.image_size[1] < 500
    hits = patient.projector.scene_coordinates(WIDE, pose[None]).numpy()[0]
    row, column = np.nonzero(np.isfinite(hits[0]))
    points = hits[:3, row, column].T.astype(np.float64)
    placed = part.camera.project(transform_points(pose, points))
    assert part.camera.contains(placed).all()  # all of the bone is in it, at the places that the part's camera says
    left, top = (WIDE.project(transform_points(pose, points)) - placed)[0].round().astype(int)
    np.testing.assert_allclose(placed + np.array([left, top]), np.stack([column, row], axis=1), atol=0.01)
    rows, columns = part.camera.image_size
    np.testing.assert_array_equal(part.xray.pixels, view.xray.pixels[top : top + rows, left : left + columns])


def test_a_bone_that_fills_the_image_or_is_not_in_it_leaves_the_image_whole(patient: SmallPatient) -> None:
    narrow = Camera.centred(1000.0, 1.0, (120, 120))
    pose = CArmView(0, 0, 0, (0, 0), 700).ras_to_camera(CENTRE_RAS)
    view = patient.view(pose, narrow, np.eye(4))
    assert around_bones(view, [Body(patient.projector, CENTRE_RAS)], Placement(pose[None])) is view
    beside = CArmView(0, 0, 0, (3000, 0), 700).ras_to_camera(CENTRE_RAS)
    assert around_bones(view, [Body(patient.projector, CENTRE_RAS)], Placement(beside[None])) is view
