"""OpenTelemetry traces: a run is a pipeline run, a drill a task, what was done a span, a verdict an event.

The only importer of opentelemetry. `text` makes OTLP JSON, one document on one line, as the collector's file receiver
reads it; `send` is called only where somebody named an endpoint. Spans are made as data, without a tracer, so that no
OTEL_* variable changes them; their ids come from the run's name, so that a run sent twice is one trace. Times are the
run's monotonic clock on the wall clock time of its first fact. Sources: opentelemetry.io, "Semantic conventions for
CI/CD" 1.44 (release candidate: PASS is success, FAIL failure, INCONCLUSIVE error) and "OTLP specification" (JSON: ids
are hexadecimal, enums integers).
"""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from google.protobuf.json_format import MessageToDict
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event as SpanEvent
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags
from requests import PreparedRequest, Response, Session

from rollproof.core.drift import DriftTrial, drift_trials
from rollproof.core.event import Event
from rollproof.core.facts import Facts
from rollproof.core.fault import Fault, find_faults
from rollproof.core.rollout import find_rollout
from rollproof.core.verdict import Result, Verdict, worst
from rollproof.core.visible import printable
from rollproof.errors import CannotJudgeError, InputError
from rollproof.redaction import SECRETS
from rollproof.reports.cases import Case, cases
from rollproof.reports.model import Report
from rollproof.reports.sentences import sentence

__all__ = ["send", "text"]

_TEXT_MAX = 2_000  # characters of an attribute
_TIMEOUT_S = 10.0
_LATEST_NS = 2**63 - 1
_TRACES = "/v1/traces"
_HEADERS = ("OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS")  # the exporter reads them itself
_RESULTS = {Result.PASS: "success", Result.FAIL: "failure", Result.INCONCLUSIVE: "error", Result.SKIPPED: "skip"}
_CASES = {Result.PASS: "pass", Result.FAIL: "fail"}  # the convention has no word for the others

_Value = str | bool | int | float


def text(report: Report) -> str:
    """The trace as OTLP JSON."""
    document = MessageToDict(encode_spans(_spans(report)), use_integers_for_enums=True)
    for resource in document["resourceSpans"]:
        for scope in resource["scopeSpans"]:
            for span in scope["spans"]:
                _ids_to_hex(span)
    return json.dumps(document, ensure_ascii=True, separators=(",", ":")) + "\n"


def send(report: Report, endpoint: str, authorization: str = "") -> str:
    """Send the trace over OTLP/HTTP (protobuf), and say what was sent, for people.

    endpoint: a URL; without a path, `/v1/traces` is meant. authorization: that header's value, or ""; it counts before
    all others. Other headers are those of OTEL_EXPORTER_OTLP_HEADERS, as of every OpenTelemetry program. All go to that
    host and no other, for no redirect is followed. Raises InputError: it is no URL; CannotJudgeError: it was not
    accepted within 10 s.
    """
    url, shown = _endpoint(endpoint)
    spans = _spans(report)
    SECRETS.add(_credentials(urlsplit(url), os.environ))  # after the spans are made: `shop` may be one of them
    session = Session()
    session.hooks["response"].append(_no_redirect)
    session.auth = _login(authorization or _of_url(urlsplit(url)))
    with _Heard() as heard:
        exporter = OTLPSpanExporter(endpoint=url, timeout=_TIMEOUT_S, session=session)
        accepted = exporter.export(spans) is SpanExportResult.SUCCESS
        exporter.shutdown()
    if not accepted:
        hint = "is a collector listening there? `export --format otlp --out FILE` needs none"
        raise CannotJudgeError(f"{shown} did not accept the trace: {heard.first or 'no reason was given'}", hint)
    return f"{len(spans)} spans of the trace {_trace_id(report):032x} were sent to {shown}"


