"""Sandbox: starts all parts in the order that makes it healthy soonest, and stops them.

What could be wrong with the request is checked first, before anything is started. `stop` may be called at any
time, also during a start that failed. Must not know what a drill is.
"""

from __future__ import annotations

import http.client
import logging
import queue
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rollproof.errors import CannotJudgeError
from rollproof_sandbox.actors import Actors
from rollproof_sandbox.addresses import Addresses
from rollproof_sandbox.api.kubeconfig import write_kubeconfig
from rollproof_sandbox.api.server import ApiServer
from rollproof_sandbox.api.store import Change, Object, Store
from rollproof_sandbox.argocd import Controller
from rollproof_sandbox.envrepo import APPLICATION, EnvRepo
from rollproof_sandbox.failures import Failures
from rollproof_sandbox.folder import Folder
from rollproof_sandbox.git import Git
from rollproof_sandbox.gitserver import GitServer
from rollproof_sandbox.ingresslog import read_log
from rollproof_sandbox.ports import check_ports, chosen, not_had
from rollproof_sandbox.processes import Child, Processes, script_words
from rollproof_sandbox.seed import INGRESS, SHOP, seed
from rollproof_sandbox.settings import Ports, Settings
from rollproof_sandbox.targetfile import APP_HOST, CONTROL_HOST, target_text
from rollproof_sandbox.workloads import Controllers

__all__ = ["CancelledError", "Sandbox"]

GIT_USERNAME = "pipeline"
_HEALTHY_S = 60.0
_PAUSE_S = 0.02
_log = logging.getLogger(__name__)
_PROXY = Path(__file__).parent / "ingress" / "proxy.py"


class CancelledError(Exception):
    """The end was requested before the sandbox was up."""


