"""Ways of making the lab wrong beside a drill; what git says before it is in edits.py.

Context managers that patch an object, or an actor that waits for a fact of the run and then acts as somebody else
would. All of it is mended when the block ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import kubernetes
from edits import Edit
from lab_user import APP, CONTEXT, NAMESPACE, STATE, EnvRepo, Tool, kubectl, patched, settle

from lab import docker, settings
from lab.steps import Log

OVERLAY = "overlays/dev/kustomization.yaml"
SKIP = "argocd.argoproj.io/skip-reconcile"
PERSON = "kubectl-edit"

Beside = Callable[["Stage"], AbstractContextManager[None]]


class Stage:
    """The lab during the track record: the env repo as it was before, and what the troubles need."""

    def __init__(self, folder: Path, releases: Mapping[str, str]) -> None:
        self.releases = releases
        self.repo = EnvRepo(folder / "env")
        self._pristine = self.repo.tree()
        self.tool = Tool(folder / "reports")
        settings = {"config_file": str(STATE / "kubeconfig"), "context": CONTEXT}
        self.api = kubernetes.config.new_client_from_config(**settings)

    @property
    def overlay(self) -> Path:
        """The overlay's kustomization in the colleague's clone."""
        return self.repo.folder / OVERLAY

    def tag(self) -> str:
        """The tag that the branch names now."""
        self.pull()
        return next(line.split("newTag:")[1].split("#")[0].strip(" \"'")
                    for line in self.overlay.read_text().splitlines() if "newTag:" in line)  # fmt: skip

    def pull(self) -> None:
        """The clone as the branch is now."""
        self.repo.git("fetch", "-q", "origin", "main")
        self.repo.git("reset", "-q", "--hard", "origin/main")

    def prepare(self, *edits: Edit) -> str:
        """What git said at first, with these edits, rolled out. The tag that runs then."""
        self.pull()
        self.repo.git("read-tree", "-u", "--reset", self._pristine)
        text = self.overlay.read_text()
        for edit in edits:
            text = edit(text, self.releases)
        self.overlay.write_text(text)
        self.repo.git("add", "-A")
        if self.repo.git("status", "--porcelain"):
            self.repo.push("test: prepare")
        settle(self.repo.git("rev-parse", "HEAD"))
        return self.tag()

    def change(self, message: str, action: Callable[[], None]) -> None:
        """A colleague's commit on top of the newest; again if somebody else was first."""
        for _ in range(5):
            self.pull()
            action()
            with contextlib.suppress(AssertionError):
                self.repo.push(message)
                return
        raise AssertionError(f"{message!r} could not be pushed")

    def close(self) -> None:
        """Everything as it was."""
        self.prepare()
        self.api.close()

    # -- the API, quicker than kubectl ----------------------------------------------------------------------------

    def patch_application(self, body: dict[str, Any]) -> None:
        """A merge patch of the Application."""
        where = ("argoproj.io", "v1alpha1", "argocd", "applications", APP)
        kubernetes.client.CustomObjectsApi(self.api).patch_namespaced_custom_object(*where, body)

    def refresh(self) -> None:
        """Ask Argo CD to compare with the newest commit."""
        self.patch_application({"metadata": {"annotations": {"argocd.argoproj.io/refresh": "normal"}}})

    def hold(self, *, held: bool) -> None:
        """Argo CD looks away from the Application, or back."""
        self.patch_application({"metadata": {"annotations": {SKIP: "true" if held else None}}})


# -- beside: objects that are otherwise for the time of the drill ---------------------------------------------------


@contextmanager
def nothing(_: Stage) -> Iterator[None]:
    """Nobody does anything."""
    yield


def self_heal_off(_: Stage) -> AbstractContextManager[None]:
    """The Application's self-heal is off."""
    off, on = ({"spec": {"syncPolicy": {"automated": {"selfHeal": value}}}} for value in (False, True))
    return patched("application", APP, "argocd", off, on)


def ignored_field(_: Stage) -> AbstractContextManager[None]:
    """ignoreDifferences covers the ConfigMap's data."""
    rule = {"kind": "ConfigMap", "name": "angelpay-config", "jsonPointers": ["/data"]}
    rules = {"spec": {"ignoreDifferences": [rule]}}
    return patched("application", APP, "argocd", rules, {"spec": {"ignoreDifferences": None}})


def budget_of_none(_: Stage) -> AbstractContextManager[None]:
    """A PodDisruptionBudget that lets no pod go, now or ever."""
    return _budget(0)


def budget_of_one(_: Stage) -> AbstractContextManager[None]:
    """A PodDisruptionBudget that lets one pod go."""
    return _budget(1)


