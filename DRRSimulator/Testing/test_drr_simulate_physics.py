"""What the options of drr-simulate for realistic X-rays do to its files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from drr_simulate_case import SMALL_DETECTOR, pixels, simulate, write_phantom


@pytest.fixture(scope="module")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_phantom(tmp_path_factory.mktemp("phantom"))


def test_a_tube_voltage_brings_its_spectrum_scatter_and_electronic_noise(phantom: dict[str, Path], tmp_path: Path) -> None:
    options = {"ideal": [], "90": ["--kv", "90"], "clean": ["--kv", "90", "--no-scatter"], "60": ["--kv", "60", "--no-scatter"]}
    found = {}
    for name, option in options.items():
        assert simulate(phantom["ct"], "-o", tmp_path / name, "--no-noise", *option, *SMALL_DETECTOR) == 0
        found[name] = pixels(tmp_path / name / "view_0001.tiff").astype(float)
    assert all(image[0, 0] == pytest.approx(50000, abs=300) for image in found.values())
    assert found["60"][45, 50] < found["clean"][45, 50] < found["90"][45, 50] < found["ideal"][45, 50]
    for name, option in (("plain", []), ("electronic", ["--kv", "90"])):
        assert simulate(phantom["ct"], "-o", tmp_path / name, "--photons", "10", *option, *SMALL_DETECTOR) == 0
    # In the corner quanta have a variance of 10, less a few percent of blur, and electronics one of 3^2 that is not blurred.
    plain, electronic = (pixels(tmp_path / name / "view_0001.tiff")[:20, :20].astype(float).var() for name in ("plain", "electronic"))
    assert electronic / plain == pytest.approx(1.9, rel=0.25)


def test_a_collimator_covers_the_edge_and_a_display_blackens_it(phantom: dict[str, Path], tmp_path: Path) -> None:
    for kind in ("intensity", "display"):
        options = ["--collimation", "round", "--image", kind, "--format", "png", "--no-noise"]
        assert simulate(phantom["ct"], "-o", tmp_path / kind, *options, *SMALL_DETECTOR) == 0
    intensity, display = (pixels(tmp_path / kind / "view_0001.png").astype(int) for kind in ("intensity", "display"))
    rows, columns = np.indices(intensity.shape)
    radius = np.hypot(rows - 44.5, columns - 49.5) / 45  # of the shorter side
    assert (intensity[radius > 1] < 2500).all() and (display[radius > 1] == 0).all()
    inside = radius < 0.85
    assert intensity[inside].max() > 45000 and display[inside].max() > 60000
    assert np.corrcoef(intensity[inside], display[inside])[0, 1] < -0.5  # bone is bright


def test_random_tools_lie_over_the_image_and_repeat_with_the_seed(phantom: dict[str, Path], tmp_path: Path) -> None:
    for name, options in (
        ("bare", []),
        ("tools", ["--tools", "3"]),
        ("again", ["--tools", "3"]),
        ("other", ["--tools", "3", "--seed", "8"]),
    ):
        assert simulate(phantom["ct"], "-o", tmp_path / name, "--no-noise", "--kv", "60", "--no-scatter", *options, *SMALL_DETECTOR) == 0
    bare, tools, again, other = (pixels(tmp_path / name / "view_0001.tiff").astype(int) for name in ("bare", "tools", "again", "other"))
    assert (tools <= bare).all() and 0.001 < (tools < bare).mean() < 0.7
    np.testing.assert_array_equal(tools, again)
    assert (tools != other).any()


def test_soft_tissue_is_made_up_round_cut_out_bones(phantom: dict[str, Path], tmp_path: Path) -> None:
    ct, labels = sitk.ReadImage(str(phantom["ct"])), sitk.ReadImage(str(phantom["labels"]))
    bones = sitk.Mask(ct, sitk.Cast(labels > 0, sitk.sitkUInt8), -1000)
    sitk.WriteImage(bones, str(tmp_path / "bones.nii.gz"))
    for name, options in (("bare", []), ("limb", ["--soft-tissue", "60"])):
        command = [tmp_path / "bones.nii.gz", "-o", tmp_path / name, "--labels", phantom["labels"], "--no-noise", "--image", "attenuation"]
        assert simulate(*command, *options, *SMALL_DETECTOR) == 0
    bare, limb = (pixels(tmp_path / name / "view_0001.tiff") / 5000 for name in ("bare", "limb"))
    added = limb - bare
    assert (added > -1e-3).all() and (bare > 0.5).any()
    assert np.median(added[bare > 0.5]) == pytest.approx(60 * 0.0203, rel=0.5)  # uneven, and thinner towards the skin
    assert (added < 1e-3).mean() > 0.2
