"""The test images: rays against another projector and closed forms, physics against its laws, and nothing random but by the seed."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest
from DRRSimulatorLib.camera import Camera, CArmView, ViewRange, transform_points
from DRRSimulatorLib.ct import CTVolume, hu_to_attenuation
from DRRSimulatorLib.errors import InputError
from DRRSimulatorLib.projector import Projector
from xray_training.optional import optional_package
from xray_training.reference_beam import CT_KEV, TISSUES, beam, tissue_attenuation, water_attenuation
from xray_training.reference_physics import FULL_SCALE, Acquisition, expose, exposed_field, scatter, scintillator_blur
from xray_training.reference_renderer import ReferenceRenderer, continued, tissue_hu, tissue_shares
from xray_training.reference_suites import PELVIS_TWO_VIEW, ReferenceSuite
from xray_training.suites import Patient

pytest.importorskip("xraylib")
if not hasattr(pytest.importorskip("itk"), "RTK"):
    pytest.skip("itk-rtk is not installed", allow_module_level=True)
pytestmark = pytest.mark.filterwarnings("ignore:builtin type:DeprecationWarning")  # ITK's SWIG

CAMERA = Camera.centred(1020.0, 297 / 128, (128, 128))


@pytest.fixture
def plain() -> Acquisition:
    """Settings with as little in them as can be."""
    return replace(
        Acquisition.drawn(CAMERA, np.random.default_rng(0)),
        quanta=1e7,
        electronic_noise=0.0,
        scatter_to_primary=0.0,
        exposure_level=0.5,
        collimation="none",
        shutter=False,
        display="linear",
        edge_enhancement=0.0,
    )


def test_voxels_attenuate_as_their_hu_say() -> None:
    hu = np.linspace(-1000, 3000, 401)
    attenuation = tissue_shares(hu).astype(np.float64) @ tissue_attenuation((CT_KEV,))[0]
    np.testing.assert_allclose(attenuation, water_attenuation(CT_KEV) * (1 + hu / 1000), atol=1e-6)


def test_air_fat_muscle_and_bone_have_the_hu_of_the_textbook() -> None:
    """ICRP's tissues at about 70 keV; H. Schneider et al., Physics in Medicine and Biology 41, 1996, measure adipose -98, muscle 42."""
    fat, muscle, bone = tissue_hu()
    assert -120 < fat < -80 and 20 < muscle < 60 and 1300 < bone < 1700
    np.testing.assert_allclose(tissue_shares([-1000.0, fat, muscle, bone]), [[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], atol=1e-6)


def test_rays_agree_with_the_other_ray_caster(phantom_ct: CTVolume) -> None:
    """At the energy of the CT, where both must see the same attenuation; RTK ends a volume at its outermost voxel centres: air here."""
    pose = CArmView(25, -10, 8, (15, -20), 700).ras_to_camera((0, 0, 0))
    lengths = ReferenceRenderer(phantom_ct).lengths(CAMERA, pose)
    found = np.tensordot(tissue_attenuation((CT_KEV,))[0], lengths, axes=1)
    attenuation = hu_to_attenuation(phantom_ct.hu)
    ours = Projector(attenuation, np.zeros_like(attenuation), [], phantom_ct.ijk_to_ras).line_integrals(CAMERA, pose[None]).numpy()[0]
    difference = found - ours.sum(axis=0)
    assert np.sqrt((difference**2).mean()) < 0.02 * np.sqrt((ours**2).sum(axis=0).mean())


def test_beyond_its_ends_the_body_goes_on_without_bone(phantom_ct: CTVolume) -> None:
    body = CTVolume(phantom_ct.hu[15:25], phantom_ct.ijk_to_ras @ np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 15], [0, 0, 0, 1.0]]))
    longer = continued(body, 12.0)
    assert longer.hu.shape == (16, 40, 40)  # 12 mm are three slices of 5 mm
    np.testing.assert_array_equal(longer.hu[3:-3], body.hu)
    np.testing.assert_allclose(longer.ijk_to_ras @ (0, 0, 3, 1), body.ijk_to_ras @ (0, 0, 0, 1))
    muscle = tissue_hu()[1]
    for outside, end in ((longer.hu[:3], body.hu[0]), (longer.hu[-3:], body.hu[-1])):
        assert end.max() > muscle
        np.testing.assert_allclose(outside, np.broadcast_to(np.minimum(end, muscle), outside.shape), rtol=1e-6)


def test_the_axial_direction_is_found_whatever_the_order_of_the_axes(phantom_ct: CTVolume) -> None:
    swapped = CTVolume(phantom_ct.hu.transpose(1, 2, 0), phantom_ct.ijk_to_ras[:, [2, 0, 1, 3]])  # i runs superior
    assert continued(swapped, 5.0).hu.shape == (40, 40, 42)


