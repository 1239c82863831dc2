"""Makes the pictures of the extension for its README and its page in the Extensions Manager: ``make screenshots``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from screenshots import drr_simulator, x_ray_registration
from slicer_host import application, gl, main_window, pictures, strictness
from slicer_host.module_loader import ModuleLoader

REPOSITORY = Path(__file__).resolve().parents[1]
SCENES = {scene.__name__: scene for scene in (*drr_simulator.SCENES, *x_ray_registration.SCENES)}


def main() -> int:
    """Makes the pictures named, or all; returns 1 if something went wrong on the way."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"pictures to make, all if none is named: {', '.join(SCENES)}")
    parser.add_argument("--output", type=Path, default=REPOSITORY / "Resources" / "screenshots", help="folder for the pictures")
    options = parser.parse_args()
    if unknown := set(options.names) - set(SCENES):
        parser.error(f"there is no picture {', '.join(sorted(unknown))}")
    if reason := gl.why_no_views():
        print(f"No pictures can be made here: {reason}", file=sys.stderr)
        return 1
    app = application.start()
    for name in options.names or SCENES:
        print(make_picture(app, name, options.output))
    errors = strictness.take_errors()
    application.close(app)
    return int(bool(errors))  # VTK and Python have printed them already


def make_picture(app: application.qSlicerApplication, name: str, folder: Path) -> Path:
    """Makes one picture in an application that is as new; returns the path of the PNG file."""
    app.mrmlScene().Clear(False)
    main_window.open_main_window(app, width=1120, height=900)
    load_module = ModuleLoader()
    path = pictures.grab_application(SCENES[name](load_module), folder / f"{name}.png")
    load_module.unload()
    main_window.close_main_window(app)
    return path


if __name__ == "__main__":
    sys.exit(main())
