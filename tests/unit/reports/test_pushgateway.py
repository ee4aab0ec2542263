"""Metrics to a Pushgateway: one PUT of what `--format prom` prints; refused or absent, a clear message and exit 3."""

from __future__ import annotations

import base64
from dataclasses import replace
from pathlib import Path

import pytest
from reports.receiver import receiving

from rollproof.errors import CannotJudgeError, InputError
from rollproof.reports.exports import export, sender
from rollproof.reports.model import Report
from rollproof.run.exporting import send_run


def test_one_put_replaces_the_group_of_the_target(report: Report) -> None:
    with receiving() as found:
        said = sender("prom")(report, f"{found.url}/below/", "")
    assert found.paths == ["/below/metrics/job/rollproof/target/lab"]
    assert (found.methods, found.bodies) == (["PUT"], [export(report, "prom").encode()])
    assert found.logins == [None]
    assert said.endswith(f"replaced what {found.url}/below/metrics/job/rollproof/target/lab had")


@pytest.mark.parametrize(("name", "group"), [
    ("shop staging", "target/shop%20staging"), ("a/b", "target@base64/YS9i"), ("größe", "target/gr%C3%B6%C3%9Fe"),
    ("..", "target@base64/Li4="), (".", "target@base64/Lg=="), ("...", "target/..."), ("a?b#c", "target/a%3Fb%23c"),
])  # fmt: skip
def test_a_name_that_a_url_cannot_hold_is_encoded(report: Report, name: str, group: str) -> None:
    named = replace(report, plan=replace(report.plan, target=replace(report.plan.target, name=name)))
    with receiving() as found:
        sender("prom")(named, found.url, "")
    assert found.paths == [f"/metrics/job/rollproof/{group}"]


@pytest.mark.parametrize(("status", "reason"), [
    (400, r"HTTP status 400: pushed metrics are invalid or inconsistent"),
    (401, r"HTTP status 401"), (302, r"a redirect is not followed"), (500, r"HTTP status 500"),
])  # fmt: skip
def test_what_is_not_accepted_is_said(report: Report, status: int, reason: str) -> None:
    said = b"pushed metrics are invalid or inconsistent\n"
    with receiving(status, said) as found, pytest.raises(CannotJudgeError, match=reason) as told:
        sender("prom")(report, found.url, "")
    assert len(found.paths) == 1, "no second try"
    assert (told.value.exit_code, bool(told.value.hint)) == (3, True)


def test_no_gateway_is_said(report: Report) -> None:
    with receiving() as found:
        pass
    with pytest.raises(CannotJudgeError, match=r"did not accept the metrics: connect\.refused") as told:
        sender("prom")(report, found.url, "")
    assert "is a Pushgateway listening there?" in told.value.hint


@pytest.mark.parametrize("endpoint", [
    "127.0.0.1:9091", "ftp://x", "http://", "http://[", "http://x:99999", "http://me:hidden-pass@127.0.0.1:1",
    "http://127.0.0.1:1?token=hidden-pass", "http://127.0.0.1:1#hidden-pass",
])  # fmt: skip
def test_an_endpoint_that_is_none_or_holds_a_login_is_refused(report: Report, endpoint: str) -> None:
    with pytest.raises(InputError) as told:
        sender("prom")(report, endpoint, "")
    assert told.value.exit_code == 2
    assert "hidden-pass" not in f"{told.value} {told.value.hint}"


def test_a_login_is_named_and_never_shown(
    report: Report, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr("rollproof.run.exporting.judge_run", lambda _: report)
    monkeypatch.setattr("rollproof.run.exporting.RunFolder.open", lambda _: _Nothing())
    monkeypatch.setenv("PUSH_USER", "ci")
    monkeypatch.setenv("PUSH_PASSWORD", "s3cr3t-of-the-gateway")
    variables = ("PUSH_USER", "PUSH_PASSWORD")
    login = "Basic " + base64.b64encode(b"ci:s3cr3t-of-the-gateway").decode()
    with receiving() as found:
        send_run(tmp_path, "prom", found.url, variables)
    assert found.logins == [login]
    with receiving(401, f"{login} s3cr3t-of-the-gateway".encode()) as found, pytest.raises(CannotJudgeError) as told:
        send_run(tmp_path, "prom", found.url, variables)
    shown = f"{told.value} {told.value.hint} {capsys.readouterr().out}"
    assert "s3cr3t" not in shown
    assert login.partition(" ")[2] not in shown


def test_a_variable_that_is_not_set_is_refused_before_anything_is_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("PUSH_USER", raising=False)
    with pytest.raises(InputError, match="--basic-auth-env names the environment variable PUSH_USER"):
        send_run(tmp_path / "no-such-run", "prom", "http://127.0.0.1:1", ("PUSH_USER", "PUSH_PASSWORD"))


class _Nothing:
    def __enter__(self) -> None: ...
    def __exit__(self, *_: object) -> None: ...
