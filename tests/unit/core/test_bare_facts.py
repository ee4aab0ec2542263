"""What each reader answers for a fact that was told without its fields, never a made-up word; and with them."""

from __future__ import annotations

from typing import Any

import pytest
from story import Story

from rollproof.core.badrelease import find_bad_release
from rollproof.core.rollout import Rollout, find_rollout
from rollproof.core.runframe import (
    SelfTest,
    answers,
    asked_checkers,
    ingress_log,
    self_test,
    sha_at_start,
    unreadable_log,
    watch_delays_ms,
)
from rollproof.core.secretsearch import Place, known_values, search_of, searched_places


def bare(source: str, subject: str, *words: str, **data: Any) -> Story:
    told = Story()
    for at, word in enumerate(words, start=1):
        told.tell(source, subject, word, at=at, **data)
    return told


def rollout(*words: str, **data: Any) -> Rollout:
    found = find_rollout(bare("release", "Release/x", "started", *words, **data).facts())
    assert found is not None
    return found


def test_a_rollout() -> None:
    found = rollout("failed")
    assert (found.from_sha, found.to_sha, found.old_uids, found.old_templates) == ("", "", (), frozenset())
    assert (found.cause, found.failed_at, found.look_at, found.taken_over) == ("", "", "", False)
    assert found.name == "the release of ?"
    assert found.why_unfinished() == "failed at stage '?': no reason"
    assert (found.restart, found.happened, found.over_s) == (False, None, None)


def test_the_stages_of_a_rollout() -> None:
    found = rollout("committed", "pushed", "seen", "old-gone")
    assert (found.pushed_commit, found.superseded_by, found.forward, found.overlay_place) == ("", "", False, None)
    assert (found.cause, found.failed_at, found.look_at) == ("", "", "")
    assert found.happened is None  # no old pod is known that could have gone
    assert rollout("seen", revision="r", superseded=True).superseded_by == "r"
    assert rollout("seen", revision="r").superseded_by == ""
    assert rollout().why_unfinished() == "it got no further than 'started'"


def test_a_rollout_with_all_that_is_told_of_it() -> None:
    old = [{"uid": "u", "template_hash": "h"}, {"uid": "v"}]
    words = {"old_sha": "a", "new_sha": "b", "stage": "synced", "cause": "Superseded", "look_at": "l", "reason": "why"}
    found = rollout("pushed", "failed", old_pods=old, commit="c", restart=True, **words)
    assert (found.name, found.from_sha, found.to_sha, found.pushed_commit) == ("the release of b", "a", "b", "c")
    assert (found.failed_at, found.cause, found.look_at, found.restart) == ("synced", "Superseded", "l", True)
    assert (found.old_uids, found.old_templates) == (("u", "v"), {"h"})
    assert found.why_unfinished() == "Superseded at stage 'synced': why"


@pytest.mark.parametrize(("at", "seen"), [(0.9, False), (1.0, True), (1.1, True)])
def test_an_old_pod_that_goes_as_the_rollout_begins_is_its_doing(at: float, seen: bool) -> None:
    told = bare("release", "Release/x", "started", old_pods=[{"uid": "u"}])
    told.tell("watch", "Pod/shop/a", "deleted", at=at, uid="u")
    found = find_rollout(told.facts())
    assert found is not None
    assert found.happened is (told.events[-1] if seen else None)


def test_what_belongs_to_another_rollout_is_not_its_own() -> None:
    told = bare("release", "Release/x", "pushed", "failed", "started")
    found = find_rollout(told.facts())
    assert found is not None
    assert (found.stages, found.failed, found.end_s) == ({}, None, None)


def test_a_release_that_nobody_called_bad() -> None:
    assert find_bad_release(bare("release", "Release/x", "started").facts()) is None


def test_the_frame_of_a_run() -> None:
    assert sha_at_start(bare("run", "drill", "started").facts()) == ""
    assert asked_checkers(bare("run", "judge", "asked").events[0]) == []
    calibrated = bare("run", "clock", "calibrated")
    assert watch_delays_ms(calibrated.facts()) == ((), calibrated.events[0])
    assert watch_delays_ms(Story().facts()) == ((), None)


def test_a_self_test() -> None:
    assert self_test(Story().facts()) is None
    assert self_test(bare("load", "Load", "self-test").facts()) == SelfTest(False, {}, "no reason given")


@pytest.mark.parametrize(("word", "read"), [("log", ingress_log), ("log-unreadable", unreadable_log)])
def test_a_log_of_the_ingress(word: str, read: Any) -> None:
    told = bare("ingress", "Ingress", word)
    found = read(told.facts())
    assert (found.event, found.matched, found.masked, found.in_front) == (told.events[0], 0, None, 0)
    assert (found.upstreams, found.retried_ids, found.mute) == (frozenset(), frozenset(), False)
    assert read(bare("ingress", "Ingress", word, matched=1, readable=0).facts()).mute
    assert not read(bare("ingress", "Ingress", word, matched=0, readable=0).facts()).mute
    assert not read(bare("ingress", "Ingress", word, matched=1, readable=1).facts()).mute


def test_an_answer_of_a_proof() -> None:
    (one,) = answers(bare("proof", "Pod/a", "version").facts(), "version", since_s=1.0)
    assert (one.value, one.status, one.took_s) == (None, 0, None)
    assert not list(answers(bare("proof", "Pod/a", "version").facts(), "version", since_s=1.1))


def test_a_search_for_secrets() -> None:
    found = search_of(bare("secrets", "Secrets/git", "searched").facts(), "git")
    assert found is not None
    assert [found.texts, found.size_bytes, found.planted, found.planted_found, found.found, found.alike] == [0] * 6
    assert (found.cut, found.hits, found.alike_hits, found.alike_planted_found, found.checked) == ("", (), (), None, 0)
    told = bare("secrets", "Secrets/values", "known")
    assert searched_places(told.facts()) == searched_places(Story().facts()) == tuple(Place)[:5]
    assert searched_places(bare("secrets", "Secrets/values", "known", places=["run"]).facts()) == (Place.RUN,)
    assert known_values(told.facts()) == (told.events[0], (), {})
