"""GitHub's REST API, or one like it: commits, runs, jobs; and what each refusal means."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from siteserver import Site, serving

from rollproof.clients.actions import Actions
from rollproof.errors import CannotJudgeError, OutsideDataError

BASE, SHA = "/repos/shop/web", "b" * 40
RUNS, JOBS = f"{BASE}/actions/runs?head_sha={SHA}&per_page=100", f"{BASE}/actions/runs/7/jobs?filter=all&per_page=100"


@pytest.fixture
def site() -> Iterator[Site]:
    with serving() as found:
        yield found


def put(site: Site, path: str, found: object, status: int = 200, **headers: str) -> None:
    site.answers["GET", path] = (
        status,
        {name.replace("_", "-"): value for name, value in headers.items()},
        json.dumps(found),
    )


def test_a_commit_its_runs_and_their_jobs_with_steps(site: Site) -> None:
    put(site, f"{BASE}/commits/bbbbbbb", {"sha": SHA, "commit": {"committer": {"date": "1970-01-01T00:01:00Z"}}})
    run = {
        "id": 7,
        "path": "a/deploy.yml@refs/heads/main",
        "status": "in_progress",
        "conclusion": None,
        "run_attempt": 2,
    }
    put(site, RUNS, {"total_count": 1, "workflow_runs": [run]})
    step = {"name": "Scan", "status": "completed", "conclusion": "skipped", "completed_at": None}
    put(
        site,
        JOBS,
        {
            "total_count": 1,
            "jobs": [{"name": "image", "status": "queued", "conclusion": None, "run_attempt": 2, "steps": [step]}],
        },
    )
    api = Actions(site.url, "shop/web", "t0k-en-of-ci")
    assert (api.commit("bbbbbbb").sha, api.commit("bbbbbbb").committed_s) == (SHA, 60.0)
    (found,) = api.runs(SHA)
    assert (found.number, found.path, found.conclusion, found.attempt) == (7, "a/deploy.yml", "", 2)
    parts = [(part.name, part.conclusion, part.attempt) for part in api.parts(7)]
    assert parts == [("image", "", 2), ("image/Scan", "skipped", 2)]
    assert {headers["authorization"] for _, _, headers in site.asked} == {"Bearer t0k-en-of-ci"}


def test_without_a_token_none_is_sent(site: Site) -> None:
    put(site, RUNS, {"total_count": 0, "workflow_runs": []})
    assert Actions(site.url, "shop/web").runs(SHA) == ()
    assert "authorization" not in site.asked[0][2]


def test_a_redirect_is_not_followed_and_the_token_stays(site: Site) -> None:
    with serving() as elsewhere:
        put(site, RUNS, {}, 301, Location=f"{elsewhere.url}/runs")
        with pytest.raises(CannotJudgeError, match="HTTP status 301"):
            Actions(site.url, "shop/web", "t0k-en-of-ci").runs(SHA)
        assert elsewhere.asked == []


@pytest.mark.parametrize(
    ("status", "headers", "said"),
    [
        (401, {}, "not valid"), (403, {}, "actions:read"), (404, {}, "may not see"), (422, {}, "names no commit"),
        (403, {"X_RateLimit_Remaining": "0"}, "rate limit"), (429, {"Retry_After": "60"}, "again in 60 s"),
        (403, {"Retry_After": "60"}, "rate limit"), (500, {}, "HTTP status 500"),
    ],
)  # fmt: skip
def test_each_refusal_is_told_apart(site: Site, status: int, headers: dict[str, str], said: str) -> None:
    put(site, RUNS, {"message": "no"}, status, **headers)
    with pytest.raises(CannotJudgeError) as error:
        Actions(site.url, "shop/web", "t0k-en-of-ci").runs(SHA)
    told = f"{error.value} {error.value.hint}"
    assert said in told
    assert "t0k-en-of-ci" not in told


def test_more_than_a_page_is_not_judged_by_its_beginning(site: Site) -> None:
    put(site, RUNS, {"total_count": 101, "workflow_runs": [{"id": 1, "path": "a/deploy.yml"}]})
    with pytest.raises(CannotJudgeError, match="101 workflow_runs, and 1 were read"):
        Actions(site.url, "shop/web").runs(SHA)


def test_a_full_page_without_a_total_may_be_a_beginning(site: Site) -> None:
    put(site, RUNS, {"workflow_runs": [{"id": number, "path": "a/deploy.yml"} for number in range(1, 101)]})
    with pytest.raises(CannotJudgeError, match="whether there are more"):
        Actions(site.url, "shop/web").runs(SHA)


def test_a_run_that_was_repeated_began_when_it_was_made(site: Site) -> None:
    run = {"id": 7, "path": "a/deploy.yml", "run_attempt": 2, "run_started_at": "1970-01-02T00:00:00Z"}
    for created, started_s in (("1970-01-01T00:01:00Z", 60.0), (None, None)):
        put(site, RUNS, {"total_count": 1, "workflow_runs": [{**run, "created_at": created}]})
        assert Actions(site.url, "shop/web").runs(SHA)[0].started_s == started_s
    put(site, RUNS, {"total_count": 1, "workflow_runs": [{**run, "run_attempt": 1}]})
    assert Actions(site.url, "shop/web").runs(SHA)[0].started_s == 86_400.0


@pytest.mark.parametrize(
    "found",
    [
        [], None, {}, {"workflow_runs": None}, {"workflow_runs": 1}, {"workflow_runs": [{"id": "x"}]},
        {"workflow_runs": [{"path": "a/deploy.yml"}]}, {"workflow_runs": [{"id": 7}]},
    ],
)  # fmt: skip
def test_what_is_no_such_answer_is_said(site: Site, found: Any) -> None:
    put(site, RUNS, found)
    with pytest.raises(OutsideDataError):
        Actions(site.url, "shop/web").runs(SHA)
