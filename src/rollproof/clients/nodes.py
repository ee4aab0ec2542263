"""Nodes: commands inside of the cluster's nodes, for faults that a node itself must feel. The only one who gets there.

One way is known: kind, whose nodes are containers of a Docker daemon (`docker exec NODE`). Before the first command a
node is proven to be the cluster's own: what the API says of it (providerID, internal address, machine id) must be what
the daemon says of the container of that name, so that another cluster's node of the same name is never touched.
Must never be asked for a node that is not fenced in; that is the caller's question.
"""

from __future__ import annotations

import os
import secrets
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rollproof.clients.kube import Kube, UnreachableError
from rollproof.core.outside import Outside, parsed
from rollproof.core.target import Nodes
from rollproof.core.visible import printable
from rollproof.errors import OutsideDataError, UnansweredError

__all__ = ["NodeAccessError", "NodeShell", "NodeUnansweredError", "Ran"]

ASK_S = 15.0  # for one question to the daemon, or one short command in a node
_SHOWN = 200
_CLUSTER_LABEL = "io.x-k8s.kind.cluster"
_PROVIDER = "kind://docker/"  # then the cluster's name, "/", the node's: kind sets it for each kubelet
_FIRST = 1  # the pid of a container's main process within it
_FIND = 'grep -l "/pods/$1/containers/$2/" /proc/[0-9]*/mountinfo 2>/dev/null | while IFS=/ read -r _ _ pid _; do '
_FIND += 'while read -r key pids; do [ "$key" = NSpid: ] && echo "$pid ${pids##*[!0-9]}"; done < /proc/$pid/status; '
_FIND += "done 2>/dev/null; true"


class NodeAccessError(UnreachableError):
    """There is no way into the node, or it is not proven to be the cluster's: nothing was run there."""


class NodeUnansweredError(NodeAccessError, UnansweredError):
    """A command was started in a node, and its end was not seen: it may have been done, or may still be."""


class Ran(NamedTuple):
    """How a command in a node ended."""

    code: int
    out: str
    err: str


