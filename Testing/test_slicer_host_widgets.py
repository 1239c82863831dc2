"""The stand-ins of CTK's and Slicer's widgets behave as these do, surprises included."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def selector(scene: Any) -> Any:
    """A selector of models, not yet in the scene, that offers to create and to delete them."""
    import slicer

    combo = slicer.qMRMLNodeComboBox()
    combo.nodeTypes = ["vtkMRMLModelNode"]
    return combo


def add_model(scene: Any, name: str) -> Any:
    return scene.AddNewNodeByClass("vtkMRMLModelNode", name)


def listen(selector: Any) -> list[Any]:
    """The names of the nodes that the selector announces from now on."""
    announced: list[Any] = []
    selector.connect("currentNodeChanged(vtkMRMLNode*)", lambda node: announced.append(node and node.GetName()))
    return announced


def test_a_selector_without_a_scene_is_disabled_but_remembers_what_it_is_to_select(scene: Any, selector: Any) -> None:
    add_model(scene, "first")
    second = add_model(scene, "second")
    assert not selector.enabled
    selector.setCurrentNode(second)
    assert selector.currentNode() is None
    selector.setMRMLScene(scene)
    assert selector.enabled
    assert selector.currentNode() is second


def test_a_node_that_is_there_when_the_scene_is_set_is_selected_unless_none_is_offered(scene: Any, selector: Any) -> None:
    import slicer

    model = add_model(scene, "model")
    selector.setMRMLScene(scene)
    assert selector.currentNode() is model
    with_none = slicer.qMRMLNodeComboBox()
    with_none.nodeTypes = ["vtkMRMLModelNode"]
    with_none.noneEnabled = True
    with_none.setMRMLScene(scene)
    assert with_none.currentNode() is None


def test_a_node_that_is_added_later_is_not_selected_by_itself(scene: Any, selector: Any) -> None:
    selector.setMRMLScene(scene)
    add_model(scene, "model")
    assert selector.nodeCount() == 1
    assert selector.currentNode() is None


def test_the_first_entry_of_an_empty_list_selects_itself(scene: Any, selector: Any) -> None:
    selector.addEnabled = False
    selector.removeEnabled = False
    selector.setMRMLScene(scene)
    model = add_model(scene, "model")
    add_model(scene, "another")
    assert selector.currentNode() is model


def test_every_choice_is_announced_once_with_the_node(scene: Any, selector: Any) -> None:
    selector.noneEnabled = True
    selector.setMRMLScene(scene)
    model = add_model(scene, "model")
    announced = listen(selector)
    chosen: list[bool] = []
    selector.connect("currentNodeChanged(bool)", chosen.append)
    selector.setCurrentNode(model)
    selector.setCurrentNode(model)
    selector.setCurrentNode(None)
    assert announced == ["model", None]
    assert chosen == [True, False]


def test_renaming_the_selected_node_is_announced(scene: Any, selector: Any) -> None:
    model = add_model(scene, "model")
    selector.setMRMLScene(scene)
    announced = listen(selector)
    model.SetName("renamed")
    assert announced == ["renamed"]


def test_removing_the_selected_node_selects_the_next_one(scene: Any, selector: Any) -> None:
    selector.noneEnabled = True
    first, second = add_model(scene, "first"), add_model(scene, "second")
    selector.setMRMLScene(scene)
    selector.setCurrentNode(first)
    announced = listen(selector)
    scene.RemoveNode(first)
    assert announced == ["second"]
    scene.RemoveNode(second)
    assert announced[-1] is None
    assert selector.currentNode() is None


def test_a_selector_lists_only_what_suits_its_types_and_attributes(scene: Any, selector: Any) -> None:
    scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
    hidden, plain, marked = (add_model(scene, name) for name in ("hidden", "plain", "marked"))
    hidden.SetHideFromEditors(True)
    marked.SetAttribute("role", "bone")
    selector.setMRMLScene(scene)
    assert selector.nodeCount() == 2
    selector.addAttribute("vtkMRMLModelNode", "role", "bone")
    assert selector.nodeFromIndex(0) is marked
    selector.removeAttribute("vtkMRMLModelNode", "role")
    selector.showHidden = True
    assert selector.nodeCount() == 3
    selector.setCurrentNode(plain)
    assert selector.currentNodeID == plain.GetID()


def test_a_selector_creates_and_deletes_nodes(scene: Any, selector: Any) -> None:
    from slicer_host import events

    selector.baseName = "Bone"
    selector.setMRMLScene(scene)
    added: list[Any] = []
    selector.connect("nodeAddedByUser(vtkMRMLNode*)", added.append)
    events.choose(selector, "Create new Model")
    assert [node.GetName() for node in added] == ["Bone"]
    assert selector.currentNode() is added[0]
    events.choose(selector, "Delete current Model")
    assert selector.currentNode() is None
    assert scene.GetNumberOfNodesByClass("vtkMRMLModelNode") == 0


def test_a_slider_announces_a_drag_at_once_or_without_tracking_at_its_end(scene: Any) -> None:
    import ctk
    from slicer_host import events

    slider = ctk.ctkSliderWidget()
    slider.minimum, slider.maximum, slider.singleStep = -30, 30, 0.5
    values: list[float] = []
    slider.connect("valueChanged(double)", values.append)
    events.drag_slider(slider, 12.6)
    assert len(values) > 5
    assert values == sorted(values)
    assert slider.value == values[-1] == 12.5
    slider.tracking = False
    values.clear()
    changing: list[tuple[float, float]] = []
    slider.connect("valueIsChanging(double)", lambda value: changing.append((value, slider.value)))
    events.drag_slider(slider, -10)
    assert values == [-10]
    assert len(changing) > 5
    assert {value for _, value in changing} == {12.5}


def test_a_slider_rounds_what_is_set_to_its_decimals_and_keeps_to_its_range(scene: Any) -> None:
    import ctk

    slider = ctk.ctkSliderWidget()
    slider.decimals = 1
    slider.value = 12.34
    assert slider.value == pytest.approx(12.3)
    slider.value = 1000
    assert slider.value == slider.maximum


def test_the_sliders_of_one_section_share_their_decimals(scene: Any) -> None:
    import ctk
    import qt

    section = qt.QWidget()
    angle, distance, alone = (ctk.ctkSliderWidget(section) for _ in range(3))
    alone.synchronizeSiblings = ctk.ctkSliderWidget.NoSynchronize
    angle.decimals = 1
    distance.decimals = 0
    assert (angle.decimals, distance.decimals, alone.decimals) == (0, 0, 2)


def test_a_path_is_announced_only_if_it_suits_the_name_filters(scene: Any) -> None:
    import ctk

    edit = ctk.ctkPathLineEdit()
    paths: list[str] = []
    edit.connect("currentPathChanged(QString)", paths.append)
    edit.nameFilters = ["Models (*.safetensors)"]
    edit.currentPath = "/data/model.txt"
    assert paths == []
    edit.currentPath = "/data/model.safetensors"
    edit.currentPath = ""
    assert paths == ["/data/model.safetensors"]
    edit.nameFilters = ["Volumes (*.nii.gz)"]  # CTK takes nii for the extension
    edit.currentPath = "/data/ct.nii.gz"
    assert paths == ["/data/model.safetensors"]
    assert edit.currentPath == "/data/ct.nii.gz"


def test_an_empty_path_takes_over_the_last_one_of_its_history(scene: Any) -> None:
    import ctk

    edit = ctk.ctkPathLineEdit()
    edit.settingKey = "history of a test"
    for path in ("/data/first", "/data/second"):
        edit.currentPath = path
        edit.addCurrentPathToHistory()
    another = ctk.ctkPathLineEdit()
    another.settingKey = "history of a test"
    assert another.currentPath == "/data/second"


def test_a_directory_button_asks_for_a_folder(scene: Any, tmp_path: Path, answer_dialog: Any) -> None:
    import ctk
    from slicer_host import events

    button = ctk.ctkDirectoryButton()
    button.caption = "Folder of the DRRs"
    folders: list[str] = []
    button.connect("directoryChanged(QString)", folders.append)
    answer_dialog("Folder of the DRRs", tmp_path)
    events.click(button._button)
    assert button.directory == str(tmp_path)
    button.directory = str(tmp_path)
    assert folders == [str(tmp_path)]


@pytest.mark.parametrize("class_name", ["ctkCollapsibleButton", "ctkCollapsibleGroupBox"])
def test_a_folded_section_hides_its_children_and_remembers_which_are_to_be_seen(scene: Any, class_name: str) -> None:
    import ctk
    import qt
    from slicer_host import events

    section = getattr(ctk, class_name)()
    layout = qt.QVBoxLayout(section)
    shown, hidden, later = qt.QLabel("shown"), qt.QLabel("hidden"), qt.QLabel("later")
    for label in (shown, hidden, later):
        layout.addWidget(label)
    hidden.visible = False
    section.collapsed = True
    section.show()
    events.process_events()
    assert not any(label.visible for label in (shown, hidden, later))
    hidden.visible = True
    later.visible = False
    assert not hidden.visible
    section.collapsed = False
    assert [label.visible for label in (shown, hidden, later)] == [True, True, False]


def test_a_click_on_the_header_folds_a_section(scene: Any) -> None:
    import ctk
    import qt
    from slicer_host import events

    section = ctk.ctkCollapsibleButton()
    qt.QVBoxLayout(section).addWidget(qt.QLabel("inside"))
    folded: list[bool] = []
    section.connect("contentsCollapsed(bool)", folded.append)
    events.click(section)
    assert section.collapsed
    events.click(section)
    assert folded == [True, False]


def test_a_table_view_shows_its_table_and_what_becomes_of_it(scene: Any) -> None:
    import numpy as np
    import qt
    import slicer

    table = scene.AddNewNodeByClass("vtkMRMLTableNode")
    slicer.util.updateTableFromArray(table, [np.array([1.5, 2.5])], ["mTRE"])
    view = slicer.qMRMLTableView()
    view.setMRMLTableNode(table)
    model = view.model()
    assert (model.headerData(0, qt.Qt.Horizontal), model.index(0, 0).data(), model.index(1, 0).data()) == ("A", "mTRE", "1.5")
    table.SetUseColumnTitleAsColumnHeader(True)
    assert (model.headerData(0, qt.Qt.Horizontal), model.index(0, 0).data(), model.index(1, 0).data()) == ("mTRE", "1.5", "2.5")
    table.AddEmptyRow()
    table.SetCellText(2, 0, "7")
    assert model.rowCount() == 3
    assert model.index(2, 0).data() == "7"


def test_the_list_of_segments_follows_the_segmentation(scene: Any) -> None:
    import slicer

    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    node.GetSegmentation().AddEmptySegment("left", "femur left")
    table = slicer.qMRMLSegmentsTableView()
    table.setSegmentationNode(node)
    node.GetSegmentation().AddEmptySegment("right", "femur right")
    assert table.displayedSegmentIDs() == ("left", "right")
    table.setSelectedSegmentIDs(["right"])
    assert table.selectedSegmentIDs() == ("right",)


def test_a_segment_is_chosen_in_its_segmentation(scene: Any) -> None:
    import slicer

    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    for name in ("left", "right"):
        node.GetSegmentation().AddEmptySegment(name, name)
    widget = slicer.qMRMLSegmentSelectorWidget()
    widget.setMRMLScene(scene)
    segments: list[str] = []
    widget.connect("currentSegmentChanged(QString)", segments.append)
    widget.setCurrentSegmentID("right")
    assert widget.currentNode() is node
    assert segments == ["right"]


def test_several_nodes_are_checked(scene: Any) -> None:
    import slicer

    first, second = add_model(scene, "first"), add_model(scene, "second")
    combo = slicer.qMRMLCheckableNodeComboBox()
    combo.nodeTypes = ["vtkMRMLModelNode"]
    combo.setMRMLScene(scene)
    combo.check(second)
    assert combo.checkedNodes() == (second,)
    assert combo.uncheckedNodes() == (first,)


def test_a_selector_that_is_gone_is_not_kept_alive_by_the_scene(scene: Any, selector: Any) -> None:
    import gc
    import weakref

    import slicer

    model = add_model(scene, "model")
    other = slicer.qMRMLNodeComboBox()
    other.nodeTypes = ["vtkMRMLModelNode"]
    other.setMRMLScene(scene)
    reference = weakref.ref(other)
    del other
    gc.collect()
    assert reference() is None
    model.SetName("nobody listens")
