"""The real lab as seen by the track-record tests: run rollproof as a user would, and break things by hand.

Nothing here imports rollproof's acting code: the tool is a child process with an exit code, as in CI. What a test
breaks, its context manager mends, also when the test fails.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import lab_rest

from lab import applications, workloads
from tests.starved import starved

ROOT = Path(__file__).resolve().parents[2]
STATE = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "rollproof/lab"
TARGET = ROOT / "targets/lab.toml"
CONTEXT = "kind-rollproof-lab"
APP, NAMESPACE = "angelpay-dev", "angelpay-dev"
_REFRESH_S = 15.0
_REFRESH = (
    "-n", "argocd", "annotate", "--overwrite", "applications", "--all", "argocd.argoproj.io/refresh=normal"
)  # fmt: skip


@dataclass(frozen=True)
class Ended:
    """What a user has after the command returned."""

    exit_code: int
    output: str
    folder: Path | None

    @property
    def stored(self) -> dict[str, Any]:
        assert self.folder is not None, self.output
        return dict(json.loads((self.folder / "verdicts.json").read_text()))

    @property
    def verdicts(self) -> list[dict[str, Any]]:
        return list(self.stored["verdicts"])

    def result(self, checker: str) -> set[str]:
        return {verdict["result"] for verdict in self.verdicts if verdict["checker"] == checker}

    def why(self, checker: str) -> str:
        return " | ".join(verdict["why"] for verdict in self.verdicts if verdict["checker"] == checker)


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "rollproof", *arguments]


def is_starved(ended: Ended) -> bool:
    """Whether a run could claim nothing for lack of CPU alone."""
    return ended.exit_code == 3 and ended.folder is not None and starved(ended.stored)


def newest(reports: Path) -> Path | None:
    folders = [path for path in reports.iterdir() if (path / "plan.json").is_file()] if reports.is_dir() else []
    return max(folders, key=lambda path: path.name, default=None)


class Tool:
    """rollproof on the lab, with its own reports folder for this test."""

    def __init__(self, reports: Path) -> None:
        self.reports = reports
        self.target = TARGET

    def run(self, *arguments: str, prefix: tuple[str, ...] = (), timeout_s: float = 900) -> Ended:
        words = [*prefix, *command(*arguments)]
        print("$", shlex.join(words), flush=True)
        done = subprocess.run(
            words, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            timeout=timeout_s, check=False,
        )  # fmt: skip
        print(done.stdout, f"-> exit {done.returncode}", sep="\n", flush=True)
        return Ended(done.returncode, done.stdout, newest(self.reports))

    def drill(self, name: str, *arguments: str, **options: Any) -> Ended:
        return self.run(
            "run", name, "--target", str(self.target), "--reports", str(self.reports), *arguments, **options
        )

    def sound_drill(self, name: str, *arguments: str) -> Ended:
        """A drill that must pass; run once more where it could claim nothing for lack of CPU alone, as a user would."""
        ended = self.drill(name, *arguments)
        if is_starved(ended):
            print("INCONCLUSIVE for lack of CPU alone: once more", flush=True)
            ended = self.drill(name, *arguments)
        return ended

    def start(self, name: str, *arguments: str) -> subprocess.Popen[str]:
        """The same drill, left running; the caller ends it."""
        words = command("run", name, "--target", str(self.target), "--reports", str(self.reports), *arguments)
        print("$", shlex.join(words), "&", flush=True)
        with (self.reports.parent / "started.log").open("w") as log:
            return subprocess.Popen(
                words, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, text=True,
                start_new_session=True,
            )  # fmt: skip

    def find_fact(self, source: str, what: str) -> dict[str, Any] | None:
        """The first fact of that kind in the newest run, if it is on disk."""
        folder = newest(self.reports)
        path = folder / "timeline.jsonl" if folder else None
        if path is None or not path.is_file():
            return None
        for line in path.read_text().splitlines():
            if f'"{what}"' not in line:
                continue
            with contextlib.suppress(json.JSONDecodeError):
                event = json.loads(line)
                if event["source"] == source and event["what"] == what:
                    return dict(event)
        return None

    def await_fact(self, source: str, what: str, *, timeout_s: float = 180) -> dict[str, Any]:
        """The same, as soon as it is on disk."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            found = self.find_fact(source, what)
            if found is not None:
                return found
            time.sleep(0.05)
        raise AssertionError(f"no fact {source}/{what} within {timeout_s} s")


def kubectl(*arguments: str, stdin: str | None = None) -> str:
    words = ["kubectl", "--kubeconfig", str(STATE / "kubeconfig"), "--context", CONTEXT, *arguments]
    done = subprocess.run(words, input=stdin, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"{shlex.join(words)}: {done.stderr}"
    return done.stdout


def await_right(kubeconfig: Path, verb: str, resource: str, *, timeout_s: float = 60) -> None:
    """Until the authorizer, which follows its own watch of the roles, has seen what was granted."""
    words = ["kubectl", "--kubeconfig", str(kubeconfig), "-n", NAMESPACE, "auth", "can-i", verb, resource]
    end_s = time.monotonic() + timeout_s
    while (said := subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)).returncode != 0:
        assert time.monotonic() < end_s, f"the authorizer has not seen the change: {said.stdout}{said.stderr}"
        time.sleep(0.2)