def _endpoint(endpoint: str) -> tuple[str, str]:
    """The URL that is meant, and the same without a password, for messages."""
    try:
        parts = urlsplit(endpoint)
        host = f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)
    except ValueError:
        parts, host = urlsplit(""), ""
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise InputError("--endpoint is no http(s) URL", "for example http://127.0.0.1:4318")
    path = parts.path if parts.path.strip("/") else _TRACES
    return parts._replace(path=path).geturl(), printable(f"{parts.scheme}://{host}{path}")


def _credentials(url: SplitResult, environ: Mapping[str, str]) -> Iterator[str]:
    """What may be a secret in the URL and in the headers of the environment: the exporter shows both where it fails."""
    fields = [one for name in _HEADERS for one in environ.get(name, "").split(",")]
    for one in [f"={url.password or ''}", *url.query.split("&"), *fields]:
        name, equals, value = one.partition("=")
        found = (value if equals else name).strip()
        yield from (found, unquote(found))


def _of_url(url: SplitResult) -> str:
    """The Authorization header for a login in the URL, or "". requests reads none of it where `auth` is set."""
    if url.username is None:
        return ""
    return "Basic " + base64.b64encode(f"{unquote(url.username)}:{unquote(url.password or '')}".encode()).decode()


def _login(authorization: str) -> Callable[[PreparedRequest], PreparedRequest]:
    """Sets the header last, over one of the environment's headers.

    Without one it is set all the same: only a Session that has no `auth` looks into ~/.netrc, whose login would go to a
    host that nobody named it for, in place of the environment's header.
    """

    def set_header(request: PreparedRequest) -> PreparedRequest:
        if authorization:
            request.headers["Authorization"] = authorization
        return request

    return set_header


def _no_redirect(response: Response, *_: object, **__: object) -> None:
    """Refuse one: the exporter takes it for success (status below 400), or follows it with all its headers."""
    if 300 <= response.status_code < 400:
        response.close()
        raise CannotJudgeError(f"HTTP status {response.status_code}: a redirect is not followed")


class _Heard(logging.Handler):
    """What the exporter logs of a failure: it has no other way of telling why."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.first = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.first = self.first or SECRETS.text(printable(record.getMessage(), length_max=300))

    def __enter__(self) -> _Heard:
        self._logger = logging.getLogger("opentelemetry")
        self._propagated, self._logger.propagate = self._logger.propagate, False
        self._logger.addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._logger.removeHandler(self)
        self._logger.propagate = self._propagated


@dataclass(frozen=True, slots=True)
class _Trace:
    """What all spans of a run share. wall_s: the wall clock time (epoch) at 0 of the run's monotonic clock."""

    id: int
    wall_s: float
    resource: Resource
    scope: InstrumentationScope

    def at_ns(self, at_s: float) -> int:
        """Nanoseconds since 1970; a damaged folder may hold a time that 64 bits cannot, which becomes the nearest."""
        return int(min(max((self.wall_s + at_s) * 1e9, 0), _LATEST_NS))

    def context(self, path: str) -> SpanContext:
        own = int.from_bytes(hashlib.sha256(f"{self.id}/{path}".encode()).digest()[:8], "big") or 1
        return SpanContext(self.id, own, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))

    def span(
        self, path: str, name: str, stretch_s: tuple[float, float], attributes: Mapping[str, _Value | None], *,
        events: tuple[SpanEvent, ...] = (), result: Result | None = None, kind: SpanKind = SpanKind.INTERNAL,
    ) -> ReadableSpan:  # fmt: skip
        """path: unique in the run; the parent is what is before its last slash, "" the run itself."""
        parent = None if not path else self.context(path.rpartition("/")[0])
        failed = result in {Result.FAIL, Result.INCONCLUSIVE}
        return ReadableSpan(
            name=_clean(name), context=self.context(path), parent=parent, resource=self.resource, kind=kind,
            attributes=_attributes(attributes), events=events, instrumentation_scope=self.scope,
            status=Status(StatusCode.ERROR if failed else StatusCode.UNSET),
            start_time=self.at_ns(stretch_s[0]), end_time=self.at_ns(max(stretch_s)),
        )  # fmt: skip

    def event(self, name: str, at_s: float, attributes: Mapping[str, _Value | None]) -> SpanEvent:
        return SpanEvent(_clean(name), _attributes(attributes), self.at_ns(at_s))


