"""The modules' tests once more, inside a real 3D Slicer, where one is named by SLICER_EXECUTABLE."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
MODULES = [REPOSITORY / "DRRSimulator", REPOSITORY / "XRayRegistration"]
RUN = Path(__file__).with_name("run_in_slicer.py")
TESTS_FOLLOW = ["-rs"]  # Slicer would run the first argument instead of the script if it ended with .py; this tells what was skipped
NEEDS_SLICER = re.compile(r"def test_\w+\([^)]*\b(slicer_app|scene|views|load_module|logic)\b")


def module_tests() -> list[Path]:
    """The test files of the modules with tests that need Slicer."""
    files = [file for module in MODULES for file in sorted((module / "Testing").glob("test_*.py"))]
    return [file for file in files if NEEDS_SLICER.search(file.read_text(encoding="utf-8"))]


def test_the_modules_pass_their_tests_inside_slicer() -> None:
    executable = os.environ.get("SLICER_EXECUTABLE")
    if not executable:
        pytest.skip("set SLICER_EXECUTABLE to the path of a 3D Slicer to run the modules' tests inside it")
    environment, window = dict(os.environ), []
    if sys.platform == "linux" and "DISPLAY" not in environment:
        environment["QT_QPA_PLATFORM"] = "offscreen"
        window = ["--no-main-window"]
    options = ["--no-splash", *window, "--testing", "--additional-module-paths", *map(str, MODULES)]
    command = [executable, *options, "--python-script", str(RUN), "--", *TESTS_FOLLOW, *map(str, module_tests())]
    run = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True)
    print(run.stdout)
    assert run.returncode == 0 and " passed" in run.stdout


def test_the_script_for_slicer_ends_with_the_exit_code_of_pytest(slicer_app: object, tmp_path: Path) -> None:
    (tmp_path / "test_two.py").write_text(
        "import slicer\ndef test_good(): assert slicer.mrmlScene\ndef test_bad(): assert slicer.util.mainWindow()\n"
    )
    command = [
        sys.executable,
        "-m",
        "slicer_host",
        "--testing",
        "--python-script",
        str(RUN),
        "--",
        *TESTS_FOLLOW,
        str(tmp_path / "test_two.py"),
    ]
    run = subprocess.run(command, env=os.environ | {"PYTHONPATH": str(RUN.parent)}, capture_output=True, text=True)
    assert run.returncode == 1
    assert "1 failed, 1 passed" in run.stdout
