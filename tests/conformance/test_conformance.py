"""The conformance list: kind x verb x patch type x watch case -> status, reason, event order.

    pytest tests/conformance                    the sandbox's API server
    pytest tests/conformance --against lab      the lab's real one, in a namespace of its own

Both must pass with the same list. A new use of the API in the harness is a new row here first.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import jsonpointer
import pytest
import urllib3

from rollproof.clients.kube import KINDS, ApiError, Kube
from tests.conformance.listing import ANY, GONE, NAMESPACE, Row, Step, filled, seed_of
from tests.conformance.rows import ROWS

_MARK = "conformance/end"
_NOTED = ("Deployment", "ReplicaSet")  # a real controller writes what it has observed into their status
Object = dict[str, Any]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_row(row: Row, kube: Kube) -> None:
    Run(row, kube).go()


class Run:
    """One row against one server."""

    def __init__(self, row: Row, kube: Kube) -> None:
        self._row = row
        self._kube = kube
        self._words = {"$namespace": NAMESPACE, "$name": row.name, "$version": "", "$uid": ""}
        self._item: Object = {}

    def go(self) -> None:
        if self._row.seeded:
            self._note(self._kube.create(self._row.kind, NAMESPACE, self._seed()))
            self._settle()
        elif self._row.watched:
            self._words["$version"] = self._kube.list(self._row.kind, NAMESPACE)["metadata"]["resourceVersion"]
        watched = self._row.watched
        words = dict(self._words)
        events = Events(self._kube, self._row, self._item, words) if watched and not watched.late else None
        for step in self._row.steps:
            self._do(step)
            self._settle()
        if watched and watched.late:
            events = Events(self._kube, self._row, self._item, words)
        if events:
            assert events.told(self._mark) == self._row.events

    def _settle(self) -> None:
        """On a real cluster: wait until the Deployment's controller has nothing more to write."""
        status = self._item.get("status", {})
        done = status.get("observedGeneration") == self._item.get("metadata", {}).get("generation")
        if self._row.kind != "Deployment" or not self._item or "sandbox" in self._kube.version():
            return
        if done and len(status.get("conditions") or ()) >= 2:
            return
        stream = self._kube.watch(
            "Deployment", NAMESPACE, resource_version=self._words["$version"], fields=f"metadata.name={self._row.name}"
        )
        for type_, item in stream:
            if type_ != "BOOKMARK":
                self._note(item)
                break
        stream.close()
        self._settle()

    def _note(self, item: Object) -> None:
        self._item = item
        self._words["$version"] = item["metadata"]["resourceVersion"]
        self._words["$uid"] = item["metadata"]["uid"]

    def _do(self, step: Step) -> None:
        name = "" if step.path is None else self._row.name + step.other
        place = KINDS[step.kind or self._row.kind].path(NAMESPACE, name)
        path = filled(step.whole_path, self._words) or place + (step.path or "")
        manager = {"fieldManager": step.manager} if step.method in ("POST", "PUT", "PATCH") and step.manager else {}
        response = self._kube._send(
            step.method, path, query={**manager, **filled(step.query, self._words)},
            body=self._body(step), content_type=step.content, timeout_s=20, raise_status=False,
        )  # fmt: skip
        data = response.read()
        try:
            answer = json.loads(data)
        except ValueError:
            answer = {"message": data.decode()}
        said = f"{step.method} {path}: {response.status} {answer}"
        assert response.status == step.status, said
        if response.status >= 400:
            assert answer.get("reason", "") == step.reason, said
            assert answer.get("code", response.status) == response.status
            pattern = str(filled(step.message, {word: re.escape(meaning) for word, meaning in self._words.items()}))
            assert re.fullmatch(pattern, answer["message"].rstrip("\n")), said
        self._check(step, answer, said)

    def _body(self, step: Step) -> Any:
        return filled(step.body(self._item) if callable(step.body) else step.body, self._words)

    def _check(self, step: Step, answer: Object, said: str) -> None:
        for pointer, value in step.holds.items():
            found = jsonpointer.resolve_pointer(answer, str(filled(pointer, self._words)), GONE)
            if value is ANY:
                assert found is not GONE, f"{pointer} is missing: {said}"
            else:
                assert found == filled(value, self._words), f"{pointer} is {found!r}: {said}"
        for manager, fields in step.owned.items():
            entries = [one for one in answer["metadata"]["managedFields"] if one["manager"] == manager]
            wanted = [] if fields is None else [filled(fields, self._words)]
            assert [one["fieldsV1"] for one in entries if not one.get("subresource")] == wanted, said
        if step.version:
            same = answer["metadata"]["resourceVersion"] == self._words["$version"]
            assert same is (step.version == "same"), said
        if step.generation is not None:
            grown = answer["metadata"].get("generation", 0) - self._item["metadata"].get("generation", 0)
            assert grown == step.generation, said
        if response_is_object(answer, self._row.name) and "dryRun" not in step.query and not step.kind:
            self._note(answer)

    def _mark(self) -> None:
        """Make the event that ends the watch: a change of the object, or the object created again."""
        body = {"metadata": {"annotations": {_MARK: "yes"}, "labels": {"row": self._row.name, "app": self._row.name}}}
        try:
            self._kube.patch(self._row.kind, NAMESPACE, self._row.name, body)
        except ApiError as error:
            if error.status != 404:
                raise
            item = self._seed()
            self._kube.create(self._row.kind, NAMESPACE, {**item, "metadata": {**item["metadata"], **body["metadata"]}})

    def _seed(self) -> Object:
        return dict(filled(seed_of(self._row.kind, self._row.name, self._row.seed), self._words))


