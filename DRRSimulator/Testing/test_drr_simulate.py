"""The command drr-simulate on a small phantom: its files, its cameras, repeatable bytes, and refusals in one sentence."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from drr_simulate_case import (
    BONE,
    LPS_TO_RAS,
    MARKER,
    SMALL_DETECTOR,
    SPACING,
    names,
    pixels,
    simulate,
    write_phantom,
)
from DRRSimulatorLib.bone import read_labels
from DRRSimulatorLib.camera import Camera, CArmView, ViewRange, load_view, save_view, transform_points
from DRRSimulatorLib.ct import read_ct
from DRRSimulatorLib.progress import parse_progress
from DRRSimulatorLib.projector import Projector


@pytest.fixture(scope="module")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_phantom(tmp_path_factory.mktemp("phantom"))


def test_random_views_are_16_bit_pictures_with_cameras(phantom: dict[str, Path], tmp_path: Path) -> None:
    assert simulate(phantom["ct"], "-o", tmp_path / "new" / "folder", "--random", "3", *SMALL_DETECTOR) == 0
    folder = tmp_path / "new" / "folder"
    assert names(folder) == [f"view_000{n}.{suffix}" for n in (1, 2, 3) for suffix in ("json", "tiff")]
    limits = ViewRange()
    for number in (1, 2, 3):
        image = pixels(folder / f"view_000{number}.tiff")
        camera, pose = load_view(folder / f"view_000{number}.json")
        assert image.dtype == np.uint16 and image.shape == camera.image_size == (90, 100)
        assert camera.pixel_spacing == (2.4, 2.4) and camera.source_to_detector_distance == 1020
        assert pose is not None
        view = CArmView.from_pose(pose, BONE)
        assert abs(view.primary_deg) < limits.primary_deg and abs(view.secondary_deg) < limits.secondary_deg


def test_a_module_shows_its_progress_and_stops_as_soon_as_a_file_exists(phantom: dict[str, Path], tmp_path: Path) -> None:
    stop_file, output = tmp_path / "stop", tmp_path / "views"
    command = [sys.executable, "-m", "DRRSimulatorLib.cli", str(phantom["ct"]), "-o", str(output), "--random", "10000"]
    process = subprocess.Popen([*command, "--stop-file", str(stop_file), *SMALL_DETECTOR], stderr=subprocess.PIPE, text=True)
    assert process.stderr
    first = next(line for line in map(parse_progress, process.stderr) if line)
    assert (first.done, first.total, first.text) == (1, 10000, "simulating")
    stop_file.touch()
    message = process.communicate(timeout=60)[1].splitlines()[-1]
    written = len(list(output.glob("*.json")))
    assert process.returncode == 1 and message == f"Stopped after {written} of 10000 X-rays."
    assert len(names(output)) == 2 * written  # whole views, and no temporary file


def test_the_default_detector_is_a_flat_panel_of_297_mm(phantom: dict[str, Path], tmp_path: Path) -> None:
    assert simulate(phantom["ct"], "-o", tmp_path) == 0
    camera, _ = load_view(tmp_path / "view_0001.json")
    assert camera.image_size == (512, 512) and 512 * camera.pixel_spacing[0] == pytest.approx(297, abs=0.1)


def test_a_view_is_the_one_that_its_options_ask_for(phantom: dict[str, Path], tmp_path: Path) -> None:
    options = ["--primary", "30", "--secondary", "-12", "--roll", "5", "--offset", "7", "-9", "--source-to-bone", "640", "--sdd", "980"]
    assert simulate(phantom["ct"], "-o", tmp_path, "--labels", phantom["labels"], *options, *SMALL_DETECTOR) == 0
    camera, pose = load_view(tmp_path / "view_0001.json")
    assert pose is not None and camera.source_to_detector_distance == 980
    labels = read_labels(phantom["labels"], read_ct(phantom["ct"]))
    middle = transform_points(labels.ijk_to_ras, np.argwhere(labels.labels > 0)[:, ::-1]).mean(axis=0)
    view = CArmView.from_pose(pose, middle)
    np.testing.assert_allclose((view.primary_deg, view.secondary_deg, view.roll_deg), (30, -12, 5), atol=1e-6)
    # The bone's middle is that of its surface, which lies somewhat off the middle of its volume: the small bone has more surface.
    np.testing.assert_allclose((*view.offset_mm, view.source_to_point_mm), (7, -9, 640), atol=4)


def test_the_camera_file_projects_a_marker_to_where_the_image_shows_it(phantom: dict[str, Path], tmp_path: Path) -> None:
    options = [
        "--labels",
        phantom["labels"],
        "--primary",
        "35",
        "--secondary",
        "-20",
        "--roll",
        "12",
        "--no-noise",
        "--image",
        "attenuation",
    ]
    for name in ("ct", "marked"):
        assert simulate(phantom[name], "-o", tmp_path / name, *options, *SMALL_DETECTOR) == 0
    marker = pixels(tmp_path / "marked" / "view_0001.tiff").astype(float) - pixels(tmp_path / "ct" / "view_0001.tiff")
    marker[marker < 20] = 0  # the rounding of voxels and of grey values
    rows, columns = np.indices(marker.shape)
    seen = np.array([(columns * marker).sum(), (rows * marker).sum()]) / marker.sum()
    camera, pose = load_view(tmp_path / "marked" / "view_0001.json")
    assert pose is not None
    np.testing.assert_allclose(seen, camera.project(transform_points(pose, [MARKER]))[0], atol=0.05)


def test_a_camera_file_tells_the_geometry_whatever_its_pose(phantom: dict[str, Path], tmp_path: Path) -> None:
    oblique = Camera(990.0, (2.1, 2.6), (70, 80), (44.5, 30.25))
    save_view(tmp_path / "camera.json", oblique, CArmView(80).ras_to_camera(BONE))
    assert simulate(phantom["ct"], "-o", tmp_path / "out", "--camera", tmp_path / "camera.json", "--primary", "10") == 0
    camera, pose = load_view(tmp_path / "out" / "view_0001.json")
    assert camera == oblique and pixels(tmp_path / "out" / "view_0001.tiff").shape == (70, 80)
    assert pose is not None and CArmView.from_pose(pose, BONE).primary_deg == pytest.approx(10)


def test_intensity_is_dark_behind_bone_and_attenuation_is_its_logarithm(phantom: dict[str, Path], tmp_path: Path) -> None:
    for kind in ("intensity", "attenuation"):
        assert simulate(phantom["ct"], "-o", tmp_path / kind, "--image", kind, "--no-noise", *SMALL_DETECTOR) == 0
    intensity, attenuation = (pixels(tmp_path / kind / "view_0001.tiff").astype(float) for kind in ("intensity", "attenuation"))
    assert intensity[0, 0] == intensity.max() == 50000 and intensity[45, 50] < 10000
    assert attenuation.min() == 0
    # Each picture is rounded to whole grey values.
    np.testing.assert_allclose(intensity, 50000 * np.exp(-attenuation / 5000), atol=0.5 + 50000 * 0.5 / 5000)


def test_fewer_photons_make_more_noise(phantom: dict[str, Path], tmp_path: Path) -> None:
    for photons in ("1000", "100000"):
        assert simulate(phantom["ct"], "-o", tmp_path / photons, "--photons", photons, *SMALL_DETECTOR) == 0
    corner = [pixels(tmp_path / photons / "view_0001.tiff")[:20, :20] / 50000 for photons in ("1000", "100000")]
    # A standard deviation of 400 values is known to 5 standard errors of 1 / sqrt(800); the blur of 2.4 mm pixels takes a little off.
    assert [image.std() for image in corner] == pytest.approx([1000**-0.5, 100000**-0.5], rel=0.25)


def test_the_same_seed_gives_the_same_bytes_however_many_images_follow(phantom: dict[str, Path], tmp_path: Path) -> None:
    for folder, count, seed in (("two", 2, 5), ("three", 3, 5), ("other", 2, 6)):
        assert simulate(phantom["ct"], "-o", tmp_path / folder, "--random", str(count), "--seed", str(seed), *SMALL_DETECTOR) == 0
    for name in names(tmp_path / "two"):
        assert (tmp_path / "two" / name).read_bytes() == (tmp_path / "three" / name).read_bytes()
        assert (tmp_path / "two" / name).read_bytes() != (tmp_path / "other" / name).read_bytes()


def test_png_holds_the_same_values_as_tiff(phantom: dict[str, Path], tmp_path: Path) -> None:
    for suffix in ("png", "tiff"):
        assert simulate(phantom["ct"], "-o", tmp_path, "--format", suffix, *SMALL_DETECTOR) == 0
    np.testing.assert_array_equal(pixels(tmp_path / "view_0001.png"), pixels(tmp_path / "view_0001.tiff"))


def test_an_nrrd_file_lies_on_the_detector_and_holds_line_integrals(phantom: dict[str, Path], tmp_path: Path) -> None:
    options = ["--format", "nrrd", "--image", "attenuation", "--no-noise", "--primary", "20", "--secondary", "10", *SMALL_DETECTOR]
    assert simulate(phantom["ct"], "-o", tmp_path, "--labels", phantom["labels"], *options) == 0
    camera, pose = load_view(tmp_path / "view_0001.json")
    image = sitk.ReadImage(str(tmp_path / "view_0001.nrrd"))
    assert pose is not None and image.GetSize() == (100, 90, 1) and image.GetPixelID() == sitk.sitkFloat32
    corners = [(0, 0, 0), (99, 0, 0), (0, 89, 0), (99, 89, 0)]
    placed = transform_points(pose, LPS_TO_RAS * [image.TransformIndexToPhysicalPoint(corner) for corner in corners])
    np.testing.assert_allclose(placed[:, 2], 1020, atol=1e-3)
    np.testing.assert_allclose(camera.project(placed), np.array(corners)[:, :2], atol=1e-3)
    ct = read_ct(phantom["ct"])
    integrals = Projector.from_ct(ct, read_labels(phantom["labels"], ct)).line_integrals(camera, pose[None]).numpy()[0].sum(axis=0)
    # The detector's blur of 0.156 mm moves 0.156 / 2.4 / sqrt(2 pi) = 2.6 % of the light to each neighbour.
    found = pixels(tmp_path / "view_0001.nrrd")
    assert np.abs(found - integrals).mean() < 0.026 * integrals.mean()
    assert found[45, 50] == pytest.approx(integrals[45, 50], rel=0.01)


def test_scene_coordinates_are_vectors_of_ras_for_every_label(phantom: dict[str, Path], tmp_path: Path) -> None:
    options = ["--scene-coordinates", "--labels", phantom["labels"], "--primary", "-25", *SMALL_DETECTOR]
    assert simulate(phantom["ct"], "-o", tmp_path, *options) == 0
    maps = {name: sitk.ReadImage(str(tmp_path / name)) for name in names(tmp_path) if name.endswith(".nrrd")}
    assert list(maps) == [f"view_0001_label{label}_{surface}.nrrd" for label in (1, 3) for surface in ("entry", "exit")]
    assert all(image.GetPixelID() == sitk.sitkVectorFloat32 and image.GetSize() == (100, 90, 1) for image in maps.values())
    camera, pose = load_view(tmp_path / "view_0001.json")
    assert pose is not None
    for surface, side in (("entry", -1), ("exit", 1)):
        points = pixels(tmp_path / f"view_0001_label3_{surface}.nrrd")
        seen = np.isfinite(points).all(axis=-1)
        assert seen.any() and np.isnan(points[~seen]).all()
        rows, columns = np.nonzero(seen)
        np.testing.assert_allclose(camera.project(transform_points(pose, points[seen])), np.stack([columns, rows], axis=-1), atol=0.01)
        # On the ball of 16 mm, to half a voxel's diagonal, and on the source's side or on the other.
        np.testing.assert_allclose(np.linalg.norm(points[seen] - BONE, axis=-1), 16, atol=np.linalg.norm(SPACING) / 2)
        row, column = np.rint(camera.project(transform_points(pose, [BONE]))[0]).astype(int)[::-1]
        depth = transform_points(pose, [points[row, column], BONE])[:, 2]
        assert depth[0] - depth[1] == pytest.approx(16 * side, abs=2)


def test_lists_of_views_are_read_from_json_and_csv_alike(phantom: dict[str, Path], tmp_path: Path) -> None:
    views = [{"primary_deg": 10, "offset_x_mm": 5.5}, {"secondary_deg": -20.5, "source_to_bone_mm": 650}, {}]
    (tmp_path / "views.json").write_text(json.dumps(views))
    (tmp_path / "views.csv").write_text(
        "\ufeffprimary_deg, secondary_deg, offset_x_mm, source_to_bone_mm\n10,,5.5,\n0,-20.5,0,650\n,,,\n", encoding="utf-8"
    )
    for kind in ("json", "csv"):
        assert simulate(phantom["ct"], "-o", tmp_path / kind, "--views", tmp_path / f"views.{kind}", *SMALL_DETECTOR) == 0
    assert names(tmp_path / "json") == [f"view_000{n}.{suffix}" for n in (1, 2, 3) for suffix in ("json", "tiff")]
    for name in names(tmp_path / "json"):
        assert (tmp_path / "json" / name).read_bytes() == (tmp_path / "csv" / name).read_bytes()
    assert simulate(phantom["ct"], "-o", tmp_path / "one", "--primary", "10", "--offset", "5.5", "0", *SMALL_DETECTOR) == 0
    assert (tmp_path / "one" / "view_0001.json").read_bytes() == (tmp_path / "json" / "view_0001.json").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--sdd", "-5"], "source-to-detector distance must be positive"),
        (["--pixel-spacing", "0"], "pixel spacing must be positive"),
        (["--size", "0", "10"], "image size must be at least"),
        (["--primary", "nan"], "must be finite"),
        (["--source-to-bone", "1200"], "View 1 is impossible"),
        (["--source-to-bone", "0"], "View 1 is impossible"),
        (["--random", "2", "--primary", "10"], "Give one of these"),
        (["--random", "2", "--views", "views.json"], "Give one of these"),
        (["--random", "1", "--sdd", "500"], "View 1 is impossible"),
        (["--views", "missing.json"], "cannot be read"),
        (["--labels", "missing.nrrd"], "There is no file"),
        (["--camera", "missing.json"], "cannot be read"),
        (["--camera", "missing.json", "--sdd", "900"], "Give the geometry by"),
        (["--kv", "70"], "There is no beam of 70 kV"),
        (["--soft-tissue", "0"], "soft tissue must be positive"),
    ],
)
def test_impossible_requests_end_in_one_sentence(
    phantom: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert simulate(phantom["ct"], "-o", tmp_path / "out", *arguments) == 2
    refused(capsys, message)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("views.json", "{", "cannot be read"),
        ("views.json", "[]", "no list of views"),
        ("views.json", '{"primary_deg": 3}', "no list of views"),
        ("views.json", "[3]", "View 1 in"),
        ("views.json", '[{}, {"primary": 3}]', "View 2 in"),
        ("views.json", '[{"primary_deg": [3]}]', "is no number"),
        ("views.json", '[{"primary_deg": Infinity}]', "must be finite"),
        ("views.json", "[" * 100_000, "cannot be read"),
        ("views.csv", "primary_deg,secondary_deg\n", "no list of views"),
        ("views.csv", "primary_deg\n1,2\n", "View 1 in"),
        ("views.csv", "primary_deg\nten\n", "is no number"),
        ("views.csv", "\udcff\n", "cannot be read"),
    ],
)
def test_malformed_lists_of_views_are_refused_in_one_sentence(
    phantom: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, text: str, message: str
) -> None:
    (tmp_path / name).write_bytes(text.encode("utf-8", "surrogateescape"))
    assert simulate(phantom["ct"], "-o", tmp_path / "out", "--views", tmp_path / name) == 2
    refused(capsys, message)
    assert not (tmp_path / "out").exists()


def test_a_missing_ct_and_an_output_that_is_a_file_are_refused(
    phantom: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert simulate(tmp_path / "missing.nrrd", "-o", tmp_path / "out") == 2
    refused(capsys, "There is no file")
    assert simulate(phantom["ct"], "-o", phantom["labels"], *SMALL_DETECTOR) == 2
    refused(capsys, "cannot be made")


def refused(capsys: pytest.CaptureFixture[str], message: str) -> None:
    error = capsys.readouterr().err.strip()
    assert error.startswith("Error: ") and message in error
    assert "\n" not in error and error.endswith(".")
