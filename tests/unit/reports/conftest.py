"""A made-up run that looks like a real one: a release with an outage of 300 ms, drift, and a rollback that is clean."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest

from rollproof.core.diagnosis import Patch
from rollproof.core.event import Event, Outcome
from rollproof.core.facts import Facts
from rollproof.core.plan import SCHEMA, Plan, Touch
from rollproof.core.requests import REQUEST_DTYPE, EngineFacts, RequestLog
from rollproof.core.target import App, ArgoCd, Cluster, Control, EnvRepo, Fences, Target
from rollproof.core.verdict import Finding, Result, Verdict
from rollproof.judge.checkers import availability
from rollproof.judge.diagnose import rank
from rollproof.reports.model import Report

OLD, NEW = "a1b2c3d", "e4f5a6b"
COMMIT, REVERT = "7" * 39 + "a", "8" * 39 + "b"
LANES = ("get", "post", "new", "slow", "control")
OUTCOMES = ("", "connect.ECONNREFUSED", "http.502", "read.eof")
PODS = ("", "shop-6f9c-aaaaa", "shop-6f9c-bbbbb", "shop-7d4b-ccccc", "shop-7d4b-ddddd")
RATE = 200


@dataclass
class Story:
    """Events with growing numbers; `at` counts from 1000 s, where the run begins."""

    drill: str = ""
    events: list[Event] = field(default_factory=list)

    def tell(
        self,
        source: str,
        subject: str,
        what: str,
        at: float,
        until: float | None = None,
        *,
        ok: bool = True,
        **data: Any,
    ) -> Event:
        outcome = Outcome.OK if ok else Outcome.UNKNOWN
        wall = f"2026-11-24T09:{int(at) // 60:02d}:{at % 60:06.3f}+00:00"
        end_s = 1000.0 + (at if until is None else until)
        names = {key.rstrip("_"): value for key, value in data.items()}
        event = Event(len(self.events) + 1, 1000.0 + at, end_s, wall, self.drill, source, subject, what, outcome, names)
        self.events.append(event)
        return event

    def phases(self, *stretches: tuple[str, float, float]) -> None:
        for name, at, until in stretches:
            self.tell("run", "phase", name, at, until)

    def pod(self, name: str, sha: str, moments: list[tuple[float, str]], ip: str) -> None:
        for at, state in moments:
            what = {"new": "added", "gone": "deleted"}.get(state, "modified")
            self.tell(
                "watch", f"Pod/shop/{name}", what, at, uid=f"uid-{name}", template_hash=name.split("-")[1],
                image=f"registry.local/shop:{sha}", ip=ip, phase="Running", node="worker",
                ready=state in {"ready", "start"}, terminating=state in {"ending", "gone"}, reason="",
                initial=state == "start",
            )  # fmt: skip

    def endpoints(self, *words: tuple[float, list[str]]) -> None:
        for at, ready in words:
            self.tell("watch", "EndpointSlice/shop/shop-x1", "modified", at, service="shop", ready=ready, serving=ready)


def rollout(story: Story, source: str, begin: float, pods: tuple[int, int, int, int], old: str, new: str) -> None:
    """The stages of one rollout and what the watches saw of it; `pods` are two old and two new ones."""
    t = begin
    sha = new if source == "release" else old
    ips = {number: f"10.244.1.{10 + number + int(begin) % 7}" for number in pods}
    names = [PODS[number] + ("" if source == "release" else "2") * (number in pods[2:]) for number in pods]
    first, second, third, fourth = pods
    uids = [f"uid-{name}" for name in names[:2]]
    back = source == "rollback"
    subject = f"{'Rollback' if back else 'Release'}/{sha}"
    commit = REVERT if back else COMMIT
    tell = story.tell
    tell(
        source, subject, "started", t, old_sha=OLD, new_sha=NEW, mode="push", restart=False, reverts=COMMIT,
        old_pods=[{"name": name, "uid": uid} for name, uid in zip(names[:2], uids, strict=True)],
    )  # fmt: skip
    tell(source, subject, "committed", t, t + 0.31, commit=commit, parent="9" * 40, path="overlays/dev")
    tell(source, subject, "pushed", t + 0.31, t + 0.62, commit=commit, attempts=1)
    tell(source, subject, "refresh-asked", t + 0.65, count=2)
    app = {"health": "Healthy", "attempts": 0, "automated": True}
    tell("watch", "Application/argocd/shop", "modified", t + 1.9, sync_status="OutOfSync", sync_revision=commit, **app)
    tell(source, subject, "seen", t + 0.62, t + 1.9, revision=commit, superseded=False)
    app["health"] = "Progressing"
    tell("watch", "Application/argocd/shop", "modified", t + 3.1, sync_status="Synced", sync_revision=commit, **app)
    tell(source, subject, "synced", t + 1.9, t + 3.1, operation_revision=commit)
    to, sha_from, sha_to = t + 3.2, (new if back else old), (old if back else new)
    story.pod(names[2], sha_to, [(to, "new"), (to + 6.1, "ready")], ips[third])
    story.endpoints((to + 6.2, [ips[first], ips[second], ips[third]]), (to + 6.5, [ips[second], ips[third]]))
    story.pod(names[0], sha_from, [(to + 6.3, "ending"), (to + 17.0, "gone")], ips[first])
    story.pod(names[3], sha_to, [(to + 6.6, "new"), (to + 12.9, "ready")], ips[fourth])
    story.endpoints((to + 13.0, [ips[second], ips[third], ips[fourth]]), (to + 13.5, [ips[third], ips[fourth]]))
    story.pod(names[1], sha_from, [(to + 13.1, "ending"), (to + 23.8, "gone")], ips[second])
    tell(source, subject, "rolled-out", t + 3.1, to + 13.0, template_hash=names[2].split("-")[1], replicas=2)
    app["health"] = "Healthy"
    tell("watch", "Application/argocd/shop", "modified", to + 13.2, sync_status="Synced", sync_revision=commit, **app)
    for index, at in enumerate(np.linspace(to + 13.4, to + 14.6, 12)):
        where = "Ingress" if index % 3 == 0 else f"Pod/shop/{names[2 + index % 2]}"
        tell("proof", where, "version", at, at + 0.02, version=sha_to, expected=sha_to, status=200, error="")
        if index < 3:
            tell("proof", where, "database", at, at + 0.03, value="ok", expected="ok", status=200, error="")
    tell(source, subject, "proven", to + 13.0, to + 14.7, pods=2, ingress_answers=20)
    tell(source, subject, "old-gone", to + 13.0, to + 23.8, uids=uids)


def requests(
    begin: float,
    seconds: float,
    switch: tuple[float, float],
    outage: tuple[float, float] | None = None,
    versions: tuple[int, int] = (1, 2),
) -> RequestLog:
    """RATE a second over the lanes; within `switch` both versions answer, within `outage` most lanes fail."""
    count = int(seconds * RATE)
    k = np.arange(count)
    rows = np.zeros(count, dtype=REQUEST_DTYPE)
    noise = (k * 0.6180339887) % 1.0  # evenly spread, and the same with every numpy
    sent_s = 1000.0 + begin + k / RATE
    rows["k"] = k
    rows["lane"] = np.array([0, 2, 0, 1, 0, 4, 0, 2, 0, 1], dtype="u1")[k % 10]
    rows["lane"][k % 97 == 0] = 3
    busy = ((sent_s - 1000 > switch[0]) & (sent_s - 1000 < switch[1])) * 9.0
    took_ms = 5 + 4 * noise + busy * noise**4 + (noise > 0.985) * 30 + (rows["lane"] == 3) * 300
    rows["intended_ns"] = (sent_s * 1e9).astype(np.int64)
    rows["send_ns"] = rows["intended_ns"] + (80_000 * (1 + noise)).astype(np.int64)
    rows["status"] = 200
    at = sent_s - 1000
    new = (at >= switch[1]) | ((at >= switch[0]) & (k % 2 == 0))
    rows["version"] = np.where(new, versions[1], versions[0])
    rows["served_by"] = np.where(new, 3, 1) + k // 2 % 2
    rows["reused"] = rows["lane"] != 2
    rows["idle_ms"] = 40 * noise
    rows["connection_requests"] = k % 500
    rows[rows["lane"] == 4]["version"] = 0
    if outage is not None:
        bad = (at >= outage[0]) & (at < outage[1]) & (rows["lane"] < 3)
        rows["outcome"][bad] = np.where(rows["lane"][bad] == 2, 1, 2)
        rows["status"][bad] = np.where(rows["lane"][bad] == 2, 0, 502)
        for name in ("version", "served_by"):
            rows[name][bad] = 0
        took_ms = np.where(bad, 1.2, took_ms)
    rows["first_byte_ns"] = rows["send_ns"] + (took_ms * 0.9e6).astype(np.int64)
    rows["done_ns"] = rows["send_ns"] + (took_ms * 1e6).astype(np.int64)
    late = np.array([[int((1000 + begin + 5.0) * 1e9), 9_000_000]], dtype=np.int64)
    engine = EngineFacts(
        rate_per_s=RATE, start_ns=int(rows["send_ns"][0]), end_ns=int(rows["done_ns"].max()), planned=count,
        dispatched=count, unfinished=0, dropped=0, cpu_s=4.2, scheduling="SCHED_FIFO 50", request_id_prefix="rp-7f3a",
        late_ns=late, monotonic_ns=(0, 1), wall_s=(0.0, 1e-9), locust_requests=count,
    )  # fmt: skip
    return RequestLog(
        rows=rows, lanes=LANES, outcomes=OUTCOMES, versions=("", OLD, NEW), pods=PODS,
        open_loop=("get", "post", "new", "control"), control="control", engine=engine,
    )  # fmt: skip


def drift(story: Story) -> None:
    """Six trials, one after the other."""
    story.tell(
        "drift", "Drift", "model", 101.0, version="v3.2.6", rule="quiet", known=True, start_s=2.0, factor=3.0,
        cap_s=300.0, cooldown_s=330.0, fixed_delay_s=0.0,
    )  # fmt: skip
    trials = (
        ("image", "Deployment/shop/shop", "image → shop:drift", 102.0, 0.0, 0.58, 0),
        ("env", "Deployment/shop/shop", "env GREETING → drifted", 106.0, 0.0, 0.41, 1),
        ("configmap", "ConfigMap/shop/shop-config", "data.mode → drifted", 110.0, 3.61, 4.12, 2),
        ("delete-service", "Service/shop/shop", "deleted", 117.0, 15.2, 15.97, 3),
    )
    for name, thing, change, at, remaining_s, took_s, attempts in trials:
        tell, subject, done = story.tell, f"Drift/{name}", at + took_s
        gap_s = 0.0 if attempts == 0 else 2.0 * 3 ** (attempts - 1)
        tell("drift", subject, "planned", at - 0.6, object=thing, change=change, undo="restore", kind="heal")
        tell(
            "drift", subject, "before", at - 0.4, attempts=attempts, gap_s=gap_s, remaining_s=remaining_s, fair=True,
            self_heal=True, automated=True, phase="Succeeded",
        )  # fmt: skip
        tell("drift", subject, "injected", at - 0.03, at, field=change.split()[0], from_="a", to="b", deleted=False)
        tell("drift", subject, "detected", at, at + 0.2)
        tell("drift", subject, "restored", at, done, resource_version="901", manager="argocd-controller", value="a")
        tell("drift", subject, "synced", at, done + 0.1)
        tell("drift", subject, "healthy", at, done + 0.9)
        tell("drift", subject, "after", done + 1, attempts=attempts + 1, initiated_by="automated", automated=True)
        tell("drift", subject, "undone", done + 1, by="self-heal")
    tell, subject = story.tell, "Drift/replicas"
    tell("drift", subject, "planned", 135.0, object="Deployment/shop/shop", change="replicas → 3", kind="heal")
    tell("drift", subject, "skipped", 135.1, reason="an HPA owns replicas")
    subject = "Drift/undeclared-annotation"
    tell("drift", subject, "planned", 136.0, object="Service/shop/shop", change="annotation", kind="control")
    tell("drift", subject, "injected", 136.2, 136.25, field="annotation", from_=None, to="x")
    tell("drift", subject, "stayed", 136.25, 146.25, watched_s=10)
    tell("drift", subject, "undone", 146.4, by="harness")


def the_plan() -> Plan:
    target = Target(
        name="lab",
        cluster=Cluster(context="kind-rollproof", namespace="shop", deployment="shop", service="shop"),
        argocd=ArgoCd(application="shop"),
        env_repo=EnvRepo(url="http://127.0.0.1:8081/env.git", overlay="overlays/dev", image="shop"),
        app=App(base_url="http://127.0.0.1:8080", host="shop.local", post_path="/echo", slow_path="/slow"),
        fences=Fences(namespaces=("shop",)),
        control=Control(url="http://127.0.0.1:8080/control"),
    )
    touches = (
        Touch(drill="zero-downtime", subject="overlays/dev", change=f"newTag {OLD} → {NEW}", undo="git revert"),
        Touch(drill="drift", subject="Deployment/shop/shop", change="image, env", undo="restore the field"),
        Touch(drill="rollback", subject="overlays/dev", change=f"revert of {NEW}", undo="none needed"),
    )
    return Plan(
        schema=SCHEMA, run_id="20261124T090000Z-all", drills=("zero-downtime", "drift", "rollback"), target=target,
        old_sha=OLD, new_sha=NEW, restart=False, keep="never", env_repo_head="9" * 40, touches=touches,
    )  # fmt: skip


def the_verdicts() -> tuple[Verdict, ...]:
    hint = Finding(
        "PRESTOP_TOO_SHORT",
        "requests failed from 0.1 s after the old pod began to terminate until it left the Service 0.4 s later",
        "preStop sleep of at least 6 s; terminationGracePeriodSeconds above preStop plus the longest request",
    )
    good, out = Result.PASS, []

    def said(drill: str, checker: str, subject: str, result: Result, why: str, **more: Any) -> None:
        out.append(Verdict(checker, subject, result, why, drill, **more))

    why = "2 of 2 old pods were replaced; the last one was gone 27.0 s after the start"
    said("zero-downtime", "rollout", "Deployment/shop/shop", good, why, numbers={"old_pods": 2}, evidence=(9, 10))
    said("zero-downtime", "release", f"Release/{NEW}", good, f"{NEW} was proven on every pod 17.9 s after the start",
         numbers={"push_to_proof_s": 17.28})  # fmt: skip
    said("zero-downtime", "version", "Ingress", good, f"every answer after the proof came from {NEW}")
    said("zero-downtime", "readiness", "/ready#/database", good, "'ok' from 2 pods and through the ingress")
    why = "53 of 12,000 requests failed in 1 outage, which lasted at least 279 ms, at most 328 ms"
    numbers = {"requests": 12000, "failures": 53, "outage_ms_max": 328.2, "gap_ms_max": 50.0, "gap_lane": "post"}
    said(
        "zero-downtime", "availability", "Ingress", Result.FAIL, why,
        numbers=numbers, evidence=(27, 28, 30), findings=(hint,),
    )  # fmt: skip
    why = "200 req/s before and after; 1 of 12,000 dispatches was late"
    said("zero-downtime", "load_soundness", "Load", good, why, numbers={"late_share": 0.0001})
    for trial, restored_s, backoff_s, result in (
        ("image", 0.58, 0.0, good), ("env", 0.41, 0.0, good), ("configmap", 4.12, 3.61, good),
        ("delete-service", 15.97, 15.2, Result.INCONCLUSIVE),
    ):  # fmt: skip
        why = f"self-heal restored it in {restored_s - backoff_s:.2f} s (detection + apply); limit 5 s"
        why = why if result is good else "Watch/Service was blind during the trial: 410 Gone"
        numbers = {"restored_s": restored_s, "backoff_s": backoff_s, "detect_and_apply_s": restored_s - backoff_s}
        said("drift", "drift", f"Drift/{trial}", result, why, numbers=numbers, evidence=(60, 61))
    said("drift", "drift", "Drift/replicas", Result.SKIPPED, "an HPA owns replicas")
    said("drift", "drift", "Drift/undeclared-annotation", good, "the undeclared annotation stayed for 10 s")
    why = f"git revert brought {OLD} back in 17.3 s from push to proof, within the limit of 30 s"
    said("rollback", "rollback", f"Rollback/{OLD}", good, why, numbers={"push_to_proof_s": 17.28, "limit_s": 30.0})
    why = "12,000 requests, 0 failures: no outage longer than 20 ms"
    said(
        "rollback",
        "availability",
        "Ingress",
        good,
        why,
        numbers={"requests": 12000, "failures": 0, "gap_ms_max": 20.1, "gap_lane": "new"},
    )
    said("rollback", "undo", "Undo", good, "all 8 changes were undone", numbers={"entries": 8, "failed": 0})
    return tuple(out)


def the_report() -> Report:
    story = Story()
    story.tell("run", "clock", "calibrated", 0.2, watch_delay_ms=[3.1, 4.2, 3.6], median_ms=3.6)
    story.pod(PODS[1], OLD, [(0.3, "start")], "10.244.1.17")
    story.pod(PODS[2], OLD, [(0.3, "start")], "10.244.1.18")
    story.endpoints((0.3, ["10.244.1.17", "10.244.1.18"]))
    base = {"sync_status": "Synced", "sync_revision": "9" * 40, "health": "Healthy", "attempts": 0}
    story.tell("watch", "Application/argocd/shop", "added", 0.3, **base)
    story.drill = "zero-downtime"
    story.tell("run", "drill", "started", 1.0)
    story.tell("load", "Load", "self-test", 1.0, 2.4, passed=True, classes={"http.502": [20, 20]})
    story.tell("load", "Load", "started", 2.5, rate_per_s=200, lanes=list(LANES), scheduling="SCHED_FIFO 50")
    story.phases(("settle", 1, 2.5), ("baseline", 2.5, 13), ("act", 13, 40), ("steady", 40, 62.5))
    rollout(story, "release", 13.0, (1, 2, 3, 4), OLD, NEW)
    story.tell("load", "Load", "stopped", 62.5, requests=12000, failures=53)
    story.tell("ingress", "Ingress", "log-unreadable", 62.6, ok=False, reason="no selector in the target file")
    story.drill = "drift"
    story.phases(("settle", 100, 101), ("act", 101, 147))
    drift(story)
    story.tell("watch", "Watch/Service", "gap", 118.0, 118.8, ok=False, lost=True, reason="410 Gone")
    for number in range(1, 9):
        story.tell("undo", f"Undo/{number}", "written", 100 + number)
    story.drill = "rollback"
    story.phases(("baseline", 150, 160), ("act", 160, 187), ("steady", 187, 202))
    rollout(story, "rollback", 160.0, (3, 4, 1, 2), OLD, NEW)
    for number in range(1, 9):
        story.tell("undo", f"Undo/{number}", "done", 203 + number / 10)
    logs = {
        "zero-downtime": requests(2.5, 60, (22.5, 29.4), (29.35, 29.65)),
        "rollback": requests(150, 60, (169.5, 176.4), versions=(2, 1)),
    }
    plan = the_plan()
    facts = {
        drill: Facts(
            plan=plan,
            drill=drill,
            events=tuple(event for event in story.events if event.drill in {drill, ""}),
            requests=logs.get(drill),
        )
        for drill in plan.drills
    }
    verdicts = tuple(
        replace(one, intervals=availability.check(facts[one.drill]).intervals) if one.checker == "availability" else one
        for one in the_verdicts()
    )
    first, *others = rank(facts, verdicts, Result.FAIL)
    patch = Patch(
        file="overlays/dev/rollproof-pre-stop.yaml",
        text="# rollproof: preStop: none before, 6 s now\nkind: Deployment\n",
        apply="cd overlays/dev && kustomize edit add patch --path rollproof-pre-stop.yaml", caveats=("a caveat",),
    )  # fmt: skip
    first = replace(first, patch=patch, why_no_patch="", contradicts=("what speaks against it",))
    return Report(
        plan=plan, facts=facts, verdicts=verdicts, causes=(first, *others), result=Result.FAIL, exit_code=1,
        undo="clean",
        environment={
            "rollproof": "0.1.0", "kubernetes": "1.34.4", "argocd": {"version": "v3.2.6", "backoff_s": [2, 3, 300]},
            "host": {"cpus": 2, "kernel": "6.12"}, "generator": {"scheduling": "SCHED_FIFO 50", "locust": "2.47.0"},
        },
    )  # fmt: skip


@pytest.fixture(scope="session")
def report() -> Report:
    return the_report()


@pytest.fixture(scope="session")
def passed(report: Report) -> Report:
    """As if only the rollback had been judged, where everything went well."""
    verdicts = tuple(verdict for verdict in report.verdicts if verdict.drill == "rollback")
    return replace(report, verdicts=verdicts, causes=(), result=Result.PASS, exit_code=0)
