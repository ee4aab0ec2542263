"""Gitanswers: what git's answer to a push means: taken, refused, too late, not sent, or unknown.

The status of a branch comes in `--porcelain` form, which is for programs. Where git ended without one, its words decide
only whether the push is surely not made; everything else is unknown, which is not "no".
"""

from __future__ import annotations

import re

from rollproof.clients.git import Done, GitError
from rollproof.core.visible import printable
from rollproof.errors import UnansweredError

__all__ = ["PushRefusedError", "PushUnansweredError", "RaceError", "check_push", "hint_of"]

# of a `[remote rejected]` of git's own receive-pack: the branch has moved meanwhile
_RACE = re.compile(r"stale info|cannot lock ref|failed to update ref|incorrect old value|fetch first|non-fast-forward")
# git says these before it has sent anything of a push
_NOT_SENT = re.compile(
    r"(?:^| / )fatal: (unable to access|Authentication failed|could not read|repository '.*' not found|'.*' does not)"
)
_NO_RIGHT = re.compile(r"returned error: (401|403)|Authentication failed|could not read (Username|Password)|denied")
_REDIRECT = re.compile(r"returned error: 30\d|redirect")
_OTHER_NAMES = re.compile(r"mismatched algorithms")  # of objects: a repository that was made with SHA-256
_TLS = re.compile(r"certificate|SSL", re.IGNORECASE)


class PushRefusedError(GitError):
    """The server refuses our push: no right, or a rule. Trying again would not help."""


class PushUnansweredError(GitError, UnansweredError):
    """No answer came to a push: it may have been accepted, or may still be. The same commit may be pushed again."""


class RaceError(GitError):
    """Somebody else pushed first."""


def check_push(done: Done, *, url: str, branch: str, sure: bool) -> None:
    """Return if the push of `branch` was taken, else raise: RaceError, PushRefusedError, GitError (nothing was sent) or
    PushUnansweredError. `sure`: a dry run, which changes nothing whatever it says.
    """
    # one line a ref: flag, from:to, "[status] (reason)"; git-push(1), "OUTPUT"
    lines = [line.split("\t") for line in done.out.decode(errors="replace").splitlines()]
    status = next((line for line in lines if len(line) == 3 and line[1].endswith(f":{branch}")), None)
    if status is not None and status[0] == "!":
        raise _not_taken(f"{url} ({branch.removeprefix('refs/heads/')})", status[2], done)
    if done.code and status is None:
        raise _without_status(url, done, sure=sure)


def _not_taken(where: str, status: str, done: Done) -> GitError:
    said = f"{printable(status)}: {done.said}"
    if status.startswith("[rejected]") or (status.startswith("[remote rejected]") and _RACE.search(status)):
        return RaceError(f"somebody else pushed to {where} first: {said}", "repeat it when nobody else deploys")
    if status.startswith("[remote rejected]"):
        hint = "a hook or a rule of the git server does not take this commit from this user: see what it says"
        return PushRefusedError(f"{where} refuses our commit: {said}", hint)
    return PushUnansweredError(f"{where} did not say whether it took our commit: {said}", "is the git server well?")


def _without_status(url: str, done: Done, *, sure: bool) -> GitError:
    if _NO_RIGHT.search(done.said):
        return PushRefusedError(f"no right to push to {url}: {done.said}", hint_of(done.said))
    if sure or _NOT_SENT.search(done.said):
        return GitError(f"cannot push to {url}: {done.said}", hint_of(done.said) or "is the git server up?")
    return PushUnansweredError(f"no answer to our push to {url}: {done.said}", "is the git server up?")


def hint_of(said: str) -> str:
    """What to do, by git's words; "" if they say nothing special. It decides nothing."""
    if _NO_RIGHT.search(said):
        return "check env_repo.username_env and password_env, and the permissions of that user"
    if _REDIRECT.search(said):
        return "no redirect is followed: name the final address in env_repo.url (often it ends in .git)"
    if _OTHER_NAMES.search(said):
        return "the repository names its objects by SHA-256, and rollproof works with SHA-1 ones alone"
    return "name the server's CA in env_repo.ca_file" if _TLS.search(said) else ""
