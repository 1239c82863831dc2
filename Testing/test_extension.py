"""What the Extensions Index and the packaging of a Slicer extension ask for, checked without building it."""

from __future__ import annotations

import json
import re
import subprocess
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MODULES = ["DRRSimulator", "XRayRegistration"]
NOT_SHIPPED = {"CMakeLists.txt"}
RAW_FILE = re.compile(r"https://raw\.githubusercontent\.com/[\w.-]+/[\w.-]+/main/(\S+)")


def tracked_below(folder: Path) -> set[str]:
    listing = subprocess.run(["git", "ls-files", "-z", "."], cwd=folder, capture_output=True, check=True, text=True).stdout
    return {name for name in listing.split("\0") if name and (folder / name).is_file()}


def cmake_variable(file: Path, name: str) -> str:
    """What stands between `set(NAME` and the closing bracket."""
    found = re.search(rf"^set\({name}\s+(.*?)\s*\)$", file.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert found, f"{file} does not set {name}"
    return found.group(1)


def cmake_list(file: Path, name: str, module: str) -> list[str]:
    return cmake_variable(file, name).replace("${MODULE_NAME}", module).split()


def shipped(module: str) -> list[str]:
    lists = ROOT / module / "CMakeLists.txt"
    return cmake_list(lists, "MODULE_PYTHON_SCRIPTS", module) + cmake_list(lists, "MODULE_PYTHON_RESOURCES", module)


@pytest.mark.parametrize("module", MODULES)
def test_every_file_of_a_module_but_its_tests_is_in_its_cmake_lists(module: str) -> None:
    files = {name for name in tracked_below(ROOT / module) if not name.startswith("Testing/")} - NOT_SHIPPED
    assert Counter(shipped(module)) == Counter(files)


@pytest.mark.parametrize("module", MODULES)
def test_scripts_are_python_and_resources_are_not(module: str) -> None:
    lists = ROOT / module / "CMakeLists.txt"
    assert {Path(name).suffix for name in cmake_list(lists, "MODULE_PYTHON_SCRIPTS", module)} == {".py"}
    assert ".py" not in {Path(name).suffix for name in cmake_list(lists, "MODULE_PYTHON_RESOURCES", module)}


def test_the_training_package_is_shipped_whole() -> None:
    lists = ROOT / "XRayRegistration" / "CMakeLists.txt"
    names = cmake_list(lists, "TRAINING_PYTHON_SCRIPTS", "") + cmake_list(lists, "TRAINING_PYTHON_RESOURCES", "")
    assert Counter(names) == Counter(tracked_below(ROOT / "Training" / "src"))


def test_modules_installed_into_one_folder_do_not_overwrite_each_other() -> None:
    """All modules of an extension share a folder, which on Windows and macOS does not tell upper from lower case."""
    names = Counter(name.lower() for module in MODULES for name in shipped(module))
    assert [name for name, count in names.items() if count > 1] == []


@pytest.mark.parametrize("module", MODULES)
def test_a_module_folder_is_no_python_package(module: str) -> None:
    """Slicer's Extension Wizard takes a folder with __init__.py for a library and shows no module in it."""
    assert not (ROOT / module / "__init__.py").exists()
    assert (ROOT / module / f"{module}.py").is_file()


@pytest.mark.parametrize("module", MODULES)
def test_only_the_module_file_lies_at_the_top_of_its_folder(module: str) -> None:
    """Slicer takes every Python file there for a module."""
    assert [file.name for file in (ROOT / module).glob("*.py")] == [f"{module}.py"]


def test_index_entry_agrees_with_cmake() -> None:
    cmake, entry_file = ROOT / "CMakeLists.txt", ROOT / "XRayRegistration.json"
    project = re.search(r"project\((\w+)", cmake.read_text(encoding="utf-8"))
    entry = json.loads(entry_file.read_text(encoding="utf-8"))
    assert project and project.group(1) == entry_file.stem
    assert b"\r" not in entry_file.read_bytes()
    assert {"$schema", "category", "scm_url"} <= set(entry)
    assert entry["category"] == "Registration"
    assert entry["scm_url"].rpartition("/")[2].startswith("Slicer")
    assert cmake_variable(cmake, "EXTENSION_DEPENDS").strip('"').split() == entry["build_dependencies"]


def test_description_links_are_single_literals_that_lead_to_pictures_of_the_repository() -> None:
    cmake = ROOT / "CMakeLists.txt"
    for name in ("EXTENSION_ICONURL", "EXTENSION_SCREENSHOTURLS"):
        literal = cmake_variable(cmake, name)
        assert re.fullmatch(r'"[^"$\n]+"', literal), literal
        for link in literal.strip('"').split():
            path = RAW_FILE.fullmatch(link)
            assert path and (ROOT / path.group(1)).is_file(), link
            assert (ROOT / path.group(1)).read_bytes().startswith(b"\x89PNG"), link


@pytest.mark.parametrize("module", MODULES)
def test_panels_bind_only_parameters_that_exist(module: str) -> None:
    panel = ElementTree.parse(ROOT / module / "Resources" / "UI" / f"{module}.ui")
    bound = {value.findtext("string") for value in panel.iter("property") if value.get("name") == "SlicerParameterName"}
    source = (ROOT / module / f"{module}.py").read_text(encoding="utf-8")
    parameters = re.search(r"@parameterNodeWrapper\s*\nclass \w+:(.*?)\n\n\n", source, re.DOTALL)
    assert bound and parameters
    assert bound <= set(re.findall(r"^    (\w+):", parameters.group(1), re.MULTILINE))


@pytest.mark.parametrize("module", MODULES)
def test_code_uses_only_widgets_of_the_panel(module: str) -> None:
    panel = ElementTree.parse(ROOT / module / "Resources" / "UI" / f"{module}.ui")
    names = {element.get("name") for kind in ("widget", "layout", "action") for element in panel.iter(kind)}
    sources = [ROOT / module / f"{module}.py", *(ROOT / module / f"{module}Slicer").glob("*.py")]
    used = {name for file in sources for name in re.findall(r"\bui\.(\w+)", file.read_text(encoding="utf-8"))}
    assert used and used - names == set()


@pytest.mark.parametrize("module", MODULES)
def test_widgets_of_a_panel_tell_what_they_are_for(module: str) -> None:
    """Every control that a user changes or presses has a tooltip."""
    controls = re.compile(
        "QPushButton|QToolButton|QCheckBox|QComboBox|Q.*SpinBox|ctk.*Slider.*|ctkPathLineEdit|qMRML.*(ComboBox|Slider.*|SpinBox)"
    )
    panel = ElementTree.parse(ROOT / module / "Resources" / "UI" / f"{module}.ui")
    silent = [
        widget.get("name")
        for widget in panel.iter("widget")
        if controls.fullmatch(widget.get("class", "")) and not any(value.get("name") == "toolTip" for value in widget.findall("property"))
    ]
    assert silent == []
