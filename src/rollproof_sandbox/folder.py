"""Folder: the files of a running sandbox, and the lock against a second one.

The kernel releases the lock when the process ends, however that is, so a leftover folder never blocks a start.
Credentials (token, password) are generated for each start and removed at the end; logs stay.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rollproof.errors import InputError
from rollproof_sandbox.git import GitFailedError

__all__ = ["Folder", "default_folder"]

_MADE = (
    "kubeconfig",
    "credentials.env",
    "target.toml",
    "repos",
    "host",
    "table",
)  # created and removed, nothing else is
_LOGS = ("ingress.log", "children.log", "sandbox.log")
_KEPT = {"lock", "logs"}  # what a sandbox that has ended leaves


def default_folder(environ: Mapping[str, str]) -> Path:
    """$XDG_STATE_HOME/rollproof/sandbox, or below ~/.local/state; without a home, among the temporary files."""
    state = environ.get("XDG_STATE_HOME") or "~/.local/state"
    try:
        return Path(state).expanduser() / "rollproof" / "sandbox"
    except RuntimeError:  # HOME is not set and the user is not in the list of users, as in many containers
        return Path(tempfile.gettempdir()) / f"rollproof-{os.getuid()}" / "sandbox"


@dataclass(slots=True)
class Folder:
    """One sandbox's folder: `take` it before anything else, `leave` it at the end."""

    path: Path
    token: str = field(default_factory=lambda: secrets.token_hex(16), repr=False)
    git_password: str = field(default_factory=lambda: secrets.token_hex(16), repr=False)
    _lock: int = field(default=-1, init=False)

    @property
    def kubeconfig(self) -> Path:
        """The kubeconfig for Kubernetes clients."""
        return self.path / "kubeconfig"

    @property
    def target(self) -> Path:
        """The target file with this sandbox's paths and ports."""
        return self.path / "target.toml"

    @property
    def repo(self) -> Path:
        """The env repo, bare."""
        return self.path / "repos" / "env.git"

    @property
    def host(self) -> Path:
        """Files for the troubles of the host."""
        return self.path / "host"

    @property
    def table(self) -> Path:
        """The folder that stands for the app's database: the runs of its jobs."""
        return self.path / "table"

    @property
    def ingress_log(self) -> Path:
        """The ingress's access log."""
        return self.path / "logs" / "ingress.log"

    @property
    def children_log(self) -> Path:
        """What child processes write to stderr: nothing, unless they fail, or the ingress reloads."""
        return self.path / "logs" / "children.log"

    @property
    def log(self) -> Path:
        """The log of the sandbox's own parts, for debugging it."""
        return self.path / "logs" / "sandbox.log"

    def take(self) -> None:
        """Create and lock it, and remove the files of an earlier sandbox. InputError if that fails."""
        with self.writing():
            self._refuse_foreign()
            (self.path / "logs").mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o644)
            self._claim()
            self._clear()
            for name in _LOGS:
                (self.path / "logs" / name).write_bytes(b"")

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Inside of the block, a failed write (no space, no permission) is an InputError."""
        try:
            yield
        except GitFailedError as error:
            raise self.not_written(str(error)) from None
        except OSError as error:
            raise self.not_written(error.strerror or str(error)) from None

    def not_written(self, why: str) -> InputError:
        """The error for a failed write."""
        message = f"the sandbox's folder {self.path} cannot be written: {why}"
        return InputError(message, "see whether there is room and a right to write, or name another one: --folder DIR")

    def write_credentials(self, git_username: str) -> None:
        """The file that the target file's env_file names."""
        path = self.path / "credentials.env"
        path.touch(mode=0o600)
        path.write_text(f"GIT_USERNAME={git_username}\nGIT_PASSWORD={self.git_password}\n", encoding="utf-8")

    def leave(self) -> None:
        """Remove the created files and release the lock."""
        if self._lock < 0:
            return
        try:
            with self.writing():
                self._clear()
                os.truncate(self._lock, 0)
        finally:
            os.close(self._lock)
            self._lock = -1

    def _refuse_foreign(self) -> None:
        """A home or a project has folders called `repos`, too: only where a sandbox was is anything removed."""
        held = {one.name for one in self.path.iterdir()} if self.path.is_dir() else set()
        if held <= _KEPT or (self.path / "logs" / "sandbox.log").is_file():
            return
        message = f"the folder {self.path} holds other things ({min(held - _KEPT)}), and no sandbox was there before"
        raise InputError(message, "name one that is empty or not there yet: --folder DIR")

    def _claim(self) -> None:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = os.pread(self._lock, 20, 0).decode(errors="replace").strip() or "unknown"
            os.close(self._lock)
            self._lock = -1
            message = f"a sandbox runs in {self.path} already (pid {pid})"
            raise InputError(message, f"end it (kill {pid}), or run beside it: --folder DIR --ports auto") from None
        os.truncate(self._lock, 0)
        os.pwrite(self._lock, f"{os.getpid()}\n".encode(), 0)

    def _clear(self) -> None:
        for name in _MADE:
            path = self.path / name
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
