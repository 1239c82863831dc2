"""Slabs of slices: their error, which rays they are for, and the two forms of the loop over them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from DRRSimulatorLib import integral_kernels, surface_kernels
from DRRSimulatorLib.camera import Camera, CArmView, FloatArray, invert_pose, transform_points
from DRRSimulatorLib.ct import CTVolume, hu_to_attenuation
from DRRSimulatorLib.projector import Projector, possible_main_axes
from DRRSimulatorLib.slabs import PackedAttenuation, thicknesses_for
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import map_coordinates
from smooth_ct import smooth_ct

CAMERA = Camera(1020.0, (2.0, 2.2), (64, 80), (37.0, 28.0))
VIEWS = {
    "along an axis": CArmView(),
    "frontal": CArmView(5, -3, 4),
    "oblique": CArmView(40, 20, -12, (10, -5)),
    "between two main axes": CArmView(45, 0, 0),
    "lateral": CArmView(85, 10, 90),
    "cranial": CArmView(20, 75),
}


def noisy_ct(spacing: float) -> CTVolume:
    """Structures with the noise of a CT of fine voxels, the hardest that slabs have to represent."""
    ct = smooth_ct(spacing)
    noise = np.random.default_rng(0).normal(0, 40, ct.hu.shape) * (ct.hu > -900)
    return CTVolume(np.maximum(ct.hu + noise, -1000).astype(np.float32), ct.ijk_to_ras)


def middle_of(ct: CTVolume) -> FloatArray:
    return transform_points(ct.ijk_to_ras, np.array([ct.hu.shape[::-1]]) / 2)[0]


def sampled_integrals(ct: CTVolume, pose: FloatArray, pixels: FloatArray) -> FloatArray:
    """Line integrals at pixels (N, 2) in double precision: trilinear samples at a tenth of the smallest voxel, air outside."""
    centre, half = transform_points(pose, middle_of(ct)[None])[0], 90.0
    step = min(ct.spacing) / 10
    depths = np.arange(-half, half, step)
    rays = CAMERA.back_project(pixels, 1.0)
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    points = (np.linalg.norm(centre) + depths)[:, None, None] * rays
    to_ijk = np.linalg.inv(ct.ijk_to_ras) @ invert_pose(pose)
    ijk = transform_points(to_ijk, points.reshape(-1, 3))
    attenuation = np.pad(hu_to_attenuation(ct.hu).astype(np.float64), 1)
    samples = map_coordinates(attenuation, ijk.T[::-1] + 1, order=1, mode="constant")
    return samples.reshape(len(depths), -1).sum(axis=0) * step


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("spacing", [0.5, 0.7, 1.4])
def test_line_integrals_are_within_half_a_per_cent_of_finely_sampled_ones(view: str, spacing: float) -> None:
    ct = noisy_ct(spacing)
    attenuation = hu_to_attenuation(ct.hu)
    pose = VIEWS[view].ras_to_camera(middle_of(ct))
    image = Projector(attenuation, np.zeros_like(attenuation), [], ct.ijk_to_ras).line_integrals(CAMERA, pose[None]).numpy()[0, 0]
    rows, columns = np.random.default_rng(1).integers(0, CAMERA.image_size, (400, 2)).T
    expected = sampled_integrals(ct, pose, np.stack([columns, rows], axis=1).astype(np.float64))
    error = np.sqrt(((image[rows, columns] - expected) ** 2).mean() / (expected**2).mean())
    print(f"relative RMS error: {error:.3%}")
    assert (expected > 0.5).mean() > 0.2
    assert error <= 0.005


@pytest.mark.parametrize(
    ("slice_mm", "expected"), [(3.0, (1, 1)), (1.6, (1, 1)), (1.5, (2, 2)), (0.8, (2, 2)), (0.7, (2, 4)), (0.1, (2, 4))]
)
def test_slabs_are_as_thick_as_slices_and_slopes_allow(slice_mm: float, expected: tuple[int, int]) -> None:
    assert thicknesses_for(slice_mm) == expected


@pytest.mark.parametrize("main", [0, 1, 2])
@pytest.mark.parametrize("thickness", [1, 2, 4])
def test_slabs_hold_the_sums_of_their_slices(main: int, thickness: int) -> None:
    rng = np.random.default_rng(main)
    soft, bone = rng.random((2, 9, 10, 11), dtype=np.float32) * [[[[0.02]]], [[[0.08]]]]
    slabs = PackedAttenuation(soft.astype(np.float32), bone.astype(np.float32)).slabs(main, thickness)
    order = {0: (2, 0, 1), 1: (1, 0, 2), 2: (0, 1, 2)}[main]  # array axes that are slab, w and u
    for material, unit, values in (
        (soft, slabs.soft_unit, slabs.values & 0xFFFF),
        (bone, slabs.bone_unit, slabs.values >> 16),
    ):
        slices = material.transpose(order)
        sums = np.add.reduceat(slices, range(0, len(slices), thickness), axis=0)
        np.testing.assert_allclose(values[:, 1:-1, 1:-1] * unit, sums, atol=1.01 * unit)
        assert values.sum() == values[:, 1:-1, 1:-1].sum()  # the border is empty


@settings(max_examples=80, deadline=None)
@given(
    view=st.builds(CArmView, st.floats(-180, 180), st.floats(-89, 89), st.floats(-180, 180)),
    size=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    spacing=st.floats(0.5, 60),
)
def test_no_ray_has_a_main_axis_that_was_ruled_out(view: CArmView, size: tuple[int, int], spacing: float) -> None:
    camera = Camera.centred(1000.0, spacing, size)
    to_direction = invert_pose(view.ras_to_camera(np.zeros(3)))[:3, :3] @ np.linalg.inv(camera.matrix)
    rows, columns = np.indices(size)
    directions = np.stack([columns, rows, np.ones_like(rows)], axis=-1).reshape(-1, 3) @ to_direction.T
    assert set(np.abs(directions).argmax(axis=1)) <= set(possible_main_axes(to_direction, size))


@pytest.fixture
def one_lane() -> Iterator[None]:
    """The kernels as they are on CUDA, one sample at a time, compiled for the CPU."""
    import warp as wp

    flags = wp.get_module_options(integral_kernels)["cpu_compiler_flags"]
    wp.set_module_options({"cpu_compiler_flags": f"{flags} -DONE_LANE"}, integral_kernels)
    yield
    wp.set_module_options({"cpu_compiler_flags": flags}, integral_kernels)


def test_a_sample_at_a_time_gives_what_eight_give(request: pytest.FixtureRequest) -> None:
    """CUDA takes the samples of a ray one by one: the same source, the other branch of it."""
    ct = noisy_ct(0.7)
    attenuation = hu_to_attenuation(ct.hu)
    projector = Projector(0.4 * attenuation, 0.6 * attenuation, [], ct.ijk_to_ras)
    poses = np.stack([view.ras_to_camera(middle_of(ct)) for view in VIEWS.values()])
    eight = projector.line_integrals_and_derivatives(CAMERA, poses, middle_of(ct)).numpy()
    images = projector.line_integrals(CAMERA, poses).numpy()
    request.getfixturevalue("one_lane")
    one = projector.line_integrals_and_derivatives(CAMERA, poses, middle_of(ct)).numpy()
    assert not np.array_equal(one, eight)  # rounding differs: it is another code
    scale = np.abs(eight).max(axis=(0, 2, 3), keepdims=True)
    np.testing.assert_allclose(one / scale, eight / scale, atol=1e-4)
    np.testing.assert_allclose(projector.line_integrals(CAMERA, poses).numpy(), images, atol=1e-5 * images.max())


@pytest.mark.parametrize("module", [integral_kernels, surface_kernels])
def test_kernels_compile_for_cuda(module: object) -> None:
    """To PTX, for which no GPU is needed; running them is `test_cuda_gives_what_the_cpu_gives`."""
    import warp as wp

    wp.init()
    with tempfile.TemporaryDirectory() as folder:
        try:
            wp.compile_aot_module(module, arch=80, module_dir=folder, use_ptx=True)
        except RuntimeError as error:
            pytest.skip(f"Warp cannot compile for CUDA here: {error}")
        assert list(Path(folder).glob("*.ptx"))
