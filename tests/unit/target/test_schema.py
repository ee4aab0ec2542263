"""The schema that editors read agrees with the reader of target files: what one takes the other takes."""

from __future__ import annotations

import json
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from rollproof.target.schema import schema_text

ROOT = Path(__file__).resolve().parents[3]
LAB = tomllib.loads((ROOT / "targets/lab.toml").read_text())


@cache
def schema() -> dict[str, Any]:
    """Made for the first test that asks: to make it costs as much as collecting a folder of tests."""
    return dict(json.loads(schema_text()))


def mistakes(document: dict[str, Any]) -> list[str]:
    checker = jsonschema.Draft7Validator(schema())
    return [f"{'.'.join(map(str, error.absolute_path))}: {error.message}" for error in checker.iter_errors(document)]


@pytest.mark.parametrize("path", sorted((ROOT / "targets").glob("*.toml")), ids=lambda path: path.name)
def test_every_target_of_ours_is_valid(path: Path) -> None:
    assert mistakes(tomllib.loads(path.read_text())) == []


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("traffic", "rate_per_s", "fast"),
        ("traffic", "rate_per_s", 0),
        ("traffic", "ratee_per_s", 5.0),
        ("faults", "process", 7),
        ("cluster", "context", ""),
        ("app", "health_path", "health"),
        ("faults", "recovery_limits_s", {"pod-delete": -1}),
        ("pipeline", "scan_severity_max", "high"),
        ("drift", "trials", ["env", "env"]),
        ("nowhere", "x", 1),
    ],
)
def test_a_mistake_is_seen_in_the_editor(section: str, key: str, value: object) -> None:
    document = {**LAB, section: {**LAB.get(section, {}), key: value}}
    assert len(mistakes(document)) >= 1


def told(document: dict[str, Any]) -> set[tuple[str, str, str, str]]:
    """(section, key, default, words) of each setting: what ours is; how it is spelled is pydantic's."""
    sections = {"": document, **document["definitions"]}
    return {
        (name, key, json.dumps(field.get("default")), field.get("description", ""))
        for name, section in sections.items()
        for key, field in section.get("properties", {}).items()
    }


def test_the_schema_beside_our_targets_says_what_is_printed() -> None:
    beside = json.loads((ROOT / "targets/target.schema.json").read_text())
    assert told(beside) == told(schema()), "write it anew: rollproof schema > targets/target.schema.json"
    assert len(told(beside)) > 100


@pytest.mark.parametrize("path", sorted((ROOT / "targets").glob("*.toml")), ids=lambda path: path.name)
def test_every_target_of_ours_names_the_schema_for_editors(path: Path) -> None:
    assert path.read_text().startswith("#:schema ./target.schema.json\n")


def test_a_section_that_is_needed_is_asked_for() -> None:
    assert mistakes({key: value for key, value in LAB.items() if key != "app"})


def test_fields_have_words_from_the_comments_beside_them() -> None:
    traffic = schema()["definitions"]["FaultSettings"]["properties"]
    assert traffic["recovery_limit_s"]["description"] == "from its start until the steady state is back"
    assert "noqa" not in schema_text()
    assert "$defs" not in schema_text(), "taplo does not look there"
