"""Packages that only some commands need: they are no part of a plain installation."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from DRRSimulatorLib.errors import InputError


def optional_package(module: str, distribution: str, extra: str = "suites") -> Any:
    """Import a package of one of the extras.

    Args:
        module: its name in Python; "itk.RTK" is a part that its module loads when asked for it.
        distribution: what it is called when installed.
        extra: the extra that it belongs to.

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
            f"This needs the package {distribution}, which is not installed; install it with the extra of this package: "
            f'pip install "xray-training[{extra}]".'
        ) from error
    return package
