"""What all commands share: a stop or a failure ends in one sentence and exit code 1, bad input in one sentence and exit code 2."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from .errors import InputError, failure_in_words
from .progress import Cancelled

SERIES_HELP = "Series instance UID, where the DICOM folder holds several CTs; UID:2 reads the second volume of a series of several."


def run_command(*commands: Callable[..., Any]) -> None:
    """Run a function as a typer command; exit code 0 for success, 1 for a stopped or failed run, 2 for bad input.

    A full disk, a lost network share, too little memory and the like are told in a sentence; other errors, defects, with their place.

    Of several functions the command line names one first.
    """
    import typer

    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    for command in commands:
        app.command()(command)
    try:
        app()
    except Cancelled as stopped:
        typer.echo(str(stopped), err=True)
        sys.exit(1)
    except InputError as error:
        typer.echo(f"Error: {error}", err=True)
        sys.exit(2)
    except Exception as error:
        words = failure_in_words(error)
        if words is None:
            raise
        typer.echo(f"Error: {words}", err=True)
        sys.exit(1)
