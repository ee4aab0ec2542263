"""What pods that do not come up say is read before it is gone: bounded, without secrets, and never an error."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import story
import views

from rollproof.clients.kube import ApiError, UnreachableError
from rollproof.core import kept
from rollproof.core.event import Event, Outcome
from rollproof.core.kept import ContainerKept, EventKept, LogKept, kept_containers, kept_events, kept_logs, unread_parts
from rollproof.errors import RollproofError
from rollproof.probes.keeping import Keeper
from rollproof.probes.views import DeploymentView, PodView, ReplicaSetView
from rollproof.redaction import SECRETS
from rollproof.store import manifest
from rollproof.store.runfolder import UnwritableError

NOW = "2099-01-01T00:00:00Z"  # after any drill's begin, however slow the machine
LONG_AGO = "2020-01-01T00:00:00Z"
TOKEN = "ghp_" + "a1B2" * 9  # the form of a token of GitHub


def event(of: str, reason: str, *, at: str = NOW, message: str = "said", **more: Any) -> dict[str, Any]:
    kind, _, name = of.partition("/")
    return {
        "metadata": {"name": f"{name}.1"}, "involvedObject": {"kind": kind, "name": name}, "reason": reason,
        "type": "Warning", "message": message, "lastTimestamp": at, "count": 3, **more,
    }  # fmt: skip


def container(*, restarts: int = 0, **state: Any) -> dict[str, Any]:
    last = {"terminated": {"reason": "OOMKilled", "exitCode": 137}} if restarts else {}
    return {"name": "app", "ready": False, "restartCount": restarts, "state": state, "lastState": last}


class Cluster:
    """A scripted API: containers by pod, logs by (pod, previous), events; an error where one is put."""

    def __init__(self) -> None:
        self.containers: dict[str, list[dict[str, Any]]] = {}
        self.logs: dict[tuple[str, bool], str | RollproofError] = {}
        self.events: list[dict[str, Any]] | RollproofError = []
        self.asked: list[str] = []
        self.clock_s = time.time()

    def wall_s(self) -> float:
        return self.clock_s

    def list(self, kind: str, _namespace: str, *, fields: str = "", within_s: float) -> dict[str, Any]:
        assert within_s > 0
        self.asked.append(kind)
        if kind == "Event":
            if isinstance(self.events, RollproofError):
                raise self.events
            return {"items": self.events}
        name = fields.partition("=")[2]
        found = self.containers.get(name)
        item = {"metadata": {"name": name}, "status": {"containerStatuses": found}}
        return {"items": [item] if found is not None else []}

    def pod_log_end(self, _namespace: str, pod: str, _container: str, *, previous: bool, **_: Any) -> str:
        self.asked.append(f"log of {pod}")
        said = self.logs.get((pod, previous), "")
        if isinstance(said, RollproofError):
            raise said
        return said


class Stage:
    """A keeper on a scripted cluster; its facts, and its files."""

    def __init__(self) -> None:
        self.cluster, self.pods_known = Cluster(), dict[str, PodView]()
        self.told, self.files = story.Story(), dict[str, str]()
        self.keeper = Keeper(story.target(), self.cluster, self, self)  # type: ignore[arg-type]

    def pods(self) -> dict[str, PodView]:
        return self.pods_known

    def deployment(self) -> DeploymentView | None:
        return None

    def replicaset(self, _uid: str) -> ReplicaSetView | None:
        return None

    def redact(self, values: Iterable[str]) -> None:
        SECRETS.add(values)

    def redacted(self, text: str) -> str:
        return SECRETS.text(text)

    def write_text(self, name: str, text: str) -> None:
        self.files[name] = text

    def record(
        self, source: str, subject: str, what: str, *, outcome: Outcome = Outcome.OK, data: Any = None, **_: Any
    ) -> Event:
        self.told.tell(source, subject, what, at=1.0, outcome=outcome, **SECRETS.value(data or {}))
        return self.told.events[-1]

    def states(self) -> list[ContainerKept]:
        return kept_containers(self.told.facts())

    def logs(self) -> list[LogKept]:
        return kept_logs(self.told.facts())

    def events(self) -> list[EventKept]:
        return kept_events(self.told.facts())

    def unread(self) -> list[tuple[str, str, Outcome]]:
        return [(one.subject, one.data["cause"], one.outcome) for one in unread_parts(self.told.facts())]


def crashing() -> Stage:
    """A pod that was killed twice, with a log before and after its restart."""
    stage = Stage()
    stage.pods_known = {"web-1": views.pod(ready=False, restarts=2, reason="CrashLoopBackOff")}
    stage.cluster.containers["web-1"] = [container(restarts=2, waiting={"reason": "CrashLoopBackOff"})]
    stage.cluster.logs = {("web-1", True): "one\ntwo\n", ("web-1", False): "three\n"}
    return stage


def test_state_logs_and_events_are_kept_as_facts_and_files() -> None:
    stage = crashing()
    stage.cluster.events = [event("Pod/web-1", "BackOff"), event("Pod/other", "BackOff")]
    stage.keeper.keep()
    (state,) = stage.states()
    assert state.words == "waits: CrashLoopBackOff, ended last with exit code 137 (OOMKilled, SIGKILL), 2 restarts"
    assert [(one.previous, one.tail) for one in stage.logs()] == [(True, ("one", "two")), (False, ("three",))]
    assert {stage.files[one.file] for one in stage.logs()} == {"one\ntwo\n", "three\n"}
    assert [(one.object, one.reason, one.count) for one in stage.events()] == [("Pod/web-1", "BackOff", 3)]
    assert stage.keeper.kept


def test_a_pod_that_is_well_is_not_read() -> None:
    stage = Stage()
    stage.pods_known = {"web-1": views.pod()}
    stage.keeper.keep()
    assert stage.cluster.asked == ["Event"]


def test_the_pods_that_kept_it_come_first_and_the_rest_is_left_out() -> None:
    stage = Stage()
    stage.pods_known = views.pods(8, ready=False) | {"web-9": views.pod(ready=False, reason="CrashLoopBackOff")}
    stage.cluster.containers = {name: [container(running={"startedAt": NOW})] for name in stage.pods_known}
    stage.keeper.keep()
    assert [one.pod for one in stage.states()] == ["web-9", *(f"web-{i}" for i in range(1, 6))]


def test_what_may_not_be_read_is_told_and_the_rest_is_read() -> None:
    stage = crashing()
    refused = ApiError("pods/log: 403 Forbidden", status=403, reason="Forbidden")
    stage.cluster.logs = {("web-1", True): refused, ("web-1", False): refused}
    stage.cluster.events = ApiError("events: 403", status=403)
    stage.keeper.keep()
    assert stage.states()
    assert {(cause, outcome) for _, cause, outcome in stage.unread()} == {("forbidden", Outcome.UNKNOWN)}
    assert {subject for subject, _, _ in stage.unread()} == {"Pod/shop/web-1", "Events/shop"}


def test_no_answer_is_not_none() -> None:
    stage = crashing()
    stage.cluster.logs = {("web-1", True): ApiError("gone", status=404), ("web-1", False): UnreachableError("away")}
    stage.keeper.keep()
    assert [(cause, outcome) for _, cause, outcome in stage.unread()] == [
        ("absent", Outcome.OK), ("no-answer", Outcome.UNKNOWN),
    ]  # fmt: skip


def test_when_the_time_is_over_nothing_more_is_asked() -> None:
    stage = crashing()
    stage.keeper.keep(within_s=0.0)
    assert stage.cluster.asked == []
    assert {cause for _, cause, _ in stage.unread()} == {"no-answer"}


def test_a_secret_in_a_log_is_in_no_file_and_no_fact() -> None:
    stage = crashing()
    body = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC"
    key = f"-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----"
    stage.cluster.logs = {("web-1", True): f"login with {TOKEN}\n{key}\n", ("web-1", False): "\x1b[31mred\n"}
    stage.cluster.events = [event("Pod/web-1", "Failed", message=f"pull with {TOKEN}")]
    stage.keeper.keep()
    everything = "\n".join([*stage.files.values(), repr(stage.told.events)])
    assert TOKEN not in everything
    assert body not in everything
    assert "\x1b" not in everything


def test_a_long_log_is_cut_at_its_begin() -> None:
    stage = crashing()
    stage.cluster.logs[("web-1", True)] = "\n".join(f"{i:04d} {'x' * 700}" for i in range(200)) + "\nthe end\n"
    stage.keeper.keep()
    log = stage.logs()[0]
    assert log.cut
    assert log.tail[-1] == "the end"
    assert all(len(line) <= 310 for line in log.tail)
    assert len(stage.files[log.file]) <= 64 * 1024


def test_a_last_line_that_is_longer_than_what_is_kept_is_kept_in_part() -> None:
    stage = crashing()
    stage.cluster.logs[("web-1", True)] = "begin\n" + "x" * 200_000 + " the end"
    stage.keeper.keep()
    log = stage.logs()[0]
    assert log.cut
    assert 60_000 < len(stage.files[log.file]) <= 64 * 1024
    assert stage.files[log.file].endswith(" the end")


def test_however_many_secrets_are_in_a_log_none_is_kept_and_few_are_registered() -> None:
    """Each registered one makes the search of everything slower: 12 logs of 150 took minutes, before an undo."""
    stage = crashing()
    tokens = [f"ghp_{number:036d}" for number in range(150)]
    lines = [f"{number:04d}{'QUJD' * 15}" for number in range(45)]
    key = "-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----\n"
    keys = "".join(key.format("\n".join(lines[at : at + 15])) for at in (0, 15, 30))
    before = len(SECRETS.known()["values"])
    stage.cluster.logs = {("web-1", True): "\n".join(tokens), ("web-1", False): keys}
    stage.keeper.keep()
    everything = "\n".join([*stage.files.values(), repr(stage.told.events)])
    assert [one for one in (*tokens, *lines) if one in everything] == []
    assert len(SECRETS.known()["values"]) - before <= 40


def test_a_key_whose_begin_was_cut_away_is_not_kept() -> None:
    stage = crashing()
    body = [f"{number:02d}{'QUJD' * 15}" for number in range(20)]
    log = "\n".join([*body, "QUJDQUJDQUJDQUJDQUJDQUI=", "-----END PRIVATE KEY-----", "and then it began"])
    stage.cluster.logs = {("web-1", True): log, ("web-1", False): f"plain line of the app, before\n{log}"}
    stage.keeper.keep()
    everything = "\n".join([*stage.files.values(), repr(stage.told.events)])
    assert "QUJDQUJD" not in everything
    assert "plain line of the app, before" in everything
    assert "and then it began" in everything


def test_a_secret_that_the_cut_of_a_message_would_halve_is_not_kept() -> None:
    stage = crashing()
    stage.cluster.events = [event("Pod/web-1", "Failed", message=f"{'x' * 480} {TOKEN}")]
    stage.keeper.keep()
    everything = "\n".join([*stage.files.values(), repr(stage.told.events)])
    assert TOKEN[:12] not in everything


def test_of_a_log_that_fills_the_answer_the_newest_lines_are_asked_for() -> None:
    stage = crashing()
    asked: list[int] = []

    def answer(_namespace: str, _pod: str, _container: str, *, lines: int, **_: Any) -> str:
        asked.append(lines)
        return "y" * (1 << 20) if lines > 5 else "newest\n"

    stage.cluster.pod_log_end = answer  # type: ignore[method-assign]
    stage.keeper.keep()
    assert asked == [200, 5, 200, 5]
    assert stage.logs()[0].tail == ("newest",)


def test_a_file_that_cannot_be_written_is_told_and_raises_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It ended a drill as ERROR that had failed for what its pods said."""
    stage = crashing()

    def refuse(_self: Stage, name: str, _text: str) -> None:
        raise UnwritableError(tmp_path / name, OSError(30, "Read-only file system"))

    monkeypatch.setattr(Stage, "write_text", refuse)
    stage.keeper.keep()
    assert stage.states()
    assert [(subject, outcome) for subject, _, outcome in stage.unread()] == [
        ("Pod/shop/web-1", Outcome.UNKNOWN), ("Pod/shop/web-1", Outcome.UNKNOWN), ("Events/shop", Outcome.UNKNOWN),
    ]  # fmt: skip


