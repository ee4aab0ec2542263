"""Database frozen: what is common to the faults that stop the database's main process from its node (SIGSTOP).

From inside of its container process 1 cannot be stopped: the signal is accepted and has no effect. Its kernel goes on
taking connections, so that the app is given no answer at all, and the database's own TCP probe finds nothing wrong.
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Iterable, Mapping
from typing import Any

from rollproof.clients.kube import Kube
from rollproof.clients.nodes import NodeAccessError, NodeShell
from rollproof.core.injection import Injection, Skip
from rollproof.core.permission import Permission, each_verb
from rollproof.core.target import Target
from rollproof.faults.base import Context, Injected, LiveContext, Void
from rollproof.faults.database_away import (
    DatabaseAway,
    app_members,
    database_of,
    only_pod,
    pod_permissions,
    probed_within_s,
    workload_args,
)
from rollproof.faults.deadman import armed, held_for_s
from rollproof.faults.processes import NOT_THERE, end_marked, kill_script, mark_of
from rollproof.faults.sending import take_back
from rollproof.store.journal import Undone

__all__ = ["DatabaseFrozen"]

_STOPPED = "T"  # proc(5), stat: by a signal
_STATE, _STARTED = 0, 19  # the fields of /proc/PID/stat behind the name


class DatabaseFrozen(DatabaseAway, ABC):
    """Its args: the pod with its node and address, and its container's main process: pid in the node, and start."""

    kinds = frozenset({"Pod"})
    silent = True
    done: str  # what is done, in words
    undone: str  # and how it is undone

    def more_undo(self, args: Mapping[str, Any]) -> str:  # noqa: ARG002
        """A shell command in the node that takes back what `finish` does there, any number of times."""
        return "true"

    def more_there(self, shell: NodeShell, args: Mapping[str, Any]) -> bool:  # noqa: ARG002
        """Whether that is in place."""
        return False

    def permissions(self, target: Target) -> Iterable[Permission]:
        """To find the database's pod and its node; what is done there needs no right of the API."""
        database = target.faults.database
        if database is None:
            return
        yield from pod_permissions(database, "list watch")
        yield from each_verb("get", "nodes", "", "to prove that the node is the cluster's own")

    def available(self, context: Context) -> Injection | Skip:
        """The main process of the database's only pod, where there is a way into its node."""
        database = database_of(self, context)
        if isinstance(database, Skip):
            return database
        pod = only_pod(context.kube, {**workload_args(database), "container": database.container})
        if isinstance(pod, str):
            return context.skip(self, pod)
        shell = NodeShell(context.target.nodes, context.kube)
        if why := shell.why_not(pod.node):
            return context.skip(self, why)
        try:
            pid = shell.container_pid(pod.node, pod.uid, pod.container)
        except NodeAccessError as error:
            return context.skip(self, str(error))
        _, started = _stat(shell, pod.node, pid)
        hold_s = context.target.faults.hold_s
        after_s = probed_within_s(context)
        args = {
            "kind": "Pod", "namespace": database.namespace, "name": pod.name, "uid": pod.uid, "node": pod.node,
            "ip": pod.ip, "labels": pod.labels, "container": pod.container, "pid": pid, "started": started,
            "members": app_members(context), "dead_man_s": held_for_s(context.target.faults, effect_after_s=after_s),
        }  # fmt: skip
        return context.injection(
            self, f"Pod/{database.namespace}/{pod.name}", args=args,
            change=f"{self.done} (pid {pid} of node {pod.node}), for {hold_s:g} s after it was felt", undo=self.undone,
            dead_man=f"a timer in node {pod.node}, after {args['dead_man_s']:g} s", effect_after_s=after_s,
        )  # fmt: skip

    def inject(self, injection: Injection, live: LiveContext) -> Injected | Void:
        """One command in the node, which arms the dead-man first; bound to the process by its start time."""
        args = injection.args
        shell = NodeShell(live.target.nodes, live.kube)
        command = armed(self._back(args), args["dead_man_s"], kill_script("STOP", args["pid"], args["started"]))
        ran = shell.run(args["node"], ("env", mark_of(self.name, args["uid"]), *command))
        if ran.code == NOT_THERE:
            return Void(f"the main process of pod {args['name']} was gone when it was to be stopped")
        if ran.code != 0:
            take_back(self.name, lambda: self.undo_on(live.target, live.kube, args))  # it may be done in part
            return Void(f"it could not be done in node {args['node']}: exit code {ran.code}, it said {ran.err.strip()}")
        return Injected({"uid": args["uid"]})

    def undo_on(self, target: Target, kube: Kube, args: Mapping[str, Any]) -> Undone:
        """Let the process run again, take the rest back, end the timer. A process that is gone needs nothing."""
        shell = NodeShell(target.nodes, kube)
        state, started = _stat(shell, args["node"], args["pid"])
        there = (started == args["started"] and state == _STOPPED) or self.more_there(shell, args)
        ran = shell.run(
            args["node"], ("sh", "-c", f"{end_marked(mark_of(self.name, args['uid']))}; {self._back(args)}")
        )
        if ran.code != 0:
            return Undone("failed", reason=f"in node {args['node']}: exit code {ran.code}, it said {ran.err.strip()}")
        return Undone("done") if there else Undone("not-needed", reason="it runs, or is gone, and nothing else is left")

    def _back(self, args: Mapping[str, Any]) -> str:
        """The undo, as a shell command; to let run what runs does no harm."""
        running = kill_script("CONT", args["pid"], args["started"])
        return f"{self.more_undo(args)}; ( {running} ) 2>/dev/null || [ $? = {NOT_THERE} ]"


def _stat(shell: NodeShell, node: str, pid: int) -> tuple[str, int]:
    """State and start time of a process of the node; "" and 0 if there is none."""
    ran = shell.run(node, ("cat", f"/proc/{pid}/stat"))
    fields = ran.out.rpartition(") ")[2].split()
    return (fields[_STATE], int(fields[_STARTED])) if ran.code == 0 and len(fields) > _STARTED else ("", 0)
