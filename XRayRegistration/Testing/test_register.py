"""Registration: with a network that knows the truth the pose is exact; refinement finds it again from nearby, and never makes it worse."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

import numpy as np
import pytest
from DRRSimulatorLib.camera import Camera, CArmView, FloatArray, ViewRange, move_pose
from DRRSimulatorLib.errors import InputError
from DRRSimulatorLib.progress import Cancelled
from oracle_network import OracleNetwork
from small_patient import CENTRE_RAS, SmallPatient
from XRayRegistrationLib.correspondences import network_image
from XRayRegistrationLib.distance import at_distance
from XRayRegistrationLib.metrics import pose_error
from XRayRegistrationLib.model import Model, ModelDescription
from XRayRegistrationLib.pose import PoseNotFoundError
from XRayRegistrationLib.refine import Refiner
from XRayRegistrationLib.register import register
from XRayRegistrationLib.view import View
from XRayRegistrationLib.xray import XRay


@dataclass(frozen=True)
class Setup:
    """X-rays of the small patient, the true pose, and a model that knows it."""

    views: list[View]
    model: Model
    ras_to_rig: FloatArray


def setup(patient: SmallPatient, description: ModelDescription, rigs: list[FloatArray], cameras: list[Camera]) -> Setup:
    ras_to_rig = np.asarray(CArmView(25, -10, 8, (5, -10), 720).ras_to_camera(CENTRE_RAS))
    views = [patient.view(rig @ ras_to_rig, camera, rig) for camera, rig in zip(cameras, rigs, strict=True)]
    model = Model(OracleNetwork(patient.projector, description, []), description)  # type: ignore[arg-type]
    expected = [(network_image(view.image, view.camera, model)[1], view.rig_to_camera @ ras_to_rig) for view in views]
    return Setup(views, Model(OracleNetwork(patient.projector, description, expected), description), ras_to_rig)  # type: ignore[arg-type]


ONE = [np.eye(4)]
OBLONG = Camera(1000.0, (1.3, 1.1), (210, 190), (101.0, 92.5))
SQUARE = Camera.centred(1000.0, 1.2, (200, 200))


@pytest.fixture(scope="module")
def refiner(patient: SmallPatient) -> Refiner:
    return Refiner(patient.projector, CENTRE_RAS, patient.ct)


def mtre(found: FloatArray, true: FloatArray, patient: SmallPatient) -> float:
    points = patient.surfaces["bone"].points
    return pose_error(found, true, SQUARE, points, points.mean(axis=0)).mtre_mm


@pytest.mark.parametrize("camera", [SQUARE, OBLONG], ids=["square", "oblong pixels, principal point off centre"])
def test_true_scene_coordinates_give_the_true_pose(patient: SmallPatient, description: ModelDescription, camera: Camera) -> None:
    case = setup(patient, description, ONE, [camera])
    registration = register(case.views, patient.ct, case.model)
    assert mtre(registration.ras_to_rig, case.ras_to_rig, patient) < 0.05
    assert registration.refinement is None


def test_two_views_are_solved_in_the_frame_of_their_rig(patient: SmallPatient, description: ModelDescription) -> None:
    pivot = np.array([0.0, 0.0, 720.0])
    rigs = [move_pose(np.eye(4), pivot, (0.0, 0.3, 0.0, 10.0, 0.0, 5.0)), move_pose(np.eye(4), pivot, (0.0, -1.0, 0.1, 0.0, 5.0, 0.0))]
    case = setup(patient, description, rigs, [SQUARE, OBLONG])
    registration = register(case.views, patient.ct, case.model)
    assert mtre(registration.ras_to_rig, case.ras_to_rig, patient) < 0.05
    assert np.allclose(registration.ras_to_camera(1), rigs[1] @ registration.ras_to_rig)


@pytest.mark.parametrize("refined", [False, True], ids=["network alone", "refined"])
def test_a_distance_of_the_detector_that_is_not_known_is_found(
    patient: SmallPatient, description: ModelDescription, refiner: Refiner, refined: bool
) -> None:
    """The results are told for the distance that was found."""
    pivot = np.array([0.0, 0.0, 720.0])
    rigs = [np.eye(4), move_pose(np.eye(4), pivot, (0.0, -1.2, 0.1, 0.0, 5.0, 0.0))]
    case = setup(patient, description, rigs, [SQUARE, OBLONG])
    views = [view.at_distance(1.08) for view in case.views]
    cameras = [at_distance(network_image(view.image, view.camera, case.model)[1], 1 / 1.08) for view in views]
    poses = [view.rig_to_camera @ case.ras_to_rig for view in views]
    oracle = OracleNetwork(patient.projector, description, list(zip(cameras, poses, strict=True)))
    registration = register(
        views,
        patient.ct,
        Model(oracle, description),  # type: ignore[arg-type]
        refiner if refined else None,
        sdd_unknown=True,
    )
    assert mtre(registration.ras_to_rig, case.ras_to_rig, patient) < 1
    for view, seen in zip(registration.views, registration.correspondences, strict=True):
        assert view.camera.source_to_detector_distance == pytest.approx(1000, rel=0.005)
        assert seen.camera.source_to_detector_distance == pytest.approx(view.camera.source_to_detector_distance)
    assert 0 < registration.sdd_deviation < 0.02


def test_the_same_seed_gives_the_same_pose(patient: SmallPatient, description: ModelDescription) -> None:
    poses = []
    for _ in range(2):
        case = setup(patient, description, ONE, [SQUARE])
        poses.append(register(case.views, patient.ct, case.model, seed=4).ras_to_rig)
    assert np.allclose(*poses, atol=1e-6)


SMALL_RANGE = ViewRange(primary_deg=30, secondary_deg=10, roll_deg=10, source_to_bone_mm=(650.0, 800.0))
OUT_OF_SIGHT = np.asarray(CArmView(25, -10, 8, (9000, 0), 720).ras_to_camera(CENTRE_RAS))
UPSIDE_DOWN = np.asarray(CArmView(25, -10, 188, (5, -10), 720).ras_to_camera(CENTRE_RAS))


def misled(patient: SmallPatient, description: ModelDescription, view: View, believed: FloatArray) -> Model:
    """A model of a small range of views, whose network sees the bone of a view where it is not."""
    trained = replace(description, training={"view_range": asdict(SMALL_RANGE)})
    model = Model(OracleNetwork(patient.projector, trained, []), trained)  # type: ignore[arg-type]
    expected = [(network_image(view.image, view.camera, model)[1], believed)]
    return Model(OracleNetwork(patient.projector, trained, expected), trained)  # type: ignore[arg-type]


@pytest.mark.parametrize("believed", [OUT_OF_SIGHT, UPSIDE_DOWN], ids=["sees no bone", "is wrong"])
def test_where_the_network_fails_a_search_finds_the_pose(
    patient: SmallPatient, description: ModelDescription, refiner: Refiner, believed: FloatArray
) -> None:
    case = setup(patient, description, ONE, [SQUARE])
    registration = register(case.views, patient.ct, misled(patient, description, case.views[0], believed), refiner)
    assert registration.origin == "search" and registration.estimate is None and len(registration.correspondences) == 1
    assert mtre(registration.ras_to_rig, case.ras_to_rig, patient) < 1
    assert registration.seconds["search"] > 0


def test_noise_has_no_pose_even_after_a_search(patient: SmallPatient, description: ModelDescription, refiner: Refiner) -> None:
    noise = View(XRay.from_pixels(np.random.default_rng(0).normal(size=(200, 200)), "attenuation"), SQUARE)
    with pytest.raises(PoseNotFoundError, match="points of the bone"):
        register([noise], patient.ct, misled(patient, description, noise, OUT_OF_SIGHT), refiner)


def test_progress_only_rises_and_says_what_is_being_done(patient: SmallPatient, description: ModelDescription, refiner: Refiner) -> None:
    case = setup(patient, description, ONE, [SQUARE])
    reports: list[tuple[float, str]] = []
    register(case.views, patient.ct, case.model, refiner, report=lambda fraction, text: reports.append((fraction, text)))
    fractions, texts = zip(*reports, strict=True)
    assert list(fractions) == sorted(fractions) and fractions[0] == 0 and fractions[-1] <= 1
    assert list(dict.fromkeys(texts)) == ["Recognizing the bone in the X-ray", "Solving for the pose", "Refining the pose"]


def test_a_report_can_stop_a_refinement(patient: SmallPatient, description: ModelDescription, refiner: Refiner) -> None:
    def stop(fraction: float, text: str) -> None:
        if fraction > 0.3:
            raise Cancelled

    case = setup(patient, description, ONE, [SQUARE])
    with pytest.raises(Cancelled):
        register(case.views, patient.ct, case.model, refiner, report=stop)


def test_a_blank_image_has_no_pose(patient: SmallPatient, description: ModelDescription) -> None:
    case = setup(patient, description, ONE, [SQUARE])
    flat = XRay(np.random.default_rng(0).normal(100, 1e-3, (200, 200)).astype(np.float32), np.ones((200, 200), bool), "attenuation")
    blank = View(flat, SQUARE)
    object.__setattr__(blank, "image", np.zeros((200, 200), np.float32))
    with pytest.raises(PoseNotFoundError, match="points of the bone"):
        register([blank], patient.ct, case.model)


def test_an_xray_too_small_for_the_network_is_refused(patient: SmallPatient, description: ModelDescription) -> None:
    case = setup(patient, description, ONE, [SQUARE])
    tiny = Camera.centred(1000.0, 0.1, (40, 40))
    view = View(XRay.from_pixels(np.arange(1600.0).reshape(40, 40), "attenuation"), tiny)
    with pytest.raises(InputError, match="check the pixel spacing"):
        register([view], patient.ct, case.model)


def test_an_xray_and_a_camera_of_other_sizes_are_refused(patient: SmallPatient) -> None:
    xray = XRay.from_pixels(np.arange(1600.0).reshape(40, 40), "attenuation")
    with pytest.raises(InputError, match="give the camera of this image"):
        View(xray, SQUARE)


def test_a_bright_spot_stays_on_its_ray_in_the_networks_pixels(patient: SmallPatient, description: ModelDescription) -> None:
    case = setup(patient, description, ONE, [OBLONG])
    rows, columns = np.indices(OBLONG.image_size)
    for row, column in ((60.0, 50.0), (140.3, 120.8)):
        spot = np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / (2 * 6.0**2)).astype(np.float32)
        image, camera = network_image(spot, OBLONG, case.model)
        weights = image[0, 0].numpy().astype(np.float64)
        v, u = (float((index * weights).sum() / weights.sum()) for index in np.indices(weights.shape))
        ray = camera.back_project([[u, v]], 1.0)
        assert camera.focal_lengths == pytest.approx(description.camera.focal_lengths, rel=0.02)
        assert OBLONG.project(ray)[0] == pytest.approx((column, row), abs=0.1)
