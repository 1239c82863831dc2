"""The ray caster against RTK on a real CT, against ellipsoids whose chords and hits are known exactly, and against itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import DRRSimulatorLib
import numpy as np
import numpy.typing as npt
import pytest
from DRRSimulatorLib import launch
from DRRSimulatorLib.bone import BoneLabels, occupancy, segment_bone
from DRRSimulatorLib.camera import Camera, CArmView, FloatArray, invert_pose, transform_points
from DRRSimulatorLib.ct import CTVolume, hu_to_attenuation, read_ct
from DRRSimulatorLib.projector import Projector
from DRRSimulatorLib.slabs import LARGEST_SHIFT
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

FloatImage = npt.NDArray[np.float32]

CAMERA = Camera(1000.0, (1.3, 1.1), (96, 90), (43.2, 51.7))
VIEWS = [CArmView(35, 20, 10, (4, -6), 700), CArmView(-70, -15, -40, (0, 3), 650), CArmView(3, 2, 1, (-5, 0), 720)]
PELVIS_CAMERA = Camera(1020.0, (2.3, 2.6), (96, 110), (52.3, 45.1))
MU = 0.05  # 1/mm


@dataclass(frozen=True)
class Ellipsoid:
    """All x with |to_ball @ (x - centre)| <= 1."""

    centre: FloatArray
    to_ball: FloatArray

    def seen_from(self, matrix: FloatArray) -> Ellipsoid:
        """The same ellipsoid in other coordinates, given their 4x4 transform to these."""
        return Ellipsoid(transform_points(np.linalg.inv(matrix), self.centre[None])[0], self.to_ball @ matrix[:3, :3])

    def distance(self, points: FloatArray) -> FloatArray:
        """Signed distance of points (..., 3) to the surface, negative inside, to first order: the level over its gradient."""
        ball = (points - self.centre) @ self.to_ball.T
        level = np.linalg.norm(ball, axis=-1)
        return (level - 1) * level / np.linalg.norm(ball @ self.to_ball, axis=-1)

    def hits(self, source: FloatArray, directions: FloatArray) -> FloatArray:
        """Points (2, ..., 3) where rays from a source enter and leave; NaN for rays that miss."""
        start, step = self.to_ball @ (source - self.centre), directions @ self.to_ball.T
        a, b, c = (step**2).sum(-1), step @ start, start @ start - 1
        with np.errstate(invalid="ignore"):
            root = np.sqrt(b**2 - a * c)
        return np.stack([source + ((-b + sign * root) / a)[..., None] * directions for sign in (-1, 1)])

    def clearance(self, source: FloatArray, directions: FloatArray) -> FloatArray:
        """Signed distance of rays to the surface where they come nearest to the centre: how deep they dip, negative inside."""
        start, step = self.to_ball @ (source - self.centre), directions @ self.to_ball.T
        nearest = -(step @ start) / (step**2).sum(-1)
        return self.distance(source + nearest[..., None] * directions)


BONE = Ellipsoid(
    np.array([12.0, -35.0, 240.0]),
    np.diag(1 / np.array([34.0, 22.0, 27.0])) @ Rotation.from_euler("xyz", [20, -35, 50], degrees=True).as_matrix(),
)
SMALLEST_RADIUS_OF_CURVATURE = 22**2 / 34  # mm

GRIDS = {
    "isotropic": (np.eye(3), (1.5, 1.5, 1.5)),
    "anisotropic": (np.eye(3), (1.0, 1.0, 2.0)),
    "oblique": (Rotation.from_euler("xyz", [12, -20, 33], degrees=True).as_matrix(), (1.2, 1.6, 2.0)),
    "left-handed": (np.diag([1.0, -1.0, 1.0]), (1.2, 1.6, 2.0)),
}


def make_grid(name: str, reach: float = 42.0) -> tuple[tuple[int, ...], FloatArray]:
    """Shape [k, j, i] and IJK-to-RAS of a grid round the ellipsoid."""
    axes, spacing = GRIDS[name]
    count = np.ceil(2 * reach / np.array(spacing)).astype(int) + 1
    matrix = np.eye(4)
    matrix[:3, :3] = axes * spacing
    matrix[:3, 3] = BONE.centre - matrix[:3, :3] @ (count - 1) / 2 + 0.3  # no symmetry about a voxel
    return tuple(count[::-1].tolist()), matrix


def voxel_centres(shape: tuple[int, ...]) -> FloatArray:
    """Indices (k, j, i, 3) in the order i, j, k."""
    return np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij")[::-1], axis=-1).astype(np.float64)


def filled_share(body: Ellipsoid, shape: tuple[int, ...]) -> FloatImage:
    """Share of each voxel that an ellipsoid, given in voxel indices, fills: 6 x 6 x 6 samples where its surface passes."""
    voxels = voxel_centres(shape)
    distance = body.distance(voxels)
    share = (distance < 0).astype(np.float32)
    mixed = np.abs(distance) < 1  # more than half a voxel's diagonal
    inside = np.zeros(int(mixed.sum()))
    steps = (np.arange(6) + 0.5) / 6 - 0.5
    for offset in np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(-1, 3):
        inside += body.distance(voxels[mixed] + offset) < 0
    share[mixed] = inside / 216
    return share


def distance_field(body: Ellipsoid, shape: tuple[int, ...]) -> FloatImage:
    """Occupancy that falls from 1 to 0 within a voxel either side of the surface."""
    return np.clip(0.5 - body.distance(voxel_centres(shape)) / 2, 0, 1).astype(np.float32)


def label_field(body: Ellipsoid, shape: tuple[int, ...]) -> FloatImage:
    """Occupancy from the binary mask of the voxel centres."""
    labels = (body.distance(voxel_centres(shape)) < 0).astype(np.uint8)
    return occupancy(BoneLabels(labels, np.eye(4), {1: "bone"}), 1)


def pixel_rays(camera: Camera, pose: FloatArray, matrix: FloatArray | None = None) -> tuple[FloatArray, FloatArray]:
    """Source (3,) and directions (rows, columns, 3) of all pixels, in RAS or in the voxel indices of a grid."""
    rows, columns = np.indices(camera.image_size)
    to_target = (np.eye(4) if matrix is None else np.linalg.inv(matrix)) @ invert_pose(pose)
    return to_target[:3, 3], camera.back_project(np.stack([columns, rows], axis=-1), 1.0) @ to_target[:3, :3].T


def poses_of(views: list[CArmView], point: FloatArray = BONE.centre) -> FloatArray:
    return np.stack([view.ras_to_camera(point) for view in views])


def bone_only(field: FloatImage, matrix: FloatArray) -> Projector:
    return Projector(np.zeros_like(field), MU * field, [field], matrix)


def rms(values: npt.NDArray[Any]) -> float:
    return float(np.sqrt((values**2).mean()))


@pytest.fixture(scope="module")
def ellipsoid() -> Projector:
    """The ellipsoid on an oblique grid."""
    shape, matrix = make_grid("oblique")
    return bone_only(distance_field(BONE.seen_from(matrix), shape), matrix)


@pytest.fixture(scope="module")
def pelvis() -> CTVolume:
    return read_ct(Path(DRRSimulatorLib.__file__).parent / "data" / "pelvis_ct.nii.gz")


@pytest.fixture(scope="module")
def pelvis_bones(pelvis: CTVolume) -> BoneLabels:
    return segment_bone(pelvis)


def middle_of(ct: CTVolume) -> FloatArray:
    return transform_points(ct.ijk_to_ras, (np.array([ct.hu.shape[::-1]]) - 1) / 2)[0]


def rtk_line_integrals(attenuation: FloatImage, ijk_to_ras: FloatArray, camera: Camera, pose: FloatArray) -> FloatImage:
    """What RTK's Joseph projector makes of the same volume, camera and pose; RTK works in LPS."""
    itk = pytest.importorskip("itk")
    rtk = getattr(itk, "RTK", None) or pytest.skip("itk-rtk is not installed")

    ras_to_lps = np.diag([-1.0, -1.0, 1.0, 1.0])
    volume_to_lps = ras_to_lps @ ijk_to_ras
    spacing = np.linalg.norm(volume_to_lps[:3, :3], axis=0)
    volume = itk.image_from_array(attenuation)
    volume.SetSpacing(spacing.tolist())
    volume.SetOrigin(volume_to_lps[:3, 3].tolist())
    volume.SetDirection(itk.matrix_from_array(volume_to_lps[:3, :3] / spacing))

    camera_to_lps = ras_to_lps @ invert_pose(pose)
    first_pixel = (ras_to_lps @ camera.detector_to_ras(pose))[:3, 3]
    points = [itk.Point[itk.D, 3](point.tolist()) for point in (camera_to_lps[:3, 3], first_pixel)]
    axes = [itk.Vector[itk.D, 3](camera_to_lps[:3, axis].tolist()) for axis in (0, 1)]
    geometry = rtk.ThreeDCircularProjectionGeometry.New()
    assert geometry.AddProjection(*points, *axes)
    projection = itk.image_from_array(np.zeros((1, *camera.image_size), dtype=np.float32))
    projection.SetSpacing([*camera.pixel_spacing, 1.0])

    image_type = itk.Image[itk.F, 3]
    projector = rtk.JosephForwardProjectionImageFilter[image_type, image_type].New()
    projector.SetInput(0, projection)
    projector.SetInput(1, volume)
    projector.SetGeometry(geometry)
    projector.Update()
    return itk.array_from_image(projector.GetOutput())[0]


