"""The real wrist: train a model of a bone and register the real radiographs, with the commands that every user has.

Data: folder `wrist_biplane`, see `xray_training.wrist`.

    python Testing/real_wrist.py WRIST_BIPLANE OUTPUT [--bone ulna] [--steps N]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from xray_training.wrist import BONES

# The cameras see 0.285 rad; the training image is the middle half of that at 256 pixels for the whole, as the network does not
# depend on where in the image the bone is.
TRAINING = (
    *("--sdd", "1020", "--detector-mm", "148", "--image-size", "128"),
    *("--primary", "90", "--secondary", "20", "--roll", "20", "--in-plane", "40", "--depth", "950", "1150"),
)


def run(command: str, *arguments: object) -> None:
    """Run a command of the environment that runs this script."""
    subprocess.run([str(Path(sys.executable).parent / command), *map(str, arguments)], check=True)


def main() -> None:
    """Prepare, train, register, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--bone", choices=list(BONES), default="radius")
    parser.add_argument("--steps", type=int, default=3000)
    arguments = parser.parse_args()
    data, output = arguments.data, arguments.output
    run("scr-prepare", "wrist-real", "--data", data, "-o", output)
    ct, labels = output / f"{arguments.bone}.nrrd", output / f"{arguments.bone}_labels.nrrd"
    model = output / f"{arguments.bone}.safetensors"
    if not model.is_file():
        run("scr-train", ct, "-o", model, "--labels", labels, "--steps", arguments.steps, *TRAINING)
    suite = ("--suite", "wrist-real", "--data", data, "--model", model)
    run("scr-evaluate", *suite, "--refine", "--json", output / f"{arguments.bone}.json", "--report", output)


if __name__ == "__main__":
    main()
