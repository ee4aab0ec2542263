"""Version and readiness beside a drift or a fault: which version should run, and from when on the app must be well."""

from __future__ import annotations

from typing import Any

from builders import Requests
from story import NEW, OLD, Story, good_release

from rollproof.core.event import Outcome
from rollproof.core.verdict import Result
from rollproof.judge.checkers import availability, load_soundness, readiness, version


def asked(told: Story, what: str, at: float, outcome: Outcome = Outcome.OK, **data: Any) -> Story:
    """Both pods and, three times, the ingress; the fault of these stories is over at 120 s."""
    for subject in ("Pod/shop/old-1", "Pod/shop/old-2", "Ingress", "Ingress", "Ingress"):
        told.tell("proof", subject, what, at=at, outcome=outcome, **data)
    return told


class TestVersion:
    def test_the_running_version_is_proven_after_the_fault(self) -> None:
        verdict = version.check(asked(Story().fault(), "version", 121.0, version=OLD).facts())
        assert (verdict.result, verdict.subject) == (Result.PASS, f"Version/{OLD}"), verdict.why

    def test_answers_from_before_its_end_prove_nothing(self) -> None:
        verdict = version.check(asked(Story().fault(), "version", 110.0, version=OLD).facts())
        assert verdict.result is Result.INCONCLUSIVE

    def test_nor_does_any_if_its_end_was_not_seen(self) -> None:
        verdict = version.check(asked(Story().fault(until="effect"), "version", 121.0, version=OLD).facts())
        assert verdict.result is Result.INCONCLUSIVE
        assert "not seen to recover" in verdict.why

    def test_another_version_fails_whenever_it_answered(self) -> None:
        told = asked(Story().fault(), "version", 110.0, Outcome.FAIL, version=NEW)
        assert version.check(told.facts()).result is Result.FAIL

    def test_so_does_one_under_load(self) -> None:
        told = asked(Story().fault(), "version", 121.0, version=OLD)
        told.requests = Requests(start=88.0, seconds=53.0, version=OLD).says(NEW, at=110.0, until=111.0).build()
        verdict = version.check(told.facts())
        assert verdict.result is Result.FAIL
        assert f"came from {NEW}, not {OLD}" in verdict.why


class TestReadiness:
    def test_what_it_says_while_the_database_is_away_by_our_doing_is_no_broken_promise(self) -> None:
        told = asked(Story().fault(), "database", 110.0, Outcome.FAIL, value="down")
        assert readiness.check(told.facts()).result is Result.INCONCLUSIVE
        assert readiness.check(asked(told, "database", 121.0, value="ok").facts()).result is Result.PASS

    def test_what_it_says_afterwards_is(self) -> None:
        told = asked(Story().fault(), "database", 121.0, Outcome.FAIL, value="down")
        assert readiness.check(told.facts()).result is Result.FAIL

    def test_without_an_end_there_is_no_afterwards(self) -> None:
        verdict = readiness.check(asked(Story().fault(until="effect"), "database", 121.0, value="ok").facts())
        assert verdict.result is Result.INCONCLUSIVE
        assert "not seen to recover" in verdict.why


def test_the_load_must_have_been_there_before_during_and_after_any_act() -> None:
    told = Story().fault().tell("load", "Load", "self-test", at=80, passed=True, classes={"a": [1, 1]})
    told.requests = Requests(start=88.0, seconds=53.0, version=OLD).without(at=105.0, until=110.0).build()
    verdict = load_soundness.check(told.facts())
    assert "during the act" in verdict.why
    assert {"rate_share_before", "rate_share_during", "rate_share_after"} <= verdict.numbers.keys()


def test_a_slow_answer_is_looked_for_where_such_an_act_makes_one() -> None:
    told = Story().fault()
    told.requests = Requests(start=88.0, seconds=53.0, version=OLD).slow(at=110.0, until=110.1, took_ms=3000.0).build()
    (slow,) = [one for one in availability.check(told.facts()).findings if one.code == "SLOW"]
    assert slow.hint.startswith("a slow answer is no outage; look for what waits for the part that was changed")
    released = good_release()
    released.requests = Requests().slow(at=110.0, until=110.1, took_ms=3000.0).build()
    (slow,) = [one for one in availability.check(released.facts()).findings if one.code == "SLOW"]
    assert slow.hint == "a slow answer is no outage; look for cold starts of the new pods"