@contextmanager
def _budget(allowed: int) -> Iterator[None]:
    """Of our own, beside what Argo CD has made, until its controller has counted."""
    name = "rollproof-test-budget"
    spec = {"maxUnavailable": allowed, "selector": {"matchLabels": {"app": "angelpay"}}}
    body = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": name}, "spec": spec}
    text = json.dumps(body)
    kubectl("-n", NAMESPACE, "apply", "-f", "-", stdin=text)
    try:
        counted = "jsonpath={.status.expectedPods}=2"
        kubectl("-n", NAMESPACE, "wait", f"pdb/{name}", f"--for={counted}", "--timeout=60s")
        yield
    finally:
        kubectl("-n", NAMESPACE, "delete", "-f", "-", stdin=text)


def sync_window_closed(_: Stage) -> AbstractContextManager[None]:
    """The AppProject forbids syncs of this Application now."""
    window = {"kind": "deny", "schedule": "* * * * *", "duration": "1h", "applications": [APP]}
    shut = {"spec": {"syncWindows": [window]}}
    return patched("appproject", "default", "argocd", shut, {"spec": {"syncWindows": None}})


@contextmanager
def six_heals_before(stage: Stage) -> Iterator[None]:
    """Argo CD's own record says that it has healed this revision six times, the last time not quite 300 s ago."""
    ago = {word: f"{datetime.now(UTC) - timedelta(seconds=s):%Y-%m-%dT%H:%M:%SZ}"
           for word, s in (("startedAt", 276), ("finishedAt", 275))}  # fmt: skip
    count = {"operation": {"sync": {"autoHealAttemptsCount": 6}}}
    stage.patch_application({"status": {"operationState": {**ago, **count}}})
    yield


