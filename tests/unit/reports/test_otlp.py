"""OTLP: a run is one trace that a collector can read, and nothing is sent unless somebody named an endpoint."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import Parse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from reports.receiver import receiving

from rollproof.core.event import Event
from rollproof.core.verdict import Result, Verdict
from rollproof.errors import CannotJudgeError, InputError
from rollproof.redaction import SECRETS
from rollproof.reports.exports import export, exporter, sender
from rollproof.reports.model import Report

DRILLS = {"zero-downtime", "drift", "rollback"}


def spans(text: str) -> list[dict[str, Any]]:
    (resource,) = json.loads(text)["resourceSpans"]
    (scope,) = resource["scopeSpans"]
    return list(scope["spans"])


def attributes(one: dict[str, Any]) -> dict[str, Any]:
    return {item["key"]: next(iter(item["value"].values())) for item in one.get("attributes", [])}


def events_of(report: Report, source: str) -> list[Event]:
    return [event for event in report.events() if event.source == source]


def test_a_run_is_one_trace_whose_tasks_are_its_drills(report: Report) -> None:
    found = spans(export(report, "otlp"))
    assert len({one["traceId"] for one in found}) == 1
    assert len({one["spanId"] for one in found}) == len(found)
    assert all(len(one["traceId"]) == 32 and len(one["spanId"]) == 16 for one in found)
    (run,) = [one for one in found if "parentSpanId" not in one]
    said = attributes(run)
    assert run["name"] == "RUN lab"
    assert (said["cicd.pipeline.name"], said["cicd.pipeline.run.id"]) == ("lab", report.plan.run_id)
    assert (said["cicd.pipeline.result"], run["status"]["code"]) == ("failure", 2)
    tasks = [one for one in found if one.get("parentSpanId") == run["spanId"]]
    assert {one["name"] for one in tasks} == DRILLS
    results = {one["name"]: attributes(one)["cicd.pipeline.task.run.result"] for one in tasks}
    assert results == {"zero-downtime": "failure", "drift": "error", "rollback": "success"}
    assert attributes(next(one for one in tasks if one["name"] == "zero-downtime"))["error.type"] == "PRESTOP_TOO_SHORT"
    assert {one["parentSpanId"] for one in found if one is not run} <= {one["spanId"] for one in (run, *tasks)}


def test_every_verdict_is_an_event_of_its_drill(report: Report) -> None:
    found = spans(export(report, "otlp"))
    told = [(one["name"], attributes(event)) for one in found for event in one.get("events", [])
            if event["name"] == "verdict"]  # fmt: skip
    assert len(told) == len(report.verdicts)
    for drill, said in told:
        assert said["test.suite.name"] == drill
        assert said["rollproof.result"] in set(Result)
        assert ("test.case.result.status" in said) == (said["rollproof.result"] in {"PASS", "FAIL"})
    (lost,) = [said for drill, said in told if (drill, said["test.case.name"]) == ("zero-downtime", "availability")]
    assert lost["rollproof.number.failures"] == "53"


def test_stages_drifts_and_outages_are_spans_with_the_times_of_their_facts(report: Report) -> None:
    found = {one["name"]: one for one in spans(export(report, "otlp"))}
    assert {"phase baseline", "release pushed", "rollback proven", "drift image", "outage"} <= set(found)
    assert "drift replicas" not in found, "it was skipped: nothing was done"
    first, pushed = report.events()[0], next(e for e in events_of(report, "release") if e.what == "pushed")
    run, span = found["RUN lab"], found["release pushed"]
    begun_s = (int(span["startTimeUnixNano"]) - int(run["startTimeUnixNano"])) / 1e9
    assert begun_s == pytest.approx(pushed.start_s - first.start_s, abs=1e-3)
    assert int(span["startTimeUnixNano"]) < int(span["endTimeUnixNano"])
    words = [event["name"] for event in found["drift image"]["events"]]
    assert words[:1] == ["before"]
    assert "restored" in words


def test_protobuf_reads_it_back_but_for_the_ids_which_are_hexadecimal(report: Report) -> None:
    text = export(report, "otlp")
    assert text.count("\n") == 1, "one document a line, for the collector's file receiver"
    read = Parse(text, ExportTraceServiceRequest())
    assert len(read.resource_spans[0].scope_spans[0].spans) == len(spans(text))


def test_exported_twice_it_is_the_same_trace_and_of_another_run_another(report: Report) -> None:
    assert export(report, "otlp") == export(report, "otlp")
    other = replace(report, plan=replace(report.plan, run_id="20261125T090000Z-all"))
    assert spans(export(other, "otlp"))[0]["traceId"] != spans(export(report, "otlp"))[0]["traceId"]


def test_no_variable_of_opentelemetry_changes_it(report: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = export(report, "otlp")
    for name, value in (
        ("OTEL_SDK_DISABLED", "true"), ("OTEL_TRACES_SAMPLER", "always_off"), ("OTEL_SPAN_EVENT_COUNT_LIMIT", "1"),
        ("OTEL_RESOURCE_ATTRIBUTES", "service.name=x"), ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "3"),
    ):  # fmt: skip
        monkeypatch.setenv(name, value)
    assert export(report, "otlp") == plain


def test_without_the_extra_a_message_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith(("opentelemetry.", "rollproof.reports.exports.otlp"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    for ask in (exporter, sender):
        with pytest.raises(InputError) as told:
            ask("otlp")
        assert told.value.exit_code == 2
        assert "rollproof[otlp]" in told.value.hint


def test_it_is_sent_where_an_endpoint_was_named(report: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    with receiving() as found:
        said = sender("otlp")(report, found.url, "")
    assert (found.methods, found.paths, found.logins) == (["POST"], ["/v1/traces"], [None])
    (resource,) = ExportTraceServiceRequest.FromString(found.bodies[0]).resource_spans
    sent = resource.scope_spans[0].spans
    exported = spans(export(report, "otlp"))
    assert [one.span_id.hex() for one in sent] == [one["spanId"] for one in exported]
    assert said.startswith(
        f"{len(exported)} spans of the trace {exported[0]['traceId']} were sent to {found.url}/v1/traces"
    )


def test_what_is_not_accepted_is_no_success(report: Report) -> None:
    with receiving(400) as found, pytest.raises(CannotJudgeError, match="did not accept") as told:
        sender("otlp")(report, found.url.replace("http://", "http://me:hidden@"), "")
    assert len(found.paths) == 1
    assert "hidden" not in str(told.value)


def test_a_login_goes_along_whatever_the_environment_says(report: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=another")
    with receiving() as found:
        for url in (found.url, found.url.replace("http://", "http://me:hidden@")):
            sender("otlp")(report, url, "Basic Y2k6cA==")
    assert found.logins == ["Basic Y2k6cA=="] * 2


@pytest.mark.parametrize("headers", ["", "authorization=Basic%20b3RoZXI%3D"])
def test_no_login_of_netrc_goes_along(
    report: Report, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, headers: str
) -> None:
    """Kind 7 of faults.md: a secret is for the destination that somebody named it for."""
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password of-netrc\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", headers)
    with receiving() as found:
        sender("otlp")(report, found.url, "")
        sender("otlp")(report, found.url.replace("http://", "http://ci:p%40ss@"), "")
    assert found.logins == ["Basic b3RoZXI=" if headers else None, "Basic Y2k6cEBzcw=="]


@pytest.mark.parametrize("status", [302, 304, 307])
def test_a_redirect_is_no_success_and_takes_no_header_to_another_host(
    report: Report, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-api-key=t0k-en-of-the-collector")
    with receiving() as elsewhere, receiving(status, location=f"{elsewhere.url}/v1/traces") as found:
        with pytest.raises(CannotJudgeError, match=f"status {status}"):
            sender("otlp")(report, found.url, "")
        assert elsewhere.paths == []


def test_a_failure_shows_no_credential_of_headers_or_url(report: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-api-key=g3heim t\u00f6ken;4711,b4re-t0ken")
    with pytest.raises(CannotJudgeError, match="did not accept") as told:  # no such host: nothing is tried again
        sender("otlp")(report, "http://me:hidden-pass@a..b/?api-key=s3cr3t%2Fvalue", "")
    with receiving(400) as found, pytest.raises(CannotJudgeError) as other:
        sender("otlp")(report, f"{found.url}?key=s3cr3t%2Fvalue", "")
    said = f"{told.value} {other.value}"
    assert not [one for one in ("g3heim", "4711", "b4re-t0ken", "hidden-pass", "s3cr3t") if one in said]


@pytest.mark.parametrize("endpoint", ["collector", "ftp://x", "http://", "http://[", "http://x:99999"])
def test_an_endpoint_that_is_none_is_refused_before_anything_is_sent(report: Report, endpoint: str) -> None:
    with pytest.raises(InputError, match="--endpoint"):
        sender("otlp")(report, endpoint, "")


def test_what_nobody_sends_is_refused() -> None:
    with pytest.raises(InputError) as told:
        sender("csv")
    assert "otlp" in told.value.hint


def test_secrets_are_hidden_in_what_is_sent_and_in_what_is_written(report: Report) -> None:
    SECRETS.add(["correct-horse-battery"])
    told = replace(report, verdicts=(Verdict("version", "Ingress", Result.FAIL, "saw correct-horse-battery", "drift"),))
    with receiving() as found:
        sender("otlp")(told, found.url, "")
    assert b"correct-horse" not in found.bodies[0]
    assert "correct-horse" not in export(told, "otlp")


@pytest.mark.parametrize(
    "changes",
    [
        {"wall": "1970-01-01T00:00:00+00:00", "end_s": 50.0}, {"wall": "x", "end_s": 1e11},
        {"wall": "x", "start_s": -1e11}, {"start_s": 1e300, "end_s": 1e300}, {"wall": "9999-12-31T23:59:59+00:00"},
        {"end_s": 1e10},
    ],
)  # fmt: skip
def test_times_that_no_run_has_are_no_traceback(report: Report, changes: dict[str, Any]) -> None:
    facts = {
        drill: replace(found, events=tuple(replace(event, **changes) for event in found.events))
        for drill, found in report.facts.items()
    }
    for one in spans(export(replace(report, facts=facts), "otlp")):
        assert int(one.get("startTimeUnixNano", 0)) <= int(one.get("endTimeUnixNano", 0)) < 2**63
