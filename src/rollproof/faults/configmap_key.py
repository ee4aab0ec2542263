"""ConfigMap key: a commit gives the app's ConfigMap one key more. Which pods see it, and after how long?

A volume is written anew within 60 to 90 s under the running app. An environment is read once, at the start, and a file
that is mounted by subPath stays the one of the start: where nothing rolls the Deployment out, running pods keep the old
one, whatever Argo CD says. The key is nobody's, so that no app reads it: what is tried is the way, and not the setting.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from typing import Any

from rollproof.clients.kube import Object
from rollproof.clients.repo import Commit
from rollproof.clients.settingfile import key_value, with_key, without_key
from rollproof.core.blast import Blast
from rollproof.core.injection import Injection, Skip
from rollproof.core.outside import Outside
from rollproof.core.permission import Permission, each_verb
from rollproof.core.reasons import TakenIn
from rollproof.core.target import Target
from rollproof.errors import InputError
from rollproof.faults.base import Context, Effect, Fault, Injected, LiveContext, Void, Ways
from rollproof.faults.delivery import ask_again, asked_within_s, look_at_git
from rollproof.faults.inside import exec_permissions, no_exec
from rollproof.faults.leaving import deployment_of, ready_pods, serving, too_few, why_none
from rollproof.faults.settingplaces import KEY, Place, Way, has_key, in_use, places_of, subpath_asked, why_no_place
from rollproof.store.journal import Undone

__all__ = ["FAULT", "ConfigMapKey"]

_KIND = "ConfigMap"
_VOLUME_S = 90.0  # the kubelet's syncFrequency of 1 min, and its cache
_QUIET_LOOKS = 10  # 1 s apart: a controller that rolls out what a ConfigMap has changed begins a moment after it


class ConfigMapKey(Fault):
    """Its args: the ConfigMap, the `file` that has it, the key's `value`, the `places` where containers come to it, the
    `uids` of the pods of the plan, and `used`: its name in the cluster, where a generator gave it a hash.
    """

    name = "configmap-key"
    affects_traffic = True  # a rollout may follow
    peers = "none"
    kinds = frozenset({_KIND})

    def permissions(self, target: Target) -> Iterable[Permission]:
        """To look; the change is a push."""
        wanted, namespace = target.faults.configmap, target.cluster.namespace
        if wanted is None:
            return
        yield from each_verb("get", "configmaps", namespace, "to see the key arrive", name=wanted.name)
        yield from exec_permissions(namespace, "to see whether a pod has the key, in its environment or its volume")

    def blast(self, injection: Injection, target: Target) -> Blast:  # noqa: ARG002 - a rollout takes nothing away
        """At most a rollout, which takes away no more pods than its own strategy allows."""
        return Blast(pods=0)

    def available(self, context: Context) -> Injection | Skip:
        """The ConfigMap that the target file names, if a container that runs comes to a key that is added to it."""
        wanted, namespace = context.target.faults.configmap, context.target.cluster.namespace
        if wanted is None:
            return context.skip(self, "the target file does not say which ConfigMap of git: [faults.configmap]")
        if context.target.release.mode != "push":
            return context.skip(self, "release.mode is not push: it is its pipeline that pushes")
        text = context.env_repo.text(wanted.file)
        if key_value(wanted.file, text, KEY) is not None:
            return context.skip(self, f"{wanted.file} has the key {KEY} already: undo the earlier run first")
        with_key(wanted.file, text, KEY, "rehearsal")  # InputError where no line can be added
        deployment = deployment_of(context)
        name, places, reason = self._used(context, _template(deployment), wanted.name)
        if reason:
            return context.skip(self, reason)
        ready = ready_pods(context, deployment)
        if not ready:
            return context.skip(self, why_none(context))
        asked, why_not = _askable(context, next(iter(ready)), places)
        if not asked:
            return context.skip(self, why_not)
        args = {
            "kind": _KIND, "namespace": namespace, "name": wanted.name, "file": wanted.file, "members": len(ready),
            "value": secrets.token_hex(8), "places": [one.args() for one in asked],
            "uids": [one.uid for one in ready.values()], "used": name if name != wanted.name else "",
        }  # fmt: skip
        polled_s, mounted = asked_within_s(context), any(one.way is not Way.ENVIRONMENT for one in asked)
        where = ", and in ".join(map(str, asked))
        return context.injection(
            self, f"{_KIND}/{namespace}/{wanted.name}", args=args, effect_after_s=polled_s,
            recovery_after_s=polled_s + (_VOLUME_S if mounted else 0.0),
            change=f"a commit adds the key {KEY} in {wanted.file}; is it in {where}, in each pod?"
            + (f" (not asked: {why_not})" if why_not else ""),
            undo="a commit that takes that line out again",
            dead_man="none possible: it is a commit; `rollproof undo` makes the other one",
        )  # fmt: skip

    @staticmethod
    def _used(context: Context, pod: Outside, wanted: str) -> tuple[str, tuple[Place, ...], str]:
        """Its name in the cluster, and the places where pods come to it; or why a change there can reach none."""
        used = in_use(pod, wanted)
        if len(used) > 1:
            return wanted, (), f"the pods use {' and '.join(used)}: which of them is {wanted} is not known"
        name = used[0] if used else wanted
        places = places_of(pod, name)
        if not places:
            return name, (), why_no_place(pod, name)
        if name != wanted:  # with a hash: it is made anew, and never changed
            return name, places, ""
        found = context.kube.find(_KIND, context.target.cluster.namespace, name)
        if found is None:
            return name, (), f"there is no {_KIND} {name} in the cluster: [faults.configmap] name, or an optional one"
        if Outside.of(found, name).flag("immutable"):
            why = f"{_KIND} {name} is immutable: the API refuses a changed one, so that a new one needs a new name"
            return name, (), why
        return name, places, ""

    def outdated(self, injection: Injection, live: LiveContext) -> str:
        """All pods of the plan must serve."""
        return too_few(serving(live), injection.args["members"])

    def inject(self, injection: Injection, live: LiveContext) -> Injected | Void:
        """One commit, made again on top of the newest if somebody else pushes first."""
        args, repo = injection.args, live.env_repo

        def make() -> Commit:
            message = f"rollproof: {self.name}, {KEY}={args['value']}"
            return repo.change(
                args["file"], lambda text: with_key(args["file"], text, KEY, args["value"]), message=message
            )

        try:
            repo.push(make, make())
        except InputError as error:
            return Void(f"the key cannot be added any more: {error}")
        return Injected()

    def evidence(self, injection: Injection, live: LiveContext) -> Effect | None:
        """The cluster's ConfigMap has the key; of one with a hash: the Deployment names another one."""
        args = injection.args
        if args["used"]:
            used = in_use(_template(deployment_of(live)), args["name"])
            if used and args["used"] not in used:
                return Effect(f"the Deployment uses {_KIND} {used[0]} now, and no more {args['used']}")
        else:
            found = live.kube.find(_KIND, args["namespace"], args["name"])
            if found is not None and Outside.of(found, args["name"]).table("data").get(KEY) == args["value"]:
                return Effect(f"{injection.subject} has the key {KEY}")
        look_at_git(live)
        return None

    def steady_looks(self, injection: Injection) -> int:
        """Where running pods never come to it, somebody may still roll them out."""
        waits = all(one.way is Way.VOLUME for one in _places(injection))
        return super().steady_looks(injection) if waits else _QUIET_LOOKS

    def missing(self, injection: Injection, live: LiveContext) -> str:
        """Argo CD is done, all pods serve, and the volumes of each have been written anew."""
        state, args = live.watches.application(), injection.args
        if state.sync_status != "Synced" or state.phase == "Running":
            return f"Argo CD is at {state.sync_revision[:12]}, {state.sync_status}, its last sync {state.phase}"
        deployment = live.watches.deployment()
        if (
            deployment is None
            or deployment.updated < deployment.replicas
            or deployment.observed_generation < deployment.generation
        ):
            return "the Deployment is being rolled out"
        if reason := too_few(serving(live), args["members"]):
            return reason
        for name, pod in live.watches.serving().items():
            for place in _places(injection):
                has = None if place.way is Way.ENVIRONMENT else has_key(live.kube, *_at(args, name, place))
                if place.way is Way.VOLUME and not has:
                    return f"pod {name} does not have {KEY} in {place} yet"
                if place.way is Way.SUBPATH and has is None and pod.uid in args["uids"]:
                    return f"the volume behind {place} is not written anew in pod {name} yet"
        return ""

    def left_behind(self, injection: Injection, live: LiveContext) -> str:
        """The key, where pods have it: volumes are written and pods replaced once more, and users may feel it."""
        args = injection.args
        for name in live.watches.pods():
            for place in _places(injection):
                if place.way is not Way.SUBPATH and has_key(live.kube, *_at(args, name, place)):
                    return f"pod {name} has {KEY} in {place}"
        return too_few(serving(live), args["members"])

    def repaired_by(self, injection: Injection, live: LiveContext) -> TakenIn | None:
        """By the volume, by new pods, in some places or not at all: asked in each pod. None where one cannot tell."""
        args, pods = injection.args, live.watches.serving()
        said: dict[Way, list[bool | None]] = {}
        for place in _places(injection):
            said.setdefault(place.way, []).extend(has_key(live.kube, *_at(args, name, place)) for name in pods)
        asked = [one for each in said.values() for one in each]
        if not asked or not all(said.get(Way.VOLUME, [])):  # a volume may still be written
            return None
        if {True, False} <= set(asked):
            return TakenIn.PARTLY
        if None in asked:
            return None
        if False in asked:
            return TakenIn.NEVER
        return TakenIn.FILE if any(pod.uid in args["uids"] for pod in pods.values()) else TakenIn.ROLLOUT

    def undo_by(self, ways: Ways, args: Mapping[str, Any]) -> Undone:
        """A commit on top of the newest, without the line, if it still has our value."""
        repo, file, ours = ways.repo, str(args["file"]), str(args["value"])
        if repo is None:
            return Undone("failed", reason="there is no way to the env repo")
        found = key_value(file, repo.text(file), KEY)
        if found is None:
            return Undone("not-needed", reason=f"{file} has no key {KEY}")
        if found != ours:
            return Undone("left", reason="somebody else has changed it since", expected=ours, found=found)

        def make() -> Commit:
            message = f"rollproof: undo of {self.name}, {KEY} is taken out"
            return repo.change(file, lambda text: without_key(file, text, KEY, ours), message=message)

        repo.push(make, make())
        ask_again(ways)
        return Undone("done")


