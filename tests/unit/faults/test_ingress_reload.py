"""Ingress reload against a small API server: the entry answers for the hosts of the Ingresses that are there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from faults.databasestage import DatabaseStage, World

from rollproof.clients.http import Answer
from rollproof.core.injection import Skip
from rollproof.core.target import Control
from rollproof.faults.ingress_reload import FAULT

OURS = ("ingresses", "rollproof-ingress-reload")
LABEL = {"app.kubernetes.io/managed-by": "rollproof"}
FELT = ["planned", "injecting", "injected", "effect"]
CONTROL = Control(url="http://127.0.0.1:1/", off_entry_url="http://127.0.0.1:2/")


class Entry(DatabaseStage):
    """`follows`: whether the controller takes new Ingresses in; `forgets`: also that they go."""

    follows, forgets, answers_all = True, True, False
    known: set[str] = set()  # noqa: RUF012 - set anew by each test's fixture

    def get(self, path: str, *, host: str = "") -> Answer:
        now = {
            rule["host"] for (plural, _), item in self.api.objects.items() if plural == "ingresses" and self.follows
            for rule in item["spec"]["rules"]
        }  # fmt: skip
        self.known = now if self.forgets else self.known | now
        if host and host not in self.known and not self.answers_all:
            return Answer(status=404)
        return super().get(path)


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Entry]:
    monkeypatch.setattr("rollproof.faults.runner._APART_S", 0.05)
    monkeypatch.setattr("rollproof.faults.ingress_reload._EACH_S", 0.05)
    with ExitStack() as stack:
        stage = Entry(FAULT, World(), tmp_path, stack, control=CONTROL)
        stage.known = set()
        stage.api.put("ingresses", _ingress("web", "shop.example"))
        app = replace(stage.target.app, host="shop.example")
        stage.target = replace(stage.target, app=app)
        stage.live = replace(stage.live, target=stage.target)
        yield stage


def _ingress(name: str, *hosts: str, labels: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    backend = {"service": {"name": "web", "port": {"name": "http"}}}
    paths = [{"path": "/", "pathType": "Prefix", "backend": backend}]
    rules = [{"host": host, "http": {"paths": paths}} for host in hosts]
    return {
        "metadata": {"name": name, "namespace": "shop", "labels": labels or {}},
        "spec": {"ingressClassName": "nginx", "rules": rules, **spec},
    }  # fmt: skip


def test_an_ingress_that_comes_changes_and_goes(stage: Entry) -> None:
    injection = stage.injection()
    assert injection.subject == "Ingress/shop/rollproof-ingress-reload"
    assert "a Job in shop whose deadline deletes it" in injection.dead_man
    assert FAULT.blast(injection, stage.target).pods == 0
    assert stage.run(injection) == [*FELT, "undone", "recovered"]
    assert OURS not in stage.api.objects
    assert stage.journal.open_entries() == []
    host = injection.args["host"]
    assert host.endswith(".invalid")
    changes = [body for method, path, body in stage.api.sent if method == "PATCH" and path.endswith(OURS[1])]
    assert changes, "it is changed while it is held"
    made = next(body for method, path, body in stage.api.sent if method == "POST" and path.endswith("/ingresses"))
    assert made["spec"]["ingressClassName"] == "nginx"
    assert made["metadata"]["ownerReferences"][0]["kind"] == "Job"
    for body in (made, *changes):
        assert [rule["host"] for rule in body["spec"]["rules"]] == [host], "no other host is ever touched"


def test_a_controller_that_does_not_take_it_in_is_no_effect(stage: Entry) -> None:
    stage.follows = False
    assert stage.run() == ["planned", "injecting", "injected", "no-effect", "undone"]
    assert OURS not in stage.api.objects


def test_a_controller_that_does_not_forget_it_is_no_recovery(stage: Entry) -> None:
    stage.forgets = False
    assert stage.run() == [*FELT, "undone", "not-recovered"]
    assert "still answers for the host" in str(stage.said("not-recovered").data["last_seen"])


def test_an_entry_that_answers_for_any_host_is_void(stage: Entry) -> None:
    stage.answers_all = True
    assert stage.run() == ["planned", "void"]
    assert "answers for any host" in str(stage.said("void").data["reason"])
    assert OURS not in stage.api.objects


def test_an_ingress_of_that_name_is_void_and_stays(stage: Entry) -> None:
    injection = stage.injection()
    stage.api.put("ingresses", _ingress(OURS[1], "other.example"))
    assert stage.run(injection) == ["planned", "injecting", "void"]
    assert OURS in stage.api.objects


def test_undone_twice_and_never_what_is_somebody_elses(stage: Entry) -> None:
    args = stage.injection().args
    assert FAULT.undo(stage.kube, args).how == "not-needed"
    stage.api.put("ingresses", _ingress(OURS[1], args["host"], labels=LABEL))
    assert FAULT.undo(stage.kube, args).how == "done"
    assert FAULT.undo(stage.kube, args).how == "not-needed"
    for theirs in (_ingress(OURS[1], args["host"]), _ingress(OURS[1], args["host"], "other.example", labels=LABEL)):
        stage.api.put("ingresses", theirs)
        assert FAULT.undo(stage.kube, args).how == "left"
        assert OURS in stage.api.objects


def test_what_cannot_be_done_is_skipped_with_its_reason(stage: Entry) -> None:
    def reason(**changes: Any) -> str:
        skip = stage.available(**changes)
        assert isinstance(skip, Skip)
        return skip.reason

    assert "off_entry_url must name something else" in reason(control=None)
    stage.api.put("ingresses", _ingress("web", "shop.example", ingressClassName="alb"))
    assert "class alb makes a load balancer of each Ingress" in reason()
    stage.api.put("ingresses", _ingress("web", "shop.example", ingressClassName=None))
    assert "names no class" in reason()
    stage.api.put("ingresses", _ingress("web", "other.example"))
    assert "sends the app's host to Service web" in reason()
    stage.api.put("ingresses", _ingress("web", "shop.example"))
    stage.api.put("ingresses", _ingress(OURS[1], "x.invalid"))
    assert "rollproof undo --all" in reason()
    assert [method for method, _, _ in stage.api.asked if method != "GET"] == []
