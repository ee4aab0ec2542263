"""Proof: each pod and the ingress are asked which version answers, and whether its database answers.

Each answer is one fact; a checker combines them. "Synced and Healthy" is never a proof (docs/argocd.md 2.3). Pods are
asked through the API server's pods/proxy, else by port-forward; the way is in the facts, and it is a fact too if
neither is allowed.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from rollproof.clients.http import Answer, Http, pointed
from rollproof.clients.kube import Kube
from rollproof.core.event import Event, Outcome, Recorder
from rollproof.core.outside import says
from rollproof.core.reasons import StageCause
from rollproof.core.target import Target
from rollproof.probes.ways import PodWays

__all__ = ["NotProven", "Prover"]

_PAUSE_S = 0.2  # between two questions when the first got no answer
_LATE_S = 1.0  # how much longer than the time limit of an answer a request waits
_PATIENCE_S = 30.0  # for the row of answers through the ingress
_GLANCE_S = 2.0  # for one answer, where it is wanted for the reason only


@dataclass(frozen=True, slots=True)
class NotProven:
    """Why a version is not proven: WRONG_VERSION or NO_ANSWER, and the sentence for people."""

    cause: StageCause
    why: str


class Prover:
    """Asks the app of one target. It never waits for a rollout: it is called when a stage is over."""

    def __init__(
        self, target: Target, kube: Kube, http: Http, recorder: Recorder, ways: PodWays | None = None
    ) -> None:  # fmt: skip
        self._target = target
        self._http = http
        self._recorder = recorder
        self._ways = ways or PodWays(kube, target.cluster.namespace, target.app.pod_port)
        self.missed_s: float | None = None  # when the last question of a proof began that was not answered as wanted

    def prove(self, pods: Iterable[str], expected: str) -> NotProven | None:
        """Ask every pod and the ingress for version and database; None if the version is proven, else why not.

        The database's state is recorded and does not decide here: a wrong one does not mean that the release is
        missing.
        """
        missing: NotProven | None = None
        for pod in sorted(pods):
            if self._ways.names:
                missing = missing or self._prove_pod(pod, expected)
        missing = missing or self._prove_ingress(expected)
        self._database("Ingress", self._http.get(self._target.app.ready_path), "ingress")
        return missing

    def ask_pods(self, pods: Iterable[str], expected: str) -> Mapping[str, Outcome]:
        """State of each pod's database, by pod: OK, FAIL (not available), or UNKNOWN if the pod did not say; versions
        are recorded.

        Asked once: a 503 is an answer here, and its duration is recorded. If the version was answered, the database is
        asked for by the same way, for 1 s longer than its limit. A pod that may not be asked (no permission) is left
        out.
        """
        said: dict[str, Outcome] = {}
        app, patience_s = self._target.app, self._target.faults.ready_answer_s + _LATE_S
        for pod in sorted(pods):
            subject = f"Pod/{self._target.cluster.namespace}/{pod}"
            since_s = time.monotonic()
            answer, way = self._ways.ask(pod, app.health_path, tries=1)
            if not self._ways.names:
                return said
            version = self._version(subject, answer, expected, way, since_s=since_s)
            since_s = time.monotonic()
            if version.outcome is Outcome.UNKNOWN:
                answer, way = self._ways.ask(pod, app.ready_path, tries=1)
            else:
                answer = self._ways.ask_once(pod, app.ready_path, way, timeout_s=patience_s)
            said[pod] = self._database(subject, answer, way, since_s=since_s).outcome
        return said

    def ask_entry(self, expected: str) -> bool:
        """Whether the ingress answers with that version now, and says that the database answers."""
        version = self._version("Ingress", self._http.get(self._target.app.health_path), expected, "ingress")
        database = self._database("Ingress", self._http.get(self._target.app.ready_path), "ingress")
        return version.outcome is Outcome.OK and database.outcome is Outcome.OK

    def glance(self, pods: Iterable[str], expected: str) -> None:
        """One short question to each pod, and a second one if it answers: for the reason, where no proof is wanted."""
        app = self._target.app
        for pod in sorted(pods):
            if not self._ways.names:
                return
            subject, way = f"Pod/{self._target.cluster.namespace}/{pod}", self._ways.names[0]
            answer = self._ways.ask_once(pod, app.health_path, way, timeout_s=_GLANCE_S)
            self._version(subject, answer, expected, way)
            if answer.status is not None:
                self._database(subject, self._ways.ask_once(pod, app.ready_path, way, timeout_s=_GLANCE_S), way)

    def database_said(self, pod: str) -> Outcome:
        """What a pod says of its database, asked once; UNKNOWN if it says nothing. Proves nothing: no fact."""
        app = self._target.app
        answer, _ = self._ways.ask(pod, app.ready_path, tries=1)
        value, _ = _field(answer, app.database_pointer, only_ok=False)
        return _outcome(value, app.database_ok)

    def answers_as(self, host: str) -> bool:
        """Whether the ingress answers for another host as it does for the app; says nothing of the app: no fact."""
        return self._http.get(self._target.app.health_path, host=host).status == HTTPStatus.OK

    def ask_unready(self, pod: str, expected: str) -> None:
        """Record what a pod that does not get ready answers: the same facts, needed for the reason and not as proof."""
        if self._ways.names:
            self._prove_pod(pod, expected)

    def _prove_pod(self, pod: str, expected: str) -> NotProven | None:
        """Why this pod's version is not proven; None also if single pods may not be asked, which is recorded."""
        app = self._target.app
        subject = f"Pod/{self._target.cluster.namespace}/{pod}"
        begun_s = time.monotonic()
        answer, way = self._ways.ask(pod, app.health_path)
        if not self._ways.names:
            data = {"reason": f"neither pods/proxy nor port-forward: {answer.error}"}
            self._recorder.record("proof", "Pods", "not-reachable", outcome=Outcome.UNKNOWN, data=data)
            return None
        event = self._version(subject, answer, expected, way)
        if event.outcome is not Outcome.OK:
            self.missed_s = begun_s
        self._database(subject, *self._ways.ask(pod, app.ready_path))
        return _missing(event)

    def _prove_ingress(self, expected: str) -> NotProven | None:
        """`proof_count` right answers in a row over new connections; the first wrong one ends it."""
        wanted = self._target.release.proof_count
        deadline_s = time.monotonic() + _PATIENCE_S
        in_a_row = 0
        event: Event | None = None
        while in_a_row < wanted and (event is None or time.monotonic() < deadline_s):
            if event is not None and event.outcome is Outcome.UNKNOWN:
                time.sleep(_PAUSE_S)
            begun_s = time.monotonic()
            event = self._version("Ingress", self._http.get(self._target.app.health_path), expected, "ingress")
            if event.outcome is not Outcome.OK:
                self.missed_s = begun_s
            if event.outcome is Outcome.FAIL:
                return _missing(event)
            in_a_row = in_a_row + 1 if event.outcome is Outcome.OK else 0
        if in_a_row >= wanted or event is None:
            return None
        why = f"only {in_a_row} of {wanted} answers in a row through the ingress within {_PATIENCE_S:.0f} s"
        return NotProven(StageCause.NO_ANSWER, why)

    def _version(
        self, subject: str, answer: Answer, expected: str, via: str, *, since_s: float | None = None
    ) -> Event:  # fmt: skip
        value, error = _field(answer, self._target.app.version_pointer)
        data = {"version": value, "expected": expected, "status": answer.status, "error": error, "via": via}
        return self._record(subject, "version", value, expected, {**data, **_took(since_s)})

    def _database(self, subject: str, answer: Answer, via: str, *, since_s: float | None = None) -> Event:
        app = self._target.app
        value, error = _field(answer, app.database_pointer, only_ok=False)
        data = {"value": value, "expected": app.database_ok, "status": answer.status, "error": error, "via": via}
        return self._record(subject, "database", value, app.database_ok, {**data, **_took(since_s)})

    def _record(self, subject: str, what: str, value: Any, expected: str, data: Mapping[str, Any]) -> Event:
        return self._recorder.record("proof", subject, what, outcome=_outcome(value, expected), data=data)


