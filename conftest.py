"""Fixtures shared by the tests of every room."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the real data that the repository does not carry; tests that need it are skipped where it is missing."""
    folder = Path(os.environ.get("XRAY_TEST_DATA", Path(__file__).resolve().parent.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"the folder of real test data is missing: {folder}; set XRAY_TEST_DATA to it")
    return folder


@pytest.fixture(scope="session")
def slicer_app() -> Iterator[Any]:
    """``slicer.app``: the real one where the tests run inside 3D Slicer, else that of the test host."""
    slicer = pytest.importorskip("slicer", exc_type=ImportError)
    if hasattr(slicer, "app"):
        yield slicer.app
        return
    application = pytest.importorskip("slicer_host.application", exc_type=ImportError).start()
    yield application
    application.close()


@pytest.fixture
def scene(slicer_app: Any) -> Iterator[Any]:
    """``slicer.mrmlScene``, empty; errors that VTK, an observer or a slot only print fail the test."""
    from slicer_host import strictness

    slicer_app.mrmlScene().Clear(False)
    strictness.take_errors()
    yield slicer_app.mrmlScene()
    slicer_app.processEvents()
    errors = strictness.take_errors()
    slicer_app.mrmlScene().Clear(False)
    assert not errors, "\n".join(errors)


@pytest.fixture
def load_module(scene: Any) -> Iterator[Any]:
    """``load_module("DRRSimulator")`` opens a module's panel and gives its widget; ``load_module.module(name)`` the Python module."""
    from slicer_host.module_loader import ModuleLoader

    loader = ModuleLoader()
    yield loader
    loader.unload()
