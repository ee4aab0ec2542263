"""Outside: data that somebody else made (an API, git, the app, a log, a stored file), read into typed values.

`parsed` makes JSON of bytes, `Outside` reads fields of it. Null, absent and empty are one thing: an API leaves a field
out, empties it or sets it to null, and means the same. A value of another type is never bent into shape: the error
says whose data it is, which field, what was expected and what was seen. Pure: no I/O, no clock.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NoReturn

from rollproof.core.visible import printable
from rollproof.errors import OutsideDataError, RollproofError

__all__ = ["Outside", "parsed", "says", "shown", "spelled", "timestamp_s", "without_nulls"]

DEPTH_MAX = 100  # levels of nesting; what reads the data later (copies, prints) must not run out of stack
_INTEGER_MAX = 2**63
_AGES_S = 200 * 366 * 86_400.0  # a time beyond the year 2169 cannot be calculated with safely, and means nothing
_SHOWN = 60
_SURROGATE = re.compile("[\ud800-\udfff]")
_ESCAPED = re.compile(r"\\u[dD][89a-fA-F]")


def shown(value: object) -> str:
    """A value as a message may show it: short, one line, nothing that a terminal would obey."""
    try:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=True, default=repr)
    except (ValueError, TypeError, RecursionError):
        text = f"a {type(value).__name__}"
    short = text[:_SHOWN] + ("..." if len(text) > _SHOWN else "")
    return f'"{printable(short)}"' if isinstance(value, str) else printable(short)


def parsed(text: bytes | str, who: str, *, error: type[RollproofError] = OutsideDataError) -> Any:
    """The JSON value that the text is. Raises `error` if it is none, or one that nobody can work with.

    That is: not UTF-8, NaN or Infinity, a number beyond 64 bits, or deeper than 100 levels. Half a surrogate pair,
    which no file can be written with, becomes U+FFFD.
    """
    try:
        plain = text.decode("utf-8-sig") if isinstance(text, bytes) else text.removeprefix("\ufeff")
        found = _JSON.decode(plain)
    except UnicodeDecodeError:
        raise error(f"{who} is not UTF-8: it begins with {shown(repr(text[:20]))}") from None
    except RecursionError:
        raise error(f"{who} is nested deeper than {DEPTH_MAX} levels") from None
    except ValueError as problem:
        seen = shown(plain.strip()) if plain.strip() else "nothing at all"
        raise error(f"{who} is cut off or damaged: no JSON ({str(problem)[:80]}): it begins with {seen}") from None
    why = _unusable(found)
    if why:
        raise error(f"{who} {why}")
    if ("\\u" in plain and _ESCAPED.search(plain)) or (not plain.isascii() and _SURROGATE.search(plain)):
        return _without_surrogates(found)
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


_JSON = json.JSONDecoder(parse_constant=_no_constant)  # one for all: a timeline is thousands of lines


def _unusable(document: Any) -> str:
    """Why nobody can work with it; "" if one can. Level by level, so that its depth cannot exhaust our stack."""
    level = [document]
    for _ in range(DEPTH_MAX):
        below: list[Any] = []
        for value in level:
            kind = type(value)  # JSON has these types and none made of them
            if kind is dict:
                below.extend(value.values())
            elif kind is list:
                below.extend(value)
            elif kind is float and not math.isfinite(value):
                return "holds a number that is too large"
            elif kind is int and abs(value) >= _INTEGER_MAX:
                return "holds a number beyond 64 bits"
        if not below:
            return ""
        level = below
    return f"is nested deeper than {DEPTH_MAX} levels"


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return _SURROGATE.sub("\ufffd", value)
    if isinstance(value, list):
        return [_without_surrogates(one) for one in value]
    if isinstance(value, dict):
        return {_without_surrogates(key): _without_surrogates(one) for key, one in value.items()}
    return value


def spelled(value: object) -> str:
    """A JSON value as text: a string as it is, anything else as JSON spells it (`true`, not Python's `True`)."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def says(value: object, expected: str) -> bool:
    """Whether an answer's value is the expected one, which a target file spells as JSON does.

    `True`, `False` and `None` were asked for before rollproof knew better, and still count.
    """
    return spelled(value) == expected or (isinstance(value, bool | None) and str(value) == expected)


def without_nulls(item: Mapping[str, Any]) -> dict[str, Any]:
    """The object without the fields that are null, at every depth.

    To Kubernetes a field that is null is one that is not there, and both forms are met: Go writes an empty list or
    pointer as null, and a JSON patch leaves `"operation": null` in a custom resource whose schema does not prune it.
    """
    return {key: _clean(value) for key, value in item.items() if value is not None}


def _clean(value: Any) -> Any:
    if isinstance(value, dict):
        return without_nulls(value)
    return [_clean(one) for one in value] if isinstance(value, list) else value


def timestamp_s(text: str) -> float | None:
    """Seconds since 1970 of an RFC 3339 time, such as Kubernetes writes; None if it is none, or of another age."""
    try:
        moment = datetime.fromisoformat(text.strip())
        found_s = moment.timestamp()
    except (ValueError, OverflowError, OSError):
        return None
    return found_s if moment.tzinfo and 0 <= found_s < _AGES_S else None  # without a zone it is no moment


@dataclass(frozen=True, slots=True)
class Outside:
    """An object of outside data. `who` is whose it is, for messages; `place` where in it this part is.

    Every reader takes a key and gives a typed value: the default where the field is null or absent, `error` where it is
    of another type.
    """

    value: Mapping[str, Any]
    who: str
    place: str = ""
    error: type[RollproofError] = OutsideDataError

    @classmethod
    def of(cls, value: Any, who: str, *, error: type[RollproofError] = OutsideDataError) -> Outside:
        """The object that `value` is; null is an empty one."""
        if value is None:
            return cls({}, who, error=error)
        if not isinstance(value, Mapping):
            raise error(f"{who}: expected an object, got {shown(value)}")
        return cls(value, who, error=error)

    def refuse(self, key: str, expected: str) -> NoReturn:
        """Raise the error for a field that is not what it must be."""
        raise self.error(f"{self.who}: {self._at(key)} must be {expected}, not {shown(self.value.get(key))}")

    def has(self, key: str) -> bool:
        """Whether the field says anything: null and empty say nothing."""
        return self.value.get(key) not in (None, "", [], {})

    def child(self, key: str) -> Outside:
        """The object in a field; an empty one where it is null or absent."""
        found = self.value.get(key)
        if found is None:
            found = {}
        if not isinstance(found, Mapping):
            self.refuse(key, "an object")
        return Outside(found, self.who, self._at(key), self.error)

    def text(self, key: str, default: str = "") -> str:
        """A string."""
        found = self.value.get(key)
        if found is None:
            return default
        if not isinstance(found, str):
            self.refuse(key, "a string")
        return found

    def needed(self, key: str) -> str:
        """A string that must be there."""
        found = self.text(key)
        if not found:
            self.refuse(key, "a string that is not empty")
        return found

    def integer(self, key: str, default: int = 0) -> int:
        """A whole number."""
        found = self.value.get(key)
        if found is None:
            return default
        if isinstance(found, bool) or not isinstance(found, int):
            self.refuse(key, "a whole number")
        return found

    def count(self, key: str, default: int = 0) -> int:
        """A whole number that is not negative."""
        found = self.integer(key, default)
        if found < 0:
            self.refuse(key, "a number from 0 on")
        return found

    def real(self, key: str, default: float = 0.0) -> float:
        """A finite number."""
        found = self.value.get(key)
        if found is None:
            return default
        if isinstance(found, bool) or not isinstance(found, int | float) or not math.isfinite(found):
            self.refuse(key, "a number")
        return float(found)

    def flag(self, key: str, *, default: bool = False) -> bool:
        """True or false."""
        found = self.value.get(key)
        if found is None:
            return default
        if not isinstance(found, bool):
            self.refuse(key, "true or false")
        return found

    def objects(self, key: str) -> tuple[Outside, ...]:
        """The objects of a list."""
        return tuple(
            self._element(key, number, one) if isinstance(one, Mapping) else self.refuse(key, "a list of objects")
            for number, one in enumerate(self._list(key))
        )

    def texts(self, key: str) -> tuple[str, ...]:
        """The strings of a list."""
        return tuple(one if isinstance(one, str) else self.refuse(key, "a list of strings") for one in self._list(key))

    def table(self, key: str) -> dict[str, str]:
        """An object whose values are strings: labels, annotations, the data of a ConfigMap."""
        inner = self.child(key)
        return {name: inner.text(name) for name in inner.value}

    def time_s(self, key: str) -> float | None:
        """Seconds since 1970 of an RFC 3339 time; None where there is none."""
        found = self.text(key)
        if not found:
            return None
        moment = timestamp_s(found)
        if moment is None:
            self.refuse(key, "a time such as 2026-11-28T10:00:00Z")
        return moment

    def _list(self, key: str) -> Iterable[Any]:
        found = self.value.get(key)
        if found is None:
            return ()
        if not isinstance(found, list | tuple):
            self.refuse(key, "a list")
        return found

    def _element(self, key: str, number: int, one: Mapping[str, Any]) -> Outside:
        return Outside(one, self.who, f"{self._at(key)}[{number}]", self.error)

    def _at(self, key: str) -> str:
        name = printable(key[:_SHOWN])
        return f"{self.place}.{name}" if self.place else name