def _spans(report: Report) -> list[ReadableSpan]:
    trace = _trace(report)
    events = report.events()
    begin_s = min((event.start_s for event in events), default=0.0)
    end_s = max((event.end_s for event in events), default=begin_s)
    of_drills: dict[str, list[Case]] = {}
    for case in cases(report):
        of_drills.setdefault(case.verdict.drill if case.verdict.drill in report.facts else "", []).append(case)
    attributes = {
        "cicd.pipeline.name": report.plan.target.name, "cicd.pipeline.run.id": report.plan.run_id,
        "cicd.pipeline.action.name": "RUN", "cicd.pipeline.result": _RESULTS[report.result],
        "error.type": _first_code(report.verdicts, report.result), "rollproof.exit_code": report.exit_code,
        "rollproof.undo": report.undo, "rollproof.old_sha": report.plan.old_sha,
        "rollproof.new_sha": report.plan.new_sha,
    }  # fmt: skip
    run = trace.span(
        "", f"RUN {report.plan.target.name}", (begin_s, end_s), attributes, result=report.result, kind=SpanKind.SERVER,
        events=tuple(_verdict(trace, case, end_s) for case in of_drills.get("", [])),
    )  # fmt: skip
    below = [
        one for drill, facts in report.facts.items() for one in _drill(trace, report, facts, of_drills.get(drill, []))
    ]
    return [run, *below]


def _trace(report: Report) -> _Trace:
    packages = report.environment.get("packages")
    version = str(packages.get("rollproof", "")) if isinstance(packages, dict) else ""
    attributes = {
        "service.name": "rollproof", "service.version": version, "rollproof.target": report.plan.target.name,
        "rollproof.platform": report.platform,
    }  # fmt: skip
    scope = InstrumentationScope("rollproof", version)
    return _Trace(_trace_id(report), _wall_s(report), Resource(_attributes(attributes)), scope)


def _trace_id(report: Report) -> int:
    named = f"{report.plan.target.name}/{report.plan.run_id}"
    return int.from_bytes(hashlib.sha256(named.encode()).digest()[:16], "big")


def _wall_s(report: Report) -> float:
    """From the first fact that has a readable time: `wall` is the time of writing, which is its end."""
    for event in report.events():
        try:
            return datetime.fromisoformat(event.wall).timestamp() - event.end_s
        except (ValueError, TypeError, OverflowError):  # a damaged folder: it is exported too
            continue
    return 0.0


def _drill(trace: _Trace, report: Report, facts: Facts, judged: list[Case]) -> Iterator[ReadableSpan]:
    """The task, and what is in it: phases, stages, drifts, faults, outages."""
    own = [event for event in facts.events if event.drill == facts.drill]
    if not own and not judged:
        return
    stretch_s = (
        min((event.start_s for event in own), default=0.0), max((event.end_s for event in own), default=0.0)
    )  # fmt: skip
    verdicts = tuple(case.verdict for case in judged)
    results = [verdict.result for verdict in verdicts]
    result = Result.SKIPPED if results and set(results) == {Result.SKIPPED} else worst(results)
    attributes = {
        "cicd.pipeline.task.name": facts.drill, "cicd.pipeline.task.run.id": f"{report.plan.run_id}/{facts.drill}",
        "cicd.pipeline.task.type": "test", "cicd.pipeline.task.run.result": _RESULTS[result],
        "error.type": _first_code(verdicts, result),
    }  # fmt: skip
    path = f"/{facts.drill}"
    yield trace.span(
        path, facts.drill, stretch_s, attributes, result=result,
        events=tuple(_verdict(trace, case, stretch_s[1]) for case in judged),
    )  # fmt: skip
    for event in (event for event in own if (event.source, event.subject) == ("run", "phase")):
        yield _fact(trace, path, f"phase {event.what}", event)
    if (rollout := find_rollout(facts)) is not None:
        for stage, event in rollout.stages.items():
            yield _fact(trace, path, f"{rollout.source} {stage}", event)
    by_subject = {verdict.subject: verdict.result for verdict in verdicts}
    attempts: list[DriftTrial | Fault] = [*drift_trials(facts), *find_faults(facts)]
    for attempt in attempts:
        if attempt.begun:
            yield _attempt(trace, path, attempt, by_subject.get(attempt.subject))
    yield from _outages(trace, path, verdicts)


