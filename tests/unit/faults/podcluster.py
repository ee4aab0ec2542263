"""Two pods behind a Service on a small API server over real HTTP, and a fault's runner."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import story
from fakeapi import FakeApi
from recorder import ListRecorder

from rollproof.clients.argo import Argo
from rollproof.clients.kube import Kube
from rollproof.core.event import Event
from rollproof.core.facts import Facts
from rollproof.core.injection import Injection, Skip
from rollproof.core.target import FaultSettings, Target
from rollproof.core.verdict import Result
from rollproof.faults.base import Fault, LiveContext
from rollproof.faults.runner import FaultRunner
from rollproof.judge.checkers import fault as checker
from rollproof.probes.watches import Watches
from rollproof.store.journal import FolderStore, Journal

Object = dict[str, Any]


def owned(kind: str, name: str) -> list[Object]:
    return [{"kind": kind, "name": name, "uid": f"uid-{name}", "controller": True}]


def pod(name: str, ip: str, *, ready: bool = True, **metadata: Any) -> Object:
    return {
        "metadata": {
            "name": name, "namespace": "shop", "uid": f"uid-{name}", "labels": {"app": "web"},
            "ownerReferences": owned("ReplicaSet", "web-h1"), **metadata,
        },
        "spec": {"containers": [{"name": "web", "image": "ghcr.io/shop/web:aaaaaaa"}]},
        "status": {"phase": "Running", "podIP": ip, "conditions": [{"type": "Ready", "status": str(ready)}]},
    }  # fmt: skip


def endpoints(*ips: str) -> Object:
    return {
        "metadata": {"name": "web-x", "labels": {"kubernetes.io/service-name": "web"}},
        "endpoints": [{"addresses": [ip], "conditions": {"ready": True}} for ip in ips],
    }


class Cluster(FakeApi):
    """Two pods behind a Service. `after_delete` plays the controllers, in a thread of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.after_delete: Callable[[str], None] = self.replace
        metadata = {"namespace": "shop"}
        spec = {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": {"spec": pod("x", "")["spec"]}}
        self.put("deployments", {"metadata": {"name": "web", "uid": "uid-web", **metadata}, "spec": spec, "status": {}})
        self.put("services", {"metadata": {"name": "web", **metadata}, "spec": {"selector": {"app": "web"}}})
        owners = {"uid": "uid-web-h1", "labels": {"app": "web"}, "ownerReferences": owned("Deployment", "web")}
        self.put("replicasets", {"metadata": {"name": "web-h1", **metadata, **owners}, "spec": {}, "status": {}})
        self.put("applications", {"metadata": {"name": "shop"}, "spec": {}, "status": {}})
        self.put("pods", pod("web-1", "10.0.0.1"))
        self.put("pods", pod("web-2", "10.0.0.2"))
        self.put("endpointslices", endpoints("10.0.0.1", "10.0.0.2"))
        self.evicted = lambda name: threading.Thread(target=self.after_delete, args=(name,)).start()

    def remove(self, plural: str, name: str) -> Object:
        """A graceful deletion only begins with the answer."""
        item = self.objects[plural, name]
        threading.Thread(target=self.after_delete, args=(name,)).start()
        return item

    def leaves(self, name: str) -> None:
        item = self.objects["pods", name]
        self.put("pods", {**item, "metadata": {**item["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z"}})
        self.put("endpointslices", endpoints(self._stays(name)))

    @staticmethod
    def _stays(name: str) -> str:
        """The address of the other one."""
        return "10.0.0.1" if name == "web-2" else "10.0.0.2"

    def replace(self, name: str) -> None:
        self.leaves(name)
        self.put("pods", pod("web-3", "10.0.0.3", ready=False))
        self.put("pods", pod("web-3", "10.0.0.3"))
        time.sleep(0.05)  # it is ready, and the Service has not heard of it
        self.put("endpointslices", endpoints(self._stays(name), "10.0.0.3"))
        super().remove("pods", name)


class Stage:
    """The runner on that cluster."""

    def __init__(self, fault: Fault, api: Cluster, folder: Path, stack: ExitStack) -> None:
        self.fault, self.api, self.recorder = fault, api, ListRecorder()
        kube = Kube("fake", str(stack.enter_context(api.serve(folder))))
        argo = Argo(kube, "argocd", "shop")
        limits = FaultSettings(effect_within_s=0.3, recovery_limits_s={fault.name: 1.0})
        self.target: Target = story.target(faults=limits)
        watches = stack.enter_context(Watches(self.target, kube, argo, self.recorder))
        self.live = LiveContext(drill=fault.name, target=self.target, kube=kube, argo=argo, watches=watches)
        self.journal = Journal(FolderStore(folder / "undo.jsonl"), self.recorder)

    def available(self, **changes: Any) -> Injection | Skip:
        return self.fault.available(replace(self.live, target=replace(self.target, **changes)))

    def injection(self) -> Injection:
        found = self.available()
        assert isinstance(found, Injection)
        return found

    def run(self, injection: Injection | None = None) -> list[str]:
        plan = story.plan(injections=(injection or self.injection(),))
        FaultRunner(self.live, self.recorder, self.journal).run(plan)
        return [event.what for event in self.recorder.events if event.source == "fault"]

    def verdict(self) -> Result:
        """What the checker makes of it."""
        facts = Facts(plan=story.plan(target=self.target), drill="", events=tuple(self.recorder.events))
        (verdict,) = checker.check(facts)
        return verdict.result

    def findings(self) -> list[str]:
        """The codes of what the checker found."""
        facts = Facts(plan=story.plan(target=self.target), drill="", events=tuple(self.recorder.events))
        return [found.code for verdict in checker.check(facts) for found in verdict.findings]

    def said(self, what: str) -> Event:
        return next(one for one in self.recorder.events if (one.source, one.what) == ("fault", what))
