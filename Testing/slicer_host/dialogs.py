"""Dialogs that would wait for a person, and other programs: a test says beforehand what the answer is, any other fails it."""

from __future__ import annotations

from typing import Any, NamedTuple

from PySide6 import QtGui, QtWidgets

from slicer_host import strictness


class Answer(NamedTuple):
    """What is answered to the next dialog whose title or text contains `text`."""

    text: str
    value: Any


_answers: list[Answer] = []


def answer(text: str, value: Any) -> None:
    """Prepares the answer to one dialog.

    Args:
        text: A part of its title or text.
        value: A button of a message box (``qt.QMessageBox.Yes``), the result of ``exec``, a path or a list of paths, a text.
    """
    _answers.append(Answer(text, value))


def take_unused() -> list[str]:
    """Forgets the answers that no dialog asked for, and tells their texts."""
    unused = [prepared.text for prepared in _answers]
    _answers.clear()
    return unused


def install() -> None:
    """Replaces everything in Qt that opens a dialog and waits for it; as in PythonQt, a file dialog gives the path alone."""
    for owner in (QtWidgets.QDialog, QtWidgets.QMenu):
        owner.exec = owner.exec_ = _exec
    for name in ("information", "question", "warning", "critical", "about"):
        setattr(QtWidgets.QMessageBox, name, staticmethod(_message_box))
    for name in ("getOpenFileName", "getSaveFileName", "getExistingDirectory"):
        setattr(QtWidgets.QFileDialog, name, staticmethod(_choose_path))
    QtWidgets.QFileDialog.getOpenFileNames = staticmethod(_choose_paths)
    for name in ("getText", "getItem", "getMultiLineText"):
        setattr(QtWidgets.QInputDialog, name, staticmethod(_enter_text))
    for name in ("getInt", "getDouble"):
        setattr(QtWidgets.QInputDialog, name, staticmethod(_enter_number))
    QtWidgets.QColorDialog.getColor = staticmethod(_choose_color)
    QtGui.QDesktopServices.openUrl = staticmethod(_open_url)


def _ask(*texts: str, refused: Any) -> Any:
    shown = " / ".join(text for text in texts if text)
    for prepared in _answers:
        if prepared.text in shown:
            _answers.remove(prepared)
            return prepared.value
    strictness.errors.append(f"a dialog waits for an answer that the test has not prepared: {shown}")
    return refused


def _exec(self: QtWidgets.QDialog, *arguments: Any) -> Any:
    """Instead of any dialog's ``exec``: what it shows are its title, its text and its labels."""
    texts = [getattr(self, name, "") for name in ("windowTitle", "text", "informativeText")]
    labels = [label.text for label in self.findChildren(QtWidgets.QLabel)]
    return _ask(*(text for text in [*texts, *labels] if isinstance(text, str)), refused=0)


def _message_box(parent: Any, title: str, text: str = "", *arguments: Any) -> Any:
    return _ask(title, text, refused=QtWidgets.QMessageBox.StandardButton.Cancel)


def _choose_path(parent: Any = None, caption: str = "", *arguments: Any) -> str:
    return str(_ask(caption or "file dialog", refused=""))


def _choose_paths(parent: Any = None, caption: str = "", *arguments: Any) -> tuple[str, ...]:
    return tuple(str(path) for path in _ask(caption or "file dialog", refused=()))


def _enter_text(parent: Any, title: str, label: str = "", *arguments: Any) -> str:
    return _ask(title, label, refused="")


def _enter_number(parent: Any, title: str, label: str = "", value: float = 0, *arguments: Any) -> float:
    return _ask(title, label, refused=value)


def _choose_color(initial: Any = None, parent: Any = None, title: str = "", *arguments: Any) -> QtGui.QColor:
    return _ask(title or "color dialog", refused=QtGui.QColor())


def _open_url(url: Any) -> bool:
    return _ask(url.toString(), refused=False)
