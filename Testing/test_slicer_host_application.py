"""The test host's application against what was seen in a real 3D Slicer 5.13 without main window."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = """
import sys
import qt, slicer
ending = sys.argv[1]
print(sys.argv[1:], slicer.app.layoutManager(), slicer.util.mainWindow(), hasattr(sys.stdout, "fileno"))
if ending == "slicer.util.exit":
    qt.QTimer.singleShot(10, lambda: slicer.util.exit(3))
elif ending == "sys.exit":
    sys.exit(4)
elif ending == "exception":
    raise ValueError("nobody catches it")
"""
ENDINGS = {  # the script's argument, whether with --testing: the exit code
    ("slicer.util.exit", False): 3,
    ("sys.exit", False): 4,
    ("exception", True): 1,
    ("exception", False): 124,  # where Slicer would never end
}


def test_the_scene_and_the_logics_of_the_modules_are_reachable(scene: Any) -> None:
    import slicer

    assert slicer.mrmlScene is slicer.app.mrmlScene()
    assert slicer.modules.volumes.logic().IsA("vtkSlicerVolumesLogic")
    assert slicer.util.getModule("Models") is slicer.modules.models
    assert slicer.util.getModuleLogic("Markups") is slicer.app.moduleLogic("Markups")
    assert slicer.moduleNames.Volumes == "Volumes"
    with pytest.raises(RuntimeError, match="Could not find module"):
        slicer.util.getModule("NoSuchModule")


def test_the_functions_of_slicer_util_are_not_in_slicer_itself(scene: Any) -> None:
    import slicer

    assert not hasattr(slicer, "getNode")
    assert callable(slicer.util.getNode)


def test_a_cleared_scene_has_no_nodes_of_the_user(scene: Any) -> None:
    import slicer

    scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
    scene.Clear(False)
    assert slicer.util.getNodesByClass("vtkMRMLStorableNode") == slicer.util.getNodesByClass("vtkMRMLColorNode")


def test_an_unknown_attribute_cannot_be_set_or_read(scene: Any) -> None:
    import slicer

    with pytest.raises(AttributeError):
        slicer.app.anAttribute = 1
    with pytest.raises(AttributeError):
        slicer.app.close()


def test_settings_are_kept_for_the_run(scene: Any) -> None:
    import slicer

    slicer.app.settings().setValue("XRayRegistration/folder", "results")
    assert slicer.util.settingsValue("XRayRegistration/folder", "") == "results"
    slicer.app.settings().remove("XRayRegistration/folder")
    assert slicer.util.settingsValue("XRayRegistration/folder", "none") == "none"


def test_messages_answer_themselves_as_with_testing(scene: Any) -> None:
    import slicer

    assert slicer.app.testingEnabled()
    slicer.util.infoDisplay("for your information")
    assert not slicer.util.confirmOkCancelDisplay("really?")


def test_an_error_is_shown_and_raised_again(scene: Any) -> None:
    import slicer

    with pytest.raises(ValueError, match="bad input"), slicer.util.tryWithErrorDisplay("Failed.", waitCursor=True):
        raise ValueError("bad input")


def test_a_temporary_folder_lies_in_the_applications_own(scene: Any) -> None:
    import slicer

    assert Path(slicer.util.tempDirectory()).parent == Path(slicer.app.temporaryPath)


def test_a_console_process_can_be_followed(scene: Any) -> None:
    import slicer

    lines: list[str] = []
    process = slicer.util.launchConsoleProcess([sys.executable, "-c", "print(6 * 7)"])
    slicer.util.logProcessOutput(process, lines.append)
    assert "".join(lines).strip() == "42"


@pytest.fixture(scope="module")
def finished(slicer_app: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, bool], Any]:
    """The runs of the script, by its argument and whether with --testing; they run side by side."""
    script = tmp_path_factory.mktemp("script") / "script.py"
    script.write_text(SCRIPT)
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    running = {}
    for ending, testing in ENDINGS:
        command = [sys.executable, "-m", "slicer_host", *["--testing"] * testing, "--python-script", str(script), "--", ending]
        running[ending, testing] = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    done = {}
    for key, process in running.items():
        output, error = process.communicate(timeout=120)
        done[key] = subprocess.CompletedProcess(process.args, process.returncode, output, error)
    return done


def test_a_script_ends_the_application_with_slicers_exit_codes(finished: Any) -> None:
    assert {key: run.returncode for key, run in finished.items()} == ENDINGS
    assert "nobody catches it" in finished["exception", True].stderr


def test_a_script_gets_its_arguments_and_finds_no_window(finished: Any) -> None:
    assert finished["sys.exit", False].stdout.strip() == "['sys.exit'] None None False"


def test_a_first_argument_that_is_a_python_file_is_run_instead_of_the_script(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text("print('the script')")
    (tmp_path / "argument.py").write_text("import sys\nprint('the argument', sys.argv[1:])")
    command = [sys.executable, "-m", "slicer_host", "--testing", "--python-script", str(tmp_path / "script.py"), "--"]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    run = subprocess.run([*command, str(tmp_path / "argument.py"), "more"], env=environment, capture_output=True, text=True)
    assert run.stdout.strip() == "the argument ['more']"
    assert "Ignore script" in run.stderr
