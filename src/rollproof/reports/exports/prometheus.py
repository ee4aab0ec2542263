"""Prometheus text and OpenMetrics, from one registry: gauges of the last run. The only importer of prometheus_client.

Base units, one prefix, labels with few values (the shas only on the info metric), and no timestamps on samples: a
Pushgateway refuses them, and keeps its samples for ever, so the age of the figures is a gauge of its own. Source:
prometheus.io, "Metric and label naming", "When to use the Pushgateway".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.openmetrics import exposition
from prometheus_client.registry import Collector

from rollproof.core.verdict import Result
from rollproof.reports.cases import cases, drill_span
from rollproof.reports.fault_rows import fault_rows
from rollproof.reports.model import Report
from rollproof.reports.tables import drift_rows, stage_tables

__all__ = ["CONTENT_TYPE", "openmetrics", "text"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def text(report: Report) -> str:
    """In Prometheus' text format 0.0.4: a textfile collector and a Pushgateway read it."""
    return generate_latest(_registry(report)).decode()


def openmetrics(report: Report) -> str:
    """In OpenMetrics text, which ends with `# EOF`: GitLab reads it (`artifacts:reports:metrics`)."""
    written: bytes = exposition.generate_latest(_registry(report))  # type: ignore[no-untyped-call] # it has no types
    return written.decode()


def _registry(report: Report) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(_Run(report))
    return registry


class _Run(Collector):
    def __init__(self, report: Report) -> None:
        self._report = report
        self._target = report.plan.target.name

    def collect(self) -> Iterator[Metric]:
        """Every metric of the run."""
        yield self._info()
        yield self._results("rollproof_result", "1 for the result of the last run", [((), self._report.result)])
        yield self._verdicts()
        yield self._gauge("rollproof_last_run_timestamp_seconds", "When the last run ended", [((), self._ended_s())])
        yield self._gauge("rollproof_undo_clean", "1 if nothing was left changed", [((), self._undone())])
        yield from self._traffic()
        yield from self._stages()
        yield from self._faults()

    def _info(self) -> InfoMetricFamily:
        plan = self._report.plan
        packages = self._report.environment.get("packages")
        version = str(packages.get("rollproof", "")) if isinstance(packages, dict) else ""
        family = InfoMetricFamily("rollproof_run", "What ran", labels=["target"])
        family.add_metric([self._target], {
            "run": plan.run_id, "old_sha": plan.old_sha, "new_sha": plan.new_sha, "platform": self._report.platform,
            "version": version,
        })  # fmt: skip
        return family

    def _verdicts(self) -> GaugeMetricFamily:
        rows = [((case.verdict.drill, case.name), case.verdict.result) for case in cases(self._report)]
        return self._results("rollproof_verdict", "1 for the result of a check", rows, ("drill", "check"))

    def _results(
        self,
        name: str,
        documentation: str,
        rows: Iterable[tuple[tuple[str, ...], Result]],
        labels: tuple[str, ...] = (),
    ) -> GaugeMetricFamily:
        """One series for each result, so that an alert on one of them always has a sample."""
        states = [((*values, str(one)), float(one is result)) for values, result in rows for one in Result]
        return self._gauge(name, documentation, states, (*labels, "result"))

    def _ended_s(self) -> float | None:
        ends = [span.ended for facts in self._report.facts.values() if (span := drill_span(facts)).ended]
        return max((end.timestamp() for end in ends if end), default=None)

    def _undone(self) -> float | None:
        return None if not self._report.undo else float(self._report.undo in {"clean", "kept"})

    def _traffic(self) -> Iterator[Metric]:
        found = [verdict for verdict in self._report.verdicts if verdict.checker == "availability"]
        for name, number, scale, documentation in (
            ("rollproof_requests", "requests", 1, "Requests that were judged"),
            ("rollproof_requests_failed", "failures", 1, "Of those, failed"),
            ("rollproof_outage_lower_bound_seconds", "outage_ms_lower", 1000, "The longest outage, at least"),
            ("rollproof_outage_upper_bound_seconds", "outage_ms_upper", 1000, "The longest outage, at most"),
            ("rollproof_blind_gap_seconds", "gap_ms_max", 1000, "An outage shorter than this may go unseen"),
            ("rollproof_endpoint_lag_seconds", "endpoint_lag_s", 1, "For so long an ending pod still got requests"),
        ):
            rows = [((one.drill,), _scaled(one.numbers.get(number), scale)) for one in found]
            yield self._gauge(name, documentation, rows, ("drill",))

    def _stages(self) -> Iterator[Metric]:
        tables = stage_tables(self._report)
        rows = [((table.drill, row.name), row.took_s) for table in tables for row in table.rows]
        yield self._gauge("rollproof_stage_seconds", "A stage of a release or rollback", rows, ("drill", "stage"))
        totals = [((table.drill,), table.total_s) for table in tables]
        yield self._gauge("rollproof_push_to_proof_seconds", "From the push to all proven", totals, ("drill",))

    def _faults(self) -> Iterator[Metric]:
        repairs = [((row.trial,), row.repair_s) for row in drift_rows(self._report)]
        yield self._gauge("rollproof_drift_repair_seconds", "Detection and repair of a drift", repairs, ("trial",))
        recoveries = [((row.fault,), row.recovery_s) for row in fault_rows(self._report)]
        yield self._gauge(
            "rollproof_fault_recovery_seconds", "From the fault to the steady state", recoveries, ("fault",)
        )

    def _gauge(
        self, name: str, documentation: str, rows: Iterable[tuple[tuple[str, ...], float | None]],
        labels: tuple[str, ...] = (),
    ) -> GaugeMetricFamily:  # fmt: skip
        """What was not measured has no sample: 0 would be a claim."""
        family = GaugeMetricFamily(name, documentation, labels=["target", *labels])
        for values, value in rows:
            if value is not None:
                family.add_metric([self._target, *values], value)
        return family


def _scaled(value: object, scale: float) -> float | None:
    return float(value) / scale if isinstance(value, int | float) else None
