"""Fixtures shared by the tests of every room."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session", autouse=True)
def _refuse_connections() -> None:
    import connections

    connections.refuse_connections()


@pytest.fixture(autouse=True)
def _no_connections(_refuse_connections: None) -> Iterator[None]:
    """Nothing that a test runs may reach the network; the attempt fails the test even where it was caught."""
    import connections

    yield
    attempts, connections.attempts[:] = list(connections.attempts), []
    assert not attempts, f"the test tried to connect: {attempts}"


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
    host = pytest.importorskip("slicer_host.application", exc_type=ImportError)
    application = host.start()
    yield application
    host.close(application)


def is_host(application: Any) -> bool:
    """Whether an application is the test host's, not the real one."""
    return getattr(type(application), "__module__", "").startswith("slicer_host.")


@pytest.fixture
def scene(slicer_app: Any) -> Iterator[Any]:
    """``slicer.mrmlScene``, empty; errors that VTK, an observer or a slot only print fail the test, and so does work left running."""
    slicer_app.mrmlScene().Clear(False)
    if not is_host(slicer_app):
        yield slicer_app.mrmlScene()
        return
    from slicer_host import strictness

    strictness.take_errors()
    sys.excepthook = strictness.remember_exception  # again: typer, in tests of our commands, puts its own there
    yield slicer_app.mrmlScene()
    slicer_app.processEvents()
    left = strictness.background_runs_left()
    slicer_app.mrmlScene().Clear(False)
    errors = strictness.take_errors()
    assert not left, f"the test left work running: {left}"
    assert not errors, "\n".join(errors)


@pytest.fixture
def views(slicer_app: Any, scene: Any) -> Iterator[Any]:
    """``slicer.app.layoutManager()`` with the four-up layout: a main window with real slice and 3D views, without a screen."""
    if slicer_app.layoutManager() is not None:
        yield slicer_app.layoutManager()
        return
    if not is_host(slicer_app):
        pytest.skip("3D Slicer runs without a main window")
    from slicer_host import gl, main_window

    if reason := gl.why_no_views():
        pytest.skip(reason)
    yield main_window.open_main_window(slicer_app, width=800, height=600)
    main_window.close_main_window(slicer_app)


@pytest.fixture
def load_module(request: pytest.FixtureRequest, scene: Any) -> Iterator[Any]:
    """``load_module("DRRSimulator")`` opens a module's panel and gives its widget; ``load_module.module(name)`` the Python module."""
    if "views" in request.fixturenames:
        request.getfixturevalue("views")  # so that panels close before their views do
    from slicer_host.module_loader import ModuleLoader

    loader = ModuleLoader()
    yield loader
    loader.unload()


@pytest.fixture
def answer_dialog(scene: Any) -> Iterator[Any]:
    """``answer_dialog(text, answer)`` prepares the answer to one dialog that shows the text; it must come before the test ends."""
    dialogs = pytest.importorskip("slicer_host.dialogs", exc_type=ImportError)
    yield dialogs.answer
    unused = dialogs.take_unused()
    assert not unused, f"no dialog asked: {unused}"


@pytest.fixture
def kept_code() -> Iterator[None]:
    """For tests that reload a module: afterwards the other tests go on with the code that they have imported, and no other."""

    def ours() -> dict[str, Any]:
        return {name: module for name, module in sys.modules.items() if name.startswith(("DRRSimulator", "XRayRegistration"))}

    before = ours()
    yield
    for name in ours().keys() - before.keys():
        del sys.modules[name]
    sys.modules.update(before)
