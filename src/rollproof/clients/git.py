"""Git: the `git` command, in surroundings of our own. The only caller of git.

Nothing of the machine's or the user's git reaches it: no system or user configuration, hook, template, attribute,
credential helper, askpass or terminal. Of the environment it gets a short list (`_KEPT`), and the proxy by the rule
that all clients share. Credentials travel in the environment of the git process only (never in an argument, a URL, a
file or an error), are handed out for the scheme, host and port of the one URL, and no redirect is followed. Every call
ends within its time with all processes that it started, and what it says is bounded.
"""

from __future__ import annotations

import os
import re
import selectors
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from rollproof.clients.proxies import proxy_for
from rollproof.core.target import EnvRepo as EnvRepoTarget
from rollproof.core.visible import printable
from rollproof.errors import CannotJudgeError, InputError, RollproofError
from rollproof.redaction import SECRETS

__all__ = ["Done", "Git", "GitError", "GitTimeoutError"]

_CREDENTIALS = (
    """!f() { printf 'username=%s\\npassword=%s\\n' "$ROLLPROOF_GIT_USERNAME" "$ROLLPROOF_GIT_PASSWORD"; }; f"""
)
_KEPT = (  # what tells how to get there, and nothing of what to do there; docs/eks.md names them
    "PATH", "LD_LIBRARY_PATH", "USER", "LOGNAME", "SSH_AUTH_SOCK", "GIT_SSH", "GIT_SSH_COMMAND", "GIT_SSH_VARIANT",
    "GIT_PROXY_COMMAND", "GIT_SSL_CAINFO", "GIT_SSL_CAPATH", "GIT_SSL_CERT", "GIT_SSL_KEY", "SSL_CERT_FILE",
    "SSL_CERT_DIR", "NIX_SSL_CERT_FILE",
)  # fmt: skip
_NO_NEWS = ("hint:", "error: failed to push some refs")
_SCHEMES = ("http", "https", "ssh", "git", "file")
_SCP_LIKE = re.compile(r"[A-Za-z0-9_][\w.-]*@[A-Za-z0-9_][\w.-]*:[^-].*")
_OUTPUT_MAX = 4 * 1024 * 1024  # bytes of each of stdout and stderr; all that we ask for is far smaller
_ENDING_S = 2.0  # that git gets to remove its lock files, before it is killed


class GitError(CannotJudgeError):
    """git said no; the message carries its last lines without credentials."""


class GitTimeoutError(GitError):
    """git did not end in its time, and was ended."""


@dataclass(frozen=True, slots=True)
class Done:
    """How a git command ended. `said` is its stderr in words for people: one line, without credentials."""

    code: int
    out: bytes
    said: str