def test_the_half_value_layer_of_the_beam_is_that_of_diagnostic_tubes() -> None:
    """21 CFR 1020.30(m) asks for at least 2.9 mm of aluminium at 80 kV; a C-arm has some more."""
    tube = beam(80, 3.0, 0.0)
    assert tube.photons.sum() == pytest.approx(1)
    import xraylib

    energies = np.arange(15, 80) + 0.5
    air = np.array([xraylib.CS_Energy_CP("Air, Dry (near sea level)", e) * e for e in energies])
    aluminium = np.array([xraylib.CS_Total(13, e) for e in energies]) * 0.27  # per mm

    def kerma(mm: float) -> float:
        return float((tube.photons * air * np.exp(-aluminium * mm)).sum())

    assert kerma(2.9) > kerma(0) / 2 > kerma(4.5)


def test_thick_bodies_harden_the_beam(plain: Acquisition) -> None:
    """Twice the muscle is less than twice the attenuation."""
    lengths = np.zeros((3, 128, 128), dtype=np.float32)
    lengths[1], lengths[1, :, :20], lengths[1, :, 108:] = 200, 100, 0
    image = expose(lengths, CAMERA, replace(plain, exposure_level=0.1), np.random.default_rng(0)).astype(float)
    thin, thick, open_beam = (np.median(image[:, middle - 5 : middle + 5]) for middle in (10, 64, 118))
    assert thin < open_beam == FULL_SCALE  # cut off, as on a detector
    water = water_attenuation(40) * 100, water_attenuation(80) * 100
    assert water[1] < np.log(thin / thick) < water[0]


def test_noise_has_the_variance_of_the_quanta(plain: Acquisition) -> None:
    """Without blur a pixel of n photons has the relative variance 1 / n; the photons are those of the mean energy that counts."""
    lengths = np.zeros((3, 256, 256), dtype=np.float32)
    lengths[1] = 150
    camera = Camera.centred(1020.0, 1.16, (256, 256))
    image = expose(lengths, camera, replace(plain, quanta=400.0, blur_mm2=0.0), np.random.default_rng(0)).astype(float)
    assert image.var() / image.mean() ** 2 == pytest.approx(1 / 400, rel=0.03)


def test_electronic_noise_shows_where_there_is_no_beam(plain: Acquisition) -> None:
    lengths = np.zeros((3, 128, 128), dtype=np.float32)
    lengths[2, :, 64:] = 200  # of bone: nothing passes
    settings = replace(plain, quanta=1000.0, electronic_noise=1500.0, exposure_level=0.4)
    noisy, quiet = (
        expose(lengths, CAMERA, replace(settings, electronic_noise=noise), np.random.default_rng(0))[:, 100:] for noise in (1500.0, 0.0)
    )
    assert noisy.std() > 1 > quiet.std()


def test_scatter_has_the_ratio_that_was_asked_for_and_long_tails(plain: Acquisition) -> None:
    settings = replace(plain, scatter_to_primary=0.5, scatter_range_mm=30.0)
    uniform = np.full((128, 128), 0.02, dtype=np.float32)
    assert np.median(scatter(uniform, CAMERA, settings)) == pytest.approx(0.01, rel=0.05)
    half = np.where(np.arange(128) < 64, 0.02, 1e-6)[None].repeat(128, axis=0).astype(np.float32)
    profile = scatter(half, CAMERA, settings)[64]
    shadow = profile[[70, 83, 96, 109]] / profile[32]  # 14, 44, 74 and 104 mm behind the edge
    assert (np.diff(np.log(shadow)) < -0.5).all() and shadow[-1] > 1e-3  # a Gaussian of the same width would leave 1e-6


def test_light_spreads_by_its_modulation_transfer(plain: Acquisition) -> None:
    """A sine of f line pairs per mm keeps 1 / (1 + H f^2) of its amplitude."""
    frequency = 8 / (128 * CAMERA.pixel_spacing[0])
    sine = np.sin(2 * np.pi * frequency * np.arange(128) * CAMERA.pixel_spacing[0])[None].repeat(128, axis=0).astype(np.float32)
    h = 60.0  # strong, as the pixels are coarse
    blurred = scintillator_blur(sine, CAMERA, h)
    middle = slice(32, 96)
    assert np.abs(blurred[middle, middle]).max() / np.abs(sine[middle, middle]).max() == pytest.approx(1 / (1 + h * frequency**2), rel=0.02)


@pytest.mark.parametrize("shape", ["round", "rectangular"])
def test_beyond_the_collimator_it_is_dark(shape: str, plain: Acquisition) -> None:
    lengths = np.zeros((3, 128, 128), dtype=np.float32)
    lengths[1] = 150
    settings = replace(plain, collimation=shape, collimation_mm=(10.0, -5.0, 100.0, 100.0))
    field = exposed_field(CAMERA, settings)
    area = {"round": np.pi * 100**2, "rectangular": 200**2}[shape]
    assert field.sum() * CAMERA.pixel_spacing[0] ** 2 == pytest.approx(area, rel=0.03)
    image = expose(lengths, CAMERA, settings, np.random.default_rng(0)).astype(float)
    assert np.median(image[~field]) < 0.02 * np.median(image[field])
    shut = expose(lengths, CAMERA, replace(settings, shutter=True), np.random.default_rng(0))
    assert (shut[~field] == 0).all()


