"""Pictures of the module X-ray Registration."""

from __future__ import annotations

from typing import Any


def x_ray_registration(load_module: Any) -> Any:
    """The panel as it opens."""
    return load_module("XRayRegistration").parent


SCENES = (x_ray_registration,)
