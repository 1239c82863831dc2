"""What knows 3D Slicer: nodes, views and background work, shared by the modules DRR Simulator and X-Ray Registration."""
