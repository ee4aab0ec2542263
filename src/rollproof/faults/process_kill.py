"""Process kill: one process that the container's supervisor runs is ended, and somebody must start it again.

Which one is `faults.process`, by SIGKILL or SIGTERM. The supervisor ought to start it, within the same container. The
kubelet restarts the container where a probe notices; where nobody does anything, part of the app is gone and all says
healthy: a silent loss.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

from rollproof.clients.kube import ApiError, Kube
from rollproof.core.injection import Injection, Skip
from rollproof.core.permission import Permission, each_verb
from rollproof.core.reasons import RepairedBy
from rollproof.core.target import Target
from rollproof.errors import RollproofError
from rollproof.faults.base import Context, Effect, Injected, LiveContext, Void
from rollproof.faults.inside import (
    InOneContainer,
    container_named,
    exec_permissions,
    execute,
    first_rested,
    no_exec,
    said_of,
)
from rollproof.faults.leaving import deployment_of, serving, takeable_pods, too_few
from rollproof.faults.processes import LOOK, NOT_THERE, Process, kill_script, parse, supervised
from rollproof.store.journal import Undone

__all__ = ["FAULT", "ProcessKill"]

_UNDO_LOOKS, _UNDO_APART_S = 4, 1.0  # a supervisor needs about a second


class ProcessKill(InOneContainer):
    """The signal is bound to the process of the plan: its pid with its start time."""

    name = "process-kill"
    peers = "Chaos Mesh and chaosd process kill, Gremlin process killer"

    def permissions(self, target: Target) -> Iterable[Permission]:
        """To look at pods is every run's."""
        namespace = target.cluster.namespace
        yield from exec_permissions(namespace, "to look at the container's processes, and to end one")
        yield from each_verb("delete", "pods", namespace, "to undo: a pod whose process stays away is replaced")

    def available(self, context: Context) -> Injection | Skip:
        """The one process of that name below process 1, in the first ready pod by name that has rested."""
        deployment, settings = deployment_of(context), context.target.faults
        if not settings.process:
            return context.skip(self, 'faults.process does not say which: for example process = "nginx"')
        ready, reason = takeable_pods(context, deployment)
        if reason:
            return context.skip(self, reason)
        if not (container := container_named(context, deployment)):
            return context.skip(self, "cluster.container must say which container")
        namespace = context.target.cluster.namespace
        name, reason = first_rested(context, tuple(ready), container)
        if reason := reason or no_exec(context, name, container):
            return context.skip(self, reason)
        processes = _look(context.kube, namespace, name, container) or ()
        found = supervised(processes, settings.process)
        if len(found) != 1:
            return context.skip(self, _not_one(name, settings.process, found))
        pod, (one,) = ready[name], found
        args = {
            "kind": "Pod", "namespace": namespace, "name": name, "uid": pod.uid, "container": container,
            "restarts": pod.restarts, "members": len(ready), "process": one.name, "pid": one.pid,
            "started": one.started, "signal": settings.process_signal,
            "children": [list(child.who) for child in processes if child.parent == one.pid],
        }  # fmt: skip
        which = f"{one.name} (pid {one.pid}) in container {container}, uid {pod.uid}"
        return context.injection(
            self, f"Pod/{namespace}/{name}", args=args, change=f"SIG{settings.process_signal} to {which}",
            undo="none if its supervisor starts it again; else the pod is deleted gracefully",
            dead_man="none possible: the kubelet's liveness probe, if it notices",
        )  # fmt: skip

    def inject(self, injection: Injection, live: LiveContext) -> Injected | Void:
        """One command, which first looks whether the pid is still that process."""
        args = injection.args
        script = kill_script(args["signal"], args["pid"], args["started"])
        try:
            done = execute(live.kube, args["namespace"], args["name"], args["container"], script)
        except ApiError as error:
            if error.status == 404:
                return Void(f"pod {args['name']} was gone when its process was to be ended")
            raise
        if done.code == NOT_THERE:
            return Void(f"process {args['process']} with pid {args['pid']} was gone when it was to be ended")
        if done.code != 0:
            return Void(f"kill -{args['signal']} {args['pid']} in pod {args['name']} failed: {said_of(done)}")
        return Injected({"uid": args["uid"]})

    def evidence(self, injection: Injection, live: LiveContext) -> Effect | Void | None:
        """The process is gone, or the container with it; another pod instead is somebody else's doing."""
        args, pod = injection.args, live.watches.pods().get(injection.args["name"])
        if pod is None or pod.uid != args["uid"] or pod.terminating:
            return Void(f"pod {args['name']} was taken away by somebody else, before its process was seen to be gone")
        processes = _seen(live.kube, args)
        there = processes is None or any(one.who == (args["pid"], args["started"]) for one in processes)
        if there and pod.restarts <= args["restarts"]:
            return None
        return Effect(f"{args['process']} (pid {args['pid']}) of {injection.subject} is gone", (args["uid"],))

    def missing(self, injection: Injection, live: LiveContext) -> str:
        """One new process of that name, without orphans of the old one, in the same container; and all pods serve."""
        args, pod = injection.args, live.watches.pods().get(injection.args["name"])
        if pod is None or pod.uid != args["uid"]:
            return f"pod {args['name']} is gone"
        if pod.restarts > args["restarts"]:
            return f"the kubelet restarted container {args['container']}: its supervisor did not repair it"
        if reason := _not_back(_seen(live.kube, args), args):
            return reason
        serve = serving(live)
        return too_few(serve, args["members"])

    def repaired_by(self, injection: Injection, live: LiveContext) -> RepairedBy | None:
        """The supervisor in the same container, the kubelet by a new one, or nobody."""
        args, pod = injection.args, live.watches.pods().get(injection.args["name"])
        if pod is None or pod.uid != args["uid"]:
            return None
        if pod.restarts > args["restarts"]:
            return RepairedBy.KUBELET
        processes = _seen(live.kube, args)
        if processes is None:
            return None
        return RepairedBy.NOBODY if _not_back(processes, args) else RepairedBy.SUPERVISOR

    def undo(self, kube: Kube, args: Mapping[str, Any]) -> Undone:
        """A pod whose process nobody has started again is deleted gracefully: its ReplicaSet makes another one."""
        reason = ""
        for _ in range(_UNDO_LOOKS):
            pod = kube.find("Pod", args["namespace"], args["name"])
            if pod is None or pod["metadata"]["uid"] != args["uid"] or "deletionTimestamp" in pod["metadata"]:
                return Undone("not-needed", reason=f"pod {args['name']} is gone, or leaving")
            statuses = pod.get("status", {}).get("containerStatuses", ())
            if any(one["name"] == args["container"] and one["restartCount"] > args["restarts"] for one in statuses):
                return Undone("not-needed", reason=f"container {args['container']} was restarted")
            reason = _not_back(_seen(kube, args), args)
            if not reason:
                return Undone("not-needed", reason=f"{args['process']} runs again")
            time.sleep(_UNDO_APART_S)
        kube.delete("Pod", args["namespace"], args["name"], uid=args["uid"])
        return Undone("done", reason=f"{reason}: pod {args['name']} was deleted")