@pytest.mark.parametrize("display", ["linear", "gamma", "log"])
def test_the_polarity_says_how_bone_is_shown(display: str, plain: Acquisition) -> None:
    lengths = np.zeros((3, 128, 128), dtype=np.float32)
    lengths[1] = 100
    lengths[2, 40:90, 40:90] = 30
    settings = replace(plain, display=display, exposure_level=0.2)
    image = expose(lengths, CAMERA, settings, np.random.default_rng(0))
    assert image.dtype == np.uint16 and image.max() <= FULL_SCALE
    bone, muscle = np.median(image[50:80, 50:80]), np.median(image[:30])
    assert (bone > muscle) == (settings.polarity == "attenuation")


@pytest.fixture
def two_views(small_suite: ReferenceSuite) -> ReferenceSuite:
    return ReferenceSuite("two", 3, ct_file=small_suite.ct_file, camera=CAMERA, view_range=ViewRange(), views=2)


def test_a_pair_of_views_is_60_to_90_degrees_apart_and_knows_where_its_cameras_are(two_views: ReferenceSuite, patient: Patient) -> None:
    for case in two_views.cases(patient):
        beams = []
        for view in case.views:
            pose = view.rig_to_camera @ case.ras_to_rig
            arm = CArmView.from_pose(pose, patient.centroid)
            assert abs(arm.primary_deg) <= 45 and abs(arm.secondary_deg) <= 25 and 600 <= arm.source_to_point_mm <= 850
            seen = view.camera.contains(view.camera.project(transform_points(pose, patient.surface_points)))
            assert seen.mean() >= 0.1
            beams.append(pose[2, :3])
        assert 60 <= np.degrees(np.arccos(beams[0] @ beams[1])) <= 90
        assert len(case.notes["acquisitions"]) == 2


def test_each_view_shows_bone_where_its_pose_projects_it(two_views: ReferenceSuite, patient: Patient) -> None:
    """Bone's surface against a ring of 15 mm around it, in the library's normalised image, where bone is bright."""
    from scipy.ndimage import binary_dilation

    case = two_views.case(1, patient)
    for view in case.views:
        entry = patient.projector.scene_coordinates(view.camera, (view.rig_to_camera @ case.ras_to_rig)[None]).numpy()[0, 0]
        bone = np.isfinite(entry)
        ring = binary_dilation(bone, iterations=6) & ~binary_dilation(bone, iterations=2)
        assert view.image[bone & view.xray.field].mean() > view.image[ring & view.xray.field].mean() + 0.1


def test_images_depend_on_seed_and_number_alone_and_the_cache_changes_nothing(
    two_views: ReferenceSuite, patient: Patient, tmp_path: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached = replace(two_views, cache=tmp_path)
    images = [[view.xray.pixels for view in suite.case(2, patient).views] for suite in (two_views, cached)]
    monkeypatch.setattr("xray_training.reference_suites.expose", None)  # from here on nothing is made
    images.append([view.xray.pixels for view in cached.case(2, patient).views])
    np.testing.assert_array_equal(images[0], images[1])
    np.testing.assert_array_equal(images[0], images[2])
    assert len({image.tobytes() for image in images[0]}) == 2
    with pytest.raises(TypeError):
        replace(cached, random_seed=1).case(2, patient)  # of another seed: has to be made


def test_the_tissues_are_those_that_the_shares_are_of() -> None:
    assert len(TISSUES) == tissue_shares(np.zeros(1)).shape[-1]


@pytest.mark.parametrize("module", ["xraylib", "itk.RTK", "itk.NoSuchPart"])
def test_a_missing_package_is_named_with_what_to_do(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if module != "itk.NoSuchPart":
        monkeypatch.setitem(sys.modules, module.partition(".")[0], None)
    with pytest.raises(InputError, match=r'needs the package this-one, .* pip install "xray-training\[suites\]"'):
        optional_package(module, "this-one")


def test_every_pair_of_views_is_found_also_where_no_view_is_far_enough_from_the_first() -> None:
    """No view of the range is 60 degrees from the first that is drawn for pair 22."""
    patient = PELVIS_TWO_VIEW.patient()
    for number in (1, 22):
        first, second = PELVIS_TWO_VIEW._poses(patient, PELVIS_TWO_VIEW.rng(number))
        assert 60 <= np.degrees(np.arccos(first[2, :3] @ second[2, :3])) <= 90
