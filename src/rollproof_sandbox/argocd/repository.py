"""Repository: the bare git repository that the Application follows, read through `git` and never written."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

from rollproof_sandbox.git import Git, GitFailedError

__all__ = ["Repository"]


class Repository:
    """A repository at a path. An error of git is a GitFailedError."""

    def __init__(self, path: Path, git: Git) -> None:
        self._path = path
        self._git = git

    def resolve(self, revision: str) -> str:
        """The commit that a branch, a tag or a sha names."""
        for name in (f"refs/heads/{revision}", f"refs/tags/{revision}", revision):
            try:
                words = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
                return self._git.run(*words, repo=self._path).decode().strip()
            except GitFailedError:
                continue
        raise GitFailedError(f"unable to resolve '{revision}' to a commit SHA")

    def files(self, commit: str) -> Mapping[str, str]:
        """All files of a commit, by path."""
        packed = self._git.run("archive", "--format=tar", commit, repo=self._path)
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            found = {}
            for member in archive.getmembers():
                content = archive.extractfile(member) if member.isfile() else None
                if content is not None:
                    found[member.name] = content.read().decode(errors="replace")
        return found