def _outcome(value: Any, expected: str) -> Outcome:
    return Outcome.UNKNOWN if value is None else Outcome.OK if says(value, expected) else Outcome.FAIL


def _took(since_s: float | None) -> Mapping[str, float]:
    """The duration of a request that was sent at that time, whether there was an answer or not (s)."""
    return {} if since_s is None else {"took_s": round(time.monotonic() - since_s, 3)}


def _field(answer: Answer, pointer: str, *, only_ok: bool = True) -> tuple[Any, str]:
    """(value, error): a version counts only with status 200; a database status also with 503 (it is down)."""
    if answer.error:
        return None, answer.error
    if only_ok and answer.status != 200:
        return None, f"HTTP status {answer.status}"
    try:
        return pointed(answer.body, pointer), ""
    except LookupError as error:
        return None, str(error)


def _missing(event: Event) -> NotProven | None:
    """What an answer leaves to be proven, by its outcome only: the text of the answer may be that of any page."""
    data = event.data
    if event.outcome is Outcome.OK:
        return None
    if event.outcome is Outcome.FAIL:
        said = f"version {data['version']} instead of {data['expected']}"
        return NotProven(StageCause.WRONG_VERSION, f"{event.subject}: {said}")
    return NotProven(StageCause.NO_ANSWER, f"{event.subject}: no version ({data['error']})")
