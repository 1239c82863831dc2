"""A stand-in of the 3D Slicer application: real MRML scenes, logics and views from slicer-core, without a screen.

It lets the extension's modules be tested where no Slicer is installed. `application.start` boots it, once per process.
"""

import sys

sys.pyside6_option_python_enum = 0x02  # type: ignore[attr-defined]  # enums are ints, as in PythonQt; PySide6 reads it when it is imported