@pytest.mark.filterwarnings("ignore:builtin type:DeprecationWarning")  # ITK's SWIG
def test_line_integrals_of_a_pelvis_agree_with_rtk(pelvis: CTVolume) -> None:
    """RTK ends a volume at its outermost voxel centres, we let it fade over one more voxel: an empty border makes both the same."""
    attenuation = np.pad(hu_to_attenuation(pelvis.hu), 1)
    matrix = pelvis.ijk_to_ras @ np.block([[np.eye(3), -np.ones((3, 1))], [np.zeros(3), 1]])
    poses = poses_of([CArmView(35, 20, 10, (12, -9), 650), CArmView(-60, -15, -40), CArmView(100, 30, 5)], middle_of(pelvis))
    ours = Projector(attenuation, np.zeros_like(attenuation), [], matrix).line_integrals(PELVIS_CAMERA, poses).numpy().sum(axis=1)
    for image, pose in zip(ours, poses, strict=True):
        expected = rtk_line_integrals(attenuation, matrix, PELVIS_CAMERA, pose)
        print(f"relative RMS difference from RTK: {rms(image - expected) / rms(expected):.1e}")
        assert rms(image - expected) <= 0.005 * rms(expected)


@pytest.mark.parametrize("grid", GRIDS)
def test_line_integrals_of_an_ellipsoid_are_its_chords(grid: str) -> None:
    """Voxels blur with a variance of h^2/12, h their size, and linear interpolation with one of h^2/6.

    The chord 2 sqrt(R^2 - b^2) of a ball of radius R at distance b has a Laplacian of -20/R where it is half as long as the
    diameter, and a smaller one where it is longer. So blurring makes an error of up to h^2/4 / 2 * 20/R there. Sampling once a slice
    adds errors of either sign to single rays.
    """
    shape, matrix = make_grid(grid)
    projector = bone_only(filled_share(BONE.seen_from(matrix), shape), matrix)
    poses = poses_of(VIEWS)
    images = projector.line_integrals(CAMERA, poses).numpy()
    assert (images[:, 0] == 0).all()
    bound = 2.5 * max(GRIDS[grid][1]) ** 2 / SMALLEST_RADIUS_OF_CURVATURE
    for image, pose in zip(images[:, 1] / MU, poses, strict=True):
        entry, leave = BONE.hits(*pixel_rays(CAMERA, pose))
        chords = np.nan_to_num(np.linalg.norm(leave - entry, axis=-1))
        long = chords > chords.max() / 2
        assert rms((image - chords)[long]) <= bound
        assert image.sum() == pytest.approx(chords.sum(), rel=0.005)  # the number of pixels, thousands, limits this sum
        # Interpolation reaches one voxel, filled voxels one half and more at their corners, and slabs a little further.
        reach = (2 + LARGEST_SHIFT) * max(GRIDS[grid][1])
        assert (image[BONE.clearance(*pixel_rays(CAMERA, pose)) > reach] == 0).all()


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("field", [distance_field, label_field])
def test_scene_coordinates_lie_where_rays_meet_the_ellipsoid(grid: str, field: Any) -> None:
    """Within 0.1 voxel RMS, measured in voxels of the grid; the ellipsoid's radii of curvature are over 4 voxels.

    Along a ray that meets the surface at an angle t an error is 1 / cos t times as long. Over the rays with t under 60 degrees, whose
    cos^2 t is uniform on a ball, this is a factor of sqrt(log(4) / 0.75).
    """
    shape, matrix = make_grid(grid)
    body = BONE.seen_from(matrix)
    occupied = field(body, shape)
    projector = bone_only(occupied, matrix)
    poses = poses_of(VIEWS)
    found = projector.scene_coordinates(CAMERA, poses).numpy().astype(np.float64)
    from_surface, along_ray = [], []
    for coordinates, pose in zip(found, poses, strict=True):
        source, directions = pixel_rays(CAMERA, pose, matrix)
        hits = np.moveaxis(coordinates.reshape(2, 3, *CAMERA.image_size), 1, -1)
        hits = transform_points(np.linalg.inv(matrix), hits)
        seen = np.isfinite(hits).all(axis=(0, -1))
        clearance = body.clearance(source, directions)
        assert seen[clearance < -0.5].all() and not seen[clearance > 0.5].any()
        exact = body.hits(source, directions)
        from_surface.append(body.distance(hits[:, seen]).ravel())
        normals = (exact - body.centre) @ body.to_ball.T @ body.to_ball
        cosines = np.abs((normals * directions).sum(-1)) / np.linalg.norm(normals, axis=-1) / np.linalg.norm(directions, axis=-1)
        steep = seen & (cosines > 0.5)
        along_ray.append(np.linalg.norm(hits - exact, axis=-1)[steep])
    distances, differences = np.abs(np.concatenate(from_surface)), np.concatenate(along_ray)
    for name, values in (("from the surface", distances), ("along the ray", differences)):
        print(f"voxels {name}: RMS {rms(values):.3f}, 95 % {np.percentile(values, 95):.3f}, largest {values.max():.3f}")
    assert rms(distances) <= 0.1
    assert rms(differences) <= 0.1 * np.sqrt(np.log(4) / 0.75)