def test_that_nobody_knows_the_pods_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def ended(_: Stage) -> dict[str, PodView]:
        raise UnreachableError("the watch of Pod in shop broke")

    stage = crashing()
    monkeypatch.setattr(Stage, "pods", ended)
    stage.keeper.keep()
    assert stage.unread() == [("Pods/shop", "no-answer", Outcome.UNKNOWN)]


def test_a_strange_event_does_not_hide_the_others_and_no_sign_that_a_terminal_obeys_is_kept() -> None:
    stage = crashing()
    strange: dict[str, Any] = {"metadata": {"name": "x"}, "involvedObject": "web-1"}
    stage.cluster.events = [strange, event("Pod/web-1", "Bad\x1b]0;x\x07", message="\x1b[31mred\u202e"), strange]
    stage.keeper.keep()
    assert [one.reason for one in stage.events()] == [r"Bad\x1b]0;x\x07"]
    assert stage.unread() == [("Events/shop", "no-answer", Outcome.UNKNOWN)]
    assert all(text.replace("\n", "").isprintable() for text in stage.files.values())


def test_what_is_old_is_told_by_the_clusters_clock() -> None:
    """Its clock is years behind ours: all events of the drill seemed to be of a time before it."""
    stage = Stage()
    stage.pods_known = {"web-1": views.pod("web-1", ready=False)}
    stage.cluster.clock_s = 1_577_836_800.0  # LONG_AGO
    stage.keeper.begin()
    stage.cluster.events = [
        event("Pod/web-1", "Failed", at=LONG_AGO),
        event("Pod/web-1", "Older", at="2019-12-31T23:59:00Z"),
    ]
    stage.keeper.keep()
    assert [one.reason for one in stage.events()] == ["Failed"]


def test_events_of_another_time_are_left_out() -> None:
    stage = crashing()
    stage.cluster.events = [
        event("Pod/web-1", "Unhealthy", at=LONG_AGO),
        event("ReplicaSet/web-1", "FailedCreate", lastTimestamp="", eventTime=NOW),
    ]
    stage.keeper.keep()
    assert [one.reason for one in stage.events()] == ["FailedCreate"]


def test_a_file_of_a_strange_name_is_not_linked() -> None:
    told = story.Story()
    for name in ("../../etc/passwd", "javascript:alert(1)", "podlog-01-x.log.html"):
        told.tell(kept.SOURCE, "Pod/shop/web-1", kept.KeptWord.LOG, at=1.0, container="app", file=name, tail=["x"])
    assert [one.file for one in kept_logs(told.facts())] == ["", "", ""]


def test_kept_files_are_in_the_manifest(tmp_path: Path) -> None:
    (tmp_path / "podlog-01-web-app.log").write_text("one\n")
    manifest.seal(tmp_path)
    (tmp_path / "podlog-01-web-app.log").write_text("two\n")
    assert manifest.changes(tmp_path) == ("podlog-01-web-app.log was changed",)
