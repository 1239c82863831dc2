"""Makes the pictures of the extension for its README and its page in the Extensions Manager: ``make screenshots``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from screenshots import drr_simulator, tutorial
from slicer_host import application, gl, main_window, pictures, strictness
from slicer_host.module_loader import ModuleLoader

Scene = Callable[[ModuleLoader], Iterator[tuple[str, Any]]]

REPOSITORY = Path(__file__).resolve().parents[1]
SCENES = {scene.__name__: scene for scene in (*tutorial.SCENES, *drr_simulator.SCENES)}


def main() -> int:
    """Makes the pictures named, or all; returns 1 if something went wrong on the way."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"scenes to show, all if none is named: {', '.join(SCENES)}")
    parser.add_argument("--output", type=Path, default=REPOSITORY / "Resources" / "screenshots", help="folder for the pictures")
    options = parser.parse_args()
    if unknown := set(options.names) - set(SCENES):
        parser.error(f"there is no scene {', '.join(sorted(unknown))}")
    if reason := gl.why_no_views():
        print(f"No pictures can be made here: {reason}", file=sys.stderr)
        return 1
    app = application.start()
    for name in options.names or SCENES:
        for path in make_pictures(app, SCENES[name], options.output):
            print(path)
    errors = strictness.take_errors()
    application.close(app)
    return int(bool(errors))  # VTK and Python have printed them already


def make_pictures(app: application.qSlicerApplication, scene: Scene, folder: Path) -> Iterator[Path]:
    """Makes the pictures of a scene in an application that is as new; gives the paths of the PNG files."""
    app.mrmlScene().Clear(False)
    main_window.open_main_window(app, width=1120, height=900)
    load_module = ModuleLoader()
    for name, panel in scene(load_module):
        yield pictures.grab_application(panel, folder / f"{name}.png")
    load_module.unload()
    main_window.close_main_window(app)


if __name__ == "__main__":
    sys.exit(main())