@settings(max_examples=12, deadline=None)
@given(order=st.permutations(range(3)), flipped=st.tuples(st.booleans(), st.booleans(), st.booleans()))
def test_permuted_and_flipped_arrays_of_one_object_give_the_same_image(order: list[int], flipped: tuple[bool, ...]) -> None:
    shape, matrix = make_grid("oblique")
    field = distance_field(BONE.seen_from(matrix), shape)
    change = np.eye(4)  # new indices to old
    change[:3, :3] = np.eye(3)[:, order]
    turned = field.transpose([2 - old for old in order[::-1]])
    for axis in np.flatnonzero(flipped):
        turned = np.flip(turned, 2 - axis)
        change[:3, 3] += change[:3, axis] * (turned.shape[2 - axis] - 1)
        change[:3, axis] *= -1
    poses = poses_of(VIEWS[:1])
    expected, found = bone_only(field, matrix), bone_only(turned, matrix @ change)
    np.testing.assert_allclose(
        found.line_integrals(CAMERA, poses).numpy(), expected.line_integrals(CAMERA, poses).numpy(), atol=1e-4 * MU * 68
    )
    same_points(found.scene_coordinates(CAMERA, poses).numpy(), expected.scene_coordinates(CAMERA, poses).numpy())


@settings(max_examples=12, deadline=None)
@given(angles=st.tuples(*[st.floats(-180, 180)] * 3), shift=st.tuples(*[st.floats(-300, 300)] * 3))
def test_patient_and_camera_moved_together_give_the_same_image(angles: tuple[float, ...], shift: tuple[float, ...]) -> None:
    shape, matrix = make_grid("anisotropic")
    field = distance_field(BONE.seen_from(matrix), shape)
    motion = np.eye(4)
    motion[:3, :3] = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
    motion[:3, 3] = shift
    poses = poses_of(VIEWS[:1])
    still, moved = bone_only(field, matrix), bone_only(field, motion @ matrix)
    moved_poses = poses @ invert_pose(motion)
    np.testing.assert_allclose(
        moved.line_integrals(CAMERA, moved_poses).numpy(), still.line_integrals(CAMERA, poses).numpy(), atol=1e-4 * MU * 68
    )
    hits = np.moveaxis(moved.scene_coordinates(CAMERA, moved_poses).numpy().reshape(2, 3, *CAMERA.image_size), 1, -1)
    back = np.moveaxis(transform_points(invert_pose(motion), hits), -1, 1)
    same_points(back.reshape(1, 6, *CAMERA.image_size), still.scene_coordinates(CAMERA, poses).numpy())


