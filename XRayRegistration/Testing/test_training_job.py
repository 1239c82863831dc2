"""A training from the scene: it is stopped, goes on, and makes a model of the CT; its curves live in the scene."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from DRRSimulatorLib.bone import read_labels
from DRRSimulatorLib.ct import read_ct
from small_patient import SmallPatient
from XRayRegistrationLib.model import load_model

PATIENCE_SECONDS = 300
TINY = ("--steps=3", "--image-size=64", "--device=cpu")


@pytest.fixture
def ct_node(scene: Any, patient: SmallPatient) -> Any:
    import slicer

    matrix = slicer.util.vtkMatrixFromArray(patient.ct.ijk_to_ras)
    return slicer.util.addVolumeFromArray(patient.ct.hu.astype(np.int16), matrix, "CT")


@pytest.fixture
def bones_node(scene: Any, patient: SmallPatient, ct_node: Any) -> Any:
    """The bones of the patient as two segments."""
    from DRRSimulatorLib.bone import BoneLabels
    from DRRSimulatorSlicer.nodes import writeSegmentation

    labels = patient.bones.labels.copy()
    labels[:, :, : labels.shape[2] // 2] *= 2
    return writeSegmentation(BoneLabels(labels, patient.ct.ijk_to_ras, {1: "right hip", 2: "left hip"}), ct_node)


class Events:
    """What a job calls back."""

    def __init__(self) -> None:
        self.progress: list[Any] = []
        self.ends: list[Any] = []

    def callbacks(self, on_progress: Callable[[Any], Any] = lambda line: None) -> dict[str, Callable[..., Any]]:
        def progress(line: Any) -> None:
            self.progress.append(line)
            on_progress(line)

        return {
            "onProgress": progress,
            "onFinished": self.ends.append,
            "onFailed": lambda message: self.ends.append(f"failed: {message}"),
            "onStopped": lambda: self.ends.append("stopped"),
        }

    def wait(self, count: int = 1) -> None:
        from slicer_host.events import wait_until

        wait_until(lambda: len(self.ends) >= count, PATIENCE_SECONDS, "the end of a training")


def test_a_training_is_stopped_and_resumed_and_makes_a_model_for_the_ct_and_its_bones(
    ct_node: Any, bones_node: Any, patient: SmallPatient, tmp_path: Path
) -> None:
    from XRayRegistrationSlicer.training import TrainingJob

    events = Events()
    stop_at_first_step = lambda line: job.stop() if len(events.progress) == 1 else None  # noqa: E731
    model_path = tmp_path / "hips.safetensors"
    job = TrainingJob(ct_node, model_path, bones_node, TINY, **events.callbacks(stop_at_first_step))
    job.start()
    assert job.running
    events.wait()
    assert events.ends == ["stopped"] and not job.running and not model_path.exists()
    stopped_at = events.progress[-1].done

    job.resume()
    events.wait(2)
    assert events.ends == ["stopped", model_path] and not job.running
    assert events.progress[-1].done == events.progress[-1].total == 3 and "point error" in events.progress[-1].text
    assert all(line.done >= stopped_at for line in events.progress[1:])

    folder = tmp_path / "hips-training"
    assert read_ct(folder / "ct.nrrd").fingerprint == patient.ct.fingerprint
    assert read_labels(folder / "labels.nrrd", patient.ct).names == {1: "right hip", 2: "left hip"}
    model = load_model(model_path)
    model.description.check_ct(patient.ct)
    assert model.description.labels == {1: "right hip", 2: "left hip"} and model.description.training["steps_done"] == 3


def test_a_fingerprint_survives_values_between_whole_numbers_and_a_parent_transform(
    ct_node: Any, patient: SmallPatient, tmp_path: Path
) -> None:
    import slicer
    from DRRSimulatorSlicer.nodes import readCT
    from XRayRegistrationSlicer.training import TrainingJob

    slicer.util.updateVolumeFromArray(ct_node, patient.ct.hu + np.float32(0.3))
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(np.diag([-1.0, -1.0, 1.0, 1.0])))
    ct_node.SetAndObserveTransformNodeID(transform.GetID())
    job = TrainingJob(ct_node, tmp_path / "model.safetensors")
    job._writeInput(lambda fraction, text: None)
    assert read_ct(tmp_path / "model-training" / "ct.nrrd").fingerprint == readCT(ct_node)().fingerprint


def test_a_training_can_be_stopped_before_it_has_begun(ct_node: Any, tmp_path: Path) -> None:
    from XRayRegistrationSlicer.training import startTraining

    events = Events()
    job = startTraining(ct_node, tmp_path / "model.safetensors", **events.callbacks())
    job.stop()
    events.wait()
    assert events.ends == ["stopped"] and events.progress == []


def test_closing_the_scene_stops_a_training(ct_node: Any, scene: Any, tmp_path: Path) -> None:
    from XRayRegistrationSlicer.training import TrainingJob

    events = Events()
    close_at_first_step = lambda line: scene.Clear(False) if len(events.progress) == 1 else None  # noqa: E731
    TrainingJob(ct_node, tmp_path / "model.safetensors", None, TINY, **events.callbacks(close_at_first_step)).start()
    events.wait()
    assert events.ends == ["stopped"]


def test_what_the_command_refuses_is_told_in_its_sentence(ct_node: Any, tmp_path: Path) -> None:
    from XRayRegistrationSlicer.training import TrainingJob

    events = Events()
    TrainingJob(ct_node, tmp_path / "model.safetensors", None, ("--device=abacus",), **events.callbacks()).start()
    events.wait()
    (message,) = events.ends
    assert message.startswith("failed: ") and "abacus" in message and "Error" not in message


def test_one_model_is_trained_by_one_job_at_a_time(ct_node: Any, tmp_path: Path) -> None:
    from DRRSimulatorLib.errors import InputError
    from XRayRegistrationSlicer.training import startTraining

    events = Events()
    job = startTraining(ct_node, tmp_path / "model.safetensors", **events.callbacks())
    with pytest.raises(InputError, match="already"):
        startTraining(ct_node, tmp_path / "model.safetensors")
    job.stop()
    events.wait()


def test_a_folder_that_does_not_exist_is_refused_at_once(ct_node: Any, tmp_path: Path) -> None:
    from DRRSimulatorLib.errors import InputError
    from XRayRegistrationSlicer.training import startTraining

    with pytest.raises(InputError, match="existing folder"):
        startTraining(ct_node, tmp_path / "nowhere" / "model.safetensors")


def write_losses(path: Path, count: int) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["step", "seconds", "loss", "coordinate_loss", "mask_loss", "coordinate_error_mm"])
        writer.writerows([20 * n, n, 5 - n, 4 - n, 1, 60 / n] for n in range(1, count + 1))


def test_curves_grow_with_the_file_in_the_same_nodes_and_can_be_removed(scene: Any, tmp_path: Path) -> None:
    import slicer
    from XRayRegistrationSlicer.training_curve import TrainingCurve

    before = scene.GetNumberOfNodes()
    curve = TrainingCurve("hips")
    curve.update(tmp_path / "losses.csv")  # not there yet
    nodes = scene.GetNumberOfNodes()
    for count in (2, 5):
        write_losses(tmp_path / "losses.csv", count)
        curve = TrainingCurve("hips")  # as a training that goes on does
        curve.update(tmp_path / "losses.csv")
        shown = []
        for chart in curve.chartNodes:
            (series,) = (chart.GetNthPlotSeriesNode(number) for number in range(chart.GetNumberOfPlotSeriesNodes()))
            assert series.GetTableNode() is curve.tableNode and series.GetXColumnName() == "step"
            shown.append(slicer.util.arrayFromTableColumn(curve.tableNode, series.GetYColumnName()).tolist())
        assert shown == [[60 / n for n in range(1, count + 1)], [5 - n for n in range(1, count + 1)]]
        assert slicer.util.arrayFromTableColumn(curve.tableNode, "step").tolist() == [20 * n for n in range(1, count + 1)]
        assert scene.GetNumberOfNodes() == nodes
    assert [chart.GetYAxisTitle() for chart in curve.chartNodes] == ["error of a point, mm", "loss"]
    curve.remove()
    assert scene.GetNumberOfNodes() == before
    curve.update(tmp_path / "losses.csv")  # a training that still runs does not mind


def test_a_row_that_is_half_written_is_left_for_later(scene: Any, tmp_path: Path) -> None:
    from XRayRegistrationSlicer.training_curve import TrainingCurve

    write_losses(tmp_path / "losses.csv", 3)
    with (tmp_path / "losses.csv").open("a") as file:
        file.write("80,4,1.0")
    curve = TrainingCurve("hips")
    curve.update(tmp_path / "losses.csv")
    assert curve.tableNode.GetNumberOfRows() == 3


def test_both_curves_are_seen_in_plot_views(views: Any, tmp_path: Path) -> None:
    import slicer
    from XRayRegistrationSlicer.training_curve import TrainingCurve

    write_losses(tmp_path / "losses.csv", 30)
    curve = TrainingCurve("hips")
    curve.update(tmp_path / "losses.csv")
    curve.show()
    shown = [slicer.mrmlScene.GetSingletonNode(tag, "vtkMRMLPlotViewNode").GetPlotChartNode() for tag in ("PlotView1", "PlotView2")]
    assert shown == curve.chartNodes
