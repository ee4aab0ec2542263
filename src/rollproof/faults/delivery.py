"""Delivery: what the faults have in common that take away what delivers a commit, just after one was pushed.

Users must not feel it. While it is away the commit is not deployed; when it is back, Argo CD must deploy it by itself,
without a refresh of ours: its own poll is what a team has when the person who deploys has gone home.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from rollproof.clients.argo import Argo, ControllerSettings, argocd_kube
from rollproof.clients.kube import ApiError, Kube
from rollproof.core.counts import many
from rollproof.core.injection import Injection, Skip
from rollproof.core.permission import Permission, each_verb
from rollproof.core.target import Target
from rollproof.errors import RollproofError
from rollproof.faults.base import Context, Effect, Fault, Injected, LiveContext, Void, Watching, Ways
from rollproof.faults.scaling import RESOURCES, find_scale, replicas_of, scale_back, scale_to_zero
from rollproof.faults.sending import take_back
from rollproof.store.journal import Undone

__all__ = ["DeliveryAway", "ask_again", "asked_within_s", "look_at_git", "poll_s"]

_POLL_S, _JITTER_S = 120.0, 60.0  # Argo CD's defaults of timeout.reconciliation and timeout.reconciliation.jitter
_UNITS = {"d": 86_400.0, "h": 3600.0, "m": 60.0, "s": 1.0}
_PART = r"(\d+(?:\.\d+)?)([dhms])"
_DURATION = re.compile(rf"(?:{_PART})+")


def poll_s(settings: ControllerSettings) -> float:
    """The longest time between two looks of Argo CD at git, in seconds: its `timeout.reconciliation` and the jitter.

    The default where it is not known or no duration, or is 0, which switches the poll off. The default jitter at least:
    without any, polls were seen 155 s apart instead of 120 on the lab.
    """
    return (_said_s(settings.reconciliation) or _POLL_S) + max(_said_s(settings.jitter), _JITTER_S)


def _said_s(text: str) -> float:
    """A duration as Argo CD may read it ("120s", "1d", "2m30s"); 0 for what it takes for none."""
    parts = re.findall(_PART, text) if _DURATION.fullmatch(text) else ()
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def asked_within_s(context: Context) -> float:
    """How long Argo CD may take to look at git by itself, where we may not ask for it (s)."""
    if context.target.argocd.profile == "refresh":
        return 0.0
    return poll_s(context.argo.settings())


def look_at_git(live: LiveContext) -> None:
    """Ask Argo CD to compare with git now, where we may, and it is not at it."""
    if live.target.argocd.profile == "refresh" and live.watches.application().phase != "Running":
        live.argo.refresh_unless_asked()


def ask_again(ways: Ways) -> None:
    """Ask Argo CD to look at what an undo has pushed, where we may: its own poll would come within another drill."""
    argocd = ways.target.argocd
    if argocd.profile == "refresh":
        with suppress(RollproofError):  # the undo is made: then it comes by that poll
            Argo(argocd_kube(ways.target, ways.kube), argocd.namespace, argocd.application).refresh()


class DeliveryAway(Fault):
    """Workloads of one namespace, scaled to 0 and back. Held; the recovery is that Argo CD is at another commit."""

    affects_traffic = False
    held = True
    kinds = frozenset(RESOURCES)
    moment = "after the push: "  # when it is taken away, in the plan
    ends_within_s = 0.0  # by how much the effect may be later, where it must have ended and not only be out of service
    in_argocd = False  # whether they are where Argo CD lives, which may be another cluster

    @abstractmethod
    def no_dead_man(self, target: Target) -> str:
        """Why there is none, where there is none."""

    @abstractmethod
    def place(self, context: Context) -> tuple[str, str, list[dict[str, str]]] | str:
        """(namespace, labels of all pods, kind and name of each workload); or why this target cannot have it."""

    @abstractmethod
    def workloads(self, target: Target) -> Iterable[tuple[str, str, str]]:
        """(kind, namespace, name) of what it may scale, for the permissions; "" for a name: all of that kind."""

    def permissions(self, target: Target) -> Iterable[Permission]:
        """On the scale of these workloads, and to see their pods."""
        places = list(self.workloads(target))
        for kind, namespace, name in places:
            yield from each_verb(
                "get patch", RESOURCES[kind], namespace, f"fault {self.name}: scaled to 0 and back", group="apps",
                subresource="scale", name=name, argocd=self.in_argocd,
            )  # fmt: skip
        for namespace in dict.fromkeys(namespace for _, namespace, _ in places):
            yield from each_verb("list watch", "pods", namespace, "to see them go and come", argocd=self.in_argocd)

    def available(self, context: Context) -> Injection | Skip:
        """Each workload that runs now, and at which commit Argo CD is."""
        found = self.place(context)
        if isinstance(found, str):
            return context.skip(self, found)
        namespace, labels, named = found
        scaled = []
        for one in named:
            scale = find_scale(self._kube(context), {**one, "namespace": namespace})
            if scale is None:
                return context.skip(self, f"there is no {one['kind']}/{namespace}/{one['name']}")
            if replicas := replicas_of(scale):
                scaled.append({**one, "uid": scale["metadata"]["uid"], "original": replicas})
        if not scaled:
            return context.skip(self, f"all of it in {namespace} is scaled to 0 already")
        args: dict[str, Any] = {
            "namespace": namespace, "labels": labels, "workloads": scaled,
            "revision": context.argo.state().sync_revision,
        }  # fmt: skip
        dead_man = self.dead_man(args, context.target) or self.no_dead_man(context.target)
        words = ", ".join(f"{one['kind']} {one['name']}" for one in scaled)
        back = ", ".join(f"{one['name']} {one['original']}" for one in scaled)
        hold_s, polled_s = context.target.faults.hold_s, poll_s(context.argo.settings())
        subject = f"{scaled[0]['kind']}/{namespace}/{scaled[0]['name']}"
        return context.injection(
            self, subject, args=args, dead_man=str(dead_man), recovery_after_s=polled_s,
            effect_after_s=self.ends_within_s,
            change=f"{self.moment}{words} -> 0 replicas, for {hold_s:g} s after the last pod "
            f"{'was gone' if self.ends_within_s else 'served'}",
            undo=f"replicas as before ({back}), where they still are 0",
        )  # fmt: skip

    def watched(self, injection: Injection) -> Iterable[Watching]:
        """The pods of all of them."""
        return (Watching(injection.args["namespace"], injection.args["labels"], self.in_argocd),)

    def outdated(self, injection: Injection, live: LiveContext) -> str:
        """Every pod must be ready, and Argo CD must not have seen the commit yet."""
        if seen := self._seen(injection, live):
            return f"Argo CD has seen the commit before it could be taken away: it is at {seen}"
        return _too_few(injection, live)

    def inject(self, injection: Injection, live: LiveContext) -> Injected | Void:
        """One patch each. If one of them is refused or void, those before it are taken back at once."""
        kube = self._kube(live)
        all_done: list[Injected] = []
        for one in _each(injection.args):
            try:
                done = scale_to_zero(kube, one)
            except ApiError:
                self._take_back(kube, injection.args, all_done)
                raise
            if isinstance(done, Void):
                self._take_back(kube, injection.args, all_done)
                return done
            all_done.append(done)
        return all_done[0]

    def evidence(self, injection: Injection, live: LiveContext) -> Effect | Void | None:
        """No pod of it serves any more, and Argo CD is still at the commit from before the push."""
        if seen := self._seen(injection, live):
            return Void(f"Argo CD had seen the commit before all was away: it is at {seen}")
        pods = live.watches.beside(injection.args["namespace"])
        if any(pod.serves for pod in pods.values()):
            return None
        ending = sum(not pod.ended for pod in pods.values())
        going = f", {ending} still terminating" if ending else ""
        return Effect(f"no pod of {injection.args['labels']} in {injection.args['namespace']} serves{going}")

    def observe(self, injection: Injection, live: LiveContext) -> Void | None:
        """It must stay away for as long as it is held, and the commit with it."""
        if seen := self._seen(injection, live):
            return Void(f"Argo CD has seen the commit although it was away: it is at {seen}")
        if serving := sum(pod.serves for pod in live.watches.beside(injection.args["namespace"]).values()):
            return Void(f"{many(serving, 'pod')} of {injection.args['labels']} came back before the undo")
        return None

    def missing(self, injection: Injection, live: LiveContext) -> str:
        """As many pods as before, and Argo CD synced at the commit, if one was pushed. No refresh is asked for."""
        if (few := _too_few(injection, live)) or not live.in_release:
            return few
        if not self._seen(injection, live):
            return f"Argo CD is still at {injection.args['revision'][:12]}, the commit from before the push"
        state = live.watches.application()
        if state.sync_status != "Synced" or state.phase == "Running":
            return f"Argo CD is at {state.sync_revision[:12]}, {state.sync_status}, its last sync {state.phase}"
        return ""

    def undo(self, kube: Kube, args: Mapping[str, Any]) -> Undone:
        """Each as before; the worst answer counts, what was done else. One that is refused keeps no other away."""
        ended: list[Undone] = []
        refused: list[ApiError] = []
        for one in _each(args):
            try:
                ended.append(scale_back(kube, one))
            except ApiError as error:
                refused.append(error)
        if refused:
            raise refused[0]
        order = ("failed", "left", "done", "not-needed")
        return min(ended, key=lambda undone: order.index(undone.how))

    def undo_on(self, target: Target, kube: Kube, args: Mapping[str, Any]) -> Undone:
        """Where Argo CD lives, if they are there."""
        return self.undo(argocd_kube(target, kube) if self.in_argocd else kube, args)

    def _take_back(self, kube: Kube, args: Mapping[str, Any], done: list[Injected]) -> None:
        """Those that were done alone: of the others whatever is there is somebody else's."""
        if done:
            take_back(self.name, lambda: self.undo(kube, {**args, "workloads": args["workloads"][: len(done)]}))

    def _seen(self, injection: Injection, live: LiveContext) -> str:
        """The commit at which Argo CD is, shortened, if it is not the one of the plan any more; "" else.

        Where none of ours was pushed, another one is nobody's sign.
        """
        if not live.in_release:
            return ""
        revision = live.watches.application().sync_revision
        return revision[:12] if revision and revision != injection.args["revision"] else ""

    def _kube(self, context: Context) -> Kube:
        return context.argo.kube if self.in_argocd else context.kube


def _each(args: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The workloads, each with the namespace of the whole, which is what the fences are asked about."""
    return ({**one, "namespace": args["namespace"]} for one in args["workloads"])


def _too_few(injection: Injection, live: LiveContext) -> str:
    """How many pods serve, where those are fewer than there are to be; "" else."""
    wanted = sum(one["original"] for one in injection.args["workloads"])
    ready = sum(pod.serves for pod in live.watches.beside(injection.args["namespace"]).values())
    return f"{ready} of {wanted} pods of {injection.args['labels']} are ready" if ready < wanted else ""
