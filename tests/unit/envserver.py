"""An env repo on real git: a bare repository in a folder, somebody else who works in it, and a release of ours."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from rollproof.clients.repo import Commit, EnvRepo
from rollproof.core.target import EnvRepo as EnvRepoTarget

IMAGE = "ghcr.io/shop/web"
PATH = "overlays/dev/kustomization.yaml"
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


def git(folder: Path, *arguments: str, stdin: bytes = b"") -> str:
    environ = {
        "PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_AUTHOR_NAME": "dev", "GIT_AUTHOR_EMAIL": "dev@example.org", "GIT_COMMITTER_NAME": "dev",
        "GIT_COMMITTER_EMAIL": "dev@example.org",
    }  # fmt: skip
    done = subprocess.run(["git", *arguments], cwd=folder, env=environ, input=stdin, capture_output=True, check=True)
    return done.stdout.decode().strip()


@cache
def _template(files: tuple[tuple[str, str], ...]) -> tuple[Path, str]:
    """A repository that is made once, to be copied, and its newest commit. Making one costs eight calls of git."""
    folder = Path(tempfile.mkdtemp(prefix="rollproof-env-template-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    git(folder, "init", "-q", "--bare", "--template=", "-b", "main", "env.git")
    for path, text in files:
        commit_by_somebody_else(folder / "env.git", text, path)
    return folder / "env.git", git(folder / "env.git", "rev-parse", "main")


def copy_bare(folder: Path, files: Mapping[str, str]) -> Path:
    """A bare repository with these files on `main`, below the folder; what is in it so far it has from the template."""
    template, head = _template(tuple(files.items()))
    bare = folder / "env.git"
    for place in ("hooks", "objects/info", "refs/heads"):
        (bare / place).mkdir(parents=True)
    for name in ("HEAD", "config"):
        shutil.copyfile(template / name, bare / name)
    (bare / "objects" / "info" / "alternates").write_text(f"{template / 'objects'}\n")
    (bare / "refs" / "heads" / "main").write_text(f"{head}\n")
    return bare


def commit_by_somebody_else(bare: Path, text: str, path: str) -> None:
    """A commit on `main` of one file, made in the bare repository itself: one call of git instead of five."""
    content = text.encode()
    known = (bare / "refs" / "heads" / "main").exists()
    said = ["commit refs/heads/main", "committer dev <dev@example.org> now", "data 16", "by somebody else"]
    said += ["from refs/heads/main^0"] if known else []
    head = "\n".join([*said, f"M 100644 inline {path}", f"data {len(content)}", ""]).encode()
    git(bare, "fast-import", "--quiet", "--date-format=now", stdin=head + content + b"\n")


class Server:
    """A bare repository, and somebody else who works in it."""

    def __init__(self, folder: Path, text: str = OVERLAY) -> None:
        self.bare = copy_bare(folder, {PATH: text})
        self._other = folder / "other"
        self._behind = False

    @property
    def other(self) -> Path:
        """The clone of somebody else, up to date."""
        if not self._other.exists():
            git(self.bare.parent, "clone", "-q", "--template=", str(self.bare), "other")
        elif self._behind:
            git(self._other, "pull", "-q", "--rebase", "origin", "main")
        self._behind = False
        return self._other

    def commit(self, text: str, path: str = PATH) -> str:
        commit_by_somebody_else(self.bare, text, path)
        self._behind = True
        return git(self.bare, "rev-parse", "main")

    def heads(self) -> str:
        return git(self.bare, "for-each-ref", "--format=%(refname)")

    def text(self) -> str:
        done = subprocess.run(["git", "show", f"main:{PATH}"], cwd=self.bare, capture_output=True, check=True)
        return done.stdout.decode()

    def target(self, **changes: Any) -> EnvRepoTarget:
        parts: dict[str, Any] = {"url": f"file://{self.bare}", "overlay": "overlays/dev", "image": IMAGE, **changes}
        return EnvRepoTarget(**parts)


def release(repo: EnvRepo, sha: str = "bbbbbbb", expected: str = "aaaaaaa") -> Commit:
    def make() -> Commit:
        return repo.set_tag(sha, expected=expected, message=f"release {sha}")

    return repo.push(make, make())