def _verdict(trace: _Trace, case: Case, at_s: float) -> SpanEvent:
    verdict = case.verdict
    numbers = {f"rollproof.number.{name}": value for name, value in verdict.numbers.items()}
    attributes = {
        "test.suite.name": case.suite, "test.case.name": case.name,
        "test.case.result.status": _CASES.get(verdict.result), "rollproof.result": str(verdict.result),
        "rollproof.why": verdict.why, "error.type": _first_code((verdict,), verdict.result), **numbers,
    }  # fmt: skip
    return trace.event("verdict", at_s, attributes)


def _fact(trace: _Trace, parent: str, name: str, event: Event) -> ReadableSpan:
    attributes: dict[str, _Value | None] = {
        "rollproof.seq": event.seq,
        "rollproof.subject": event.subject,
        "rollproof.sentence": sentence(event),
    }
    return trace.span(f"{parent}/{event.seq}", name, (event.start_s, event.end_s), attributes)


def _attempt(trace: _Trace, parent: str, attempt: DriftTrial | Fault, result: Result | None) -> ReadableSpan:
    """A drift or a fault from its start to the last that is known of it; each of its words is an event."""
    known = [event for event in attempt.events if event.end_s >= attempt.started.start_s]
    stretch_s = (attempt.started.start_s, max((event.end_s for event in known), default=0.0))
    attributes = {"rollproof.subject": attempt.subject, "rollproof.change": attempt.change}
    name = attempt.subject.replace("/", " ").lower()
    events = tuple(trace.event(str(one.what), one.end_s, {"rollproof.sentence": sentence(one)}) for one in known)
    return trace.span(f"{parent}/{attempt.started.seq}", name, stretch_s, attributes, events=events, result=result)


def _outages(trace: _Trace, parent: str, verdicts: tuple[Verdict, ...]) -> Iterator[ReadableSpan]:
    """What was judged to be an outage or a blind gap, as long as it was at most."""
    for number, verdict in enumerate(verdicts):
        for index, one in enumerate(verdict.intervals):
            stretch_s = one.begins_ns[0] / 1e9, one.ends_ns[1] / 1e9
            at_least_s = max(0, one.ends_ns[0] - one.begins_ns[1]) / 1e9
            attributes: dict[str, _Value | None] = {
                "rollproof.lane": one.lane, "rollproof.sentence": one.text, "rollproof.at_least_s": at_least_s,
            }  # fmt: skip
            yield trace.span(f"{parent}/{one.kind}-{number}-{index}", one.kind, stretch_s, attributes)


def _first_code(verdicts: tuple[Verdict, ...], result: Result) -> str | None:
    """The first cause's code (few and stable), for what is not PASS."""
    if result not in {Result.FAIL, Result.INCONCLUSIVE}:
        return None
    named = (one.findings[0].code for one in verdicts if one.result is result and one.findings)
    return next(named, str(result))


def _attributes(values: Mapping[str, _Value | None]) -> dict[str, _Value]:
    return {name: _clean(one) if isinstance(one, str) else one for name, one in values.items() if one not in {None, ""}}


def _clean(value: str) -> str:
    return SECRETS.text(printable(value, length_max=_TEXT_MAX))


def _ids_to_hex(span: dict[str, Any]) -> None:
    """Protobuf's own JSON has ids in Base64; OTLP's has them in hexadecimal."""
    for name in ("traceId", "spanId", "parentSpanId"):
        if name in span:
            span[name] = base64.b64decode(span[name]).hex()