@contextmanager
def images_frozen(_: Stage) -> Iterator[None]:
    """An admission policy refuses another image: every sync of a new tag fails, and is tried again."""
    same = "object.spec.template.spec.containers[0].image == oldObject.spec.template.spec.containers[0].image"
    kind = {"apiVersion": "admissionregistration.k8s.io/v1", "metadata": {"name": "rollproof-test-freeze"}}
    rule = {"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["UPDATE"], "resources": ["deployments"]}
    policy = {
        **kind, "kind": "ValidatingAdmissionPolicy",
        "spec": {
            "failurePolicy": "Fail", "matchConstraints": {"resourceRules": [rule]},
            "validations": [{"expression": same, "message": "a change freeze: images may not change"}],
        },
    }  # fmt: skip
    only_here = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": NAMESPACE}}}
    binding = {
        **kind, "kind": "ValidatingAdmissionPolicyBinding",
        "spec": {
            "policyName": kind["metadata"]["name"], "validationActions": ["Deny"], "matchResources": only_here,
        },
    }  # fmt: skip
    both = json.dumps({"apiVersion": "v1", "kind": "List", "items": [policy, binding]})
    kubectl("apply", "-f", "-", stdin=both)
    try:
        _await_refusal()
        yield
    finally:
        kubectl("delete", "-f", "-", stdin=both)


def _await_refusal() -> None:
    """A new policy takes a moment until the API server asks it."""
    attempt = ("-n", NAMESPACE, "set", "image", "deployment/angelpay", "angelpay=nobody/nothing:0", "--dry-run=server")
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            kubectl(*attempt)
        except AssertionError:
            return
        time.sleep(0.2)
    raise AssertionError("the admission policy refuses nothing")


# -- beside: actors -------------------------------------------------------------------------------------------------


Await = Callable[[str, str], dict[str, Any]]  # (source, what) of a fact -> the fact, as soon as it is on disk


@contextmanager
def actor(stage: Stage, action: Callable[[Await], None]) -> Iterator[None]:
    """Somebody else at work beside the drill. What went wrong with the action fails the test."""
    failed: list[BaseException] = []
    tool, over = stage.tool, threading.Event()

    def fact(source: str, what: str) -> dict[str, Any]:
        while not over.wait(0.02):
            found = tool.find_fact(source, what)
            if found is not None:
                return found
        raise AssertionError(f"the drill ended without the fact {source}/{what}")

    def act() -> None:
        try:
            action(fact)
        except BaseException as error:  # noqa: BLE001 - told to the test, which is another thread
            failed.append(error)

    thread = threading.Thread(target=act, name="actor", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(60)
    assert not failed, f"the actor could not act: {failed[0]!r}"
    assert not thread.is_alive(), "the actor does not end"


def argo_cd_looks_away(stage: Stage) -> AbstractContextManager[None]:
    """From the drill's start to the release's end Argo CD follows the old commit: Synced and Healthy, of that one.

    From before the app is at rest, which the release waits for: a hold that came only with the release could come
    after Argo CD has seen the commit. It must not be skip-reconcile, with which nothing would ever be at rest.
    """
    stage.pull()
    head = stage.repo.git("rev-parse", "HEAD")

    def follow(revision: str) -> None:
        stage.patch_application({"spec": {"source": {"targetRevision": revision}}})

    def action(fact: Await) -> None:
        fact("run", "started")
        follow(head)
        try:
            fact("release", "failed")
        finally:
            follow("main")

    return actor(stage, action)


def superseding_commit(stage: Stage) -> AbstractContextManager[None]:
    """Somebody pushes right after the harness, before Argo CD has looked."""

    def action(fact: Await) -> None:
        fact("release", "started")
        stage.hold(held=True)
        try:
            fact("release", "pushed")
            _readme(stage)
        finally:
            stage.hold(held=False)

    return actor(stage, action)


def _readme(stage: Stage) -> None:
    readme = stage.repo.folder / "README.md"
    stage.change("docs: a word", lambda: readme.write_text(f"{readme.read_text()}\nA word.\n"))


@contextmanager
def noop_commit(stage: Stage) -> Iterator[None]:
    """Self-heal is off; after the drift a commit comes that changes nothing, and the auto-sync for it repairs all."""

    def action(fact: Await) -> None:
        fact("drift", "injected")
        _readme(stage)
        stage.refresh()

    with self_heal_off(stage), actor(stage, action):
        yield


def _controller() -> Callable[[str], str]:
    """Sends a signal to Argo CD's application controller (STOP, CONT).

    It heals within half a second: skip-reconcile at the drift's begin may come too late, and before it would be seen
    (the trial would not be fair).
    """
    log, daemon = Log(settings.state() / "logs" / "tests.log"), docker.current()

    def in_control_plane(*words: str) -> str:
        return daemon.docker(log, "exec", settings.CONTROL_PLANE, *words, timeout_s=20).strip()

    pid = in_control_plane("pgrep", "--oldest", "--full", "^argocd-application-controller")
    return lambda sign: in_control_plane("kill", f"-{sign}", pid)


def healed_by_a_person(stage: Stage) -> AbstractContextManager[None]:
    """Somebody sees the ConfigMap change and puts it back; Argo CD stands still so that the person is first."""
    core = kubernetes.client.CoreV1Api(stage.api)
    where = ("angelpay-config", NAMESPACE)
    before, controller = core.read_namespaced_config_map(*where), _controller()

    def action(fact: Await) -> None:
        fact("drift", "before")
        controller("STOP")
        try:
            fact("drift", "injected")
            core.patch_namespaced_config_map(*where, {"data": before.data}, field_manager=PERSON)
        finally:
            controller("CONT")

    return actor(stage, action)


def heals_late(stage: Stage) -> AbstractContextManager[None]:
    """The application controller stands still from the drift on, for longer than the promise."""
    controller = _controller()

    def action(fact: Await) -> None:
        fact("drift", "before")
        controller("STOP")
        try:
            fact("drift", "injected")
            time.sleep(12)
        finally:
            controller("CONT")

    return actor(stage, action)


def tag_edit(stage: Stage) -> AbstractContextManager[None]:
    """After the deploy the tag's line gets another comment: `git revert` conflicts."""

    def action(fact: Await) -> None:
        fact("release", "proven")
        stage.change(
            "docs: who writes this line", lambda: _on_tag_line(stage, lambda line: f"{line.split('#')[0]}# by CI")
        )

    return actor(stage, action)


def image_updater(stage: Stage) -> AbstractContextManager[None]:
    """A robot puts the newer tag back as soon as the revert is there."""

    def action(fact: Await) -> None:
        newer = fact("rollback", "started")["data"]["new_sha"]
        fact("rollback", "pushed")
        stage.change("build: automatic update", lambda: _on_tag_line(stage, lambda line: _with(line, newer)))

    return actor(stage, action)


def _on_tag_line(stage: Stage, change: Callable[[str], str]) -> None:
    lines = stage.overlay.read_text().splitlines()
    at = next(number for number, line in enumerate(lines) if "newTag:" in line)
    lines[at] = change(lines[at])
    stage.overlay.write_text("\n".join(lines) + "\n")


def _with(line: str, tag: str) -> str:
    return f'{line.partition("newTag:")[0]}newTag: "{tag}"'


@contextmanager
def database_away(stage: Stage) -> Iterator[None]:
    """The database's Service leads nowhere from the start of the release to the end of its proof."""
    away, back = ({"spec": {"selector": {"away": value}}} for value in ("yes", None))

    def action(fact: Await) -> None:
        fact("release", "started")
        with patched("service", "mariadb", "database", away, back):
            fact("run", "asked")

    with actor(stage, action):
        yield


def engine_stopped(stage: Stage) -> AbstractContextManager[None]:
    """The load engine of the run gets no CPU for 1.5 s, in the middle of the rollout."""

    def action(fact: Await) -> None:
        fact("release", "seen")
        engine = _child(os.getpid(), "engine.py")
        os.kill(engine, signal.SIGSTOP)
        try:
            time.sleep(1.5)
        finally:
            os.kill(engine, signal.SIGCONT)

    return actor(stage, action)


def _child(parent: int, script: str) -> int:
    """The process below `parent` that runs `script`."""
    for task in Path(f"/proc/{parent}/task").iterdir():
        for pid in map(int, (task / "children").read_text().split()):
            words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
            if any(Path(word).name == script for word in words):
                return pid
            with contextlib.suppress(LookupError):
                return _child(pid, script)
    raise LookupError(f"no process below {parent} runs {script}")
