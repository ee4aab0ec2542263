"""ConfigMap key: a commit gives the app's ConfigMap one key more. Which pods see it, and after how long?

A volume is written anew within 60 to 90 s under the running app. An environment is read once, at the start: where
nothing rolls the Deployment out, running pods keep the old one, whatever Argo CD says. The key is nobody's, so that no
app reads it: what is tried is the way, and not the setting.
"""

from __future__ import annotations

import secrets
import shlex
from collections.abc import Iterable, Mapping
from typing import Any

from rollproof.clients.kube import Object
from rollproof.clients.overlay import data_value, with_data, without_data
from rollproof.clients.repo import Commit
from rollproof.core.blast import Blast
from rollproof.core.injection import Injection, Skip
from rollproof.core.outside import Outside
from rollproof.core.permission import Permission, each_verb
from rollproof.core.reasons import TakenIn
from rollproof.core.target import Target
from rollproof.errors import InputError
from rollproof.faults.base import Context, Effect, Fault, Injected, LiveContext, Void, Ways
from rollproof.faults.delivery import asked_within_s, look_at_git
from rollproof.faults.inside import NO_CONTAINER, container_named, exec_permissions, execute, no_exec
from rollproof.faults.leaving import deployment_of, ready_pods, serving, too_few, why_none
from rollproof.store.journal import Undone

__all__ = ["FAULT", "ConfigMapKey"]

_KIND, _KEY = "ConfigMap", "ROLLPROOF_MARK"  # a name that an environment and a file may have
_VOLUME_S = 90.0  # the kubelet's syncFrequency of 1 min, and its cache


