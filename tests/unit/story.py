"""Stories: small timelines told in one line each, so that a test reads as what happened and not as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rollproof.core.event import Event, Outcome
from rollproof.core.facts import Facts
from rollproof.core.plan import SCHEMA, Plan
from rollproof.core.requests import RequestLog
from rollproof.core.target import App, ArgoCd, Cluster, EnvRepo, Fences, ReleaseSettings, RollbackSettings, Target

OLD, NEW = "aaaaaaa", "bbbbbbb"


def target(**changes: Any) -> Target:
    parts: dict[str, Any] = {
        "name": "story",
        "cluster": Cluster(context="story", namespace="shop", deployment="web", service="web"),
        "argocd": ArgoCd(application="shop"),
        "env_repo": EnvRepo(url="file:///nowhere", overlay="overlays/dev", image="ghcr.io/shop/web"),
        "app": App(base_url="http://127.0.0.1:1"),
        "fences": Fences(namespaces=("shop",)),
        "release": ReleaseSettings(proof_count=3),
        "rollback": RollbackSettings(limit_s=30.0),
    }
    return Target(**{**parts, **changes})


def plan(**changes: Any) -> Plan:
    parts: dict[str, Any] = {
        "schema": SCHEMA, "run_id": "20260101T000000Z-story", "drills": ("zero-downtime",), "target": target(),
        "old_sha": OLD, "new_sha": NEW, "restart": False, "keep": "never", "env_repo_head": "0" * 40,
    }  # fmt: skip
    return Plan(**{**parts, **changes})


class Story:
    """A growing timeline. Every method returns the story, so that a test can chain; times are seconds."""

    def __init__(self, drill: str = "zero-downtime", *, plan: Plan | None = None) -> None:
        self.drill = drill
        self.plan = plan or globals()["plan"]()
        self.events: list[Event] = []
        self.requests: RequestLog | None = None

    def tell(
        self, source: str, subject: str, what: str, *, at: float, start: float | None = None,
        outcome: Outcome = Outcome.OK, **data: Any,
    ) -> Story:  # fmt: skip
        self.events.append(
            Event(
                seq=len(self.events) + 1,
                start_s=at if start is None else start,
                end_s=at,
                wall="2026-01-01T00:00:00Z",
                drill=self.drill,
                source=source,
                subject=subject,
                what=what,
                outcome=outcome,
                data=data,
            )
        )
        return self

    def pod(self, name: str, what: str, *, at: float, ready: bool = False, sha: str = "") -> Story:
        """Of the new version if its name begins so."""
        sha = sha or (NEW if name.startswith("new") else OLD)
        return self.tell(
            "watch", f"Pod/shop/{name}", what, at=at, uid=f"uid-{name}", ready=ready,
            image=f"ghcr.io/shop/web:{sha}", template_hash=f"hash-{sha}", terminating=what == "deleted",
        )  # fmt: skip

    def release_started(self, *, at: float = 100.0, source: str = "release", restart: bool = False) -> Story:
        pods = [{"name": n, "uid": f"uid-{n}", "template_hash": f"hash-{OLD}"} for n in ("old-1", "old-2")]
        subject = f"Release/{NEW}" if source == "release" else f"Rollback/{OLD}"
        return self.tell(
            source, subject, "started", at=at, old_sha=OLD, new_sha=NEW, mode="push", restart=restart, old_pods=pods
        )

    def pods_replaced(self, *, sha: str = NEW) -> Story:
        self.pod("new-1", "modified", at=110, ready=True, sha=sha).pod("old-1", "deleted", at=118)
        return self.pod("new-2", "modified", at=115, ready=True, sha=sha).pod("old-2", "deleted", at=124)

    def stages(self, *, source: str = "release", until: str = "proven", proven_at: float = 125.0, **data: Any) -> Story:
        subject = f"Release/{NEW}" if source == "release" else f"Rollback/{OLD}"
        times = {
            "committed": 100.2, "pushed": 100.5, "seen": 101.5, "synced": 102.5, "rolled-out": 116.0,
            "old-gone": 124.0, "proven": proven_at,
        }  # fmt: skip
        for what, at in times.items():
            self.tell(source, subject, what, at=at, commit="c" * 40, revision="c" * 40, **data)
            if what == until:
                break
        return self

    def proofs(self, version: str = NEW, *, expected: str = NEW, count: int = 3) -> Story:
        outcome = Outcome.OK if version == expected else Outcome.FAIL
        for name in ("new-1", "new-2"):
            self.tell(
                "proof", f"Pod/shop/{name}", "version", at=124.2, outcome=outcome, version=version,
                expected=expected, status=200, via="pods/proxy",
            )  # fmt: skip
        for i in range(count):
            self.tell(
                "proof", "Ingress", "version", at=124.5 + i / 100, outcome=outcome, version=version,
                expected=expected, status=200, via="ingress",
            )  # fmt: skip
        return self

    def database(self, value: str | None = "ok") -> Story:
        outcome = Outcome.OK if value == "ok" else Outcome.UNKNOWN if value is None else Outcome.FAIL
        for subject in ("Pod/shop/new-1", "Pod/shop/new-2", "Ingress"):
            self.tell("proof", subject, "database", at=124.8, outcome=outcome, value=value, expected="ok", status=200)
        return self

    def fault(
        self, name: str = "pod-delete", *, at: float = 100.0, until: str = "undone", recovered: float = 20.0,
        limit_s: float = 60.0, of: str = "Pod/shop/old-1", **effect: Any,
    ) -> Story:  # fmt: skip
        """A sound fault from `at` on: felt after 1 s, recovered after `recovered`; told up to the word `until`."""
        told: dict[str, tuple[float, float, dict[str, Any]]] = {
            "planned": (at - 1, at - 1, {
                "object": of, "change": "delete it", "undo": "none needed", "affects_traffic": True,
                "limit_s": limit_s, "effect_within_s": 10.0,
            }),
            "injecting": (at, at, {}),
            "injected": (at + 0.2, at + 0.2, {"uid": "uid-old-1", "resource_version": "7"}),
            "effect": (at + 1, at, {"watched": "Pod/shop/old-1 is deleted", "pods": ["uid-old-1"], **effect}),
            "recovered": (at + recovered, at, {}),
            "undone": (at + recovered, at + recovered, {"by": "platform"}),
        }  # fmt: skip
        for what, (end, start, data) in told.items():
            self.tell("fault", f"Fault/{name}", what, at=end, start=start, **data)
            if what == until:
                break
        return self

    def facts(self, environment: Mapping[str, Any] | None = None) -> Facts:
        return Facts(
            plan=self.plan, drill=self.drill, events=tuple(self.events), requests=self.requests,
            environment=environment or {},
        )  # fmt: skip


def good_release() -> Story:
    """A sound release: two old pods replaced by two new ones, proven everywhere."""
    return Story().release_started().pods_replaced().stages().proofs().database()
