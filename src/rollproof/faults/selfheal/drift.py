"""Drift: something that git declares is changed by hand, and Argo CD is to put it back.

A drift must be of something that git declares and that nobody else writes (docs/argocd.md 1.8); what is not is skipped
with the reason, so that a missing trial is never mistaken for a passed one. `SelfHealRunner` runs drifts and times
their repair; the two ways to drift are in `field_drift` and `object_drift`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from rollproof.clients.kube import KINDS, Kube, Object
from rollproof.core.blast import Blast
from rollproof.core.injection import Injection, Skip
from rollproof.core.permission import Permission, each_verb
from rollproof.core.target import Target
from rollproof.core.trials import TRIALS, fault_of_trial
from rollproof.errors import CannotJudgeError, InputError
from rollproof.faults.base import AnyFault, Context
from rollproof.faults.selfheal.trial import Trial, subject_of_trial
from rollproof.probes.objectwatch import Arrival

__all__ = ["Drift", "NotHereError", "service", "tracked"]

_NAMED_BY = {  # kind -> the setting of [drift] that names the object
    "ConfigMap": "configmap", "Ingress": "ingress", "HTTPRoute": "http_route",
    "HorizontalPodAutoscaler": "autoscaler", "NetworkPolicy": "network_policy",
}  # fmt: skip


class NotHereError(Exception):
    """This drift is not possible on this target; the text is the reason."""


class Drift(AnyFault):
    """One trial of `core.trials`; `find` resolves it, or raises NotHereError."""

    peers = "none: chaos tools break what runs, and leave what git declares alone"

    def __init__(self, trial: str, find: Callable[[Context], Trial]) -> None:
        self.trial = trial
        self.name = fault_of_trial(trial)
        self.affects_traffic = TRIALS[trial].affects_traffic
        self.kinds = frozenset({TRIALS[trial].kind})
        self._find = find

    @property
    def subject(self) -> str:
        """The trial's."""
        return subject_of_trial(self.trial)

    # -- for the plan -------------------------------------------------------------------------------------------

    def permissions(self, target: Target) -> Iterable[Permission]:
        """To look at the object, to follow it, to change it."""
        yield from self.planning_permissions(target)
        yield from self.on_object(target, "get list watch", f"to see what becomes of drift {self.trial}")
        yield from self.changing_permissions(target)

    def planning_permissions(self, target: Target) -> Iterable[Permission]:
        """To look at the object once."""
        yield from self.on_object(target, "get", f"to plan drift {self.trial}")

    @abstractmethod
    def changing_permissions(self, target: Target) -> Iterable[Permission]:
        """To change the object and to put it back."""

    def available(self, context: Context) -> Injection | Skip:
        """A Skip is a statement about the target; an object that is missing or may not be read raises."""
        try:
            trial = self.resolved(context)
        except NotHereError as reason:
            return context.skip(self, str(reason))
        dead_man = "none possible" if trial.control else "self-heal itself"
        return context.injection(
            self, trial.target, change=trial.change, undo=trial.undo, args=trial.args, dead_man=dead_man
        )

    def blast(self, injection: Injection, target: Target) -> Blast:  # noqa: ARG002 - all drifts last as long
        """It lasts until it is healed, or until that is given up and it is put back."""
        settings, control = target.drift, TRIALS[self.trial].control
        lasts_s = settings.negative_watch_s if control else settings.deadline_s + settings.backoff_wait_max_s
        return Blast(pods=None if self.affects_traffic else 0, lasts_s=lasts_s)

    def resolved(self, context: Context) -> Trial:
        """The trial as it would be made now. NotHereError if it cannot be."""
        return self._find(context)

    def on_object(self, target: Target, verbs: str, why: str) -> Iterator[Permission]:
        """On the object that is changed; `create` has no name to be restricted to."""
        kind, cluster = KINDS[TRIALS[self.trial].kind], target.cluster
        name = {"Deployment": cluster.deployment, "Service": cluster.service}.get(kind.name) or named(target, kind.name)
        for verb in verbs.split():
            only = "" if verb == "create" else name
            yield from each_verb(verb, kind.plural, cluster.namespace, why, group=kind.group, name=only)

    # -- for the runner -----------------------------------------------------------------------------------------

    @abstractmethod
    def noted(self, trial: Trial, item: Object, kube: Kube) -> Mapping[str, Any]:
        """What the undo journal must hold to put `item`, as it was read, back to what it is."""

    @abstractmethod
    def send(self, trial: Trial, item: Object, kube: Kube) -> Object:
        """Make the change, bound to the version that was read; the API's reply."""

    @abstractmethod
    def version_after(self, item: Object, reply: Object) -> int | None:
        """The version from which on the change can be seen; None if the reply says that it changed nothing."""

    # -- what an object says of it ------------------------------------------------------------------------------

    @abstractmethod
    def ours(self, noted: Mapping[str, Any]) -> Any:
        """The value that the change gave it, by what was noted."""

    @abstractmethod
    def original(self, trial: Trial, before: Object) -> Any:
        """The value that it had."""

    @abstractmethod
    def value(self, trial: Trial, before: Object, item: Object) -> Any:
        """The value that it has in an object that was read later."""

    def is_later(self, version: int, arrival: Arrival) -> bool:
        """Did this come after our change?"""
        return int(arrival.item["metadata"]["resourceVersion"]) > version

    @abstractmethod
    def is_shown(self, version: int, arrival: Arrival) -> bool:
        """Is this our own change, or anything after it? Then the watch has shown that the object can be seen."""


def service(context: Context) -> Object:
    """The target's Service."""
    return context.kube.get("Service", context.target.cluster.namespace, context.target.cluster.service)


def tracked(context: Context, kind: str) -> Object:
    """The object of that kind that may be drifted: the one of the target file, else the first that Argo CD tracks."""
    name, namespace = named(context.target, kind), context.target.cluster.namespace
    found = context.kube.find(kind, namespace, name or _first_tracked(context, kind))
    if found is None and KINDS[kind].custom and context.kube.is_unknown(kind):
        place = f"{KINDS[kind].group}/{KINDS[kind].version}"
        raise NotHereError(f"the cluster has no {kind} of {place}, and no other is asked for")
    if found is None and name:
        message = f"there is no {kind} {name!r} in namespace {namespace!r}"
        raise InputError(message, f"see drift.{_NAMED_BY[kind]} in the target file")
    if found is None:
        message = f"a {kind} of {context.argo.application} is missing"
        raise CannotJudgeError(message, "is the Application synced?")
    return found


def named(target: Target, kind: str) -> str:
    """The name that the target file gives the object of that kind; "" if none."""
    return str(getattr(target.drift, _NAMED_BY[kind]))


def _first_tracked(context: Context, kind: str) -> str:
    resources = (context.argo.read().get("status") or {}).get("resources") or ()
    wanted = (KINDS[kind].group, kind, context.target.cluster.namespace)
    for one in resources:  # by group as well: Calico has NetworkPolicies of its own, Knative Ingresses
        if (one.get("group", ""), one.get("kind"), one.get("namespace")) == wanted:
            return str(one["name"])
    raise NotHereError(f"the Application {context.argo.application} tracks no {kind}")
