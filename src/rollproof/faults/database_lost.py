"""Database lost: silent, then gone without a word, and another one in its place, as after the loss of its node.

Its process is stopped; then its packets are dropped in its node, so that nobody is told when its pod is replaced. An
app without a read time-out waits on the connections that it made meanwhile for ever. To be run last.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rollproof.clients.kube import ApiError
from rollproof.clients.nodes import NodeAccessError, NodeShell
from rollproof.core.injection import Injection
from rollproof.core.permission import Permission, each_verb
from rollproof.core.reasons import NotBack
from rollproof.core.target import Target
from rollproof.errors import CannotJudgeError
from rollproof.faults.base import LiveContext, Watching
from rollproof.faults.database_away import UNKNOWN_OTHERS
from rollproof.faults.database_frozen import DatabaseFrozen
from rollproof.faults.inside import container_named
from rollproof.faults.leaving import deployment_of

__all__ = ["FAULT", "DatabaseLost"]

_GRACE_S = 1  # a stopped process does not end by itself
_NEXT_WITHIN_S = 120.0  # for the next pod to be ready: it starts, and repairs its tables
_ESTABLISHED = "01"  # state of a connection in /proc/net/tcp


class DatabaseLost(DatabaseFrozen):
    """The rules are in the chain FORWARD of the database's node, which what goes to or from another node passes."""

    name = "database-lost"
    peers = "none; Krkn and Litmus stop its instance, which tells everybody"
    others = f"hangs like the app, and may go on hanging when all is undone: nobody renews it; {UNKNOWN_OTHERS}"
    done = "its main process stopped by SIGSTOP, then its packets dropped and the pod replaced"
    undone = "the rules deleted; the pod is replaced before that, or goes on by SIGCONT if rollproof is killed"

    def permissions(self, target: Target) -> Iterable[Permission]:
        """To replace the pod as well."""
        yield from super().permissions(target)
        if target.faults.database is not None:
            why = "to replace the database's pod"
            yield from each_verb("delete", "pods", target.faults.database.namespace, why)

    def watched(self, injection: Injection) -> Iterable[Watching]:
        """The database's pods: the next one must be seen to be ready."""
        return (Watching(injection.args["namespace"], injection.args["labels"]),)

    def more_undo(self, args: Mapping[str, Any]) -> str:
        """Each rule as often as it is there."""
        deletions = (
            f"while {program} -w 5 -D FORWARD {rule} 2>/dev/null; do :; done" for program, rule in _rules(args)
        )
        return "; ".join(deletions)

    def more_there(self, shell: NodeShell, args: Mapping[str, Any]) -> bool:
        """Whether one of the rules is."""
        checks = " || ".join(f"{program} -w 5 -C FORWARD {rule} 2>/dev/null" for program, rule in _rules(args))
        return shell.run(args["node"], ("sh", "-c", checks)).code == 0

    def finish(self, injection: Injection, live: LiveContext) -> None:
        """The pod is replaced while its packets are dropped: the end of its connections is told to nobody.

        Dropped only now: were they from the start, no connection would be made that anybody could wait on.
        """
        args = injection.args
        added = " && ".join(f"{program} -w 5 -I FORWARD 1 {rule}" for program, rule in _rules(args))
        ran = NodeShell(live.target.nodes, live.kube).run(args["node"], ("sh", "-c", added))
        if ran.code != 0:
            raise CannotJudgeError(
                f"the packets of pod {args['name']} could not be dropped in node {args['node']}: exit code {ran.code}, "
                f"it said {ran.err.strip()}", "the database is let go on as it was",
            )  # fmt: skip
        try:
            live.kube.delete("Pod", args["namespace"], args["name"], uid=args["uid"], grace_s=_GRACE_S)
        except ApiError as error:
            if error.status not in (404, 409):
                raise
        if live.watches.poll(lambda: _next(injection, live) or None, timeout_s=_NEXT_WITHIN_S) is None:
            message = f"no other pod of the database was ready within {_NEXT_WITHIN_S:g} s after {args['name']}"
            raise CannotJudgeError(message, "see its events: the app cannot come back before its database does")

    def missing(self, injection: Injection, live: LiveContext) -> str:
        """Names the pods that do not serve, and what ends that."""
        missing, hung = super().missing(injection, live), _unready(live)
        if not missing or not hung:
            return missing
        pods, namespace = " ".join(hung), live.target.cluster.namespace
        return (
            f"{missing}, although the next pod of the database ({_next(injection, live)}) is ready; what ends that: "
            f"kubectl --namespace {namespace} delete pod {pods}"
        )

    def why_not_back(self, injection: Injection, live: LiveContext) -> NotBack | None:  # noqa: ARG002 - of all pods
        """Every pod that does not serve still has connections to the database's port, which it has not given up."""
        hung = _unready(live)
        return NotBack.CONNECTIONS_HELD if hung and all(_holds(live, pod) for pod in hung) else None


def _rules(args: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """The program and the rule of each direction; the comment says whose they are."""
    program = "ip6tables" if ":" in args["ip"] else "iptables"
    ours = f"-m comment --comment rollproof-{args['uid']} -j DROP"
    return (program, f"-s {args['ip']} {ours}"), (program, f"-d {args['ip']} {ours}")


def _next(injection: Injection, live: LiveContext) -> str:
    """The ready pod of the database that is not the old one; "" while there is none."""
    pods = live.watches.beside(injection.args["namespace"]).items()
    ready = [name for name, pod in pods if pod.ready and not pod.terminating and pod.uid != injection.args["uid"]]
    return ready[0] if ready else ""


def _unready(live: LiveContext) -> list[str]:
    serving = live.watches.serving()
    return sorted(name for name, pod in live.watches.pods().items() if name not in serving and not pod.terminating)


def _holds(live: LiveContext, name: str) -> bool:
    """Whether the pod has established connections to the database's port, as its node's kernel says."""
    database, pod = live.target.faults.database, live.watches.pods()[name]
    if database is None:
        return False
    shell = NodeShell(live.target.nodes, live.kube)
    try:
        pid = shell.container_pid(pod.node, pod.uid, container_named(live, deployment_of(live)))
        ran = shell.run(pod.node, ("sh", "-c", f"cat /proc/{pid}/net/tcp /proc/{pid}/net/tcp6"))
    except NodeAccessError:
        return False  # nobody can look: then the cause is not known
    lines = [line.split() for line in ran.out.splitlines()]
    return any(
        line[2].endswith(f":{database.port:04X}") and line[3] == _ESTABLISHED for line in lines if len(line) > 3
    )  # fmt: skip


FAULT = DatabaseLost()
