"""The env repo as a client sees it: what the lab reads from it, and the push that fills it.

Must never force a push, and must never put the password into an argument list, a log or a file.
"""

from __future__ import annotations

import base64
import re
import shutil
from pathlib import Path

from lab import settings
from lab.credentials import Credentials
from lab.steps import CommandError, LabError, Log

__all__ = ["URL", "answers", "head", "seed", "tag"]

URL = f"http://127.0.0.1:{settings.GIT_PORT}/env.git"
BRANCH = "main"
_SEEDED_AT = "2026-01-05T09:00:00+00:00"
_PERSON = ("AngelPay pipeline", "pipeline@angelpay.example")
_PLAIN = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0"}


def answers(log: Log) -> bool:
    """Whether the server serves the repository, empty or not."""
    try:
        log.run("git", "ls-remote", URL, env=_PLAIN, timeout_s=10)
    except CommandError:
        return False
    return True


def head(log: Log) -> str:
    """The sha of the branch's last commit; "" if there is none."""
    return log.run("git", "ls-remote", URL, f"refs/heads/{BRANCH}", env=_PLAIN, timeout_s=20).partition("\t")[0].strip()


def tag(log: Log, environment: str) -> str:
    """The version that the overlay names, at the head of the branch."""
    clone = settings.state() / "env-repo-view"
    shutil.rmtree(clone, ignore_errors=True)
    log.run(
        "git", "clone", "--quiet", "--depth=1", "--no-tags", f"--branch={BRANCH}", URL, clone, env=_PLAIN, timeout_s=30
    )
    try:
        text = (clone / "overlays" / environment / "kustomization.yaml").read_text(encoding="utf-8")
    finally:
        shutil.rmtree(clone, ignore_errors=True)
    found = re.search(r'^\s*newTag: "?([^"\s]+)"?', text, re.MULTILINE)
    if not found:
        raise LabError(
            f"overlays/{environment}/kustomization.yaml in {URL} has no newTag; revert the commit that removed it"
        )
    return found[1]


def seed(log: Log, work: Path, first: str, made: Credentials) -> None:
    """Commit the layout with the first release and push it to the empty repository."""
    shutil.copytree(settings.SOURCES / "env-repo", work, dirs_exist_ok=True)
    for path in sorted(work.glob("overlays/*/kustomization.yaml")):
        path.write_text(path.read_text(encoding="utf-8").replace("@FIRST@", first), encoding="utf-8")
    plain = {**_PLAIN}
    for role in ("AUTHOR", "COMMITTER"):
        plain |= {f"GIT_{role}_NAME": _PERSON[0], f"GIT_{role}_EMAIL": _PERSON[1], f"GIT_{role}_DATE": _SEEDED_AT}
    log.run("git", "init", "--quiet", f"--initial-branch={BRANCH}", work, env=plain)
    log.run("git", "-C", work, "add", "--all", env=plain)
    log.run("git", "-C", work, "commit", "--quiet", f"--message=Run {first} in dev and prod", env=plain)
    log.run("git", "-C", work, "push", "--quiet", URL, BRANCH, env={**plain, **_login(made)}, timeout_s=60)


def _login(made: Credentials) -> dict[str, str]:
    """A header set by environment variables: unlike a password in the URL it is neither in `ps` nor in a log."""
    pair = base64.b64encode(f"{made.git_username}:{made.git_password}".encode()).decode()
    return {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"http.{URL}.extraHeader",
        "GIT_CONFIG_VALUE_0": f"Authorization: Basic {pair}",
    }
