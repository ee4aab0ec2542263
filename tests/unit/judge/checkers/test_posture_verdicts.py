"""What a verdict of posture says of a finding: where it is from, which drill shows it, and who promised otherwise."""

from __future__ import annotations

from dataclasses import replace

import pytest
from expected_posture_verdicts import looked

from rollproof.core.posturefacts import Posture
from rollproof.core.target import PostureSettings, Target
from rollproof.core.verdict import Result
from rollproof.judge.checkers.posture import _judged
from rollproof.judge.checkers.posture.base import Check, Said, finding, nothing, sound, unclear

CHECK = Check(
    id="a-check", asks="x", advised="two", why="one is none", source="a page", drill="", look=lambda _: SOUND,
    promised=lambda _: False,
)  # fmt: skip
SOUND, FOUND = sound("Pod", "count", 2), finding("Pod", "count", 1, "alone")
TEXT = "Pod count: 1 (alone)"


def judged(said: Said, *, promised: bool = False, must: tuple[str, ...] = (), drill: str = "") -> tuple[object, ...]:
    """(result, why, code, text and hint of the finding)."""
    seen = Posture(looked().facts())
    seen.target = replace(seen.target, posture=PostureSettings(must=must))

    def named(_: Target) -> bool:
        return promised

    one = _judged(seen, replace(CHECK, look=lambda _: said, promised=named, drill=drill))
    return one.result, one.why, *((found.code, found.text, found.hint) for found in one.findings)


def test_what_is_sound_or_not_there_has_no_finding() -> None:
    assert judged(SOUND) == (Result.PASS, "Pod count: 2")
    assert judged(nothing("Pod", "count", "no pod")) == (Result.SKIPPED, "Pod count: none (no pod)")


@pytest.mark.parametrize(("drill", "hint"), [("", "a page"), ("run all", "see it with `run all`; a page")])
def test_a_finding_names_the_drill_that_shows_it(drill: str, hint: str) -> None:
    found = ("A_CHECK", "advised: two; one is none", hint)
    assert judged(FOUND, drill=drill) == (Result.PASS, TEXT, found)
    other = ("A_CHECK", "advised: three; one is none", hint)
    assert judged(replace(FOUND, advised="three"), drill=drill) == (Result.PASS, TEXT, other)


@pytest.mark.parametrize(("drill", "hint"), [("", "a page"), ("run all", "`run all` shows it; a page")])
def test_what_is_not_clear_names_the_drill_that_shows_it(drill: str, hint: str) -> None:
    told = judged(unclear("Pod", "count", "?", "it is not said"), drill=drill)
    assert told == (Result.INCONCLUSIVE, "Pod count: ? (it is not said)", ("UNREAD", "it is not said", hint))


@pytest.mark.parametrize(
    ("promised", "must", "who"),
    [(True, (), "the target file"), (False, ("a-check",), "posture.must"), (True, ("a-check",), "posture.must")],
)
def test_a_finding_that_was_promised_otherwise_fails(promised: bool, must: tuple[str, ...], who: str) -> None:
    result, why, _ = judged(FOUND, promised=promised, must=must)
    assert (result, why) == (Result.FAIL, f"{TEXT}, and {who} promises: two")
