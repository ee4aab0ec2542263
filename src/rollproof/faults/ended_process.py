"""Ended process: what is common to the faults that end one process which the container's process 1 runs.

Its supervisor ought to start it again, within the same container. The kubelet restarts the container where a probe
notices. Where nobody does anything, part of the app is gone: a silent loss if the pod is called ready all the while.
"""

from __future__ import annotations

import time
from abc import ABC
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from rollproof.clients.kube import ApiError, Kube
from rollproof.core.injection import Injection, Skip
from rollproof.core.permission import Permission, each_verb
from rollproof.core.reasons import NotBack, RepairedBy
from rollproof.core.target import Target
from rollproof.faults.base import Context, Effect, Injected, LiveContext, Void
from rollproof.faults.inside import (
    InOneContainer,
    chosen_process,
    exec_permissions,
    execute,
    not_one,
    said_of,
    seen,
)
from rollproof.faults.leaving import serving, too_few
from rollproof.faults.processes import NOT_THERE, Process, age_s, kill_script, supervised, workers_of
from rollproof.store.journal import Undone

__all__ = ["EndedProcess"]

_LIVES_S = 5.0  # a new one that cannot work (its port is taken) may take 2.5 s until it gives up: seen of nginx
_UNDO_LOOKS, _UNDO_APART_S = 4, 1.0  # a supervisor needs about a second


class EndedProcess(InOneContainer, ABC):
    """The signal is bound to the process of the plan: its pid with its start time. signal: its name, without SIG."""

    signal: ClassVar[str]

    def permissions(self, target: Target) -> Iterable[Permission]:
        """To look at pods is every run's."""
        namespace = target.cluster.namespace
        yield from exec_permissions(namespace, "to look at the container's processes, and to end one")
        yield from each_verb("delete", "pods", namespace, "to undo: a pod whose process stays away is replaced")

    def available(self, context: Context) -> Injection | Skip:
        """The one process of that name below process 1, in the first ready pod by name that has rested."""
        name = context.target.faults.process
        if not name:
            return context.skip(self, 'faults.process does not say which: for example process = "nginx"')
        chosen = chosen_process(context, name)
        if isinstance(chosen, str):
            return context.skip(self, chosen)
        children = [list(child.who) for child in chosen.processes if child.parent == chosen.process.pid]
        workers = len(workers_of(chosen.process, chosen.processes))
        return context.injection(
            self, f"Pod/{chosen.args['namespace']}/{chosen.pod}",
            args={**chosen.args, "children": children, "workers": workers},
            change=f"SIG{self.signal} to {chosen.words}",
            undo="none if its supervisor starts it again; else the pod is deleted gracefully",
            dead_man="none possible: the kubelet's liveness probe, if it notices",
        )  # fmt: skip

    def inject(self, injection: Injection, live: LiveContext) -> Injected | Void:
        """One command, which first looks whether the pid is still that process."""
        args = injection.args
        script = kill_script(self.signal, args["pid"], args["started"])
        try:
            done = execute(live.kube, args["namespace"], args["name"], args["container"], script)
        except ApiError as error:
            if error.status == 404:
                return Void(f"pod {args['name']} was gone when its process was to be ended")
            raise
        if done.code == NOT_THERE:
            return Void(f"process {args['process']} with pid {args['pid']} was gone when it was to be ended")
        if done.code != 0:
            return Void(f"kill -{self.signal} {args['pid']} in pod {args['name']} failed: {said_of(done)}")
        return Injected({"uid": args["uid"]})

    def evidence(self, injection: Injection, live: LiveContext) -> Effect | Void | None:
        """The process is gone, or the container with it; another pod instead is somebody else's doing."""
        args, pod = injection.args, live.watches.pods().get(injection.args["name"])
        if pod is None or pod.uid != args["uid"] or pod.terminating:
            return Void(f"pod {args['name']} was taken away by somebody else, before its process was seen to be gone")
        found = seen(live.kube, args)
        there = found is None or any(one.who == (args["pid"], args["started"]) for one in found)
        if there and pod.restarts <= args["restarts"]:
            return None
        return Effect(f"{args['process']} (pid {args['pid']}) of {injection.subject} is gone", (args["uid"],))

    def missing(self, injection: Injection, live: LiveContext) -> str:
        """One new process of that name that lasts, as the old one was, in the same container; and all pods serve."""
        args, pod = injection.args, live.watches.pods().get(injection.args["name"])
        if pod is None or pod.uid != args["uid"]:
            return f"pod {args['name']} is gone"
        if pod.restarts > args["restarts"]:
            return f"the kubelet restarted container {args['container']}: its supervisor did not repair it"
        found = seen(live.kube, args)
        if reason := _not_back(found, args) or _too_young(found or (), args):
            return reason
        return too_few(serving(live), args["members"])

    def repaired_by(self, injection: Injection, live: LiveContext) -> RepairedBy | None:
        """The supervisor in the same container, the kubelet by a new one, or nobody."""
        args, pod = injection.args, live.watches.pods().get(injection.args["name"])
        if pod is None or pod.uid != args["uid"]:
            return None
        if pod.restarts > args["restarts"]:
            return RepairedBy.KUBELET
        found = seen(live.kube, args)
        if found is None:
            return None
        return RepairedBy.NOBODY if _not_back(found, args) else RepairedBy.SUPERVISOR

    def why_not_back(self, injection: Injection, live: LiveContext) -> NotBack | None:
        """Readiness has noticed, where that pod's address is out of the Service: then the loss is not silent."""
        args, pod = injection.args, live.watches.pods().get(injection.args["name"])
        if pod is None or pod.uid != args["uid"] or pod.restarts > args["restarts"] or pod.ready:
            return None
        found = seen(live.kube, args)
        return NotBack.NOT_RESTARTED if found is not None and _not_back(found, args) else None

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
            reason = _not_back(seen(kube, args), args)
            if not reason:
                return Undone("not-needed", reason=f"{args['process']} runs again")
            time.sleep(_UNDO_APART_S)
        kube.delete("Pod", args["namespace"], args["name"], uid=args["uid"])
        return Undone("done", reason=f"{reason}: pod {args['name']} was deleted")


def _not_back(processes: tuple[Process, ...] | None, args: Mapping[str, Any]) -> str:
    """Why the process does not count as started again; "" if it does: one, with workers if the old one had any.

    A master whose workers were orphaned with its port or its socket starts, fails, and is started again for ever.
    """
    if processes is None:
        return f"the processes of container {args['container']} cannot be listed"
    name, old = args["process"], [tuple(who) for who in args["children"]]
    found = supervised(processes, name)
    if len(found) != 1:
        return not_one(args["name"], name, found)
    if any(orphan.who in old for orphan in supervised(processes)):
        return f"an orphan of the old {name} is left"
    if args["workers"] and not any(process.parent == found[0].pid for process in processes):
        return f"the new {name} (pid {found[0].pid}) has no workers, and the old one had {args['workers']}"
    return ""


def _too_young(processes: tuple[Process, ...], args: Mapping[str, Any]) -> str:
    """Whether the new one may yet give up, in words; "" if it has lasted."""
    found = supervised(processes, args["process"])
    young = next((one for one in found if age_s(one, processes) <= _LIVES_S), None)
    return f"the new {young.name} (pid {young.pid}) has run for {age_s(young, processes):.1f} s" if young else ""
