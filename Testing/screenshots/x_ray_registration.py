"""Pictures of the module X-ray Registration."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def x_ray_registration(load_module: Any) -> Iterator[tuple[str, Any]]:
    """The panel as it opens."""
    yield "registration", load_module("XRayRegistration").parent


SCENES = (x_ray_registration,)
