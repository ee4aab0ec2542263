"""Ingress reload: an Ingress of a host of its own comes, changes every 2 s, and goes, so that the controller reloads.

Many controllers (ingress-nginx, HAProxy) start new workers for each change of any Ingress of the cluster, whoever owns
it. What is under way must be answered by the old ones, and what is open and idle must be closed in good order.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Mapping
from typing import Any

from rollproof.clients.kube import MERGE, ApiError, Kube, Object
from rollproof.core.injection import Injection, Skip
from rollproof.core.outside import Outside
from rollproof.core.permission import Permission, each_verb
from rollproof.core.target import Target
from rollproof.faults.base import Context, Effect, Injected, LiveContext, Void
from rollproof.faults.created import Creates, create_owned, delete_ours
from rollproof.faults.deadman import OwnerJob
from rollproof.faults.entry import no_lane_beside
from rollproof.faults.leaving import deployment_of, ready_pods, serving, too_few, why_none
from rollproof.store.journal import Undone

__all__ = ["FAULT", "IngressReload"]

_KIND, _NAME, _GROUP = "Ingress", "rollproof-ingress-reload", "networking.k8s.io"
_EACH_S = 2.0  # between two changes; ingress-nginx takes in at most one in 3.3 s and joins those between
_COSTLY = ("alb", "gce", "gce-internal", "azure-application-gateway")  # classes that make a load balancer of each one


class IngressReload(Creates):
    """Held. Its args: the Ingress with its `host`, class, and the app's `backend`; `members`."""

    name = "ingress-reload"
    affects_traffic = True
    breaks_entry = True  # the control lane must not go through what is reloaded
    peers = "none of Chaos Mesh, Litmus and Krkn"
    kinds = frozenset({_KIND})

    def permissions(self, target: Target) -> Iterable[Permission]:
        """On Ingresses of the app's namespace; the Job's."""
        namespace = target.cluster.namespace
        why = "an Ingress of a host of its own, to change it and to end it"
        yield from each_verb("get list create patch delete", "ingresses", namespace, why, group=_GROUP)
        yield from OwnerJob.permissions(namespace)

    def available(self, context: Context) -> Injection | Skip:
        """With the class and the backend of the app's own Ingress."""
        target = context.target
        namespace = target.cluster.namespace
        if why := no_lane_beside(target):
            return context.skip(self, why)
        items = context.kube.list(_KIND, namespace)["items"]
        if _NAME in [one["metadata"]["name"] for one in items]:
            return context.skip(self, f"{_KIND}/{namespace}/{_NAME} is there: `rollproof undo --all` ends what is left")
        found = _of_app(items, target)
        if isinstance(found, str):
            return context.skip(self, found)
        ready = ready_pods(context, deployment_of(context))
        if not ready:
            return context.skip(self, why_none(context))
        args = {
            "kind": _KIND, "namespace": namespace, "name": _NAME, "members": len(ready), **found,
            "host": f"rollproof-{secrets.token_hex(4)}.invalid",  # RFC 6761: no resolver ever knows it
        }  # fmt: skip
        hold_s = target.faults.hold_s
        return context.injection(
            self, f"{_KIND}/{namespace}/{_NAME}", args=args, undo="deleted",
            change=f"created with the host {args['host']}, changed every {_EACH_S:g} s for {hold_s:g} s, then deleted",
            dead_man=str(self.dead_man(args, context.target)),
        )  # fmt: skip

    def outdated(self, injection: Injection, live: LiveContext) -> str:
        """All pods serve, and nobody answers for the host yet."""
        if live.app.answers_as(injection.args["host"]):
            return f"the entry answers for any host, also for {injection.args['host']}: what it takes in is not seen"
        return too_few(serving(live), injection.args["members"])

    def inject(self, injection: Injection, live: LiveContext) -> Injected | Void:
        """One creation."""
        args = injection.args
        return create_owned(
            injection, live, f"{_GROUP}/v1", {"ingressClassName": args["class"], "rules": _rules(args, "/")}
        )

    def evidence(self, injection: Injection, live: LiveContext) -> Effect | None:
        """The entry answers for the host as the app: the controller has taken the new Ingress in."""
        host = injection.args["host"]
        return Effect(f"the entry answers for the host {host}") if live.app.answers_as(host) else None

    def observe(self, injection: Injection, live: LiveContext) -> Void | None:
        """Another path every 2 s: named after the time, so that to ask again in between changes nothing."""
        args = injection.args
        body = {"spec": {"rules": _rules(args, "/", f"/rollproof-{int(time.time() / _EACH_S)}")}}
        try:
            live.kube.patch(_KIND, args["namespace"], args["name"], body, how=MERGE)
        except ApiError as error:
            if error.status != 404:
                raise
            return Void(f"{injection.subject} was deleted by somebody else")
        return None

    def missing(self, injection: Injection, live: LiveContext) -> str:
        """Nobody answers for the host any more, the entry answers for the app, and all pods serve."""
        host, base_url = injection.args["host"], live.target.app.base_url
        if live.app.answers_as(host):
            return f"the entry still answers for the host {host}"
        if not live.app.ask_entry(live.sha):
            return f"{base_url} does not answer as it should yet"
        return too_few(serving(live), injection.args["members"])

    def undo(self, kube: Kube, args: Mapping[str, Any]) -> Undone:
        """Delete it, if it is ours and has no other host than ours."""
        return delete_ours(
            kube, args, lambda spec: {one.text("host") for one in spec.objects("rules")} == {args["host"]}
        )


def _of_app(items: Iterable[Object], target: Target) -> dict[str, Any] | str:
    """Class and backend of the Ingress that sends the app's host to its Service; or why there is none to go by."""
    service = target.cluster.service
    for item in items:
        spec = Outside.of(item, _KIND).child("spec")
        for rule in spec.objects("rules"):
            backends = [path.child("backend").child("service") for path in rule.child("http").objects("paths")]
            own = [one for one in backends if one.text("name") == service]
            if not own or (target.app.host and rule.text("host") != target.app.host):
                continue
            name = spec.text("ingressClassName")
            if not name:
                return "the app's Ingress names no class (spec.ingressClassName), and another one might have another"
            if name in _COSTLY:
                return f"class {name} makes a load balancer of each Ingress: that is no reload"
            return {"class": name, "backend": {"service": dict(own[0].value)}}
    return f"no Ingress of namespace {target.cluster.namespace} sends the app's host to Service {service}"


def _rules(args: Mapping[str, Any], *paths: str) -> list[Any]:
    backend = args["backend"]
    named = [{"path": path, "pathType": "Prefix", "backend": backend} for path in paths]
    return [{"host": args["host"], "http": {"paths": named}}]


FAULT = IngressReload()
