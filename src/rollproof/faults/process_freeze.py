"""Process freeze: a process that the container's supervisor runs stands still (SIGSTOP), with its whole process group.

Its port takes connections and nobody reads from them: what it has been sent is not lost, it waits. Readiness should
notice and take the pod out of the Service, and after SIGCONT all goes on. To stop a master alone stops nothing that
users feel, for its workers serve on: they are in its process group, where it leads one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rollproof.clients.kube import ApiError, Kube
from rollproof.core.injection import Injection, Skip
from rollproof.core.permission import Permission, each_verb
from rollproof.core.target import Target
from rollproof.errors import CannotJudgeError
from rollproof.faults.base import Context, Effect, Injected, LiveContext, Void
from rollproof.faults.database_away import probed_within_s
from rollproof.faults.deadman import armed, held_for_s
from rollproof.faults.inside import (
    InOneContainer,
    chosen_process,
    exec_permissions,
    execute,
    look,
    restart_begun,
    said_of,
    seen,
)
from rollproof.faults.leaving import serving, too_few
from rollproof.faults.processes import NOT_THERE, Process, end_timers, kill_script
from rollproof.faults.sending import take_back
from rollproof.store.journal import Undone

__all__ = ["FAULT", "ProcessFreeze"]

_TIMER = "rollproof-process-freeze"  # in the timer's script, so that it can be found and ended


class ProcessFreeze(InOneContainer):
    """Stopped in the container, where a timer was armed first that lets it go on."""

    name = "process-freeze"
    loss_by_design = True
    held = True
    peers = "chaosd process stop (on hosts); none for Kubernetes"

    def permissions(self, target: Target) -> Iterable[Permission]:
        """To look at pods is every run's."""
        why = "to look at the container's processes, to stop one and to let it go on"
        namespace = target.cluster.namespace
        yield from exec_permissions(namespace, why)
        why = "without it a restart that liveness has begun is seen late, and what it costs is taken for new"
        yield from each_verb("list", "events", namespace, why, required=False)

    def available(self, context: Context) -> Injection | Skip:
        """The one process of that name below process 1, in the first ready pod by name that has rested."""
        limits = context.target.faults
        name = limits.frozen_process or limits.process
        if not name:
            reason = 'neither faults.frozen_process nor faults.process says which: for example frozen_process = "nginx"'
            return context.skip(self, reason)
        chosen = chosen_process(context, name)
        if isinstance(chosen, str):
            return context.skip(self, chosen)
        after_s = probed_within_s(context)
        leads, timer_s = chosen.process.group == chosen.process.pid, held_for_s(limits, effect_after_s=after_s)
        also = " and its process group" if leads else ""
        return context.injection(
            self, f"Pod/{chosen.args['namespace']}/{chosen.pod}",
            args={**chosen.args, "group": leads, "dead_man_s": timer_s},
            change=f"SIGSTOP to {chosen.words}{also}", undo=f"SIGCONT to the same, after {limits.hold_s:g} s",
            dead_man=f"a timer in the container, after {timer_s:g} s", effect_after_s=after_s,
        )  # fmt: skip

    def inject(self, injection: Injection, live: LiveContext) -> Injected | Void:
        """One command: the timer first, then the signal, if the pid is still that process."""
        args = injection.args
        fault, back = (_script(signal, args) for signal in ("STOP", "CONT"))
        script = armed(f"{back}; : {_TIMER}", args["dead_man_s"], fault)[-1]
        try:
            done = execute(live.kube, args["namespace"], args["name"], args["container"], script)
        except ApiError as error:
            if error.status == 404:
                return Void(f"pod {args['name']} was gone when its process was to be stopped")
            raise
        if done.code == 0:
            return Injected({"uid": args["uid"]})
        take_back(self.name, lambda: self.undo(live.kube, args))  # the timer runs
        if done.code == NOT_THERE:
            return Void(f"process {args['process']} with pid {args['pid']} was gone when it was to be stopped")
        return Void(f"kill -STOP {args['pid']} in pod {args['name']} failed: {said_of(done)}")

    def evidence(self, injection: Injection, live: LiveContext) -> Effect | Void | None:
        """It stands still, and a probe has noticed: the pod is not ready any more, or its container was restarted."""
        args, pod = injection.args, live.watches.pods().get(injection.args["name"])
        if pod is None or pod.uid != args["uid"] or pod.terminating:
            return Void(f"pod {args['name']} was taken away by somebody else, while its process stood still")
        what = f"{args['process']} (pid {args['pid']}) of {injection.subject} stands still"
        if pod.restarts > args["restarts"]:
            return Effect(f"{what}: liveness had its container restarted", (args["uid"],))
        found = seen(live.kube, args)
        if pod.ready or found is None or not _stopped(found, args):
            return None
        return Effect(f"{what}, and the pod is not ready any more", (args["uid"],))

    def observe(self, injection: Injection, live: LiveContext) -> Void | None:
        """Void if somebody else has let it go on; a container that liveness has restarted is a part of the answer."""
        args, found = injection.args, seen(live.kube, injection.args)
        pod = live.watches.pods().get(args["name"])
        restarted = pod is None or pod.uid != args["uid"] or pod.restarts > args["restarts"]
        if restarted or found is None or _stopped(found, args):
            return None
        there = any(one.who == (args["pid"], args["started"]) for one in found)
        return Void(f"somebody else let {args['process']} go on before its time") if there else None

    def missing(self, injection: Injection, live: LiveContext) -> str:
        """It runs, or its container was restarted, and that pod serves with all its fellows."""
        args, serve = injection.args, serving(live)
        if args["uid"] not in serve:
            return f"pod {args['name']} is not ready, not in the Service, or gone"
        found = seen(live.kube, args)
        if found is None:
            return f"the processes of container {args['container']} cannot be listed"
        if still := _stopped(found, args):
            return f"process {still[0].pid} stands still"
        place = (args["namespace"], args["name"], args["container"])
        return restart_begun(live.kube, *place) or too_few(serve, args["members"])

    def undo(self, kube: Kube, args: Mapping[str, Any]) -> Undone:
        """Let it go on, and end the timer. A container that was restarted, or a pod that is gone, needs nothing."""
        pod = kube.find("Pod", args["namespace"], args["name"])
        if pod is None or pod["metadata"]["uid"] != args["uid"]:
            return Undone("not-needed", reason=f"pod {args['name']} is gone")
        statuses = pod.get("status", {}).get("containerStatuses", ())
        if any(one["name"] == args["container"] and one["restartCount"] > args["restarts"] for one in statuses):
            return Undone("not-needed", reason=f"container {args['container']} was restarted")
        try:
            return self._go_on(kube, args)
        except ApiError as error:
            if error.status != 404:
                raise
            return Undone("not-needed", reason=f"pod {args['name']} is gone")

    def _go_on(self, kube: Kube, args: Mapping[str, Any]) -> Undone:
        place = (args["namespace"], args["name"], args["container"])
        found = look(kube, *place)
        if found is None:
            message = f"the processes of container {args['container']} of pod {args['name']} cannot be listed"
            raise CannotJudgeError(message, "what stands still goes on by itself: a timer runs in the container")
        if not _stopped(found, args):
            execute(kube, *place, end_timers(_TIMER))
            return Undone("not-needed", reason=f"{args['process']} does not stand still")
        done = execute(kube, *place, f"{end_timers(_TIMER)}; {_script('CONT', args)}")
        if done.code not in (0, NOT_THERE):
            return Undone("failed", reason=f"kill -CONT {args['pid']} in pod {args['name']}: {said_of(done)}")
        return Undone("done")


def _script(signal: str, args: Mapping[str, Any]) -> str:
    # The numbers may come from a journal, and are a part of a script.
    return kill_script(signal, int(args["pid"]), int(args["started"]), group=bool(args["group"]))


def _stopped(processes: tuple[Process, ...], args: Mapping[str, Any]) -> tuple[Process, ...]:
    """Those that stand still of the process that the plan names, and of its group."""
    there = any(one.who == (args["pid"], args["started"]) for one in processes)
    ours = [one for one in processes if one.pid == args["pid"] or (args["group"] and one.group == args["pid"])]
    return tuple(one for one in ours if one.stopped) if there else ()


FAULT = ProcessFreeze()
