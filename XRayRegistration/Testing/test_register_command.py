"""xray-register from the command line: a whole registration, and bad input of every kind."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import DRRSimulatorLib
import numpy as np
import pytest
import SimpleITK as sitk
import torch
import XRayRegistrationLib
from DRRSimulatorLib.bone import segment_bone
from DRRSimulatorLib.camera import Camera, CArmView, FloatArray, invert_pose, move_pose, save_view
from DRRSimulatorLib.ct import read_ct
from DRRSimulatorLib.projector import Projector
from pelvis_case import CAMERA as CAMERA_OF_PELVIS
from pelvis_case import PelvisCase
from small_patient import CENTRE_RAS, SmallPatient
from XRayRegistrationLib import cli
from XRayRegistrationLib.correspondences import network_image
from XRayRegistrationLib.model import Model, ModelDescription, build_network, save_model
from XRayRegistrationLib.orientation import Orientation
from XRayRegistrationLib.view import View

SAMPLE_CT = Path(DRRSimulatorLib.__file__).parent / "data" / "pelvis_ct.nii.gz"
DEFAULT_MODEL = Path(XRayRegistrationLib.__file__).parent / "data" / "pelvis.safetensors"

CAMERA = Camera(1000.0, (2.0, 2.0), (128, 128), (66.0, 61.0))
POSES = [CArmView(15, 5, 3, (5, -5), 700).ras_to_camera(CENTRE_RAS), CArmView(-60, 0, 0, (0, 5), 720).ras_to_camera(CENTRE_RAS)]


@dataclass(frozen=True)
class Inputs:
    """Files that make a good registration of one X-ray, or of two."""

    ct: Path
    model: Path
    xrays: list[Path]
    cameras: list[Path]

    def arguments(self, count: int = 1) -> list[str]:
        """Everything but --output."""
        views = [f"--xray={xray}" for xray in self.xrays[:count]] + [f"--camera={camera}" for camera in self.cameras[:count]]
        return [f"--ct={self.ct}", f"--model={self.model}", "--polarity=intensity", "--device=cpu", *views]


def memorise(model: Model, views: list[View], projector: Projector) -> None:
    """Train a network on these views alone, which takes seconds, to what a projector says of them."""
    description = model.description
    inputs = [network_image(view.image, view.camera, model) for view in views]
    images = torch.cat([image for image, _ in inputs])
    size = tuple(length // description.output_stride for length in images.shape[2:])
    hits = [
        projector.scene_coordinates(camera.resized(size), pose[None]).numpy()[0] for (_, camera), pose in zip(inputs, POSES, strict=True)
    ]
    centre = np.tile(description.centre_ras, 2)[:, None, None]
    truth = torch.from_numpy((np.stack(hits) - centre) / description.scale_mm).float().reshape(len(views), 1, 2, 3, *size)
    bone = torch.isfinite(truth[:, :, 0, 0])
    optimiser = torch.optim.Adam(model.network.parameters(), lr=2e-3)
    for _ in range(200):
        maps = model.network.scene_maps(images)
        distance = (maps.coordinates - truth.nan_to_num()).norm(dim=3)[bone[:, :, None].expand_as(maps.log_scale)]
        loss = distance.mean() + torch.nn.functional.binary_cross_entropy_with_logits(maps.mask_logits, bone.float())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    torch.nn.init.zeros_(model.network.head[-1].weight[4::4])
    torch.nn.init.constant_(model.network.head[-1].bias[4::4], -3.5)  # a scale of 2 mm for every point
    model.network.eval()


@pytest.fixture(scope="session")
def inputs(tmp_path_factory: pytest.TempPathFactory, patient: SmallPatient) -> Inputs:
    folder = tmp_path_factory.mktemp("inputs")
    patient.save_ct(folder / "ct.nrrd")
    ct = read_ct(folder / "ct.nrrd")
    bones = segment_bone(ct)
    projector = Projector.from_ct(ct, bones)
    x, y, z = CENTRE_RAS.tolist()
    torch.manual_seed(0)
    description = ModelDescription(ct.fingerprint, bones.names, (x, y, z), 60.0, Camera.centred(1000.0, 4.0, (64, 64)), (16, 32, 64))
    model = Model(build_network(description), description)
    views, xrays, cameras = [], [], []
    for number, pose in enumerate(POSES):
        views.append(patient.view(pose, CAMERA, np.eye(4)))
        xrays.append(folder / f"xray_{number}.tiff")
        cameras.append(folder / f"xray_{number}.json")
        sitk.WriteImage(sitk.GetImageFromArray(np.rint(50 * views[-1].xray.pixels).astype(np.uint16)), xrays[-1])
        save_view(cameras[-1], CAMERA, pose)
    memorise(model, views, projector)
    save_model(folder / "model.safetensors", model)
    return Inputs(folder / "ct.nrrd", folder / "model.safetensors", xrays, cameras)


@dataclass(frozen=True)
class Ended:
    """How a run of the command ended."""

    code: int
    out: str
    err: str


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path):  # type: ignore[no-untyped-def]
    """Run the command with --output; its folder is tmp_path / "result"."""

    def run_with(arguments: list[str]) -> Ended:
        monkeypatch.setattr("sys.argv", ["xray-register", *arguments, f"--output={tmp_path / 'result'}"])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        captured = capsys.readouterr()
        return Ended(int(ended.value.code or 0), captured.out, captured.err)

    return run_with


def errors(folder: Path) -> list[dict[str, float]]:
    measured: list[dict[str, float]] = json.loads((folder / "result.json").read_text(encoding="utf-8"))["errors"]
    return measured


def calibration_text(pose: FloatArray) -> str:
    """As XMALab writes a camera."""
    lines = {
        "image size": [[CAMERA.image_size[1], CAMERA.image_size[0]]],
        "camera matrix": CAMERA.matrix,
        "rotation": pose[:3, :3],
        "translation": pose[:3, 3:],
    }
    return "\n\n".join("\n".join([name, *(",".join(f"{value:.17g}" for value in row) for row in rows)]) for name, rows in lines.items())


def test_one_xray_is_registered_and_everything_written(run, inputs: Inputs, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    ended = run(inputs.arguments())
    assert ended.code == 0, ended.err
    assert {path.name for path in (tmp_path / "result").iterdir()} == {"result.json", "overlay_1.png", "point_cloud.vtp", "scene.mrb"}
    (measured,) = errors(tmp_path / "result")
    assert measured["mtre_mm"] < 5 and measured["in_plane_mm"] < 1
    angles = [float(angle) for angle in re.search(r"LAO (\S+), CRAN (\S+), rotated by (\S+) degrees", ended.out).groups()]  # type: ignore[union-attr]
    np.testing.assert_allclose(angles, (15, 5, 3), atol=2)
    depth = float(re.search(r"(\S+) mm from the source", ended.out).group(1))  # type: ignore[union-attr]
    assert depth == pytest.approx(700, abs=10)
    assert "research use only" in ended.out.lower()
    verdict = json.loads((tmp_path / "result" / "result.json").read_text(encoding="utf-8"))["verdict"]
    assert verdict["level"] == "reliable" and f"Verdict: reliable. {verdict['reason']}" in ended.out


def test_an_unusual_geometry_is_questioned(run, inputs: Inputs) -> None:  # type: ignore[no-untyped-def]
    ended = run([*inputs.arguments(0), f"--xray={inputs.xrays[0]}", "--sdd=100", "--pixel-spacing=2"])
    assert f"{inputs.xrays[0].name}: The source-to-detector distance is 100 mm" in ended.out


def test_two_xrays_fix_the_depth_that_one_leaves_uncertain(run, inputs: Inputs, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    assert run(inputs.arguments(2)).code == 0
    first, second = errors(tmp_path / "result")
    assert max(first["mtre_mm"], second["mtre_mm"]) < 2 and max(first["depth_mm"], second["depth_mm"]) < 1


def test_a_distance_that_is_not_known_is_found_and_told(run, inputs: Inputs, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    ended = run([*inputs.arguments(2), "--sdd-unknown"])
    assert ended.code == 0, ended.err
    first = json.loads((tmp_path / "result" / "result.json").read_text(encoding="utf-8"))["views"][0]
    assert first["camera"]["source_to_detector_distance"] == pytest.approx(1000, abs=10)
    assert first["source_to_detector_standard_deviation"] > 0
    assert f"distance {first['camera']['source_to_detector_distance']:.0f} mm, with a standard deviation of" in ended.out


def test_refinement_can_be_left_out(run, inputs: Inputs, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    assert run([*inputs.arguments(), "--no-refine"]).code == 0
    result = json.loads((tmp_path / "result" / "result.json").read_text(encoding="utf-8"))
    assert result["refinement"] is None and "refine" not in result["seconds"]
    assert result["ras_to_rig"] == result["before_refinement"]["ras_to_rig"]


def test_without_a_model_the_pose_is_searched_for(run, inputs: Inputs, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    ended = run([argument for argument in inputs.arguments() if not argument.startswith("--model")])
    assert ended.code == 0, ended.err
    assert "searching for the pose" in ended.out and "recognised points" not in ended.out
    assert {path.name for path in (tmp_path / "result").iterdir()} == {"result.json", "overlay_1.png", "scene.mrb"}
    (measured,) = errors(tmp_path / "result")
    assert measured["mtre_mm"] < 2
    result = json.loads((tmp_path / "result" / "result.json").read_text(encoding="utf-8"))
    assert result["before_refinement"]["origin"] == "search" and result["model"] is None


@pytest.mark.parametrize("place", ["a view's file", "an earlier result"])
def test_a_given_pose_is_refined_without_a_model(run, inputs: Inputs, tmp_path: Path, place: str) -> None:  # type: ignore[no-untyped-def]
    start, near = tmp_path / "start.json", move_pose(POSES[1], POSES[1][:3, 3], (0.02, 0.0, -0.02, 2.0, 2.0, 10.0))
    if place == "a view's file":
        save_view(start, CAMERA, near)
    else:
        start.write_text(json.dumps({"views": [{"xray": "first", "ras_to_camera": near.tolist()}]}), encoding="utf-8")
    xray, camera = inputs.xrays[1], inputs.cameras[1]
    ended = run([f"--ct={inputs.ct}", "--polarity=intensity", f"--xray={xray}", f"--camera={camera}", f"--start={start}"])
    assert ended.code == 0, ended.err
    (measured,) = errors(tmp_path / "result")
    assert measured["mtre_mm"] < 1
    result = json.loads((tmp_path / "result" / "result.json").read_text(encoding="utf-8"))
    np.testing.assert_allclose(result["before_refinement"]["ras_to_rig"], near)
    assert result["before_refinement"]["origin"] == "given"


def test_the_pose_in_a_camera_file_does_not_lead_the_registration(run, inputs: Inputs, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    poses = []
    for name, pose in (("true", POSES[0]), ("other", CArmView(-90, 30).ras_to_camera((300, 200, 100)))):
        camera = tmp_path / f"{name}.json"
        save_view(camera, CAMERA, pose)
        assert run([*inputs.arguments(0), f"--xray={inputs.xrays[0]}", f"--camera={camera}"]).code == 0
        poses.append(json.loads((tmp_path / "result" / "result.json").read_text(encoding="utf-8"))["views"][0]["ras_to_camera"])
    np.testing.assert_allclose(poses[0], poses[1], atol=1e-9)


def test_calibration_texts_place_the_result_in_the_calibrations_world(run, inputs: Inputs, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    ras_to_world = CArmView(40, -20, 10, (100, 50), 300).ras_to_camera((0, 0, 0))
    arguments = inputs.arguments(0)
    for number, (xray, pose) in enumerate(zip(inputs.xrays, POSES, strict=True)):
        calibration = tmp_path / f"{number}.txt"
        calibration.write_text(calibration_text(pose @ invert_pose(ras_to_world)), encoding="utf-8")
        arguments += [f"--xray={xray}", f"--camera={calibration}"]
    assert run(arguments).code == 0
    result = json.loads((tmp_path / "result" / "result.json").read_text(encoding="utf-8"))
    centre = np.array([*CENTRE_RAS, 1])
    np.testing.assert_allclose(np.array(result["ras_to_rig"]) @ centre, ras_to_world @ centre, atol=1.5)
    assert result["errors"] is None  # the text says nothing of the patient


def test_distance_and_spacing_replace_a_camera_file(run, inputs: Inputs, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    ended = run([*inputs.arguments(0), f"--xray={inputs.xrays[0]}", "--sdd=1000", "--pixel-spacing=2"])
    assert ended.code == 0, ended.err
    camera = json.loads((tmp_path / "result" / "result.json").read_text(encoding="utf-8"))["views"][0]["camera"]
    assert Camera.from_dict(camera) == Camera.centred(1000.0, 2.0, (128, 128))


def bad_input(name: str, inputs: Inputs, folder: Path) -> list[str]:
    """Arguments with one thing wrong."""
    good = inputs.arguments()
    ct, model, _, _, xray, camera = good
    file = folder / name.replace(" ", "_")
    pixels = sitk.ReadImage(inputs.xrays[0])

    def instead_of(right: str, path: Path) -> list[str]:
        return [f"{right.partition('=')[0]}={path}" if argument == right else argument for argument in good]

    if name.startswith("no "):
        right = {"no ct": ct, "no model": model, "no xray": xray, "no camera": camera}[name]
        return instead_of(right, file)
    if name == "empty ct":
        (ct_file := file.with_suffix(".nii.gz")).touch()
        return instead_of(ct, ct_file)
    if name == "flat ct":
        sitk.WriteImage(pixels, ct_file := file.with_suffix(".nrrd"))
        return instead_of(ct, ct_file)
    if name == "another ct":
        image = sitk.ReadImage(inputs.ct)
        image.SetOrigin([x + 5 for x in image.GetOrigin()])
        sitk.WriteImage(image, ct_file := file.with_suffix(".nrrd"))
        return instead_of(ct, ct_file)
    if name == "model of nothing":
        shutil.copy(inputs.ct, file)
        return instead_of(model, file)
    if name == "other labels":
        sitk.WriteImage(sitk.Cast(sitk.ReadImage(inputs.ct) > 500, sitk.sitkUInt8) * 2, labels := file.with_suffix(".nrrd"))
        return [*good, f"--labels={labels}"]
    if name == "xray of another size":
        sitk.WriteImage(pixels[:100], xray_file := file.with_suffix(".tiff"))
        return instead_of(xray, xray_file)
    if name == "xray with NaN":
        broken = sitk.GetArrayFromImage(pixels).astype(np.float32)
        broken[5, 7] = np.nan
        sitk.WriteImage(sitk.GetImageFromArray(broken), xray_file := file.with_suffix(".nrrd"))
        return instead_of(xray, xray_file)
    if name == "xray that is text":
        file.with_suffix(".png").write_text("no image", encoding="utf-8")
        return instead_of(xray, file.with_suffix(".png"))
    if name == "output is a file":
        (folder / "result").touch()
        return good
    without_camera = good[:-1]
    second = [f"--xray={inputs.xrays[1]}"]
    without_model = [argument for argument in good if argument != model]
    cases = {
        "model and start": [*good, f"--start={inputs.cameras[0]}"],
        "neither model nor refinement": [*without_model, "--no-refine"],
        "bones without a model": [*without_model, "--per-bone"],
        "bones without refinement": [*good, "--per-bone", "--no-refine"],
        "bones at an unknown distance": [*good, "--per-bone", "--sdd-unknown"],
        "bones of a model of one": [*good, "--per-bone"],
        "start without a pose": [*without_model, f"--start={inputs.model}"],
        "missing start": [*without_model, f"--start={file}"],
        "unknown geometry": without_camera,
        "distance without spacing": [*without_camera, "--sdd=1000"],
        "impossible distance": [*without_camera, "--sdd=nan", "--pixel-spacing=1"],
        "camera and distance": [*good, "--sdd=1000", "--pixel-spacing=1"],
        "one camera for two xrays": [*good, *second],
        "two xrays without cameras": [*without_camera, *second],
        "distance for two xrays": [*without_camera, *second, "--sdd=1000", "--pixel-spacing=1"],
        "unknown device": [*good, "--device=abacus"],
    }
    if name in cases:
        return cases[name]
    if name == "cameras without poses":
        save_view(file, CAMERA)
        return [*without_camera, *second, f"--camera={file}", f"--camera={file}"]
    assert name == "cameras of two worlds"
    file.with_suffix(".txt").write_text(calibration_text(POSES[1]), encoding="utf-8")
    return [*good, *second, f"--camera={file.with_suffix('.txt')}"]


BAD_INPUTS = {
    "no ct": "There is no file",
    "no model": "does not exist",
    "no xray": "does not exist",
    "no camera": "cannot be read",
    "empty ct": "cannot be read",
    "flat ct": "size|dimensions",
    "another ct": "another CT",
    "model of nothing": "cannot be read as safetensors",
    "other labels": "trained on the labels 1, but the bones here are 2",
    "xray of another size": "128 rows of 128",
    "xray with NaN": "NaN",
    "xray that is text": "cannot be read",
    "output is a file": "is a file",
    "unknown geometry": "--sdd and --pixel-spacing",
    "distance without spacing": "both --sdd and --pixel-spacing",
    "impossible distance": "must be positive",
    "camera and distance": "not both",
    "one camera for two xrays": "2 X-rays but 1 camera files",
    "two xrays without cameras": "--camera",
    "distance for two xrays": "--camera",
    "unknown device": "abacus",
    "model and start": "either --model or --start",
    "neither model nor refinement": "leave out --no-refine",
    "bones without a model": "leave out --per-bone",
    "bones without refinement": "leave out --per-bone",
    "bones at an unknown distance": "leave out --sdd-unknown",
    "bones of a model of one": "only one",
    "start without a pose": "holds no pose",
    "missing start": "holds no pose",
    "cameras without poses": "unknown",
    "cameras of two worlds": "one format",
}


@pytest.mark.parametrize("name", BAD_INPUTS)
def test_bad_input_ends_in_one_sentence_and_leaves_nothing(run, inputs: Inputs, tmp_path: Path, name: str) -> None:  # type: ignore[no-untyped-def]
    arguments = bad_input(name, inputs, tmp_path)
    before = {path: path.stat().st_size for path in tmp_path.rglob("*")}
    ended = run(arguments)
    assert ended.code == 2
    assert re.fullmatch(r"Error: [^\n]+\n", ended.err) and re.search(BAD_INPUTS[name], ended.err), ended.err
    assert {path: path.stat().st_size for path in tmp_path.rglob("*")} == before


@pytest.mark.parametrize("polarity", ["intensity", "attenuation"])
def test_an_image_without_bone_is_refused_by_the_default_model(run, tmp_path: Path, polarity: str) -> None:  # type: ignore[no-untyped-def]
    if not DEFAULT_MODEL.is_file():
        pytest.skip(f"the default model is missing: {DEFAULT_MODEL.name} in the library's data folder")
    noise = np.random.default_rng(0).normal(30000, 500, (512, 512)).astype(np.uint16)
    sitk.WriteImage(sitk.GetImageFromArray(noise), tmp_path / "blank.tiff")
    geometry = ["--sdd=1020", "--pixel-spacing=0.58", f"--polarity={polarity}"]
    ended = run([f"--ct={SAMPLE_CT}", f"--model={DEFAULT_MODEL}", f"--xray={tmp_path / 'blank.tiff'}", *geometry])
    assert ended.code == 2
    assert ended.err.startswith("Error: ") and ended.err.count("\n") == 1
    assert not (tmp_path / "result").exists()


def pelvis_stored(pelvis: PelvisCase, stored: Orientation, path: Path) -> list[str]:
    """Write the X-ray of the sample pelvis as it might be stored, a picture whose header does not tell how; arguments for the command."""
    turned = np.rot90(np.rint(30 * pelvis.pixels()).astype(np.uint16), -(stored.turned_deg // 90))
    sitk.WriteImage(sitk.GetImageFromArray(np.ascontiguousarray(turned[:, ::-1] if stored.mirrored else turned)), path)
    geometry = [f"--sdd={CAMERA_OF_PELVIS.source_to_detector_distance}", f"--pixel-spacing={CAMERA_OF_PELVIS.pixel_spacing[0]}"]
    return [f"--ct={SAMPLE_CT}", f"--model={DEFAULT_MODEL}", f"--xray={path}", "--polarity=intensity", "--device=cpu", *geometry]


WRONG_WAY_ROUND = {"a wrong pose": Orientation(mirrored=True), "no pose": Orientation(90)}  # what is found as the X-ray is stored


@pytest.mark.parametrize("found", WRONG_WAY_ROUND)
def test_another_way_round_is_offered_and_done_when_asked(run, pelvis: PelvisCase, tmp_path: Path, found: str) -> None:  # type: ignore[no-untyped-def]
    stored, result = WRONG_WAY_ROUND[found], tmp_path / "result" / "result.json"
    arguments = pelvis_stored(pelvis, stored, tmp_path / "xray.tiff")
    offer = f"The X-ray fits the CT if it is taken to be stored {stored.words}. That was not done; if it is so, register again with "

    def registered() -> FloatArray:
        return np.array(json.loads(result.read_text(encoding="utf-8"))["ras_to_rig"])

    ended = run(arguments)
    if found == "no pose":
        assert ended.code == 2 and ended.err.endswith(f" {offer}{stored.options}.\n")
        assert not result.exists()
    else:
        assert ended.code == 0 and f"xray.tiff: {offer}{stored.options}.\n" in ended.out
        assert "Verdict: reliable" not in ended.out
        assert pelvis.mtre(registered()) > 10  # the pose is that of the picture as it is stored

    ended = run([*arguments, *stored.options.split()])
    assert ended.code == 0 and "Verdict: reliable" in ended.out and "fits the CT if" not in ended.out, ended
    assert pelvis.mtre(registered()) < 1
