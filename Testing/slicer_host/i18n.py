"""The equivalent of ``slicer.i18n`` in English, the language of the source."""

from __future__ import annotations


def getContext(sourceFile: str) -> str:
    return sourceFile


def tr(text: str) -> str:
    return text


def translate(context: str, text: str) -> str:
    return text
