"""Database server: what is common to the faults that make the database's own server turn the app away.

Statements are run by the database's own client in the database's container (pods/exec), as the administrator whose
password is in a variable of that container: it is expanded there, so that it is in no command, no record, no audit log.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any

from rollproof.clients.execute import Executed
from rollproof.clients.kube import ApiError, Kube
from rollproof.core.injection import Injection, Skip
from rollproof.core.permission import Permission
from rollproof.core.target import Database, Target
from rollproof.errors import RollproofError
from rollproof.faults.base import Context, Injected, LiveContext, Void
from rollproof.faults.database_away import (
    RESOURCES,
    DatabaseAway,
    DatabasePod,
    app_members,
    database_of,
    only_pod,
    pod_permissions,
    workload_args,
)
from rollproof.faults.deadman import armed, held_for_s
from rollproof.faults.inside import EXEC_S, exec_permissions, said_of
from rollproof.faults.processes import end_marked, mark_of
from rollproof.faults.sending import take_back
from rollproof.store.journal import Undone

__all__ = ["OnDatabaseServer", "query", "sql"]


class OnDatabaseServer(DatabaseAway, ABC):
    """Changes one state of the server, and puts it back. In its args are the workload, the pod with its uid, the
    client with its administrator, "account" with its host, "original": the state from before, and "members".
    """

    kinds = frozenset(RESOURCES)
    state: str  # what is changed, in a word or two
    changed: str  # its state while the fault lasts

    @abstractmethod
    def unfit(self, database: Database) -> str:
        """What the target file must say beside what every fault of the database needs; "" if it says it."""

    @abstractmethod
    def look_script(self, args: Mapping[str, Any]) -> str:
        """A shell script that prints the state in one word. It must print nothing else."""

    @abstractmethod
    def fault_script(self, args: Mapping[str, Any]) -> str:
        """A shell script that makes the change; an exit code other than 0 says that it failed."""

    @abstractmethod
    def undo_script(self, args: Mapping[str, Any]) -> str:
        """A shell script that puts the state back to args["original"], any number of times."""

    @abstractmethod
    def words(self, args: Mapping[str, Any]) -> str:
        """What is changed, in words, for the plan."""

    def permissions(self, target: Target) -> Iterable[Permission]:
        """To find the database's pod, and to run its client there."""
        database = target.faults.database
        if database is None:
            return
        yield from pod_permissions(database, "list")
        yield from exec_permissions(database.namespace, "to run the database's client in its container")

    def available(self, context: Context) -> Injection | Skip:
        """The database's only pod, if its client works there and its state is not the fault's already."""
        database = database_of(self, context)
        if isinstance(database, Skip):
            return database
        if why := self.unfit(database):
            return context.skip(self, why)
        args: dict[str, Any] = {
            **workload_args(database), "container": database.container, "client": database.client,
            "admin": database.admin, "variable": database.admin_password_variable, "account": database.account,
            "account_host": database.account_host,
        }  # fmt: skip
        pod = only_pod(context.kube, args)
        if isinstance(pod, str):
            return context.skip(self, pod)
        args |= {"pod": pod.name, "uid": pod.uid, "container": pod.container, "members": app_members(context)}
        state, why = self._look(context.kube, pod, args)
        if why:
            return context.skip(self, f"the state of {self.state} cannot be read in {pod.name}: {why}")
        if state == self.changed:
            return context.skip(self, f"{self.state} is {state} already")
        hold_s, dead_man_s = context.target.faults.hold_s, held_for_s(context.target.faults)
        args |= {"original": state, "dead_man_s": dead_man_s}
        return context.injection(
            self, f"Pod/{database.namespace}/{pod.name}", args=args,
            change=f"{self.words(args)}: {state} -> {self.changed}, for {hold_s:g} s after it was felt",
            undo=f"{state}, if it is still {self.changed}",
            dead_man=f"a timer in the database's container, after {dead_man_s:g} s; not if that ends before",
        )  # fmt: skip

    def inject(self, injection: Injection, live: LiveContext) -> Injected | Void:
        """One command, which arms the dead-man and then makes the change, in the pod of the plan."""
        args = injection.args
        pod = only_pod(live.kube, args)
        if isinstance(pod, str) or pod.uid != args["uid"]:
            return Void(f"pod {args['pod']} with uid {args['uid']} was gone, or not ready, when it was to be changed")
        state, why = self._look(live.kube, pod, args)
        if why or state != args["original"]:
            return Void(f"{self.state} was {why or state} when it was to be changed, planned was {args['original']}")
        script = armed(self.undo_script(args), args["dead_man_s"], self.fault_script(args))
        command = ("env", mark_of(self.name, pod.uid), *script)
        try:
            done = live.kube.pod_exec(args["namespace"], pod.name, pod.container, command, timeout_s=EXEC_S)
        except ApiError as error:
            if error.status == 404:
                return Void(f"pod {args['pod']} was gone when it was to be changed")
            raise
        if done.code != 0:
            take_back(self.name, lambda: self.undo(live.kube, args))  # it may be done in part
            return Void(f"{self.state} could not be changed in {pod.name}: {said_of(done)}")
        return Injected({"uid": args["uid"]})

    def undo(self, kube: Kube, args: Mapping[str, Any]) -> Undone:
        """The state from before, if it is still the fault's; and the timer is ended. By whatever pod there is now."""
        pod = only_pod(kube, args)
        if isinstance(pod, str):
            return Undone("failed", reason=f"nobody can be asked: {pod}", expected=self.changed)
        state, why = self._look(kube, pod, args)
        if why:
            return Undone("failed", reason=f"{self.state} cannot be read: {why}", expected=self.changed)
        if state not in (self.changed, args["original"]):
            _run(kube, pod, args["namespace"], end_marked(mark_of(self.name, pod.uid)))
            return Undone("left", reason=f"{self.state} was set by somebody else", expected=self.changed, found=state)
        done = self._restore(kube, pod, args)
        if done.code != 0:
            return Undone("failed", reason=f"{self.state} could not be put back: {said_of(done)}")
        return Undone("done") if state == self.changed else Undone("not-needed", reason="it is as before")

    def _look(self, kube: Kube, pod: DatabasePod, args: Mapping[str, Any]) -> tuple[str, str]:
        """The state in one word, and ""; or "" and why it could not be read."""
        try:
            done = _run(kube, pod, args["namespace"], self.look_script(args))
        except RollproofError as error:
            return "", str(error)
        said = done.output.split()
        return (said[0], "") if done.code == 0 and len(said) == 1 else ("", said_of(done))

    def _restore(self, kube: Kube, pod: DatabasePod, args: Mapping[str, Any]) -> Executed:
        """Also where nothing is to be put back: the timer, and what else the fault left running, must not go on."""
        return _run(
            kube, pod, args["namespace"], f"{end_marked(mark_of(self.name, pod.uid))}\n{self.undo_script(args)}"
        )


def query(args: Mapping[str, Any], statement: str) -> str:
    """A shell command that runs statements as the administrator, and prints what they give, without headings."""
    return f'{sql(args)} --execute="{statement}"'


def sql(args: Mapping[str, Any]) -> str:
    """The client, as a shell command that reads statements."""
    password = f'MYSQL_PWD="${args["variable"]}" ' if args["variable"] else ""
    options = "--batch --skip-column-names --connect-timeout=3"
    return f"{password}{args['client']} --user={args['admin']} {options}"


def _run(kube: Kube, pod: DatabasePod, namespace: str, script: str) -> Executed:
    return kube.pod_exec(namespace, pod.name, pod.container, ("sh", "-c", script), timeout_s=EXEC_S)
