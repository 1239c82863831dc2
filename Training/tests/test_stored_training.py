"""Training on a data set: the same points and X-rays as those that are rendered, and the command from a folder to a model."""

from __future__ import annotations

import csv
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from DRRSimulatorLib.bone import BoneLabels
from DRRSimulatorLib.camera import Camera, CArmView
from DRRSimulatorLib.ct import CTVolume
from DRRSimulatorLib.errors import InputError
from DRRSimulatorLib.projector import Projector
from XRayRegistrationLib.model import SEVERAL_CTS, read_description

pytest.importorskip("zarr")

from stored_xrays import write_patient
from xray_training.randomise import RandomisationRanges
from xray_training.settings import TrainingSettings
from xray_training.stored_training import StoredTrainingPatient, stored_camera
from xray_training.train import Trainer
from xray_training.views import render

CAMERA = Camera.centred(1020.0, 297 / 128, (128, 128))
VIEWS = [CArmView(primary, secondary) for primary in (0.0, 20.0, -30.0, 40.0, -10.0) for secondary in (-15.0, 15.0)]
PLAIN = RandomisationRanges().at_strength(0.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, phantom_ct: CTVolume, phantom_bones: BoneLabels) -> Path:
    path = tmp_path_factory.mktemp("dataset")
    write_patient(path, "first", phantom_ct, phantom_bones, CAMERA, VIEWS)
    write_patient(path, "second", replace(phantom_ct, hu=phantom_ct.hu - 10), phantom_bones, CAMERA, VIEWS)
    return path


@pytest.fixture(scope="module")
def settings(folder: Path) -> TrainingSettings:
    return TrainingSettings(stored_camera(folder, 64), steps=6, batch_size=4, new_views_per_step=2, pool_size=6, checkpoint_every=2)


def test_points_and_poses_are_those_of_rendered_views(
    folder: Path, settings: TrainingSettings, phantom_ct: CTVolume, phantom_bones: BoneLabels
) -> None:
    patient = StoredTrainingPatient(folder, "first", settings, "cpu")
    seen = patient.images(0, 0, 0, PLAIN)
    rendered = render(Projector.from_ct(phantom_ct, phantom_bones), settings.camera, 4, seen.ras_to_camera.double().numpy())
    both = seen.coordinates.isfinite() & rendered.coordinates.isfinite()
    assert both.sum() > 0.9 * rendered.coordinates.isfinite().sum()
    distances = (seen.coordinates - rendered.coordinates).unflatten(1, (-1, 3)).norm(dim=2)[both[:, ::3]]
    assert distances.median() < 0.2 and distances.quantile(0.95) < 5.0
    # The X-rays are stored without scatter: within the exposed field they are the rendered line integrals, but for noise and collimation.
    for image, integrals, exposed in zip(seen.images, rendered.integrals.sum(dim=1, keepdim=True), seen.exposed, strict=True):
        assert np.corrcoef(image[exposed], integrals[exposed])[0, 1] > 0.95


def test_views_depend_on_the_numbers_of_part_and_visit_and_on_the_seed_alone(folder: Path, settings: TrainingSettings) -> None:
    one, other = (StoredTrainingPatient(folder, "first", settings, "cpu") for _ in range(2))
    one.images(1, 0, 5, RandomisationRanges())
    first, again = (patient.images(0, 3, 7, RandomisationRanges()) for patient in (one, other))
    for name in ("images", "exposed", "coordinates", "ras_to_camera"):
        torch.testing.assert_close(getattr(first, name), getattr(again, name), rtol=0, atol=0, equal_nan=True)
    assert not torch.equal(first.images, other.images(0, 3, 8, RandomisationRanges()).images)
    assert not torch.equal(first.ras_to_camera, other.images(1, 3, 7, RandomisationRanges()).ras_to_camera)


def test_only_views_of_the_split_for_training_are_seen(folder: Path, settings: TrainingSettings) -> None:
    patient = StoredTrainingPatient(folder, "first", replace(settings, pool_size=200), "cpu")
    splits = patient._views.index
    assert 0 < len(splits) < len(VIEWS)


def test_a_training_on_stored_x_rays_goes_on_exactly_after_a_stop(folder: Path, settings: TrainingSettings, tmp_path: Path) -> None:
    def trainer(name: str) -> Trainer:
        patients = [StoredTrainingPatient(folder, patient, settings, "cpu", 2) for patient in ("first", "second")]
        return Trainer(patients, settings, "cpu", tmp_path / name)

    whole, stopped = trainer("whole"), trainer("stopped")
    assert whole.run() and not stopped.run(cancelled=lambda: stopped.step == 3)
    resumed = trainer("stopped")
    assert resumed.run()
    for name, tensor in resumed.averaged.state_dict().items():
        assert torch.equal(tensor, whole.averaged.state_dict()[name]), name


def test_scr_train_makes_a_model_of_a_data_set(folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "several.safetensors"
    command = [sys.executable, "-m", "xray_training.cli_train", str(folder), "-o", str(output), "--steps", "20"]
    subprocess.run([*command, "--image-size", "64", "--batch-size", "4", "--device", "cpu"], check=True)
    description = read_description(output)
    assert description.ct_fingerprint == SEVERAL_CTS and description.camera == CAMERA.resized((64, 64))
    assert len(list(csv.DictReader((tmp_path / "several-training" / "losses.csv").open()))) == 1


def test_a_size_that_is_no_fraction_of_that_of_the_stored_x_rays_is_refused(folder: Path) -> None:
    with pytest.raises(InputError, match="cannot be made 96 x 96"):
        stored_camera(folder, 96)
