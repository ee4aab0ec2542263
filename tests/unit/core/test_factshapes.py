"""Which types a field of each kind of fact may have, in full: tests/golden/core/factshapes.txt.

The fields are those of all stories and of some stored runs, so that the table is held against what is recorded.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from expected_verdicts import histories
from story import Story

from rollproof.core.event import Event
from rollproof.core.factshapes import check_fact
from rollproof.errors import RunFolderError
from rollproof.judge.checkers import CHECKERS

HISTORIES = Path(__file__).resolve().parents[2] / "histories" / "good"
TYPES: Mapping[str, Any] = {  # what a field is tried with
    "text": "x", "int": 7, "real": 7.5, "flag": True, "null": None,
    "texts": ["x"], "ints": [7], "flags": [True], "pairs": [[7, 7]], "objects": [{}],
    "object": {}, "object of texts": {"k": "x"}, "object of ints": {"k": 7}, "object of reals": {"k": 7.5},
    "object of flags": {"k": True}, "object of pairs": {"k": [7, 7]}, "object of three": {"k": [7, 7, 7]},
}  # fmt: skip
NOT_IN_STORIES = (  # told by no story, because no checker reads them
    ("kept", "Pod/shop/a", "state", {"container": "web", "waiting": "x", "ended": "x", "exit_code": 1, "restarts": 1}),
    ("kept", "Pod/shop/a", "log", {"container": "web", "previous": True, "file": "x", "lines": 1, "cut": True,
                                   "size_bytes": 1, "tail": ["x"]}),
    ("kept", "Events/a", "events", {"listed": 1, "file": "x", "seen": [{
        "object": "x", "reason": "x", "message": "x", "count": 1, "warning": True}]}),
    ("kept", "Pod/shop/a", "unread", {"cause": "x", "reason": "x"}),
    ("watch", "Deployment/shop/web", "added", {"template_hash": "x"}),
    ("ingress", "Ingress", "log", {"followed": True}),
)  # fmt: skip
VIEWS = {("pipeline", "read"), ("posture", "read")}  # whole documents, each with a reader and tests of its own


def facts() -> Iterator[Event]:
    for source, subject, what, data in NOT_IN_STORIES:
        yield from Story().tell(source, subject, what, at=1.0, **data).events
    for checker in CHECKERS:
        for _, told in histories(checker):
            yield from told.events
    shapes: set[str] = set()
    for timeline in sorted(HISTORIES.glob("*/timeline.jsonl")):
        for line in map(json.loads, timeline.read_text().splitlines()):
            shape = shape_of(line)
            if shape in shapes:  # nearly all of them: a fact like this one has been
                continue
            shapes.add(shape)
            yield from Story().tell(line["source"], line["subject"], line["what"], at=1.0, **line["data"]).events


def shape_of(line: Mapping[str, Any]) -> str:
    """What `fields` can tell of it: of what kind it is, and which fields it has, also in the first object of a list."""
    data = line["data"]
    inside = [
        (name, sorted(value[0])) for name, value in data.items()
        if isinstance(value, list) and value and isinstance(value[0], dict)
    ]  # fmt: skip
    return f"{line['source']} {line['subject'].partition('/')[0]} {line['what']} {sorted(data)} {sorted(inside)}"


def fields(event: Event) -> Iterator[tuple[str, Callable[[Any], Mapping[str, Any]]]]:
    """Each field by its name, and the fact's data with another value in it; also of the first object of a list."""
    data = event.data

    def inside(outer: str, name: str) -> Callable[[Any], Mapping[str, Any]]:
        return lambda value: {**data, outer: [{**data[outer][0], name: value}]}

    def in_place(name: str) -> Callable[[Any], Mapping[str, Any]]:
        return lambda value: {**data, name: value}

    for name, value in data.items():
        yield name, in_place(name)
        if isinstance(value, list) and value and isinstance(value[0], dict):
            yield from ((f"{name} {inner}", inside(name, inner)) for inner in (*value[0], "unheard_of"))


def refused(event: Event, data: Mapping[str, Any]) -> bool:
    try:
        check_fact(replace(event, data=data), "a test", error=RunFolderError)
    except RunFolderError:
        return True
    return False


def test_which_types_each_field_may_have(golden: Callable[[str, str], None]) -> None:
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for event in facts():
        if (event.source, event.what) in VIEWS:
            continue
        known = found[f"{event.source} · {event.subject.partition('/')[0]} · {event.what}"]
        for name, with_value in fields(event):
            if name not in known:
                fits = [word for word, value in TYPES.items() if not refused(event, with_value(value))]
                known[name] = "anything" if len(fits) == len(TYPES) else ", ".join(fits) or "nothing"
    rows = (
        f"== {kind}\n" + "".join(f"{name}: {fits}\n" for name, fits in sorted(told.items()))
        for kind, told in sorted(found.items())
        if told
    )
    golden("core/factshapes.txt", "\n".join(rows))


def test_a_place_and_a_topic_that_nobody_knows_are_anybodys() -> None:
    for source, subject in (("pipeline", "Pipeline/moon"), ("posture", "Moon/shop"), ("moon", "Moon")):
        (event,) = Story().tell(source, subject, "read", at=1.0, sha=7).events
        assert not refused(event, event.data)


BACK_OFF = {"rule": "none", "start_s": 1, "factor": 2, "cap_s": 9, "cooldown_s": 8, "fixed_delay_s": 0}
RUN = {"job": "tick", "pod": "web-1", "period_s": 60, "started_s": 5}


@pytest.mark.parametrize(
    ("source", "subject", "what", "data", "field"),
    [
        *(
            ("drift", "Drift", "model", {key: value for key, value in BACK_OFF.items() if key != field}, field)
            for field in BACK_OFF
        ),
        ("fault", "Fault/x", "planned", {"limit_s": 1, "effect_within_s": 1}, "affects_traffic"),
        ("run", "clock", "read", {"monotonic_s": 1}, "wall_s"),
        ("jobs", "Jobs", "read", {}, "wall_s"),
        *(("jobs", "Jobs", "read", {"wall_s": 1, "runs": [{**RUN, field: None}]}, f"runs[0].{field}") for field in RUN),
    ],
)
def test_without_a_field_that_its_reader_needs_a_fact_is_refused_by_name(
    source: str, subject: str, what: str, data: Mapping[str, Any], field: str
) -> None:
    (event,) = Story().tell(source, subject, what, at=1.0, **data).events
    with pytest.raises(RunFolderError, match=rf": {re.escape(field)} must be there, not null$"):
        check_fact(event, "a test", error=RunFolderError)


def test_a_place_is_asked_for_its_own_fields() -> None:
    for place, field in (("actions", "parts"), ("registry", "platforms"), ("deployment", "pods")):
        (event,) = Story().tell("pipeline", f"Pipeline/{place}", "read", at=1.0, **{field: "nonsense"}).events
        assert refused(event, event.data), place
