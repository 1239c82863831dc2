"""What of XRayRegistration knows 3D Slicer: the logic for the Python console, the nodes of its results, and the parts of the panel.

Only code for Slicer's scene and widgets stands here; the computing is in XRayRegistrationLib.
"""
