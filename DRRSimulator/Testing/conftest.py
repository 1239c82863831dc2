"""Fixtures of the panel of DRR Simulator."""

from __future__ import annotations

from typing import Any

import pytest
from panel_use import start_preview
from phantom import add_phantom


@pytest.fixture
def widget(load_module: Any) -> Any:
    return load_module("DRRSimulator")


@pytest.fixture
def with_ct(widget: Any) -> Any:
    """The panel with a small CT chosen."""
    from slicer_host.events import select_node

    select_node(widget.ui.ctSelector, add_phantom())
    return widget


@pytest.fixture
def live(with_ct: Any) -> Any:
    """The panel with the live preview running."""
    start_preview(with_ct)
    return with_ct