def same_points(found: npt.NDArray[Any], expected: npt.NDArray[Any]) -> None:
    """Equal to a hundredth of a millimetre and NaN in the same places, but for a pixel in a thousand whose ray grazes the surface."""
    differs = ~np.isclose(found, expected, rtol=0, atol=0.01, equal_nan=True)
    assert np.isfinite(expected).sum() > 1000
    assert differs.any(axis=1).mean() <= 0.001


def test_scene_coordinates_project_onto_their_own_pixels_and_leave_behind_the_entry(pelvis: CTVolume, pelvis_bones: BoneLabels) -> None:
    projector = Projector.from_ct(pelvis, pelvis_bones)
    pose = CArmView(25, -10, 8).ras_to_camera(middle_of(pelvis))
    hits = projector.scene_coordinates(PELVIS_CAMERA, pose[None]).numpy()[0].astype(np.float64).reshape(2, 3, *PELVIS_CAMERA.image_size)
    entry, leave = (transform_points(pose, np.moveaxis(points, 0, -1)) for points in hits)
    seen = np.isfinite(entry[..., 2])
    assert 0.1 < seen.mean() < 0.9
    rows, columns = np.nonzero(seen)
    for points in (entry, leave):
        np.testing.assert_allclose(PELVIS_CAMERA.project(points[seen]), np.stack([columns, rows], axis=-1), atol=0.01)
    assert (entry[seen][:, 2] <= leave[seen][:, 2]).all()
    assert np.isnan(hits[:, :, ~seen]).all()


