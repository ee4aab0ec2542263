"""Yamltext: a nested table as block YAML, for patches that people read. Names and values are quoted where YAML asks.

Only what patches are made of: tables, lists, texts, numbers, flags and null. Pure: no library here may read a file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence

__all__ = ["Tree", "yaml_text"]

Tree = Mapping[str, object]

_PLAIN = re.compile(r"[A-Za-z/][A-Za-z0-9_./-]*")  # no sign that YAML gives a meaning to
# what JSON may hold as it is, and YAML not, or as a line's end
_HIDDEN = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")
_WORDS = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"}


def yaml_text(tree: Tree) -> str:
    """The table as text that ends with a line feed."""
    return "".join(f"{line}\n" for line in _table(tree))


def _table(tree: Tree) -> Iterator[str]:
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            yield f"{_scalar(key)}:"
            yield from (f"  {line}" for line in _table(value))
        elif isinstance(value, Sequence) and not isinstance(value, str) and value:
            yield f"{_scalar(key)}:"
            yield from (f"  {line}" for line in _list(value))
        else:
            yield f"{_scalar(key)}: {_scalar(value)}"


def _list(items: Sequence[object]) -> Iterator[str]:
    for item in items:
        lines = list(_table(item)) if isinstance(item, Mapping) else [_scalar(item)]
        yield f"- {lines[0]}"
        yield from (f"  {line}" for line in lines[1:])


def _scalar(value: object) -> str:
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    return _HIDDEN.sub(_escaped, json.dumps(value, ensure_ascii=False))  # a JSON value is a YAML value


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    return "\\uFFFD" if 0xD800 <= code < 0xE000 else f"\\u{code:04X}"  # half a pair is no character
