"""From a CT to simulated X-rays (DRRs) with scene coordinates.

World coordinates are the CT's patient space, RAS in millimetres. The package imports neither slicer nor qt, and its heavy
dependencies (warp, torch) are imported by the functions that need them.
"""
