"""The equivalent of Slicer's parameter node wrapper keeps flat parameters and shows them in a panel."""

# no "from __future__ import annotations": parameterNodeWrapper must see the types, which here are local names

import enum
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any, Optional

import pytest


class Polarity(enum.Enum):
    INTENSITY = "bone dark"
    ATTENUATION = "bone bright"

    def label(self) -> str:
        return self.value


@pytest.fixture
def wrapper_class(scene: Any) -> type:
    import slicer
    from slicer.parameterNodeWrapper import Choice, Decimals, Default, Minimum, WithinRange, parameterNodeWrapper

    class Parameters:
        ct: slicer.vtkMRMLScalarVolumeNode
        xray: Optional[slicer.vtkMRMLScalarVolumeNode | slicer.vtkMRMLVectorVolumeNode]  # noqa: UP045 - as modules write it
        angle: Annotated[float, WithinRange(-180, 180), Decimals(1)] = 90.0
        count: Annotated[int, Minimum(1), Default(100)]
        quality: Annotated[str, Choice(["fast", "fine"]), Default("fine")]
        polarity: Polarity
        refine: bool = True
        name: str
        folder: Path

    return parameterNodeWrapper(Parameters)


@pytest.fixture
def node(scene: Any) -> Any:
    return scene.AddNewNodeByClass("vtkMRMLScriptedModuleNode")


@pytest.fixture
def parameters(wrapper_class: type, node: Any) -> Any:
    return wrapper_class(node)


def panel(**widgets: Any) -> SimpleNamespace:
    """Widgets as ``childWidgetVariables`` gives them, each for the parameter of its name."""
    for name, widget in widgets.items():
        widget.setProperty("SlicerParameterName", name)
    return SimpleNamespace(**widgets)


def test_parameters_start_with_their_defaults(parameters: Any) -> None:
    assert parameters.ct is None
    assert parameters.angle == 90.0
    assert parameters.count == 100
    assert parameters.quality == "fine"
    assert parameters.polarity is Polarity.INTENSITY
    assert parameters.refine is True
    assert parameters.name == ""
    assert parameters.folder == Path()


def test_parameters_are_kept_in_the_node(wrapper_class: type, parameters: Any, node: Any, scene: Any) -> None:
    ct = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "CT")
    parameters.ct = ct
    parameters.angle = -12.5
    parameters.count = 7
    parameters.polarity = Polarity.ATTENUATION
    parameters.refine = False
    parameters.folder = Path("/data/drr")
    again = wrapper_class(node)
    assert again.ct is ct
    assert (again.angle, again.count, again.polarity, again.refine) == (-12.5, 7, Polarity.ATTENUATION, False)
    assert again.folder == Path("/data/drr")
    assert node.GetParameter("polarity") == "ATTENUATION"
    assert node.GetNodeReference("ct") is ct


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("angle", 200.0, ValueError),
        ("angle", "90", TypeError),
        ("angle", None, ValueError),
        ("count", 0, ValueError),
        ("count", 1.5, TypeError),
        ("quality", "best", ValueError),
        ("folder", "/data", TypeError),
        ("polarity", "INTENSITY", TypeError),
    ],
)
def test_a_value_of_another_type_or_out_of_range_is_refused(parameters: Any, name: str, value: Any, error: type[Exception]) -> None:
    before = parameters.getValue(name)
    with pytest.raises(error):
        setattr(parameters, name, value)
    assert parameters.getValue(name) == before


def test_a_node_of_another_class_is_refused(parameters: Any, scene: Any) -> None:
    with pytest.raises(TypeError):
        parameters.ct = scene.AddNewNodeByClass("vtkMRMLModelNode")


def test_an_unknown_parameter_is_named(parameters: Any) -> None:
    with pytest.raises(ValueError, match="Cannot find a param with the given name: sdd"):
        parameters.getValue("sdd")


def test_a_type_that_cannot_be_kept_is_refused_with_the_class(scene: Any) -> None:
    from slicer.parameterNodeWrapper import parameterNodeWrapper

    class Parameters:
        callback: set

    with pytest.raises(Exception, match="member callback"):
        parameterNodeWrapper(Parameters)


def test_a_default_that_the_range_excludes_is_refused_when_the_node_is_made(node: Any) -> None:
    from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper

    class Parameters:
        distance: Annotated[float, WithinRange(500, 2000)]

    with pytest.raises(ValueError, match="within range"):
        parameterNodeWrapper(Parameters)(node)


def test_a_reserved_name_is_refused(scene: Any) -> None:
    from slicer.parameterNodeWrapper import parameterNodeWrapper

    class Parameters:
        default: int

    with pytest.raises(ValueError, match="reserved name 'default'"):
        parameterNodeWrapper(Parameters)


