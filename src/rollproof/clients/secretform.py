"""Secretform: the manifest of a Secret that is in git as a form to fill in, and its placeholders."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator

import yaml

from rollproof.core.outside import Outside
from rollproof.errors import InputError

__all__ = ["placeholders"]


def placeholders(path: str, text: str) -> dict[str, str]:
    """`Secret/key` → value, of every document of the file. InputError if it is no such manifest."""
    try:
        documents = [Outside.of(one, path, error=InputError) for one in yaml.safe_load_all(text)]
    except (yaml.YAMLError, RecursionError) as error:
        raise InputError(f"{path} is no YAML ({type(error).__name__})", "see secrets.placeholders") from None
    found: dict[str, str] = {}
    for document in documents:
        if document.text("kind") == "Secret":
            name = document.child("metadata").needed("name")
            found |= {f"{name}/{key}": value for key, value in _values(document)}
    if not found:
        raise InputError(f"{path} has no Secret with a value", "see secrets.placeholders")
    return found


def _values(document: Outside) -> Iterator[tuple[str, str]]:
    """Of `data` what its base64 stands for, if it is any: a placeholder often is none."""
    for key, value in document.child("data").value.items():
        try:
            yield str(key), base64.b64decode(str(value), validate=True).decode(errors="replace")
        except (binascii.Error, ValueError):
            yield str(key), str(value)
    for key, value in document.child("stringData").value.items():
        if isinstance(value, str | int | float):
            yield str(key), str(value)
