"""Setting file: one key more in a file of git that makes a ConfigMap, and the text without it. Pure.

A manifest or a patch (`*.yaml`) has it under `data:`; any other file is one that a `configMapGenerator` names under
`envs:`, with `KEY=value` on each line.
"""

from __future__ import annotations

from rollproof.clients.overlay import data_value, with_data, without_data
from rollproof.errors import InputError

__all__ = ["key_value", "with_key", "without_key"]

_MANIFESTS = (".yaml", ".yml", ".json")
_MARK = "\ufeff"


def key_value(path: str, text: str, key: str) -> str | None:
    """What the file has for a key; None for nothing."""
    if path.endswith(_MANIFESTS):
        return data_value(path, text, key)
    found = [value for name, has, value in _lines(path, text) if name == key and has]
    return found[-1] if found else None


def with_key(path: str, text: str, key: str, value: str) -> str:
    """The text with a line more. InputError if none can be added, or the key is there."""
    if path.endswith(_MANIFESTS):
        return with_data(path, text, key, value)
    if key_value(path, text, key) is not None:
        raise InputError(f"{path} has the key {key} already", "take its line out")
    mark = _MARK if text.startswith(_MARK) else ""
    return f"{mark}{key}={value}\n{text.removeprefix(_MARK)}"


def without_key(path: str, text: str, key: str, value: str) -> str:
    """The text without the line that `with_key` added. InputError if it is written in another way by now."""
    if path.endswith(_MANIFESTS):
        return without_data(path, text, key, value)
    mark = _MARK if text.startswith(_MARK) else ""
    lines = text.removeprefix(_MARK).splitlines(keepends=True)
    changed = "".join(line for line in lines if line.strip() != f"{key}={value}")
    if key_value(path, text, key) != value or key_value(path, changed, key) is not None:
        raise InputError(f"{path}: the line of key {key} is not as it was written", "take it out by hand")
    return mark + changed


def _lines(path: str, text: str) -> list[tuple[str, str, str]]:
    """Each line that says something: its key, "=", its value. InputError if Kustomize could not read it either."""
    said = [line.strip() for line in text.removeprefix(_MARK).splitlines()]
    lines = [line.partition("=") for line in said if line and not line.startswith("#")]
    wrong = next((key for key, _, _ in lines if not key or " " in key or ":" in key), None)
    if wrong is not None:
        raise InputError(
            f"{path} is no file of KEY=value lines: {wrong[:80]!r}",
            "[faults.configmap] file is a manifest or a patch (*.yaml), or one under `envs:` of a configMapGenerator",
        )
    return lines
