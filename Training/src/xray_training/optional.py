"""Packages that only some suites need: they are no part of a plain installation."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from DRRSimulatorLib.errors import InputError


def optional_package(module: str, distribution: str) -> Any:
    """Import a package of the extra "suites".

    Args:
        module: its name in Python; "itk.RTK" is a part that its module loads when asked for it.
        distribution: what it is called when installed.

    Raises:
        InputError: if it is not installed; says what to do.
    """
    name, *parts = module.split(".")
    try:
        package = import_module(name)
        for part in parts:
            getattr(package, part)
    except (ImportError, AttributeError) as error:
        raise InputError(
            f"This suite needs the package {distribution}, which is not installed; install it with the extra of this package: "
            'pip install "xray-training[suites]".'
        ) from error
    return package
