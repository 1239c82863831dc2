"""A stand-in of the 3D Slicer application: real MRML scenes, logics and views from slicer-core, without a screen.

It lets the extension's modules be tested where no Slicer is installed. `application.start` boots it, once per process.
"""