def response_is_object(answer: Object, name: str) -> bool:
    return answer.get("kind") not in ("Status", None) and (answer.get("metadata") or {}).get("name") == name


class Events:
    """A row's watch, read by a thread until the mark comes or the server ends it."""

    def __init__(self, kube: Kube, row: Row, item: Object, words: Mapping[str, str]) -> None:
        assert row.watched is not None
        self._watched = watched = row.watched
        self._wanted = len(row.events)
        self._events: list[str] = []
        self._items = {row.name: _without_status(item)} if item else {}
        query = {
            "watch": "1", "allowWatchBookmarks": "true", "resourceVersion": watched.since,
            "labelSelector": watched.labels, "fieldSelector": watched.fields, "timeoutSeconds": "60", **watched.query,
        }  # fmt: skip
        self._response = kube._send("GET", KINDS[row.kind].path(NAMESPACE), query=filled(query, words), timeout_s=70)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def told(self, mark: Any) -> tuple[str, ...]:
        if not (self._watched.until_end or self._watched.until_events):
            mark()
        self._thread.join(timeout=60)
        assert not self._thread.is_alive(), f"the watch gave only {self._events}"
        return tuple(self._events)

    def _read(self) -> None:
        with suppress(urllib3.exceptions.HTTPError):  # the server was stopped meanwhile: the events so far are compared
            self._take_all()

    def _take_all(self) -> None:
        rest = b""
        while chunk := self._response.read1(1 << 16):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in filter(None, lines):
                event = json.loads(line)
                ended = self._take(event["type"], event["object"])
                if ended or (self._watched.until_events and len(self._events) == self._wanted):
                    self._response.close()
                    return
        self._events.append("END")

    def _take(self, type_: str, item: Object) -> bool:
        """Add an event; True for the mark. A real controller's write to the status is ignored."""
        if type_ == "ERROR":
            self._events.append(f"ERROR {item['code']} {item['reason']}")
            return False
        metadata = item["metadata"]
        if _MARK in (metadata.get("annotations") or {}):
            return True
        if type_ == "BOOKMARK":
            if self._watched.until_end and self._events[-1:] != [type_]:  # the number of bookmarks is up to the server
                self._events.append(type_)
            return False
        words = _without_status(item)
        if item["kind"] not in _NOTED or type_ != "MODIFIED" or self._items.get(metadata["name"]) != words:
            self._events.append(type_)
        self._items[metadata["name"]] = words
        return False


def _without_status(item: Object) -> Object:
    words = {key: value for key, value in item.items() if key not in ("status", "metadata")}
    metadata = {k: v for k, v in item["metadata"].items() if k not in ("resourceVersion", "managedFields")}
    return {**words, "metadata": metadata}


def test_without_a_token(kube: Kube) -> None:
    status, answer = _ask(kube, {})
    assert (status, answer["reason"]) == (403, "Forbidden")
    assert answer["message"] == (
        f'configmaps is forbidden: User "system:anonymous" cannot list resource "configmaps" in API group "" '
        f'in the namespace "{NAMESPACE}"'
    )
    assert _ask(kube, {}, "/version")[0] == 200


def test_with_a_wrong_token(kube: Kube) -> None:
    status, answer = _ask(kube, {"Authorization": "Bearer nobody-knows-this-one"})
    assert (status, answer["reason"], answer["message"]) == (401, "Unauthorized", "Unauthorized")


def _ask(kube: Kube, headers: Mapping[str, str], path: str = KINDS["ConfigMap"].path(NAMESPACE)) -> tuple[int, Object]:
    """A request without the kubeconfig's token and client certificate."""
    known = kube._client().configuration
    with urllib3.PoolManager(ca_certs=known.ssl_ca_cert) as pool:
        response = pool.request("GET", f"{known.host}{path}", headers=dict(headers), retries=False)
        return response.status, response.json()
