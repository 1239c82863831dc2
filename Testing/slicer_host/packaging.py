"""The equivalent of ``slicer.packaging``; being written."""
