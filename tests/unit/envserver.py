"""An env repo on real git: a bare repository in a folder, somebody else who works in it, and a release of ours."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from rollproof.clients.repo import Commit, EnvRepo
from rollproof.core.target import EnvRepo as EnvRepoTarget

IMAGE = "ghcr.io/shop/web"
OVERLAY = f"""\
# how the team likes it
resources: [../../base]   # do not sort
images:
  - name: ghcr.io/shop/other
    newTag: aaaaaaa
  - name: {IMAGE}
    newTag: aaaaaaa  # set by CI
replicas:
  - {{name: web, count: 2}}
"""


def git(folder: Path, *arguments: str) -> str:
    environ = {
        "PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_AUTHOR_NAME": "dev", "GIT_AUTHOR_EMAIL": "dev@example.org", "GIT_COMMITTER_NAME": "dev",
        "GIT_COMMITTER_EMAIL": "dev@example.org",
    }  # fmt: skip
    done = subprocess.run(["git", *arguments], cwd=folder, env=environ, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@cache
def _template(text: str) -> Path:
    """One that is made once, to be copied: a repository costs eight calls of git."""
    folder = Path(tempfile.mkdtemp(prefix="rollproof-env-template-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    git(folder, "init", "-q", "--bare", "-b", "main", "env.git")
    git(folder, "clone", "-q", str(folder / "env.git"), "other")
    git(folder / "other", "checkout", "-q", "-b", "main")
    path = folder / "other" / "overlays/dev/kustomization.yaml"
    path.parent.mkdir(parents=True)
    path.write_bytes(text.encode())
    git(folder / "other", "add", ".")
    git(folder / "other", "commit", "-q", "-m", "by somebody else")
    git(folder / "other", "push", "-q", "origin", "main")
    return folder


class Server:
    """A bare repository, and somebody else who works in it."""

    def __init__(self, folder: Path, text: str = OVERLAY) -> None:
        self.bare, self.other = folder / "env.git", folder / "other"
        shutil.copytree(_template(text), folder, dirs_exist_ok=True)
        config = self.other / ".git" / "config"
        config.write_text(config.read_text().replace(str(_template(text)), str(folder)))

    def commit(self, text: str, path: str = "overlays/dev/kustomization.yaml") -> str:
        git(self.other, "pull", "-q", "--rebase", "origin", "main") if self.heads() else None
        (self.other / path).parent.mkdir(parents=True, exist_ok=True)
        (self.other / path).write_bytes(text.encode())
        git(self.other, "add", ".")
        git(self.other, "commit", "-q", "-m", "by somebody else")
        git(self.other, "push", "-q", "origin", "main")
        return git(self.other, "rev-parse", "HEAD")

    def heads(self) -> str:
        return git(self.bare, "for-each-ref", "--format=%(refname)")

    def text(self) -> str:
        done = subprocess.run(
            ["git", "show", "main:overlays/dev/kustomization.yaml"], cwd=self.bare, capture_output=True, check=True
        )
        return done.stdout.decode()

    def target(self, **changes: Any) -> EnvRepoTarget:
        parts: dict[str, Any] = {"url": f"file://{self.bare}", "overlay": "overlays/dev", "image": IMAGE, **changes}
        return EnvRepoTarget(**parts)


def release(repo: EnvRepo, sha: str = "bbbbbbb", expected: str = "aaaaaaa") -> Commit:
    def make() -> Commit:
        return repo.set_tag(sha, expected=expected, message=f"release {sha}")

    return repo.push(make, make())
