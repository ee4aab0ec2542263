"""Repository: the bare git repository that the Application follows, read through `git` and through nothing else.

No configuration of the user is read, and nothing is ever written.
"""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from collections.abc import Mapping
from pathlib import Path

__all__ = ["GitError", "Repository"]

_PATIENCE_S = 10.0


class GitError(Exception):
    """git cannot say it; the message is git's own."""


class Repository:
    """A repository at a path."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def resolve(self, revision: str) -> str:
        """The commit that a branch, a tag or a sha names."""
        for name in (f"refs/heads/{revision}", f"refs/tags/{revision}", revision):
            try:
                return self._git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}").strip()
            except GitError:
                continue
        raise GitError(f"unable to resolve '{revision}' to a commit SHA")

    def files(self, commit: str) -> Mapping[str, str]:
        """All files of a commit, by path."""
        with tarfile.open(fileobj=io.BytesIO(self._run("archive", "--format=tar", commit))) as archive:
            found = {}
            for member in archive.getmembers():
                content = archive.extractfile(member) if member.isfile() else None
                if content is not None:
                    found[member.name] = content.read().decode(errors="replace")
        return found

    def _git(self, *words: str) -> str:
        return self._run(*words).decode()

    def _run(self, *words: str) -> bytes:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        environment |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
        command = ["git", "--git-dir", str(self._path), *words]
        try:
            done = subprocess.run(command, capture_output=True, timeout=_PATIENCE_S, check=False, env=environment)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise GitError(f"git {words[0]}: {error}") from error
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip()
            raise GitError(f"git {words[0]}: {said or f'exit status {done.returncode}'}")
        return done.stdout