class Git:
    """git in one private bare repository, `folder`, whose remote "origin" is the target's URL."""

    def __init__(self, target: EnvRepoTarget, environ: Mapping[str, str], folder: Path) -> None:
        self._target = target
        self._folder = folder
        self._protocol = _protocol(target.url)
        self._username = _variable(environ, target.username_env)
        self._password = _variable(environ, target.password_env)
        SECRETS.add((self._password,) if self._password else ())
        self._environ = self._surroundings()
        self._options = [word for setting in self._settings() for word in ("-c", setting)]

    def start(self) -> None:
        """Make the repository, which has no work tree: nothing is ever checked out."""
        self.text("init", "-q", "--bare", "--template=")
        self.text("config", "remote.origin.url", self._target.url)

    def run(self, *arguments: str, stdin: bytes = b"", environ: Mapping[str, str] | None = None) -> Done:
        """Run it to its end, whatever that is. GitTimeoutError if it does not come within env_repo.timeout_s."""
        with os.fdopen(os.memfd_create("git-stdin"), "w+b") as given:  # in memory: an undo must work on a full disk
            given.write(stdin)
            given.seek(0)
            try:
                process = subprocess.Popen(
                    ["git", *self._options, *arguments], cwd=self._folder, env={**self._environ, **(environ or {})},
                    stdin=given, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                    start_new_session=True,  # no terminal to ask at, no Ctrl-C from one, and one group to be ended
                )  # fmt: skip
            except (OSError, ValueError) as error:
                raise self._not_begun(error) from None
        reader, until_s = _Reader(process), time.monotonic() + self._target.timeout_s
        code = None
        try:
            if reader.read(until_s=until_s):
                with suppress(subprocess.TimeoutExpired):
                    code = process.wait(max(0.1, until_s - time.monotonic()))
        finally:
            if code is None:
                self._end(reader, process)
        if code is None:
            raise self._not_ended(arguments[0], reader)
        with process:
            pass  # closes the pipes
        return Done(code, bytes(reader.out), self._said(bytes(reader.err), code))

    def data(self, *arguments: str, stdin: bytes = b"", environ: Mapping[str, str] | None = None) -> bytes:
        """The stdout of a command that must succeed. GitError if it does not."""
        done = self.run(*arguments, stdin=stdin, environ=environ)
        if done.code:
            raise GitError(f"git {arguments[0]} failed: {done.said}")
        return done.out

    def text(self, *arguments: str, stdin: bytes = b"", environ: Mapping[str, str] | None = None) -> str:
        """The same as text, without its last line end."""
        return self.data(*arguments, stdin=stdin, environ=environ).decode(errors="replace").rstrip("\n")

    def _not_begun(self, error: Exception) -> RollproofError:
        if not self._folder.is_dir():
            return GitError(
                f"the private clone {self._folder} is gone", "does something clean up the temporary folder?"
            )
        if isinstance(error, FileNotFoundError):
            return InputError("the command `git` is not installed", "apt-get install git")
        return InputError(f"git cannot be run: {printable(str(error))}", "see [env_repo] in the target file")

    def _not_ended(self, command: str, reader: _Reader) -> GitError:
        if reader.full:
            return GitError(f"git {command} with {self._target.url} said more than {_OUTPUT_MAX} bytes and was ended")
        message = f"git {command} with {self._target.url} did not end within {self._target.timeout_s:g} s"
        return GitTimeoutError(message, "is the git server up? One that is slow needs a longer env_repo.timeout_s")

    def _end(self, reader: _Reader, process: subprocess.Popen[bytes]) -> None:
        """End git with all that it started: first asked to, so that it removes its lock files, then killed.

        Its leader is waited for last: as long as it is not, no other process group can get its number.
        """
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        reader.read(until_s=time.monotonic() + _ENDING_S)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        with process:
            process.wait()
        for lock in self._folder.rglob("*.lock"):
            lock.unlink(missing_ok=True)

    def _settings(self) -> list[str]:
        """What differs from git's defaults; the configuration of the machine and the user is not read at all."""
        target = self._target
        settings = [
            "credential.helper=", "core.askPass=", f"core.hooksPath={os.devnull}", f"core.attributesFile={os.devnull}",
            "core.symlinks=false", "gc.auto=0", "maintenance.auto=false", "submodule.recurse=false",
            "fetch.recurseSubmodules=false", "push.recurseSubmodules=no", "push.gpgSign=false",
            "http.followRedirects=false",
            # where we are killed, git ends by itself when the server is silent
            "http.lowSpeedLimit=1", f"http.lowSpeedTime={max(1, round(target.timeout_s))}",
        ]  # fmt: skip
        if target.ca_file:
            settings.append(f"http.sslCAInfo={target.ca_file}")
        if self._password or self._username:
            settings.append(f"credential.{_origin(target.url)}.helper={_CREDENTIALS}")
        return settings

    def _surroundings(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        home = str(self._folder)  # no .gitconfig of an old git, no .netrc
        if self._protocol == "ssh":
            home = os.environ.get("HOME", home)
            if "GIT_SSH" not in kept:
                kept.setdefault("GIT_SSH_COMMAND", "ssh -o BatchMode=yes")
        target = self._target
        kept |= {
            "LC_ALL": "C", "HOME": home, "XDG_CONFIG_HOME": str(self._folder), "GIT_DIR": str(self._folder),
            "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_ATTR_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "", "SSH_ASKPASS_REQUIRE": "never",
            "GIT_ALLOW_PROTOCOL": self._protocol, "GIT_LITERAL_PATHSPECS": "1", "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_AUTHOR_NAME": target.author_name, "GIT_AUTHOR_EMAIL": target.author_email,
            "GIT_COMMITTER_NAME": target.author_name, "GIT_COMMITTER_EMAIL": target.author_email,
        }  # fmt: skip
        if self._password or self._username:
            kept |= {"ROLLPROOF_GIT_USERNAME": self._username, "ROLLPROOF_GIT_PASSWORD": self._password}
        proxy = proxy_for(target.url, os.environ) if self._protocol in {"http", "https"} else ""
        return kept | ({f"{self._protocol}_proxy": proxy} if proxy else {})

    def _said(self, err: bytes, code: int) -> str:
        lines = [line.strip() for line in err.decode(errors="replace").splitlines()]
        text = " / ".join([line for line in lines if line and not line.startswith(_NO_NEWS)][-4:])
        return printable(SECRETS.foreign(text)) or f"exit {code}"


class _Reader:
    """Reads both outputs of a process, up to a size."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.out, self.err = bytearray(), bytearray()
        self.full = False
        self._open = {
            stream: kept for stream, kept in ((process.stdout, self.out), (process.stderr, self.err)) if stream
        }

    def read(self, *, until_s: float) -> bool:
        """Read until both have ended (True), the monotonic clock has passed `until_s`, or one is too long (False)."""
        with selectors.DefaultSelector() as selector:
            for stream in self._open:
                selector.register(stream, selectors.EVENT_READ)
            while self._open:
                ready = selector.select(max(0.0, until_s - time.monotonic()))
                if not ready:
                    return False
                for key, _ in ready:
                    stream = next(one for one in self._open if one is key.fileobj)
                    data = os.read(key.fd, 65536)
                    self._open[stream] += data
                    self.full = self.full or len(self._open[stream]) > _OUTPUT_MAX
                    if not data:
                        selector.unregister(stream)
                        del self._open[stream]
                if self.full:
                    return False
        return True


def _protocol(url: str) -> str:
    """The one transport that this URL needs. InputError for what git would take for a command or an option."""
    scheme, separator, _ = url.partition("://")
    if separator and scheme in _SCHEMES:
        return scheme
    if _SCP_LIKE.fullmatch(url):
        return "ssh"
    raise InputError("env_repo.url is no URL of a git server", f"use {', '.join(_SCHEMES)}:// or git@host:path")


def _origin(url: str) -> str:
    """Scheme, host and port of a URL, without a user: whom the credentials are for."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _variable(environ: Mapping[str, str], name: str) -> str:
    if not name:
        return ""
    value = environ.get(name)
    if not value:
        hint = f"export {name}=…, or name a file with it as env_file"
        raise InputError(f"env_repo names the environment variable {name}, which is not set", hint)
    return value
