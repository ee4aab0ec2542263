"""Typedviews: a view (a frozen dataclass of what was seen) to the data of a fact, and back, each field by its type.

Absent, null and empty are one thing: the field's default. A field without a default is refused where it is not there,
unless it is a list or a table, which may be empty.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import MISSING, asdict, fields
from functools import cache
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from rollproof.core.outside import Outside

__all__ = ["read_view", "stored"]

T = TypeVar("T")


def stored(view: Any) -> dict[str, Any]:
    """A view as the data of its fact."""
    return asdict(view)


def read_view(cls: type[T], data: Outside) -> T:
    """The view in a fact's data; the error of `data` for the first field that is of another type, or missing."""
    made = {}
    for name, hint, has_default in _fields(cls):  # type: ignore[arg-type]  # a class can be hashed
        if data.value.get(name) is not None or get_origin(hint) in (dict, tuple):
            made[name] = _field(data, name, hint)
        elif not has_default:
            data.refuse(name, "there")
    return cls(**made)


@cache
def _fields(cls: Any) -> tuple[tuple[str, Any, bool], ...]:
    hints = get_type_hints(cls, vars(sys.modules[cls.__module__]))
    return tuple((one.name, hints[one.name], one.default is not MISSING) for one in fields(cls))


def _field(data: Outside, name: str, hint: Any) -> Any:
    wanted = get_args(hint)[0] if isinstance(hint, UnionType) else hint  # of `float | None`: float
    if wanted in _READERS:
        return _READERS[wanted](data, name)
    if get_origin(wanted) is tuple:
        return tuple(read_view(get_args(wanted)[0], one) for one in data.objects(name))
    return read_view(wanted, data.child(name))


_READERS: Mapping[Any, Callable[[Outside, str], Any]] = {
    str: Outside.text, int: Outside.integer, float: Outside.real, bool: Outside.flag, dict[str, str]: Outside.table,
    tuple[str, ...]: Outside.texts,
}  # fmt: skip
