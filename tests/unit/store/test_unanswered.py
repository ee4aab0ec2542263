"""Unknown is not "no" (B1): a change that nobody answered is looked for again before it counts as not made."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import story
from fakeapi import FakeApi
from owntime import own_time
from recorder import ListRecorder

from rollproof.clients.kube import ApiError, Kube, Object, UnreachableError
from rollproof.errors import RollproofError, UnansweredError
from rollproof.faults.registry import fault_named, undo_handlers
from rollproof.faults.selfheal.injecting import inject
from rollproof.faults.selfheal.trial import Trial
from rollproof.store import journal as journal_module
from rollproof.store.journal import FolderStore, Journal, Late, Undone, replay

LATE = Late(90.0)


class Clock:
    """Time that passes only while somebody waits; `then` happens in the middle of the first wait."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s, self.waited_s = 1000.0, 0.0
        self.then: Any = lambda: None
        own_time(monkeypatch, journal_module, time=lambda: self.now_s, sleep=self.sleep)

    def sleep(self, seconds: float) -> None:
        self.then()
        self.now_s += seconds
        self.waited_s += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


class Thing:
    """Something that is there or not; its undo takes it away."""

    def __init__(self) -> None:
        self.there = False

    def undo(self, _: Mapping[str, Any]) -> Undone:
        if not self.there:
            return Undone("not-needed", reason="it is as before")
        self.there = False
        return Undone("done")


def journal(folder: Path) -> Journal:
    return Journal(FolderStore(folder / "undo.jsonl"), ListRecorder())


def test_b1_what_comes_late_is_undone_and_does_not_stay(tmp_path: Path, clock: Clock) -> None:
    book, thing = journal(tmp_path), Thing()
    book.gave_up(book.write("a", "x", {}))
    clock.then = lambda: setattr(thing, "there", True)
    ((_, undone),) = replay(book, {"a": thing.undo}, late=LATE)
    assert (undone.how, thing.there) == ("done", False)
    assert clock.waited_s == pytest.approx(90.0)


def test_b1_what_does_not_come_is_told_as_that_with_what_is_not_known(tmp_path: Path, clock: Clock) -> None:
    book = journal(tmp_path)
    book.gave_up(book.write("a", "x", {}))
    clock.now_s += 60.0
    ((_, undone),) = replay(book, {"a": Thing().undo}, late=LATE)
    assert (undone.how, clock.waited_s) == ("not-needed", pytest.approx(30.0))
    assert "90 s after it was asked for without an answer" in undone.reason


def test_b1_meanwhile_it_is_unknown_and_open_in_the_journal_and_on_the_timeline(tmp_path: Path, clock: Clock) -> None:
    told = ListRecorder()
    book = Journal(FolderStore(tmp_path / "undo.jsonl"), told)
    book.write("a", "x", {})  # as a run leaves it that is killed before the answer comes

    def killed() -> None:
        raise KeyboardInterrupt

    clock.then = killed
    with pytest.raises(KeyboardInterrupt):
        replay(book, {"a": Thing().undo}, late=Late(90.0, quiet_s=clock.now_s))
    (entry,) = journal(tmp_path).open_entries()
    assert (entry.state, entry.tried) == ("open", "unknown")
    assert (told.events[-1].what, told.events[-1].outcome) == ("unknown", "unknown")


@pytest.mark.parametrize("made", [True, False])
def test_b1_who_was_answered_is_not_waited_for(tmp_path: Path, clock: Clock, made: bool) -> None:
    book, thing = journal(tmp_path), Thing()
    entry = book.write("a", "x", {})
    if made:
        book.made(entry)
    thing.there = not made
    replay(journal(tmp_path), {"a": thing.undo}, late=Late(90.0, quiet_s=clock.now_s))
    assert clock.waited_s == 0


@pytest.mark.parametrize("gave_up_s", [0.0, 5e9, 1e308, -1e308])
def test_b1_no_clock_makes_anybody_wait_for_longer_than_that(tmp_path: Path, clock: Clock, gave_up_s: float) -> None:
    (tmp_path / "undo.jsonl").write_text(
        f'{{"number": 1, "kind": "a", "subject": "x", "args": {{}}}}\n{{"number": 1, "gave_up_s": {gave_up_s}}}\n'
    )
    book = journal(tmp_path)
    clock.then = lambda: setattr(clock, "now_s", max(clock.now_s, gave_up_s) if gave_up_s < 1e300 else 1e308)
    replay(book, {"a": Thing().undo}, late=Late(90.0, quiet_s=clock.now_s))
    assert clock.waited_s <= 90.0


