"""Lists of nodes that a node refers to by a role. Slicer drops a reference when the node it leads to is removed."""

from __future__ import annotations

from collections.abc import Sequence

import slicer


def referenced(node: slicer.vtkMRMLNode, role: str) -> list[slicer.vtkMRMLNode]:
    """The nodes that a node refers to by a role, in their order."""
    return [node.GetNthNodeReference(role, number) for number in range(node.GetNumberOfNodeReferences(role))]


def refer(node: slicer.vtkMRMLNode, role: str, others: Sequence[slicer.vtkMRMLNode | None]) -> None:
    """Make a node refer to these nodes (None is left out) by a role, and to no others."""
    node.RemoveNodeReferenceIDs(role)
    for other in filter(None, others):
        node.AddNodeReferenceID(role, other.GetID())