class ConfigMapKey(Fault):
    """Its args: the ConfigMap, the `file` that has it, the key's `value`, where the `container` has it mounted."""

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
        """The ConfigMap that the target file names, if the app's container has it as a volume or in its environment."""
        wanted, namespace = context.target.faults.configmap, context.target.cluster.namespace
        if wanted is None:
            return context.skip(self, "the target file does not say which ConfigMap of git: [faults.configmap]")
        if context.target.release.mode != "push":
            return context.skip(self, "release.mode is not push: it is its pipeline that pushes")
        if data_value(wanted.file, context.env_repo.text(wanted.file), _KEY) is not None:
            return context.skip(self, f"{wanted.file} has the key {_KEY} already: undo the earlier run first")
        deployment = deployment_of(context)
        container, ready = container_named(context, deployment), ready_pods(context, deployment)
        if not container:
            return context.skip(self, NO_CONTAINER)
        mount, in_environment = _uses(deployment, container, wanted.name)
        if not mount and not in_environment:
            return context.skip(self, f"container {container} has no key of {_KIND} {wanted.name} that is added to it")
        if not ready:
            return context.skip(self, why_none(context))
        if reason := no_exec(context, next(iter(ready)), container):
            return context.skip(self, reason)
        args = {
            "kind": _KIND, "namespace": namespace, "name": wanted.name, "file": wanted.file, "members": len(ready),
            "value": secrets.token_hex(8), "container": container, "mount": mount,
        }  # fmt: skip
        polled_s = asked_within_s(context)
        return context.injection(
            self, f"{_KIND}/{namespace}/{wanted.name}", args=args, effect_after_s=polled_s,
            recovery_after_s=polled_s + (_VOLUME_S if mount else 0.0),
            change=f"a commit adds the key {_KEY} in {wanted.file}; is it in {mount or 'the environment'} of each pod?",
            undo="a commit that takes that line out again",
            dead_man="none possible: it is a commit; `rollproof undo` makes the other one",
        )  # fmt: skip

    def outdated(self, injection: Injection, live: LiveContext) -> str:
        """All pods of the plan must serve."""
        return too_few(serving(live), injection.args["members"])

    def inject(self, injection: Injection, live: LiveContext) -> Injected | Void:
        """One commit, made again on top of the newest if somebody else pushes first."""
        args, repo = injection.args, live.env_repo

        def make() -> Commit:
            message = f"rollproof: {self.name}, {_KEY}={args['value']}"
            return repo.change(
                args["file"], lambda text: with_data(args["file"], text, _KEY, args["value"]), message=message
            )

        try:
            repo.push(make, make())
        except InputError as error:
            return Void(f"the key cannot be added any more: {error}")
        return Injected()

    def evidence(self, injection: Injection, live: LiveContext) -> Effect | None:
        """The cluster's ConfigMap has the key."""
        args = injection.args
        found = live.kube.find(_KIND, args["namespace"], args["name"])
        if found is not None and Outside.of(found, args["name"]).table("data").get(_KEY) == args["value"]:
            return Effect(f"{injection.subject} has the key {_KEY}")
        look_at_git(live)
        return None

    def missing(self, injection: Injection, live: LiveContext) -> str:
        """Argo CD is done, all pods serve, and each has the key where a running pod can come to it."""
        state, args = live.watches.application(), injection.args
        if state.sync_status != "Synced" or state.phase == "Running":
            return f"Argo CD is at {state.sync_revision[:12]}, {state.sync_status}, its last sync {state.phase}"
        deployment = live.watches.deployment()
        if deployment is None or deployment.updated < deployment.replicas:
            return "the Deployment is being rolled out"
        if reason := too_few(serving(live), args["members"]):
            return reason
        if not args["mount"]:
            return ""
        without = [name for name in live.watches.serving() if not _has(live, name, args)]
        return f"pod {min(without)} does not have {_KEY} in {args['mount']} yet" if without else ""

    def repaired_by(self, injection: Injection, live: LiveContext) -> TakenIn | None:
        """By the volume, by new pods, or not at all: asked in each pod."""
        args, pods = injection.args, live.watches.serving()
        if not pods or not all(_has(live, name, args) for name in pods):
            return None if args["mount"] or not pods else TakenIn.NEVER
        return TakenIn.FILE if args["mount"] else TakenIn.ROLLOUT

    def undo_by(self, ways: Ways, args: Mapping[str, Any]) -> Undone:
        """A commit on top of the newest, without the line, if it still has our value."""
        repo, file, ours = ways.repo, str(args["file"]), str(args["value"])
        if repo is None:
            return Undone("failed", reason="there is no way to the env repo")
        found = data_value(file, repo.text(file), _KEY)
        if found is None:
            return Undone("not-needed", reason=f"{file} has no key {_KEY}")
        if found != ours:
            return Undone("left", reason="somebody else has changed it since", expected=ours, found=found)

        def make() -> Commit:
            message = f"rollproof: undo of {self.name}, {_KEY} is taken out"
            return repo.change(file, lambda text: without_data(file, text, _KEY, ours), message=message)

        repo.push(make, make())
        return Undone("done")


def _uses(deployment: Object, container: str, configmap: str) -> tuple[str, bool]:
    """Where a container has a whole ConfigMap mounted ("" for nowhere), and whether all of it is in its environment.

    Not by subPath, which is never written anew, and not single keys: they are no place for one more.
    """
    pod = Outside.of(deployment, "the Deployment").child("spec").child("template").child("spec")
    volumes = {
        one.text("name") for one in pod.objects("volumes")
        if one.child("configMap").text("name") == configmap and not one.child("configMap").objects("items")
    }  # fmt: skip
    for one in pod.objects("containers"):
        if one.text("name") == container:
            mounts = [each for each in one.objects("volumeMounts") if each.text("name") in volumes]
            places = [each.text("mountPath") for each in mounts if not each.text("subPath")]
            sources = [each.child("configMapRef").text("name") for each in one.objects("envFrom")]
            return (places[0] if places else ""), configmap in sources
    return "", False


def _has(live: LiveContext, pod: str, args: Mapping[str, Any]) -> bool:
    """Whether a pod has the key with our value: in the volume, else in the environment of its container."""
    script = f"cat {shlex.quote(args['mount'])}/{_KEY}" if args["mount"] else f'printf %s "${_KEY}"'
    done = execute(live.kube, args["namespace"], pod, args["container"], script)
    return done.code == 0 and done.output.strip() == args["value"]


FAULT = ConfigMapKey()
