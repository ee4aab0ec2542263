"""Selectors: label selectors (equality and set based) and field selectors, as queries carry them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from rollproof_sandbox.api.errors import bad_request
from rollproof_sandbox.api.kinds import Kind

__all__ = ["Selects", "field_selector", "label_selector"]

Selects = Callable[[Mapping[str, Any]], bool]
_SET = re.compile(r"^(?P<key>[^\s!=(),]+)\s+(?P<how>in|notin)\s*\((?P<values>[^()]*)\)$")
_EQUAL = re.compile(r"^(?P<key>[^\s!=(),]+)\s*(?P<how>==|=|!=)\s*(?P<value>[^\s!=(),]*)$")
_THERE = re.compile(r"^(?P<not>!?)\s*(?P<key>[^\s!=(),]+)$")
_FIELDS = ("metadata.name", "metadata.namespace")
_FIELDS_OF = {"Pod": ("spec.nodeName", "status.phase", "status.podIP")}


def label_selector(text: str) -> Selects:
    """A predicate for labels: all requirements must hold; "" selects everything."""
    rules = [_label_rule(part.strip()) for part in re.split(r",(?![^(]*\))", text) if part.strip()]

    def selects(item: Mapping[str, Any]) -> bool:
        labels = item["metadata"].get("labels") or {}
        return all(rule(labels) for rule in rules)

    return selects


def _label_rule(text: str) -> Callable[[Mapping[str, str]], bool]:
    if found := _SET.match(text):
        key, values = found["key"], {value.strip() for value in found["values"].split(",")}
        if found["how"] == "in":
            return lambda labels: labels.get(key) in values
        return lambda labels: labels.get(key) not in values
    if found := _EQUAL.match(text):
        key, value = found["key"], found["value"]
        if found["how"] == "!=":
            return lambda labels: labels.get(key) != value
        return lambda labels: labels.get(key) == value
    if found := _THERE.match(text):
        key, wanted = found["key"], not found["not"]
        return lambda labels: (key in labels) is wanted
    raise bad_request("found '=', expected: ',' or 'end of string'")


def field_selector(kind: Kind, text: str) -> Selects:
    """A predicate for field values."""
    rules: list[tuple[tuple[str, ...], str, bool]] = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        found = re.match(r"^([\w.]+)(==|=|!=)(.*)$", part)
        if not found:
            raise bad_request(f"invalid selector: '{part}'; can't understand '{part}'")
        if found[1] not in (*_FIELDS, *_FIELDS_OF.get(kind.name, ())):
            raise bad_request(_unknown_field(kind, found[1]))
        rules.append((tuple(found[1].split(".")), found[3], found[2] != "!="))

    def selects(item: Mapping[str, Any]) -> bool:
        return all((_at(item, path) == value) is wanted for path, value, wanted in rules)

    return selects


def _unknown_field(kind: Kind, name: str) -> str:
    if kind.name in _FIELDS_OF:
        return f"field label not supported: {name}"
    return f'"{name}" is not a known field selector: only "metadata.name", "metadata.namespace"'


def _at(item: Any, path: tuple[str, ...]) -> str:
    for part in path:
        item = item.get(part) if isinstance(item, Mapping) else None
    return "" if item is None else str(item)
