"""Mutations of bytes, of JSON values and of JSON lines. All take a random generator: a seed gives the same again."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

Place = tuple[Any, Any]  # (container, key or index)

STRANGE: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 3, 2**31, 2**63, -(2**63), 10**30, 10**400, 1e308, -1e308, 0.5, float("nan"),
    float("inf"), float("-inf"), "", " ", "x", "0", "true", "null", "NaN", "\x00", "\ud800", "\x1b[2J", "a" * 5000,
    "2026-13-45T99:99:99Z", "2026-11-28", "-1", "9" * 5000, "1_000", "\u202e", "\u0662", [], {}, [[]], [None], [{}],
    ["x"], {"": None}, {"a": {"b": []}}, {"x": 1}, [1, "2", None, {}],
)  # fmt: skip
_DEEP = 3000  # levels: more than the interpreter's recursion limit


_FLOATS_UP_TO = 10**300


def chance_of(seed: int, part: str, number: int) -> Random:
    """The random generator of one case."""
    return Random(f"{seed}-{part}-{number}")  # noqa: S311 - nothing here is secret


def strange(chance: Random) -> Any:
    """An unexpected value."""
    if chance.random() < 0.03:
        deep: Any = 1
        for _ in range(chance.choice((50, 300))):
            deep = [deep]
        return deep
    return copy.deepcopy(chance.choice(STRANGE))


def places(document: Any) -> Iterator[Place]:
    """Every value in the document, by its container and key."""
    stack = [document]
    while stack:
        node = stack.pop()
        pairs = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
        for key, value in pairs:
            yield node, key
            stack.append(value)


def bend(document: Any, chance: Random, times: int = 1) -> Any:
    """A copy with some values replaced, removed, doubled, nested, or of another type."""
    document = copy.deepcopy(document)
    for _ in range(times):
        found = list(places(document))
        if not found:
            return strange(chance)
        container, key = chance.choice(found)
        _bend_one(container, key, chance)
    return document


def _bend_one(container: Any, key: Any, chance: Random) -> None:
    value = container[key]
    how = chance.randrange(8)
    if how == 0:
        del container[key]
    elif how == 1:
        container[key] = None
    elif how == 2:
        container[key] = [value]
    elif how == 3:
        container[key] = {"x": value}
    elif how == 4:
        container[key] = str(value) if not isinstance(value, str) else value + "\ud800"
    elif how == 5 and isinstance(value, int | float) and not isinstance(value, bool):
        half = value + 0.5 if abs(value) < _FLOATS_UP_TO else 0.5  # it may be a number that was mutated before
        container[key] = chance.choice((-value, value * 10**9, half, -1, float("nan"), 10**400))
    elif how == 6 and isinstance(container, list):
        container.insert(key, copy.deepcopy(value))
    else:
        container[key] = strange(chance)


def text(document: Any) -> bytes:
    """As a careless writer would write it: NaN is allowed, and half a surrogate pair stays in it."""
    return json.dumps(document).encode()


def of_bytes(content: bytes, chance: Random) -> bytes:
    """Flipped, cut, doubled, emptied, in another encoding, or replaced."""
    how = chance.randrange(11)
    at = chance.randrange(len(content) + 1)
    if how == 0:
        return content[:at]
    if how == 1:
        return content[:at] + bytes((chance.randrange(256),)) + content[at + 1 :]
    if how == 2:
        return content[:at] + chance.randbytes(chance.randrange(1, 20)) + content[at:]
    if how == 3:
        return content + content
    if how == 4:
        return b"\xef\xbb\xbf" + content
    if how == 5:
        return content.decode("utf-8", "replace").encode("utf-16")
    if how == 6:
        return content.replace(b"\n", b"\r\n")
    if how == 7:
        return b"[" * _DEEP + b"]" * _DEEP
    if how == 8:
        return content[at : at + 200] + content[:at]
    return chance.choice(
        (b"", b"\n", b"null", b"[]", b"{}", b"1", b'"x"', b"\x00" * 100, b"PK\x03\x04", b"\x1f\x8b\x08")
    )


def of_json(content: bytes, chance: Random) -> bytes:
    """One or more values of a JSON document mutated."""
    return text(bend(json.loads(content), chance, chance.choice((1, 1, 1, 2, 5))))


def of_lines(content: bytes, chance: Random) -> bytes:
    """Lines of JSON: some dropped, doubled, reordered, cut, or with a mutated value (and the numbers kept)."""
    lines = content.splitlines(keepends=True)
    if not lines:
        return chance.choice((b"{}\n", b"null\n", b"[]\n"))
    at = chance.randrange(len(lines))
    how = chance.randrange(9)
    if how == 0:
        del lines[at]
    elif how == 1:
        lines.insert(at, lines[at])
    elif how == 2:
        other = chance.randrange(len(lines))
        lines[at], lines[other] = lines[other], lines[at]
    elif how == 3:
        lines[at] = lines[at][: len(lines[at]) // 2] + b"\n"
    else:
        for _ in range(chance.choice((1, 1, 3, 10))):
            at = chance.randrange(len(lines))
            lines[at] = of_json(lines[at], chance) + b"\n"
    return b"".join(lines)


def renumbered(content: bytes) -> bytes:
    """The same lines with correct numbers, so that later checks are reached."""
    lines: list[bytes] = []
    for number, line in enumerate(content.splitlines(), 1):
        try:
            document = json.loads(line)
        except (ValueError, RecursionError):
            lines.append(line + b"\n")
            continue
        if isinstance(document, dict) and "seq" in document:
            document["seq"] = number
        lines.append(text(document) + b"\n")
    return b"".join(lines)


Mutation = Callable[[bytes, Random], bytes]
