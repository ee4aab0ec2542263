"""Folder: what a running sandbox keeps on disk, and the lock that keeps a second one out.

The lock is the kernel's: it goes with the process, however that ends, so a leftover folder is never in the way. What
lets others in (token, password) is made anew for each start and removed at the end; logs stay.
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

_MADE = ("kubeconfig", "credentials.env", "target.toml", "repos", "host")  # and removed; never anything else
_LOGS = ("ingress.log", "children.log", "sandbox.log")


def default_folder(environ: Mapping[str, str]) -> Path:
    """$XDG_STATE_HOME/rollproof/sandbox, or below ~/.local/state; without a home, among the temporary files."""
    state = environ.get("XDG_STATE_HOME") or "~/.local/state"
    try:
        return Path(state).expanduser() / "rollproof" / "sandbox"
    except RuntimeError:  # neither HOME nor an entry in the list of users, as in many containers
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
        """The way in for Kubernetes' clients."""
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
        """What the troubles of the host need."""
        return self.path / "host"

    @property
    def ingress_log(self) -> Path:
        """The ingress's access log."""
        return self.path / "logs" / "ingress.log"

    @property
    def children_log(self) -> Path:
        """What children write to stderr: nothing, unless they break, or the ingress reloads."""
        return self.path / "logs" / "children.log"

    @property
    def log(self) -> Path:
        """What the sandbox's own parts have to say: for whoever looks for a bug in it."""
        return self.path / "logs" / "sandbox.log"

    def take(self) -> None:
        """Make it, lock it, and clear what an earlier sandbox left. InputError if it cannot be had."""
        with self.writing():
            (self.path / "logs").mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o644)
            self._claim()
            self._clear()
            for name in _LOGS:
                (self.path / "logs" / name).write_bytes(b"")

    @contextmanager
    def writing(self) -> Iterator[None]:
        """While something is written here: it fails as one InputError, if for want of room or permissions."""
        try:
            yield
        except GitFailedError as error:
            raise self.not_written(str(error)) from None
        except OSError as error:
            raise self.not_written(error.strerror or str(error)) from None

    def not_written(self, why: str) -> InputError:
        """What to say when something cannot be written."""
        message = f"the sandbox's folder {self.path} cannot be written: {why}"
        return InputError(message, "see whether there is room and a right to write, or name another one: --folder DIR")

    def write_credentials(self, git_username: str) -> None:
        """The file that the target file's env_file names."""
        path = self.path / "credentials.env"
        path.touch(mode=0o600)
        path.write_text(f"GIT_USERNAME={git_username}\nGIT_PASSWORD={self.git_password}\n", encoding="utf-8")

    def leave(self) -> None:
        """Remove what was made, and let the next one in."""
        if self._lock < 0:
            return
        try:
            with self.writing():
                self._clear()
                os.truncate(self._lock, 0)
        finally:
            os.close(self._lock)
            self._lock = -1

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