def test_a_class_keeps_its_own_methods(node: Any) -> None:
    from slicer.parameterNodeWrapper import isParameterNodeWrapper, parameterNodeWrapper

    @parameterNodeWrapper
    class Parameters:
        count: int = 3

        def doubled(self) -> int:
            return 2 * self.count

    assert Parameters(node).doubled() == 6
    assert isParameterNodeWrapper(Parameters)


def test_widgets_and_parameters_follow_each_other(parameters: Any, scene: Any) -> None:
    import ctk
    import qt
    import slicer

    ct = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "CT")
    ui = panel(
        ct=slicer.qMRMLNodeComboBox(),
        angle=ctk.ctkSliderWidget(),
        count=qt.QSpinBox(),
        quality=qt.QComboBox(),
        polarity=qt.QComboBox(),
        refine=qt.QCheckBox(),
        name=qt.QLineEdit(),
        folder=ctk.ctkDirectoryButton(),
    )
    ui.ct.noneEnabled = True
    ui.ct.setMRMLScene(scene)
    parameters.connectGui(ui)
    assert ui.ct.nodeTypes == ("vtkMRMLScalarVolumeNode",)
    assert (ui.angle.minimum, ui.angle.maximum, ui.angle.decimals, ui.angle.value) == (-180, 180, 1, 90)
    assert (ui.count.minimum, ui.count.value) == (1, 100)
    assert [ui.polarity.itemText(row) for row in range(ui.polarity.count)] == ["bone dark", "bone bright"]
    ui.ct.setCurrentNode(ct)
    ui.angle.value = 45
    ui.quality.currentIndex = 0
    ui.polarity.currentIndex = 1
    ui.refine.checked = False
    ui.name.text = "hip"
    ui.folder.directory = "/data"
    assert parameters.ct is ct
    assert (parameters.angle, parameters.quality, parameters.polarity) == (45, "fast", Polarity.ATTENUATION)
    assert (parameters.refine, parameters.name, parameters.folder) == (False, "hip", Path("/data"))
    parameters.angle = -30
    parameters.refine = True
    parameters.ct = None
    assert (ui.angle.value, ui.refine.checked, ui.ct.currentNode()) == (-30, True, None)


def test_a_panel_that_is_disconnected_follows_no_more(parameters: Any) -> None:
    import qt

    ui = panel(name=qt.QLineEdit(), refine=qt.QCheckBox())
    tag = parameters.connectGui(ui)
    parameters.disconnectGui(tag)
    parameters.name = "changed"
    ui.refine.checked = False
    assert ui.name.text == ""
    assert parameters.refine is True


def test_a_whole_widget_is_connected_by_the_names_of_its_children(parameters: Any) -> None:
    import qt

    widget = qt.QWidget()
    line = qt.QLineEdit(widget)
    line.setProperty("SlicerParameterName", "name")
    parameters.connectGui(widget)
    line.text = "typed"
    assert parameters.name == "typed"


def test_a_slider_for_a_number_without_bounds_is_refused(node: Any) -> None:
    import ctk
    from slicer.parameterNodeWrapper import parameterNodeWrapper

    @parameterNodeWrapper
    class Parameters:
        distance: float

    with pytest.raises(RuntimeError, match="unbounded"):
        Parameters(node).connectGui(panel(distance=ctk.ctkSliderWidget()))


def test_a_list_for_a_text_without_choices_is_refused(parameters: Any) -> None:
    import qt

    with pytest.raises(RuntimeError, match="Choice"):
        parameters.connectGui(panel(name=qt.QComboBox()))


@pytest.mark.parametrize(("parameter", "widget"), [("folder", "QLineEdit"), ("angle", "QSpinBox"), ("refine", "QLineEdit")])
def test_a_widget_that_cannot_show_the_type_is_refused(parameters: Any, parameter: str, widget: str) -> None:
    import qt

    with pytest.raises(RuntimeError, match="Unable to create GUI connector"):
        parameters.connectGui(panel(**{parameter: getattr(qt, widget)()}))


def test_all_changes_within_one_block_are_announced_once(parameters: Any, node: Any) -> None:
    import slicer

    changes: list[float] = []
    parameters.AddObserver("ModifiedEvent", lambda *_: changes.append(parameters.angle))
    with slicer.util.NodeModify(parameters):
        parameters.angle = 10
        parameters.count = 5
    assert changes == [10]


def test_flat_parameters_are_cached_and_know_their_default_and_type(parameters: Any) -> None:
    assert parameters.isCached("angle")
    assert parameters.default("count").value == 100
    assert parameters.dataType("refine") is bool