def credentials() -> dict[str, str]:
    lines = (STATE / "credentials.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


class EnvRepo:
    """A colleague's clone of the env repo: changes overlays by hand, and can put back what was there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        secret = credentials()
        helper = "!f() { echo username=$GIT_USERNAME; echo password=$GIT_PASSWORD; }; f"
        self.environment = {**os.environ, **secret, "GIT_TERMINAL_PROMPT": "0"}
        self.options = ["-c", f"credential.helper={helper}", "-c", "user.name=colleague", "-c", "user.email=c@lab"]
        branch_head()  # a test before may have taken the git server away
        self.git("clone", "-q", "http://127.0.0.1:8090/env.git", str(folder), cwd=folder.parent)

    def git(self, *arguments: str, cwd: Path | None = None) -> str:
        done = subprocess.run(
            ["git", *self.options, *arguments], cwd=cwd or self.folder, env=self.environment, capture_output=True,
            text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"git {arguments[0]}: {done.stderr}"
        return done.stdout.strip()

    def tree(self) -> str:
        """Identity of the branch's content, whatever the history above it."""
        self.git("fetch", "-q", "origin", "main")
        return self.git("rev-parse", "origin/main^{tree}")

    def push(self, message: str) -> str:
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)
        self.git("push", "-q", "origin", "HEAD:main")
        return self.git("rev-parse", "HEAD")

    def restore(self, tree: str, message: str) -> None:
        self.git("fetch", "-q", "origin", "main")
        self.git("reset", "-q", "--hard", "origin/main")
        if self.git("rev-parse", "HEAD^{tree}") != tree:
            self.git("read-tree", "-u", "--reset", tree)
            self.push(message)
            settle(self.git("rev-parse", "HEAD"))


def branch_head(*, timeout_s: float = 120) -> str:
    """The newest revision of the env repo, as anybody may read it; waits for a git server that is just back."""
    words = ["git", "ls-remote", "http://127.0.0.1:8090/env.git", "refs/heads/main"]
    end_s = time.monotonic() + timeout_s
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            done = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)
            if done.returncode == 0 and done.stdout:
                return done.stdout.split()[0]
        assert time.monotonic() < end_s, f"the git server does not answer within {timeout_s:g} s"
        time.sleep(0.5)


def settle(revision: str, *, timeout_s: float = 300) -> None:
    """Wait until the whole lab is at rest on that revision (lab_rest.py): a clean start for the next test.

    Argo CD is asked to compare again, and must have done so: what it said before may be of an earlier state.
    """
    end_s, asked_s, why = time.monotonic() + timeout_s, 0.0, ""
    while time.monotonic() < end_s:
        try:
            if time.monotonic() > asked_s + _REFRESH_S:
                kubectl(*_REFRESH)
                asked_s = time.monotonic()
            why = _unrest(revision)
        except (AssertionError, subprocess.TimeoutExpired) as error:
            why = f"it could not be looked at: {error}"
        if not why:
            return
        time.sleep(0.5)
    raise AssertionError(f"the lab is not at rest on {revision} after {timeout_s:g} s: {why}")


def _unrest(revision: str) -> str:
    """What the lab has still to do, in words; "" if it is at rest on that revision."""
    objects = [
        *_items("-n", "argocd", "get", "applications"), *_items("get", "nodes"),
        *_items("get", "deployments,statefulsets,daemonsets,pods,jobs,leases", "--all-namespaces"),
    ]  # fmt: skip
    found = lab_rest.unrest(objects, revision, workloads.NAMESPACES, now=datetime.now(UTC))
    hosts = [f"angelpay-{name}.lab" for name in applications.ENVIRONMENTS]
    found += [f"{host} is not ready" for host in hosts if applications.get(host, "/ready")[0] != 200]
    return "; ".join(found)


def _items(*words: str) -> list[dict[str, Any]]:
    return list(json.loads(kubectl(*words, "-o", "json"))["items"])


@contextlib.contextmanager
def patched(kind: str, name: str, namespace: str, patch: dict[str, Any], back: dict[str, Any]) -> Iterator[None]:
    """An object changed for the time of the block (merge patches)."""

    def apply(change: dict[str, Any]) -> None:
        kubectl("-n", namespace, "patch", kind, name, "--type=merge", "-p", json.dumps(change))

    apply(patch)
    try:
        yield
    finally:
        apply(back)


def end(process: subprocess.Popen[str], how: signal.Signals = signal.SIGTERM) -> None:
    """End the whole group of a drill that we started, and wait for it."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, how)
        process.wait(timeout=120)