class NodeShell:
    """Commands in the nodes of one cluster. `settings` is the target's `[nodes]`; `kube` says which nodes there are."""

    def __init__(self, settings: Nodes, kube: Kube) -> None:
        self._settings = settings
        self._kube = kube
        self._containers: dict[str, str] = {}  # of the nodes that are proven: the id of the container

    def why_not(self, node: str) -> str:
        """Why no command can be run in this node; "" if one can. Looks, and changes nothing."""
        if not self._settings.access:
            return 'no way into a node is named: [nodes] access = "docker" in the target file, where it is kind'
        try:
            self._container(node)
        except (NodeAccessError, OutsideDataError) as error:
            return str(error)
        return ""

    def run(self, node: str, argv: Sequence[str], timeout_s: float = ASK_S) -> Ran:
        """Run a command in the node to its end, whatever that is.

        A process that it leaves behind goes on there: that is how a timer is armed. It must not keep stdout open.
        NodeAccessError if it was not started, NodeUnansweredError if it did not end within timeout_s.
        """
        mark = secrets.token_hex(8)  # without it docker failed, not the command: both end with 1 and words
        script = f'echo {mark}; exec "$@"'
        words = ("exec", self._container(node), "sh", "-c", script, "sh", *argv)
        done = self._docker(*words, timeout_s=timeout_s, node=node)
        begun, _, out = done.out.partition("\n")
        if begun != mark:
            said = _short(done.err or done.out)
            raise NodeAccessError(f"no command could be run in node {node}: docker exec said {said}")
        return Ran(done.code, out, done.err)

    def is_paused(self, node: str) -> bool:
        """Whether all of its processes are frozen (`docker pause`)."""
        return self._inspect(node).child("State").flag("Paused")

    def pause(self, node: str, *, again_after_s: float) -> bool:
        """Freeze all processes of the node; False if they are frozen already.

        A timer on this machine, started before, unfreezes them after `again_after_s` even if this process is killed.
        """
        container = self._container(node)
        if self.is_paused(node):
            return False
        wake = ["sh", "-c", '(sleep "$1"; shift; exec "$@") &', "sh", f"{again_after_s:g}"]
        subprocess.run(
            [*wake, *self._words("unpause", container)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True, check=True,  # it must outlive us, also a Ctrl-C
        )  # fmt: skip
        self._must("pause", container, node)
        return True

    def unpause(self, node: str) -> bool:
        """Let them run again; False if they were not frozen."""
        container = self._container(node)
        if not self.is_paused(node):
            return False
        self._must("unpause", container, node)
        return True

    def container_pid(self, node: str, pod_uid: str, container: str) -> int:
        """The pid, as the node counts, of the main process of a pod's container of that name.

        A container is known by what the kubelet mounts into it (`/var/lib/kubelet/pods/UID/containers/NAME/...` at its
        terminationMessagePath), its main process by pid 1 within it (proc(5), NSpid). NodeAccessError if there is not
        exactly one: it has ended, or shares its processes with others (hostPID, shareProcessNamespace).
        """
        ran = self.run(node, ("sh", "-c", _FIND, "sh", pod_uid, container))
        lines = [line.split() for line in ran.out.splitlines()]
        found = [int(pid) for pid, inner in (line for line in lines if len(line) == 2) if int(inner) == _FIRST]
        if len(found) != 1:
            who = f"container {container} of the pod with uid {pod_uid}"
            raise NodeAccessError(f"{len(found)} processes in node {node} are the main process of {who}, expected one")
        return found[0]

    def _container(self, node: str) -> str:
        """The id of the node's container, proven to be the cluster's own."""
        if node not in self._containers:
            self._containers[node] = self._proven(node)
        return self._containers[node]

    def _proven(self, node: str) -> str:
        """NodeAccessError with what does not agree."""
        if not self._settings.access:
            raise NodeAccessError(self.why_not(node))
        item = self._kube.find("Node", "", node)
        if item is None:
            raise NodeAccessError(f"the cluster has no node {node}")
        told = Outside.of(item, f"node {node}")
        provider = told.child("spec").text("providerID")
        cluster, _, name = provider.removeprefix(_PROVIDER).partition("/")
        if not provider.startswith(_PROVIDER) or name != node:
            raise NodeAccessError(f"node {node} is no container of kind: its providerID is {provider!r}")
        found = self._inspect(node)
        if (label := found.child("Config").child("Labels").text(_CLUSTER_LABEL)) != cluster:
            raise NodeAccessError(f"container {node} is of the kind cluster {label!r}, the node of {cluster!r}")
        self._same_address(node, told, found)
        container = found.needed("Id")
        if not found.child("State").flag("Paused"):  # else nothing can be run in it
            self._same_machine(node, told, container)
        return container

    @staticmethod
    def _same_address(node: str, told: Outside, found: Outside) -> None:
        networks = found.child("NetworkSettings").child("Networks")
        here = {networks.child(name).text("IPAddress") for name in networks.value}
        addresses = told.child("status").objects("addresses")
        there = {one.text("address") for one in addresses if one.text("type") == "InternalIP"}
        if not here & there:
            seen = f"{', '.join(sorted(here))}, the node {', '.join(sorted(there))}"
            raise NodeAccessError(f"container {node} has the address {seen}: it is another cluster's")

    def _same_machine(self, node: str, told: Outside, container: str) -> None:
        wanted = told.child("status").child("nodeInfo").text("machineID")
        read = self._docker("exec", container, "cat", "/etc/machine-id", node=node)
        if not wanted or read.code != 0 or read.out.strip() != wanted:
            found = read.out.strip() if read.code == 0 else _short(read.err)
            raise NodeAccessError(f"container {node} has the machine id {found}, the node {wanted or 'none'}")

    def _inspect(self, node: str) -> Outside:
        done = self._docker("container", "inspect", "--format", "{{json .}}", self._containers.get(node, node))
        if done.code != 0:
            raise NodeAccessError(f"docker shows no container {node}: {_short(done.err)}", _hint(self._socket()))
        what = f"docker inspect of {node}"
        return Outside.of(parsed(done.out, what), what)

    def _must(self, word: str, container: str, node: str) -> None:
        done = self._docker(word, container, node=node)
        if done.code != 0:
            raise NodeAccessError(f"docker {word} of node {node} failed: {_short(done.err)}")

    def _docker(self, *words: str, timeout_s: float = ASK_S, node: str = "") -> Ran:
        """One docker command. Without a node it only asks, so that no answer means that nothing was done."""
        try:
            done = subprocess.run(
                self._words(*words), stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout_s, check=False,
                text=True, errors="replace", env=_environ(),
            )  # fmt: skip
        except OSError as error:
            message = f"the command `docker` cannot be run: {printable(str(error))}"
            raise NodeAccessError(message, 'install it, or leave out [nodes] access = "docker"') from None
        except subprocess.TimeoutExpired:
            message = f"docker {words[0]} did not end within {timeout_s:g} s"
            if node:
                raise NodeUnansweredError(f"{message}; it may have been done in node {node}") from None
            raise NodeAccessError(message, _hint(self._socket())) from None
        return Ran(done.returncode, done.stdout, done.stderr)

    def _words(self, *words: str) -> list[str]:
        socket = self._socket()
        return ["docker", *(("--host", f"unix://{socket}") if socket else ()), *words]

    def _socket(self) -> str:
        """The daemon's socket; "" for the one that docker itself would ask."""
        socket = self._settings.socket
        return socket if socket and Path(socket).is_socket() else ""


def _environ() -> Mapping[str, str]:
    """The user's, for docker's own settings say where the daemon is; its words are for us."""
    return {**os.environ, "LC_ALL": "C"}


def _hint(socket: str) -> str:
    return f"is the Docker daemon under the cluster at {socket or 'DOCKER_HOST, or its usual place'}?"


def _short(text: Any) -> str:
    return printable(str(text).strip())[:_SHOWN] or "nothing"
