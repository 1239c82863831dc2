"""No dialog waits for a person, and nothing is installed: tests say what the user answers and see what was asked for."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def installs(scene: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """``slicer.packaging`` as outside testing mode; forgets afterwards what was asked for."""
    import slicer

    monkeypatch.setattr(type(slicer.app), "testingEnabled", lambda self: False)
    slicer.packaging.reset()
    yield slicer.packaging
    slicer.packaging.reset()


def test_a_message_box_gets_its_prepared_answer(answer_dialog: Any) -> None:
    import qt

    answer_dialog("overwrite", qt.QMessageBox.Yes)
    assert qt.QMessageBox.question(None, "Export", "Do you want to overwrite the folder?") == qt.QMessageBox.Yes


def test_slicers_own_questions_are_answered_the_same_way(answer_dialog: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import qt
    import slicer

    monkeypatch.setattr(type(slicer.app), "testingEnabled", lambda self: False)
    answer_dialog("Install now?", qt.QMessageBox.Cancel)
    assert not slicer.util.confirmOkCancelDisplay("Install now?")
    answer_dialog("Go on?", qt.QMessageBox.Yes)
    assert slicer.util.confirmYesNoDisplay("Go on?")


def test_a_file_dialog_gives_the_path_alone(answer_dialog: Any, tmp_path: Path) -> None:
    import qt

    answer_dialog("Open an X-ray", tmp_path / "xray.dcm")
    assert qt.QFileDialog.getOpenFileName(None, "Open an X-ray", "", "X-rays (*.dcm)") == str(tmp_path / "xray.dcm")
    answer_dialog("several", ["a.dcm", "b.dcm"])
    assert qt.QFileDialog.getOpenFileNames(None, "Open several", "") == ("a.dcm", "b.dcm")


def test_a_dialog_of_the_modules_own_is_known_by_its_labels(answer_dialog: Any) -> None:
    import qt

    dialog = qt.QDialog()
    qt.QVBoxLayout(dialog).addWidget(qt.QLabel("Which model?"))
    answer_dialog("Which model", 1)
    assert dialog.exec_() == 1


def test_no_other_program_is_started(answer_dialog: Any) -> None:
    import qt

    answer_dialog("results", True)
    assert qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile("/data/results"))


def test_a_dialog_without_an_answer_fails_the_test_with_its_text(scene: Any) -> None:
    import qt
    from slicer_host import strictness

    assert qt.QMessageBox.warning(None, "Register", "No CT is loaded.") == qt.QMessageBox.Cancel
    assert qt.QFileDialog.getSaveFileName(None, "Save the result") == ""
    first, second = strictness.take_errors()
    assert "No CT is loaded." in first
    assert "Save the result" in second


def test_an_answer_that_no_dialog_asked_for_is_told(scene: Any) -> None:
    from slicer_host import dialogs

    dialogs.answer("never asked", 1)
    assert dialogs.take_unused() == ["never asked"]
    assert dialogs.take_unused() == []


def test_requirements_are_read_and_checked_for_real(scene: Any, tmp_path: Path) -> None:
    import slicer

    (tmp_path / "requirements.txt").write_text("# what we need\n--prefer-binary\npytest>=7\nno-such-package>=1\n", encoding="utf-8")
    requirements = slicer.packaging.load_requirements(tmp_path / "requirements.txt")
    assert [requirement.name for requirement in requirements] == ["pytest", "no-such-package"]
    assert slicer.packaging.pip_check(requirements[0])
    assert not slicer.packaging.pip_check(requirements)
    assert not slicer.packaging.pip_check("pytest>=999")
    assert slicer.packaging.pip_check("no-such-package; sys_platform == 'nowhere'")


def test_in_testing_mode_nothing_is_installed(scene: Any) -> None:
    import slicer

    slicer.packaging.reset()
    assert slicer.packaging.pip_ensure("no-such-package") is None
    assert slicer.packaging.calls == []


def test_an_install_that_the_user_allows_is_noted(installs: Any, answer_dialog: Any) -> None:
    import qt

    answer_dialog("Python packages need to be installed", qt.QMessageBox.Ok)
    installs.pip_ensure(["no-such-package>=2", "pytest"], requester="XRayRegistration")
    (call,) = installs.calls
    assert call.action == "install"
    assert call.requirements == ["no-such-package>=2"]
    assert call.options["requester"] == "XRayRegistration"


def test_an_install_that_the_user_declines_raises(installs: Any, answer_dialog: Any) -> None:
    import qt

    answer_dialog("Python packages need to be installed", qt.QMessageBox.Cancel)
    with pytest.raises(RuntimeError, match="declined"):
        installs.pip_ensure("no-such-package")
    assert installs.calls == []


def test_an_install_can_fail_as_without_a_network(installs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import slicer

    monkeypatch.setattr(installs, "installs_fail", True)
    with pytest.raises(subprocess.CalledProcessError):
        slicer.util.pip_install("no-such-package another-package")
    assert installs.calls[0].requirements == ["no-such-package", "another-package"]