# -- after the change --------------------------------------------------------------------------------------------------

DRIFT = fault_named("drift-configmap")
TRIAL = Trial(name="configmap", namespace="shop", object_name="c", path=("data", "k"), value="drift")


@pytest.fixture
def world(tmp_path: Path) -> Any:
    api = FakeApi()
    with api.serve(tmp_path) as kubeconfig:
        api.put("configmaps", {"kind": "ConfigMap", "metadata": {"name": "c", "namespace": "shop"}, "data": {"k": "v"}})
        yield api, Kube("fake", str(kubeconfig), timeout_s=30.0)


def answered(monkeypatch: pytest.MonkeyPatch, *errors: RollproofError) -> None:
    """Patches end so, one after the other; then as they are. A dry run changes nothing."""
    real, left = Kube.patch, list(errors)

    def patch(kube: Kube, kind: str, namespace: str, name: str, body: Object, **more: Any) -> Object:
        if more.get("dry_run"):
            return {**kube.get(kind, namespace, name), "data": {"k": "drift"}}
        if left:
            raise left.pop(0)
        return real(kube, kind, namespace, name, body, **more)

    monkeypatch.setattr(Kube, "patch", patch)


def test_b1_a_patch_that_is_held_and_comes_late_is_put_back(
    tmp_path: Path, world: Any, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    api, kube = world
    book = journal(tmp_path)
    answered(monkeypatch, UnansweredError("PATCH: no answer"))
    with pytest.raises(UnansweredError):
        inject(DRIFT, TRIAL, kube, book, ListRecorder())
    (entry,) = book.open_entries()
    assert entry.gave_up_s > 0

    def arrives() -> None:
        item = api.objects["configmaps", "c"]
        api.put("configmaps", {**item, "data": {"k": "drift"}})

    clock.then = arrives
    ((_, undone),) = replay(book, undo_handlers(kube, story.target()), late=LATE)
    assert (undone.how, api.objects["configmaps", "c"]["data"]) == ("done", {"k": "v"})


def test_b1_a_change_whose_connection_breaks_is_unanswered_and_a_question_is_unreachable(world: Any) -> None:
    api, kube = world
    for action, error in (
        (lambda: kube.patch("ConfigMap", "shop", "c", {"data": {"k": "w"}}), UnansweredError),
        (lambda: kube.delete("ConfigMap", "shop", "c"), UnansweredError),
        (lambda: kube.create("ConfigMap", "shop", {"metadata": {"name": "d"}}), UnansweredError),
        (lambda: kube.patch("ConfigMap", "shop", "c", {"data": {"k": "w"}}, dry_run=True), UnreachableError),
        (lambda: kube.get("ConfigMap", "shop", "c"), UnreachableError),
        (lambda: kube.may("patch", "configmaps", "shop"), UnreachableError),
    ):
        api.hang_ups[""] = 1
        with pytest.raises(error):
            action()
        api.hang_ups.clear()


@pytest.mark.parametrize(
    ("error", "is_open"),
    [
        (UnreachableError("no connection: nothing was sent"), True),
        (ApiError("no", status=403), False),
        (ApiError("no", status=422), False),
        (ApiError("busy", status=500), True),
        (ApiError("busy", status=503), True),
        (ApiError("late", status=504), True),
        (UnansweredError("silence"), True),
    ],
)
def test_b1_a_refusal_is_an_answer_and_a_server_that_fails_is_none(
    tmp_path: Path, world: Any, monkeypatch: pytest.MonkeyPatch, error: RollproofError, is_open: bool
) -> None:
    _, kube = world
    book = journal(tmp_path)
    answered(monkeypatch, error)
    with pytest.raises(type(error)):
        inject(DRIFT, TRIAL, kube, book, ListRecorder())
    assert bool(book.open_entries()) is is_open


def test_b1_what_was_never_sent_is_looked_for_once_and_not_waited_for(
    tmp_path: Path, world: Any, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, kube = world
    book = journal(tmp_path)
    answered(monkeypatch, UnreachableError("connection refused"))
    with pytest.raises(UnreachableError):
        inject(DRIFT, TRIAL, kube, book, ListRecorder())
    ((_, undone),) = replay(book, undo_handlers(kube, story.target()), late=Late(90.0, quiet_s=clock.now_s))
    assert (undone.how, clock.waited_s) == ("not-needed", 0)
