"""Runs rollproof as a process on a sandbox, and reads the state of the sandbox."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sandboxes import PYTHON, Sandbox

from rollproof.clients.kube import Kube
from tests.waiting import until

ROOT = Path(__file__).resolve().parents[3]
NAMESPACE, APP, CONFIG = "shop", "shop", "shop-config"
_COMMAND_S = 240.0  # also on a busy machine


@dataclass
class Person:
    """`rollproof` on one sandbox, with a reports folder of its own."""

    sandbox: Sandbox
    reports: Path = field(init=False)
    kube: Kube = field(init=False)

    def __post_init__(self) -> None:
        self.reports = self.sandbox.folder.with_suffix(".reports")
        self.kube = Kube("sandbox", str(self.sandbox.folder / "kubeconfig"))

    # -- commands ------------------------------------------------------------------------------------------------

    def run(
        self, *words: str, python: tuple[str, ...] = tuple(PYTHON), patience_s: float = _COMMAND_S
    ) -> tuple[int, str]:
        """A command's exit code and output, waited for."""
        done = subprocess.run(
            [*python, *words], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, timeout=patience_s, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout

    def drill(self, *words: str, patience_s: float = _COMMAND_S) -> tuple[int, str]:
        """A drill, waited for."""
        return self.run("run", *words, *self._places(), patience_s=patience_s)

    def killed(self, *words: str, when: Callable[[], object]) -> None:
        """A drill whose process group gets SIGKILL as soon as `when` is true; returns when it has ended."""
        with self._begun(words, when):
            pass

    def stopped(self, *words: str, when: Callable[[], object], for_s: float) -> int:
        """A drill whose process group is stopped for a while as soon as `when` is true; its exit code."""
        with self._begun(words, when) as process:
            os.killpg(process.pid, signal.SIGSTOP)
            time.sleep(for_s)
            os.killpg(process.pid, signal.SIGCONT)
            return process.wait(_COMMAND_S)

    @contextmanager
    def _begun(self, words: tuple[str, ...], when: Callable[[], object]) -> Iterator[subprocess.Popen[bytes]]:
        """A drill in a process group of its own, as soon as `when` is true; what is left of it at the end is killed."""
        log, temporary = self.reports.with_suffix(".log"), self.reports.with_suffix(".temporary")
        temporary.mkdir(exist_ok=True)  # one that is killed cannot take away its clone of the env repo
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*PYTHON, "run", *words, *self._places()], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output,
                stderr=subprocess.STDOUT, start_new_session=True, env={**os.environ, "TMPDIR": str(temporary)},
            )  # fmt: skip
        try:
            until(lambda: when() or process.poll() is not None, log.read_text, patience_s=_COMMAND_S)
            assert process.poll() is None, log.read_text()
            yield process
        finally:
            with suppress(ProcessLookupError):  # it has ended by itself
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        until(lambda: not _group(process.pid), lambda: f"not dead yet: {_group(process.pid)}")

    def _places(self) -> tuple[str, ...]:
        return ("--target", str(self.sandbox.target), "--reports", str(self.reports))

    # -- state --------------------------------------------------------------------------------------------------

    @property
    def folder(self) -> Path:
        """The only run folder."""
        (folder,) = self.reports.iterdir()
        return folder

    def verdicts(self) -> dict[str, Any]:
        """The run's verdicts.json."""
        return dict(json.loads((self.folder / "verdicts.json").read_text()))

    def told(self, source: str, what: str) -> bool:
        """Whether the timeline has such a fact. An incomplete line does not count yet."""
        lines = [line for path in self.reports.glob("*/timeline.jsonl") for line in path.read_text().split("\n")[:-1]]
        events = [json.loads(line) for line in lines if f'"{what}"' in line]
        return any((event["source"], event["what"]) == (source, what) for event in events)

    def git(self, revision: str) -> str:
        """The id of an object in the env repo: main is the head, main^{tree} its tree."""
        words = ["git", "--git-dir", str(self.sandbox.folder / "repos" / "env.git"), "rev-parse", revision]
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()

    def tag(self) -> str:
        """The overlay's tag."""
        words = ["git", "--git-dir", str(self.sandbox.folder / "repos" / "env.git"), "show"]
        words += ["main:overlays/dev/kustomization.yaml"]
        text = subprocess.run(words, capture_output=True, text=True, check=True).stdout
        return text.split('newTag: "')[1].split('"')[0]

    def versions(self) -> set[str]:
        """The versions that run."""
        pods = self.kube.list("Pod", NAMESPACE, labels=f"app={APP}")["items"]
        return {pod["spec"]["containers"][0]["image"].rpartition(":")[2] for pod in pods}

    def holder(self) -> str:
        """The holder of the lock; "" if it is free."""
        lease = self.kube.find("Lease", NAMESPACE, "rollproof")
        return str(lease["spec"]["holderIdentity"]) if lease else ""

    def config(self) -> tuple[Any, Any] | None:
        """The ConfigMap's content and labels; None if it does not exist."""
        item = self.kube.find("ConfigMap", NAMESPACE, CONFIG)
        return (item["data"], item["metadata"].get("labels")) if item else None


def _group(number: int) -> list[str]:
    """The living processes of a process group."""
    living = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = path.read_text().rpartition(")")
        except OSError:
            continue
        state, _, group = rest.split()[:3]
        if int(group) == number and state not in "ZX":
            living.append(name)
    return living
