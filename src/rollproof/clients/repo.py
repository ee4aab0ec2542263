"""EnvRepo: the environment repository, through the `git` command. The only caller of git.

A deploy changes one line, keeps every comment, and is pushed without force; when somebody else pushed in between, the
change is made again on top of theirs, unless they set the tag: that is never replaced. Credentials travel in the
environment of the git process only: never in an argument, a URL, a file or an error.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import tenacity
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from rollproof.core.target import EnvRepo as EnvRepoTarget
from rollproof.errors import CannotJudgeError, InputError
from rollproof.redaction import SECRETS

__all__ = ["Commit", "EnvRepo", "GitError", "OtherTagError", "PushRefusedError"]

_PUSH_ATTEMPTS = 5
_RACE = re.compile(r"non-fast-forward|fetch first|stale info|cannot lock ref|failed to update ref|incorrect old value")
_NO_RIGHT = re.compile(
    r"\b(401|403)\b|Authentication failed|could not read Username|denied|declined|not allowed|protected branch",
    re.IGNORECASE,
)
_CREDENTIALS = (
    """!f() { printf 'username=%s\\npassword=%s\\n' "$ROLLPROOF_GIT_USERNAME" "$ROLLPROOF_GIT_PASSWORD"; }; f"""
)
_NUMBER_LIKE = re.compile(r"[0-9][0-9be]*", re.IGNORECASE)  # 1234567, 12e4567, 0b10110: numbers to one YAML or another
_KEPT = ("GIT_SSL_", "GIT_SSH", "GIT_PROXY_")  # how to get there; all else of GIT_* would bend what we do there


class GitError(CannotJudgeError):
    """git said no; the message carries its last lines without credentials."""


class PushRefusedError(GitError):
    """The server refuses our push: no right, or a hook. Trying again would not help."""


class OtherTagError(CannotJudgeError):
    """Somebody else set the tag to `found` while we were about to replace another one. Nothing was pushed."""

    def __init__(self, found: str, expected: str, who: str) -> None:
        super().__init__(
            f"somebody else set the tag to {found} meanwhile, by commit {who}; it should still have been {expected}, "
            "so nothing was pushed",
            "repeat the drill when nobody else deploys",
        )
        self.found = found


class _RaceError(GitError):
    """Somebody else pushed first."""


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit of ours: its revision, its parent, the file and the line that it changed (text, and number from 1)."""

    revision: str
    parent: str
    path: str
    line: str
    attempts: int = 1
    forward: bool = False  # a revert that conflicted and became a forward commit
    line_number: int = 0


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a tag stands in a file (counted from 0), and whether YAML takes it as text: 1234567 would be a number."""

    line: int
    column: int
    tag: str
    is_text: bool


class EnvRepo:
    """A private clone in a temporary folder. Use as a context manager; `close` removes the folder."""

    def __init__(self, target: EnvRepoTarget, environ: Mapping[str, str], *, timeout_s: float = 30.0) -> None:
        self._target = target
        self._timeout_s = timeout_s
        self._secrets = tuple(
            value
            for name in (target.username_env, target.password_env)
            if name and (value := self._secret(environ, name))
        )
        SECRETS.add(self._secrets[-1:] if target.password_env else ())
        self._environ = self._git_environ(environ)
        self._folder = Path(tempfile.mkdtemp(prefix="rollproof-env-"))
        self._cloned = False
        self._tried: list[Commit] = []  # what the last push tried, also if it was called again

    def __enter__(self) -> EnvRepo:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove the clone."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def head(self) -> str:
        """The newest revision of the branch, fetched now."""
        self._fetch()
        return self._git("rev-parse", self._remote)

    def tag(self, revision: str = "") -> str:
        """The image tag in the overlay at `revision` (default: the newest). InputError if the image is not there."""
        if not revision:
            self._fetch()
        path, text = self._overlay(revision or self._remote)
        return self._find_tag(path, text).tag

    def who_changed(self) -> str:
        """The newest commit that touched the overlay's kustomization, for people: revision, author, subject."""
        path, _ = self._overlay(self._remote)
        return self._git("log", "-1", "--format=%h by %an: %s", self._remote, "--", path)

    def is_ancestor(self, ancestor: str, descendant: str) -> bool:
        """Is `ancestor` in the history of `descendant`? Both may be commits that were pushed after the clone."""
        for fetched in (False, True):
            if fetched:
                self._fetch()
            done = self._run("merge-base", "--is-ancestor", ancestor, descendant)
            if done.returncode in (0, 1):
                return done.returncode == 0
        return False

    def may_push(self) -> None:
        """Prove the right to push without pushing anything new. PushRefusedError if there is none."""
        self._fetch()
        self._check_push(self._run("push", "--dry-run", "origin", f"{self._remote}:refs/heads/rollproof-right-to-push"))

    def set_tag(self, sha: str, *, expected: str, message: str) -> Commit:
        """Commit `sha` as the overlay's image tag, on top of the branch's newest commit. Not pushed yet.

        OtherTagError if the newest has another tag than `expected`, which is to be replaced.
        """
        self._fetch()
        path, text, place = self._check_out(expected)
        if place.tag == sha:
            raise InputError(f"{path} has {sha} already: there is nothing to commit")
        lines = text.splitlines(keepends=True)
        lines[place.line] = _with_tag(lines[place.line], place, sha)
        changed = "".join(lines)
        after = self._find_tag(path, changed)
        if after.tag != sha or not after.is_text:
            message = f"{path}: line {place.line + 1} cannot be changed to {sha!r} safely: {lines[place.line].strip()}"
            raise InputError(message, "write the entry in block style: `newTag: <sha>` on a line of its own")
        (self._folder / path).write_bytes(changed.encode())
        self._git("commit", "-q", "-m", message, "--", path)
        if (said := self._git("show", "--numstat", "--format=", "HEAD")) != f"1\t1\t{path}":
            raise GitError(f"the commit would change more than one line: {said}", "is a .gitattributes filter at work?")
        return self._commit(path, lines[place.line], place.line + 1)

    def revert(self, revision: str, *, message: str) -> Commit:
        """`git revert` of one commit, on top of the newest. On a conflict a forward commit sets the tag before it.

        OtherTagError if the newest has another tag than that commit set: then it is somebody else's deploy.
        """
        self._fetch()
        ours = self.tag(revision)
        self._check_out(ours)
        done = self._run("revert", "--no-edit", revision)
        if done.returncode == 0:
            path, text = self._overlay("HEAD")
            place = self._find_tag(path, text)
            return self._commit(path, text.splitlines()[place.line], place.line + 1)
        self._run("revert", "--abort")
        self._git("reset", "-q", "--hard", self._remote)
        before = self.tag(f"{revision}^")
        made = self.set_tag(before, expected=ours, message=message)
        return replace(made, forward=True)

    def push(self, make: Callable[[], Commit], made: Commit) -> Commit:
        """Push `made`; when somebody else was first, `make` it again on top and try again. Never forces.

        `make` looks at the tag again, and what it raises ends this. A push that was accepted without our hearing of it
        is found in the branch, and not made again; so call it again with the same `made` when it ended by a GitError.

        Raises PushRefusedError at once when there is no right to push, GitError when the attempts are used up.
        """
        if made not in self._tried:
            self._tried = [made]
        commit, attempts = self._tried[-1], 0
        retry = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(_RaceError),
            stop=tenacity.stop_after_attempt(_PUSH_ATTEMPTS),
            wait=tenacity.wait_random(0.05, 0.5),
            reraise=True,
        )
        for attempt in retry:
            with attempt:
                attempts += 1
                if attempts > 1 and (arrived := self._arrived()):
                    commit = arrived
                    break
                if attempts > 1:
                    commit = make()
                    self._tried.append(commit)
                self._check_push(self._run("push", "origin", f"{commit.revision}:refs/heads/{self._target.branch}"))
        return replace(commit, attempts=attempts)

    # -- inside -------------------------------------------------------------------------------------------------

    @property
    def _remote(self) -> str:
        return f"refs/remotes/origin/{self._target.branch}"

    def _arrived(self) -> Commit | None:
        """The commit of this push that is in the branch, although we never heard that it was accepted."""
        head = self.head()
        return next((commit for commit in self._tried if self.is_ancestor(commit.revision, head)), None)

    def _check_out(self, expected: str) -> tuple[str, str, _Place]:
        """The newest commit that was fetched is in the folder, its overlay has that tag: path, text and place."""
        self._git("checkout", "-q", "--detach", self._remote)
        path, text = self._overlay("HEAD")
        place = self._find_tag(path, text)
        if place.tag != expected:
            raise OtherTagError(place.tag, expected, self.who_changed())
        return path, text, place

    def _commit(self, path: str, line: str, number: int) -> Commit:
        revision = self._git("rev-parse", "HEAD")
        return Commit(revision, self._git("rev-parse", "HEAD^"), path, line.strip(), line_number=number)

    def _fetch(self) -> None:
        if not self._cloned:
            self._git("init", "-q")
            self._git("remote", "add", "origin", self._target.url)
            self._cloned = True
        done = self._run("fetch", "-q", "origin", f"+refs/heads/{self._target.branch}:{self._remote}")
        if done.returncode != 0:
            where = f"branch {self._target.branch!r} of {self._target.url}"
            if "couldn't find remote ref" in done.stderr:
                raise InputError(f"there is no {where}", "env_repo.branch is what Argo CD follows")
            hint = "is the URL right, is the server up, may we read it?"
            raise GitError(f"cannot fetch {where}: {self._said(done)}", hint)

    def _overlay(self, revision: str) -> tuple[str, str]:
        """Path and text of the overlay's kustomization at a revision."""
        for name in ("kustomization.yaml", "kustomization.yml", "Kustomization"):
            path = f"{self._target.overlay.strip('/')}/{name}"
            done = self._run("show", f"{revision}:{path}")
            if done.returncode == 0:
                return path, done.stdout
        message = f"{self._target.overlay} has no kustomization.yaml in branch {self._target.branch!r}"
        raise InputError(message, "env_repo.overlay is the folder of the Kustomize overlay")

    def _find_tag(self, path: str, text: str) -> _Place:
        """Where the image's newTag is; ruamel knows the place, so that nothing else is rewritten."""
        try:
            document: Any = YAML(typ="rt").load(text)
        except YAMLError as error:
            raise InputError(f"{path} is not YAML: {error}") from None
        images = document.get("images") if isinstance(document, dict) else None
        for image in images or ():
            if image.get("name") == self._target.image and image.get("newTag") is not None:
                line, column = image.lc.value("newTag")
                return _Place(line, column, str(image["newTag"]), isinstance(image["newTag"], str))
        names = ", ".join(str(image.get("name")) for image in images or ()) or "none"
        message = f"{path} has no image {self._target.image!r} with a newTag (there: {names})"
        raise InputError(message, "env_repo.image is the `name:` of the entry under `images:`")

    def _check_push(self, done: subprocess.CompletedProcess[str]) -> None:
        if done.returncode == 0:
            return
        said = self._said(done)
        if _RACE.search(done.stderr):
            raise _RaceError(f"somebody else pushed to {self._target.url} first, {_PUSH_ATTEMPTS} times: {said}")
        if _NO_RIGHT.search(done.stderr):
            hint = "check env_repo.username_env and password_env, and the rights of that user"
            raise PushRefusedError(f"no right to push to {self._target.url}: {said}", hint)
        raise GitError(f"cannot push to {self._target.url}: {said}", "is the git server up?")

    def _git(self, *arguments: str) -> str:
        done = self._run(*arguments)
        if done.returncode != 0:
            raise GitError(f"git {arguments[0]} failed: {self._said(done)}")
        return done.stdout.strip()

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        settings = [
            "credential.helper=",  # forget the machine's helpers: no prompt, no stored password of somebody else
            f"user.name={self._target.author_name}",
            f"user.email={self._target.author_email}",
            "commit.gpgsign=false",
            "advice.detachedHead=false",
        ]
        if self._secrets:
            settings.append(f"credential.helper={_CREDENTIALS}")
        options = [word for setting in settings for word in ("-c", setting)]
        try:
            done = subprocess.run(
                ["git", *options, *arguments], cwd=self._folder, env=self._environ, stdin=subprocess.DEVNULL,
                capture_output=True, timeout=self._timeout_s, check=False,
                process_group=0,  # a terminal's Ctrl-C is for us: it must not end the git that puts things back
            )  # fmt: skip
            said = done.stderr.decode(errors="replace")  # not text mode: that would rewrite line ends of files
            return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), said)
        except subprocess.TimeoutExpired:
            message = f"git {arguments[0]} with {self._target.url} did not end within {self._timeout_s:g} s"
            raise GitError(message, "is the git server up?") from None
        except FileNotFoundError:
            raise InputError("the command `git` is not installed", "apt-get install git") from None

    def _said(self, done: subprocess.CompletedProcess[str]) -> str:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip() and not line.startswith("hint:")]
        text = SECRETS.told(" / ".join(lines[-4:]))
        return text or f"exit {done.returncode}"

    def _git_environ(self, environ: Mapping[str, str]) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith("GIT_") or key.startswith(_KEPT)}
        kept.update({"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C", "GIT_CONFIG_GLOBAL": os.devnull})
        if self._target.username_env:
            kept["ROLLPROOF_GIT_USERNAME"] = self._secret(environ, self._target.username_env)
        if self._target.password_env:
            kept["ROLLPROOF_GIT_PASSWORD"] = self._secret(environ, self._target.password_env)
        return kept

    @staticmethod
    def _secret(environ: Mapping[str, str], name: str) -> str:
        value = environ.get(name)
        if not value:
            hint = f"export {name}=…, or name a file with it as env_file"
            raise InputError(f"env_repo names the environment variable {name}, which is not set", hint)
        return value


def _with_tag(line: str, place: _Place, sha: str) -> str:
    """The line with another tag: quotes stay, and are added where YAML would take the sha for a number."""
    before, value, rest = line[: place.column], "", line[place.column :]
    quote = rest[0] if rest[:1] in ("'", '"') else ""
    value = f"{quote}{place.tag}{quote}"
    if not rest.startswith(value):
        return line
    if not quote and _NUMBER_LIKE.fullmatch(sha):
        quote = '"'
    return f"{before}{quote}{sha}{quote}{rest[len(value) :]}"