@dataclass(slots=True)
class Sandbox:
    """One sandbox. `ports` are the real ones after `start`; `cancelled` ends a start that is in progress.

    `failed` collects unexpected errors of its parts.
    """

    settings: Settings
    folder: Folder
    cancelled: threading.Event = field(default_factory=threading.Event)
    store: Store = field(default_factory=Store, init=False)
    ports: Ports = field(default_factory=Ports, init=False)
    failed: Failures = field(default_factory=Failures, init=False)
    _ingress: Child | None = field(default=None, init=False)
    _stack: ExitStack = field(default_factory=ExitStack, init=False)
    _changed: threading.Event = field(default_factory=threading.Event, init=False)

    def start(self) -> None:
        """Start, and return when it is healthy and answers; after an error `stop` ends what was started.

        InputError: a port or the folder is not available. CannotJudgeError: it did not get healthy. CancelledError.
        """
        self.folder.take()  # first: a second sandbox in this folder should report the first one, not its ports
        self._stack.callback(self.folder.leave)
        with self.folder.writing():
            self._stack.callback(_log_to(self.folder.log))
        processes = Processes(self.folder.children_log, marker=str(self.folder.path))
        git = Git(processes)
        git.check()
        check_ports(self.settings.ports)
        addresses = Addresses(self.settings.seed)
        self._stack.callback(addresses.close)
        self._stack.callback(processes.end_all)
        self.ports = chosen(self.settings.ports)
        ingress, said = self._start_ingress(processes)
        with self.folder.writing():
            repo = EnvRepo.create(
                self.folder.repo, self.settings, repo_url=f"http://127.0.0.1:{self.ports.git}/env.git",
                pod_port=addresses.port, git=git,
            )  # fmt: skip
        self._await(ingress, said)
        seed(self.store, self.settings, addresses, repo.read(APPLICATION))
        self._stack.callback(self.store.subscribe(self._hear))
        self._start_controllers(processes, addresses, ingress, repo)
        self._start_servers(git)
        with self.folder.writing():
            self._write_files(addresses.port)
        self._wait_until_healthy()
        actors = Actors(self.settings.actors, self.store, repo)
        self._stack.callback(actors.stop)
        actors.start()

    def stop(self) -> None:
        """End everything, newest first; only logs stay."""
        ingress, self._ingress = self._ingress, None
        if ingress is not None and ingress.ended.is_set():
            self.failed.add(RuntimeError(f"the ingress ended by itself, with {ingress.wait()}"))
        self._stack.close()

    def failures(self) -> list[str]:
        """Unexpected errors of the sandbox so far: after `stop`, all of them."""
        found = self.failed.said()
        with suppress(OSError):  # the log was removed
            cried = self.folder.children_log.read_text(encoding="utf-8", errors="replace").splitlines()
            found += [f"a process of it broke: {line} ({self.folder.children_log})" for line in cried[-1:]]
        return found

    def check(self) -> None:
        """CannotJudgeError if there are failures."""
        for failure in self.failures():
            message = f"the sandbox itself failed: {failure}; what was seen of it proves nothing"
            raise CannotJudgeError(message, f"please report it, with {self.folder.log}")

    def _start_ingress(self, processes: Processes) -> tuple[Child, queue.SimpleQueue[dict[str, Any]]]:
        """Start its process; also returns the queue of what it reports: that it listens, or why it cannot."""
        said: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        first = {
            "port": self.ports.ingress, "settings": self.settings.as_json()["ingress"],
            "log": str(self.folder.ingress_log), "app_host": APP_HOST, "control_host": CONTROL_HOST,
        }  # fmt: skip

        def hear(item: dict[str, Any]) -> None:
            if "reloads" in item:
                _log.info("ingress: reloads; %d connections end with their next answer", item["reloads"])
            else:
                said.put(item)

        return processes.start(script_words(_PROXY), name="ingress", first=first, heard=hear), said

    def _await(self, ingress: Child, said: queue.SimpleQueue[dict[str, Any]]) -> None:
        """Wait until the ingress listens."""
        self._until(lambda: not said.empty() or ingress.ended.is_set(), time.sleep)
        answer = {"error": "", "why": ""} if said.empty() else said.get()
        if answer.get("error") == "port":
            raise not_had("ingress", self.ports.ingress, answer["why"])
        if answer.get("error") == "log":
            raise self.folder.not_written(answer["why"])
        if "listening" not in answer:
            raise CannotJudgeError(
                f"the sandbox's ingress ended with {ingress.wait()} before it listened",
                f"please report it, with {self.folder.children_log}",
            )
        self._ingress = ingress

    def _start_servers(self, git: Git) -> None:
        api = ApiServer(
            self.store, self.settings.api, self.ports.api, self.folder.token, self._log_of, failed=self.failed.add
        )
        self._stack.callback(api.stop)
        try:
            api.start()
        except OSError as error:
            raise not_had("api", self.ports.api, error.strerror) from None
        server = GitServer(
            self.folder.repo.parent, self.ports.git, GIT_USERNAME, self.folder.git_password, git=git,
            failed=self.failed.add,
        )  # fmt: skip
        self._stack.callback(server.stop)
        server.start()

    def _start_controllers(self, processes: Processes, addresses: Addresses, ingress: Child, repo: EnvRepo) -> None:
        def routes(endpoints: list[str], rollout: bool) -> None:
            ingress.tell({"endpoints": endpoints, "rollout": rollout})

        with self.folder.writing():
            self.folder.table.mkdir()
        pods = Controllers(
            self.store,
            self.settings,
            processes,
            addresses,
            routes,
            failed=self.failed.add,
            table=str(self.folder.table),
        )
        self._stack.callback(pods.stop)
        pods.start()
        controller = Controller(self.store, self.settings.argocd, repo.path, git=repo.git, failed=self.failed.add)
        self._stack.callback(controller.stop)
        controller.start()

    def _log_of(self, namespace: str, _pod: str, _container: str, since_s: int) -> str:
        return read_log(self.folder.ingress_log, since_s) if namespace == INGRESS else ""

    def _write_files(self, pod_port: int) -> None:
        folder = self.folder
        url = f"http://127.0.0.1:{self.ports.api}"
        write_kubeconfig(folder.kubeconfig, url=url, token=folder.token)
        folder.write_credentials(GIT_USERNAME)
        text = target_text(self.settings, str(folder.path), self.ports, pod_port=pod_port)
        folder.target.write_text(text, encoding="utf-8")

    # -- until it is healthy ------------------------------------------------------------------------------------

    def _hear(self, change: Change) -> None:
        if change.kind in ("Application", "Deployment"):
            self._changed.set()
        elif change.kind == "Ingress" and change.type == "ADDED":
            self._publish(change.object)

    def _publish(self, ingress: Object) -> None:
        """Write its address into the status, as ingress controllers do: without it Argo CD reports Progressing."""

        def put(item: Object) -> None:
            item["status"] = {"loadBalancer": {"ingress": [{"ip": "127.0.0.1"}]}}

        where = ingress["metadata"]
        self.store.mutate("Ingress", where["namespace"], where["name"], put, manager="ingress", subresource="status")

    def _wait_until_healthy(self) -> None:
        self._until(self._is_synced, self._changed.wait)
        self._until(self._answers, time.sleep)

    def _until(self, is_so: Callable[[], bool], pause: Callable[[float], Any]) -> None:
        end_s = time.monotonic() + _HEALTHY_S
        while not is_so():
            if self.cancelled.is_set():
                raise CancelledError
            self.check()
            if time.monotonic() > end_s:
                message = f"the sandbox did not get healthy within {_HEALTHY_S:g} s: {self._seen()}"
                raise CannotJudgeError(message, f"its logs are in {self.folder.path / 'logs'}")
            pause(_PAUSE_S)
            self._changed.clear()

    def _is_synced(self) -> bool:
        application = (self.store.get("Application", "argocd", SHOP) or {}).get("status") or {}
        deployment = self.store.get("Deployment", SHOP, SHOP)
        return (
            (application.get("sync") or {}).get("status") == "Synced"
            and (application.get("health") or {}).get("status") == "Healthy"
            and (application.get("operationState") or {}).get("phase") == "Succeeded"
            and deployment is not None
            and (deployment.get("status") or {}).get("readyReplicas") == deployment["spec"]["replicas"]
        )

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.ports.ingress, timeout=2)
        with suppress(OSError, http.client.HTTPException):
            connection.request("GET", "/health", headers={"Host": APP_HOST, "Connection": "close"})
            return connection.getresponse().status == http.client.OK
        return False

    def _seen(self) -> str:
        application = (self.store.get("Application", "argocd", SHOP) or {}).get("status") or {}
        sync, health = application.get("sync") or {}, application.get("health") or {}
        pods = self.store.list("Pod", SHOP)
        words = [f"the Application is {sync.get('status', 'not compared')} and {health.get('status', 'of no health')}"]
        words += [f"pod {pod['metadata']['name']} is {(pod.get('status') or {}).get('phase')}" for pod in pods]
        return ", ".join(words)


def _log_to(path: Path) -> Callable[[], None]:
    """Write the parts' log to a file instead of the screen; returns the function that ends that."""
    logger = logging.getLogger("rollproof_sandbox")
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(message)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False

    def end() -> None:
        logger.removeHandler(handler)
        logger.propagate = True
        handler.close()

    return end
