"""Training of the scene-coordinate networks that XRayRegistrationLib runs.

From one patient's CT, random views of a C-arm are simulated with DRRSimulatorLib and made to look like real X-rays; a U-Net learns
to regress, for every pixel, where its ray enters and leaves the bone, with an uncertainty. The package also evaluates a trained
model on views it has not seen. It needs no 3D Slicer and writes model files that the Slicer modules read.
"""
