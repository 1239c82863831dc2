"""Runs a script as ``Slicer --no-splash --no-main-window --python-script`` does, with the same exit codes.

PYTHONPATH=Testing python -m slicer_host [--testing] [--additional-module-paths FOLDER ...] --python-script FILE [-- ARGUMENT ...]
"""

from __future__ import annotations

import argparse
import runpy
import sys
import traceback
from pathlib import Path
from typing import TextIO

from PySide6 import QtCore, QtWidgets

from slicer_host import application, module_panel

NEVER_ENDS = 124  # exit code where a real Slicer without --testing would wait forever, as of a command that `timeout` stopped


class Redirector:
    """``sys.stdout`` and ``sys.stderr`` as in Slicer: there is no file behind them, so no ``fileno()``."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        self._stream.write(text)

    def flush(self) -> None:
        self._stream.flush()

    def isatty(self) -> bool:
        return False


def run() -> int:
    """Starts the application, loads the modules and runs the script in the event loop; returns the exit code."""
    parser = argparse.ArgumentParser(prog="slicer_host")
    parser.add_argument("--testing", action="store_true")
    for option in ("--no-splash", "--no-main-window"):  # as it is in any case
        parser.add_argument(option, action="store_true")
    parser.add_argument("--additional-module-paths", nargs="+", type=Path, default=[])
    parser.add_argument("--python-script", required=True)
    parser.add_argument("arguments", nargs="*")
    options = parser.parse_args()
    if options.arguments and options.arguments[0].endswith(".py"):  # as Slicer does, which surprises
        print("Ignore script specified using '--python-script'", file=sys.stderr)
        options.python_script = options.arguments.pop(0)
    app = application.start()
    app.commandOptions().runPythonAndExit = options.testing
    module_panel.load_scripted_modules([folder / f"{folder.name}.py" for folder in options.additional_module_paths])

    def run_script() -> None:
        sys.stdout, sys.stderr = Redirector(sys.__stdout__), Redirector(sys.__stderr__)
        sys.argv = [options.python_script, *options.arguments]
        try:
            runpy.run_path(options.python_script, run_name="__main__")
        except SystemExit as exit_:
            app.exit(exit_.code if isinstance(exit_.code, int) else int(exit_.code is not None))
        except Exception:
            traceback.print_exc()
            app.exit(1 if options.testing else NEVER_ENDS)
        else:
            if app.commandOptions().runPythonAndExit:
                app.exit(0)

    QtCore.QTimer.singleShot(0, run_script)
    code = QtWidgets.QApplication.exec()
    application.close(app)
    return code


if __name__ == "__main__":
    sys.exit(run())
