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
from pathlib import Path
from typing import Any

from tests.starved import starved

ROOT = Path(__file__).resolve().parents[2]
STATE = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "rollproof/lab"
TARGET = ROOT / "targets/lab.toml"
CONTEXT = "kind-rollproof-lab"
APP, NAMESPACE = "angelpay-dev", "angelpay-dev"


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
        if ended.exit_code == 3 and ended.folder is not None and starved(ended.stored):
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


def branch_head() -> str:
    """The newest revision of the env repo, as anybody may read it."""
    words = ["git", "ls-remote", "http://127.0.0.1:8090/env.git", "refs/heads/main"]
    return subprocess.run(words, capture_output=True, text=True, timeout=30, check=True).stdout.split()[0]


def settle(revision: str, *, timeout_s: float = 180) -> None:
    """Wait until Argo CD has rolled that revision out and no other pod is left: a clean start for the next drill."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        kubectl(
            "-n", "argocd", "annotate", "--overwrite", "application", APP, "argocd.argoproj.io/refresh=normal"
        )  # fmt: skip
        status = json.loads(kubectl("-n", "argocd", "get", "application", APP, "-o", "json")).get("status", {})
        sync, health = status.get("sync", {}), status.get("health", {})
        if (sync.get("revision"), sync.get("status"), health.get("status")) == (revision, "Synced", "Healthy"):
            break
        time.sleep(1)
    kubectl("-n", NAMESPACE, "rollout", "status", "deployment/angelpay", f"--timeout={int(timeout_s)}s")
    wanted = int(kubectl("-n", NAMESPACE, "get", "deployment", "angelpay", "-o", "jsonpath={.spec.replicas}"))
    while time.monotonic() < deadline:
        pods = kubectl("-n", NAMESPACE, "get", "pods", "-l", "app=angelpay", "-o", "name").split()
        if len(pods) == wanted:
            return
        time.sleep(0.5)
    raise AssertionError(f"{revision} did not settle within {timeout_s} s")


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
