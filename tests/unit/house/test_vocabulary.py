"""The closed vocabulary (A2): it has every word that our recorders say and every word of the stored histories."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from house.syntax import nodes

import rollproof
from rollproof.core.vocabulary import WORDS

CODE = Path(rollproof.__file__).parent
HISTORIES = Path(__file__).resolve().parents[2] / "histories"
# who writes a fact: name of the function -> (place of the source or its value, place of the word)
RECORDERS = {"record": (0, 2), "_tell": ("drift", 1), "_stage": ("release", 1)}
KNOWN = {(source, what) for (source, _), words in WORDS.items() for what in words}


def said() -> Iterator[tuple[str, str, str]]:
    """(place, source, what) of every fact whose words stand in the code."""
    for path in sorted(CODE.rglob("*.py")):
        if "sandbox" in path.parts:
            continue
        for node in nodes(path):
            if not isinstance(node, ast.Call) or getattr(node.func, "attr", "") not in RECORDERS:
                continue
            source, place = RECORDERS[getattr(node.func, "attr", "")]
            texts = [one.value if isinstance(one, ast.Constant) else None for one in node.args]
            source = texts[source] if isinstance(source, int) and source < len(texts) else source
            what = texts[place] if place < len(texts) else None
            if isinstance(source, str) and isinstance(what, str):
                yield f"{path.relative_to(CODE)}:{node.lineno}", source, what


def test_a2_every_word_of_our_recorders_is_known() -> None:
    found = list(said())
    assert len(found) > 40
    unknown = [f"{place}: {source} · {what}" for place, source, what in found if (source, what) not in KNOWN]
    assert unknown == [], "add the words to core/vocabulary.py and docs/facts.md"


@pytest.mark.parametrize("timeline", sorted(HISTORIES.glob("*/*/timeline.jsonl")), ids=lambda path: path.parent.name)
def test_a2_every_word_of_the_stored_histories_is_known(timeline: Path) -> None:
    for line in timeline.read_text().splitlines():
        event = json.loads(line)
        assert event["what"] in WORDS[event["source"], event["subject"].partition("/")[0]]
        assert event["outcome"] in ("ok", "fail", "unknown")


def test_a2_the_page_of_the_facts_has_every_word() -> None:
    page = (CODE.parents[1] / "docs" / "facts.md").read_text()
    missing = sorted(what for words in WORDS.values() for what in words if what not in page)
    assert missing == []


def test_what_a_connection_closed_without_an_answer_is_called_is_said_in_one_place() -> None:
    """One of four lists of these names had no `read.EPIPE`: such a GET counted as lost, and may be sent again."""
    judging = [path for folder in ("core", "judge") for path in (CODE / folder).rglob("*.py")]
    saying = [path.name for path in judging for node in nodes(path) if getattr(node, "value", "") == "read.ECONNRESET"]
    assert saying == ["outcomes.py"]
