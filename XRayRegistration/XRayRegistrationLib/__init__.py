"""From an X-ray to the pose of the CT's bone: network, pose, refinement, metrics and pictures.

World coordinates are the CT's patient space, RAS in millimetres. The package imports neither slicer nor qt, and its heavy
dependencies (torch, warp, monai, vtk, matplotlib) are imported by the functions that need them.
"""
