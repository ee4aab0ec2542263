"""The JSON Schema of the target file, for editors that read one (taplo and Even Better TOML: `#:schema FILE`).

Made from the dataclasses of `core.target`: types by pydantic, limits from the rules declared beside the fields, words
from the comments there. References go to `definitions`, because taplo documents draft 4; tried with 0.9.
"""

from __future__ import annotations

import inspect
import io
import json
import tokenize
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, get_type_hints

from pydantic import TypeAdapter

from rollproof.core import target as declared
from rollproof.core.declared import Distinct, Needed, OneOf, Pointer, Range, Rule, UrlPath

__all__ = ["schema_text"]

_ID = "http://json-schema.org/draft-07/schema#"


@cache
def schema_text() -> str:
    """The document, ASCII, with a line feed at its end."""
    text = json.dumps(_document(), ensure_ascii=True, indent=1).replace("#/$defs/", "#/definitions/")
    return text + "\n"


def _document() -> dict[str, Any]:
    raw = TypeAdapter(declared.Target).json_schema()
    definitions = raw.pop("$defs")
    kinds = {kind.__name__: kind for kind in vars(declared).values() if inspect.isclass(kind) and is_dataclass(kind)}
    for name, one in (*definitions.items(), ("Target", raw)):
        _describe(one, kinds[name])
    return {"$schema": _ID, **raw, "title": "A target of rollproof", "definitions": definitions}


def _describe(schema: dict[str, Any], kind: type) -> None:
    """Limits and words of each field; an unknown key is a mistake, as it is for `rollproof`."""
    schema["additionalProperties"] = False
    hints, words = get_type_hints(kind, include_extras=True), _comments(kind)
    for name, one in schema["properties"].items():
        one.pop("title", None)
        for rule in getattr(hints[name], "__metadata__", ()):
            _limit(one, rule)
        if name in words:
            one["description"] = words[name]


def _limit(schema: dict[str, Any], rule: Rule) -> None:
    match rule:
        case Range():
            for owner in _numbers(schema):
                owner["minimum" if rule.low_allowed else "exclusiveMinimum"] = rule.low
                owner["maximum"] = rule.high
        case OneOf():
            for owner in _texts(schema):
                owner["enum"] = list(rule.words)
        case Needed():
            schema["minLength"] = 1
        case UrlPath() | Pointer():
            schema["pattern"] = "^(/.*)?$"
        case Distinct():
            schema["uniqueItems"] = True


def _numbers(schema: dict[str, Any]) -> list[dict[str, Any]]:
    """The parts of a field's schema that are numbers: itself, one of its alternatives, or the values of its table."""
    parts = [schema, *schema.get("anyOf", ()), schema.get("additionalProperties")]
    return [part for part in parts if isinstance(part, dict) and part.get("type") in {"number", "integer"}]


def _texts(schema: dict[str, Any]) -> list[dict[str, Any]]:
    """The same of texts: itself, or the items of its list."""
    parts = [schema, *schema.get("anyOf", ()), schema.get("items")]
    return [part for part in parts if isinstance(part, dict) and part.get("type") == "string"]


@cache
def _comments(kind: type) -> Mapping[str, str]:
    """Field -> the comment on its line, or on the lines above it."""
    names, found = {field.name for field in fields(kind)}, {}
    above: list[str] = []
    current = ""
    for token in tokenize.generate_tokens(io.StringIO(inspect.getsource(kind)).readline):
        if token.type == tokenize.COMMENT:
            said = token.string.removeprefix("#").strip()
            if token.line.strip().startswith("#"):
                above.append(said)
            elif current:
                found[current] = said
        elif (
            token.type == tokenize.NAME and token.line.strip().startswith(f"{token.string}:") and token.string in names
        ):
            current = token.string
            if above:
                found[current] = " ".join(above)
            above = []
        elif token.type == tokenize.NEWLINE:
            current, above = "", []
    return found
