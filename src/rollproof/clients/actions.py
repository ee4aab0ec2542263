"""Actions: what GitHub's REST API says of a commit and of the workflow runs for it. GETs only, one attempt each.

The token goes to the API's own host and nowhere else: no redirect is followed. What does not fit on one page of a
hundred is not judged. Works with GitHub Enterprise, and with whatever speaks the same API.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from rollproof.clients.http import Answer, request
from rollproof.clients.proxies import proxy_for
from rollproof.core.outside import Outside, parsed
from rollproof.errors import CannotJudgeError
from rollproof.redaction import SECRETS

__all__ = ["GITHUB", "Actions", "AppCommit", "Part", "WorkflowRun"]

GITHUB = "https://api.github.com"

_PAGE = 100
_TIMEOUT_S = 10.0
_TYPE = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}


@dataclass(frozen=True, slots=True)
class AppCommit:
    """A commit of the app's repository: the full sha, and the committer's date (s since 1970)."""

    sha: str
    committed_s: float | None


@dataclass(frozen=True, slots=True)
class WorkflowRun:
    """A workflow run. `path` is the workflow's file; `conclusion` is "" until it is completed.

    started_s: of its first attempt, as far as that is known: a repetition has another `run_started_at`.
    """

    number: int
    path: str
    status: str
    conclusion: str
    attempt: int
    started_s: float | None


@dataclass(frozen=True, slots=True)
class Part:
    """A job ("build"), or a step of one ("build/Scan the image"), of any attempt of a run (0: which is not said)."""

    name: str
    status: str
    conclusion: str
    ended_s: float | None
    attempt: int


class Actions:
    """The API of one repository ("owner/name"); without a token only a public one can be read."""

    def __init__(self, api_url: str, repository: str, token: str = "", *, timeout_s: float = _TIMEOUT_S) -> None:
        self._url, self._who = f"{api_url.rstrip('/')}/repos/{repository}", f"{api_url} of {repository}"
        self._timeout_s = timeout_s
        self._headers = {**_TYPE, **({"Authorization": f"Bearer {token}"} if token else {})}
        SECRETS.add((token,) if token else ())

    def commit(self, sha: str) -> AppCommit:
        """The commit that a short or full sha names. CannotJudgeError if there is none, or it may not be read."""
        found = self._get(f"commits/{quote(sha, safe='')}")
        return AppCommit(found.needed("sha"), found.child("commit").child("committer").time_s("date"))

    def runs(self, sha: str) -> tuple[WorkflowRun, ...]:
        """The runs for a commit, by its full sha."""
        found = self._get(f"actions/runs?head_sha={quote(sha, safe='')}&per_page={_PAGE}")
        return tuple(
            WorkflowRun(
                number=_number(one), path=one.needed("path").partition("@")[0], status=one.text("status"),
                conclusion=one.text("conclusion"), attempt=one.integer("run_attempt", 1), started_s=_started_s(one),
            )
            for one in self._whole(found, "workflow_runs")
        )  # fmt: skip

    def parts(self, run: int) -> tuple[Part, ...]:
        """The jobs and steps of all attempts of a run."""
        found = self._get(f"actions/runs/{run}/jobs?filter=all&per_page={_PAGE}")
        parts: list[Part] = []
        for job in self._whole(found, "jobs"):
            name, attempt = job.text("name"), job.count("run_attempt")
            steps = ((f"{name}/{step.text('name')}", step) for step in job.objects("steps"))
            parts += [_part(one, found, attempt) for one, found in ((name, job), *steps)]
        return tuple(parts)

    def _whole(self, found: Outside, key: str) -> tuple[Outside, ...]:
        """All of a list; one that is not there is not an empty one."""
        if not isinstance(found.value.get(key), list):
            found.refuse(key, "a list")
        items = found.objects(key)
        if found.count("total_count", len(items)) > len(items):
            raise CannotJudgeError(f"{self._who} has {found.count('total_count')} {key}, and {len(items)} were read")
        if not found.has("total_count") and len(items) >= _PAGE:
            raise CannotJudgeError(f"{self._who} gave {len(items)} {key}, and does not say whether there are more")
        return items

    def _get(self, path: str) -> Outside:
        url = f"{self._url}/{path}"
        answer = request("GET", url, self._headers, timeout_s=self._timeout_s, proxy=proxy_for(url, os.environ))
        if answer.status != 200:
            raise _refused(self._who, path.partition("?")[0], answer)
        who = f"{self._who}, {path.partition('?')[0]}"
        return Outside.of(parsed(answer.body, who), who)


def _number(run: Outside) -> int:
    return found if (found := run.integer("id")) > 0 else run.refuse("id", "a number from 1 on")


def _started_s(run: Outside) -> float | None:
    created_s = run.time_s("created_at")
    return run.time_s("run_started_at") if created_s is None and run.integer("run_attempt", 1) == 1 else created_s


def _part(name: str, found: Outside, attempt: int) -> Part:
    return Part(name, found.text("status"), found.text("conclusion"), found.time_s("completed_at"), attempt)


def _refused(who: str, path: str, answer: Answer) -> CannotJudgeError:
    """Why there is no answer; by status and headers, as GitHub's documentation of rate limits says."""
    said = f"{who} does not give {path}: {answer.error or f'HTTP status {answer.status}'}"
    if answer.status == 429 or (answer.status == 403 and _is_limited(answer.headers)):
        again = answer.headers.get("retry-after", "")
        when = f"try again in {again} s" if again.isdecimal() else "try again within the hour"
        return CannotJudgeError(f"{said}: the rate limit is used up", f"{when}; with a token the limit is far higher")
    hints = {
        401: "the token is not valid: has it expired? (pipeline.actions.token_env)",
        403: "the token may not: it needs actions:read and contents:read of this repository",
        404: "there is none, or the token may not see it (GitHub says the same of both)",
        422: "the tag names no commit of this repository",
    }
    return CannotJudgeError(said, hints.get(answer.status or 0, "is the URL right, and can it be reached from here?"))


def _is_limited(headers: Mapping[str, str]) -> bool:
    return headers.get("x-ratelimit-remaining") == "0" or "retry-after" in headers
