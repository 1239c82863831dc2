"""The training loop: it learns, and a training that was stopped or killed ends exactly as one that was not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from DRRSimulatorLib.bone import BoneLabels
from DRRSimulatorLib.camera import Camera, ViewRange, sample_poses
from DRRSimulatorLib.ct import CTVolume
from DRRSimulatorLib.errors import InputError
from DRRSimulatorLib.projector import Projector
from xray_training.settings import TrainingSettings
from xray_training.train import CHECKPOINT_NAME, READ_LOSSES_EVERY, Trainer, TrainingStatus
from xray_training.training_patient import SimulatedPatient
from xray_training.views import STEPS_PER_ROUND, render

SETTINGS = TrainingSettings(
    camera=Camera.centred(1020.0, 297 / 64, (64, 64)), steps=6, batch_size=4, new_views_per_step=2, pool_size=6, checkpoint_every=2
)

NewTrainer = Callable[..., Trainer]


class KilledError(Exception):
    pass


@pytest.fixture(scope="module")
def new_trainer(phantom_ct: CTVolume, phantom_bones: BoneLabels) -> NewTrainer:
    def make(folder: Path, settings: TrainingSettings = SETTINGS, ct: CTVolume = phantom_ct) -> Trainer:
        return Trainer([SimulatedPatient(ct, phantom_bones, settings, "cpu")], settings, "cpu", folder)

    return make


@pytest.fixture(scope="module")
def finished(new_trainer: NewTrainer, tmp_path_factory: pytest.TempPathFactory) -> Trainer:
    trainer = new_trainer(tmp_path_factory.mktemp("finished"))
    assert trainer.run()
    return trainer


def assert_same_weights(one: Trainer, other: Trainer) -> None:
    for ours, theirs in ((one.network, other.network), (one.averaged, other.averaged)):
        for name, tensor in ours.state_dict().items():
            assert torch.equal(tensor, theirs.state_dict()[name]), name


def test_a_training_stopped_in_between_ends_with_the_very_same_weights(new_trainer: NewTrainer, finished: Trainer, tmp_path: Path) -> None:
    stopped = new_trainer(tmp_path)
    assert not stopped.run(cancelled=lambda: stopped.step == 3)
    resumed = new_trainer(tmp_path)
    assert resumed.step == 3
    assert resumed.run()
    assert_same_weights(resumed, finished)


def test_a_killed_training_goes_on_from_its_last_checkpoint_to_the_same_weights(
    new_trainer: NewTrainer, finished: Trainer, tmp_path: Path
) -> None:
    def kill(status: TrainingStatus) -> None:
        if status.step == 5:
            raise KilledError

    with pytest.raises(KilledError):
        new_trainer(tmp_path).run(kill)
    resumed = new_trainer(tmp_path)
    assert resumed.step == 4
    assert resumed.run()
    assert_same_weights(resumed, finished)


def test_a_finished_training_is_not_repeated(new_trainer: NewTrainer, finished: Trainer) -> None:
    again = new_trainer(finished.checkpoint.parent)
    statuses: list[TrainingStatus] = []
    assert again.run(statuses.append) and statuses == []
    assert_same_weights(again, finished)


def test_a_checkpoint_of_other_settings_or_another_ct_is_refused(new_trainer: NewTrainer, finished: Trainer, phantom_ct: CTVolume) -> None:
    folder = finished.checkpoint.parent
    with pytest.raises(InputError, match="other settings or of other CTs"):
        new_trainer(folder, replace(SETTINGS, seed=1))
    with pytest.raises(InputError, match="other settings or of other CTs"):
        new_trainer(folder, ct=CTVolume(phantom_ct.hu + np.float32(1), phantom_ct.ijk_to_ras))


def test_a_damaged_checkpoint_is_refused_with_advice(new_trainer: NewTrainer, finished: Trainer, tmp_path: Path) -> None:
    (tmp_path / CHECKPOINT_NAME).write_bytes(finished.checkpoint.read_bytes()[:1000])
    with pytest.raises(InputError, match="delete it to train from the beginning"):
        new_trainer(tmp_path)


def test_the_model_is_the_averaged_network_and_knows_what_it_was_trained_for(finished: Trainer, phantom_ct: CTVolume) -> None:
    model = finished.model({"command": "scr-train"})
    model.description.check_ct(phantom_ct)
    assert model.network is finished.averaged and not model.network.training
    assert model.description.training["steps_done"] == 6 and model.description.training["command"] == "scr-train"
    assert model.description.from_json(model.description.to_json()).ct_fingerprint == phantom_ct.fingerprint


def test_training_lowers_the_error_on_views_it_was_not_given(
    new_trainer: NewTrainer, phantom_ct: CTVolume, phantom_bones: BoneLabels, tmp_path: Path
) -> None:
    settings = replace(SETTINGS, steps=120, batch_size=8, new_views_per_step=4, pool_size=256, checkpoint_every=1000)
    trainer = new_trainer(tmp_path, settings)
    camera, points = settings.camera, trainer.patients[0].points
    poses = sample_poses(8, camera, points, ViewRange(), np.random.default_rng(7))
    unseen = render(Projector.from_ct(phantom_ct, phantom_bones), camera, trainer.description.output_stride, poses)

    def error_mm() -> float:
        """Mean error of the scene coordinates, predicted from plain line integrals."""
        image = unseen.integrals.sum(dim=1, keepdim=True) / 3
        with torch.inference_mode():
            maps = trainer.network.eval().scene_maps(image)
        centre = torch.tensor(trainer.description.centre_ras).view(1, 1, 1, 3, 1, 1)
        truth = unseen.coordinates.view(8, 1, 2, 3, 16, 16)
        return float((maps.coordinates * trainer.description.scale_mm + centre - truth).norm(dim=3).nanmean())

    untrained = error_mm()
    trainer.run()
    assert error_mm() < untrained / 2


def test_a_training_can_start_from_the_weights_of_another(
    phantom_ct: CTVolume, phantom_bones: BoneLabels, finished: Trainer, tmp_path: Path
) -> None:
    start = finished.model({})
    settings = replace(SETTINGS, seed=1, start="finished")
    trainer = Trainer([SimulatedPatient(phantom_ct, phantom_bones, settings, "cpu")], settings, "cpu", tmp_path, start)
    assert trainer.step == 0
    for name, tensor in trainer.network.state_dict().items():
        assert torch.equal(tensor, start.network.state_dict()[name]), name


def test_a_start_with_another_number_of_bones_is_refused(
    phantom_ct: CTVolume, phantom_bones: BoneLabels, finished: Trainer, tmp_path: Path
) -> None:
    two_bones = BoneLabels(phantom_bones.labels.copy(), phantom_bones.ijk_to_ras, {1: "bone", 2: "other"})
    two_bones.labels[:2] = 2
    with pytest.raises(InputError, match="another number of bones"):
        Trainer([SimulatedPatient(phantom_ct, two_bones, SETTINGS, "cpu")], SETTINGS, "cpu", tmp_path, finished.model({}))


def test_randomisation_falls_and_the_pose_loss_sets_in_as_the_training_goes_on() -> None:
    settings = replace(SETTINGS, steps=100, randomisation=0.5, final_randomisation=0.4, pose_weight=2.0)
    assert [settings.randomisation_at(step) for step in (0, 59, 70, 80, 99)] == pytest.approx([0.5, 0.5, 0.35, 0.2, 0.2])
    assert [settings.pose_weight_at(step) for step in (0, 40, 50, 60, 99)] == pytest.approx([0.0, 0.0, 1.0, 2.0, 2.0])


def test_losses_are_means_since_they_were_read_at_the_first_step_the_last_and_every_so_many(
    new_trainer: NewTrainer, tmp_path: Path
) -> None:
    steps = READ_LOSSES_EVERY + 3
    statuses: list[TrainingStatus] = []
    assert new_trainer(tmp_path, replace(SETTINGS, steps=steps)).run(statuses.append)
    assert [status.step for status in statuses] == list(range(1, steps + 1))
    read = [status.step for last, status in zip([None, *statuses], statuses, strict=False) if not last or last.losses != status.losses]
    assert read == [1, READ_LOSSES_EVERY, steps]
    assert all(np.isfinite(list(status.losses.values())).all() for status in statuses)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_on_cuda_no_step_makes_the_host_wait_but_those_that_render(phantom_ct: CTVolume, phantom_bones: BoneLabels, tmp_path: Path) -> None:
    settings = replace(SETTINGS, steps=1000, checkpoint_every=1000)
    trainer = Trainer([SimulatedPatient(phantom_ct, phantom_bones, settings, "cuda")], settings, "cuda", tmp_path)
    trainer.run(cancelled=lambda: trainer.step == 2)
    torch.cuda.set_sync_debug_mode("error")
    try:
        for trainer.step in range(2, STEPS_PER_ROUND):
            trainer._train_step()
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_a_network_over_several_patients_learns_each_in_its_own_frame(
    phantom_ct: CTVolume, phantom_bones: BoneLabels, tmp_path: Path
) -> None:
    moved = phantom_ct.ijk_to_ras.copy()
    moved[:3, 3] += (300.0, -200.0, 100.0)
    moved[:3, :3] *= 1.5
    settings = replace(SETTINGS, steps=3)
    same = [
        SimulatedPatient(CTVolume(phantom_ct.hu, matrix), BoneLabels(phantom_bones.labels, matrix, phantom_bones.names), settings, "cpu", 2)
        for matrix in (phantom_ct.ijk_to_ras, moved)
    ]
    trainer = Trainer(same, settings, "cpu", tmp_path)
    assert trainer.run()
    # Points at the same places of the same bones, once as they are and once moved and enlarged, are the same in the patients' frames.
    points = torch.tensor(same[0].points[:, :, None], dtype=torch.float32).reshape(1, -1, 1, 1)[:, :12]
    homogeneous = torch.cat([points.view(-1, 3), torch.ones(4, 1)], dim=1).double()
    change = torch.tensor(moved @ np.linalg.inv(phantom_ct.ijk_to_ras))
    there = (homogeneous @ change.T)[:, :3].float().reshape(1, 12, 1, 1)
    torch.testing.assert_close(same[0].targets(points), same[1].targets(there), rtol=0, atol=0.03)
    model = trainer.model({})
    with pytest.raises(InputError, match="for others to start from"):
        model.description.check_ct(phantom_ct)


def test_patients_take_turns_in_the_parts_of_the_batches(phantom_ct: CTVolume, phantom_bones: BoneLabels, tmp_path: Path) -> None:
    trainer = Trainer([SimulatedPatient(phantom_ct, phantom_bones, SETTINGS, "cpu", 3) for _ in range(3)], SETTINGS, "cpu", tmp_path)
    seen = []
    for trainer.step in range(3):
        seen += [trainer.patients.index(trainer._images(part)[0]) for part in trainer.parts]
    assert seen == [0, 1, 2, 0, 1, 2]


def test_patients_with_other_numbers_of_bones_are_refused(phantom_ct: CTVolume, phantom_bones: BoneLabels, tmp_path: Path) -> None:
    two_bones = BoneLabels(phantom_bones.labels.copy(), phantom_bones.ijk_to_ras, {1: "bone", 2: "other"})
    two_bones.labels[:2] = 2
    patients = [SimulatedPatient(phantom_ct, bones, SETTINGS, "cpu", 2) for bones in (phantom_bones, two_bones)]
    with pytest.raises(InputError, match="different numbers of bones"):
        Trainer(patients, SETTINGS, "cpu", tmp_path)
