"""What the panel makes: segmentations, saved X-rays, and sets on disk."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from DRRSimulatorLib.camera import Camera, CArmView, load_view, save_view
from panel_use import nodes, parameters, pixels, wait_for_work

CAMERA = Camera(980.0, (1.9, 2.1), (120, 140), (74.5, 52.0))


@pytest.fixture
def held_up(with_ct: Any, monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Finding the bone in the CT does not end before this is set."""
    go_on = threading.Event()
    prepare = with_ct.logic.prepareBones

    def slow(ct: Any) -> Any:
        compute = prepare(ct)

        def wait_and_compute(report: Any) -> Any:
            assert go_on.wait(30)
            return compute(report)

        return wait_and_compute

    monkeypatch.setattr(with_ct.logic, "prepareBones", slow)
    return go_on


def test_the_bone_is_segmented_and_chosen(with_ct: Any, held_up: threading.Event) -> None:
    from slicer_host.events import click

    click(with_ct.ui.segmentButton)
    with_ct.panel.update()
    assert with_ct.ui.cancelTaskButton.visible and with_ct.ui.taskProgressBar.visible
    assert not with_ct.ui.saveButton.enabled and with_ct.ui.saveButton.toolTip.startswith("Wait until")
    held_up.set()
    wait_for_work(with_ct)
    segmentation = parameters(with_ct).segmentation
    assert segmentation.GetSegmentation().GetNthSegment(0).GetName() == "bone"
    assert with_ct.ui.statusLabel.text == "The bone is segmented." and not with_ct.ui.cancelTaskButton.visible


def test_work_that_is_cancelled_leaves_nothing(with_ct: Any, held_up: threading.Event) -> None:
    from slicer_host.events import click

    click(with_ct.ui.segmentButton)
    with_ct.panel.update()
    click(with_ct.ui.cancelTaskButton)
    assert with_ct.ui.statusLabel.text == "Canceling..." and not with_ct.ui.cancelTaskButton.enabled
    held_up.set()
    wait_for_work(with_ct)
    assert with_ct.ui.statusLabel.text == "Canceled."
    assert parameters(with_ct).segmentation is None and nodes("vtkMRMLSegmentationNode") == []


def test_the_view_is_saved_in_full_size_as_the_logic_simulates_it(with_ct: Any) -> None:
    from DRRSimulatorSlicer.parameters import setCamera
    from slicer_host.events import choose, click

    setCamera(parameters(with_ct), CAMERA)
    with_ct.ui.primarySlider.value = -25
    choose(with_ct.ui.tubeSelector, "Tube of 90 kV, with scatter")
    click(with_ct.ui.saveButton)
    wait_for_work(with_ct)
    assert with_ct.ui.statusLabel.text == "Saved as phantom DRR RAO 25 CRAN 0."
    saved = next(node for node in nodes("vtkMRMLScalarVolumeNode") if node.GetName() == "phantom DRR RAO 25 CRAN 0")
    expected = with_ct.logic.simulate(parameters(with_ct).ct, CAMERA, CArmView(-25), noise=True, kilovolts=90)
    np.testing.assert_array_equal(pixels(saved), pixels(expected))
    assert with_ct.logic.geometry(saved) == CAMERA


def test_a_set_is_generated_with_progress(with_ct: Any, tmp_path: Path) -> None:
    from DRRSimulatorSlicer.parameters import setCamera
    from slicer_host.events import click

    setCamera(parameters(with_ct), CAMERA)
    with_ct.ui.viewCountBox.value = 3
    with_ct.ui.folderSelector.currentPath = str(tmp_path)
    with_ct.panel.update()
    click(with_ct.ui.generateButton)
    with_ct.panel.update()
    assert with_ct.ui.generateProgressBar.visible and not with_ct.ui.generateButton.enabled
    assert with_ct.ui.previewButton.enabled  # it is another process
    wait_for_work(with_ct)
    assert [load_view(tmp_path / f"view_000{n}.json")[0] for n in (1, 2, 3)] == [CAMERA] * 3
    assert not with_ct.ui.generateProgressBar.visible and with_ct.ui.generateButton.enabled
    assert "3" in with_ct.ui.statusLabel.text


def test_generating_is_cancelled(with_ct: Any, tmp_path: Path) -> None:
    from slicer_host.events import click, wait_until

    with_ct.ui.viewCountBox.value = 10000
    with_ct.ui.folderSelector.currentPath = str(tmp_path)
    with_ct.panel.update()
    click(with_ct.ui.generateButton)
    wait_until(lambda: (tmp_path / "view_0001.json").exists(), 60, "the first view is written")
    click(with_ct.ui.cancelGenerateButton)
    wait_for_work(with_ct)
    assert with_ct.ui.statusLabel.text.startswith("Stopped after") and (tmp_path / "view_0001.json").exists()


def test_images_in_the_folder_are_replaced_only_after_a_question(with_ct: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import slicer
    from slicer_host.events import click

    save_view(tmp_path / "view_0001.json", CAMERA)
    monkeypatch.setattr(slicer.util, "confirmOkCancelDisplay", lambda question: False)
    with_ct.ui.folderSelector.currentPath = str(tmp_path)
    with_ct.panel.update()
    click(with_ct.ui.generateButton)
    assert not with_ct.panel.output.generating