def test_soft_tissue_and_bone_add_up_to_the_whole_ct(pelvis: CTVolume, pelvis_bones: BoneLabels) -> None:
    attenuation = hu_to_attenuation(pelvis.hu)
    pose = CArmView(10, 5).ras_to_camera(middle_of(pelvis))[None]
    whole = Projector(attenuation, np.zeros_like(attenuation), [], pelvis.ijk_to_ras).line_integrals(PELVIS_CAMERA, pose).numpy()
    parts = Projector.from_ct(pelvis, pelvis_bones).line_integrals(PELVIS_CAMERA, pose).numpy()
    assert (parts[:, 1] > 0.5).any() and (parts >= 0).all()
    np.testing.assert_allclose(parts.sum(axis=1), whole[:, 0], atol=1e-4 * whole.max())


def test_each_label_has_its_own_maps_even_where_one_bone_hides_another() -> None:
    shape, matrix = make_grid("isotropic")
    fields = [
        distance_field(Ellipsoid(BONE.centre + np.array(offset), np.eye(3) / 12).seen_from(matrix), shape)
        for offset in ([0, -18, 0], [6, 18, 0])
    ]
    empty = np.zeros(shape, dtype=np.float32)
    pose = poses_of([CArmView()])
    both = Projector(empty, empty, fields, matrix).scene_coordinates(CAMERA, pose).numpy()
    alone = [Projector(empty, empty, [field], matrix).scene_coordinates(CAMERA, pose).numpy() for field in fields]
    np.testing.assert_array_equal(both, np.concatenate(alone, axis=1))
    overlap = np.isfinite(both[0, ::6]).all(axis=0)
    assert overlap.any()
    assert (both[0, 4][overlap] < both[0, 7][overlap]).all()  # anterior: the ray leaves the first before it enters the second


def test_a_label_that_is_nowhere_has_no_hits() -> None:
    empty = np.zeros((5, 6, 7), dtype=np.float32)
    assert np.isnan(Projector(empty, empty, [empty], np.eye(4)).scene_coordinates(CAMERA, np.eye(4)[None]).numpy()).all()


def test_bone_that_the_edge_of_the_ct_cuts_ends_half_a_voxel_outside() -> None:
    full = np.ones((20, 20, 20), dtype=np.float32)
    pose = CArmView(source_to_point_mm=500).ras_to_camera([9.5, 9.5, 9.5])[None]
    camera = Camera.centred(1000, 1.0, (1, 1))
    hits = Projector(full, full, [full], np.eye(4)).scene_coordinates(camera, pose).numpy()[0, :, 0, 0]
    np.testing.assert_allclose(hits, [9.5, -0.5, 9.5, 9.5, 19.5, 9.5], atol=0.02)


@pytest.mark.parametrize("view", [CArmView(), CArmView(180), CArmView(40, 25, 10)])
def test_what_lies_behind_the_source_does_not_count(view: CArmView) -> None:
    """With the source inside the volume, emptying the half behind it changes nothing."""
    shape = (40, 40, 40)
    centre = np.full(3, 19.5)
    pose = CArmView(view.primary_deg, view.secondary_deg, view.roll_deg, source_to_point_mm=0.0).ras_to_camera(centre)
    camera = Camera.centred(40, 1.0, (24, 24))
    depth = transform_points(pose, voxel_centres(shape))[..., 2]
    full = np.ones(shape, dtype=np.float32)
    front = (depth > -2).astype(np.float32)  # what is interpolated with voxels in front of the source stays
    images = [bone_only(field, np.eye(4)).line_integrals(camera, pose[None]).numpy()[0, 1] for field in (full, front)]
    np.testing.assert_allclose(images[0], images[1], rtol=1e-6)
    assert (images[0] > MU * 15).all() and (images[0] < MU * 40).all()


