"""Benchmark data sets: simulated X-rays of many CTs with their true scene coordinates, in Zarr version 3."""

from .stored import StoredPatient, StoredView, XRayDataset

__all__ = ["StoredPatient", "StoredView", "XRayDataset"]
