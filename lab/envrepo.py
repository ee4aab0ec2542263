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

__all__ = ["URL", "answers", "entry", "head", "let_in_by", "seed", "tag"]

URL = f"http://127.0.0.1:{settings.GIT_PORT}/env.git"
BRANCH = "main"
_ENTRIES = {"Ingress": "ingress.yaml", "HTTPRoute": "httproute.yaml"}  # kind -> its file in base, and `patch-` of it
_BASE = "base/kustomization.yaml"
_FIRST, _NO_RELEASE = "@FIRST@", "0000000"  # in the layout's files, and in its commit
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
    text = _text(log, f"overlays/{environment}/kustomization.yaml")
    found = re.search(r'^\s*newTag: "?([^"\s]+)"?', text, re.MULTILINE)
    if not found:
        raise LabError(
            f"overlays/{environment}/kustomization.yaml in {URL} has no newTag; revert the commit that removed it"
        )
    return found[1]


def entry(log: Log) -> str:
    """The kind of object that lets users in, at the head of the branch; "" if it is none that the lab knows."""
    text = _text(log, _BASE)
    return next((kind for kind, name in _ENTRIES.items() if re.search(rf"^ *- {name}$", text, re.MULTILINE)), "")


def let_in_by(log: Log, clone: Path, kind: str, made: Credentials) -> str:
    """Commit the other kind of entry and push it, as a person would; a branch without one that we know is left."""
    before = entry(log)
    if before in ("", kind):
        return "kept"
    _clone(log, clone)
    old, new, sources = _ENTRIES[before], _ENTRIES[kind], settings.SOURCES / "env-repo"
    for path in clone.glob("*/**/kustomization.yaml"):
        text = path.read_text(encoding="utf-8").replace(f"- {old}\n", f"- {new}\n")
        path.write_text(text.replace(f"- path: patch-{old}\n", f"- path: patch-{new}\n"), encoding="utf-8")
    for path in sources.glob(f"*/**/*{new}"):
        if not (clone / path.relative_to(sources)).exists():  # the repository is of an older lab
            shutil.copyfile(path, clone / path.relative_to(sources))
    plain = _as_pipeline()
    _commit(log, clone, f"Let users in by {kind}", plain)
    log.run("git", "-C", clone, "push", "--quiet", URL, BRANCH, env={**plain, **_login(made)}, timeout_s=60)
    return f"users come in by {kind}"


def _text(log: Log, path: str) -> str:
    """A file at the head of the branch."""
    clone = settings.state() / "env-repo-view"
    shutil.rmtree(clone, ignore_errors=True)
    _clone(log, clone)
    try:
        return (clone / path).read_text(encoding="utf-8")
    finally:
        shutil.rmtree(clone, ignore_errors=True)


def _clone(log: Log, place: Path) -> None:
    words = ("--quiet", "--depth=1", "--no-tags", f"--branch={BRANCH}")
    log.run("git", "clone", *words, URL, place, env=_PLAIN, timeout_s=30)


def _as_pipeline(at: str = "") -> dict[str, str]:
    """The author of a commit, and if given its time."""
    made = {**_PLAIN}
    for role in ("AUTHOR", "COMMITTER"):
        made |= {f"GIT_{role}_NAME": _PERSON[0], f"GIT_{role}_EMAIL": _PERSON[1]}
        made |= {f"GIT_{role}_DATE": at} if at else {}
    return made


def seed(log: Log, work: Path, first: str, made: Credentials) -> None:
    """Commit the layout, then for each environment the first release as the pipeline does it, and push to the empty
    repository. The layout's own tag belongs to no release, so that each environment's tag is set by its line alone.
    """
    shutil.copytree(settings.SOURCES / "env-repo", work, dirs_exist_ok=True)
    plain = _as_pipeline(_SEEDED_AT)
    log.run("git", "init", "--quiet", f"--initial-branch={BRANCH}", work, env=plain)
    overlays = sorted(work.glob("overlays/*/kustomization.yaml"))
    for path in overlays:
        _put(path, _FIRST, _NO_RELEASE)
    _commit(log, work, "Lay out dev and prod", plain)
    for path in overlays:
        _put(path, _NO_RELEASE, first)
        _commit(log, work, f"Run {first} in {path.parent.name}", plain)
    log.run("git", "-C", work, "push", "--quiet", URL, BRANCH, env={**plain, **_login(made)}, timeout_s=60)


def _put(path: Path, old: str, new: str) -> None:
    path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")


def _commit(log: Log, work: Path, message: str, plain: dict[str, str]) -> None:
    log.run("git", "-C", work, "add", "--all", env=plain)
    log.run("git", "-C", work, "commit", "--quiet", f"--message={message}", env=plain)


def _login(made: Credentials) -> dict[str, str]:
    """A header set by environment variables: unlike a password in the URL it is neither in `ps` nor in a log."""
    pair = base64.b64encode(f"{made.git_username}:{made.git_password}".encode()).decode()
    return {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"http.{URL}.extraHeader",
        "GIT_CONFIG_VALUE_0": f"Authorization: Basic {pair}",
    }
