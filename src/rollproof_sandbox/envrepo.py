"""EnvRepo: the bare git repository that Argo CD follows and the harness pushes to, and commits of other authors.

Its files are in `env-repo/`, with `@NAMES@` for values of the settings. Every commit is one `git fast-import`: no
clone, and if the branch has moved meanwhile, it is refused and overwrites nothing.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from rollproof_sandbox.git import Git, GitFailedError
from rollproof_sandbox.settings import PASSWORD, Settings

__all__ = ["APPLICATION", "BRANCH", "IMAGE", "OVERLAY", "PIPELINE_ADDRESS", "EnvRepo", "GitFailedError", "files"]

IMAGE = "registry.local/shop"
OVERLAY = "overlays/dev/kustomization.yaml"
APPLICATION = "argocd/application.yaml"
BRANCH = "main"
PIPELINE_ADDRESS = "pipeline@shop.example"
PIPELINE = f"pipeline <{PIPELINE_ADDRESS}>"
_OTHER_IMAGE = "registry.local/storefront"  # of an overlay whose image name is not the base's
_BEFORE = "0ldc0de"  # the release before the first
_SOURCES = Path(__file__).parent / "env-repo"
_SERVED = {"http.receivepack": "true", "receive.denyNonFastForwards": "true", "gc.auto": "0", "receive.autogc": "false"}


def files(settings: Settings, *, repo_url: str, pod_port: int) -> dict[str, str]:
    """The repository's files by path, for these settings."""
    load = settings.workload
    values = {
        "REPO_URL": repo_url,
        "IGNORE_DIFFERENCES": json.dumps(settings.argocd.ignore_differences),
        "SELF_HEAL": json.dumps(settings.argocd.self_heal),
        "PROGRESS_DEADLINE_S": str(load.progress_deadline_s),
        "MAX_SURGE": str(load.max_surge),
        "MAX_UNAVAILABLE": str(load.max_unavailable),
        "GRACE_S": str(load.grace_s),
        "IMAGE": f"{_OTHER_IMAGE}:{load.overlay_tag}" if load.image_mismatch else IMAGE,
        "POD_PORT": str(pod_port),
        "PLACEHOLDER": PASSWORD if load.leak == "git" and load.overlay_tag == _BEFORE else "<password>",
        "LEAK_DATA": f"  DATABASE_URL: mysql://shop:{quote(PASSWORD, safe='')}@database/shop"
        if load.leak == "configmap"
        else "",
        "LEAK_ENV": f"            - {{name: DB_PASS, value: {json.dumps(PASSWORD)}}}" if load.leak == "env" else "",
        "PRESTOP": _prestop(load.prestop_s),
        "READINESS_PERIOD_S": str(load.readiness_period_s),
        "REPLICAS": str(load.replicas),
        "TAG": load.overlay_tag,
    }
    found = {}
    for path in sorted(_SOURCES.rglob("*")):
        if path.is_file():
            text = path.read_text(encoding="utf-8")
            found[path.relative_to(_SOURCES).as_posix()] = re.sub(r"@([A-Z_]+)@\n?", _filled(values), text)
    return found


def _filled(values: Mapping[str, str]) -> Any:
    def fill(match: re.Match[str]) -> str:
        value = values[match[1]]
        return value + "\n" if match[0].endswith("\n") and value else value  # an empty value removes its line

    return fill


def _prestop(sleep_s: float) -> str:
    if not sleep_s:
        return ""
    comment = "# The ingress sends requests until it has noticed that the pod leaves: wait longer than that."
    lines = ("lifecycle:", "  preStop:", f"    {comment}", "    sleep:", f"      seconds: {sleep_s:g}")
    return "\n".join(f"          {line}" for line in lines)


@dataclass(frozen=True, slots=True)
class EnvRepo:
    """A bare repository at `path`."""

    path: Path
    git: Git = field(default_factory=Git)

    @classmethod
    def create(cls, path: Path, settings: Settings, *, repo_url: str, pod_port: int, git: Git | None = None) -> EnvRepo:
        """Create it with two commits: the release before, and the running one. `latest` has nothing before it.

        GitFailedError or OSError if it cannot be written.
        """
        repo = cls(path, git or Git())
        repo.git.run("init", "--quiet", "--bare", f"--initial-branch={BRANCH}", str(path))
        with (path / "config").open("a", encoding="utf-8") as config:
            for key, value in _SERVED.items():
                section, _, name = key.partition(".")
                config.write(f"[{section}]\n\t{name} = {value}\n")
        now = files(settings, repo_url=repo_url, pod_port=pod_port)
        tag = settings.workload.overlay_tag
        before = replace(settings, workload=replace(settings.workload, overlay_tag=_BEFORE))
        first = files(before, repo_url=repo_url, pod_port=pod_port)
        changed = {name: text for name, text in now.items() if text != first[name]}
        wall_s = int(time.time())
        stream = _commit(first, "Environment of the shop", PIPELINE, wall_s - 86_400, parent="")
        stream += _commit(changed, f"Run {tag} in dev", PIPELINE, wall_s - 3_600, parent=":1", mark=2)
        repo._import(stream)
        return repo

    def head(self) -> str:
        """The branch's newest commit."""
        return self._git("rev-parse", f"refs/heads/{BRANCH}").strip()

    def read(self, path: str, revision: str = BRANCH) -> str:
        """One file at a revision."""
        return self._git("cat-file", "blob", f"{revision}:{path}")

    def last_commit(self) -> tuple[str, str, str]:
        """(revision, author's name, subject) of the newest commit."""
        revision, author, subject = self._git("log", "-1", "--format=%H%n%an%n%s", BRANCH).rstrip("\n").split("\n")
        return revision, author, subject

    def commit(self, changed: Mapping[str, str], *, message: str, author: str = PIPELINE) -> str:
        """Commit files on top of the branch; GitFailedError if it moved meanwhile."""
        self._import(_commit(changed, message, author, int(time.time()), parent=f"refs/heads/{BRANCH}^0"))
        return self.head()

    def _import(self, stream: bytes) -> None:
        self._git("fast-import", "--quiet", stdin=stream)

    def _git(self, *words: str, stdin: bytes = b"") -> str:
        return self.git.run(*words, repo=self.path, stdin=stdin).decode()


def _commit(changed: Mapping[str, str], message: str, author: str, wall_s: int, *, parent: str, mark: int = 1) -> bytes:
    """One commit in the format of fast-import."""
    lines = [f"commit refs/heads/{BRANCH}", f"mark :{mark}", f"committer {author} {wall_s} +0000", _data(message)]
    lines += [f"from {parent}"] if parent else []
    lines += [f"M 100644 inline {path}\n{_data(text)}" for path, text in changed.items()]
    return ("\n".join(lines) + "\n\n").encode()


def _data(text: str) -> str:
    return f"data {len(text.encode())}\n{text}"
