"""Generating data sets: what is in them, that it can be read without our code, and what an image depends on."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import typer

pytest.importorskip("zarr")
pytest.importorskip("distributed")

from DRRSimulatorLib.bone import BoneLabels
from DRRSimulatorLib.ct import CTVolume
from DRRSimulatorLib.errors import InputError
from DRRSimulatorLib.projector import Projector
from making_datasets import CAMERA, VIEWS, generate, settings, threads
from small_dataset import depth_of
from xray_training import cli_generate
from xray_training.dataset import XRayDataset, cluster
from xray_training.dataset.generate import Generation
from xray_training.dataset.plan import SplitRule
from xray_training.dataset.sources import CTSource, read_sources
from xray_training.dataset.stored import StoredPatient


def write_ct(path: Path, ct: CTVolume, bone_hu: float) -> Path:
    image = sitk.GetImageFromArray(np.where(ct.hu == 800, bone_hu, ct.hu).astype(np.int16))
    image.SetSpacing(ct.spacing)
    image.SetOrigin((ct.ijk_to_ras[:3, 3] * (-1, -1, 1)).tolist())
    image.SetDirection(np.diag([-1.0, -1.0, 1.0]).ravel().tolist())
    sitk.WriteImage(image, path)
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, phantom_file: Path, phantom_bones: BoneLabels) -> Path:
    """A data set of one patient with two bones, from a list."""
    folder = tmp_path_factory.mktemp("made")
    labels = phantom_bones.labels.copy()
    labels[..., labels.shape[2] // 2 :] *= 2
    image = sitk.GetImageFromArray(labels)
    image.CopyInformation(sitk.ReadImage(phantom_file))
    sitk.WriteImage(image, folder / "labels.nii.gz")
    (folder / "labels.json").write_text('{"1": "left", "2": "right"}')
    shutil.copy(phantom_file, folder / "ct.nii.gz")
    (folder / "cts.csv").write_text("ct,labels,name,source,licence\nct.nii.gz,labels.nii.gz,phantom,a phantom,CC0 | free\n")
    assert generate(folder / "set", read_sources([folder / "cts.csv"]), settings()) == []
    return folder / "set"


@pytest.fixture(scope="module")
def patient(made: Path) -> StoredPatient:
    return XRayDataset(made).patient("phantom")


def test_the_card_tells_how_to_read_the_scene_coordinates_without_our_code(made: Path, patient: StoredPatient) -> None:
    code = re.search(r"```python\n(.*?)```", (made / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert code is not None
    told = "\nassert not {'xray_training', 'DRRSimulatorLib', 'XRayRegistrationLib'} & {*__import__('sys').modules}"
    told += "\nnp.savez(__import__('sys').argv[1], image=image, row=row, column=column, points=points_ras)"
    output = made.parent / "read.npz"
    subprocess.run([sys.executable, "-c", code[1] + told, str(output)], cwd=made, check=True)
    with np.load(output) as read:
        hits = Projector.from_ct(patient.ct(), patient.bone_labels()).scene_coordinates(CAMERA, patient.ras_to_camera[:1]).numpy()[0, :3]
        expected = hits[:, read["row"], read["column"]]
        assert len(read["row"]) == np.isfinite(hits[0]).sum() > 20
        # Half a step of the depth, along a ray that may be inclined by 12 degrees at the corner of the detector.
        assert np.linalg.norm(read["points"] - expected, axis=0).max() <= 0.025 / np.cos(np.radians(12)) + 1e-3
        assert read["image"].shape == (32, 32) and 0 < read["image"].min() < read["image"].max() < 1.31


def test_depths_and_masks_of_all_bones_are_those_of_the_ray_caster(patient: StoredPatient) -> None:
    projector = Projector.from_ct(patient.ct(), patient.bone_labels())
    assert list(patient.bones.values()) == ["left", "right"]
    for number in range(0, VIEWS, 7):
        pose = patient.ras_to_camera[number]
        hits = projector.scene_coordinates(CAMERA, pose[None]).numpy()[0].reshape(2, 2, 3, 32, 32)
        stored = patient.read("depth", number) * 0.05
        for bone, surface in np.ndindex(2, 2):
            expected = np.nan_to_num(depth_of(hits[bone, surface], pose))
            np.testing.assert_allclose(stored[bone, surface], expected, atol=0.0255)
        np.testing.assert_array_equal(patient.read("mask", number), np.isfinite(hits[:, 0, 0]))


def test_the_image_shows_the_bones_dark_and_low_dose_noisy(patient: StoredPatient) -> None:
    strata = patient.values("stratum")
    for number in np.flatnonzero((patient.values("collimation") == "none") & (strata != "tools") & (strata != "truncation"))[:12]:
        view = patient.view(int(number))
        bone = view.mask.any(axis=0)
        assert np.median(view.intensity[bone]) < np.median(view.intensity[~bone])


def test_files_agree_with_their_checksums_by_sha256sum(made: Path) -> None:
    lines = (made / "checksums.txt").read_text(encoding="utf-8").splitlines()
    files = {path.relative_to(made).as_posix() for path in made.rglob("*") if path.is_file()} - {"checksums.txt"}
    assert [line[66:] for line in lines] == sorted(files)
    assert not (made / ".progress").exists()
    if shutil.which("sha256sum"):
        subprocess.run(["sha256sum", "--check", "--quiet", "--strict", "checksums.txt"], cwd=made, check=True)


def test_the_list_of_views_and_the_description_tell_what_is_in_the_arrays(made: Path, patient: StoredPatient) -> None:
    with (made / "views.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["view"]) for row in rows] == list(range(VIEWS)) and {row["patient"] for row in rows} == {"phantom"}
    for name in ("primary_deg", "photons", "bone_on_detector", "kilovolts"):
        np.testing.assert_allclose([float(row[name]) for row in rows], patient.values(name), rtol=1e-5)
    assert [row["stratum"] for row in rows] == patient.values("stratum").tolist()
    assert Counter(row["split"] for row in rows) == {"train": 32, "validation": 4, "test": 4}
    description = json.loads((made / "dataset.json").read_text(encoding="utf-8"))
    assert description["patients"][0] == {
        "name": "phantom", "source": "a phantom", "licence": "CC0 | free", "ct_fingerprint": patient.ct_fingerprint,
        "bones": {"1": "left", "2": "right"}, "views": VIEWS,
    }  # fmt: skip
    assert description["failures"] == []
    assert "| phantom | 40 | left, right | a phantom | CC0 \\| free |" in (made / "README.md").read_text(encoding="utf-8")


def test_nothing_in_the_set_names_a_file_or_folder_of_the_cts(made: Path) -> None:
    for path in made.rglob("*"):
        if path.is_file():
            assert made.parent.name.encode() not in path.read_bytes() and b"labels.nii" not in path.read_bytes()


def test_an_image_is_the_same_whatever_is_made_beside_it_in_any_order_by_any_number_of_workers(
    tmp_path: Path, phantom_file: Path, phantom_ct: CTVolume
) -> None:
    other = write_ct(tmp_path / "other.nii.gz", phantom_ct, 700.0)
    assert generate(tmp_path / "alone", [CTSource(phantom_file)], settings(9)) == []
    assert generate(tmp_path / "both", [CTSource(other), CTSource(phantom_file)], settings(35), workers=2) == []
    name = f"patient-{phantom_ct.fingerprint[:8]}"
    assert XRayDataset(tmp_path / "alone").patients == [name] and len(XRayDataset(tmp_path / "both").patients) == 2
    alone, beside = (XRayDataset(tmp_path / folder).patient(name) for folder in ("alone", "both"))
    for array in alone.arrays:
        rows = slice(9) if alone.arrays[array].shape[0] == 9 else slice(None)
        np.testing.assert_array_equal(alone.read(array), beside.read(array)[rows])
    (second,) = {*XRayDataset(tmp_path / "both").patients} - {name}
    assert not np.array_equal(beside.read("image", 0), XRayDataset(tmp_path / "both").patient(second).read("image", 0))


def test_a_split_by_patient_puts_all_views_of_a_patient_into_one(tmp_path: Path, phantom_ct: CTVolume) -> None:
    sources = [CTSource(write_ct(tmp_path / f"{hu}.nii.gz", phantom_ct, hu)) for hu in (600.0, 700.0, 900.0)]
    assert generate(tmp_path / "set", sources, settings(2, SplitRule.patient)) == []
    dataset = XRayDataset(tmp_path / "set")
    splits = [set(dataset.patient(name).values("split")) for name in dataset.patients]
    assert sorted(map(tuple, splits)) == [("test",), ("train",), ("validation",)]


def test_a_broken_ct_among_good_ones_is_named_and_the_rest_is_complete(
    tmp_path: Path, phantom_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "broken.nii.gz"
    broken.write_bytes(b"no CT")
    monkeypatch.setattr(cluster, "connected", threads)
    with pytest.raises(typer.Exit) as stop:
        cli_generate.generate([broken, phantom_file], tmp_path / "set", views=2, size=32)
    assert stop.value.exit_code == 1
    told = capsys.readouterr()
    assert "2 X-rays of 1 CTs" in told.out and str(broken) in told.err
    dataset = XRayDataset(tmp_path / "set")
    assert len(dataset.patients) == 1 and dataset.patient(dataset.patients[0]).view(1).intensity.min() > 0
    assert json.loads((tmp_path / "set" / "dataset.json").read_text())["failures"] == [{"ct": 1, "patient": "", "views": [0, 1]}]
    assert "Incomplete" in (tmp_path / "set" / "README.md").read_text()
    shutil.copy(phantom_file, broken)  # mended, but it is the same patient
    with pytest.raises(typer.Exit):
        cli_generate.generate([broken, phantom_file], tmp_path / "set", views=2, size=32)
    assert "the same CT is given twice" in capsys.readouterr().err


def test_the_same_command_on_a_complete_set_does_nothing_and_another_is_refused(made: Path) -> None:
    sources = read_sources([made.parent / "cts.csv"])
    before = {path: path.stat().st_mtime_ns for path in made.rglob("*")}
    assert Generation(made, sources, settings()).records.finished
    for other in (settings(VIEWS + 1), settings(seed=1), settings(split=SplitRule.patient)):
        with pytest.raises(InputError, match="of other settings"):
            Generation(made, sources, other)
    with pytest.raises(InputError, match=r"other settings \(CTs\)"):
        Generation(made, [*sources, CTSource(Path("more.nii.gz"))], settings())
    assert before == {path: path.stat().st_mtime_ns for path in made.rglob("*")}


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="holds other files"):
        Generation(tmp_path, [CTSource(Path("ct.nii.gz"))], settings())
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
