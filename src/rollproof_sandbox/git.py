"""Git: runs git as a child that ends with the sandbox, without the user's configuration, for 20 s at most."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rollproof.errors import InputError
from rollproof_sandbox.processes import Processes

__all__ = ["Git", "GitFailedError"]

_PATIENCE_S = 20.0


class GitFailedError(RuntimeError):
    """git refused, with its message; or it did not run to its end."""


@dataclass(frozen=True, slots=True)
class Git:
    """git, started by `processes`."""

    processes: Processes = field(default_factory=Processes)

    def check(self) -> None:
        """InputError if git is not installed."""
        try:
            self.run("--version")
        except GitFailedError as error:
            message = f"git cannot be run: {error}"
            raise InputError(message, "the sandbox has a real git repository: install git") from None

    def run(self, *words: str, repo: Path | None = None, stdin: bytes = b"") -> bytes:
        """Run git and return its stdout. GitFailedError also if it does not end within 20 s."""
        where = ["--git-dir", str(repo)] if repo else []
        done = self._done(["git", *where, *words], _environ(), stdin)
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip()
            raise GitFailedError(f"git {words[0]}: {said or f'exit status {done.returncode}'}")
        return done.stdout

    def serve(self, backend: Path, cgi: Mapping[str, str], body: bytes) -> subprocess.CompletedProcess[bytes]:
        """One request to `git http-backend`, by the rules of CGI. GitFailedError as above."""
        return self._done([str(backend)], {**_environ(), **cgi}, body)

    def _done(self, words: list[str], environ: Mapping[str, str], stdin: bytes) -> subprocess.CompletedProcess[bytes]:
        try:
            return self.processes.run(words, environ=environ, stdin=stdin, timeout_s=_PATIENCE_S)
        except subprocess.TimeoutExpired:
            raise GitFailedError(f"{Path(words[0]).name} did not end within {_PATIENCE_S:g} s") from None
        except (OSError, RuntimeError) as error:  # RuntimeError: the sandbox is ending
            raise GitFailedError(str(error)) from error


def _environ() -> dict[str, str]:
    """The environment without variables that change how git works."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return environ | {"LC_ALL": "C", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
