"""A trace in a real OpenTelemetry collector: it understands every span, attribute, event and parent, in both forms."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from reports.conftest import the_report

from rollproof.errors import CannotJudgeError
from rollproof.reports.exports import export, sender
from tests.readers.servers import free_port, serving
from tests.readers.tools import OTELCOL, go_program


@dataclass(frozen=True)
class Collector:
    """Where it listens for OTLP over HTTP; what it understood, a batch a line; what its debug exporter says."""

    url: str
    written: Path
    log: Path

    def understood(self) -> str:
        """What it wrote, from the first whole line on: it writes once a second."""
        deadline_s = time.monotonic() + 60
        while not (text := self.written.read_text() if self.written.exists() else "").endswith("\n"):
            assert time.monotonic() < deadline_s, f"nothing was written: {self.log.read_text()}"
            time.sleep(0.05)
        return text


@pytest.fixture
def collected(tmp_path: Path) -> Iterator[Collector]:
    """A collector while it runs."""
    program, port = go_program(OTELCOL), free_port()
    written = tmp_path / "traces.jsonl"
    pipeline = {"receivers": ["otlp"], "exporters": ["debug", "file"]}
    config = {
        "receivers": {"otlp": {"protocols": {"http": {"endpoint": f"127.0.0.1:{port}"}}}},
        "exporters": {"debug": {"verbosity": "detailed"}, "file": {"path": str(written)}},
        "service": {"pipelines": {"traces": pipeline}, "telemetry": {"metrics": {"level": "none"}}},
    }
    path = tmp_path / "collector.yml"
    path.write_text(yaml.safe_dump(config))
    log = tmp_path / "log"
    with serving(program, "--config", path, port=port, log=log):
        yield Collector(f"http://127.0.0.1:{port}", written, log)


def spans(text: str) -> dict[str, dict[str, Any]]:
    """By id, what two documents can be compared by: name, parent, times, status, kind, attributes, events."""
    found = {}
    for line in text.splitlines():
        for resource in json.loads(line)["resourceSpans"]:
            for span in (one for scope in resource["scopeSpans"] for one in scope["spans"]):
                found[span["spanId"]] = {
                    **{name: span.get(name) or "" for name in ("traceId", "parentSpanId", "name", "kind")},
                    "times": (span["startTimeUnixNano"], span["endTimeUnixNano"]),
                    "status": span.get("status", {}).get("code", 0),
                    "attributes": attributes(span),
                    "resource": attributes(resource["resource"]),
                    "events": [(one["name"], one["timeUnixNano"], attributes(one)) for one in span.get("events", [])],
                }
    return found


def attributes(owner: dict[str, Any]) -> dict[str, Any]:
    return {one["key"]: one["value"] for one in owner.get("attributes", [])}


def test_what_is_sent_arrives_whole(collected: Collector) -> None:
    said = sender("otlp")(the_report(), collected.url, "")
    sent = spans(export(the_report(), "otlp"))
    assert spans(collected.understood()) == sent
    assert said.startswith(f"{len(sent)} spans of the trace ")
    log = collected.log.read_text()
    for word in ("cicd.pipeline.name: Str(lab)", "Name           : RUN lab", "cicd.pipeline.task.type: Str(test)"):
        assert word in log


def test_the_file_is_otlp_json_to_it(collected: Collector) -> None:
    text = export(the_report(), "otlp")
    headers = {"Content-Type": "application/json"}
    asked = urllib.request.Request(f"{collected.url}/v1/traces", text.encode(), headers)  # noqa: S310
    with urllib.request.urlopen(asked, timeout=30) as answer:  # noqa: S310 - 127.0.0.1
        assert answer.status == 200
    assert spans(collected.understood()) == spans(text)


def test_what_the_collector_refuses_is_said(collected: Collector) -> None:
    with pytest.raises(CannotJudgeError, match=r"/v1/tracks did not accept the trace: .*404") as told:
        sender("otlp")(the_report(), f"{collected.url}/v1/tracks", "")
    assert told.value.exit_code == 3


def test_a_collector_that_is_not_there_is_said() -> None:
    with pytest.raises(CannotJudgeError, match="did not accept the trace") as told:
        sender("otlp")(the_report(), f"http://127.0.0.1:{free_port()}", "")
    assert "is a collector listening there?" in told.value.hint
