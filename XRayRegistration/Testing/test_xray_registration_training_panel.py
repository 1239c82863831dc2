"""Training a model in the panel: started, followed, stopped, gone on with, and chosen when it is ready."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from DRRSimulatorLib.errors import InputError
from DRRSimulatorLib.progress import ProgressLine
from panel_user import PanelUser
from small_patient import SmallPatient


class Training:
    """Takes the place of `XRayRegistrationLogic.train`: a training that does what the test says."""

    def __init__(self) -> None:
        self.started: list[dict[str, Any]] = []
        self.stopped = 0

    def __call__(self, ct: Any, path: Path, segmentation: Any = None, **options: Any) -> Training:
        self.started.append({"ct": ct, "path": path, "segmentation": segmentation, **options})
        return self

    def __getattr__(self, name: str) -> Any:
        return self.started[-1][name]

    def stop(self) -> None:
        self.stopped += 1


@pytest.fixture
def training(user: PanelUser, monkeypatch: pytest.MonkeyPatch) -> Training:
    training = Training()
    monkeypatch.setattr(user.widget.logic, "train", training)
    return training


def open_training(user: PanelUser, path: Path) -> None:
    from slicer_host import events

    events.select_node(user.ui.ctSelector, user.load_ct())
    user.ui.trainingGroupBox.collapsed = False
    user.wait(0)
    events.type_text(user.ui.trainingPathLineEdit, str(path))
    user.wait(0.05)


def test_training_tells_what_is_missing(user: PanelUser, training: Training) -> None:
    from slicer_host import events

    user.ui.trainingGroupBox.collapsed = False
    user.wait(0.05)
    assert user.ui.trainingLabel.text == "Choose the patient's CT."
    events.select_node(user.ui.ctSelector, user.load_ct())
    user.wait(0.05)
    assert user.ui.trainingLabel.text == "Choose a file for the new model."
    assert not user.ui.trainButton.enabled


def test_a_training_is_followed_and_its_model_chosen(user: PanelUser, training: Training, tmp_path: Path) -> None:
    open_training(user, tmp_path / "mine")
    user.parameters.forceCPU = True
    user.click(user.ui.trainButton)
    assert training.path == tmp_path / "mine.safetensors"
    assert (training.ct, training.segmentation, training.steps, training.forceCPU) == (user.parameters.ct, None, None, True)
    training.onProgress(ProgressLine(250, 1000, "training, loss 3.21, point error 8.4 mm", "12:00"))
    user.wait(0.05)
    assert user.ui.trainingLabel.text == "training: 250 of 1000, loss 3.21, point error 8.4 mm, 12:00 left"
    assert user.ui.trainingProgressBar.value / user.ui.trainingProgressBar.maximum == 0.25
    training.onFinished(training.path)
    user.wait(0.05)
    assert user.ui.modelPathLineEdit.currentPath == str(tmp_path / "mine.safetensors")
    assert user.ui.modelSourceComboBox.currentText == "Model file"
    assert user.ui.trainButton.text == "Train"


def test_a_training_is_stopped_and_gone_on_with(user: PanelUser, training: Training, tmp_path: Path) -> None:
    open_training(user, tmp_path / "mine.safetensors")
    user.ui.trainingStepsSpinBox.value = 300
    user.click(user.ui.trainButton)
    assert user.ui.trainButton.text == "Stop training"
    user.click(user.ui.trainButton)
    assert training.stopped == 1
    training.onStopped()
    user.wait(0.05)
    assert user.ui.trainingLabel.text == "Stopped. Press Train to go on."
    user.click(user.ui.trainButton)
    assert [start["steps"] for start in training.started] == [300, 300]


def test_a_training_that_fails_says_why(user: PanelUser, training: Training, tmp_path: Path) -> None:
    open_training(user, tmp_path / "mine.safetensors")
    user.click(user.ui.trainButton)
    training.onFailed("The disk is full; free some space.")
    user.wait(0.05)
    assert user.ui.trainingLabel.text == "The disk is full; free some space."
    assert user.ui.trainButton.enabled


def test_a_training_that_cannot_start_says_why(user: PanelUser, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(*args: Any, **options: Any) -> None:
        raise InputError("mine.safetensors is being trained already.")

    monkeypatch.setattr(user.widget.logic, "train", refuse)
    open_training(user, tmp_path / "mine.safetensors")
    user.click(user.ui.trainButton)
    user.wait(0.05)
    assert user.ui.trainingLabel.text == "mine.safetensors is being trained already."


def test_closing_the_panel_stops_its_training(load_module: Any, user: PanelUser, training: Training, tmp_path: Path) -> None:
    open_training(user, tmp_path / "mine.safetensors")
    user.click(user.ui.trainButton)
    load_module.unload()
    assert training.stopped == 1
    training.onStopped()  # comes when the panel is gone


def test_a_model_is_trained_in_the_panel_and_fits_its_ct(user: PanelUser, patient: SmallPatient, tmp_path: Path) -> None:
    from registration_scene import add_ct
    from slicer_host import events

    events.select_node(user.ui.ctSelector, add_ct(patient.ct))
    user.ui.trainingGroupBox.collapsed = False
    user.wait(0)
    events.type_text(user.ui.trainingPathLineEdit, str(tmp_path / "small.safetensors"))
    user.ui.trainingStepsSpinBox.value = 2
    user.ui.forceCPUCheckBox.checked = True
    user.wait(0.05)
    user.click(user.ui.trainButton)
    user.wait_until(lambda: user.ui.trainButton.text == "Train", "the training ends", seconds=180)
    assert user.ui.trainingLabel.text == "The model is ready and chosen."
    user.wait_until(lambda: not user.status.startswith("Checking"), "the model is compared with the CT")
    assert user.ui.modelLabel.text.startswith("Trained for this CT")
