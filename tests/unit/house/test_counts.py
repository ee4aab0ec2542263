"""F12: a count and its noun agree, wherever a sentence holds one."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from house.syntax import nodes

from rollproof.core.counts import many, were
from rollproof.core.event import Event, Outcome
from rollproof.reports.sentences import sentence

ROOT = Path(__file__).resolve().parents[3]
SOURCES = sorted((ROOT / "src" / "rollproof" / "reports").rglob("*.py"))  # the checkers' sentences: docs/limits.md
ONE_OF_MANY = re.compile(r"(?<![\w.,/:-])1 (?:[a-z-]+ )?([a-z-]+s)\b")
# Words in s that are no plural, and what comes behind "1 of 3".
NO_PLURAL = {
    "is",
    "was",
    "has",
    "as",
    "its",
    "this",
    "ms",
    "s",
    "us",
    "less",
    "process",
    "class",
    "proves",
    "says",
    "does",
}
NOUNS = (
    "answers|attempts|changes|checks|connections|cores|drifts|events|failures|gaps|heals|images|lines|mistakes|"
    "outages|pods|proofs|replicas|requests|retries|samples|times"
)
COUNTED = re.compile(rf"^ (?:[a-z-]+ )?(?:{NOUNS})\b")


@pytest.mark.parametrize(
    ("count", "noun", "said"),
    [
        (0, "proof", "0 proofs"), (1, "proof", "1 proof"), (2, "old pod", "2 old pods"), (9999, "time", "9,999 times"),
        (3, "class", "3 classes"), (1, "class", "1 class"), (2, "retry", "2 retries"), (2, "day", "2 days"),
        ("1", "pod", "1 pod"), ("?", "pod", "? pods"),
    ],
)  # fmt: skip
def test_f12_the_noun_agrees(count: object, noun: str, said: str) -> None:
    assert many(count, noun) == said


def test_f12_the_verb_agrees() -> None:
    assert [were(count) for count in (0, 1, 2)] == ["were", "was", "were"]


def wrong(text: str) -> list[str]:
    return [found[0] for found in ONE_OF_MANY.finditer(text) if found[1] not in NO_PLURAL]


def test_f12_what_is_taken_for_wrong() -> None:
    assert wrong("drift: 1 proofs had no answer") == ["1 proofs"]
    assert wrong("1 routine gaps, 21 gaps, 0.1 requests, 1 gap, 1 s, run-1 pods") == ["1 routine gaps"]


@pytest.mark.parametrize("name", ["report.html", "junit.xml"])
def test_f12_no_golden_has_one_of_many(name: str) -> None:
    assert wrong((ROOT / "tests" / "golden" / name).read_text(encoding="utf-8")) == []


def counted_by_hand(path: Path) -> Iterator[str]:
    """f-strings of a value and a plural behind it: `{count} pods` is "1 pods" some night."""
    for node in nodes(path):
        if not isinstance(node, ast.JoinedStr):
            continue
        for value, text in zip(node.values, node.values[1:], strict=False):
            if isinstance(value, ast.FormattedValue) and isinstance(text, ast.Constant):
                of_a_total = ast.unparse(value).count("planned") or ast.unparse(value).count("'requests'")
                if COUNTED.match(str(text.value)) and not of_a_total:
                    yield f"{path.relative_to(ROOT)}:{node.lineno}: {ast.unparse(value)}{str(text.value)[:30]}"


ALLOWED = (  # never one, no count, or a verb: what a name or a constant stands there for
    "_TRIES", "_NODE_IMAGES_MAX", "app.health_path", "rollout.to_sha", "{namespace}", "per_million", "requests/s",
)  # fmt: skip


def test_f12_counts_are_put_into_words_in_one_place() -> None:
    found = [line for path in SOURCES for line in counted_by_hand(path)]
    lost = [line for line in found if not any(word in line for word in ALLOWED)]
    assert not lost, "\n".join([*lost, "use rollproof.core.counts.many"])


@pytest.mark.parametrize(
    ("source", "what", "data", "said"),
    [
        ("load", "stopped", {"requests": 1, "failures": 1}, "1 request, 1 failure"),
        ("load", "stopped", {"requests": 2048, "failures": 0}, "2048 requests, 0 failures"),
        ("release", "proven", {"pods": 1, "ingress_answers": 1}, "1 pod, 1 answer through"),
        ("release", "rolled-out", {"replicas": 1, "template_hash": "x"}, "1 replica of x"),
        ("drift", "before", {"attempts": 1, "remaining_s": 0}, "1 self-heal on"),
        ("drift", "after", {}, "? self-heals on"),
        ("ingress", "log", {"lines": 1}, "1 line,"),
    ],
)
def test_f12_events_are_told_with_the_right_noun(source: str, what: str, data: dict[str, object], said: str) -> None:
    event = Event(1, 0.0, 0.0, "2026-01-01T00:00:00+00:00", "", source, "X", what, Outcome.OK, data)
    assert said in sentence(event)
