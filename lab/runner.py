"""The app's pipeline run by a real runner (nektos/act, host mode) against a registry and an env repo of this machine.

Nothing is asked for outside: `actions/checkout` of the runner's own repository is a copy of the files for act. Must be
given folders of its own; what the workflow's steps do, they do as this user.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lab import apprepo, gobuild, settings
from lab.registry import USER, Running
from lab.steps import CommandError, Log

__all__ = ["WORKFLOW", "Run", "missing", "run_pipeline"]

WORKFLOW = settings.SOURCES / "pipeline" / "deploy.yml"
_PERSON = {"GIT_AUTHOR_NAME": "dev", "GIT_AUTHOR_EMAIL": "dev@angelpay.example"}
_PERSON |= {name.replace("AUTHOR", "COMMITTER"): value for name, value in _PERSON.items()}
_PLAIN = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0"}


@dataclass(frozen=True, slots=True)
class Run:
    """What came of a run. `sha`: the app's commit; `said`: the output; `report`: the path of the scan's report."""

    sha: str
    succeeded: bool
    said: str
    report: Path


def missing() -> str:
    """What of this machine the workflow needs and is not there; "" if nothing."""
    lacking = [name for name in ("php", "git", "tar", "setpriv") if shutil.which(name) is None]
    return f"not installed: {', '.join(lacking)}" if lacking else ""


def run_pipeline(
    folder: Path, registry: Running, env_repo: Path, log: Log, *, workflow: str = "", platform: str = "linux/arm64"
) -> Run:
    """Commit the workflow to a clone of the app's repository, and run it as a push to `main`.

    workflow: another text than WORKFLOW's; platform: of the image that is built.
    """
    act, crane = gobuild.build(gobuild.ACT, log), gobuild.build(gobuild.CRANE, log)
    apprepo.build(folder / "app.git")
    work, home, report = folder / "work", folder / "home", folder / "report.json"
    log.run("git", "clone", "--quiet", "--branch=main", folder / "app.git", work, env=_PLAIN)
    path = work / ".github" / "workflows" / WORKFLOW.name
    path.parent.mkdir(parents=True)
    path.write_text(workflow or WORKFLOW.read_text(encoding="utf-8"), encoding="utf-8")
    log.run("git", "-C", work, "add", "--all", env=_PLAIN)
    log.run("git", "-C", work, "commit", "--quiet", "--message=Deploy by a pipeline", env={**_PLAIN, **_PERSON})
    sha = log.run("git", "-C", work, "rev-parse", "HEAD", env=_PLAIN).strip()
    home.mkdir()
    secrets = folder / "secrets"
    secrets.touch(mode=0o600)
    secrets.write_text(f"REGISTRY_USER={USER}\nREGISTRY_PASSWORD={registry.password}\n", encoding="utf-8")
    named = {"REGISTRY": registry.address, "PLATFORM": platform, "ENV_REPO": str(env_repo), "REPORT": str(report)}
    return _run(act, crane, work, home, secrets, named, log, sha, report)


def _run(
    act: Path, crane: Path, work: Path, home: Path, secrets: Path, named: Mapping[str, str], log: Log, sha: str,
    report: Path,
) -> Run:  # fmt: skip
    words: list[str | Path] = [
        act, "push", "--platform", "ubuntu-latest=-self-hosted", "--no-cache-server", "--container-daemon-socket", "-",
        "--action-cache-path", home / "act", "--secret-file", secrets, "--concurrent-jobs", "1",
    ]  # fmt: skip
    for name, value in named.items():
        words += ["--var", f"{name}={value}"]
    env = {**_PLAIN, "HOME": str(home), "PATH": f"{crane.parent}:{os.environ['PATH']}"}
    try:
        said, succeeded = log.run(*words, cwd=work, env=env, timeout_s=600), True
    except CommandError as error:
        said, succeeded = str(error), False
    return Run(sha, succeeded, said, report)
