"""Runs tests with pytest inside 3D Slicer, as its ``--python-script`` with the test files as arguments; ends with pytest's exit code."""

from __future__ import annotations

import sys

import slicer


def run(files: list[str]) -> int:
    try:
        import pytest
    except ModuleNotFoundError:
        slicer.util.pip_install("pytest")
        import pytest

    # Slicer's sys.stdout and sys.stderr have no fileno(), which faulthandler and the capturing of file descriptors need.
    return int(pytest.main(["--capture=sys", "-p", "no:faulthandler", "-p", "no:cacheprovider", *files]))


if __name__ == "__main__":
    slicer.util.exit(run(sys.argv[1:]))
