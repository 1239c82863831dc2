"""The real wrist: train models of radius and ulna and register the real radiographs, with the commands that every user has.

Data: folder `wrist_biplane`, see `xray_training.wrist`.

    python Testing/real_wrist.py WRIST_BIPLANE OUTPUT
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from xray_training.wrist import BONES

# 96 mm at the distance of the bone are hardly more than the bone; the network sees whole radiographs at the same scale later, as it does
# not depend on where in the image the bone is. The ulna's steps are fewer, for it starts from the radius's model.
VIEWS = ("--sdd", "1020", "--detector-mm", "96", "--secondary", "25", "--roll", "25", "--in-plane", "25", "--depth", "950", "1150")
TRAINING = {"radius": (*VIEWS, "--primary", "90", "--steps", "2000"), "ulna": (*VIEWS, "--primary", "120", "--steps", "800")}


def run(command: str, *arguments: object) -> None:
    """Run a command of the environment that runs this script."""
    subprocess.run([str(Path(sys.executable).parent / command), *map(str, arguments)], check=True)


def main() -> None:
    """Prepare, train, register, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("output", type=Path)
    arguments = parser.parse_args()
    data, output = arguments.data, arguments.output
    run("scr-prepare", "wrist-real", "--data", data, "-o", output)
    start: tuple[str, ...] = ()
    for bone in BONES:
        ct, labels, model = (output / f"{bone}{suffix}" for suffix in (".nrrd", "_labels.nrrd", ".safetensors"))
        if not model.is_file():
            run("scr-train", ct, "-o", model, "--labels", labels, *TRAINING[bone], *start)
        start = ("--start-from", str(model))
        suite = ("--suite", "wrist-real", "--data", data, "--model", model)
        run("scr-evaluate", *suite, "--refine", "--json", output / f"{bone}.json", "--report", output / bone)


if __name__ == "__main__":
    main()