def _look(kube: Kube, namespace: str, pod: str, container: str) -> tuple[Process, ...] | None:
    """The container's processes now; None if they could not be listed."""
    done = execute(kube, namespace, pod, container, LOOK)
    return parse(done.output) or None if done.code == 0 else None


def _seen(kube: Kube, args: Mapping[str, Any]) -> tuple[Process, ...] | None:
    """The same of the plan's container; None also while nobody answers, as while it starts again."""
    try:
        return _look(kube, args["namespace"], args["name"], args["container"])
    except RollproofError:
        return None


def _not_back(processes: tuple[Process, ...] | None, args: Mapping[str, Any]) -> str:
    """Why the process does not count as started again; "" if it does: one, and no orphan of the old one."""
    if processes is None:
        return f"the processes of container {args['container']} cannot be listed"
    found = supervised(processes, args["process"])
    if len(found) != 1:
        return _not_one(args["name"], args["process"], found)
    return f"only an orphan of {args['process']} is left" if list(found[0].who) in args["children"] else ""


def _not_one(pod: str, name: str, found: tuple[Process, ...]) -> str:
    if not found:
        return f"no process {name} runs below process 1 in pod {pod}"
    return f"{len(found)} processes {name} run below process 1 in pod {pod}: orphans of one that was killed serve on"


FAULT = ProcessKill()