def test_bones_behind_the_source_have_no_scene_coordinates() -> None:
    shape = (40, 40, 40)
    centre = np.full(3, 19.5)
    pose = CArmView(source_to_point_mm=0.0).ras_to_camera(centre)[None]
    fields = [distance_field(Ellipsoid(centre + np.array([0, y, 0]), np.eye(3) / 5), shape) for y in (-10, 10)]
    empty = np.zeros(shape, dtype=np.float32)
    hits = Projector(empty, empty, fields, np.eye(4)).scene_coordinates(Camera.centred(40, 1.0, (24, 24)), pose).numpy()
    behind, before = np.split(hits, 2, axis=1)
    assert np.isnan(behind).all() and np.isfinite(before).any()


@pytest.mark.parametrize("primary_deg", [0.0, 1e-7, 1e-6, 3e-6, -3e-6, 1e-5])
def test_rays_almost_along_an_axis_may_miss_the_volume(primary_deg: float) -> None:
    """They would meet the grid's side planes thousands of kilometres away, beyond the integers."""
    full = np.ones((20, 20, 20), dtype=np.float32)
    pose = CArmView(primary_deg, offset_mm=(-300, 0)).ras_to_camera([10, 10, 10])[None]
    projector, camera = bone_only(full, np.eye(4)), Camera.centred(1000, 1.0, (5, 5))
    assert (projector.line_integrals(camera, pose).numpy() == 0).all()
    assert np.isnan(projector.scene_coordinates(camera, pose).numpy()).all()


def test_a_batch_gives_what_its_views_give_alone_also_with_different_cameras(ellipsoid: Projector) -> None:
    cameras = [CAMERA, Camera(800.0, (1.5, 1.2), CAMERA.image_size, (40.0, 44.0)), CAMERA.cropped(7, -9, CAMERA.image_size)]
    poses = poses_of(VIEWS)
    for render in (ellipsoid.line_integrals, ellipsoid.scene_coordinates):
        alone = [render(camera, pose[None]).numpy() for camera, pose in zip(cameras, poses, strict=True)]
        np.testing.assert_array_equal(render(cameras, poses).numpy(), np.concatenate(alone))
        np.testing.assert_array_equal(render(CAMERA, poses[:1]).numpy(), alone[0])


def test_no_views_give_an_empty_batch(ellipsoid: Projector) -> None:
    assert len(ellipsoid.line_integrals(CAMERA, np.empty((0, 4, 4)))) == 0


def test_cameras_that_do_not_fit_the_poses_are_an_error(ellipsoid: Projector) -> None:
    poses = poses_of(VIEWS)
    for camera, of in [([CAMERA], poses), ([CAMERA, CAMERA, CAMERA.resized((10, 10))], poses), (CAMERA, poses[0])]:
        with pytest.raises(ValueError, match="views"):
            ellipsoid.line_integrals(camera, of)


def test_results_do_not_depend_on_the_number_of_threads(ellipsoid: Projector, monkeypatch: pytest.MonkeyPatch) -> None:
    poses = poses_of(VIEWS)
    images, hits = [], []
    for threads in (1, 2, 7):
        monkeypatch.setattr(launch, "available_cpus", lambda threads=threads: threads)
        images.append(ellipsoid.line_integrals(CAMERA, poses).numpy())
        hits.append(ellipsoid.scene_coordinates(CAMERA, poses).numpy())
    for others in (1, 2):
        np.testing.assert_array_equal(images[0], images[others])
        np.testing.assert_array_equal(hits[0], hits[others])


def test_cuda_gives_what_the_cpu_gives() -> None:
    import warp as wp

    if not wp.is_cuda_available():
        pytest.skip("no CUDA GPU can be used here")
    shape, matrix = make_grid("oblique")
    field = distance_field(BONE.seen_from(matrix), shape)
    poses = poses_of(VIEWS)
    cpu, cuda = (Projector(MU * field, field, [field], matrix, device) for device in ("cpu", "cuda"))
    expected = cpu.line_integrals(CAMERA, poses).numpy()
    np.testing.assert_allclose(cuda.line_integrals(CAMERA, poses).numpy(), expected, atol=1e-4 * expected.max())
    same_points(cuda.scene_coordinates(CAMERA, poses).numpy(), cpu.scene_coordinates(CAMERA, poses).numpy())