def _template(deployment: Object) -> Outside:
    """The spec of the Deployment's pods."""
    return Outside.of(deployment, "the Deployment").child("spec").child("template").child("spec")


def _places(injection: Injection) -> tuple[Place, ...]:
    return tuple(Place.of(one) for one in injection.args["places"])


def _at(args: Mapping[str, Any], pod: str, place: Place) -> tuple[str, str, Place, str]:
    return args["namespace"], pod, place, args["value"]


def _askable(context: Context, pod: str, places: Iterable[Place]) -> tuple[list[Place], str]:
    """Those of the places that a pod can be asked about, and why not the first of the others."""
    asked: list[Place] = []
    why_not = ""
    no_shell: dict[str, str] = {}
    for one in places:
        if one.container not in no_shell:
            no_shell[one.container] = no_exec(context, pod, one.container)
        reason = no_shell[one.container]
        if not reason and one.way is Way.ENVIRONMENT and not one.where.isidentifier():
            reason = f"no shell can name {one}"
        if not reason and one.way is Way.SUBPATH:
            told = subpath_asked(context.kube, context.target.cluster.namespace, pod, one)
            reason = "" if told else f"container {one.container} does not say what is mounted as {one.where}"
        if reason:
            why_not = why_not or reason
        else:
            asked.append(one)
    return asked, why_not


FAULT = ConfigMapKey()
